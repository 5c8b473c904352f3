// One table of cases for every leaf.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code, scopeOf } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, digestOf, type HashHex, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { MemoryBlobStore } from "./memory_store.ts";

const SCOPE = scopeOf("");
const MIB = 1 << 20;

interface Kind {
  readonly name: string;
  open(dir: string): Promise<BlobStore>;
  /** Whether blobs can be compressed. */
  readonly text?: boolean;
}

const KINDS: readonly Kind[] = [
  {
    name: "MemoryBlobStore",
    open: () => Promise.resolve(new MemoryBlobStore(80 * MIB, { maxBlobBytes: 64 * MIB })),
  },
  { name: "DiskBlobStore", open: (dir) => openDiskBlobStore(dir, { maxBlobBytes: 64 * MIB }) },
  {
    name: "DiskBlobStore that compresses",
    open: (dir) => openDiskBlobStore(dir, { maxBlobBytes: 64 * MIB, cacheBytes: 1 }),
    text: true,
  },
  {
    name: "DiskBlobStore that compresses nothing",
    open: (dir) => openDiskBlobStore(dir, { maxBlobBytes: 64 * MIB, compression: "off" }),
    text: true,
  },
];
/** How many bits of each byte of a blob differ. */
let bits = 8;

/** Bytes that differ for each seed and do not repeat; where text is wanted they can be compressed. */
function blob(size: number, seed = 1): Uint8Array {
  const data = new Uint8Array(size);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < size; i++) {
    state = Math.imul(state, 1664525) + 1013904223;
    data[i] = state >>> (32 - bits);
  }
  return data;
}

async function missing(store: BlobStore, ...digests: Digest[]): Promise<number[]> {
  return [...await store.missing(SCOPE, batchOf(SHA256, digests))];
}

async function readAll(
  store: BlobStore,
  digest: Digest,
  range?: { offset?: number; limit?: number },
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.read(SCOPE, digest, range)) {
    assert(piece.length > 0 && piece.length <= MIB);
    pieces.push(piece.slice());
  }
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function writeInChunks(
  store: BlobStore,
  digest: Digest,
  data: Uint8Array,
  chunk: number,
): Promise<void> {
  await using writer = await store.writer(SCOPE, digest);
  const reused = new Uint8Array(chunk);
  for (let at = 0; at < data.length; at += chunk) {
    const part = data.subarray(at, at + chunk);
    reused.set(part);
    await writer.write(reused.subarray(0, part.length));
    reused.fill(0xee);
    assertEquals(writer.writtenBytes, Math.min(data.length, at + chunk));
  }
  await writer.commit();
}

async function rejectsWith(code: Code, run: () => Promise<unknown>): Promise<BrokkrError> {
  const error = await assertRejects(run, BrokkrError);
  assertEquals(error.codeName, new BrokkrError(code, "").codeName, error.message);
  return error;
}

const SIZES = [1, 7, 4096, MIB - 1, MIB, MIB + 1, 3 * MIB + 5];

