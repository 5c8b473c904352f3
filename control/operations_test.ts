import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { digestOf, SHA256 } from "@brokkr/cas/client";
import { BrokkrError, Code, ManualClock } from "@brokkr/common";
import {
  ExecuteOperationMetadataCodec,
  ExecuteResponseCodec,
  type Init,
  type ListOperationsRequest,
  type Operation,
  Operations,
  RequestMetadataCodec,
} from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { encoder, type Followed, metadataOf, TestGrid, wire } from "./_test_grid.ts";

function responseOf(operation: Operation) {
  return ExecuteResponseCodec.decode(operation.response?.value ?? new Uint8Array());
}

async function codeOf(call: Promise<unknown>): Promise<number> {
  return (await assertRejects(() => call, BrokkrError)).code;
}

function list(grid: TestGrid, request: Init<ListOperationsRequest> = {}) {
  return grid.channel.unary(Operations.listOperations, request);
}

function get(grid: TestGrid, name: string): Promise<Operation> {
  return grid.channel.unary(Operations.getOperation, { name });
}

function cancel(grid: TestGrid, name: string) {
  return grid.channel.unary(Operations.cancelOperation, { name });
}

Deno.test("GetOperation tells each stage with its metadata, and the response once it is done", async () => {
  await using grid = await TestGrid.start();
  const action = await grid.action("true");
  const followed = grid.execute(action);
  await followed.until("QUEUED");
  const queued = await get(grid, followed.name);
  assertEquals([queued.name, queued.done, queued.response], [followed.name, false, undefined]);
  assertEquals(metadataOf(queued).stage, 2);
  assertEquals(metadataOf(queued).actionDigest, wire(action));
  const worker = await grid.worker();
  const lease = await worker.lease();
  await worker.begin(lease);
  await followed.until("EXECUTING");
  const running = metadataOf(await get(grid, followed.name));
  assertEquals([running.stage, running.partialExecutionMetadata?.worker], [3, "w1"]);
  await worker.finish(lease, { exitCode: 3 });
  await followed.end;
  const done = await get(grid, followed.name);
  assertEquals([done.done, done.error, metadataOf(done).stage], [true, undefined, 4]);
  assertEquals(done.response?.typeUrl.split("/")[1], "build.bazel.remote.execution.v2.ExecuteResponse");
  assertEquals(responseOf(done).result?.exitCode, 3);
});

Deno.test("An operation whose client only polls it with GetOperation goes on", async () => {
  const clock = new ManualClock();
  await using grid = await TestGrid.start({ clock });
  const followed = grid.execute(await grid.action("true"));
  await followed.until("QUEUED");
  followed.break();
  // Two minutes; unwatched it lives one.
  for (let i = 0; i < 4; i++) {
    assertEquals((await get(grid, followed.name)).done, false);
    clock.advance(30_000);
  }
  assertEquals((await get(grid, followed.name)).done, false);
  // Whoever lists everything does not wait for anything.
  clock.advance(30_000);
  assertEquals((await list(grid)).operations[0].done, false);
  clock.advance(31_000);
  assertEquals((await list(grid)).operations[0].done, true);
  assertEquals(responseOf(await get(grid, followed.name)).status?.code, Code.CANCELLED);
});

Deno.test("Operations answers NOT_FOUND for names that it does not know, and refuses none at all", async () => {
  await using grid = await TestGrid.start();
  const { channel } = grid;
  for (const name of ["operations/1-1-0000000000000000", "x", "operations/", "a".repeat(5000)]) {
    assertEquals(await codeOf(get(grid, name)), Code.NOT_FOUND, name);
    assertEquals(await codeOf(cancel(grid, name)), Code.NOT_FOUND, name);
    assertEquals(await codeOf(channel.unary(Operations.waitOperation, { name })), Code.NOT_FOUND, name);
  }
  for (const method of [Operations.getOperation, Operations.cancelOperation, Operations.waitOperation]) {
    assertEquals(await codeOf(channel.unary(method, { name: "" })), Code.INVALID_ARGUMENT);
  }
  assertEquals(await codeOf(channel.unary(Operations.deleteOperation, { name: "x" })), Code.UNIMPLEMENTED);
});

Deno.test("CancelOperation ends a waiting operation with CANCELLED for all who follow it", async () => {
  await using grid = await TestGrid.start();
  const followed = grid.execute(await grid.action("true"));
  await followed.until("QUEUED");
  const joined = grid.wait(followed.name);
  await joined.until("QUEUED");
  await cancel(grid, followed.name);
  for (const each of [followed, joined]) {
    const { operation, response } = await each.end;
    assertEquals([operation.done, operation.error, each.stages.at(-1)], [true, undefined, "COMPLETED"]);
    assertEquals(response.status?.code, Code.CANCELLED);
    assertMatch(response.status?.message ?? "", /cancelled by anonymous/);
    assertEquals(response.result, undefined);
  }
  await cancel(grid, followed.name); // Again: nothing happens.
  assertEquals(responseOf(await get(grid, followed.name)).status?.code, Code.CANCELLED);
});

