import { assertEquals } from "@std/assert";
import { createLogger, ManualClock } from "@brokkr/common";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { MemoryMetadataStore } from "../metadata/memory_metadata_store.ts";
import { pass } from "./_testing.ts";
import { ActionCache, type SweptResults } from "./action_cache.ts";
import { ActionCacheSweeper, departuresOf } from "./sweeper.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A cache whose sweeps take as long as they are told to, on a clock that is moved by hand. */
class SlowCache extends ActionCache {
  readonly sweptMs: number[] = [];
  readonly clock: ManualClock;
  tookMs = 0;
  failure: Error | undefined;

  constructor(clock: ManualClock) {
    super({ metadata: new MemoryMetadataStore(), blobs: new MemoryBlobStore(1000), clock });
    this.clock = clock;
  }

  override async sweep({ signal }: { signal?: AbortSignal } = {}): Promise<SweptResults> {
    this.sweptMs.push(this.clock.monotonicMs());
    if (this.failure !== undefined) throw this.failure;
    if (this.tookMs > 0) {
      await new Promise<void>((resolve, reject) => {
        this.clock.setTimer(this.tookMs, resolve);
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    }
    return { results: 1, expired: 0, incomplete: 0, damaged: 0 };
  }
}

function setup() {
  const clock = new ManualClock();
  const cache = new SlowCache(clock);
  const state = { departures: 7 };
  const lines: string[] = [];
  const log = createLogger({ level: "info", format: "text", write: (line) => void lines.push(line) });
  const sweeper = new ActionCacheSweeper({ cache, clock, log, departures: () => state.departures });
  const minutes = () => cache.sweptMs.map((ms) => ms / MINUTE_MS);
  return { clock, cache, state, sweeper, minutes, lines };
}

Deno.test("ActionCacheSweeper sweeps soon after the start, then every hour", async () => {
  const { clock, sweeper, minutes } = setup();
  await pass(clock, 4 * HOUR_MS, MINUTE_MS);
  assertEquals(minutes(), [5, 65, 125, 185]);
  await sweeper[Symbol.asyncDispose]();
  await pass(clock, 4 * HOUR_MS, MINUTE_MS);
  assertEquals(minutes().length, 4);
  assertEquals(clock.pendingTimers, 0);
});

Deno.test("ActionCacheSweeper sweeps a minute after blobs went, once for many", async () => {
  const { clock, state, sweeper, minutes } = setup();
  await pass(clock, 10 * MINUTE_MS, MINUTE_MS);
  for (let i = 0; i < 30; i++) {
    state.departures++;
    await pass(clock, 1000);
  }
  await pass(clock, 10 * MINUTE_MS, MINUTE_MS / 2);
  assertEquals(minutes(), [5, 11]);
  await sweeper[Symbol.asyncDispose]();
});

Deno.test("ActionCacheSweeper rests ten times as long as a sweep took, however many blobs go", async () => {
  const { clock, cache, state, sweeper, minutes } = setup();
  cache.tookMs = 3 * MINUTE_MS;
  for (let i = 0; i < 120; i++) {
    state.departures++;
    await pass(clock, MINUTE_MS, MINUTE_MS / 4);
  }
  assertEquals(minutes(), [1, 34, 67, 100]);
  await sweeper[Symbol.asyncDispose]();
});

Deno.test("ActionCacheSweeper sweeps again for what went while it swept", async () => {
  const { clock, cache, state, sweeper, minutes } = setup();
  cache.tookMs = 1000;
  await pass(clock, 5 * MINUTE_MS);
  state.departures++;
  await pass(clock, 5 * MINUTE_MS, 1000);
  assertEquals(minutes(), [5, 7]);
  await sweeper[Symbol.asyncDispose]();
});

Deno.test("ActionCacheSweeper says when a sweep fails, and goes on", async () => {
  const { clock, cache, sweeper, minutes, lines } = setup();
  cache.failure = new Error("the disk is gone");
  await pass(clock, HOUR_MS + 6 * MINUTE_MS, MINUTE_MS);
  assertEquals(minutes(), [5, 65]);
  assertEquals(lines.filter((line) => line.includes("could not be swept")).length, 2);
  await sweeper[Symbol.asyncDispose]();
});

Deno.test("ActionCacheSweeper ends a sweep that is under way", async () => {
  const { clock, cache, sweeper, lines } = setup();
  cache.tookMs = HOUR_MS;
  await pass(clock, 5 * MINUTE_MS);
  assertEquals(cache.sweptMs.length, 1);
  await sweeper[Symbol.asyncDispose]();
  await sweeper.idle();
  assertEquals(lines, []);
});

Deno.test("departuresOf asks the keeper, or the store itself", () => {
  const store = new MemoryBlobStore(1000);
  assertEquals(departuresOf(store), 0);
  assertEquals(departuresOf(Object.assign(new MemoryBlobStore(1), { keeper: { departures: 3 } })), 3);
});
