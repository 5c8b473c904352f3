import { assert, assertEquals } from "@std/assert";
import { TurnShare } from "./_turn_share.ts";

Deno.test("TurnShare lets through in each turn what is left of it, however many wait", async () => {
  const share = new TurnShare(10);
  const through: number[] = [];
  let turn = 0;
  let done = false;
  const count = () => {
    turn++;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(Array.from({ length: 100 }, async () => {
    if (share.isSpent) await share.spendLater(1);
    else share.spend(1);
    through[turn] = (through[turn] ?? 0) + 1;
  }));
  done = true;
  assertEquals(through.reduce((sum, some) => sum + (some ?? 0), 0), 100);
  assert(through.every((some) => some <= 20) && turn >= 9, `${through}`);
});
