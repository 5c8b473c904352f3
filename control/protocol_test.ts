/** Execute, WaitExecution and the action cache, rule by rule, as the specification has them. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ActionCache as Cache, MemoryBlobStore, MemoryMetadataStore, type MetadataStore } from "@brokkr/cas";
import { CasClient, type Digest, digestOf, SHA256 } from "@brokkr/cas/client";
import { casRoutes } from "@brokkr/cas/services";
import {
  BrokkrError,
  Code,
  idTracer,
  ManualClock,
  noLog,
  noMetrics,
  systemClock,
  systemRandom,
} from "@brokkr/common";
import {
  ActionCache,
  ActionCodec,
  Capabilities,
  CommandCodec,
  type ExecuteRequest,
  ExecuteResponseCodec,
  Execution,
  type Init,
  Operations as OperationsMethods,
  PreconditionFailureCodec,
  RequestMetadataCodec,
  type Status,
} from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy } from "@brokkr/proto/rpc/server";
import { Environments } from "./environments.ts";
import { ExecutionService } from "./execution_service.ts";
import { Grid } from "./grid.ts";
import { GridMetrics } from "./_grid_metrics.ts";
import { Operations } from "./operations.ts";
import { OperationsService } from "./operations_service.ts";
import type { SchedulerLimits } from "./scheduler/mod.ts";
import { encoder, metadataOf, TestGrid, wire } from "./_test_grid.ts";

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

function missing(status: Status | undefined): string[] {
  const any = status?.details.find(({ typeUrl }) => typeUrl.endsWith("/google.rpc.PreconditionFailure"));
  const { violations } = PreconditionFailureCodec.decode(any?.value ?? new Uint8Array());
  return violations.map(({ type, subject }) => `${type} ${subject}`).sort();
}

function hasRetryInfo(status: Status | undefined): boolean {
  return status?.details.some(({ typeUrl }) => typeUrl.endsWith("/google.rpc.RetryInfo")) ?? false;
}

/** A store in memory whose lookups of results wait until a test lets them go on. */
class GatedMetadata {
  readonly asked = Promise.withResolvers<void>();
  readonly gate = Promise.withResolvers<void>();
  readonly store: MetadataStore;

