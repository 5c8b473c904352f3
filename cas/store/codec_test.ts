import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { decompressWhole } from "@brokkr/cas/compression";
import fc from "fast-check";
import zlib from "node:zlib";
import { join, prose, zstdCli } from "../compression/_testing.ts";
import { BLAKE3, digestOf, SHA256 } from "../digest.ts";
import { noise } from "../services/_test_server.ts";
import { looksPacked, MIN_PACKED_BYTES, packChecked, packRecord, unpackRecord } from "./_codec.ts";
import { MAX_RECORD_DATA, recordBytes } from "./_record.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;

/** Numbers as a program in C++ has them in its tables. */
const table = (bytes: number) =>
  new Uint8Array(Uint32Array.from({ length: bytes >> 2 }, (_, i) => i * 12).buffer);
/** A Directory message: names, and hashes in hex. */
function directory(files: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < files; i++) {
    const name = new TextEncoder().encode(`source_${i * 31 % 97}.cc`);
    const hash = new TextEncoder().encode(noise(32, i + 1).toHex());
    const digest = [0x0a, 64, ...hash, 0x10, 0x80 | (i & 127), 1 + i % 100];
    const node = [0x0a, name.length, ...name, 0x12, digest.length, ...digest];
    parts.push(Uint8Array.from([0x0a, node.length, ...node]));
  }
  return join(parts);
}

const json = new TextEncoder().encode(
  JSON.stringify(Array.from({ length: 30_000 }, (_, id) => ({ id, path: `/out/${id * 7919 % 30_011}.o` }))),
);
/** Machine code: that of this Deno. */
async function machineCode(): Promise<Uint8Array> {
  using file = await Deno.open(Deno.execPath());
  const code = new Uint8Array(MIB);
  await file.seek(Math.floor((await file.stat()).size / 2), Deno.SeekMode.Start);
  await file.read(code);
  return code;
}

const DATA: readonly { name: string; make: () => Uint8Array | Promise<Uint8Array>; packed: boolean }[] = [
  { name: "noise", make: () => noise(MIB, 7), packed: true },
  { name: "gzip", make: () => zlib.gzipSync(prose(2 * MIB)), packed: true },
  { name: "zstd", make: () => zlib.zstdCompressSync(prose(2 * MIB)), packed: true },
  { name: "brotli", make: () => zlib.brotliCompressSync(prose(MIB), { params: { 1: 5 } }), packed: true },
  { name: "deflated machine code", make: async () => zlib.deflateRawSync(await machineCode()), packed: true },
  { name: "prose", make: () => prose(MIB), packed: false },
  { name: "machine code", make: machineCode, packed: false },
  { name: "JSON", make: () => json, packed: false },
  { name: "Directory messages", make: () => directory(4000), packed: false },
  { name: "hex", make: () => new TextEncoder().encode(noise(200_000, 3).toHex()), packed: false },
  { name: "base64", make: () => new TextEncoder().encode(noise(200_000, 3).toBase64()), packed: false },
  { name: "a table of numbers", make: () => table(MIB), packed: false },
  { name: "zeros", make: () => new Uint8Array(MIB), packed: false },
];

for (const { name, make, packed } of DATA) {
  Deno.test(`looksPacked tells ${name} for ${packed ? "packed" : "worth compressing"}`, async () => {
    const data = await make();
    assert(data.length >= 64 * KIB, `${data.length}`);
    for (const size of [MIN_PACKED_BYTES, KIB, 4 * KIB, 64 * KIB, data.length]) {
      let wrong = 0;
      let looks = 0;
      for (let at = 0; at + size <= data.length && looks < 200; at += size, looks++) {
        const part = data.subarray(at, at + size);
        if (looksPacked(part) === packed) continue;
        // Machine code has tables of noise: then zstd saves nothing, either.
        if (packed || zlib.zstdCompressSync(part).length < size * 7 / 8) wrong++;
      }
      assert(wrong <= looks / 20, `${wrong} of ${looks} pieces of ${size} bytes`);
    }
  });
}

Deno.test("looksPacked judges bytes wherever they lie, and is not led by how a blob begins", () => {
  const text = prose(MIB);
  const random = noise(MIB, 5);
  assert(!looksPacked(join([random.subarray(0, 64 * KIB), text])));
  assert(looksPacked(join([text.subarray(0, 4 * KIB), random])));
  const whole = noise(10_000, 9);
  assertEquals(looksPacked(whole.subarray(1, 9_000)), true);
  assertEquals(
    [0, 1, 2, 100].map((length) => typeof looksPacked(whole.subarray(0, length))),
    Array(4).fill("boolean"),
  );
});

