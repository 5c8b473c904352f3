// One table of cases for every leaf: blobs that are made of chunks, and cut into them.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code, scopeOf } from "@brokkr/common";
import type { BlobStore, ChunkList } from "../blob_store.ts";
import { type Digest, DIGEST_FUNCTIONS, type DigestFunction, digestOf, SHA256 } from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import { MAX_CHUNKS } from "./_chunk_list.ts";
import { CHUNK_MAX_BYTES } from "./_cut.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { MemoryBlobStore } from "./memory_store.ts";

const SCOPE = scopeOf("");
const MIB = 1 << 20;

const KINDS: readonly { readonly name: string; open(dir: string): Promise<BlobStore> }[] = [
  {
    name: "MemoryBlobStore",
    open: () => Promise.resolve(new MemoryBlobStore(80 * MIB, { maxBlobBytes: 64 * MIB })),
  },
  { name: "DiskBlobStore", open: (dir) => openDiskBlobStore(dir, { maxBlobBytes: 64 * MIB }) },
];

function noise(length: number, seed: number): Uint8Array {
  const data = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return data;
}

interface Made {
  readonly data: Uint8Array;
  readonly digest: Digest;
  readonly list: ChunkList;
  readonly pieces: readonly { readonly data: Uint8Array; readonly digest: Digest }[];
}

/** A blob in pieces of these sizes. */
function made(sizes: readonly number[], seed: number, fn: DigestFunction = SHA256): Made {
  const data = noise(sizes.reduce((sum, size) => sum + size, 0), seed);
  let at = 0;
  const pieces = sizes.map((size) => {
    const piece = data.subarray(at, at += size);
    return { data: piece, digest: digestOf(fn, piece) };
  });
  const chunks = batchOf(fn, pieces.map(({ digest }) => digest));
  return { data, digest: digestOf(fn, data), list: { chunks, chunking: 0 }, pieces };
}

async function putPieces(store: BlobStore, { pieces }: Made): Promise<void> {
  for (const { digest, data } of pieces) await store.put(SCOPE, digest, data);
}

async function isMissing(store: BlobStore, digest: Digest): Promise<boolean> {
  return (await store.missing(SCOPE, batchOf(digest.fn, [digest]))).length > 0;
}

function splice(store: BlobStore, digest: Digest, list: ChunkList, signal?: AbortSignal) {
  assert(store.splice !== undefined);
  return store.splice(SCOPE, digest, list, signal);
}

async function split(store: BlobStore, digest: Digest): Promise<ChunkList | undefined> {
  assert(store.split !== undefined);
  return await store.split(SCOPE, digest);
}

async function readAll(store: BlobStore, digest: Digest, range?: { offset: number; limit: number }) {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.read(SCOPE, digest, range)) {
    assert(piece.length > 0 && piece.length <= MIB);
    pieces.push(piece.slice());
  }
  return joined(pieces);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function rejectsWith(code: Code, run: () => Promise<unknown>, word = ""): Promise<BrokkrError> {
  const error = await assertRejects(run, BrokkrError, word);
  assertEquals(error.codeName, new BrokkrError(code, "").codeName, error.message);
  return error;
}

const KIB = 1 << 10;
/** Below, at and above what is a record; many and few; larger chunks than are cut here. */
const SHAPES: readonly (readonly number[])[] = [
  [1],
  [3, 4],
  [600 * KIB, 424 * KIB],
  [700 * KIB, 700 * KIB, 1],
  [MIB, MIB, MIB],
  [2 * MIB, 5, 3 * MIB],
  Array.from({ length: 300 }, (_, i) => 4000 + i),
];