  constructor(inner: MetadataStore) {
    const get = async (key: Uint8Array) => {
      if (text(key.subarray(0, 3)) === "ac/") {
        this.asked.resolve();
        await this.gate.promise;
      }
      return await inner.get(key);
    };
    this.store = new Proxy(inner, {
      get: (target, name) => {
        if (name === "get") return get;
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
}

/** A grid whose cache checks last as long as a test likes. */
async function checkingGrid(
  use: (parts: {
    readonly channel: ReturnType<typeof connect>;
    readonly action: Digest;
    readonly metadata: GatedMetadata;
  }) => Promise<void>,
  limits: Partial<SchedulerLimits> = {},
) {
  await using inner = new MemoryMetadataStore();
  const metadata = new GatedMetadata(inner);
  await using blobs = new MemoryBlobStore(1 << 20);
  const cache = new Cache({ metadata: metadata.store, blobs });
  const metrics = new GridMetrics(noMetrics);
  const grid = new Grid({
    epoch: 1,
    limits,
    clock: systemClock,
    log: noLog,
    metrics,
    settle: () => ({ kind: "fault", why: "nothing runs here" }),
    salvage: () => Promise.resolve(false),
    inline: () => undefined,
    onFleet: () => {},
    onFatal: () => {},
  });
  const operations = new Operations(grid);
  const environments = await Environments.open(inner, noLog);
  environments.update(["test-1"]);
  const execution = new ExecutionService({
    operations,
    blobs,
    cache,
    environments,
    epoch: 1,
    clock: systemClock,
    random: systemRandom,
    log: noLog,
    tracer: idTracer(),
    metrics,
    defaultTimeoutMs: 60_000,
    maxTimeoutMs: 60_000,
  });
  const service = new OperationsService({ operations, epoch: 1, clock: systemClock });
  const server = createRpcServer({
    routes: [...execution.routes(), ...service.routes(), ...casRoutes({ store: blobs })],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write", "execute"] }),
  });
  const [{ address }] = await server.listen();
  {
    await using channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
    const cas = new CasClient({ channel, instance: "", fn: SHA256, random: systemRandom });
    const put = async (data: Uint8Array) => {
      const digest = digestOf(SHA256, data);
      await cas.upload([{ digest, data }]);
      return digest;
    };
    const commandDigest = wire(await put(CommandCodec.encode({ arguments: ["true"] })));
    const inputRootDigest = wire(await put(new Uint8Array()));
    const action = await put(ActionCodec.encode({ commandDigest, inputRootDigest }));
    await use({ channel, action, metadata });
    metadata.gate.resolve();
    await execution.settled();
  }
  await grid.shutdown(0);
  await server.shutdown({ graceMs: 0 });
}

Deno.test("WaitExecution and GetOperation know an operation whose action is being looked up", async () => {
  await checkingGrid(async ({ channel, action, metadata }) => {
    const broken = new AbortController();
    const stream = channel.serverStream(Execution.execute, { actionDigest: wire(action) }, {
      signal: broken.signal,
    })[Symbol.asyncIterator]();
    const first = await stream.next();
    assert(!first.done);
    const { name } = first.value;
    await metadata.asked.promise;
    assertEquals([first.value.done, metadataOf(first.value).stage], [false, 1]);
    // Its stream breaks; the operation goes on.
    broken.abort();
    await assertRejects(() => stream.next());
    const waiting = channel.serverStream(Execution.waitExecution, { name })[Symbol.asyncIterator]();
    const joined = await waiting.next();
    assertEquals(joined.done ? undefined : metadataOf(joined.value).stage, 1);
    const got = await channel.unary(OperationsMethods.getOperation, { name });
    assertEquals(metadataOf(got).stage, 1);
    const { operations } = await channel.unary(OperationsMethods.listOperations, {
      filter: "stage=cache_check",
    });
    assertEquals(operations.map((each) => each.name), [name]);
    metadata.gate.resolve();
    const queued = await waiting.next();
    assertEquals(queued.done ? undefined : metadataOf(queued.value).stage, 2);
    // Two watchers of which one has gone: cancelling ends it for the other.
    await channel.unary(OperationsMethods.cancelOperation, { name });
    const last = await waiting.next();
    assertEquals(last.done ? undefined : last.value.done, true);
  });
});

Deno.test("CancelOperation ends an operation whose action is being looked up, and nothing comes after", async () => {
  await checkingGrid(async ({ channel, action, metadata }) => {
    const stream = channel.serverStream(Execution.execute, { actionDigest: wire(action) });
    const seen: number[] = [];
    for await (const operation of stream) {
      seen.push(metadataOf(operation).stage);
      if (operation.done) {
        const { status } = ExecuteResponseCodec.decode(operation.response?.value ?? new Uint8Array());
        assertEquals([status?.code, operation.error], [Code.CANCELLED, undefined]);
      } else {
        await metadata.asked.promise;
        await channel.unary(OperationsMethods.cancelOperation, { name: operation.name });
      }
    }
    assertEquals(seen, [1, 4]);
    metadata.gate.resolve();
    const { operations } = await channel.unary(OperationsMethods.listOperations, {});
    assertEquals(operations.map(({ done }) => done), [true]);
  });
});

for (const followers of [0, 1, 3]) {
  Deno.test(`An operation that ${followers} clients follow when its action was checked ends unwatched when they go`, async () => {
    await checkingGrid(async ({ channel, action, metadata }) => {
      const abort = new AbortController();
      const stream = channel.serverStream(Execution.execute, { actionDigest: wire(action) }, {
        signal: abort.signal,
      })[Symbol.asyncIterator]();
      const first = await stream.next();
      const name = first.done ? "" : first.value.name;
      await metadata.asked.promise;
      const gone = new AbortController();
      const waiting = Array.from(
        { length: followers },
        () =>
          channel.serverStream(Execution.waitExecution, { name }, { signal: gone.signal })
            [Symbol.asyncIterator](),
      );
      for (const each of waiting) await each.next();
      abort.abort();
      await assertRejects(() => stream.next());
      const operation = async () =>
        (await channel.unary(OperationsMethods.listOperations, { filter: `name=${name}` })).operations[0];
      metadata.gate.resolve();
      for (const each of waiting) await each.next();
      if (followers > 0) assertEquals((await operation()).done, false);
      gone.abort();
      while (!(await operation()).done) await new Promise((resolve) => setTimeout(resolve, 20));
    }, { unwatchedMs: 100 });
  });
}

Deno.test("WaitExecution answers for ten minutes after the end and with NOT_FOUND then", async () => {
  const clock = new ManualClock();
  await using grid = await TestGrid.start({ clock });
  const absent = digestOf(SHA256, encoder.encode("absent"));
  const followed = grid.execute(absent);
  await followed.end;
  clock.advance(599_000);
  assertEquals((await grid.wait(followed.name).response()).status?.code, Code.FAILED_PRECONDITION);
  clock.advance(2000);
  const error = await assertRejects(() => grid.wait(followed.name).end, BrokkrError);
  assertEquals(error.code, Code.NOT_FOUND);
  assertMatch(error.message, /execute the action again/);
});

Deno.test("Execute names the missing Command and the missing input root in one answer", async () => {
  await using grid = await TestGrid.start();
  const [command, root] = ["command", "root"].map((word) => digestOf(SHA256, encoder.encode(word)));
  const action = await grid.put(
    ActionCodec.encode({ commandDigest: wire(command), inputRootDigest: wire(root) }),
  );
  const { status } = await grid.execute(action).response();
  assertEquals(status?.code, Code.FAILED_PRECONDITION);
  assertEquals(
    missing(status),
    [`MISSING blobs/${command.hash}/7`, `MISSING blobs/${root.hash}/4`].sort(),
  );
});

Deno.test("Execute takes digests as the specification has them", async (t) => {
  await using grid = await TestGrid.start();
  const action = await grid.action("true", { doNotCache: true });
  const { hash, sizeBytes } = action;
  const bad: readonly [string, Init<ExecuteRequest>, RegExp][] = [
    ["an upper-case hash", { actionDigest: { hash: hash.toUpperCase(), sizeBytes } }, /lower-case/],
    ["a hash too short", { actionDigest: { hash: hash.slice(2), sizeBytes } }, /supported: SHA256/],
    ["a hash of another length", { actionDigest: { hash: hash.slice(25), sizeBytes } }, /supported: SHA256/],
    ["a hash too short for its function", {
      actionDigest: { hash: hash.slice(2), sizeBytes },
      digestFunction: 1,
    }, /64 lower-case hex digits/],
    [
      "a function that is not supported",
      { digestFunction: 7 },
      /Digest function MURMUR3 .* supported: SHA256/,
    ],
    ["a function that is not known", { digestFunction: 77 }, /Digest function 77 .* supported: SHA256/],
    ["a negative size", { actionDigest: { hash, sizeBytes: -1 } }, /-1 bytes/],
    ["no digest", { actionDigest: undefined }, /missing/],
    ["a reserved instance segment", { instanceName: "a/actions" }, /instance/i],
  ];
  for (const [what, request, words] of bad) {
    await t.step(`refuses ${what}`, async () => {
      const error = await assertRejects(() => grid.execute(action, request).end, BrokkrError);
      assertEquals(error.code, Code.INVALID_ARGUMENT);
      assertMatch(error.message, words);
      assert(error.details.some(({ kind }) => kind === "badRequest"));
    });
  }
  for (
    const request of [
      {},
      { digestFunction: 1 },
      { instanceName: "a/b/c" },
      { instanceName: "" },
    ] satisfies readonly Init<ExecuteRequest>[]
  ) {
    await t.step(`takes ${JSON.stringify(request)}`, async () => {
      const followed = grid.execute(action, request);
      await followed.until("QUEUED");
      followed.break();
    });
  }
});

Deno.test("Execute with skip_cache_lookup merges with a running twin, and its result overwrites", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const action = await grid.action("true");
  const cached = async () => (await grid.execute(action).response()).result?.stdoutRaw;
  const first = grid.execute(action);
  await worker.run({ stdoutRaw: encoder.encode("one") });
  await first.end;
  assertEquals(text(await cached()), "one");
  const twins = [
    grid.execute(action, { skipCacheLookup: true }),
    grid.execute(action, { skipCacheLookup: true }),
  ];
  for (const twin of twins) await twin.until("QUEUED");
  await worker.run({ stdoutRaw: encoder.encode("two") });
  for (const twin of twins) {
    const response = await twin.response();
    assertEquals([text(response.result?.stdoutRaw), response.cachedResult], ["two", false]);
  }
  assertEquals(text(await cached()), "two");
});

Deno.test("Actions that differ in their salt alone run apart", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker({ slots: 2 });
  const actions = await Promise.all(
    ["a", "b"].map((salt) => grid.action("true", { salt: encoder.encode(salt) })),
  );
  const runs = actions.map((action) => grid.execute(action));
  const leases = [await worker.run(), await worker.run()];
  assertEquals(new Set(leases.map(({ actionDigest }) => actionDigest?.hash)).size, 2);
  for (const run of runs) assertEquals((await run.response()).status, undefined);
});

Deno.test("Lower priorities run first, and a twin that is more urgent takes the action with it", async () => {
  await using grid = await TestGrid.start();
  const actions = new Map<string, Digest>();
  for (const [program, priority] of [["late", 10], ["normal", 0], ["soon", -5], ["raised", 7]] as const) {
    const action = await grid.action(program);
    actions.set(action.hash, action);
    await grid.execute(action, { executionPolicy: { priority } }).until("QUEUED");
    if (program === "raised") {
      await grid.execute(action, { executionPolicy: { priority: -9 } }).until("QUEUED");
    }
  }
  const hashes = [...actions.keys()];
  const worker = await grid.worker();
  const order: number[] = [];
  for (let i = 0; i < 4; i++) order.push(hashes.indexOf((await worker.run()).actionDigest?.hash ?? ""));
  assertEquals(order, [3, 2, 1, 0]);
});

Deno.test("What clients say of themselves counts towards what is held, for merged operations too", async () => {
  await using grid = await TestGrid.start({ schedulerLimits: { maxPayloadBytes: 50_000 } });
  const clientMetadataBytes = new Uint8Array(RequestMetadataCodec.encode({ targetId: "x".repeat(4000) }));
  await using channel = connect(grid.control.grpcEndpoint, { clientMetadataBytes, retry: { retries: 0 } });
  const action = await grid.action("true");
  let taken = 0;
  const error = await assertRejects(async () => {
    for (;; taken++) {
      const stream = channel.serverStream(Execution.execute, { actionDigest: wire(action) })
        [Symbol.asyncIterator]();
      await stream.next();
      await stream.next();
      assert(taken < 20, "Merged operations are not counted");
    }
  }, BrokkrError);
  assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
  assert((error.retryDelayMs ?? 0) > 0);
  assert(taken >= 2, "Some are taken");
});

Deno.test("Contents of the outputs that were asked for are in ExecuteResponse and GetActionResult", async (t) => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const put = async (words: string) => wire(await grid.put(encoder.encode(words)));
  const [out, err, one, two] = await Promise.all(["out", "err", "one", "two"].map(put));
  const result = {
    stdoutDigest: out,
    stderrDigest: err,
    // Paths are relative to the working directory, in the result as in the command.
    outputFiles: [{ path: "dir/one", digest: one }, { path: "two", digest: two }],
  };
  const action = await grid.action({
    arguments: ["true"],
    workingDirectory: "work/place",
    outputPaths: ["dir/one", "two"],
  });
  const cases = [
    [{}, ["", "", "", ""]],
    [{ inlineStdout: true }, ["out", "", "", ""]],
    [{ inlineStderr: true }, ["", "err", "", ""]],
    [{ inlineOutputFiles: ["dir/one"] }, ["", "", "one", ""]],
    [{ inlineOutputFiles: ["work/place/dir/one", "./two", "one"] }, ["", "", "", ""]],
    [{ inlineStdout: true, inlineStderr: true, inlineOutputFiles: ["two", "dir/one", "no"] }, [
      "out",
      "err",
      "one",
      "two",
    ]],
  ] as const satisfies readonly (readonly [Init<ExecuteRequest>, readonly string[]])[];
  const contents = (found: Awaited<ReturnType<typeof grid.cas.getActionResult>>) => [
    text(found?.stdoutRaw),
    text(found?.stderrRaw),
    ...(found?.outputFiles ?? []).map((file) => text(file.contents)),
  ];
  for (const [request, expected] of cases) {
    await t.step(JSON.stringify(request), async () => {
      const executed = grid.execute(action, { skipCacheLookup: true, ...request });
      await worker.run(result);
      assertEquals(contents((await executed.response()).result), [...expected]);
      assertEquals(contents((await grid.execute(action, request).response()).result), [...expected]);
      const named = { instanceName: "main", actionDigest: wire(action) };
      const found = await grid.channel.unary(ActionCache.getActionResult, { ...named, ...request });
      assertEquals(contents(found), [...expected]);
      // Whatever is put in, the digests stay.
      assertEquals(found.stdoutDigest, out);
    });
  }
});

Deno.test("Contents are left out where they would not fit a message", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const stdoutDigest = wire(await grid.put(new Uint8Array(3_000_000)));
  const stderrDigest = wire(await grid.put(new Uint8Array(2_000_000)));
  const action = await grid.action("true");
  const executed = grid.execute(action, { inlineStdout: true, inlineStderr: true });
  await worker.run({ stdoutDigest, stderrDigest });
  const { result } = await executed.response();
  assertEquals([result?.stdoutRaw.length, result?.stderrRaw.length], [3_000_000, 0]);
  assertEquals(result?.stderrDigest, stderrDigest);
});

