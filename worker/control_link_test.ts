import { setImmediate } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import { BrokkrError, Code, ManualClock, noLog, seededRandom } from "@brokkr/common";
import type { Channel } from "@brokkr/proto/rpc";
import { ControlLink } from "./control_link.ts";
import { LeaseTable } from "./lease_table.ts";

/** The waits between `attempts` of a link to a control whose every stream ends with `code`, in milliseconds. */
async function waits(code: Code, attempts: number): Promise<number[]> {
  const clock = new ManualClock();
  const ended = new AbortController();
  const times: number[] = [];
  const none = () => {};
  const link = new ControlLink({
    connect: () => {
      times.push(clock.monotonicMs());
      if (times.length === attempts) ended.abort();
      const responses = {
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new BrokkrError(code, "Away")) }),
      };
      return {
        bidi: () => ({ send: () => Promise.resolve(true), end: none, cancel: none, responses }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      } as unknown as Channel;
    },
    table: new LeaseTable(1),
    hello: { workerId: "w" },
    load: () => ({}),
    clock,
    random: seededRandom(1),
    log: noLog,
    onWelcome: none,
    onLease: none,
    onCancel: none,
    onAcknowledged: none,
    onDrain: none,
  });
  const run = link.run(ended.signal);
  while (!ended.signal.aborted) {
    await setImmediate(); // whatever it does between two waits
    clock.advance(5);
  }
  await run;
  return times.slice(1).map((time, index) => time - times[index]);
}

Deno.test("Link knocks at least once a second, however long control is away", async () => {
  const found = await waits(Code.UNAVAILABLE, 20);
  assert(found[0] <= 105, `${found[0]} ms after the first attempt`);
  assert(Math.max(...found) < 800, `${found}`);
  assert(Math.min(...found.slice(5)) >= 375, `${found}`);
});

Deno.test("Link waits up to five seconds when control answers and refuses", async () => {
  const found = await waits(Code.FAILED_PRECONDITION, 12);
  assert(Math.max(...found) > 2500 && Math.max(...found) <= 5005, `${found}`);
  assertEquals(found.length, 11);
});
