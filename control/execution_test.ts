import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { digestOf, SHA256 } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import {
  ActionCodec,
  LeaseResult_Outcome,
  type Operation,
  PreconditionFailureCodec,
  type Status,
} from "@brokkr/proto";
import { encoder, metadataOf, TestGrid, wire } from "./_test_grid.ts";

function violations(status: Status | undefined): string[] {
  const any = status?.details.find(({ typeUrl }) =>
    typeUrl === "type.googleapis.com/google.rpc.PreconditionFailure"
  );
  if (any === undefined) return [];
  return PreconditionFailureCodec.decode(any.value).violations.map(({ type, subject }) =>
    `${type} ${subject}`
  );
}

Deno.test("Execute tells each stage when it happens and hands out the worker's result as it came", async () => {
  await using grid = await TestGrid.start();
  const action = await grid.action("true");
  const followed = grid.execute(action);
  await followed.until("QUEUED");
  const worker = await grid.worker();
  const lease = await worker.lease();
  assertEquals(lease.attempt, 1);
  assertEquals(lease.instanceName, "main");
  assertEquals(lease.timeout, { seconds: 3600, nanos: 0 });
  assertEquals(digestOf(SHA256, lease.action), action);
  assertMatch(lease.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
  assertEquals(followed.stages, ["CACHE_CHECK", "QUEUED"]);
  await worker.begin(lease);
  await followed.until("EXECUTING");
  const stdoutDigest = wire(await grid.put(encoder.encode("hello\n")));
  await worker.finish(lease, { stdoutDigest, executionMetadata: { worker: "w1" } }, { message: "Fine" });
  const { operation, response } = await followed.end;
  assertEquals(followed.stages, ["CACHE_CHECK", "QUEUED", "EXECUTING", "COMPLETED"]);
  assertEquals(response.result?.executionMetadata?.worker, "w1");
  assertEquals(response.result?.stdoutDigest, stdoutDigest);
  assertEquals(response.cachedResult, false);
  assertEquals(response.status, undefined);
  assertEquals(response.message, "Fine");
  assertEquals(operation.error, undefined);
  assertMatch(operation.name, /^operations\/1-1-[0-9a-f]{16}$/);
  assertEquals(
    operation.metadata?.typeUrl,
    "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata",
  );
  assertEquals(
    operation.response?.typeUrl,
    "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse",
  );
  assertEquals(metadataOf(operation).actionDigest, wire(action));
});

Deno.test("Execute answers from the cache, with the contents that were asked for", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const action = await grid.action("true");
  const stdoutDigest = wire(await grid.put(encoder.encode("hello\n")));
  const first = grid.execute(action, { inlineStdout: true });
  await worker.run({ stdoutDigest });
  assertEquals(new TextDecoder().decode((await first.response()).result?.stdoutRaw), "hello\n");
  const second = grid.execute(action, { inlineStdout: true });
  const response = await second.response();
  assertEquals(response.cachedResult, true);
  assertEquals(new TextDecoder().decode(response.result?.stdoutRaw), "hello\n");
  assertEquals(second.stages, ["CACHE_CHECK", "COMPLETED"]);
  // A finished operation can be waited for, whatever finished it.
  assertEquals((await grid.wait(second.name).response()).cachedResult, true);
  const third = grid.execute(action, { skipCacheLookup: true });
  await worker.run({ stdoutDigest });
  assertEquals((await third.response()).cachedResult, false);
});

Deno.test("Execute does not answer with results of another environment", async () => {
  await using grid = await TestGrid.start();
  const action = await grid.action("true");
  const open = await grid.worker({ environment: "unsandboxed-1" });
  const first = grid.execute(action);
  await open.run();
  await first.end;
  const closed = await grid.worker({ environment: "sandbox-1" });
  assertEquals((await open.ended as BrokkrError).code, Code.ABORTED);
  const second = grid.execute(action);
  await closed.run();
  assertEquals((await second.response()).cachedResult, false);
});