Deno.test("A worker's many words do not keep a large result from its client", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const executed = grid.execute(await grid.action("true", { doNotCache: true }));
  await worker.run({ stdoutRaw: new Uint8Array(3_990_000) }, { message: "word ".repeat(40_000) });
  const response = await executed.response();
  assertEquals(response.result?.stdoutRaw.length, 3_990_000);
  assertEquals(response.message.length, 10_000);
});

Deno.test("A timed-out action is DEADLINE_EXCEEDED with what there is of its result", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const executed = grid.execute(await grid.action("true", { timeout: { seconds: 5 } }));
  const lease = await worker.lease();
  assertEquals(lease.timeout, { seconds: 5, nanos: 0 });
  await worker.finish(lease, { exitCode: 137, stdoutRaw: encoder.encode("so far") }, {
    outcome: 2,
    status: { code: Code.DEADLINE_EXCEEDED, message: "It ran longer than 5 seconds" },
  });
  const { operation, response } = await executed.end;
  assertEquals([operation.error, response.status?.code], [undefined, Code.DEADLINE_EXCEEDED]);
  assertEquals([text(response.result?.stdoutRaw), response.result?.exitCode], ["so far", 137]);
});

Deno.test("A control plane that shuts down answers UNAVAILABLE with a hint when to come back", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const running = grid.execute(await grid.action("running"));
  const lease = await worker.lease();
  await worker.begin(lease);
  await running.until("EXECUTING");
  const waiting = grid.execute(await grid.action("waiting"));
  await waiting.until("QUEUED");
  const late = await grid.action("late");
  const shutdown = grid.control.shutdown({ graceMs: 20_000 });
  const { status } = await waiting.response();
  assertEquals([status?.code, hasRetryInfo(status)], [Code.UNAVAILABLE, true]);
  const error = await assertRejects(() => grid.execute(late).end, BrokkrError);
  assertEquals(error.code, Code.UNAVAILABLE);
  await worker.finish(lease, { exitCode: 0 });
  assertEquals((await running.response()).status, undefined);
  await shutdown;
});

