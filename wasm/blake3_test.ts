import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createBLAKE3 } from "hash-wasm";
import { RUN_BLOBS, RUN_BYTES, SUBTREE_BYTES } from "./_blake3_layout.ts";
import type { SimdBuild } from "./_load.ts";
import { Blake3, Blake3Hasher } from "./blake3.ts";
import { referenceBlake3 } from "./reference.ts";

const BUILDS: readonly SimdBuild[] = WebAssembly.validate(
    Deno.readFileSync(new URL("./kernels/blake3.relaxed.wasm", import.meta.url)),
  )
  ? ["relaxed", "simd"]
  : ["simd"];

/** 0, 1, ..., 250, 0, 1, ...: the input of the published vectors, and of any length in one buffer. */
const SEQUENCE = Uint8Array.from({ length: 4 * 1024 * 1024 }, (_, i) => i % 251);
const sequence = (length: number) => SEQUENCE.subarray(0, length);

const hasher = await createBLAKE3();
/** Another implementation, synchronously. */
function other(bytes: Uint8Array): string {
  return hasher.init().update(bytes).digest();
}

/** Bytes that differ from place to place, unlike those of the published vectors, which repeat. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Lengths near every border: of a block, a chunk, the lanes, a step of a stream, a subtree, a run. */
const near = fc.oneof(
  fc.nat(200),
  ...[64, 1024, 4096, 16 * 1024, 32 * 1024, SUBTREE_BYTES, RUN_BYTES].map((border) =>
    fc.tuple(fc.integer({ min: 1, max: border > 5000 ? 5 : 20 }), fc.integer({ min: -2, max: 2 }))
      .map(([times, off]) => times * border + off)
  ),
);

/** The lengths of the published vectors, then more borders. */
const LENGTHS = [
  ...[
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    63,
    64,
    65,
    127,
    128,
    129,
    1023,
    1024,
    1025,
    2048,
    2049,
    3072,
    3073,
    4096,
    4097,
  ],
  ...[5120, 5121, 6144, 6145, 7168, 7169, 8192, 8193, 16384, 31744, 102400],
  ...[
    16383,
    16385,
    32767,
    32768,
    32769,
    65535,
    65536,
    65537,
    81920,
    81921,
    131072,
    131073,
    196609,
    262144,
    262145,
  ],
];

