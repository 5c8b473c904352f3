import { assertEquals, assertStringIncludes } from "@std/assert";
import { createLogger } from "@brokkr/common";
import { LeaseResult_Outcome as Outcome } from "@brokkr/proto";
import { processesNamed, sh, startTestWorker, TestGrid, until } from "./_test_grid.ts";

Deno.test("Worker says why it gets no leases, as long as it gets none", async () => {
  await using grid = await TestGrid.start();
  await using worker = await startTestWorker(grid);
  const { handle } = worker;
  await handle.ready;
  assertEquals(handle.idleBecause, undefined);
  grid.send({ drain: { reason: "New disk", stay: true } });
  await until("it knows", () => handle.idleBecause !== undefined);
  assertEquals(handle.idleBecause, "Control gives it no leases for now: New disk");
  grid.send({ drain: { reason: "It is in", stay: true, over: true } });
  await until("it knows", () => handle.idleBecause === undefined);
  const mark = `3000.${Deno.pid}1`;
  const lease = grid.lease(sh(`sleep ${mark}`), await grid.tree({}));
  grid.send({ lease });
  await until("it runs", () => processesNamed(mark).length > 0);
  const ending = handle.shutdown({ graceMs: 60_000 });
  assertEquals(handle.idleBecause, "It is about to end and takes no more leases");
  await handle.shutdown({ graceMs: 0 });
  await ending;
  assertEquals(handle.idleBecause, "Control has not taken it in, or is out of reach");
});

Deno.test("Worker's lines on a lease that is cancelled name its trace", async () => {
  const lines: string[] = [];
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid, {
    log: createLogger({ write: (line) => lines.push(line) }),
  });
  const mark = `3000.${Deno.pid}2`;
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const lease = grid.lease(sh(`sleep ${mark}`), await grid.tree({}));
  grid.send({ lease: { ...lease, traceparent: `00-${trace}-b7ad6b7169203331-01` } });
  await until("it runs", () => processesNamed(mark).length > 0);
  grid.send({ cancel: { leaseId: lease.leaseId, reason: "Nobody wants it" } });
  const { result } = await grid.finished(lease.leaseId);
  assertEquals(result.outcome, Outcome.CANCELLED as number);
  assertStringIncludes(lines.find((line) => line.includes("Control cancelled a lease")) ?? "", trace);
});
