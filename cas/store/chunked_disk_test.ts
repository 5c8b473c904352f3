// Lists of chunks on disk: what is shared, what goes with what, and what is found again.

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BrokkrError, ByteBudget, Code, ManualClock } from "@brokkr/common";
import { type ActionResult, ActionResultCodec } from "@brokkr/proto";
import { ActionCache } from "../action_cache/mod.ts";
import type { BlobStore, ChunkList } from "../blob_store.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import { MemoryMetadataStore } from "../metadata/memory_metadata_store.ts";
import {
  assertHolds,
  type Blob,
  copyDirectory,
  crashCopy,
  flipByte,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  withDir,
} from "./_disk_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { fsck } from "./fsck.ts";

function noise(length: number, seed: number): Uint8Array {
  const data = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return data;
}

function blobOf(data: Uint8Array): Blob {
  return { data, digest: digestOf(SHA256, data) };
}

/** Puts the chunks of a blob of 3 MB and makes it of them. */
async function splice(store: BlobStore, seed: number): Promise<{ blob: Blob; chunks: Blob[] }> {
  const blob = blobOf(noise(3_000_000, seed));
  const chunks = Array.from(
    { length: 5 },
    (_, i) => blobOf(blob.data.subarray(i * 600_000, (i + 1) * 600_000)),
  );
  for (const chunk of chunks) await put(store, chunk);
  await spliceOf(store, blob, chunks);
  return { blob, chunks };
}

async function spliceOf(store: BlobStore, blob: Blob, chunks: readonly Blob[]): Promise<void> {
  const list = { chunks: batchOf(SHA256, chunks.map(({ digest }) => digest)), chunking: 0 };
  assertEquals(await store.splice?.(SCOPE, blob.digest, list), "kept");
}

async function split(store: BlobStore, digest: Digest): Promise<ChunkList> {
  const list = await store.split?.(SCOPE, digest);
  assert(list !== undefined);
  return list;
}

Deno.test("versions of a blob share their chunks on disk", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const old = blobOf(noise(8_000_000, 1));
    const next = blobOf(
      new Uint8Array([...old.data.subarray(0, 4_000_000), 7, ...old.data.subarray(4_000_000)]),
    );
    await put(store, old);
    await split(store, old.digest);
    const { diskBytes } = await store.stat();
    await put(store, next);
    await split(store, next.digest);
    const stat = await store.stat();
    assertEquals(stat.files, 0);
    assert(stat.diskBytes - diskBytes < 2_500_000, `${stat.diskBytes - diskBytes} bytes more`);
    await assertHolds(store, [old, next]);
  }));

Deno.test("a blob is gone with any of its chunks, and there again when it is made again", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const { blob, chunks } = await splice(store, 2);
    for (const chunk of chunks) {
      assertEquals(await missing(store, [blob]), []);
      assert(await store.delete(SCOPE, chunk.digest));
      assertEquals(await missing(store, [blob, chunk, ...chunks]).then((all) => all.slice(0, 2)), [0, 1]);
      await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, blob.digest));
      await rejectsWith(Code.NOT_FOUND, () => Array.fromAsync(store.read(SCOPE, blob.digest)));
      assertEquals(await store.sizeOf?.(SCOPE, SHA256, blob.digest.hash), undefined);
      assertEquals(await store.split?.(SCOPE, blob.digest), undefined);
      assertEquals(await store.delete(SCOPE, blob.digest), false);
      await put(store, chunk);
      await spliceOf(store, blob, chunks);
      await assertHolds(store, [blob]);
    }
    // Whole, it needs none of them.
    await store.delete(SCOPE, chunks[0].digest);
    await put(store, blob);
    for (const chunk of chunks.slice(1)) await store.delete(SCOPE, chunk.digest);
    await assertHolds(store, [blob]);
  }));