for (const build of BUILDS) {
  const kernel = new Blake3(build);

  Deno.test(`blake3 (${build}) has the hashes of another implementation and of the reference`, () => {
    for (const length of LENGTHS) {
      const hash = kernel.hash(sequence(length));
      assertEquals(hash.toHex(), other(sequence(length)), `${length} bytes`);
      if (length <= 8193) assertEquals(hash, referenceBlake3(sequence(length)), `${length} bytes`);
      assertEquals(kernel.hashHex(sequence(length)), hash.toHex(), `${length} bytes in hex`);
    }
  });

  Deno.test(`blake3 (${build}) hashes each length up to the first lanes' end`, () => {
    const bytes = noise(4 * 1024 + 200, 7);
    const wrong: number[] = [];
    for (let length = 0; length <= bytes.length; length += length < 300 ? 1 : 13) {
      if (kernel.hashHex(bytes.subarray(0, length)) !== other(bytes.subarray(0, length))) wrong.push(length);
    }
    assertEquals(wrong, []);
  });

  Deno.test(`blake3 (${build}) hashes inputs near every border`, () => {
    fc.assert(
      fc.property(near, fc.nat(), (length, seed) => {
        const bytes = noise(length, seed);
        assertEquals(kernel.hashHex(bytes), other(bytes));
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`blake3 (${build}) of a stream does not depend on how it is cut`, () => {
    const cuts = fc.array(fc.oneof(fc.constant(0), fc.nat(130), fc.nat(5000), fc.nat(100_000)), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(near, cuts, fc.nat(), (length, pieces, seed) => {
        const bytes = noise(length, seed);
        const stream = new Blake3Hasher(kernel);
        let at = 0;
        for (const piece of pieces) {
          const part = bytes.slice(at, at + piece);
          stream.update(part);
          part.fill(0xee); // the caller may reuse it
          at += part.length;
        }
        stream.update(bytes.subarray(at));
        assertEquals(stream.digest().toHex(), other(bytes));
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`blake3 (${build}) of a batch is that of each input`, () => {
    const sizes = fc.array(fc.oneof({ weight: 3, arbitrary: fc.nat(70) }, near), { maxLength: 60 });
    fc.assert(
      fc.property(sizes, fc.nat(), (lengths, seed) => {
        const inputs = lengths.map((length, i) => noise(length, seed + i));
        assertEquals(kernel.hashBatch(inputs).toHex(), inputs.map(other).join(""));
      }),
      { numRuns: 40 },
    );
  });

  Deno.test(`blake3 (${build}) hashes batches of more than a run`, () => {
    for (
      const [length, count] of [[0, 5000], [64, 2 * RUN_BLOBS + 3], [65, 4500], [1025, 600], [32 * 1024, 17]]
    ) {
      const inputs = Array.from({ length: count }, (_, i) => {
        const bytes = SEQUENCE.slice(i, i + length);
        return bytes;
      });
      const hashes = kernel.hashBatch(inputs);
      const wrong = inputs.findIndex((input, i) =>
        hashes.subarray(32 * i, 32 * i + 32).toHex() !== other(input)
      );
      assertEquals(wrong, -1, `${count} inputs of ${length} bytes`);
    }
  });

  Deno.test(`blake3 (${build}) hashes inputs larger than the memory of the kernel`, () => {
    const bytes = new Uint8Array(12 * 1024 * 1024 + 1);
    for (let at = 0; at < bytes.length; at += SEQUENCE.length) {
      bytes.set(SEQUENCE.subarray(0, Math.min(SEQUENCE.length, bytes.length - at)), at);
    }
    assertEquals(kernel.hashHex(bytes), other(bytes));
    assertEquals(
      kernel.hashBatch([bytes, bytes.subarray(1)]).toHex(),
      other(bytes) + other(bytes.subarray(1)),
    );
  });

  Deno.test(`blake3 (${build}) hashes what lies in a lent buffer`, () => {
    for (const length of [1, 64, 1000, 1025, SUBTREE_BYTES, SUBTREE_BYTES + 1, 1024 * 1024]) {
      using buffer = kernel.acquire(length);
      assert(buffer !== undefined);
      buffer.bytes.set(sequence(length));
      assertEquals(kernel.hashHex(buffer.bytes), other(sequence(length)), `${length} bytes`);
      assertEquals(kernel.hashHex(buffer.bytes.subarray(1)), other(sequence(length).subarray(1)));
      assertEquals(
        kernel.hashBatch([buffer.bytes, buffer.bytes]).subarray(32).toHex(),
        other(sequence(length)),
      );
    }
    assertEquals(kernel.acquire(1024 * 1024 + 1), undefined);
  });
}

Deno.test("blake3 counts chunks beyond 32 bits", async (t) => {
  // A counter of the wrong width would only show in inputs of 4 TiB, so the reference is asked for such a chunk's value.
  const { blake3Leaf } = await import("./reference.ts");
  for (const build of BUILDS) {
    for (const counter of [2 ** 32 - 1, 2 ** 32, 2 ** 40 + 48]) {
      await t.step(`${build}, chunk ${counter}`, () => {
        const kernel = new Blake3(build);
        for (const length of [1, 1024]) {
          const value = kernel.subtree(sequence(length), length, undefined, counter, false).take();
          assertEquals(new Uint32Array(value.buffer), blake3Leaf(sequence(length), counter, 0));
        }
        // In lanes: a parent of two chunks.
        const [left, right] = [counter, counter + 1].map((index) =>
          new Uint8Array(blake3Leaf(sequence(1024), index, 0).slice().buffer)
        );
        const both = new Uint8Array(2048);
        both.set(sequence(1024));
        both.set(sequence(1024), 1024);
        assertEquals(
          kernel.subtree(both, 2048, undefined, counter, false).take(),
          kernel.parent(left, right, false).take(),
        );
      });
    }
  }
});

Deno.test("blake3 takes views with an offset, of shared memory and of other classes", () => {
  const kernel = new Blake3();
  const shared = new Uint8Array(new SharedArrayBuffer(200_000), 13, 150_000);
  shared.set(sequence(150_000));
  const offset = new Uint8Array(SEQUENCE.buffer, 3, 5000);
  class Mine extends Uint8Array {}
  for (const input of [shared, shared.subarray(7, 71), offset, new Mine(sequence(3000))]) {
    assertEquals(kernel.hashHex(input), other(new Uint8Array(input)));
    const stream = new Blake3Hasher(kernel);
    stream.update(input.subarray(0, 1));
    stream.update(input.subarray(1));
    assertEquals(stream.digest().toHex(), other(new Uint8Array(input)));
  }
  const all = [shared, offset, shared.subarray(0, 10)];
  assertEquals(kernel.hashBatch(all).toHex(), all.map((input) => other(new Uint8Array(input))).join(""));
});

Deno.test("results of blake3 are arrays of their own", () => {
  const kernel = new Blake3();
  const first = kernel.hash(sequence(10));
  const before = first.toHex();
  const batch = kernel.hashBatch([sequence(1), sequence(2)]);
  kernel.hash(sequence(99));
  assertEquals(first.toHex(), before);
  assertEquals([first.buffer.byteLength, batch.buffer.byteLength], [32, 64]);
});

Deno.test("a batch of nothing has no hashes", () => {
  assertEquals(new Blake3().hashBatch([]), new Uint8Array());
});

Deno.test("many streams of blake3 may be under way at once", () => {
  const kernel = new Blake3();
  const streams = Array.from({ length: 200 }, () => new Blake3Hasher(kernel));
  for (let round = 0; round < 8; round++) {
    streams.forEach((stream, i) => stream.update(SEQUENCE.subarray(i, i + 100 * i + round)));
    kernel.hashBatch([sequence(10), sequence(40_000)]);
  }
  for (const [i, stream] of streams.entries()) {
    hasher.init();
    for (let round = 0; round < 8; round++) hasher.update(SEQUENCE.subarray(i, i + 100 * i + round));
    assertEquals(stream.digestHex(), hasher.digest());
  }
});

Deno.test("a stream of blake3 that has ended takes nothing more", () => {
  const stream = new Blake3Hasher();
  stream.digest();
  assertThrows(() => stream.update(new Uint8Array(1)), TypeError, "has given its hash");
  assertThrows(() => stream.digest(), TypeError, "has given its hash");
});
