/** What is bounded, and what those beyond are told; what is left when all have gone. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BrokkrError, Code, ManualClock } from "@brokkr/common";
import { prometheusMetrics } from "@brokkr/common/prometheus";
import { Execution, Operations, RequestMetadataCodec } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import type { SchedulerLimits } from "./scheduler/mod.ts";
import { INSTANCE, TestGrid, wire } from "./_test_grid.ts";

const LIMITS: readonly (readonly [Partial<SchedulerLimits>, RegExp])[] = [
  [{ maxQueued: 1 }, /^The queue is full: 1 actions wait for workers/],
  [{ maxOperations: 1 }, /^1 operations are under way, .*try again soon/],
  [{ maxPlatforms: 1 }, /^Actions for 1 different platforms wait, .*try again soon/],
  [{ maxPayloadBytes: 8000 }, /bytes are held, and \d+ more are beyond the limit of 8000; try again soon/],
];

for (const [limits, words] of LIMITS) {
  Deno.test(`Execute beyond ${JSON.stringify(limits)} is RESOURCE_EXHAUSTED with a time to come again`, async () => {
    await using grid = await TestGrid.start({ schedulerLimits: limits });
    const action = (argument: string, pool: string) => {
      const platform = { properties: [{ name: "Pool", value: pool }] };
      return grid.action({ arguments: [argument], platform });
    };
    const first = grid.execute(await action("first".padEnd(5000, "."), "a"));
    await first.until("QUEUED");
    const second = await action("second".padEnd(5000, "."), "b");
    const error = await assertRejects(() => grid.execute(second).end, BrokkrError);
    assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
    assertMatch(error.message, words);
    assert((error.retryDelayMs ?? 0) > 0);
    // What was refused left nothing, and there is room again when the first has gone.
    await grid.channel.unary(Operations.cancelOperation, { name: first.name });
    const again = grid.execute(second);
    // A platform that was asked for is remembered a while, but gives way.
    await again.until("QUEUED");
    const { operations } = await grid.channel.unary(Operations.listOperations, {});
    assertEquals(operations.map(({ name }) => name), [again.name, first.name]);
  });
}

Deno.test("A worker beyond the limit is RESOURCE_EXHAUSTED with a time to come again", async () => {
  await using grid = await TestGrid.start({ schedulerLimits: { maxWorkers: 1 } });
  await grid.worker({ workerId: "first" });
  const second = await grid.worker({ workerId: "second" });
  const error = await second.ended;
  assert(error instanceof BrokkrError, String(error));
  assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
  assertMatch(error.message, /knows 1 workers already/);
  assert((error.retryDelayMs ?? 0) > 0);
});

Deno.test("Finished operations are forgotten beyond their number, oldest first", async () => {
  await using grid = await TestGrid.start({ schedulerLimits: { maxFinished: 2 } });
  const worker = await grid.worker();
  const names: string[] = [];
  for (const argument of ["a", "b", "c"]) {
    const followed = grid.execute(await grid.action(argument));
    await worker.run();
    await followed.end;
    names.push(followed.name);
  }
  const { operations } = await grid.channel.unary(Operations.listOperations, {});
  assertEquals(operations.map(({ name }) => name), names.slice(1).reverse());
  const error = await assertRejects(() => grid.wait(names[0]).end, BrokkrError);
  assertEquals(error.code, Code.NOT_FOUND);
});

Deno.test("Two thousand streams that wait and are broken off leave nothing, and their operations end in time", async () => {
  const clock = new ManualClock();
  const metrics = prometheusMetrics();
  await using grid = await TestGrid.start({ clock, metrics, heartbeatIntervalMs: 5000 });
  const worker = await grid.worker({ slots: 4 });
  const actions = await Promise.all(Array.from({ length: 10 }, (_, i) => grid.action(`a${i}`)));
  const clientMetadataBytes = RequestMetadataCodec.encode({ toolDetails: { toolName: "many" } });
  const inflight = async () => {
    let sum = 0;
    for (
      const [, value] of (await metrics.expose()).body.matchAll(/^brokkr_rpc_inflight{.*Exec.*} (\d+)$/gm)
    ) {
      sum += Number(value);
    }
    return sum;
  };
  const gone = new AbortController();
  const { signal } = gone;
  const ends: Promise<void>[] = [];
  const firsts: Promise<void>[] = [];
  const names = new Set<string>();
  const follow = (stream: AsyncIterable<{ readonly name: string }>) => {
    const first = Promise.withResolvers<void>();
    firsts.push(first.promise);
    const read = async () => {
      try {
        for await (const { name } of stream) {
          names.add(name);
          first.resolve();
        }
      } finally {
        first.resolve();
      }
    };
    ends.push(read().catch(() => {}));
  };
  const channels = Array.from(
    { length: 20 },
    () => connect(grid.control.grpcEndpoint, { retry: { retries: 0 }, clientMetadataBytes }),
  );
  try {
    for (const [i, channel] of channels.entries()) {
      for (let n = 0; n < 50; n++) {
        const actionDigest = wire(actions[(i + n) % actions.length]);
        const request = { instanceName: INSTANCE, actionDigest };
        follow(channel.serverStream(Execution.execute, request, { signal }));
      }
    }
    await Promise.all(firsts);
    assertEquals(names.size, 1000);
    const known = [...names];
    for (const [i, channel] of channels.entries()) {
      for (let n = 0; n < 50; n++) {
        const name = known[(i * 50 + n) % known.length];
        follow(channel.serverStream(Execution.waitExecution, { name }, { signal }));
      }
    }
    await Promise.all(firsts);
    assertEquals(await inflight(), 2000);
    gone.abort();
    await Promise.all(ends);
    while (await inflight() > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const leases = new Set<string>();
    for (let n = 0; n < 4; n++) leases.add((await worker.lease()).leaseId);
    // Nobody watches for a minute: all are cancelled, and the worker told of those that it has.
    await worker.beat(...leases);
    for (let ms = 0; ms < 62_000; ms += 4000) {
      clock.advance(4000);
      await worker.beat(...leases);
      // A call that is answered after the heartbeat says that control has it.
      await grid.channel.unary(Operations.listOperations, { pageSize: 1 });
    }
    for (let n = 0; n < 4; n++) assert(leases.has((await worker.next()).cancel?.leaseId ?? ""));
    const { operations } = await grid.channel.unary(Operations.listOperations, {
      filter: "status=CANCELLED",
    });
    assert(operations.length > 0);
    const unfinished = await grid.channel.unary(Operations.listOperations, { filter: "done=false" });
    assertEquals(unfinished.operations, []);
    clock.advance(601_000);
    const left = await grid.channel.unary(Operations.listOperations, {});
    assertEquals(left.operations, []);
  } finally {
    for (const channel of channels) await channel.close();
  }
});
