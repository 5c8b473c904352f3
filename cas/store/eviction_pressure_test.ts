import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Code, ManualClock } from "@brokkr/common";
import {
  assertHolds,
  type Blob,
  blob,
  crashCopy,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  withDir,
} from "./_disk_testing.ts";
import { FaultyFiles } from "./_faulty_files.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import type { DiskBlobStoreOptions } from "./disk_store_options.ts";
import { systemFiles } from "./file_layer.ts";

function noise(size: number, seed: number): Blob {
  const { data } = blob(size, seed);
  new DataView(data.buffer).setUint32(0, seed);
  return { data, digest: digestOf(SHA256, data) };
}

const tight = (options: DiskBlobStoreOptions = {}): DiskBlobStoreOptions => ({
  clock: new ManualClock(),
  paceMs: 0,
  headroomBytes: 0,
  ...options,
});

Deno.test("a store that is full of promises refuses, and does not copy what it cannot give up", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    let written = 0;
    files.fault = (operation, path) => {
      if (operation === "write" && path.includes("/segments/")) written++;
      return undefined;
    };
    const clock = new ManualClock();
    await using store = await openDiskBlobStore(dir, tight({ files, clock, maxBytes: 8 * MIB }));
    const promised: Blob[] = [];
    for (let i = 0; i < 82; i++) {
      const one = noise(100_000, i);
      await put(store, one);
      promised.push(one);
      assertEquals(await missing(store, [one]), []);
    }
    await store.keeper.collect();
    // It looks again whether something can go.
    clock.advance(10_000);
    written = 0;
    const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, () => put(store, noise(400_000, 1000)));
    assertStringIncludes(error.message, "raise its limit");
    assert(written < 10, `${written} writes to segments`);
    await assertHolds(store, promised);
  }));

Deno.test("writers under way count as blobs: the store makes room for what comes beside them", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, tight({ maxBlobs: 100, maxBytes: 400 * MIB }));
    const blobs = Array.from({ length: 95 }, (_, i) => noise(1000, i));
    for (const one of blobs) await put(store, one);
    const writers = [];
    for (let i = 0; i < 5; i++) writers.push(await store.writer(SCOPE, noise(2 * MIB, 100 + i).digest));
    const more = Array.from({ length: 10 }, (_, i) => noise(1000, 200 + i));
    for (const one of more) await put(store, one);
    await assertHolds(store, more);
    assert((await store.stat()).blobs <= 95);
    for (const writer of writers) await writer.abort();
  }));

Deno.test("who waits for room does not hold up closing", () =>
  withDir(async (dir) => {
    const store = await openDiskBlobStore(dir, tight({ maxBytes: 8 * MIB }));
    const held = await store.writer(SCOPE, noise(5 * MIB, 1).digest);
    for (let i = 2; i < 5; i++) {
      await put(store, noise(900_000, i));
      assertEquals(await missing(store, [noise(900_000, i)]), []);
    }
    // The clock stands still: nobody gives up by himself.
    const failed = rejectsWith(Code.UNAVAILABLE, () => put(store, noise(900_000, 5)));
    await store.stat();
    await store[Symbol.asyncDispose]();
    await failed;
    await held.abort();
  }));

Deno.test("what was used while the clock was ahead counts as used when the store is opened with the right time", () =>
  withDir(async (dir) => {
    const nowMs = 1_700_000_000_000;
    const old = Array.from({ length: 20 }, (_, i) => noise(100_000, i));
    {
      const clock = new ManualClock(nowMs + 4 * 365 * 86_400_000);
      await using store = await openDiskBlobStore(dir, tight({ clock, maxBytes: 8 * MIB }));
      for (const one of old) await put(store, one);
    }
    const clock = new ManualClock(nowMs);
    await using store = await openDiskBlobStore(dir, tight({ clock, maxBytes: 8 * MIB }));
    const more = Array.from({ length: 75 }, (_, i) => noise(100_000, 100 + i));
    for (const one of more) {
      clock.advance(60_000);
      await put(store, one);
    }
    await store.keeper.collect();
    const left = (blobs: readonly Blob[]) =>
      store.missing(SCOPE, batchOf(SHA256, blobs.map(({ digest }) => digest)), { peek: true });
    assert((await left(old)).length > 5, "what was there before stays");
    assertEquals([...await left(more)], []);
  }));

Deno.test("what went is remembered although its log could not be begun at first", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    let full = true;
    files.fault = (operation, path) =>
      full && operation === "makeDirectory" && path.endsWith("/evicted") ? "ENOSPC" : undefined;
    await using store = await openDiskBlobStore(dir, tight({ files, maxBytes: 8 * MIB }));
    const [first, second] = [noise(1000, 1), noise(1000, 2)];
    for (const one of [first, second]) await put(store, one);
    await store.delete(SCOPE, first.digest);
    await assertRejects(() => store.keeper.whyGone(first.digest));
    full = false;
    await store.delete(SCOPE, second.digest);
    assertEquals((await store.keeper.whyGone(second.digest))?.reason, "deleted");
  }));

Deno.test("what was deleted stays deleted after a crash, also when the segment that says so is gone", () =>
  withDir(async (dir) => {
    const options = () => tight({ maxBytes: 4 * MIB, segmentBytes: MIB });
    const [deleted, stays] = [noise(1000, 1), noise(1000, 2)];
    {
      await using store = await openDiskBlobStore(dir, options());
      for (const one of [deleted, stays]) await put(store, one);
    }
    await using store = await openDiskBlobStore(dir, options());
    // Fills the first segment, then the next.
    const filler = Array.from({ length: 26 }, (_, i) => noise(200_000, 100 + i));
    for (const one of filler.slice(0, 6)) await put(store, one);
    await store.delete(SCOPE, deleted.digest);
    // Only the first goes on being needed.
    assertEquals(await missing(store, [stays, ...filler.slice(0, 5)]), []);
    for (const one of filler.slice(6)) await put(store, one);
    // Waits for what the store does by itself.
    await store.keeper.collect({ dryRun: true });
    const segments = await segmentPaths(dir);
    assert(segments[0].endsWith("1.seg") && !segments[1].endsWith("2.seg"), segments.join());
    const copy = await crashCopy(dir);
    try {
      await using after = await openDiskBlobStore(copy, options());
      assertEquals(await missing(after, [stays, deleted]), [1]);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }));
