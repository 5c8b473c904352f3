import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BrokkrError, Code, createLogger } from "@brokkr/common";
import { Admin, type Init, LeaseResult_Outcome, type WorkerMessage, Workers } from "@brokkr/proto";
import { TestGrid } from "./_test_grid.ts";

async function refusal(grid: TestGrid, ...messages: readonly Init<WorkerMessage>[]): Promise<BrokkrError> {
  const call = grid.channel.bidi(Workers.connect);
  for (const message of messages) await call.send(message);
  try {
    for await (const _ of call.responses);
  } catch (error) {
    return error as BrokkrError;
  }
  throw new Error("The stream ended without an error");
}

const HELLO = {
  protocolVersion: 1,
  minProtocolVersion: 1,
  workerId: "w",
  slots: 1,
  environment: "test-1",
} as const;

Deno.test("Workers.Connect welcomes a worker with what it must keep to", async () => {
  await using grid = await TestGrid.start({ heartbeatIntervalMs: 2000, leaseTtlMs: 9000 });
  const worker = await grid.worker({ protocolVersion: 7, features: ["unknown"] });
  assertEquals(worker.welcome, {
    protocolVersion: 1,
    features: [],
    heartbeatInterval: { seconds: 2, nanos: 0 },
    leaseTtl: { seconds: 9, nanos: 0 },
    bootEpoch: 1,
  });
});

Deno.test("Workers.Connect refuses what it cannot work with, saying why", async (t) => {
  await using grid = await TestGrid.start();
  const cases: readonly [string, Init<WorkerMessage>, number, RegExp][] = [
    ["no Hello", { heartbeat: {} }, Code.INVALID_ARGUMENT, /must be Hello/],
    [
      "a newer protocol",
      { hello: { ...HELLO, protocolVersion: 3, minProtocolVersion: 2 } },
      Code.FAILED_PRECONDITION,
      /versions 2 to 3 .* control 1 to 1; upgrade control/,
    ],
    [
      "no protocol",
      { hello: { ...HELLO, protocolVersion: 0 } },
      Code.FAILED_PRECONDITION,
      /upgrade the worker/,
    ],
    ["no name", { hello: { ...HELLO, workerId: "" } }, Code.INVALID_ARGUMENT, /worker_id/],
    ["no environment", { hello: { ...HELLO, environment: "" } }, Code.INVALID_ARGUMENT, /environment/],
    ["no slots", { hello: { ...HELLO, slots: 0 } }, Code.INVALID_ARGUMENT, /slots/],
  ];
  for (const [what, message, code, words] of cases) {
    await t.step(what, async () => {
      const error = await refusal(grid, message);
      assertEquals(error.code, code);
      assertMatch(error.message, words);
    });
  }
  await t.step("a second Hello", async () => {
    const error = await refusal(grid, { hello: HELLO }, { hello: HELLO });
    assertEquals(error.code, Code.INVALID_ARGUMENT);
  });
});

Deno.test("A worker that connects again replaces its stream and keeps the leases that it names", async () => {
  await using grid = await TestGrid.start();
  const first = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  const lease = await first.lease();
  const second = await grid.worker({ liveLeases: [lease.leaseId, "1.99"] });
  assertEquals((await first.ended as BrokkrError).code, Code.ABORTED);
  assertEquals((await second.next()).cancel?.leaseId, "1.99");
  await second.finish(lease);
  assertEquals((await second.next()).resultAck, { leaseId: lease.leaseId, accepted: true });
  assertEquals((await followed.response()).status, undefined);
});

Deno.test("A job goes back to the queue when its worker comes back without it, and the late result is refused", async () => {
  await using grid = await TestGrid.start();
  const first = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  const lease = await first.lease();
  await first.begin(lease);
  await followed.until("EXECUTING");
  const second = await grid.worker();
  const again = await second.lease();
  assertEquals(again.attempt, 2);
  assert(again.leaseId !== lease.leaseId);
  await second.finish(lease);
  assertEquals((await second.next()).resultAck, { leaseId: lease.leaseId, accepted: false });
  await second.finish(again);
  await followed.end;
  assertEquals(followed.stages, ["CACHE_CHECK", "QUEUED", "EXECUTING", "QUEUED", "COMPLETED"]);
});

Deno.test("A job goes back to the queue when its worker falls silent", async () => {
  await using grid = await TestGrid.start({ leaseTtlMs: 2000, heartbeatIntervalMs: 500 });
  const first = await grid.worker({ workerId: "silent" });
  const followed = grid.execute(await grid.action("true"));
  await first.begin(await first.lease());
  assertEquals((await first.ended as BrokkrError).code, Code.DEADLINE_EXCEEDED);
  const second = await grid.worker({ workerId: "other" });
  await second.run();
  assertEquals((await followed.response()).status, undefined);
});

