import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code, ManualClock, systemClock, yieldToEventLoop } from "@brokkr/common";
import type { KeptBlobStore } from "../store_keeper.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { assertHolds, type Blob, MIB, missing, put, rejectsWith, SCOPE, withDir } from "./_disk_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import type { DiskBlobStoreOptions } from "./disk_store_options.ts";

const MINUTE = 60_000;

function noise(size: number, seed: number): Blob {
  const data = new Uint8Array(size);
  // Any bytes that differ from seed to seed do.
  for (let i = 0, state = seed * 2654435761 + 1; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = state >>> 24;
  }
  return { data, digest: digestOf(SHA256, data) };
}

function present(store: KeptBlobStore, blobs: readonly Blob[]): number[] {
  const gone = store.missing(SCOPE, batchOf(SHA256, blobs.map(({ digest }) => digest)), { peek: true });
  assert(gone instanceof Uint32Array);
  const set = new Set(gone);
  return blobs.map((_, i) => i).filter((i) => !set.has(i));
}

const small = (options: DiskBlobStoreOptions = {}): DiskBlobStoreOptions => ({
  clock: new ManualClock(),
  paceMs: 0,
  headroomBytes: 0,
  maxBytes: 8 * MIB,
  ...options,
});

async function settled(store: KeptBlobStore): Promise<void> {
  // One at a time with what the store does by itself: when this is through, that is.
  await store.keeper.collect();
}

Deno.test("what is used lately is copied forward when its segment goes, and outlives a restart and a lost index", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const blobs = Array.from({ length: 120 }, (_, i) => noise(100_000 + i, i));
    const used = blobs.filter((_, i) => i % 10 === 0);
    {
      await using store = await openDiskBlobStore(dir, small({ clock }));
      for (const one of blobs) {
        clock.advance(MINUTE);
        await put(store, one);
        // Read, which promises nothing, but is a use.
        for (const other of used) {
          if (present(store, [other]).length === 1) await store.get(SCOPE, other.digest);
        }
      }
      await settled(store);
      const left = present(store, blobs);
      assert(left.length < 90, `${left.length} are left`);
      assertHoldsOf(left, blobs, used);
      // Of those that nobody read the latest are left.
      const plain = left.filter((i) => i % 10 !== 0);
      assertEquals(plain, blobs.map((_, i) => i).filter((i) => i % 10 !== 0).slice(-plain.length));
      const { diskBytes } = await store.stat();
      assert(diskBytes <= 8 * MIB, `${diskBytes} bytes`);
      const usage = await store.keeper.usage();
      assertEquals(usage.evicted.blobs, blobs.length - left.length);
    }
    for (const lose of [false, true]) {
      if (lose) await Deno.remove(`${dir}/index`, { recursive: true });
      await using store = await openDiskBlobStore(dir, small({ clock }));
      await store.keeper.usage();
      await assertHolds(store, used);
    }
  }));

function assertHoldsOf(left: readonly number[], blobs: readonly Blob[], wanted: readonly Blob[]): void {
  const there = new Set(left.map((i) => blobs[i]));
  for (const one of wanted) assert(there.has(one), `${one.digest.hash} was used and is gone`);
}

Deno.test("large blobs and small ones give way together, those unused for longest first", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    await using store = await openDiskBlobStore(dir, small({ clock, maxBytes: 40 * MIB }));
    const blobs = Array.from({ length: 60 }, (_, i) => noise(i % 2 === 0 ? 2 * MIB : 60_000, i));
    for (const one of blobs) {
      clock.advance(MINUTE);
      await put(store, one);
    }
    await settled(store);
    const left = present(store, blobs);
    const large = left.filter((i) => i % 2 === 0);
    const little = left.filter((i) => i % 2 === 1);
    assertEquals(large, blobs.map((_, i) => i).filter((i) => i % 2 === 0).slice(-large.length));
    assertEquals(little, blobs.map((_, i) => i).filter((i) => i % 2 === 1).slice(-little.length));
    assert(large.length > 10 && large.length < 30 && little.length > 10, `${large.length}, ${little.length}`);
    await assertHolds(store, left.map((i) => blobs[i]));
    const files = await Array.fromAsync(walkFiles(`${dir}/blobs`));
    assertEquals(files.length, large.length);
  }));

