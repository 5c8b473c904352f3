import { assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, createLogger, ManualClock, parseTraceparent, sleep, systemClock } from "./mod.ts";

Deno.test("ManualClock fires timers in the order of their times, then of their making, also those made on the way", () => {
  const clock = new ManualClock();
  const seen: string[] = [];
  clock.setTimer(20, () => seen.push(`c@${clock.monotonicMs()}`));
  clock.setTimer(10, () => {
    seen.push(`a@${clock.monotonicMs()}`);
    clock.setTimer(5, () => seen.push(`b@${clock.monotonicMs()}`));
  });
  clock.setTimer(20, () => seen.push(`d@${clock.monotonicMs()}`));
  clock.setTimer(20, () => seen.push("never")).cancel();
  clock.advance(20);
  assertEquals(seen, ["a@10", "b@15", "c@20", "d@20"]);
  assertEquals(clock.pendingTimers, 0);
});

Deno.test("sleep ends early with the reason of its signal", async () => {
  const abort = new AbortController();
  const sleeping = sleep(systemClock, 60_000, abort.signal);
  abort.abort(new BrokkrError(1, "Stop"));
  await assertRejects(() => sleeping, BrokkrError, "Stop");
  await assertRejects(() => sleep(systemClock, 1, abort.signal), BrokkrError, "Stop");
});

Deno.test("createLogger writes an error with its cause, and nothing below its level", () => {
  const lines: string[] = [];
  const log = createLogger({
    format: "json",
    level: "warn",
    write: (line) => lines.push(line),
    wallMs: () => 0,
  });
  log.info("Not this");
  log.error("Failed", {
    error: new BrokkrError(5, "No blob", { cause: new Error("ENOENT") }),
    bytes: new Uint8Array(2),
  });
  assertEquals(lines.length, 1);
  const line = JSON.parse(lines[0]);
  assertEquals([line.level, line.error.code, line.error.cause.message, line.bytes], [
    "error",
    "NOT_FOUND",
    "ENOENT",
    "0000",
  ]);
});

Deno.test("parseTraceparent refuses everything that W3C Trace Context refuses", () => {
  const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  assertEquals(parseTraceparent(good)?.sampled, false);
  const bad = [
    "",
    good.toUpperCase(),
    good.replace(/^00/, "ff"),
    good + "-x",
    good.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
    good.replace("b7ad6b7169203331", "0".repeat(16)),
    good.slice(0, -1),
  ];
  for (const header of bad) assertEquals(parseTraceparent(header), undefined, header);
});
