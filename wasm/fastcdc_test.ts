import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { chunkLengths, FastCdcChunker } from "./fastcdc.ts";
import { TestWorkers } from "./_test_workers.ts";
import { fastCdcMasks, type FastCdcParams, MAX_AVG_BYTES, MIN_AVG_BYTES } from "./fastcdc_params.ts";
import { gearTable, referenceCuts } from "./reference_fastcdc.ts";

/** Bytes that look random and are the same everywhere: SHA-512 of a counter. */
function noise(length: number, label = "noise"): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 64) * 64);
  for (let i = 0; i < bytes.length; i += 64) {
    bytes.set(createHash("sha512").update(`${label} ${i / 64}`).digest(), i);
  }
  return bytes.subarray(0, length);
}

function present(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

function referenceLengths(params: FastCdcParams, bytes: Uint8Array): number[] {
  return referenceCuts(params, bytes).map(({ length }) => length);
}

function lengthsOfPieces(params: FastCdcParams, pieces: Iterable<Uint8Array>): number[] {
  const chunker = new FastCdcChunker(params);
  const lengths: number[] = [];
  for (const piece of pieces) lengths.push(...chunker.push(piece));
  const last = chunker.finish();
  return last === 0 ? lengths : [...lengths, last];
}

function* piecesOf(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) yield bytes.subarray(at, at += sizes[i % sizes.length]);
}

/** Made by the reference: where the first 200,000 bytes of the noise are cut. */
const OWN_VECTORS: readonly { readonly params: FastCdcParams; readonly lengths: readonly number[] }[] = [
  {
    params: { avgBytes: 16384 },
    lengths: [21064, 20338, 22845, 22514, 5465, 28617, 15461, 41599, 21346, 751],
  },
  {
    params: { avgBytes: 16384, seed: 666 },
    lengths: [21985, 17739, 28230, 22528, 10310, 18731, 17033, 23688, 17021, 9397, 13338],
  },
  {
    params: { avgBytes: 16384, seed: 2 ** 32 - 1, maxBytes: 20001 },
    lengths: [18109, 20001, 20001, 19628, 18139, 18777, 19531, 20001, 20001, 20001, 5811],
  },
  { params: { avgBytes: 32768, minBytes: 101 }, lengths: [36515, 36505, 63284, 44804, 18892] },
];

for (const { params, lengths } of OWN_VECTORS) {
  Deno.test(`the chunks of ${JSON.stringify(params)} are where they always were`, () => {
    const bytes = noise(200_000);
    assertEquals(referenceLengths(params, bytes), lengths, "reference");
    assertEquals([...chunkLengths(params, bytes)], lengths, "kernel");
    for (const size of [1, 2, 3, 1000, 65536]) {
      assertEquals(lengthsOfPieces(params, piecesOf(bytes, [size])), lengths, `pieces of ${size}`);
    }
  });
}

const image = new URL("../../shared/vectors/SekienAkashita.jpg", import.meta.url);
const absent = !present(image);

Deno.test({
  name: `the kernel finds the published chunks${
    absent ? " (skipped: the vectors are not in this clone)" : ""
  }`,
  ignore: absent,
  fn() {
    const bytes = Deno.readFileSync(image);
    assertEquals([...chunkLengths({ avgBytes: 16384, maxBytes: 65535 }, bytes)], [
      ...[19186, 19279, 17354, 16387, 19940, 17320],
    ]);
    assertEquals([...chunkLengths({ avgBytes: 16384, maxBytes: 65535, seed: 666 }, bytes)], [
      ...[17635, 17334, 19136, 17467, 23593, 14301],
    ]);
  },
});

const someParams: fc.Arbitrary<FastCdcParams> = fc.record({
  avgBytes: fc.constantFrom(1024, 2048, 4096),
  seed: fc.oneof(fc.constantFrom(0, 1, 2 ** 32 - 1), fc.nat({ max: 2 ** 32 - 1 })),
  minBytes: fc.integer({ min: 64, max: 1024 }),
  maxBytes: fc.integer({ min: 4096, max: 20_000 }),
});