for (
  const [what, finish] of [
    ["a failed command", { result: { exitCode: 3 }, action: {}, more: {} }],
    ["an action that forbids it", { result: {}, action: { doNotCache: true }, more: {} }],
    [
      "a timeout",
      {
        result: { exitCode: 137 },
        action: {},
        more: {
          outcome: LeaseResult_Outcome.FAILED,
          status: { code: Code.DEADLINE_EXCEEDED, message: "Timed out" },
        },
      },
    ],
  ] as const
) {
  Deno.test(`Execute hands out and does not cache the result of ${what}`, async () => {
    await using grid = await TestGrid.start();
    const worker = await grid.worker();
    const action = await grid.action("false", finish.action);
    for (let i = 0; i < 2; i++) {
      const followed = grid.execute(action);
      await worker.run(finish.result, finish.more);
      const response = await followed.response();
      assertEquals(response.cachedResult, false);
      assertEquals(response.result?.exitCode ?? 0, "exitCode" in finish.result ? finish.result.exitCode : 0);
      assertEquals(response.status?.code ?? 0, "status" in finish.more ? finish.more.status.code : 0);
    }
  });
}

Deno.test("Execute gives a job to a worker again when the result promises what is not in the store", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  const missing = wire(digestOf(SHA256, encoder.encode("never uploaded")));
  const lease = await worker.lease();
  await worker.finish(lease, { outputFiles: [{ path: "out", digest: missing }] });
  assertEquals((await worker.next()).resultAck, { leaseId: lease.leaseId, accepted: false });
  const again = await worker.lease();
  assertEquals(again.attempt, 2);
  await worker.finish(again, {});
  assertEquals((await followed.response()).status, undefined);
});

Deno.test("Execute merges twins and runs actions that forbid it apart", async () => {
  await using grid = await TestGrid.start();
  const action = await grid.action("true");
  const twins = [grid.execute(action), grid.execute(action)];
  for (const twin of twins) await twin.until("QUEUED");
  const lone = await grid.action("true", { doNotCache: true });
  const alone = [grid.execute(lone), grid.execute(lone)];
  for (const each of alone) await each.until("QUEUED");
  const worker = await grid.worker();
  const leases = [await worker.run(), await worker.run(), await worker.run()];
  for (const each of [...twins, ...alone]) assertEquals((await each.response()).status, undefined);
  const runs = leases.map(({ actionDigest }) => actionDigest?.hash);
  assertEquals(runs, [action.hash, lone.hash, lone.hash]);
});

Deno.test("Execute names missing Actions and Commands in the response's status", async () => {
  await using grid = await TestGrid.start();
  const absent = digestOf(SHA256, encoder.encode("absent"));
  const first = await grid.execute(absent).response();
  assertEquals(first.status?.code, Code.FAILED_PRECONDITION);
  assertEquals(violations(first.status), [`MISSING blobs/${absent.hash}/6`]);
  const action = await grid.put(
    ActionCodec.encode({ commandDigest: wire(absent), inputRootDigest: wire(absent) }),
  );
  const { operation, response } = await grid.execute(action).end;
  assertEquals(violations(response.status), [`MISSING blobs/${absent.hash}/6`]);
  assertEquals(operation.error, undefined);
});

Deno.test("Execute refuses actions that no worker could run", async (t) => {
  await using grid = await TestGrid.start({ maxTimeoutMs: 60_000 });
  const cases: readonly [string, Parameters<TestGrid["action"]>, RegExp][] = [
    ["no arguments", [{ arguments: [] }], /command\.arguments/],
    ["a NUL", [{ arguments: ["a\0b"] }], /command\.arguments/],
    ["a directory above", [{ arguments: ["a"], workingDirectory: "../x" }], /command\.working_directory/],
    ["an absolute output", [{ arguments: ["a"], outputPaths: ["/etc"] }], /command\.output_paths/],
    ["an output above", [{ arguments: ["a"], outputFiles: ["x/../../y"] }], /command\.output_files/],
    ["an odd property", [{ arguments: ["a"], outputNodeProperties: ["color"] }], /output_node_properties/],
    [
      "a variable without name",
      [{ arguments: ["a"], environmentVariables: [{ value: "x" }] }],
      /environment/,
    ],
    ["a long timeout", ["a", { timeout: { seconds: 61 } }], /action\.timeout/],
    ["a negative timeout", ["a", { timeout: { seconds: -1 } }], /action\.timeout/],
    ["no input root", ["a", { inputRootDigest: undefined }], /action\.input_root_digest/],
    ["a bad hash", ["a", { commandDigest: { hash: "xyz", sizeBytes: 1 } }], /action\.command_digest/],
  ];
  for (const [what, args, message] of cases) {
    await t.step(what, async () => {
      const { status } = await grid.execute(await grid.action(...args)).response();
      assertEquals(status?.code, Code.INVALID_ARGUMENT);
      assertMatch(status?.message ?? "", message);
    });
  }
  await t.step("bytes that are no Action", async () => {
    const { status } = await grid.execute(await grid.put(new Uint8Array([0x0a, 0xff]))).response();
    assertEquals(status?.code, Code.INVALID_ARGUMENT);
  });
});

