import { assertEquals } from "@std/assert";
import { Code, ManualClock } from "@brokkr/common";
import { Patience } from "./_patience.ts";

function spent(patience: Patience, clock: ManualClock, pressed = false): number | undefined {
  return patience.spent(clock.monotonicMs(), pressed)?.code;
}

Deno.test("Patience ends with a peer that stands still for longer than the limit", () => {
  const clock = new ManualClock();
  const patience = new Patience(clock, 60_000);
  assertEquals(spent(patience, clock), undefined);
  patience.begin();
  clock.advance(60_000);
  assertEquals(spent(patience, clock), undefined);
  clock.advance(1);
  assertEquals(spent(patience, clock), Code.DEADLINE_EXCEEDED);
});

Deno.test("Patience counts no time in which the peer is not waited for", () => {
  const clock = new ManualClock();
  const patience = new Patience(clock, 60_000);
  for (let i = 0; i < 5; i++) {
    patience.begin();
    clock.advance(10_000);
    patience.end(1);
    clock.advance(3_600_000);
    assertEquals(spent(patience, clock), undefined);
  }
});

Deno.test("Patience ends with a peer that sends a byte now and then, and not with one that is slow", () => {
  for (const [bytes, ends] of [[1, true], [1100, false]] as const) {
    const clock = new ManualClock();
    const patience = new Patience(clock, 60_000);
    let ended = false;
    for (let i = 0; i < 20 && !ended; i++) {
      patience.begin();
      clock.advance(20_000);
      ended = spent(patience, clock) !== undefined;
      patience.end(bytes);
    }
    assertEquals(ended, ends);
  }
});

Deno.test("Patience is short while others wait for memory", () => {
  const clock = new ManualClock();
  const patience = new Patience(clock, 60_000);
  patience.begin();
  clock.advance(3000);
  assertEquals(spent(patience, clock, true), undefined);
  clock.advance(1);
  assertEquals(spent(patience, clock, true), Code.UNAVAILABLE);
  assertEquals(spent(patience, clock, false), undefined);
  // Fast enough to go on: 3 s, and a second for each 64,000 bytes.
  patience.end(640_000);
  patience.begin();
  clock.advance(2900);
  assertEquals(spent(patience, clock, true), undefined);
  patience.end(2000);
  for (let i = 0; i < 5; i++) {
    patience.begin();
    clock.advance(2900);
    patience.end(2000);
  }
  patience.begin();
  assertEquals(spent(patience, clock, true), Code.UNAVAILABLE);
});