Deno.test("UpdateActionResult takes failures, and Execute does not answer with what clients brought", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const action = await grid.action("true");
  const named = { instanceName: "main", actionDigest: wire(action) };
  await grid.channel.unary(ActionCache.updateActionResult, { ...named, actionResult: { exitCode: 3 } });
  assertEquals((await grid.channel.unary(ActionCache.getActionResult, named)).exitCode, 3);
  const executed = grid.execute(action);
  await worker.run({ exitCode: 0 });
  const response = await executed.response();
  assertEquals([response.cachedResult, response.result?.exitCode], [false, 0]);
});

Deno.test("Capabilities carry what older clients look at", async () => {
  await using grid = await TestGrid.start();
  for (const instanceName of ["", "main", "a/b/c"]) {
    const { executionCapabilities, cacheCapabilities, lowApiVersion, highApiVersion } = await grid.channel
      .unary(
        Capabilities.getCapabilities,
        { instanceName },
      );
    assertEquals(executionCapabilities?.digestFunction, 1);
    assertEquals(executionCapabilities?.digestFunctions, cacheCapabilities?.digestFunctions);
    assertEquals(executionCapabilities?.execEnabled, true);
    assertEquals([lowApiVersion?.major, lowApiVersion?.minor], [2, 0]);
    assertEquals([highApiVersion?.major, highApiVersion?.minor], [2, 11]);
  }
  const error = await assertRejects(
    () => grid.channel.unary(Capabilities.getCapabilities, { instanceName: "a/blobs" }),
    BrokkrError,
  );
  assertEquals(error.code, Code.INVALID_ARGUMENT);
});