async function* walkFiles(dir: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(dir)) {
    if (entry.isDirectory) yield* walkFiles(`${dir}/${entry.name}`);
    else yield entry.name;
  }
}

Deno.test("a store whose limit was lowered gives way as soon as it is open, before anything is written or a timer fires", () =>
  withDir(async (dir) => {
    const blobs = Array.from({ length: 70 }, (_, i) => noise(100_000 + i, i));
    {
      await using store = await openDiskBlobStore(dir, small());
      for (const one of blobs) await put(store, one);
    }
    await using store = await openDiskBlobStore(dir, small({ maxBytes: 2 * MIB }));
    await settled(store);
    const { diskBytes, evicted } = await store.keeper.usage();
    assert(diskBytes <= 2 * MIB && evicted.blobs > 0, `${diskBytes} bytes are left, ${evicted.blobs} went`);
    assert(present(store, blobs).length > 0);
  }));

Deno.test("garbage is compacted: what is stored takes at most 1.2 times its records", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, small({ maxBytes: 400 * MIB, segmentBytes: MIB }));
    const blobs = Array.from({ length: 1500 }, (_, i) => noise(8000, i));
    await Promise.all(blobs.map((one) => put(store, one)));
    const stay = blobs.filter((_, i) => i % 3 === 0);
    for (const [i, { digest }] of blobs.entries()) if (i % 3 !== 0) await store.delete(SCOPE, digest);
    await settled(store);
    assertEquals((await store.keeper.collect({ dryRun: true })).freedBytes < MIB, true);
    const { diskBytes, segments } = await store.stat();
    const records = stay.length * (8000 + 40 + 32);
    // The newest segment may hold some of its own.
    assert(diskBytes < records * 1.2 + MIB, `${diskBytes} bytes in ${segments} segments for ${records}`);
    await assertHolds(store, stay);
    assertEquals(present(store, blobs).length, stay.length);
  }));

Deno.test("readers and writers go on while their blobs are moved under them", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(
      dir,
      { paceMs: 0, headroomBytes: 0, maxBytes: 12 * MIB, cacheBytes: 0, clock: systemClock },
    );
    const promised = Array.from({ length: 200 }, (_, i) => noise(10_000, i));
    for (const one of promised) await put(store, one);
    // They lie between others that go, so they are copied again and again.
    assertEquals(await missing(store, promised), []);
    let reads = 0;
    let done = false;
    const readers = Array.from({ length: 4 }, async (_, lane) => {
      for (let i = lane; !done; i = (i + 7) % promised.length) {
        const { digest, data } = promised[i];
        assertEquals(await store.get(SCOPE, digest), data);
        reads++;
        // Reads answered from the page cache never wait for anything.
        await yieldToEventLoop();
      }
    });
    const writers = Array.from({ length: 4 }, async (_, lane) => {
      for (let i = 0; i < 250; i++) await put(store, noise(20_000, 10_000 + lane * 1000 + i));
    });
    await Promise.all(writers);
    done = true;
    await Promise.all(readers);
    assert(reads > 100);
    const usage = await store.keeper.usage();
    assert(usage.evicted.blobs > 200, `${usage.evicted.blobs} went`);
    assertEquals(usage.brokenPromises.blobs, 0);
    await assertHolds(store, promised);
  }));