Deno.test("Heartbeats renew leases and are answered with Cancel for unknown ones", async () => {
  await using grid = await TestGrid.start({ leaseTtlMs: 2000, heartbeatIntervalMs: 500 });
  const worker = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  const lease = await worker.lease();
  for (let i = 0; i < 8; i++) {
    await worker.beat(lease.leaseId, "0.7");
    assertEquals((await worker.next()).cancel?.leaseId, "0.7");
    // Real time must pass for a lease to expire; this is what the test is about. Far below the lease's life at each step,
    // so that a slow machine passes, and beyond it in all.
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await worker.finish(lease);
  assertEquals((await followed.response()).status, undefined);
});

Deno.test("A worker's failure is the client's answer, and its fault is another worker's work", async () => {
  await using grid = await TestGrid.start();
  const first = await grid.worker({ workerId: "first" });
  const followed = grid.execute(await grid.action("true"));
  const lease = await first.lease();
  const second = await grid.worker({ workerId: "second" });
  await first.finish(lease, {}, {
    outcome: LeaseResult_Outcome.WORKER_FAULT,
    actionResult: new Uint8Array(),
    status: { code: Code.INTERNAL, message: "Cannot make a directory" },
  });
  const again = await second.lease();
  await second.finish(again, {}, {
    outcome: LeaseResult_Outcome.FAILED,
    actionResult: new Uint8Array(),
    status: { code: Code.INVALID_ARGUMENT, message: "No such program" },
  });
  const { status, result } = await followed.response();
  assertEquals(status?.code, Code.INVALID_ARGUMENT);
  assertEquals(status?.message, "No such program");
  assertEquals(result, undefined);
});

Deno.test("Admin tells of the grid, its workers and its actions", async () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => lines.push(line) });
  await using grid = await TestGrid.start({ log });
  const worker = await grid.worker({
    environment: "unsandboxed-1",
    softwareVersion: "1.2",
    resources: { cpuMillis: 4000 },
  });
  assert(lines.some((line) => line.includes("NOTHING ISOLATES")));
  const action = await grid.action("true");
  const followed = grid.execute(action);
  const at = (seconds: number) => ({ seconds: 1000 + seconds, nanos: 0 });
  await worker.run({
    executionMetadata: {
      worker: "w1",
      workerStartTimestamp: at(0),
      inputFetchStartTimestamp: at(0),
      inputFetchCompletedTimestamp: at(1),
      executionStartTimestamp: at(1),
      executionCompletedTimestamp: at(3),
    },
  });
  await followed.end;
  await grid.execute(action).end;
  const windows = await grid.action("dir", {
    platform: { properties: [{ name: "OSFamily", value: "windows" }] },
  });
  const waiting = grid.execute(windows);
  await waiting.until("QUEUED");

  const status = await grid.channel.unary(Admin.getStatus, {});
  assertEquals([status.ready, status.workers, status.slots, status.queued], [true, 1, 1, 1]);
  assertEquals([status.actionsExecuted, status.actionsCached, status.store?.actionResults], [1, 1, 1]);
  assertEquals(status.warnings, [
    "Nothing isolates the actions on w1; run trusted actions only",
    "1 action waits: No connected worker offers OSFamily=windows; offered are linux",
  ]);

  await worker.beat();
  const { workers } = await grid.channel.unary(Admin.listWorkers, {});
  assertEquals(workers.map(({ workerId, connected, completed }) => [workerId, connected, completed]), [[
    "w1",
    true,
    1,
  ]]);
  assertEquals([workers[0].softwareVersion, workers[0].resources?.cpuMillis], ["1.2", 4000]);

  const digest = { hash: action.hash, sizeBytes: action.sizeBytes };
  const { records, cachedResult } = await grid.channel.unary(Admin.getAction, {
    instanceName: "main",
    actionDigest: digest,
  });
  assertEquals(records.map(({ cached, workerId }) => [cached, workerId]), [[true, "w1"], [false, "w1"]]);
  assertEquals(records[1].arguments, ["true"]);
  assertEquals(records[1].operationName, followed.name);
  assertEquals(
    records[1].phases.map(({ name }) => name),
    ["cache check", "queued", "fetch inputs", "execute", "total"],
  );
  // The worker claims more time than there was; what is told adds up all the same.
  const [total, ...parts] = records[1].phases.map(({ duration }) => duration?.nanos ?? 0).reverse();
  assertEquals(parts.reduce((sum, nanos) => sum + nanos, 0), total);
  assertEquals(cachedResult?.executionMetadata?.worker, "w1");
  for (const operationName of [action.hash, action.hash.slice(0, 8)]) {
    const { records: [newest] } = await grid.channel.unary(Admin.getAction, { operationName });
    assertEquals([newest.operationName, newest.actionDigest], [records[0].operationName, digest]);
  }
  const refused: [Parameters<typeof Admin.getAction.request.encode>[0], RegExp][] = [
    [{ actionDigest: digest }, /in instance "", and no result is cached; instance "main" knows it$/],
    [{ operationName: action.hash.slice(0, 7) }, /is not known; "brokk operations list" tells/],
    [{ operationName: action.hash.slice(0, 8), instanceName: "other" }, /is not known/],
  ];
  for (const [request, message] of refused) {
    const error = await assertRejects(() => grid.channel.unary(Admin.getAction, request), BrokkrError);
    assertEquals(error.code, Code.NOT_FOUND);
    assertMatch(error.message, message);
  }
  const one = await grid.channel.unary(Admin.getAction, { operationName: waiting.name });
  assertEquals(
    one.records[0].status?.message,
    "No connected worker offers OSFamily=windows; offered are linux",
  );
});