Deno.test("CancelOperation takes a running action from its worker", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  const lease = await worker.lease();
  await worker.begin(lease);
  await followed.until("EXECUTING");
  await cancel(grid, followed.name);
  assertEquals((await worker.next()).cancel?.leaseId, lease.leaseId);
  assertEquals((await followed.response()).status?.code, Code.CANCELLED);
});

Deno.test("CancelOperation leaves an action running that another operation waits for", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const action = await grid.action("true");
  const twins = [grid.execute(action), grid.execute(action)];
  const lease = await worker.lease();
  await worker.begin(lease);
  for (const twin of twins) await twin.until("EXECUTING");
  await cancel(grid, twins[0].name);
  assertEquals((await twins[0].response()).status?.code, Code.CANCELLED);
  assertEquals((await get(grid, twins[1].name)).done, false);
  await worker.finish(lease, { exitCode: 0 });
  // No Cancel before it.
  assertEquals((await worker.next()).resultAck, { leaseId: lease.leaseId, accepted: true });
  assertEquals((await twins[1].response()).status, undefined);
});

Deno.test("CancelOperation leaves finished operations as they are", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const action = await grid.action("true");
  const executed = grid.execute(action);
  await worker.run();
  await executed.end;
  const cached = grid.execute(action);
  await cached.end;
  for (const { name } of [executed, cached]) {
    const before = await get(grid, name);
    await cancel(grid, name);
    assertEquals(await get(grid, name), before);
    assertEquals(responseOf(before).status, undefined);
  }
});

Deno.test("WaitOperation answers at the end, or with how it is when its time is over", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  const lease = await worker.lease();
  await worker.begin(lease);
  await followed.until("EXECUTING");
  const wait = (timeout?: { seconds?: number; nanos?: number }, timeoutMs?: number) =>
    grid.channel.unary(
      Operations.waitOperation,
      { name: followed.name, timeout },
      timeoutMs === undefined ? {} : { timeoutMs },
    );
  assertEquals(await codeOf(wait({ seconds: -1 })), Code.INVALID_ARGUMENT);
  for (const timeout of [{}, { nanos: 20_000_000 }]) {
    const early = await wait(timeout);
    assertEquals([early.done, metadataOf(early).stage], [false, 3]);
  }
  // Without a timeout as long as the call may take; the answer comes before its deadline.
  assertEquals((await wait(undefined, 2000)).done, false);
  const waiting = wait({ seconds: 60 });
  await worker.finish(lease, { exitCode: 5 });
  const late = await waiting;
  assertEquals([late.done, responseOf(late).result?.exitCode], [true, 5]);
  assertEquals((await wait()).done, true);
});

Deno.test("ListOperations lists the newest first, page by page", async () => {
  await using grid = await TestGrid.start();
  assertEquals(await list(grid), { operations: [], nextPageToken: "", unreachable: [] });
  const followed: Followed[] = [];
  for (let i = 0; i < 7; i++) {
    followed.push(grid.execute(await grid.action(`program-${i}`)));
    await followed[i].until("QUEUED");
  }
  const names = followed.map(({ name }) => name).reverse();
  for (const pageSize of [0, 1, 3, 7, 8, 2 ** 31 - 1]) {
    const seen: string[] = [];
    let pageToken = "";
    let pages = 0;
    do {
      const page = await list(grid, { pageSize, pageToken });
      assert(page.operations.length <= (pageSize || 100));
      seen.push(...page.operations.map(({ name }) => name));
      pageToken = page.nextPageToken;
      pages++;
    } while (pageToken !== "");
    assertEquals(seen, names);
    assertEquals(pages, Math.max(1, Math.ceil(7 / (pageSize || 100))));
  }
  // What is begun between two pages is on neither.
  const first = await list(grid, { pageSize: 3 });
  await grid.execute(await grid.action("later")).until("QUEUED");
  const second = await list(grid, { pageSize: 3, pageToken: first.nextPageToken });
  assertEquals(second.operations.map(({ name }) => name), names.slice(3, 6));
  for (const request of [{ pageSize: -1 }, { pageToken: "x" }, { pageToken: "99-1" }, { filter: "x" }]) {
    assertEquals(await codeOf(list(grid, request)), Code.INVALID_ARGUMENT, JSON.stringify(request));
  }
});