Deno.test("Execute fails the call for requests that are malformed themselves", async () => {
  await using grid = await TestGrid.start();
  const action = await grid.action("true");
  for (
    const request of [
      { actionDigest: undefined },
      { actionDigest: { hash: "abc", sizeBytes: 1 } },
      { actionDigest: { hash: action.hash, sizeBytes: -1 } },
      { digestFunction: 99 },
      { instanceName: "a/blobs/b" },
    ]
  ) {
    const error = await assertRejects(() => grid.execute(action, request).end, BrokkrError);
    assertEquals(error.code, Code.INVALID_ARGUMENT, JSON.stringify(request));
  }
});

Deno.test("Execute takes the platform of the Action before that of the Command", async () => {
  await using grid = await TestGrid.start();
  const properties = (value: string) => ({ properties: [{ name: "OSFamily", value }] });
  const worker = await grid.worker();
  const windows = await grid.action({ arguments: ["a"], platform: properties("windows") });
  const waiting = grid.execute(windows);
  await waiting.until("QUEUED");
  const linux = await grid.action(
    { arguments: ["a"], platform: properties("windows") },
    { platform: properties("linux") },
  );
  const followed = grid.execute(linux);
  assertEquals((await worker.run()).actionDigest, wire(linux));
  await followed.end;
});

Deno.test("Execute refuses more than the queue holds with a hint when to come back", async () => {
  await using grid = await TestGrid.start({ maxQueue: 1 });
  const first = grid.execute(await grid.action("one"));
  await first.until("QUEUED");
  const error = await assertRejects(
    async () => await grid.execute(await grid.action("two")).end,
    BrokkrError,
  );
  assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
  assert((error.retryDelayMs ?? 0) > 0);
});

Deno.test("WaitExecution joins an operation whose stream broke, and knows only what is known", async () => {
  await using grid = await TestGrid.start();
  const first = grid.execute(await grid.action("true"));
  await first.until("QUEUED");
  first.break();
  const second = grid.wait(first.name);
  await second.until("QUEUED");
  const worker = await grid.worker();
  await worker.run();
  assertEquals((await second.response()).status, undefined);
  assertEquals((await grid.wait(first.name).end).operation.done, true);
  const error = await assertRejects(() => grid.wait("operations/9-9-none").end, BrokkrError);
  assertEquals(error.code, Code.NOT_FOUND);
});

Deno.test("An operation that nobody watches is cancelled, and its worker told", async () => {
  await using grid = await TestGrid.start({ unwatchedTtlMs: 100 });
  const worker = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  const lease = await worker.lease();
  followed.break();
  const { cancel } = await worker.next();
  assertEquals(cancel?.leaseId, lease.leaseId);
  assertEquals((await grid.wait(followed.name).response()).status?.code, Code.CANCELLED);
});

Deno.test("Operations are done if and only if they are COMPLETED", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const seen: Operation[] = [];
  const action = await grid.action("true");
  const stream = grid.channel.serverStream(
    (await import("@brokkr/proto")).Execution.execute,
    { instanceName: "main", actionDigest: wire(action) },
  );
  const run = worker.run();
  for await (const operation of stream) seen.push(operation);
  await run;
  for (const operation of seen) assertEquals(operation.done, metadataOf(operation).stage === 4);
  assertEquals(seen.at(-1)?.done, true);
});

Deno.test("Contents put into responses count towards what is remembered of finished operations", async () => {
  await using grid = await TestGrid.start({ schedulerLimits: { maxFinishedBytes: 100_000 } });
  const worker = await grid.worker();
  const stdoutDigest = wire(await grid.put(new Uint8Array(60_000).fill(120)));
  const names: string[] = [];
  for (const program of ["a", "b", "c"]) {
    const followed = grid.execute(await grid.action(program), { inlineStdout: true });
    await worker.run({ stdoutDigest });
    assertEquals((await followed.response()).result?.stdoutRaw.length, 60_000);
    names.push(followed.name);
  }
  assertEquals((await grid.wait(names[2]).response()).result?.stdoutRaw.length, 60_000);
  for (const name of names.slice(0, 2)) {
    const error = await assertRejects(() => grid.wait(name).response(), BrokkrError);
    assertEquals(error.code, Code.NOT_FOUND, name);
  }
});
