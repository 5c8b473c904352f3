import { assertEquals } from "@std/assert";
import { digestOf, SHA256 } from "@brokkr/cas";
import { Code, idTracer, ManualClock, noLog, noMetrics, type OperationName, scopeOf } from "@brokkr/common";
import { Grid } from "./grid.ts";
import { GridMetrics } from "./_grid_metrics.ts";
import { OperationRecord } from "./operation_record.ts";
import { Operations } from "./operations.ts";

for (const watchers of [0, 1, 2, 3]) {
  Deno.test(`Operations hands an operation over with ${watchers} watchers, and it lives as long as one is left`, async () => {
    const clock = new ManualClock();
    const grid = new Grid({
      epoch: 1,
      limits: {},
      clock,
      log: noLog,
      metrics: new GridMetrics(noMetrics),
      settle: () => ({ kind: "fault", why: "nothing runs here" }),
      salvage: () => Promise.resolve(false),
      inline: () => undefined,
      onFleet: () => {},
      onFatal: () => {},
    });
    const operations = new Operations(grid);
    const tracer = idTracer();
    const scope = scopeOf("");
    const digest = digestOf(SHA256, new Uint8Array());
    const record = new OperationRecord({
      name: "operations/1-1-0" as OperationName,
      sequence: 1,
      scope,
      digest,
      inline: { stdout: false, stderr: false, files: [] },
      clientMetadata: undefined,
      client: undefined,
      span: tracer.start("test", undefined),
      tracer,
      log: noLog,
    }, clock);
    operations.begin(record);
    for (let i = 0; i < watchers; i++) operations.watch(record);
    operations.unwatch(record); // The client that began it.
    const bytes = new Uint8Array();
    operations.submit(record, {
      twinKey: undefined,
      platform: [],
      priority: 0,
      timeoutMs: 1000,
      sizeBytes: 0,
      payload: {
        scope,
        digest,
        action: bytes,
        command: bytes,
        timeoutMs: 1000,
        doNotCache: true,
        operation: record.name,
        clientMetadata: undefined,
        traceparent: "",
      },
    });
    for (let left = watchers; left > 0; left--) {
      clock.advance(120_000);
      assertEquals(record.end, undefined);
      operations.unwatch(record);
    }
    clock.advance(61_000);
    assertEquals(record.end?.code, Code.CANCELLED);
    await grid.shutdown(0);
  });
}
