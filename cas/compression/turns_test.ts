import { assert, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { CodecTurns } from "./_turns.ts";

/** Works without an end in sight, as a codec does. */
async function work(ms: number, signal: AbortSignal, onTurn: () => void): Promise<void> {
  const turns = new CodecTurns(signal);
  for (;;) {
    if (turns.spent) {
      await turns.next();
      onTurn();
    }
    for (const end = performance.now() + ms; performance.now() < end;);
  }
}

Deno.test("Of codecs that work side by side one goes on in each turn of the event loop, each in its turn", async () => {
  const stop = new AbortController();
  const order: number[] = [];
  const perTurn: number[] = [];
  const done = Array.from({ length: 8 }, (_, i) => work(1, stop.signal, () => order.push(i)));
  for (let turn = 0; turn < 40; turn++) {
    const before = order.length;
    await new Promise<void>((resolve) => setImmediate(resolve));
    perTurn.push(order.length - before);
  }
  stop.abort(new BrokkrError(Code.CANCELLED, "Enough"));
  for (const each of done) await assertRejects(() => each, BrokkrError, "Enough");
  assert(Math.max(...perTurn) <= 2, `${perTurn}`);
  const counts = Array.from({ length: 8 }, (_, i) => order.filter((each) => each === i).length);
  assert(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`);
});

Deno.test("A turn is spent by the work done in it, and the next one begins afresh", async () => {
  const turns = new CodecTurns();
  let fresh = false;
  // A machine that is busy may pause between the two at any time, but not each time.
  for (let attempt = 0; attempt < 1000 && !fresh; attempt++) {
    for (const end = performance.now() + 5; performance.now() < end && !turns.spent;);
    assert(turns.spent);
    await turns.next();
    fresh = !turns.spent;
  }
  assert(fresh);
});