Deno.test("a blob that went is remembered with when and why, also by the next process", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const blobs = Array.from({ length: 100 }, (_, i) => noise(100_000, i));
    const deleted = noise(5000, 999);
    let evicted: Digest | undefined;
    const check = async (store: KeptBlobStore) => {
      assert(evicted !== undefined);
      const why = await store.keeper.whyGone(evicted);
      assertEquals(why?.reason, "evicted");
      assertEquals(why?.digest.hash, evicted.hash);
      assert(why?.usedMs !== undefined && why.goneMs > why.usedMs && why.goneMs <= clock.wallMs());
      assertEquals((await store.keeper.whyGone(deleted.digest))?.reason, "deleted");
      assertEquals(await store.keeper.whyGone(noise(1, 1).digest), undefined);
      assert((await store.keeper.logSinceMs?.() ?? 0) > 0);
    };
    {
      await using store = await openDiskBlobStore(dir, small({ clock }));
      await put(store, deleted);
      clock.advance(MINUTE);
      await store.delete(SCOPE, deleted.digest);
      for (const one of blobs) {
        clock.advance(MINUTE);
        await put(store, one);
      }
      await settled(store);
      evicted = blobs[0].digest;
      await check(store);
    }
    await using store = await openDiskBlobStore(dir, small({ clock }));
    await check(store);
  }));

Deno.test("a collection frees down to a target, and leaves what was promised", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    await using store = await openDiskBlobStore(dir, small({ clock, maxBytes: 64 * MIB }));
    const blobs = Array.from({ length: 100 }, (_, i) => noise(100_000, i));
    for (const one of blobs) {
      clock.advance(MINUTE);
      await put(store, one);
    }
    const promised = blobs.slice(10, 20);
    assertEquals(await missing(store, promised), []);
    const dry = await store.keeper.collect({ targetBytes: 5 * MIB, dryRun: true });
    assert(dry.blobs > 40 && dry.blobs < 60, `${dry.blobs} would go`);
    assertEquals(present(store, blobs).length, 100);
    const collected = await store.keeper.collect({ targetBytes: 5 * MIB });
    assert(collected.diskBytes <= 5 * MIB);
    assertEquals(collected.shortfall, undefined);
    await assertHolds(store, promised);
    const all = await store.keeper.collect({ targetBytes: 0 });
    assertStringIncludes(all.shortfall ?? "", "promised");
    assertEquals(present(store, blobs), Array.from({ length: 10 }, (_, i) => i + 10));
  }));

Deno.test("a collection tells the same bytes of blobs that are compressed, before and after", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    await using store = await openDiskBlobStore(dir, small({ clock }));
    for (let i = 0; i < 20; i++) {
      const data = new Uint8Array(100_000).fill(i);
      await put(store, { data, digest: digestOf(SHA256, data) });
      clock.advance(MINUTE);
    }
    const dry = await store.keeper.collect({ targetBytes: 0, dryRun: true });
    assert(dry.bytes < 100_000, `${dry.bytes} bytes would go`);
    const collected = await store.keeper.collect({ targetBytes: 0 });
    assertEquals([collected.blobs, collected.bytes], [20, dry.bytes]);
    assertEquals((await store.keeper.usage()).evicted, { blobs: 20, bytes: dry.bytes });
  }));

Deno.test("what is pinned by hand stays until it is unpinned, and no more can be pinned than the share of pins", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    await using store = await openDiskBlobStore(dir, small({ clock }));
    const blobs = Array.from({ length: 60 }, (_, i) => noise(100_000, i));
    for (const one of blobs) await put(store, one);
    const day = 86_400_000;
    const batch = batchOf(SHA256, blobs.slice(0, 10).map(({ digest }) => digest));
    await store.pin(SCOPE, batch, 30 * day);
    const rest = batchOf(SHA256, blobs.slice(10).map(({ digest }) => digest));
    const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, () => store.pin(SCOPE, rest, 30 * day));
    assertStringIncludes(error.message, "may be pinned");
    clock.advance(day);
    for (let i = 0; i < 100; i++) await put(store, noise(100_000, 500 + i));
    await settled(store);
    await assertHolds(store, blobs.slice(0, 10));
    assertEquals((await store.keeper.usage()).pinned.blobs, 10);
    await store.pin(SCOPE, batch, 0);
    clock.advance(day);
    for (let i = 0; i < 100; i++) await put(store, noise(100_000, 700 + i));
    await settled(store);
    assertEquals(present(store, blobs.slice(0, 10)), []);
  }));