Deno.test("packRecord makes one frame with its size, which any decoder takes, or leaves a blob as it is", async () => {
  let kept = 0;
  for (const length of [0, 1, 255, 256, 511, 512, 513, 4 * KIB, 65_791, 65_792, 65_793, 256 * KIB, MIB]) {
    for (const data of [prose(length), noise(length, 11), new Uint8Array(length), table(length)]) {
      const frame = packRecord(data)?.slice();
      if (frame === undefined) continue;
      kept++;
      assert(length >= MIN_PACKED_BYTES);
      assert(8 * recordBytes(32, frame.length) <= 7 * recordBytes(32, data.length), `${length}`);
      assertEquals(unpackRecord(frame, data.length), data);
      assertEquals(new Uint8Array(zlib.zstdDecompressSync(frame)), data);
      assertEquals(await decompressWhole(frame, { sizeBytes: data.length }), data);
    }
  }
  assert(kept > 20, `${kept}`);
  const data = prose(300_000);
  const frame = packRecord(data)?.slice() ?? new Uint8Array();
  const told = await zstdCli(frame, "-d");
  if (told !== undefined) assertEquals(new Uint8Array(told), data);
});

Deno.test("packRecord refuses what no record holds", () => {
  assertThrows(() => packRecord(prose(MAX_RECORD_DATA + 1)), RangeError);
  // And goes on with the next.
  assertEquals(unpackRecord(packRecord(prose(1000)) ?? new Uint8Array(), 1000), prose(1000));
});

Deno.test("Any blob comes back from packRecord as it was, whatever was packed before", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.tuple(fc.nat(255), fc.nat(20_000)).map(([value, length]) => new Uint8Array(length).fill(value)),
    fc.tuple(fc.nat(200_000), fc.nat(1000)).map(([length, seed]) => prose(length, seed)),
    fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 1000 })).map(([length, seed]) => noise(length, seed)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
      const data = join(pieces);
      const frame = packRecord(data);
      if (frame !== undefined) assertEquals(unpackRecord(frame, data.length), data);
    }),
    { numRuns: 200 },
  );
});

Deno.test("unpackRecord refuses damage in words, and goes on with the next frame", () => {
  const data = prose(30_000);
  const frame = packRecord(data)?.slice() ?? new Uint8Array();
  const bads: Uint8Array[] = [
    new Uint8Array(0),
    frame.subarray(0, frame.length - 1),
    join([frame, frame]),
    join([frame, Uint8Array.of(0)]),
    data,
    new Uint8Array(zlib.zstdCompressSync(noise(300, 3))),
  ];
  for (const bad of bads) assertThrows(() => unpackRecord(bad, data.length), Error);
  for (const size of [0, 1, data.length - 1, data.length + 1, MAX_RECORD_DATA]) {
    assertThrows(() => unpackRecord(frame, size), Error);
  }
  assertEquals(unpackRecord(frame, data.length), data);
});

Deno.test("A frame with any bit turned is refused or gives other bytes of the same size, and nothing ends the process", () => {
  const frames = [prose(600, 1), prose(70_000, 2), new Uint8Array(MIB)].map((data) => ({
    data,
    frame: packRecord(data)?.slice() ?? new Uint8Array(),
  }));
  fc.assert(
    fc.property(
      fc.nat(frames.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 3 }),
      (which, flips) => {
        const { data, frame } = frames[which];
        const bad = frame.slice();
        for (const [at, bit] of flips) bad[at % bad.length] ^= 1 << bit;
        let back: Uint8Array;
        try {
          back = unpackRecord(bad, data.length);
        } catch (error) {
          assert(error instanceof Error && !(error instanceof TypeError), `${error}`);
          return;
        }
        assertEquals(back.length, data.length);
      },
    ),
    { numRuns: 500 },
  );
  for (const { data, frame } of frames) assertEquals(unpackRecord(frame, data.length), data);
});

Deno.test("packChecked compresses what has its hash, however many come at once", async () => {
  const blobs = [100, 700, 4 * KIB, 64 * KIB, 64 * KIB + 1, 200 * KIB, MIB - 1, MIB].flatMap((length) =>
    Array.from({ length: 5 }, (_, seed) => seed === 4 ? noise(length, 3) : prose(length, seed))
  );
  for (const fn of [SHA256, BLAKE3]) {
    let turns = 0;
    let over = false;
    const count = () => {
      turns++;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    const frames = await Promise.all(blobs.map((data) => packChecked(digestOf(fn, data), data)));
    over = true;
    for (const [i, frame] of frames.entries()) {
      const data = blobs[i];
      assertEquals(frame !== undefined, data.length >= MIN_PACKED_BYTES && i % 5 !== 4, `${i}`);
      if (frame !== undefined) assertEquals(unpackRecord(frame, data.length), data);
    }
    // Ten MiB of prose are a twentieth of a second: others had their turns meanwhile.
    assert(turns > 10, `${turns} turns`);
  }
});

Deno.test("packChecked refuses data that has another hash, or gets one meanwhile", async () => {
  for (const length of [1000, 100_000, MIB]) {
    const data = prose(length);
    const digest = digestOf(SHA256, prose(length, 2));
    const error = await assertRejects(async () => await packChecked(digest, data), BrokkrError);
    assertEquals(error.code, Code.INVALID_ARGUMENT);
    assertEquals(unpackRecord(await packChecked(digestOf(SHA256, data), data) ?? data, length), data);
  }
  const data = prose(MIB);
  const busy = packChecked(digestOf(SHA256, data), data);
  const changing = prose(MIB, 3);
  const packing = packChecked(digestOf(SHA256, changing), changing);
  changing.fill(65);
  await assertRejects(async () => await packing, BrokkrError);
  assert(await busy !== undefined);
});
