// Brotli and raw deflate: streams that tell their own end, from peers that are not trusted.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, ByteBudget, Code } from "@brokkr/common";
import fc from "fast-check";
import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  deflateRawSync,
  inflateRawSync,
} from "node:zlib";
import { noise } from "../services/_test_server.ts";
import { BrotliInflater } from "./_brotli.ts";
import { BitWriter, everyWord, loadDictionary } from "./_brotli_dictionary.ts";
import { cutAt, join, piped, prose } from "./_testing.ts";
import {
  type BlobCompressor,
  compress,
  compressWhole,
  decompress,
  type DecompressOptions,
  decompressWhole,
} from "./mod.ts";

const MIB = 1 << 20;

/** What is the same for both. */
const FORMATS: readonly {
  readonly compressor: BlobCompressor;
  readonly pack: (data: Uint8Array, level: number, window?: number) => Uint8Array;
  readonly unpack: (data: Uint8Array) => Uint8Array;
  readonly empty: readonly number[];
  readonly levels: number;
}[] = [
  {
    compressor: "brotli",
    pack: (data, level, window = 18) =>
      new Uint8Array(brotliCompressSync(data, {
        params: { [constants.BROTLI_PARAM_QUALITY]: level, [constants.BROTLI_PARAM_LGWIN]: window },
      })),
    unpack: (data) => new Uint8Array(brotliDecompressSync(data)),
    empty: [6],
    levels: 11,
  },
  {
    compressor: "deflate",
    pack: (data, level) => new Uint8Array(deflateRawSync(data, { level })),
    unpack: (data) => new Uint8Array(inflateRawSync(data)),
    empty: [3, 0],
    levels: 9,
  },
];

async function unpack(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): Promise<Uint8Array> {
  return join(await Array.fromAsync(decompress(pieces, options)));
}

