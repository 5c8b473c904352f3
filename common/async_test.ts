import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { AsyncQueue, BrokkrError, mapLimit, Semaphore } from "./mod.ts";

Deno.test("mapLimit keeps order and never runs more at once than its limit", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 }),
    fc.integer({ min: 1, max: 8 }),
    async (turns, limit) => {
      let running = 0;
      let most = 0;
      const out = await mapLimit(turns, limit, async (n, i) => {
        most = Math.max(most, ++running);
        for (let turn = 0; turn < n; turn++) await Promise.resolve();
        running--;
        return i;
      });
      assertEquals(out, turns.map((_, i) => i));
      if (most > limit) throw new Error(`${most} ran at once`);
    },
  ));
});

Deno.test("mapLimit throws the first failure and starts nothing after it", async () => {
  const started: number[] = [];
  await assertRejects(
    () =>
      mapLimit([0, 1, 2, 3], 1, (n) => {
        started.push(n);
        return n === 1 ? Promise.reject(new Error("second")) : Promise.resolve(n);
      }),
    Error,
    "second",
  );
  assertEquals(started, [0, 1]);
});

Deno.test("AsyncQueue holds a producer back when the consumer is slow", async () => {
  const queue = new AsyncQueue<number>(2);
  let pushed = 0;
  const producer = (async () => {
    for (let i = 0; i < 10; i++) {
      await queue.push(i);
      pushed++;
    }
    queue.close();
  })();
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals(pushed, 2);
  const seen = [];
  for await (const item of queue) seen.push(item);
  await producer;
  assertEquals(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("AsyncQueue hands out what is left before the error it was closed with", async () => {
  const queue = new AsyncQueue<number>(4);
  await queue.push(1);
  queue.close(new BrokkrError(14, "Gone"));
  const seen: number[] = [];
  await assertRejects(
    async () => {
      for await (const item of queue) seen.push(item);
    },
    BrokkrError,
    "Gone",
  );
  assertEquals(seen, [1]);
});

Deno.test("AsyncQueue frees a waiting producer when its consumer stops reading", async () => {
  const queue = new AsyncQueue<number>(1);
  await queue.push(1);
  const waiting = queue.push(2);
  for await (const _item of queue) break;
  // What was pushed before the consumer left is dropped with it; the producer must not hang either way.
  assertEquals(typeof await waiting, "boolean");
  assertEquals(await queue.push(3), false);
});

Deno.test("Semaphore serves waiters in turn and takes a permit back once", async () => {
  const semaphore = new Semaphore(1);
  const first = await semaphore.acquire();
  const order: number[] = [];
  const second = semaphore.acquire().then((permit) => (order.push(2), permit));
  const third = semaphore.acquire().then((permit) => (order.push(3), permit));
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  assertEquals(order, [2, 3]);
});