Deno.test("a result whose blob lacks a chunk is incomplete", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const metadata = new MemoryMetadataStore();
    const cache = new ActionCache({ metadata, blobs: store });
    const { blob, chunks } = await splice(store, 3);
    const action = blobOf(noise(10, 4)).digest;
    const { hash, sizeBytes } = blob.digest;
    const result: Partial<ActionResult> = {
      outputFiles: [{
        path: "out",
        digest: { hash, sizeBytes },
        isExecutable: false,
        contents: new Uint8Array(),
      }],
    };
    const bytes = ActionResultCodec.encode(result);
    await cache.update(SCOPE, action, bytes, "test");
    assertEquals((await cache.get(SCOPE, action, "test")).hit, true);
    await store.delete(SCOPE, chunks[3].digest);
    const answer = await cache.get(SCOPE, action, "test");
    assertEquals(answer.hit, false);
    assertEquals(!answer.hit && answer.missing.map((digest) => digest.hash), [hash]);
    const error = await assertRejects(() => cache.update(SCOPE, action, bytes, "test"), BrokkrError);
    assertEquals(error.code, Code.FAILED_PRECONDITION);
  }));

Deno.test("lists are there after a clean stop, a crash, and the loss of the index", () =>
  withDir(async (dir) => {
    const copies: string[] = [];
    const all: Blob[] = [];
    {
      await using store = await openDiskBlobStore(dir);
      for (const seed of [5, 6]) all.push((await splice(store, seed)).blob);
      const file = blobOf(noise(4_000_000, 7));
      await put(store, file);
      await split(store, file.digest);
      all.push(file);
      copies.push(await crashCopy(dir), await crashCopy(dir));
    }
    await Deno.remove(`${copies[1]}/index`, { recursive: true });
    try {
      for (const at of [dir, ...copies]) {
        {
          await using store = await openDiskBlobStore(at);
          await assertHolds(store, all);
          assertEquals((await store.stat()).files, 0);
        }
        // An index that is made anew may not be finished yet.
        const problems = (await fsckOf(at)).findings.filter(({ level, area }) =>
          level === "problem" && area !== "index"
        );
        assertEquals(problems, []);
      }
    } finally {
      for (const copy of copies) await Deno.remove(copy, { recursive: true });
    }
  }));

/** Checks a copy. */
async function fsckOf(dir: string) {
  const copy = `${dir}-fsck`;
  await copyDirectory(dir, copy);
  try {
    return await fsck(copy);
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

Deno.test("whoever reads a file while it is cut into chunks reads it to the end", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const blob = blobOf(noise(6_000_000, 8));
    await put(store, blob);
    const readers = Array.from({ length: 4 }, () => store.read(SCOPE, blob.digest)[Symbol.asyncIterator]());
    const read = readers.map(() => [] as Uint8Array[]);
    for (const [i, reader] of readers.entries()) {
      const next = await reader.next();
      if (next.done !== true) read[i].push(next.value.slice());
    }
    const [list] = await Promise.all([
      split(store, blob.digest),
      // Begun while it is cut, and again and again until it is.
      ...Array.from({ length: 20 }, async () => assertEquals(await store.get(SCOPE, blob.digest), blob.data)),
    ]);
    assert(list.chunks.length > 5);
    for (const [i, reader] of readers.entries()) {
      for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
        read[i].push(next.value.slice());
      }
      assertEquals(digestOf(SHA256, new Uint8Array(read[i].flatMap((piece) => [...piece]))), blob.digest);
    }
    assertEquals((await store.stat()).files, 0);
  }));