const CASES: { readonly name: string; run(store: BlobStore): Promise<void> }[] = [
  {
    name: "always holds the empty blob",
    async run(store) {
      const empty = digestOf(SHA256, new Uint8Array(0));
      assertEquals(await missing(store, empty), []);
      assertEquals(await store.get(SCOPE, empty), new Uint8Array(0));
      assertEquals(await readAll(store, empty), new Uint8Array(0));
      await store.put(SCOPE, empty, new Uint8Array(0));
      {
        await using writer = await store.writer(SCOPE, empty);
        await writer.commit();
      }
      assertEquals(await store.delete(SCOPE, empty), false);
      assertEquals((await store.stat()).blobs, 0);
      await rejectsWith(Code.OUT_OF_RANGE, () => readAll(store, empty, { offset: 1 }));
    },
  },
  {
    name: "treats a digest of size 0 that is not the empty blob's as missing",
    async run(store) {
      const wrong = { ...digestOf(SHA256, blob(3)), sizeBytes: 0 };
      assertEquals(await missing(store, wrong), [0]);
      await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, wrong));
      await rejectsWith(Code.INVALID_ARGUMENT, () => store.put(SCOPE, wrong, new Uint8Array(0)));
      await rejectsWith(Code.INVALID_ARGUMENT, async () => {
        await using writer = await store.writer(SCOPE, wrong);
        await writer.commit();
      });
    },
  },
  {
    name: "tells the size of what is there by its hash",
    async run(store) {
      const sizeOf = async (hash: string) => await store.sizeOf?.(SCOPE, SHA256, hash);
      assertEquals(await sizeOf(digestOf(SHA256, new Uint8Array(0)).hash), 0);
      for (const size of [1, MIB + 1]) {
        const data = blob(size, 3);
        const digest = digestOf(SHA256, data);
        assertEquals(await sizeOf(digest.hash), undefined);
        await store.put(SCOPE, digest, data);
        assertEquals(await sizeOf(digest.hash), size);
        await store.delete(SCOPE, digest);
        assertEquals(await sizeOf(digest.hash), undefined);
      }
    },
  },
  {
    name: "hands out what was put, around the size where files begin",
    async run(store) {
      for (const size of SIZES) {
        const data = blob(size, size);
        const digest = digestOf(SHA256, data);
        assertEquals(await missing(store, digest), [0]);
        await store.put(SCOPE, digest, data);
        assertEquals(await missing(store, digest), []);
        assertEquals(await store.get(SCOPE, digest), data);
        assertEquals(await readAll(store, digest), data);
        await store.put(SCOPE, digest, data);
      }
      const stat = await store.stat();
      assertEquals(stat.blobs, SIZES.length);
      assertEquals(stat.bytes, SIZES.reduce((sum, size) => sum + size, 0));
      assert(stat.freeBytes > 0);
    },
  },
  {
    name: "hands out what was written in chunks of any size, also reused ones",
    async run(store) {
      const data = blob(2 * MIB + 300_001, 9);
      for (
        const [chunk, size] of [[1, 100], [1000, 70_000], [16_384, data.length], [200_000, data.length - 1], [
          MIB,
          data.length - 2,
        ], [data.length, data.length - 3]]
      ) {
        const part = data.subarray(0, size);
        const digest = digestOf(SHA256, part);
        await writeInChunks(store, digest, part, chunk);
        assertEquals(await missing(store, digest), []);
        assertEquals(await readAll(store, digest), part);
      }
    },
  },
  {
    name: "reads ranges, an empty one at the end, and none beyond it",
    async run(store) {
      for (const size of [10, MIB, 3 * MIB + 5]) {
        const data = blob(size, 3);
        const digest = digestOf(SHA256, data);
        await store.put(SCOPE, digest, data);
        for (
          const [offset, limit] of [
            [0, 1],
            [0, size],
            [1, undefined],
            [size - 1, 5],
            [size, undefined],
            [size, 9],
            [
              5,
              0,
            ],
            [3, size / 2 | 0],
            [Math.min(size, MIB - 1), 2],
          ]
        ) {
          assertEquals(
            await readAll(store, digest, { offset, limit }),
            data.subarray(offset, limit === undefined ? undefined : (offset ?? 0) + limit),
          );
        }
        for (const offset of [size + 1, -1, 0.5, NaN]) {
          await rejectsWith(Code.OUT_OF_RANGE, () => readAll(store, digest, { offset }));
        }
        await rejectsWith(Code.INVALID_ARGUMENT, () => readAll(store, digest, { limit: -1 }));
      }
    },
  },
  {
    name: "refuses data that does not have its digest, and shows nothing of it",
    async run(store) {
      for (const size of [5, MIB, MIB + 1]) {
        const data = blob(size, 4);
        const digest = digestOf(SHA256, data);
        const damaged = data.slice();
        damaged[size >> 1] ^= 1;
        const longer = new Uint8Array([...data, 0]);
        await rejectsWith(Code.INVALID_ARGUMENT, () => store.put(SCOPE, digest, damaged));
        await rejectsWith(Code.INVALID_ARGUMENT, () => store.put(SCOPE, digest, data.subarray(1)));
        await rejectsWith(Code.INVALID_ARGUMENT, () => store.put(SCOPE, digest, longer));
        await rejectsWith(Code.INVALID_ARGUMENT, () => writeInChunks(store, digest, damaged, 60_000));
        await rejectsWith(
          Code.INVALID_ARGUMENT,
          () => writeInChunks(store, digest, data.subarray(1), 60_000),
        );
        await rejectsWith(Code.INVALID_ARGUMENT, () => writeInChunks(store, digest, longer, 60_000));
        assertEquals(await missing(store, digest), [0]);
        await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, digest));
        await rejectsWith(Code.NOT_FOUND, () => readAll(store, digest));
        await writeInChunks(store, digest, data, 60_000);
        assertEquals(await store.get(SCOPE, digest), data);
      }
      assertEquals((await store.stat()).blobs, 3);
    },
  },
  {
    name: "counts a known hash with another size as missing",
    async run(store) {
      const data = blob(100);
      const digest = digestOf(SHA256, data);
      await store.put(SCOPE, digest, data);
      for (const sizeBytes of [0, 99, 101, 2 ** 40]) {
        const other = { ...digest, sizeBytes };
        assertEquals(await missing(store, digest, other), [1]);
        await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, other));
        assertEquals(await store.delete(SCOPE, other), false);
      }
    },
  },
  {
    name: "lists what is missing by index, in order, with repeats",
    async run(store) {
      const datas = Array.from({ length: 50 }, (_, i) => blob(100 + i, i + 1));
      const digests = datas.map((data) => digestOf(SHA256, data));
      await Promise.all(
        digests.map((digest, i) => i % 3 === 0 ? store.put(SCOPE, digest, datas[i]) : undefined),
      );
      const expected = digests.flatMap((_, i) => i % 3 === 0 ? [] : [i, i + 50]).sort((a, b) => a - b);
      assertEquals(await missing(store, ...digests, ...digests), expected);
      assertEquals(await missing(store), []);
    },
  },
  {
    name: "aborts a writer without a trace, and a second time",
    async run(store) {
      for (const size of [10, 2 * MIB]) {
        const data = blob(size, 5);
        const digest = digestOf(SHA256, data);
        const writer = await store.writer(SCOPE, digest);
        await writer.write(data.subarray(0, size - 1));
        await writer.abort();
        await writer.abort();
        assertEquals(await missing(store, digest), [0]);
        await rejectsWith(Code.FAILED_PRECONDITION, () => writer.write(data));
        await rejectsWith(Code.FAILED_PRECONDITION, () => writer.commit());
        await writeInChunks(store, digest, data, MIB);
        assertEquals(await missing(store, digest), []);
      }
    },
  },
  {
    name: "lets many write one digest at once, and keeps one copy",
    async run(store) {
      for (const size of [1000, 2 * MIB]) {
        const data = blob(size, 6);
        const digest = digestOf(SHA256, data);
        await Promise.all([
          ...Array.from({ length: 5 }, () => store.put(SCOPE, digest, data)),
          ...Array.from({ length: 5 }, () => writeInChunks(store, digest, data, 100_000)),
        ]);
        assertEquals(await store.get(SCOPE, digest), data);
      }
      assertEquals((await store.stat()).blobs, 2);
      assertEquals((await store.stat()).bytes, 1000 + 2 * MIB);
    },
  },
  {
    name: "lets a right put succeed beside wrong ones of the same digest",
    async run(store) {
      const data = blob(1000, 7);
      const digest = digestOf(SHA256, data);
      const wrong = blob(1000, 8);
      const results = await Promise.allSettled(
        [wrong, wrong, data, wrong].map((bytes) => store.put(SCOPE, digest, bytes)),
      );
      assertEquals(results.slice(0, 3).map((result) => result.status), ["rejected", "rejected", "fulfilled"]);
      assertEquals(await store.get(SCOPE, digest), data);
    },
  },
  {
    name: "deletes blobs, and takes them again",
    async run(store) {
      for (const size of [77, 2 * MIB]) {
        const data = blob(size, 10);
        const digest = digestOf(SHA256, data);
        assertEquals(await store.delete(SCOPE, digest), false);
        for (let round = 0; round < 2; round++) {
          await store.put(SCOPE, digest, data);
          assertEquals(await store.get(SCOPE, digest), data);
          assertEquals(await store.delete(SCOPE, digest), true);
          assertEquals(await missing(store, digest), [0]);
          await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, digest));
          await rejectsWith(Code.NOT_FOUND, () => readAll(store, digest));
        }
      }
      assertEquals((await store.stat()).bytes, 0);
    },
  },
  {
    name: "stops a read when its signal is aborted",
    async run(store) {
      const data = blob(3 * MIB, 11);
      const digest = digestOf(SHA256, data);
      await store.put(SCOPE, digest, data);
      const controller = new AbortController();
      const reader = store.read(SCOPE, digest, {}, controller.signal)[Symbol.asyncIterator]();
      assert(((await reader.next()).value?.length ?? 0) > 0);
      controller.abort();
      await rejectsWith(Code.CANCELLED, () => reader.next());
      await rejectsWith(
        Code.CANCELLED,
        () => store.read(SCOPE, digest, {}, controller.signal)[Symbol.asyncIterator]().next(),
      );
    },
  },
  {
    name: "lets a reader stop early, and many read at once",
    async run(store) {
      const data = blob(5 * MIB, 12);
      const digest = digestOf(SHA256, data);
      await store.put(SCOPE, digest, data);
      for await (const piece of store.read(SCOPE, digest)) {
        assertEquals(piece, data.subarray(0, piece.length));
        break;
      }
      const all = await Promise.all(
        Array.from({ length: 8 }, (_, i) => readAll(store, digest, { offset: i * 1000 })),
      );
      all.forEach((bytes, i) => assertEquals(bytes.length, data.length - i * 1000));
    },
  },
  {
    name: "refuses blobs beyond its limit before taking their bytes",
    async run(store) {
      const digest: Digest = { fn: SHA256, hash: "ab".repeat(32) as HashHex, sizeBytes: 65 * MIB };
      const error = await rejectsWith(Code.INVALID_ARGUMENT, () => store.writer(SCOPE, digest));
      assert(error.message.includes(String(64 * MIB)));
    },
  },
  {
    name: "pins what is there and what is not",
    async run(store) {
      const data = blob(10, 13);
      await store.put(SCOPE, digestOf(SHA256, data), data);
      await store.pin(SCOPE, batchOf(SHA256, [digestOf(SHA256, data), digestOf(SHA256, blob(11))]), 60_000);
      assertEquals(await missing(store, digestOf(SHA256, data)), []);
    },
  },
];

for (const kind of KINDS) {
  for (const { name, run } of CASES) {
    Deno.test(`${kind.name} ${name}`, async () => {
      const dir = await Deno.makeTempDir({ prefix: "brokkr-blobs-" });
      try {
        bits = kind.text === true ? 4 : 8;
        await using store = await kind.open(dir);
        await run(store);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
}