Deno.test("kernel and reference agree on any parameters, lengths, contents and cuts of the source", () => {
  const random = noise(40_000);
  const content = fc.constantFrom(
    random,
    random.map((byte) => byte & 1),
    random.map((byte, i) => i % 9000 < 6000 ? 0 : byte),
  );
  fc.assert(
    fc.property(
      someParams,
      content,
      fc.nat({ max: 999 }),
      fc.nat({ max: 39_000 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 9000 })), { minLength: 1 }),
      (params, bytes, from, length, sizes) => {
        const source = bytes.subarray(from, from + length);
        const expected = referenceLengths(params, source);
        assertEquals([...chunkLengths(params, source)], expected);
        assertEquals(lengthsOfPieces(params, piecesOf(source, sizes)), expected);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("pieces that end around every bound of a chunk change nothing", () => {
  const params = { avgBytes: 1024, minBytes: 257, maxBytes: 2049 };
  const bytes = new Uint8Array(5000);
  bytes.set(noise(800), 2600);
  const expected = referenceLengths(params, bytes);
  for (const bound of [256, 257, 258, 1023, 1024, 1025, 2048, 2049, 2050, ...expected]) {
    for (let first = bound - 1; first <= bound + 1; first++) {
      assertEquals(
        lengthsOfPieces(params, piecesOf(bytes, [first, 1])),
        expected,
        `${first}, then single bytes`,
      );
    }
  }
  for (let length = 0; length < 4200; length += length < 260 || length % 1024 > 1000 ? 1 : 50) {
    const source = bytes.subarray(0, length);
    assertEquals([...chunkLengths(params, source)], referenceLengths(params, source), `${length} bytes`);
  }
});

Deno.test("pieces that end where chunks do, and sources that ended before, change nothing", () => {
  const bytes = noise(200_000);
  for (
    const params of [{ avgBytes: 1024, minBytes: 64, maxBytes: 1024 }, { avgBytes: 1024, maxBytes: 1027 }]
  ) {
    const expected = referenceLengths(params, bytes);
    assert(expected.filter((length) => length === params.maxBytes).length > 10);
    assertEquals(lengthsOfPieces(params, piecesOf(bytes, expected)), expected);
    const used = new FastCdcChunker(params);
    for (let at = 0; at < 100_000; at += 999) {
      const source = bytes.subarray(at, at + 3000);
      const lengths = used.push(source);
      assertEquals([...lengths, used.finish()], referenceLengths(params, source), `from ${at}`);
    }
  }
});

Deno.test("the smallest and the largest average are cut as the reference cuts them", () => {
  const bytes = noise(3 << 20);
  for (const avgBytes of [MIN_AVG_BYTES, MAX_AVG_BYTES]) {
    const part = bytes.subarray(0, avgBytes * 3);
    const expected = referenceLengths({ avgBytes }, part);
    assert(expected.length > 1);
    assertEquals([...chunkLengths({ avgBytes }, part)], expected, `${avgBytes}`);
    assertEquals(lengthsOfPieces({ avgBytes }, piecesOf(part, [99_999])), expected, `${avgBytes}, in pieces`);
  }
});

Deno.test("chunks are about as long as asked for", () => {
  const lengths = [...chunkLengths({ avgBytes: 4096 }, noise(2 << 20))].slice(0, -1);
  const average = lengths.reduce((sum, length) => sum + length) / lengths.length;
  assert(average > 3500 && average < 6000, `${average}`);
  assert(lengths.every((length) => length >= 1024 && length <= 16384));
});

Deno.test("an edit in the middle changes the chunks around it and no other", () => {
  const params = { avgBytes: 2048 };
  const before = noise(400_000);
  const chunksOf = (bytes: Uint8Array) => {
    let at = 0;
    return Array.from(chunkLengths(params, bytes), (length) => bytes.subarray(at, at += length));
  };
  const idOf = (chunk: Uint8Array) => createHash("sha1").update(chunk).digest("hex");
  const known = new Set(chunksOf(before).map(idOf));
  const total = chunksOf(before).length;
  for (let i = 0; i < 40; i++) {
    const at = 5000 + i * 9337;
    const inserted = noise((i * 7) % 50, `edit ${i}`);
    const removed = i % 3 === 0 ? 0 : (i * 13) % 60;
    const after = new Uint8Array(before.length + inserted.length - removed);
    after.set(before.subarray(0, at));
    after.set(inserted, at);
    after.set(before.subarray(at + removed), at + inserted.length);
    let offset = 0;
    const changed: number[] = [];
    for (const chunk of chunksOf(after)) {
      if (!known.has(idOf(chunk))) changed.push(offset);
      offset += chunk.length;
    }
    assert(changed.length <= 8 && changed.length < total / 20, `edit ${i}: ${changed.length} of ${total}`);
    assert(changed.every((start) => start + 4 * 2048 >= at && start <= at + 8 * 4 * 2048), `edit ${i}`);
  }
});

Deno.test("where no boundary is found, chunks are as long as they may be", () => {
  for (const maxBytes of [4096, 4095, 1024, 1025]) {
    const lengths = [...chunkLengths({ avgBytes: 1024, maxBytes }, new Uint8Array(10 * maxBytes + 7))];
    assertEquals(lengths, [...Array(10).fill(maxBytes), 7], `at most ${maxBytes}`);
  }
});

Deno.test("where every place is a boundary, no chunk is shorter than it may be", () => {
  // A byte whose table entry's upper half gives no bit of the mask when it repeats; the seed removes the lower half.
  const gear = gearTable();
  const { strict } = fastCdcMasks(1024);
  const byte = gear.findIndex((value) => ((1n << 64n) - (value >> 32n << 32n) & strict) === 0n);
  assert(byte >= 0);
  const seed = Number(gear[byte] & 0xffff_ffffn);
  const bytes = new Uint8Array(100_000).fill(byte);
  for (const minBytes of [64, 256, 1023]) {
    const params = { avgBytes: 1024, minBytes, seed };
    const lengths = [...chunkLengths(params, bytes)];
    const longest = Math.max(...lengths);
    assert(lengths.slice(0, -1).every((length) => length >= minBytes - 1 && length === longest));
    assert(longest < minBytes + 64, `${longest}`);
    assertEquals(lengths, referenceLengths(params, bytes));
    assertEquals(lengthsOfPieces(params, piecesOf(bytes, [333, 1, 2])), lengths);
  }
});

Deno.test("chunkers with seeds of their own do not disturb each other", () => {
  const bytes = noise(30_000);
  const all = [0, 1, 77, 0].map((seed, i) => {
    const params = { avgBytes: 1024 << (i & 1), seed };
    return { params, chunker: new FastCdcChunker(params), lengths: [] as number[] };
  });
  for (const piece of piecesOf(bytes, [1, 700, 33])) {
    for (const { chunker, lengths } of all) lengths.push(...chunker.push(piece));
  }
  for (const { params, chunker, lengths } of all) {
    assertEquals([...lengths, chunker.finish()], referenceLengths(params, bytes));
  }
});

Deno.test("a chunker can be used again, knows what is pending, and takes pieces of no bytes", () => {
  const bytes = noise(20_001);
  const chunker = new FastCdcChunker({ avgBytes: 1024 });
  const expected = referenceLengths({ avgBytes: 1024 }, bytes);
  for (let round = 0; round < 2; round++) {
    assertEquals(chunker.push(bytes.subarray(0, 0)), []);
    assertEquals(chunker.pending, 0);
    const lengths = [...chunker.push(bytes.subarray(0, 7001)), ...chunker.push(bytes.subarray(7001))];
    const ended = lengths.reduce((sum, length) => sum + length, 0);
    assertEquals(chunker.pending, bytes.length - ended);
    assertEquals([...lengths, chunker.finish()], expected);
    assertEquals([chunker.pending, chunker.finish()], [0, 0]);
  }
  assertEquals([...chunkLengths({ avgBytes: 1024 }, new Uint8Array(0))], []);
});

Deno.test("bytes may be a view into anything", () => {
  const bytes = noise(20_001);
  const shared = new Uint8Array(new SharedArrayBuffer(20_011), 3, 20_001);
  shared.set(bytes);
  const expected = [...chunkLengths({ avgBytes: 1024 }, bytes)];
  assertEquals([...chunkLengths({ avgBytes: 1024 }, shared)], expected);
  assertEquals([...chunkLengths({ avgBytes: 1024 }, Buffer.from(bytes))], expected);
});

Deno.test("threads that cut shared bytes with seeds of their own find what one alone finds", async () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(300_001));
  bytes.set(noise(bytes.length));
  const all = [1, 2].map((seed) => ({ avgBytes: 4096, seed }));
  using workers = await TestWorkers.start(new URL("./_fastcdc_test_worker.ts", import.meta.url), all.length);
  assertEquals(
    await workers.ask((i) => ({ params: all[i], bytes })),
    all.map((params) => referenceLengths(params, bytes).join(" ")),
  );
});