Deno.test("where a start finds the file of a blob beside its list the file counts, and a deletion is one of both", () =>
  withDir(async (dir) => {
    const blob = blobOf(noise(3_000_000, 9));
    const path = `${dir}/blobs/sha256/${blob.digest.hash.slice(0, 2)}/${blob.digest.hash}`;
    {
      await using store = await openDiskBlobStore(dir);
      await put(store, blob);
      await Deno.copyFile(path, `${dir}/kept`);
      await split(store, blob.digest);
      assert(await Deno.stat(path).then(() => false, () => true));
    }
    // As a crash would leave it that came before the file was gone.
    await Deno.rename(`${dir}/kept`, path);
    await Deno.remove(`${dir}/CLEAN`);
    {
      await using store = await openDiskBlobStore(dir);
      await assertHolds(store, [blob]);
      assertEquals((await store.stat()).files, 1);
      assert(await store.delete(SCOPE, blob.digest));
      assertEquals(await missing(store, [blob]), [0]);
    }
    await Deno.remove(`${dir}/index`, { recursive: true });
    await using store = await openDiskBlobStore(dir);
    // Whoever asks while it is found again is told to ask later.
    for (let tries = 0; tries < 100; tries++) {
      try {
        assertEquals(await missing(store, [blob]), [0]);
        break;
      } catch (error) {
        if (!(error instanceof BrokkrError) || error.code !== Code.UNAVAILABLE) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }));

Deno.test("a damaged chunk takes its blob with it, and fsck tells of both", () =>
  withDir(async (dir) => {
    let made: { blob: Blob; chunks: Blob[] };
    {
      await using store = await openDiskBlobStore(dir);
      made = await splice(store, 10);
    }
    const [segment] = await segmentPaths(dir);
    const bytes = await Deno.readFile(segment);
    const at = indexOf(bytes, made.chunks[2].data.subarray(1000, 1032));
    await flipByte(segment, at);
    const report = await fsckOf(dir);
    assert(report.findings.some(({ digest }) => digest?.startsWith(made.chunks[2].digest.hash)));
    const finding = report.findings.find(({ digest }) => digest?.startsWith(made.blob.digest.hash));
    assertStringIncludes(finding?.problem ?? "", "1 of its chunks");
    await using store = await openDiskBlobStore(dir);
    const error = await rejectsWith(Code.DATA_LOSS, () => store.get(SCOPE, made.blob.digest));
    assertStringIncludes(error.message, made.blob.digest.hash);
    assertStringIncludes(error.message, made.chunks[2].digest.hash);
    assertEquals(await missing(store, [made.blob, ...made.chunks]), [0, 3]);
    await put(store, made.chunks[2]);
    await spliceOf(store, made.blob, made.chunks);
    await assertHolds(store, [made.blob]);
  }));

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = bytes.indexOf(part[0]); at >= 0; at = bytes.indexOf(part[0], at + 1)) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new Error("It is not there");
}

Deno.test("who is promised a blob, or pins it, keeps its chunks while the store evicts", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    await using store = await openDiskBlobStore(dir, {
      clock,
      maxBytes: 30 * MIB,
      segmentBytes: MIB,
      paceMs: 0,
      headroomBytes: 0,
    });
    const pinned = (await splice(store, 11)).blob;
    await store.pin(SCOPE, batchOf(SHA256, [pinned.digest]), 24 * 3_600_000);
    const promised = (await splice(store, 12)).blob;
    const unused = (await splice(store, 13)).blob;
    // Until nothing is promised any more.
    clock.advance(4 * 3_600_000);
    assertEquals(await missing(store, [promised]), []);
    let stored = 0;
    for (let seed = 20; stored < 80 * MIB; seed++) {
      clock.advance(1000);
      const filler = blobOf(noise(900_000, seed));
      await put(store, filler);
      stored += filler.data.length;
    }
    await assertHolds(store, [pinned, promised]);
    assertEquals(await missing(store, [unused]), [0]);
  }));

Deno.test("a blob that nobody asked for may lose chunks, and counts as missing then", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const options = { clock, maxBytes: 30 * MIB, segmentBytes: MIB, paceMs: 0, headroomBytes: 0 };
    await using store = await openDiskBlobStore(dir, options);
    const made: Awaited<ReturnType<typeof splice>>[] = [];
    for (let seed = 100; seed < 130; seed++) {
      clock.advance(1_200_000);
      made.push(await splice(store, seed));
      for (const { blob, chunks } of made) {
        const [answer] = [await missing(store, [blob])];
        const lacking = await missing(store, chunks);
        // Never the blob without its chunks.
        if (answer.length === 0) assertEquals(lacking, []);
        clock.advance(7_200_000);
      }
    }
    assert((await missing(store, made.map(({ blob }) => blob))).length > 5);
  }));

Deno.test("lists are found in a batch with much else, read again when they are not in memory, and only looked at", () =>
  withDir(async (dir) => {
    const blobs: Blob[] = [];
    {
      await using store = await openDiskBlobStore(dir);
      for (const seed of [14, 15, 16]) blobs.push((await splice(store, seed)).blob);
    }
    await using store = await openDiskBlobStore(dir);
    const absent = blobOf(noise(2_000_000, 17));
    const file = blobOf(noise(2_000_000, 18));
    await put(store, file);
    const all = [absent, blobs[0], file, blobs[1], absent, blobs[2], blobs[1]];
    const batch = batchOf(SHA256, all.map(({ digest }) => digest));
    // The first has to read them.
    const first = store.missing(SCOPE, batch, { peek: true });
    assert(first instanceof Promise);
    assertEquals([...await first], [0, 4]);
    const second = store.missing(SCOPE, batch);
    assert(!(second instanceof Promise));
    assertEquals([...second], [0, 4]);
    const list = await split(store, blobs[1].digest);
    await store.delete(SCOPE, digestAt(list.chunks, 4));
    assertEquals([...await store.missing(SCOPE, batch)], [0, 3, 4, 6]);
  }));

