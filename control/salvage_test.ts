import { assertEquals } from "@std/assert";
import { ManualClock, noLog, noMetrics, type WorkerId, yieldToEventLoop } from "@brokkr/common";
import { ControlMessageCodec, LeaseResultCodec } from "@brokkr/proto";
import { Grid } from "./grid.ts";
import { GridMetrics } from "./_grid_metrics.ts";

Deno.test("Shutdown waits for results of before the start that are being kept, and answers for them", async () => {
  const kept = Promise.withResolvers<boolean>();
  const grid = new Grid({
    epoch: 2,
    limits: {},
    clock: new ManualClock(),
    log: noLog,
    metrics: new GridMetrics(noMetrics),
    settle: () => ({ kind: "fault", why: "nothing runs here" }),
    salvage: () => kept.promise,
    inline: () => undefined,
    onFleet: () => {},
    onFatal: () => {},
  });
  const sent: unknown[] = [];
  const session = grid.openSession({
    send: (message) => {
      const { resultAck, cancel } = ControlMessageCodec.decode(message);
      sent.push(resultAck ?? cancel);
      return true;
    },
    close: () => void sent.push("closed"),
  });
  const worker = "w" as WorkerId;
  const spec = { id: worker, platform: [], slots: 1, environment: "test-1" };
  grid.post({ type: "connect", session, worker: spec, liveLeases: ["1.1"] });
  const result = LeaseResultCodec.decode(LeaseResultCodec.encode({ leaseId: "1.1" }));
  const event = {
    type: "result",
    session,
    worker,
    leaseId: "1.1",
    outcome: "completed",
    why: "",
    result,
  } as const;
  grid.post(event);
  // Sent twice, and named in a heartbeat: it is being kept, and there is nothing to say yet.
  grid.post(event);
  grid.post({ type: "heartbeat", session, worker, leases: ["1.1"] });
  assertEquals(sent, []);
  const ended = grid.shutdown(60_000);
  // What waits for nothing has ended by then.
  await yieldToEventLoop();
  assertEquals(sent, []);
  kept.resolve(true);
  await ended;
  assertEquals(sent, [{ leaseId: "1.1", accepted: true }, "closed"]);
});