const CASES: { readonly name: string; run(store: BlobStore): Promise<void> }[] = [
  {
    name: "makes a blob of chunks, and hands it out whole and in ranges",
    async run(store) {
      for (const [i, sizes] of SHAPES.entries()) {
        const blob = made(sizes, i + 1);
        const { data, digest, list } = blob;
        await putPieces(store, blob);
        // Of one chunk it is that chunk.
        assertEquals(await splice(store, digest, list), sizes.length === 1 ? "known" : "kept");
        assertEquals(await splice(store, digest, list), "known");
        assertEquals(await isMissing(store, digest), false);
        assertEquals(await store.get(SCOPE, digest), data);
        assertEquals(await readAll(store, digest), data);
        for (const [offset, limit] of [[0, 1], [data.length >> 1, 5000], [data.length - 1, 9], [7, 0]]) {
          if (offset > data.length) continue;
          assertEquals(
            await readAll(store, digest, { offset, limit }),
            data.subarray(offset, offset + limit),
          );
        }
        await rejectsWith(
          Code.OUT_OF_RANGE,
          () => readAll(store, digest, { offset: data.length + 1, limit: 1 }),
        );
        const before = (await store.stat()).blobs;
        await store.put(SCOPE, digest, data);
        assertEquals((await store.stat()).blobs, before);
      }
    },
  },
  {
    name: "makes blobs of each digest function",
    async run(store) {
      for (const [i, fn] of DIGEST_FUNCTIONS.entries()) {
        const blob = made([200 * KIB, 900 * KIB], i + 50, fn);
        await putPieces(store, blob);
        assertEquals(await splice(store, blob.digest, blob.list), "kept");
        assertEquals(await store.get(SCOPE, blob.digest), blob.data);
      }
    },
  },
  {
    name: "makes a blob of the same chunk again and again, and of chunks of no bytes",
    async run(store) {
      const piece = noise(700_000, 3);
      const data = joined([piece, piece, piece]);
      const digest = digestOf(SHA256, data);
      const one = digestOf(SHA256, piece);
      const empty = digestOf(SHA256, new Uint8Array());
      await store.put(SCOPE, one, piece);
      const chunks = batchOf(SHA256, [empty, one, one, empty, one]);
      assertEquals(await splice(store, digest, { chunks, chunking: 0 }), "kept");
      assertEquals(await readAll(store, digest), data);
      // The empty blob of nothing, and of nothings.
      assertEquals(await splice(store, empty, { chunks: batchOf(SHA256, []), chunking: 0 }), "known");
      assertEquals(await splice(store, empty, { chunks: batchOf(SHA256, [empty]), chunking: 0 }), "known");
    },
  },
  {
    name: "names the chunks that are missing, and makes nothing",
    async run(store) {
      const blob = made([500_000, 600_000, 700_000], 4);
      const [first, second, third] = blob.pieces;
      await store.put(SCOPE, second.digest, second.data);
      const error = await rejectsWith(
        Code.NOT_FOUND,
        () => splice(store, blob.digest, blob.list),
        "2 of its 3",
      );
      const [detail] = error.details;
      assertEquals(
        detail.kind === "preconditionFailure" && detail.violations.map(({ subject }) => subject),
        [first, third].map(({ digest }) => `blobs/${digest.hash}/${digest.sizeBytes}`),
      );
      assert(await isMissing(store, blob.digest));
      await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, blob.digest));
      await putPieces(store, blob);
      assertEquals(await splice(store, blob.digest, blob.list), "kept");
    },
  },
  {
    name: "refuses a list that lies, and makes nothing",
    async run(store) {
      const blob = made([500_000, 600_000, 500_000], 5);
      const { digest, pieces } = blob;
      const [a, b, c] = pieces.map(({ digest }) => digest);
      const small = made([1000, 2000], 6);
      await putPieces(store, blob);
      await putPieces(store, small);
      const lie = (digests: readonly Digest[], of: Digest = digest) => () =>
        splice(store, of, { chunks: batchOf(SHA256, digests), chunking: 1 });
      // Other orders, other chunks of the same sizes, fewer, more.
      await rejectsWith(Code.INVALID_ARGUMENT, lie([c, b, a]), "hash");
      await rejectsWith(Code.INVALID_ARGUMENT, lie([a, b, a]), "hash");
      await rejectsWith(Code.INVALID_ARGUMENT, lie([a, b]), "1100000 bytes together instead of 1600000");
      await rejectsWith(Code.INVALID_ARGUMENT, lie([a, b, c, c]), "2100000 bytes together");
      await rejectsWith(Code.INVALID_ARGUMENT, lie([]), "0 bytes together");
      // Of small blobs, too.
      const [x, y] = small.pieces.map(({ digest }) => digest);
      await rejectsWith(Code.INVALID_ARGUMENT, lie([y, x], small.digest), "hash");
      // A size that is not the chunk's: no such chunk.
      await rejectsWith(Code.NOT_FOUND, lie([a, { ...b, sizeBytes: 500_000 }, { ...c, sizeBytes: 600_000 }]));
      // The blob of itself.
      await rejectsWith(Code.NOT_FOUND, lie([digest]));
      await rejectsWith(Code.NOT_FOUND, lie([small.digest], small.digest));
      // Another function's chunks.
      for (const fn of DIGEST_FUNCTIONS) {
        if (fn === SHA256) continue;
        const chunks = { ...blob.list.chunks, fn, hashes: new Uint8Array(3 * fn.hashBytes) };
        await rejectsWith(
          Code.INVALID_ARGUMENT,
          () => splice(store, digest, { chunks, chunking: 1 }),
          fn.name,
        );
      }
      // So many that nobody would read them all.
      const many = {
        fn: SHA256,
        length: MAX_CHUNKS + 1,
        hashes: new Uint8Array(0),
        sizes: new Float64Array(0),
      };
      await rejectsWith(Code.INVALID_ARGUMENT, () => splice(store, digest, { chunks: many, chunking: 0 }));
      // Larger than the store takes.
      const huge = Array(100).fill(a);
      const sizeBytes = 100 * a.sizeBytes;
      await rejectsWith(
        Code.INVALID_ARGUMENT,
        lie([...huge, ...huge], { ...digest, sizeBytes: 2 * sizeBytes }),
      );
      assert(await isMissing(store, digest));
      assert(await isMissing(store, small.digest));
      assertEquals(await splice(store, digest, blob.list), "kept");
      assertEquals(await splice(store, small.digest, small.list), "kept");
    },
  },
  {
    name: "lets many make one blob at once",
    async run(store) {
      const blob = made([800_000, 900_000], 7);
      await putPieces(store, blob);
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, () => splice(store, blob.digest, blob.list)),
      );
      assert(outcomes.includes("kept"));
      assertEquals(await store.get(SCOPE, blob.digest), blob.data);
      assertEquals((await store.stat()).blobs, 3);
    },
  },
  {
    name: "ends a splice whose signal is aborted, and makes nothing",
    async run(store) {
      const blob = made([800_000, 900_000], 8);
      await putPieces(store, blob);
      const controller = new AbortController();
      controller.abort();
      await rejectsWith(Code.CANCELLED, () => splice(store, blob.digest, blob.list, controller.signal));
      assert(await isMissing(store, blob.digest));
    },
  },
  {
    name: "tells how a blob was made, and cuts one that was not, so that its chunks are there",
    async run(store) {
      const blob = made([700_000, 1_000_000], 9);
      await putPieces(store, blob);
      await splice(store, blob.digest, { ...blob.list, chunking: 1 });
      const known = await split(store, blob.digest);
      assertEquals(known?.chunks.hashes, blob.list.chunks.hashes);
      assertEquals(known?.chunking, 1);

      const data = noise(5 * MIB, 10);
      const digest = digestOf(SHA256, data);
      assertEquals(await split(store, digest), undefined);
      await store.put(SCOPE, digest, data);
      const list = await split(store, digest);
      assert(list !== undefined && list.chunks.length > 4);
      assertEquals(list.chunking, 1);
      assertEquals((await store.missing(SCOPE, list.chunks)).length, 0);
      const chunks: Uint8Array[] = [];
      for (let i = 0; i < list.chunks.length; i++) {
        chunks.push(await store.get(SCOPE, digestAt(list.chunks, i)));
      }
      assertEquals(joined(chunks), data);
      assertEquals(await readAll(store, digest), data);
      assertEquals((await split(store, digest))?.chunks.hashes, list.chunks.hashes);
    },
  },
  {
    name: "does not cut what is no larger than a chunk",
    async run(store) {
      for (const size of [0, 1, CHUNK_MAX_BYTES]) {
        const data = noise(size, 11);
        const digest = digestOf(SHA256, data);
        await store.put(SCOPE, digest, data);
        const list = await split(store, digest);
        assertEquals(list?.chunks.length, size === 0 ? 0 : 1);
        if (size > 0 && list !== undefined) assertEquals(digestAt(list.chunks, 0), digest);
      }
      assertEquals(await split(store, digestOf(SHA256, noise(9, 12))), undefined);
    },
  },
  {
    name: "deletes a blob that was made of chunks, and takes it again whole or in chunks",
    async run(store) {
      const blob = made([900_000, 400_000], 13);
      await putPieces(store, blob);
      for (let round = 0; round < 2; round++) {
        await splice(store, blob.digest, blob.list);
        assertEquals(await store.delete(SCOPE, blob.digest), true);
        assert(await isMissing(store, blob.digest));
        assertEquals(await store.delete(SCOPE, blob.digest), false);
        await store.put(SCOPE, blob.digest, blob.data);
        assertEquals(await store.get(SCOPE, blob.digest), blob.data);
        assertEquals(await store.delete(SCOPE, blob.digest), true);
        assert(await isMissing(store, blob.digest));
      }
      assertEquals((await store.stat()).blobs, 2);
    },
  },
];

for (const kind of KINDS) {
  for (const { name, run } of CASES) {
    Deno.test(`${kind.name} ${name}`, async () => {
      const dir = await Deno.makeTempDir({ prefix: "brokkr-chunks-" });
      try {
        await using store = await kind.open(dir);
        await run(store);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
}