Deno.test("ListOperations ends a page where it would not fit a message", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const stdoutDigest = wire(await grid.put(new Uint8Array(3_000_000).fill(120)));
  for (const program of ["a", "b", "c"]) {
    const followed = grid.execute(await grid.action(program), { inlineStdout: true });
    await worker.run({ stdoutDigest });
    await followed.end;
  }
  let pageToken = "";
  let seen = 0;
  do {
    const page = await list(grid, { pageToken });
    for (const operation of page.operations) {
      assertEquals(responseOf(operation).result?.stdoutRaw.length, 3_000_000);
      seen++;
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  assertEquals(seen, 3);
});

Deno.test("ListOperations filters by instance and by what is known of an operation", async (t) => {
  await using grid = await TestGrid.start();
  const metadata = (tool: string, invocation: string) =>
    new Uint8Array(RequestMetadataCodec.encode({
      toolDetails: { toolName: tool, toolVersion: "1" },
      toolInvocationId: invocation,
      correlatedInvocationsId: `${invocation}+`,
      actionMnemonic: "CppCompile",
      targetId: "//a:b c",
    }));
  await using bazel = connect(grid.control.grpcEndpoint, { clientMetadataBytes: metadata("bazel", "inv 1") });
  const { Execution } = await import("@brokkr/proto");
  const absent = digestOf(SHA256, encoder.encode("absent"));
  const actions = [await grid.action("one"), await grid.action("two"), absent];
  const names: string[] = [];
  const streams = [];
  for (
    const [channel, action, instanceName] of [
      [bazel, actions[0], "main"],
      [grid.channel, actions[1], "main"],
      [bazel, actions[2], "other/team"],
    ] as const
  ) {
    const request = { instanceName, actionDigest: wire(action) };
    const stream = channel.serverStream(Execution.execute, request)[Symbol.asyncIterator]();
    streams.push(stream);
    const first = await stream.next();
    names.push(first.done ? "" : first.value.name);
    await stream.next();
  }
  const cases: readonly [Init<ListOperationsRequest>, readonly number[]][] = [
    [{}, [2, 1, 0]],
    [{ name: "operations" }, [2, 1, 0]],
    [{ name: "main" }, [1, 0]],
    [{ name: "main/operations" }, [1, 0]],
    [{ name: "other/team" }, [2]],
    [{ name: "nobody" }, []],
    [{ filter: 'invocation_id="inv 1"' }, [2, 0]],
    [{ filter: 'invocation_id!="inv 1"' }, [1]],
    [{ filter: 'correlated_invocations_id = "inv 1+"' }, [2, 0]],
    [{ filter: 'tool=bazel AND instance=main & target_id="//a:b c"' }, [0]],
    [{ filter: "action_mnemonic=CppCompile", name: "other/team" }, [2]],
    [{ filter: `action=${actions[1].hash}` }, [1]],
    [{ filter: `action=${actions[0].hash}/${actions[0].sizeBytes}` }, [0]],
    [{ filter: "stage=queued" }, [1, 0]],
    [{ filter: "STAGE=Completed" }, [2]],
    [{ filter: "done=false" }, [1, 0]],
    [{ filter: "status=failed_precondition" }, [2]],
    [{ filter: `name=${names[1]}` }, [1]],
    [{ filter: 'worker="" AND cached=false' }, [2, 1, 0]],
  ];
  for (const [request, expected] of cases) {
    await t.step(JSON.stringify(request), async () => {
      const { operations } = await list(grid, request);
      assertEquals(operations.map(({ name }) => names.indexOf(name)), expected);
    });
  }
  const bad = [
    "x",
    "color=red",
    "stage=late",
    "done=maybe",
    "tool=a tool=b",
    "tool=a AND",
    "tool=a & ",
    "AND tool=a",
    'tool="a',
    "tool=a OR tool=b",
    "toString=1",
    "tool=a" + " AND tool=a".repeat(30),
    "x".repeat(20_000),
  ];
  for (const filter of bad) {
    await t.step(`refuses ${filter.slice(0, 50)}`, async () => {
      assertEquals(await codeOf(list(grid, { filter })), Code.INVALID_ARGUMENT);
    });
  }
  await t.step("its answers tell what the client said of itself", async () => {
    const [operation] = (await list(grid, { filter: `name=${names[0]}` })).operations;
    const told = ExecuteOperationMetadataCodec.decode(operation.metadata?.value ?? new Uint8Array());
    const [any] = told.partialExecutionMetadata?.auxiliaryMetadata ?? [];
    assertEquals(any.typeUrl, "type.googleapis.com/build.bazel.remote.execution.v2.RequestMetadata");
    assertEquals(RequestMetadataCodec.decode(any.value).toolInvocationId, "inv 1");
  });
  for (const stream of streams) await stream.return?.();
});

Deno.test("Operations of an earlier run of control are not known, and who waits is told to come again", async () => {
  const dataDir = await Deno.makeTempDir();
  try {
    let name = "";
    {
      await using grid = await TestGrid.start({ dataDir });
      const worker = await grid.worker();
      const followed = grid.execute(await grid.action("true"));
      await worker.run();
      await followed.end;
      ({ name } = followed);
    }
    await using grid = await TestGrid.start({ dataDir });
    await grid.put(encoder.encode("x"));
    assertEquals((await grid.wait(name).response()).status?.code, Code.UNAVAILABLE);
    assertEquals(await codeOf(get(grid, name)), Code.NOT_FOUND);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});
