// How results go, and how they stay.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, ManualClock, noMetrics, type Scope, scopeOf } from "@brokkr/common";
import fc from "fast-check";
import type { DigestBatch, MissingOptions } from "../blob_store.ts";
import type { Digest } from "../digest.ts";
import { SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { openLmdbMetadataStore } from "../metadata/lmdb_store.ts";
import { MemoryMetadataStore } from "../metadata/memory_metadata_store.ts";
import type { MetadataStore } from "../metadata_store.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { RESULT_PREFIX, ResultKeys } from "./_keys.ts";
import { digestOfText, encodeVersion1, pass, putText, resultOf, watchWrites } from "./_testing.ts";
import { ActionCache } from "./action_cache.ts";
import { decodeStoredResult, type StoredResult } from "./stored_result.ts";

const DAY_MS = 86_400_000;
const MAIN = scopeOf("main");
const action = digestOfText("an action");

/** Remembers how it was looked at. */
class WatchedBlobs extends MemoryBlobStore {
  readonly looks: { readonly blobs: number; readonly peek: boolean }[] = [];

  override missing(scope: Scope, batch: DigestBatch, options?: MissingOptions): Uint32Array {
    this.looks.push({ blobs: batch.length, peek: options?.peek === true });
    return super.missing(scope, batch, options);
  }
}

function setup(ttlMs = 30 * DAY_MS, metadata: MetadataStore = new MemoryMetadataStore()) {
  const clock = new ManualClock();
  const blobs = new WatchedBlobs(64 << 20, { clock });
  const dropped: Record<string, number> = {};
  const metrics = {
    ...noMetrics,
    counter: (name: string) => ({
      add: ({ reason }: Readonly<Record<string, string>> = {}) => {
        if (name === "brokkr_action_cache_dropped_total") dropped[reason] = (dropped[reason] ?? 0) + 1;
      },
    }),
  };
  const open = () => new ActionCache({ metadata, blobs, clock, metrics, ttlMs });
  return { metadata, blobs, clock, dropped, open, cache: open(), watched: watchWrites(metadata) };
}

async function hits(cache: ActionCache, which: Digest = action, scope = MAIN): Promise<boolean> {
  return (await cache.get(scope, which, "env")).hit;
}

async function stored(cache: ActionCache): Promise<StoredResult[]> {
  return await Array.fromAsync(cache.entries());
}

Deno.test("a result that is neither stored nor used for its time is not answered, and goes", async () => {
  const { cache, open, clock, dropped } = setup();
  const other = digestOfText("another action");
  await cache.update(MAIN, action, resultOf(), "env");
  await cache.update(MAIN, other, resultOf(), "env");
  clock.advance(20 * DAY_MS);
  assertEquals(await hits(cache), true);
  clock.advance(10 * DAY_MS);
  assertEquals([await hits(cache), await hits(cache, other)], [true, true], "30 days are not over");
  clock.advance(30 * DAY_MS + 1000);
  for (const each of [cache, open()]) {
    assertEquals(await each.get(MAIN, action, "env"), { hit: false, reason: "absent", missing: [] });
  }
  assertEquals(await cache.sweep(), { results: 2, expired: 2, incomplete: 0, damaged: 0 });
  assertEquals([await cache.count(), dropped], [0, { expired: 2 }]);
  await cache.update(MAIN, action, resultOf(), "env");
  assertEquals(await hits(cache), true);
});

Deno.test("a result of the time to live lives on while it is used, and its use survives a restart", async () => {
  const { cache, clock, open } = setup(DAY_MS);
  await cache.update(MAIN, action, resultOf(), "env");
  let current = cache;
  for (let round = 0; round < 20; round++) {
    clock.advance(DAY_MS / 4);
    assertEquals(await hits(current), true);
    await current[Symbol.asyncDispose]();
    assertEquals((await stored(current)).map(({ usedMs }) => usedMs), [clock.wallMs()]);
    current = open();
    assertEquals((await current.sweep()).expired, 0);
  }
  clock.advance(DAY_MS + 1000);
  assertEquals((await current.sweep()).expired, 1);
});

Deno.test("a use is noted once a day, not at once, and many in one go", async () => {
  const { cache, open, clock, watched } = setup();
  const actions = Array.from({ length: 50 }, (_, i) => digestOfText(`action ${i}`));
  for (const each of actions) await cache.update(MAIN, each, resultOf(), "env");
  const updates = watched.writes.length;
  const notes = () => watched.writes.length - updates;
  const caches = [cache, open()];
  const useAll = async () => {
    for (const each of actions) for (let i = 0; i < 3; i++) await hits(caches[i % 2], each);
  };
  clock.advance(DAY_MS - 1000);
  await useAll();
  await pass(clock, 10_000, 1000);
  assertEquals(notes(), 0);
  await useAll();
  assertEquals(notes(), 0, "a lookup writes nothing");
  await pass(clock, 10_000, 1000);
  assertEquals(notes(), 2 * actions.length, "one for each of the two caches");
  await useAll();
  await pass(clock, DAY_MS / 2, DAY_MS / 100);
  await useAll();
  await pass(clock, 10_000, 1000);
  assertEquals(notes(), 2 * actions.length);
  const usedMs = clock.wallMs();
  for (const result of await stored(cache)) {
    assert(result.usedMs !== undefined && result.storedMs !== undefined);
    assert(usedMs - result.usedMs < DAY_MS && usedMs - result.storedMs >= DAY_MS);
  }
});

Deno.test("a sweep drops what promises blobs that are gone, and touches nothing that it looks at", async () => {
  const { cache, blobs, dropped, open } = setup();
  const digests = await Promise.all(Array.from({ length: 30 }, (_, i) => putText(blobs, `blob ${i}`)));
  for (const [i, digest] of digests.entries()) {
    await cache.update(scopeOf(`${i % 3}`), digestOfText(`action ${i}`), resultOf(digest, digests[0]), "env");
  }
  for (let i = 10; i < 30; i += 2) await blobs.delete(MAIN, digests[i]);
  blobs.looks.length = 0;
  blobs.pin = () => Promise.reject(new Error("a sweep pins nothing"));
  assertEquals(await cache.sweep(), { results: 30, expired: 0, incomplete: 10, damaged: 0 });
  assert(blobs.looks.length >= 30 && blobs.looks.every(({ peek }) => peek));
  assertEquals([await cache.count(), dropped], [20, { incomplete: 10 }]);
  for (const each of [cache, open()]) {
    for (let i = 0; i < 30; i++) {
      const hit = await hits(each, digestOfText(`action ${i}`), scopeOf(`${i % 3}`));
      assertEquals(hit, i < 10 || i % 2 === 1);
    }
  }
  assertEquals(await cache.sweep(), { results: 20, expired: 0, incomplete: 0, damaged: 0 });
});

Deno.test("a lookup that finds a result incomplete makes it go a little later, unless its blobs come back", async () => {
  const { cache, blobs, clock, dropped } = setup();
  const digest = await putText(blobs, "soon gone");
  await cache.update(MAIN, action, resultOf(digest), "env");
  await blobs.delete(MAIN, digest);
  assertEquals(await hits(cache), false);
  await putText(blobs, "soon gone");
  await pass(clock, 10_000);
  assertEquals([await hits(cache), await cache.count()], [true, 1]);
  await blobs.delete(MAIN, digest);
  assertEquals(await hits(cache), false);
  assertEquals(await cache.count(), 1);
  await pass(clock, 10_000);
  assertEquals([await cache.count(), dropped], [0, { incomplete: 1 }]);
});

Deno.test("a result that is stored while a sweep is about to drop the one before it stays", async () => {
  const { cache, blobs, watched, open } = setup();
  const digest = await putText(blobs, "soon gone");
  await cache.update(MAIN, action, resultOf(digest), "env");
  await blobs.delete(MAIN, digest);
  // Stored by the same cache at each moment of the sweep, counted in turns of the event loop.
  for (let turns = 0; turns < 12; turns++) {
    const sweep = cache.sweep();
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    const newer = resultOf();
    await Promise.all([sweep, cache.update(MAIN, action, newer, "env")]);
    for (const each of [cache, open()]) assertEquals(await hits(each), true, `after ${turns} turns`);
    await putText(blobs, "soon gone");
    await cache.update(MAIN, action, resultOf(digest), "env");
    await blobs.delete(MAIN, digest);
  }
  // Stored while the write of the sweep is held up.
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  watched.before = () => {
    reached.resolve();
    return held;
  };
  const sweep = cache.sweep();
  await reached.promise;
  watched.before = () => Promise.resolve();
  const update = cache.update(MAIN, action, resultOf(), "env");
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  release();
  assertEquals((await sweep).incomplete, 1);
  await update;
  for (const each of [cache, open()]) assertEquals(await hits(each), true);
});

Deno.test("what a slow lookup read before a change is not kept at hand after it", async () => {
  for (const change of ["update", "delete", "sweep"] as const) {
    const { cache, metadata, blobs } = setup();
    const digest = await putText(blobs, "soon gone");
    await cache.update(MAIN, action, resultOf(digest), "env");
    const held = Promise.withResolvers<void>();
    const slow = {
      bootEpoch: 1,
      get: async (key: Uint8Array) => {
        const value = await metadata.get(key);
        await first;
        return value;
      },
      write: metadata.write.bind(metadata),
      list: metadata.list.bind(metadata),
      count: metadata.count.bind(metadata),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    let first: Promise<void> | undefined = held.promise;
    const other = new ActionCache({ metadata: slow, blobs });
    const lookup = other.get(MAIN, action, "env");
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    first = undefined;
    if (change === "update") await other.update(MAIN, action, resultOf(), "env");
    if (change === "delete") await other.delete(MAIN, action, "env");
    if (change === "sweep") {
      await blobs.delete(MAIN, digest);
      assertEquals((await other.sweep()).incomplete, 1);
      await putText(blobs, "soon gone");
    }
    held.resolve();
    await lookup;
    const answer = await other.get(MAIN, action, "env");
    assertEquals(answer.hit ? answer.bytes : undefined, change === "update" ? resultOf() : undefined);
  }
});

Deno.test("a result whose blobs come back before it is dropped stays", async () => {
  const { cache, blobs } = setup();
  const digest = await putText(blobs, "soon gone");
  await cache.update(MAIN, action, resultOf(digest), "env");
  await blobs.delete(MAIN, digest);
  const missing = blobs.missing.bind(blobs);
  let looks = 0;
  blobs.missing = (...args) => {
    const found = missing(...args);
    // Uploaded again right after the sweep has looked.
    if (looks++ === 0) putText(blobs, "soon gone");
    return found;
  };
  assertEquals((await cache.sweep()).incomplete, 0);
  assertEquals([looks, await cache.count(), await hits(cache)], [2, 1, true]);
});

Deno.test("results of version 1 are answered, say whose they are once used, and expire from the start on", async () => {
  const { cache, metadata, blobs, clock, open } = setup();
  const digest = await putText(blobs, "a file");
  const keys = new ResultKeys();
  const bytes = resultOf(digest);
  const old = encodeVersion1(bytes, batchOf(SHA256, [digest]));
  const unused = digestOfText("never asked for");
  await metadata.write([
    { op: "put", key: keys.of(MAIN, action, "env"), value: old },
    { op: "put", key: keys.of(MAIN, unused, "env"), value: old },
  ]);
  assertEquals((await cache.sweep()).expired, 0);
  const origins = async () => (await stored(cache)).map(({ origin }) => origin);
  assertEquals(await origins(), [undefined, undefined]);
  clock.advance(29 * DAY_MS);
  const answer = await cache.get(MAIN, action, "env");
  assert(answer.hit);
  assertEquals(answer.bytes, bytes);
  await pass(clock, 10_000);
  const [used] = (await stored(cache)).filter(({ origin }) => origin !== undefined);
  assertEquals([used.origin, used.action], [{ scope: MAIN, environment: "env" }, action]);
  clock.advance(DAY_MS);
  // Another start does not begin anew.
  const later = open();
  assertEquals(await later.sweep(), { results: 2, expired: 1, incomplete: 0, damaged: 0 });
  assertEquals([await hits(later), await hits(later, unused)], [true, false]);
});

Deno.test("a damaged record is a miss, and goes; one of a later version stays", async () => {
  const { cache, metadata, clock, open, dropped } = setup();
  const keys = new ResultKeys();
  const [flipped, cut, later, elsewhere] = ["a", "b", "c", "d"].map(digestOfText);
  for (const each of [flipped, cut, later, elsewhere]) await cache.update(MAIN, each, resultOf(), "env");
  const change = async (which: Digest, change: (value: Uint8Array) => Uint8Array) => {
    const key = keys.of(MAIN, which, "env");
    const value = await metadata.get(key);
    assert(value !== undefined);
    await metadata.write([{ op: "put", key, value: change(value) }]);
  };
  const first = (byte: number) => (value: Uint8Array) => new Uint8Array([byte, ...value.subarray(1)]);
  await change(flipped, first(0));
  await change(cut, (value) => value.subarray(0, -1));
  await change(later, first(3));
  const moved = await metadata.get(keys.of(MAIN, elsewhere, "env"));
  assert(moved !== undefined);
  await metadata.write([{ op: "put", key: keys.of(MAIN, action, "env"), value: moved }]);
  const fresh = open();
  assertEquals([await hits(fresh, flipped), await hits(fresh, cut)], [false, false]);
  await assertRejects(async () => await hits(fresh, later), BrokkrError, "version 3");
  assertEquals((await stored(fresh)).length, 1);
  await pass(clock, 10_000);
  assertEquals(dropped, { damaged: 2 });
  assertEquals(await fresh.sweep(), { results: 3, expired: 0, incomplete: 0, damaged: 1 });
  assertEquals(await fresh.count(), 2);
});

Deno.test("a sweep drops nothing when the store cannot be asked", async () => {
  const { cache, blobs } = setup();
  const digest = await putText(blobs, "a file");
  await cache.update(MAIN, action, resultOf(digest), "env");
  const missing = blobs.missing.bind(blobs);
  blobs.missing = () => {
    throw new BrokkrError(14, "The blob store is closed");
  };
  await assertRejects(() => cache.sweep(), BrokkrError, "closed");
  blobs.missing = missing;
  assertEquals([await cache.count(), await hits(cache)], [1, true]);
});

Deno.test("a sweep can be stopped", async () => {
  const { cache } = setup();
  for (let i = 0; i < 600; i++) await cache.update(MAIN, digestOfText(`${i}`), resultOf(), "env");
  await assertRejects(() => cache.sweep({ signal: AbortSignal.abort() }), BrokkrError);
  const controller = new AbortController();
  const walk = cache.entries(controller.signal);
  assert(!(await walk.next()).done);
  controller.abort();
  await assertRejects(async () => {
    while (!(await walk.next()).done);
  }, BrokkrError);
});

Deno.test("usage counts by instance and environment", async () => {
  const { cache, blobs, clock, metadata } = setup();
  const small = await putText(blobs, "12345"), large = await putText(blobs, "x".repeat(1000));
  const startMs = clock.wallMs();
  for (let i = 0; i < 5; i++) {
    await cache.update(scopeOf("a"), digestOfText(`${i}`), resultOf(small, large), "env");
  }
  clock.advance(1000);
  await cache.update(scopeOf("a"), action, resultOf(small), "env");
  await cache.update(scopeOf(""), action, resultOf(small), "client");
  await cache.update({ ...scopeOf(""), tenant: "t", lane: "l" }, action, resultOf(), "env");
  const old = encodeVersion1(resultOf(), batchOf(SHA256, []));
  await metadata.write([{ op: "put", key: new ResultKeys().of(MAIN, action, "old"), value: old }]);
  const all = await cache.usage();
  let bytes = 0;
  for (const { key, value } of await metadata.list({ prefix: RESULT_PREFIX, limit: 100 })) {
    bytes += key.length + value.length;
    assertEquals(decodeStoredResult(key, value).storedBytes, key.length + value.length);
  }
  assertEquals(all.reduce((sum, group) => sum + group.bytes, 0), bytes);
  const usage = all.map(({ bytes: _, ...group }) => group);
  const none = { tenant: "", lane: "", results: 1, blobs: 0, blobBytes: 0 };
  const once = (ms: number) => ({ oldestUseMs: ms, latestUseMs: ms });
  assertEquals(usage, [
    {
      ...none,
      instance: "a",
      environment: "env",
      results: 6,
      blobs: 11,
      blobBytes: 5 * 1005 + 5,
      oldestUseMs: startMs,
      latestUseMs: startMs + 1000,
    },
    { ...none, instance: "", environment: "client", blobs: 1, blobBytes: 5, ...once(startMs + 1000) },
    { ...none, instance: "", tenant: "t", lane: "l", environment: "env", ...once(startMs + 1000) },
    { ...none, instance: undefined, environment: undefined, oldestUseMs: undefined, latestUseMs: undefined },
  ]);
});

Deno.test("results are answered, kept and dropped as a simple model says, whatever comes in whatever order", async () => {
  const names = ["a", "b"];
  const blob = fc.constantFrom(...names);
  const kinds = ["put", "delete", "update", "get", "get", "sweep", "flush", "days"] as const;
  const steps = fc.array(fc.record({ kind: fc.constantFrom(...kinds), blob }), {
    minLength: 20,
    maxLength: 80,
  });
  const reached = { hit: 0, dropped: 0, back: 0, expired: 0 };
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { cache, blobs, clock } = setup(7 * DAY_MS);
      const there = new Set<string>();
      /** What is stored, and when it was stored or used last. */
      const model = new Map<string, number>();
      /** What lookups found unfit, and whether none has used it since. */
      const suspects = new Map<string, boolean>();
      const expired = (name: string) => clock.monotonicMs() - (model.get(name) ?? 0) > 7 * DAY_MS;
      const unfit = (name: string) => !there.has(name) || expired(name);
      const afterFlush = async () => {
        const left = await stored(cache);
        for (const name of [...model.keys()]) {
          const stays = left.some(({ action }) => action.hash === digestOfText(`action on ${name}`).hash);
          if (suspects.get(name) === true) assertEquals(stays, !unfit(name));
          else if (!stays) assert(suspects.has(name) && unfit(name));
          if (!stays) model.delete(name);
          else if (suspects.has(name)) reached.back++;
        }
        assertEquals(left.length, model.size);
        suspects.clear();
      };
      for (const { kind, blob } of all) {
        const which = digestOfText(`action on ${blob}`);
        if (kind === "put") {
          await putText(blobs, blob);
          there.add(blob);
        } else if (kind === "delete") {
          await blobs.delete(MAIN, digestOfText(blob));
          there.delete(blob);
        } else if (kind === "update" && there.has(blob)) {
          await cache.update(MAIN, which, resultOf(digestOfText(blob)), "env");
          model.set(blob, clock.monotonicMs());
        } else if (kind === "get") {
          const fit = model.has(blob) && !expired(blob) && there.has(blob);
          if (model.has(blob) && expired(blob)) reached.expired++;
          assertEquals(await hits(cache, which), fit);
          if (fit) model.set(blob, clock.monotonicMs());
          if (fit) reached.hit++;
          if (fit && suspects.has(blob)) suspects.set(blob, false);
          if (!fit && model.has(blob)) suspects.set(blob, true);
        } else if (kind === "sweep") {
          await cache.sweep();
          for (const name of names) if (unfit(name) && model.delete(name)) reached.dropped++;
          assertEquals(await cache.count(), model.size);
        } else if (kind === "flush" || kind === "days") {
          await pass(clock, 5000);
          await afterFlush();
          if (kind === "days") clock.advance(3 * DAY_MS);
        }
      }
    }),
    { numRuns: 400 },
  );
  for (const [what, count] of Object.entries(reached)) assert(count > 0, `never reached: ${what}`);
});

Deno.test("a sweep of 20,000 results on disk holds nothing up", async () => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-sweep-" });
  try {
    await using metadata = await openLmdbMetadataStore(dir);
    const { cache, blobs } = setup(30 * DAY_MS, metadata);
    const [kept, gone] = [await putText(blobs, "kept"), await putText(blobs, "gone")];
    const count = 20_000;
    for (let from = 0; from < count; from += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_, i) => {
        const digests = (from + i) % 2 === 0 ? [kept] : [kept, gone];
        return cache.update(MAIN, digestOfText(`${from + i}`), resultOf(...digests), "env");
      }));
    }
    await blobs.delete(MAIN, gone);
    let done = false;
    const sweep = cache.sweep().finally(() => done = true);
    let turns = 0;
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    assertEquals(await sweep, { results: count, expired: 0, incomplete: count / 2, damaged: 0 });
    assertEquals(await cache.count(), count / 2);
    assert(turns > 100, `${turns} turns of the event loop`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