for (const { compressor, pack, unpack: nodeUnpack, empty, levels } of FORMATS) {
  /** Must be refused with `words`, in one piece and in single bytes. */
  const refused = async (data: Uint8Array, sizeBytes: number, words: string, about = words) => {
    const ways = [
      () => decompressWhole(data, { compressor, sizeBytes }),
      () =>
        unpack(data.length > 5000 ? [data] : Array.from(data, (byte) => Uint8Array.of(byte)), {
          compressor,
          sizeBytes,
        }),
    ];
    for (const way of ways) {
      const error = await assertRejects(way, BrokkrError, words, about);
      assertEquals(error.code, Code.INVALID_ARGUMENT, about);
      assert(error.message.startsWith(`The ${compressor} data `), error.message);
    }
  };

  Deno.test(`${compressor}: any blob comes back whole, at any level, cut into any pieces`, async () => {
    const seed = Date.now() & 0xffffffff;
    console.log(`seed ${seed}`);
    const blob = fc.record({
      bytes: fc.oneof(fc.nat(300), fc.nat(200_000)),
      seed: fc.nat(1000),
      random: fc.boolean(),
      level: fc.integer({ min: 0, max: levels }),
      window: fc.integer({ min: 10, max: 24 }),
    });
    await fc.assert(
      fc.asyncProperty(
        blob,
        fc.array(fc.nat(200_000)),
        async ({ bytes, seed, random, level, window }, cuts) => {
          const data = join([(random ? noise : prose)(bytes, seed), prose(bytes % 999, seed)]);
          const packed = pack(data, level, window);
          const sizeBytes = data.length;
          assertEquals(
            await unpack(cutAt(packed, cuts.map((cut) => cut % packed.length)), { compressor, sizeBytes }),
            data,
          );
          assertEquals(await decompressWhole(packed, { compressor, sizeBytes }), data);
        },
      ),
      { seed, numRuns: 60 },
    );
  });

  Deno.test(`${compressor}: what is compressed here others read, whatever the size and the pieces`, async () => {
    for (const length of [0, 1, 100, 65_536, 131_072, 262_145, 3 * MIB + 5]) {
      for (const data of [prose(length), noise(length), new Uint8Array(length)]) {
        const packed = join(await Array.fromAsync(compress(cutAt(data, [7, 70_000, MIB]), { compressor })));
        assertEquals(nodeUnpack(packed), data);
        assertEquals(nodeUnpack(await compressWhole(data, { compressor })), data);
        assertEquals(await unpack([packed], { compressor, sizeBytes: length }), data);
        assert(packed.length <= length + length / 128 + 512, `${length} became ${packed.length}`);
      }
    }
    await assertRejects(
      () => Array.fromAsync(compress([noise(100)], { compressor, sizeBytes: 99 })),
      RangeError,
    );
  });

  Deno.test(`${compressor}: data cut short anywhere, or with something behind, is refused`, async () => {
    const data = prose(900);
    const whole = pack(data, 9);
    await refused(whole.subarray(0, 0), 900, "is empty; even the empty blob takes");
    for (let length = 1; length < whole.length; length++) {
      await refused(whole.subarray(0, length), 900, "is cut short after", `${length} of ${whole.length}`);
    }
    for (const behind of [Uint8Array.of(0), noise(7), whole]) {
      await refused(join([whole, behind]), 900, `goes on after its end at byte ${whole.length}`);
    }
    await refused(whole, 901, "decompresses to 900 bytes where 901 are expected");
    await refused(whole, 899, "decompresses to more than 899 bytes");
    await refused(whole, 0, "decompresses to more than 0 bytes");
    await refused(Uint8Array.from(empty), 1, "decompresses to 0 bytes where 1 are expected");
    assertEquals((await unpack([Uint8Array.from(empty)], { compressor, sizeBytes: 0 })).length, 0);
    await refused(new Uint8Array(200_000), 500, "has more than 66536 bytes, too many for 500");
  });

  Deno.test(`${compressor}: garbage and damage are refused or give data of the right size, and nothing else`, async () => {
    const seed = Date.now() & 0xffff;
    console.log(`seed ${seed}`);
    const bases = [prose(300, 1), prose(6000, 2), prose(200_000, 3)].flatMap((data) =>
      [1, 5, 9].map((level) => ({ data, packed: pack(data, level) }))
    );
    const random = new DataView(noise(48_000, seed + 1).buffer);
    let refusals = 0;
    for (let at = 0; at + 32 <= random.byteLength; at += 32) {
      const { data, packed } = bases[at / 32 % bases.length];
      let bad = at % 128 === 0 ? noise(1 + at % 500, at + seed) : packed.slice();
      for (let change = 0; change < 1 + random.getUint8(at) % 3; change++) {
        const where = random.getUint32(at + 4 + 8 * change) % bad.length;
        const what = random.getUint8(at + 8 + 8 * change);
        if (what < 160) bad[where] ^= 1 << (what & 7);
        else if (what < 200) bad = bad.slice(0, where + 1);
        else bad.copyWithin(where, random.getUint16(at + 2) % bad.length);
      }
      try {
        const sizeBytes = data.length;
        assertEquals(
          (await unpack(cutAt(bad, [bad.length >> 1]), { compressor, sizeBytes })).length,
          sizeBytes,
          `${at}`,
        );
      } catch (error) {
        assert(error instanceof BrokkrError, `${at}: ${error}`);
        assertEquals(error.code, Code.INVALID_ARGUMENT, `${at}: ${error}`);
        refusals++;
      }
    }
    assert(refusals > 500, `${refusals}`);
  });

  Deno.test(`${compressor}: a bomb stops at the size that was promised, and holds no more than it may`, async () => {
    const bomb = pack(new Uint8Array(32 * MIB), 5, 24);
    const budget = new ByteBudget(40 * MIB);
    for (const sizeBytes of [1000, 300_000, 10 * MIB]) {
      let bytes = 0;
      const error = await assertRejects(async () => {
        for await (const piece of decompress([bomb], { compressor, sizeBytes, budget })) {
          bytes += piece.length;
          assert(budget.usedBytes > 0 && budget.usedBytes <= 20 * MIB, `${budget.usedBytes}`);
        }
      }, BrokkrError);
      assert(
        error.message.includes(`decompresses to more than ${sizeBytes}`) ||
          error.message.includes("more than"),
      );
      assert(bytes <= sizeBytes, `${bytes} of ${sizeBytes}`);
      assertEquals(budget.usedBytes, 0);
    }
    for await (const _ of decompress([bomb], { compressor, sizeBytes: 32 * MIB, budget })) break;
    assertEquals(budget.usedBytes, 0);
    const held = budget.tryAcquire(40 * MIB);
    const abort = new AbortController();
    const waiting = unpack([bomb], { compressor, sizeBytes: 32 * MIB, budget, signal: abort.signal });
    abort.abort(new BrokkrError(Code.CANCELLED, "The client left"));
    await assertRejects(() => waiting, BrokkrError, "The client left");
    held?.release();
    assertEquals(budget.usedBytes, 0);
  });

  Deno.test(`${compressor}: the event loop turns while much is decompressed`, async () => {
    const packed = pack(new Uint8Array(64 * MIB), 5, 22);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    let bytes = 0;
    for await (const piece of decompress([packed], { compressor, sizeBytes: 64 * MIB })) {
      bytes += piece.length;
    }
    clearInterval(timer);
    assertEquals(bytes, 64 * MIB);
    assert(turns >= 2, `${turns} turns`);
  });

  Deno.test(`${compressor}: the event loop turns while data come in single bytes, all of them at once`, async () => {
    const packed = pack(noise(300_000), 5);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const bytes = (function* () {
      for (let at = 0; at < packed.length; at++) yield packed.subarray(at, at + 1);
    })();
    const whole = await unpack(bytes, { compressor, sizeBytes: 300_000 });
    clearInterval(timer);
    assertEquals(whole.length, 300_000);
    assert(turns >= 2, `${turns} turns`);
  });
}

