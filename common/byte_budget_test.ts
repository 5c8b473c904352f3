import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BrokkrError, ByteBudget, type ByteLease, Code } from "./mod.ts";

Deno.test("ByteBudget refuses a share larger than the whole at once, since waiting would be for ever", async () => {
  const error = await assertRejects(() => new ByteBudget(10).acquire(11), BrokkrError, "exceed the whole");
  assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
});

Deno.test("ByteBudget refuses nonsense sizes", () => {
  for (const size of [-1, 1.5, NaN, Infinity]) {
    assertThrows(() => new ByteBudget(10).tryAcquire(size), BrokkrError, "whole number");
  }
});

Deno.test("ByteBudget serves waiters in turn, so that a large one is not starved by small ones", async () => {
  const budget = new ByteBudget(10);
  const first = await budget.acquire(8);
  const order: string[] = [];
  const large = budget.acquire(9).then((lease) => (order.push("large"), lease));
  const small = budget.acquire(1).then((lease) => (order.push("small"), lease));
  assertEquals(budget.waiters, 2);
  first.release();
  (await large).release();
  (await small).release();
  assertEquals(order, ["large", "small"]);
  assertEquals(budget.availableBytes, 10);
});

Deno.test("ByteBudget lets an aborted waiter go and wakes the one behind it", async () => {
  const budget = new ByteBudget(10);
  const first = await budget.acquire(5);
  const abort = new AbortController();
  const large = budget.acquire(10, abort.signal);
  const small = budget.acquire(5);
  abort.abort(new BrokkrError(Code.CANCELLED, "Gone"));
  await assertRejects(() => large, BrokkrError, "Gone");
  (await small).release();
  first.release();
  assertEquals(budget.usedBytes, 0);
});

Deno.test("ByteBudget refuses more waiters than it was told to keep, with a retry hint", async () => {
  const budget = new ByteBudget(10, 1);
  const held = await budget.acquire(10);
  const waiting = budget.acquire(1);
  const error = await assertRejects(() => budget.acquire(1), BrokkrError, "1 calls wait");
  assertEquals(error.retryDelayMs, 1000);
  held.release();
  (await waiting).release();
});

Deno.test("ByteBudget never gives out more than it has and gets everything back", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.record({ size: fc.integer({ min: 0, max: 20 }), release: fc.boolean() }), { maxLength: 60 }),
    async (steps) => {
      const budget = new ByteBudget(20);
      const held: ByteLease[] = [];
      const waiting: Promise<void>[] = [];
      for (const { size, release } of steps) {
        waiting.push(budget.acquire(size).then((lease) => void held.push(lease)));
        await Promise.resolve();
        if (budget.usedBytes > budget.limitBytes) throw new Error("over the limit");
        if (release) held.shift()?.release();
      }
      while (budget.waiters > 0 || held.length > 0) {
        await Promise.resolve();
        held.shift()?.release();
      }
      await Promise.all(waiting);
      for (const lease of held) lease.release();
      assertEquals(budget.usedBytes, 0);
    },
  ));
});