Deno.test("chunks that go while a blob is made of them, and callers who give up, leave no blob without its chunks", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const outcomes: Record<string, number> = {};
    for (let round = 0; round < 40; round++) {
      const blob = blobOf(noise(2_400_000, 1000 + round));
      const chunks = [0, 1, 2, 3].map((i) => blobOf(blob.data.subarray(i * 600_000, (i + 1) * 600_000)));
      for (const chunk of chunks) await put(store, chunk);
      const list = { chunks: batchOf(SHA256, chunks.map(({ digest }) => digest)), chunking: 0 };
      const controller = new AbortController();
      const made = store.splice?.(SCOPE, blob.digest, list, controller.signal).catch((error: unknown) => {
        assert(error instanceof BrokkrError);
        return error.codeName;
      });
      for (let i = 0; i < round % 10; i++) await new Promise((resolve) => setImmediate(resolve));
      const gone = chunks[round % 4];
      if (round % 2 === 0) await store.delete(SCOPE, gone.digest);
      else controller.abort();
      const outcome = await made ?? "none";
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      assert(["kept", "NOT_FOUND", "CANCELLED"].includes(outcome), outcome);
      if (round % 2 === 0) assertEquals(await missing(store, [blob, gone]), [0, 1]);
      else if (outcome === "kept") await assertHolds(store, [blob]);
      else assertEquals(await missing(store, [blob]), [0]);
    }
    assert((outcomes["NOT_FOUND"] ?? 0) > 0 && (outcomes["CANCELLED"] ?? 0) > 0, JSON.stringify(outcomes));
  }));

Deno.test("reading everything again looks at lists, sets a damaged one aside, and leaves its chunks", () =>
  withDir(async (dir) => {
    let made: { blob: Blob; chunks: Blob[] };
    {
      await using store = await openDiskBlobStore(dir, { verifyReads: "always" });
      made = await splice(store, 30);
      const file = blobOf(noise(3_000_000, 31));
      await put(store, file);
      await split(store, file.digest);
      await assertHolds(store, [made.blob, file]);
      for await (const { damaged } of store.keeper.verify()) assertEquals(damaged, []);
    }
    const [segment] = await segmentPaths(dir);
    const bytes = await Deno.readFile(segment);
    // The sizes of five chunks of 600,000 bytes are nowhere but in the list.
    const size = Uint8Array.of(0xc0, 0x27, 0x09, 0);
    await flipByte(segment, indexOf(bytes, new Uint8Array([...size, ...size, ...size])));
    await using store = await openDiskBlobStore(dir);
    const found: string[] = [];
    for await (const { damaged } of store.keeper.verify()) {
      for (const { digest, outcome } of damaged) found.push(`${digest?.hash} ${outcome}`);
    }
    assertEquals(found, [`${made.blob.digest.hash} quarantined`]);
    assertEquals(await missing(store, [made.blob, ...made.chunks]), [0]);
    await spliceOf(store, made.blob, made.chunks);
    await assertHolds(store, [made.blob]);
  }));

Deno.test("readers of lists that stand still leave memory for one that does not", () =>
  withDir(async (dir) => {
    const budget = new ByteBudget(4 * MIB);
    await using store = await openDiskBlobStore(dir, { budget });
    const { blob } = await splice(store, 7);
    const still = Array.from({ length: 40 }, () => store.read(SCOPE, blob.digest)[Symbol.asyncIterator]());
    try {
      const first = await Promise.all(still.map((reader) => reader.next()));
      for (const { value } of first) assert(value !== undefined && value.length > 0);
      assert(budget.availableBytes >= MIB, `${budget.availableBytes} bytes are left`);
      await assertHolds(store, [blob]);
      // And each of them may go on.
      for (const [i, reader] of still.slice(0, 3).entries()) {
        let at = first[i].value?.length ?? 0;
        for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
          assertEquals(next.value, blob.data.subarray(at, at + next.value.length));
          at += next.value.length;
        }
        assertEquals(at, blob.data.length);
      }
    } finally {
      for (const reader of still) await reader.return?.(undefined);
    }
    assertEquals(budget.availableBytes, budget.limitBytes);
  }));