Deno.test("deflate: Python's zlib reads what is made here, and the other way round", async () => {
  const python = Deno.env.get("BROKKR_TEST_PYTHON") ?? "python3";
  const program = (
    body: string,
  ) => ["-c", `import sys, zlib\nd = sys.stdin.buffer.read()\nsys.stdout.buffer.write(${body})`];
  const data = join([prose(300_000), noise(50_000), new Uint8Array(100_000)]);
  const packed = await piped(
    python,
    program("(lambda c: c.compress(d) + c.flush())(zlib.compressobj(9, zlib.DEFLATED, -15))"),
    data,
  );
  if (packed === undefined) return console.log("skipped: Python is not installed");
  assertEquals(await unpack([packed], { compressor: "deflate", sizeBytes: data.length }), data);
  const made = await compressWhole(data, { compressor: "deflate" });
  assertEquals(await piped(python, program("zlib.decompress(d, -15)"), made), data);
});

Deno.test("brotli: the program brotli reads what is made here, and the other way round", async (t) => {
  const data = join([
    prose(300_000),
    noise(50_000),
    new Uint8Array(100_000),
    new TextEncoder().encode("naïve £ — ".repeat(99)),
  ]);
  if (await piped("brotli", ["-c"], new Uint8Array(1)) === undefined) {
    return console.log("skipped: the program brotli is not installed");
  }
  for (const args of ["-q 0", "-q 5", "-q 9 -w 10", "-q 11", "-q 11 -w 24", "-w 24 -q 3"]) {
    await t.step(args, async () => {
      const packed = await piped("brotli", ["-c", ...args.split(" ")], data);
      assert(packed !== undefined);
      assertEquals(
        await unpack(cutAt(packed, [1, 6, 1000, 1001]), { compressor: "brotli", sizeBytes: data.length }),
        data,
      );
    });
  }
  assertEquals(await piped("brotli", ["-dc"], await compressWhole(data, { compressor: "brotli" })), data);
  const large = await piped("brotli", ["-c", "--large_window=26", "-q", "5"], data);
  assert(large !== undefined);
  await assertRejects(
    () => unpack([large], { compressor: "brotli", sizeBytes: data.length }),
    BrokkrError,
    'needs a "large window", which RFC 7932 has not; at most 16777216 bytes are taken',
  );
});

Deno.test("brotli: every word of the dictionary comes under every transform that keeps its length", async () => {
  const words = await loadDictionary();
  // Identity, a capital in front, all capitals; the others add or omit.
  for (const transform of [0, 9, 44]) {
    const stream = everyWord(transform);
    const got = await unpack([stream], { compressor: "brotli", sizeBytes: words.length });
    assertEquals(got, new Uint8Array(brotliDecompressSync(stream)), `${transform}`);
  }
});

Deno.test("brotli: a distance below one is refused", async () => {
  // Window 1 KiB; one block of 6 bytes: each command inserts a letter and copies 2 bytes from the last distance less 3,
  // which is 1 for the first command and -2 for the second.
  const out = new BitWriter();
  const fields = [[0x21, 7], [0b01, 2], [0, 2], [5, 16], [0, 3 + 6 + 2 + 2]];
  for (const [value, bits] of [...fields, [1, 4], [65, 8], [1, 4], [136, 10], [1, 4], [8, 6]]) {
    out.put(value, bits);
  }
  await assertRejects(
    () => unpack([out.bytes()], { compressor: "brotli", sizeBytes: 6 }),
    BrokkrError,
    "The brotli data copies from a distance below one",
  );
});

Deno.test("brotli: meta-blocks of a letter each, full of codes and contexts, come in many short steps", async () => {
  // Each has 256 types of literals with 64 contexts, and 256 codes, in a KiB: much work for a byte of output.
  const out = new BitWriter();
  out.put(0b0011, 4); // a window of 256 KiB
  for (let letter = 0; letter < 40; letter++) {
    for (const [value, bits] of [[0, 1 + 2], [0, 16], [0, 1]]) out.put(value, bits); // MLEN 1
    const types = [[1, 1], [7, 3], [127, 7]];
    // 256 types of literals, blocks of one letter, one type of the others, no direct distances, all modes 0.
    for (const [value, bits] of [...types, [1, 4], [0, 9], [1, 4], [0, 5], [0, 2], [0, 2], [0, 6]]) {
      out.put(value, bits);
    }
    for (let type = 0; type < 256; type++) out.put(0, 2);
    // 256 codes, one run of 16,384 contexts, moved to front; one code of distances.
    for (const [value, bits] of [...types, [1, 1], [13, 4], [1, 4], [14, 9], [0, 14], [1, 1], [0, 1]]) {
      out.put(value, bits);
    }
    for (let code = 0; code < 256; code++) {
      out.put(1, 4);
      out.put(65, 8);
    }
    for (const [value, bits] of [[1, 4], [136, 10], [1, 4], [0, 6]]) out.put(value, bits);
  }
  out.put(3, 2); // the end
  const inflater = new BrotliInflater(40, await loadDictionary());
  inflater.add(out.bytes());
  let steps = 1;
  while (inflater.run(1 << 17, 1 << 15) === "more") steps++;
  assertEquals([inflater.ended, new TextDecoder().decode(inflater.output())], [true, "A".repeat(40)]);
  assert(steps > 100, `${steps}`);
});
