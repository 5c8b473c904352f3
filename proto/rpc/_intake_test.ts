import { assert, assertEquals } from "@std/assert";
import { Readable } from "node:stream";
import * as fc from "fast-check";
import { ByteBudget, systemClock } from "@brokkr/common";
import { charge, CHARGE_FLOOR_BYTES } from "./_charge.ts";
import { Intake } from "./_intake.ts";

const MAX_BYTES = 1 << 20;

function framed(sizes: readonly number[]): Uint8Array {
  const out = new Uint8Array(sizes.reduce((sum, size) => sum + 5 + size, 0));
  let at = 0;
  for (const size of sizes) {
    new DataView(out.buffer).setUint32(at + 1, size);
    at += 5 + size;
  }
  return out;
}

/** One call as grpc-js has it: takes messages from a stream that is paused whenever one is complete. */
class Call {
  readonly stream = new Readable({ read() {} });
  readonly intake: Intake;
  readonly delivered: number[] = [];
  readonly leased: number[] = [];
  refused: unknown;
  nowMs = 0;
  #queue: number[] = [];
  #pending = false;
  #prefix: number[] = [];
  #left = 0;
  #size = 0;
  #cancelled = false;
  /** Whether its handler wants nothing for now. */
  busy = false;

  constructor(budget: ByteBudget) {
    this.stream.on("data", (data: Uint8Array) => this.#data(data));
    this.stream.pause();
    const room = {
      maxBytes: MAX_BYTES,
      tryCharge: (size: number) => budget.tryAcquire(size),
      charge: (size: number, signal: AbortSignal) =>
        charge(budget, size, { clock: systemClock, limitMs: 60_000, signal }),
      nowMs: () => this.nowMs,
    };
    this.intake = new Intake(this.stream, room, {
      end: (error) => {
        this.refused = error;
        this.intake.close();
      },
    });
  }

  read(): void {
    this.intake.read(this);
  }

  startRead(): void {
    this.#pending = true;
    if (this.#queue.length === 0) this.stream.resume();
    else this.#deliver();
  }

  #data(data: Uint8Array): void {
    for (const byte of data) {
      if (this.#left > 0) {
        this.#left--;
      } else {
        this.#prefix.push(byte);
        if (this.#prefix.length < 5) continue;
        this.#left = this.#size = new DataView(Uint8Array.from(this.#prefix).buffer).getUint32(1);
        this.#prefix = [];
      }
      if (this.#left > 0 || this.#cancelled) continue;
      this.#queue.push(this.#size);
      this.stream.pause();
      queueMicrotask(() => this.#deliver());
    }
  }

  #deliver(): void {
    const size = this.#queue[0];
    if (!this.#pending || size === undefined || this.#cancelled) return;
    this.#pending = false;
    this.#queue.shift();
    const arrived = this.intake.take();
    const done = () => {
      this.leased.push(arrived.lease?.sizeBytes ?? 0);
      this.delivered.push(size);
      arrived.lease?.release();
      if (!this.busy) this.read();
    };
    if (arrived.waiting === undefined) done();
    else void arrived.waiting.then(() => this.#cancelled ? arrived.lease?.release() : done());
  }

  close(): void {
    this.#cancelled = true;
    this.intake.close();
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("Whatever the pieces, the budget and the cancels, all is delivered in order, charged once and given back", async () => {
  const size = fc.oneof(
    fc.nat(20),
    fc.integer({ min: 8000, max: 8400 }),
    fc.integer({ min: 8192, max: 60_000 }),
  );
  const plan = fc.record({
    sizes: fc.array(size, { minLength: 1, maxLength: 6 }),
    cuts: fc.array(fc.integer({ min: 1, max: 40_000 }).map((cut) => cut < 3000 ? cut % 7 + 1 : cut), {
      minLength: 2,
      maxLength: 8,
    }),
    cancelAt: fc.option(fc.nat(20), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(plan, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 60_000, max: 130_000 }),
      fc.boolean(),
      async (plans, budgetBytes, tight) => {
        const budget = new ByteBudget(budgetBytes);
        const other = tight ? budget.tryAcquire(budgetBytes) : undefined;
        const calls = plans.map(({ sizes, cuts, cancelAt }) => {
          const call = new Call(budget);
          call.read();
          const bytes = framed(sizes);
          let at = 0, piece = 0;
          const send = () => {
            const cut = piece < 60 ? cuts[piece % cuts.length] : 40_000;
            piece++;
            if (at < bytes.length) call.stream.push(bytes.subarray(at, at += cut));
            if (piece === cancelAt) call.close();
            return at < bytes.length || (cancelAt !== undefined && piece < cancelAt);
          };
          return { call, sizes, cancelAt, send };
        });
        for (let step = 0, left = true; left; step++) {
          left = false;
          for (const { send } of calls) left = send() || left;
          if (step === 3) other?.release();
          if (step % 2 === 0) await turn();
        }
        other?.release();
        const finished = () =>
          calls.every(({ call, sizes, cancelAt }) =>
            cancelAt !== undefined || call.delivered.length === sizes.length
          );
        for (let i = 0; i < 1000 && !finished(); i++) await turn();
        for (const { call, sizes, cancelAt } of calls) {
          assertEquals(call.refused, undefined);
          if (cancelAt === undefined) assertEquals(call.delivered, sizes);
          assertEquals(
            call.leased,
            call.delivered.map((bytes) => bytes < CHARGE_FLOOR_BYTES ? 0 : bytes),
          );
          call.close();
        }
        await turn();
        assertEquals([budget.usedBytes, budget.waiters], [0, 0]);
      },
    ),
    { numRuns: 100, endOnFailure: true },
  );
});

Deno.test("A call that is over waits for no room", async () => {
  const budget = new ByteBudget(100_000);
  using _all = await budget.acquire(100_000);
  const call = new Call(budget);
  call.read();
  call.stream.push(framed([50_000]).subarray(0, 1000));
  await turn();
  assertEquals([budget.waiters, call.intake.held], [1, true]);
  call.close();
  assertEquals(budget.waiters, 0, "others would wait behind it");
  await turn();
  assertEquals(call.refused, undefined);
});

Deno.test("A message is late only while we read", async () => {
  const budget = new ByteBudget(100_000);
  const call = new Call(budget);
  const bytes = framed([20_000, 20_000]);
  call.read();
  call.busy = true; // with its first message
  call.stream.push(bytes.subarray(0, 30_000));
  await turn();
  assertEquals([call.delivered, call.intake.partial], [[20_000], true]);
  call.nowMs = 60_000;
  assert(!call.intake.tooSlow(60_000), "it is our handler that is slow");
  call.busy = false;
  call.read();
  assert(!call.intake.tooSlow(61_000), "it has been read for a second");
  assert(call.intake.tooSlow(70_000), "nothing came for ten seconds");
  call.stream.push(bytes.subarray(30_000));
  await turn();
  assertEquals(call.delivered, [20_000, 20_000]);
  call.close();
  assertEquals(budget.usedBytes, 0);
});
