import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BrokkrError, Code, ManualClock } from "@brokkr/common";
import type { KeptBlobStore } from "../store_keeper.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { type Blob, MIB, SCOPE, withDir } from "./_disk_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { BUILD_SECONDS } from "./_eviction_plan.ts";

const LIMIT = 4 * MIB;
const PROMISE_MS = 3_600_000;
const KINDS = 150;

/** Blob number `n`: every size from a few bytes to larger than a record. Noise, so that it takes its size on the disk. */
function blobOf(n: number): Blob {
  const size = n % 13 === 0 ? MIB + 1000 + n : 10 + (n * 2371) % 120_000;
  const data = new Uint8Array(size);
  for (let i = 0, state = n; i < size; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    data[i] = state >>> 24;
  }
  new DataView(data.buffer).setUint32(0, n);
  return { data, digest: digestOf(SHA256, data) };
}

const BLOBS = Array.from({ length: KINDS }, (_, n) => blobOf(n));

interface OneStep {
  readonly do: "put" | "read" | "delete";
  readonly n: number;
}

interface ManyStep {
  readonly do: "ask" | "pin";
  readonly from: number;
  readonly count: number;
}

interface WaitStep {
  readonly do: "wait";
  readonly seconds: number;
}

interface StoreStep {
  readonly do: "reopen" | "collect";
}

type Step = OneStep | ManyStep | WaitStep | StoreStep;

const STEP: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant("put" as const), n: fc.nat({ max: KINDS - 1 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), n: fc.nat({ max: KINDS - 1 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), n: fc.nat({ max: KINDS - 1 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("ask" as const, "pin" as const),
      from: fc.nat({ max: KINDS - 1 }),
      count: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      seconds: fc.constantFrom(1, 60, BUILD_SECONDS + 1, PROMISE_MS / 1000 + 100),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("reopen" as const, "collect" as const) }) },
);

/** The simplest store there is: what it was given, and until when it promised to keep it. */
class Model {
  readonly given = new Set<number>();
  /** When each was promised last, in milliseconds of the clock. */
  readonly promised = new Map<number, number>();

  /** What was promised within a build's length; those must be there, whatever happens. */
  kept(nowMs: number): number[] {
    return [...this.promised].filter(([, at]) => nowMs - at <= BUILD_SECONDS * 1000).map(([n]) => n);
  }
}

let evictions = 0;

async function run(steps: readonly Step[], dir: string): Promise<void> {
  const clock = new ManualClock();
  const options = {
    clock,
    paceMs: 0,
    headroomBytes: 0,
    maxBytes: LIMIT,
    promiseMs: PROMISE_MS,
    cacheBytes: 0,
  };
  const model = new Model();
  let store: KeptBlobStore = await openDiskBlobStore(dir, options);
  try {
    for (const step of steps) {
      if (step.do === "reopen") {
        await store[Symbol.asyncDispose]();
        // Promises are those of a process; its successor knows only what was used when.
        model.promised.clear();
        store = await openDiskBlobStore(dir, options);
      } else if ("seconds" in step) clock.advance(step.seconds * 1000);
      else if ("from" in step) await ask(store, step, model, clock);
      else if ("n" in step) await act(store, step, model, clock);
      else await store.keeper.collect();
      await check(store, model, clock);
    }
    evictions += (await store.keeper.usage()).evicted.blobs;
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

async function ask(store: KeptBlobStore, step: ManyStep, model: Model, clock: ManualClock): Promise<void> {
  const asked = Array.from({ length: step.count }, (_, i) => (step.from + i) % KINDS);
  const batch = batchOf(SHA256, asked.map((n) => BLOBS[n].digest));
  const missing = new Set(await store.missing(SCOPE, batch, { peek: step.do === "pin" }));
  if (step.do === "pin") await store.pin(SCOPE, batch, PROMISE_MS);
  for (const [i, n] of asked.entries()) if (!missing.has(i)) model.promised.set(n, clock.monotonicMs());
}

async function act(store: KeptBlobStore, step: OneStep, model: Model, clock: ManualClock): Promise<void> {
  const { digest, data } = BLOBS[step.n];
  try {
    if (step.do === "put") {
      await store.put(SCOPE, digest, data);
      model.given.add(step.n);
      assertEquals(await holds(store, [step.n]), [step.n], "What was just taken is there");
    } else if (step.do === "read") assertEquals(await store.get(SCOPE, digest), data);
    else {
      await store.delete(SCOPE, digest);
      model.promised.delete(step.n);
      model.given.delete(step.n);
      assertEquals(await holds(store, [step.n]), []);
    }
  } catch (error) {
    assert(error instanceof BrokkrError, String(error));
    if (step.do === "put") {
      assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
      // Only who keeps what it promised may refuse.
      const bytes = model.kept(clock.monotonicMs()).reduce(
        (sum, n) => sum + BLOBS[n].data.length,
        data.length,
      );
      assert(bytes > LIMIT * 0.5, `Refused with ${bytes} bytes promised: ${error.message}`);
    } else {
      assertEquals(error.code, Code.NOT_FOUND);
      assertEquals(await holds(store, [step.n]), []);
    }
  }
}

async function holds(store: KeptBlobStore, numbers: readonly number[]): Promise<number[]> {
  const batch = batchOf(SHA256, numbers.map((n) => BLOBS[n].digest));
  const missing = new Set(await store.missing(SCOPE, batch, { peek: true }));
  return numbers.filter((_, i) => !missing.has(i));
}

async function check(store: KeptBlobStore, model: Model, clock: ManualClock): Promise<void> {
  const { diskBytes } = await store.stat();
  // Copies of what stays are made before their segment goes.
  assert(diskBytes <= LIMIT * 1.1, `${diskBytes} bytes on disk`);
  const kept = model.kept(clock.monotonicMs());
  assertEquals(await holds(store, kept), kept, "What was promised a moment ago is there");
  const there = new Set(await holds(store, BLOBS.map((_, n) => n)));
  for (const n of there) assert(model.given.has(n), `${n} is there and was never given`);
  for (const n of model.given) {
    if (!there.has(n)) {
      assert(await store.keeper.whyGone(BLOBS[n].digest) !== undefined, `${n} went without a word`);
    }
  }
  // A read is a use: only of some, or nothing would ever be old.
  for (const n of [...there].slice(-2)) assertEquals(await store.get(SCOPE, BLOBS[n].digest), BLOBS[n].data);
  for (const n of model.promised.keys()) if (!there.has(n)) model.promised.delete(n);
}

Deno.test("a store under its limit keeps what it promised, is never wrong, and knows why the rest is gone", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(STEP, { minLength: 100, maxLength: 250 }),
      (steps) => withDir((dir) => run(steps, dir)),
    ),
    { numRuns: 5, endOnFailure: true },
  );
  assert(evictions > 5, `Only ${evictions} blobs were evicted`);
});
