import { assert, assertEquals, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import fc from "fast-check";
import type { ChunkList } from "../blob_store.ts";
import { DIGEST_FUNCTIONS, digestOf, SHA256 } from "../digest.ts";
import {
  checkChunkList,
  chunkListBytes,
  decodeChunkList,
  encodeChunkList,
  isStorable,
  MAX_CHUNK_BYTES,
  MAX_CHUNKS,
  sameChunks,
} from "./_chunk_list.ts";
import { MAX_RECORD_DATA } from "./_record.ts";

const anyList = (least = 1) =>
  fc.record({
    fn: fc.constantFrom(...DIGEST_FUNCTIONS),
    sizes: fc.array(fc.integer({ min: least, max: MAX_CHUNK_BYTES }), { maxLength: 40 }),
    seed: fc.integer({ min: 0, max: 255 }),
    chunking: fc.integer({ min: 0, max: 0xffff }),
  }).map(({ fn, sizes, seed, chunking }): ChunkList => ({
    chunking,
    chunks: {
      fn,
      length: sizes.length,
      sizes: Float64Array.from(sizes),
      hashes: Uint8Array.from({ length: sizes.length * fn.hashBytes }, (_, i) => (i * 31 + seed) & 255),
    },
  }));

function sumOf({ chunks }: ChunkList): number {
  return chunks.sizes.reduce((sum, size) => sum + size, 0);
}

Deno.test("a list of chunks comes back as it was written", () => {
  fc.assert(fc.property(anyList(), (list) => {
    assert(isStorable(list));
    const { fn, length } = list.chunks;
    const bytes = encodeChunkList(list);
    assertEquals(bytes.length, chunkListBytes(fn, length));
    // As it lies in the middle of something else, too.
    const elsewhere = new Uint8Array(bytes.length + 3);
    elsewhere.set(bytes, 3);
    for (const written of [bytes, elsewhere.subarray(3)]) {
      const read = decodeChunkList(written, { fn, sizeBytes: sumOf(list) });
      assert(typeof read !== "string", String(read));
      assert(sameChunks(read.chunks, list.chunks));
      assertEquals(read.chunking, list.chunking);
      assertEquals(read.chunks.hashes.byteOffset % 4, 0);
    }
  }));
});

Deno.test("a list of chunks that is cut, longer, or of another blob is said to be wrong", () => {
  fc.assert(fc.property(anyList(), fc.nat(), (list, at) => {
    const { fn } = list.chunks;
    const sizeBytes = sumOf(list);
    const bytes = encodeChunkList(list);
    assertEquals(typeof decodeChunkList(bytes.subarray(0, at % bytes.length), { fn, sizeBytes }), "string");
    assertEquals(typeof decodeChunkList(Uint8Array.of(...bytes, 0), { fn, sizeBytes }), "string");
    assertEquals(typeof decodeChunkList(bytes, { fn, sizeBytes: sizeBytes + 1 }), "string");
    const other = DIGEST_FUNCTIONS.find((one) => one !== fn);
    if (other !== undefined) {
      assertEquals(typeof decodeChunkList(bytes, { fn: other, sizeBytes }), "string");
    }
  }));
});

Deno.test("any bytes are a list of chunks or said to be none", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, sizeBytes) => {
    const read = decodeChunkList(bytes, { fn: SHA256, sizeBytes });
    if (typeof read !== "string") assertEquals(sumOf(read), sizeBytes);
  }));
  // A count that no memory could hold is not believed.
  const huge = new Uint8Array(8);
  huge.set([1, SHA256.value, 0, 0, 0xff, 0xff, 0xff, 0xff]);
  assertEquals(typeof decodeChunkList(huge, { fn: SHA256, sizeBytes: 1 }), "string");
});

Deno.test("a list is storable when it and all its chunks are records", () => {
  const batch = (length: number, size: number) => ({
    chunking: 0,
    chunks: {
      fn: SHA256,
      length,
      sizes: new Float64Array(length).fill(size),
      hashes: new Uint8Array(length * 32),
    },
  });
  assert(isStorable(batch(3, MAX_CHUNK_BYTES)));
  assert(!isStorable(batch(3, MAX_CHUNK_BYTES + 1)));
  assert(!isStorable(batch(3, 0)));
  const most = Math.floor((MAX_RECORD_DATA - 8) / 36);
  assert(isStorable(batch(most, 1)));
  assert(!isStorable(batch(most + 1, 1)));
});

Deno.test("a list that cannot be a blob's is refused, and chunks of no bytes are left out", () => {
  const data = new Uint8Array(10);
  const digest = digestOf(SHA256, data);
  const list = (sizes: number[], chunking = 1): ChunkList => ({
    chunking,
    chunks: {
      fn: SHA256,
      length: sizes.length,
      sizes: Float64Array.from(sizes),
      hashes: Uint8Array.from({ length: sizes.length * 32 }, (_, i) => i >> 5),
    },
  });
  const holes = list([0, 4, 0, 6, 0]);
  const { hash } = digestOf(SHA256, new Uint8Array());
  for (const i of [0, 2, 4]) holes.chunks.hashes.subarray(i * 32, i * 32 + 32).setFromHex(hash);
  const kept = checkChunkList(digest, holes);
  assertEquals([...kept.chunks.sizes], [4, 6]);
  assertEquals([kept.chunks.hashes[0], kept.chunks.hashes[32]], [1, 3]);
  const same = list([10]);
  assert(checkChunkList(digest, same) === same);
  const tooMany = { ...list([]).chunks, length: MAX_CHUNKS + 1 };
  const wrong: [ChunkList, string][] = [
    [list([4, 5]), "9 bytes together instead of 10"],
    [list([4, 7]), "11 bytes together"],
    [list([]), "0 bytes together"],
    [list([11, -1]), "cannot have -1 bytes"],
    [list([9.5, 0.5]), "cannot have 9.5 bytes"],
    [list([Infinity]), "cannot have Infinity bytes"],
    [list([10, 0]), "another hash than no bytes"],
    [list([10], 70_000), "chunking function 70000"],
    [list([10], -1), "chunking function -1"],
    [{ chunks: tooMany, chunking: 0 }, "1048577 chunks"],
  ];
  for (const other of DIGEST_FUNCTIONS) {
    if (other === SHA256) continue;
    const chunks = { ...same.chunks, fn: other };
    wrong.push([{ chunks, chunking: 0 }, other.name]);
  }
  for (const [lie, word] of wrong) {
    const error = assertThrows(() => checkChunkList(digest, lie), BrokkrError, word);
    assertEquals(error.code, Code.INVALID_ARGUMENT);
  }
});
