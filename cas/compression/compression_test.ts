import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, ByteBudget, Code } from "@brokkr/common";
import fc from "fast-check";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { noise } from "../services/_test_server.ts";
import { block, cutAt, frame, join, prose, skippable, zstdCli } from "./_testing.ts";
import { FrameScanner } from "./_frames.ts";
import { loadZlib } from "./_zlib.ts";
import { decompressFrame } from "./zstd_decoder.ts";
import {
  compress,
  compressWhole,
  decompress,
  type DecompressOptions,
  decompressWhole,
  openDecoder,
} from "./mod.ts";

const MIB = 1 << 20;

function pack(data: Uint8Array, level = 3, checksum = false): Uint8Array {
  return zstdCompressSync(data, {
    chunkSize: data.length + 1024,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0 },
  });
}

async function unpack(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of decompress(pieces, options)) parts.push(part);
  return join(parts);
}

/** Both ways to decompress must refuse `data` with `words`. */
async function refused(data: Uint8Array, sizeBytes: number, words: string, about = words): Promise<void> {
  for (const way of [() => unpack([data], { sizeBytes }), () => decompressWhole(data, { sizeBytes })]) {
    const error = await assertRejects(way, BrokkrError, words, about);
    assertEquals(error.code, Code.INVALID_ARGUMENT, about);
    assert(error.message.startsWith("The zstd data "), error.message);
  }
}

Deno.test("Any blob comes back whole, at any level, in several frames, cut into any pieces", async () => {
  const options = { seed: Date.now() & 0xffffffff, numRuns: 150 };
  console.log(`seed ${options.seed}`);
  const piece = fc.record({
    bytes: fc.oneof(fc.nat(300), fc.nat(400_000)),
    seed: fc.nat(1000),
    random: fc.boolean(),
    level: fc.integer({ min: 1, max: 19 }),
    checksum: fc.boolean(),
    skip: fc.option(fc.record({ bytes: fc.nat(100), kind: fc.nat(15) })),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(500_000)),
      async (pieces, cuts) => {
        const plain = pieces.map((each) => (each.random ? noise : prose)(each.bytes, each.seed));
        const packed = join(pieces.flatMap((each, i) => [
          ...(each.skip === null ? [] : [skippable(each.skip.bytes, each.skip.kind)]),
          pack(plain[i], each.level, each.checksum),
        ]));
        const data = join(plain);
        const sizeBytes = data.length;
        assertEquals(await unpack(cutAt(packed, cuts), { sizeBytes }), data);
        assertEquals(await decompressWhole(packed, { sizeBytes }), data);
      },
    ),
    options,
  );
});

Deno.test("What is compressed here is one frame that others read, whatever the size and the pieces", async () => {
  for (const length of [0, 1, 100, 65_536, 131_072, 262_143, 262_144, 262_145, 3 * MIB + 5]) {
    for (const data of [prose(length), noise(length), new Uint8Array(length)]) {
      for (const sizeBytes of [length, undefined]) {
        const packed = join(await Array.fromAsync(compress(cutAt(data, [7, 70_000, MIB]), { sizeBytes })));
        // The binding reads one frame and drops the rest, so that this shows both.
        assertEquals(new Uint8Array(zstdDecompressSync(packed)), data);
        assertEquals(await unpack([packed], { sizeBytes: length }), data);
        assert(packed.length <= length + length / 128 + 512, `${length} became ${packed.length}`);
      }
      assertEquals(new Uint8Array(zstdDecompressSync(await compressWhole(data))), data);
    }
  }
});

Deno.test("What ends on the end of a buffer is still one frame", async () => {
  // Random data leave the buffer filled to the byte at one of these lengths.
  for (let length = 261_600; length < 262_300; length++) {
    const data = noise(length, 3);
    let frames = 0;
    const packed = join(await Array.fromAsync(compress([data])));
    for (let at = packed.indexOf(0x28); at >= 0; at = packed.indexOf(0x28, at + 1)) {
      if (packed[at + 1] === 0xb5 && packed[at + 2] === 0x2f && packed[at + 3] === 0xfd) frames++;
    }
    assertEquals(frames, 1, `${length}`);
    if (length % 100 === 0) assertEquals(await unpack([packed], { sizeBytes: length }), data);
  }
});

Deno.test("What the program zstd makes is read, and it reads what is made here", async (t) => {
  const data = join([prose(600_000), noise(200_000), new Uint8Array(400_000), prose(5000, 9)]);
  if (await zstdCli(new Uint8Array(1)) === undefined) {
    console.log("skipped: the program zstd is not installed");
    return;
  }
  const cases = ["-1", "-3", "-9", "-19", "-3 --no-check", "-3 --long=23", "-5 -T2 -B100KB", "--fast=5"];
  for (const args of [...cases, "-19 --single-thread", "-1 --stream-size=1205000"]) {
    await t.step(args, async () => {
      const packed = await zstdCli(data, ...args.split(" "));
      assert(packed !== undefined);
      assertEquals(await unpack(cutAt(packed, [1, 6, 1000, 1001, 90_000]), { sizeBytes: data.length }), data);
    });
  }
  for (const made of [await compressWhole(data), join(await Array.fromAsync(compress([data])))]) {
    assertEquals(await zstdCli(made, "-d"), data);
  }
});

Deno.test("Data cut short anywhere is refused", async () => {
  const data = prose(900);
  const whole = join([pack(data, 3, true), skippable(20), pack(data)]);
  const cutOk = new Set([pack(data, 3, true).length, pack(data, 3, true).length + 28]);
  for (let length = 0; length < whole.length; length++) {
    const words = cutOk.has(length)
      ? "decompresses to 900 bytes where 1800 are expected"
      : length === 0
      ? "is empty; even the empty blob takes a frame"
      : "ends inside";
    await refused(whole.subarray(0, length), 1800, words, `${length} of ${whole.length}`);
  }
  assertEquals(await unpack([whole], { sizeBytes: 1800 }), join([data, data]));
});

Deno.test("A flipped bit never gives other data than was compressed under a checksum, nor another error", async () => {
  const data = prose(700);
  const whole = pack(data, 3, true);
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = whole.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    const ways = [unpack, (pieces: Uint8Array[]) => decompressWhole(pieces[0], { sizeBytes: 700 })];
    for (const way of ways) {
      try {
        assertEquals(await way([flipped], { sizeBytes: 700 }), data);
      } catch (error) {
        assert(error instanceof BrokkrError, `bit ${bit}: ${error}`);
        assertEquals(error.code, Code.INVALID_ARGUMENT, `bit ${bit}: ${error}`);
      }
    }
  }
});

Deno.test("What is no zstd, or wants too much, is refused by name", async () => {
  const data = prose(500);
  const good = pack(data);
  const sized = frame({ descriptor: 0x60, header: [500 - 256, 0], body: [...block(500, 1, true), 65] });
  const cases: readonly (readonly [Uint8Array, number, string])[] = [
    [new TextEncoder().encode("plain text, not compressed"), 500, "does not begin with a zstd frame"],
    [join([good, new Uint8Array(1)]), 500, "goes on after a frame with what is no frame"],
    [join([good, frame().subarray(0, 3)]), 500, "ends inside its magic number of frame 2"],
    [join([good, new Uint8Array(4)]), 500, "goes on after a frame with what is no frame"],
    [join([good, good]), 500, "decompresses to more than 500 bytes"],
    [good, 499, "decompresses to more than 499 bytes"],
    [join([sized, sized]), 500, "promises 1000 bytes where 500 are expected"],
    [sized, 499, "promises 500 bytes where 499 are expected"],
    [sized, 501, "decompresses to 500 bytes where 501 are expected"],
    [good, 501, "decompresses to 500 bytes where 501 are expected"],
    [skippable(4), 500, "decompresses to 0 bytes where 500 are expected"],
    // Windows: log 31, the largest there is, and one step above what is taken.
    [frame({ header: [(31 - 10) << 3] }), 500, "needs a window of 2147483648 bytes"],
    [frame({ header: [0xff] }), 500, "needs a window of 4123168604160 bytes"],
    [frame({ header: [(23 - 10) << 3 | 1] }), 500, "needs a window of 9437184 bytes"],
    [frame({ descriptor: 0xe0, header: [0, 0, 0, 0, 1, 0, 0, 0] }), 2 ** 33, "needs a window of 4294967296"],
    [frame({ descriptor: 1, header: [0, 77] }), 500, "needs the dictionary 77; send it without one"],
    [frame({ descriptor: 3, header: [0, 1, 0, 0, 1] }), 500, "needs the dictionary 16777217"],
    [frame({ descriptor: 8 }), 500, "has a reserved bit set"],
    [frame({ body: block(0, 3, true) }), 500, "has a block of the reserved type"],
    [frame({ body: block(1025, 0, true) }), 500, "has a block of 1025 bytes where at most 1024 are allowed"],
    [frame({ header: [13 << 3], body: block(MIB, 1, true) }), 500, "where at most 131072 are allowed"],
    [join(Array.from({ length: 70 }, () => frame())), 500, "holds more than 64 frames"],
    [skippable(200_000), 500, "has more than 66536 bytes, too many for 500"],
  ];
  for (const [bytes, sizeBytes, words] of cases) await refused(bytes, sizeBytes, words);
  // Up to the limit they are taken.
  const sixty = join(Array.from({ length: 64 }, () => frame()));
  assertEquals((await unpack([sixty], { sizeBytes: 0 })).length, 0);
  const widest = frame({ header: [(23 - 10) << 3], body: [...block(500, 1, true), 65] });
  assertEquals(await unpack([widest], { sizeBytes: 500 }), new Uint8Array(500).fill(65));
});

/** A frame of a few KiB that decompresses to `blocks` times 128 KiB, and does not say so. */
function bomb(blocks: number): Uint8Array {
  const body: number[] = [];
  for (let i = 1; i <= blocks; i++) body.push(...block(128 << 10, 1, i === blocks), 0);
  return frame({ header: [13 << 3], body });
}

Deno.test("A bomb stops right after the size that was promised for it", async () => {
  const gib = bomb(8192);
  assert(gib.length < 40_000);
  await refused(gib, 0, "decompresses to more than 0 bytes");
  await refused(gib, 1000, "decompresses to more than 1000 bytes");
  await refused(gib, 300_000, "decompresses to more than 300000 bytes");
  using decoder = await openDecoder({ sizeBytes: 10 * MIB });
  await assertRejects(
    async () => {
      for await (const _ of decoder.decode(gib));
    },
    BrokkrError,
    "decompresses to more than 10485760 bytes",
  );
  assert(decoder.outputBytes <= 10 * MIB + 256 * 1024, `${decoder.outputBytes}`);
});

Deno.test("What is not pulled is not decompressed, and what is abandoned gives its budget back", async () => {
  const gib = bomb(8192);
  const budget = new ByteBudget(64 * MIB);
  const resident = Deno.memoryUsage().rss;
  for (let round = 0; round < 20; round++) {
    let bytes = 0;
    for await (const piece of decompress([gib], { sizeBytes: 2 ** 30, budget })) {
      bytes += piece.length;
      assertEquals(budget.usedBytes, 8 * MIB + 512 * 1024);
      if (bytes >= MIB) break;
    }
    assertEquals(budget.usedBytes, 0);
  }
  const grown = Deno.memoryUsage().rss - resident;
  assert(grown < 128 * MIB, `grew by ${grown} bytes`);
});

Deno.test("A wait for the budget, and work under way, end with the call", async () => {
  const budget = new ByteBudget(10 * MIB);
  const held = budget.tryAcquire(9 * MIB);
  assert(held !== undefined);
  const controller = new AbortController();
  const packed = bomb(8192);
  const reading = unpack([packed], { sizeBytes: 2 ** 30, budget, signal: controller.signal });
  controller.abort(new BrokkrError(Code.CANCELLED, "The client left"));
  await assertRejects(() => reading, BrokkrError, "The client left");
  held.release();
  assertEquals(budget.usedBytes, 0);
  const small = new ByteBudget(MIB);
  const error = await assertRejects(
    () => unpack([packed], { sizeBytes: 2 ** 30, budget: small }),
    BrokkrError,
  );
  assertEquals(error.code, Code.RESOURCE_EXHAUSTED);

  const other = new AbortController();
  let pieces = 0;
  await assertRejects(
    async () => {
      for await (const _ of decompress([packed], { sizeBytes: 2 ** 30, budget, signal: other.signal })) {
        if (pieces++ === 3) other.abort(new BrokkrError(Code.CANCELLED, "Enough"));
      }
    },
    BrokkrError,
    "Enough",
  );
  assertEquals(budget.usedBytes, 0);
});

Deno.test("An abandoned compressor gives its budget back, and pulls no more than it needs", async () => {
  const budget = new ByteBudget(4 * MIB);
  let pulled = 0;
  async function* endless() {
    for (;;) {
      pulled++;
      yield await Promise.resolve(noise(256 << 10, pulled));
    }
  }
  for await (const piece of compress(endless(), { budget })) {
    assert(piece.length > 0 && budget.usedBytes > 0);
    break;
  }
  assertEquals(budget.usedBytes, 0);
  assert(pulled <= 3, `${pulled}`);
});

Deno.test("The event loop turns while much is decompressed", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  let bytes = 0;
  for await (const piece of decompress([bomb(4096)], { sizeBytes: 2 ** 29 })) bytes += piece.length;
  clearInterval(timer);
  assertEquals(bytes, 2 ** 29);
  assert(turns >= 5, `${turns} turns`);
});

Deno.test("The event loop turns while a frame of countless blocks is decompressed, however small its blob", async () => {
  const made = (type: number) => {
    const body: number[] = [];
    const one = [...block(type, type, false), ...(type === 1 ? [65] : [])];
    while (body.length < 120_000) body.push(...one);
    const count = body.length / one.length;
    body.push(...block(1, 1, true), 65);
    return { data: frame({ header: [0x38], body }), sizeBytes: (type === 1 ? count : 120_000) + 1, count };
  };
  const scanner = new FrameScanner({ maxWindowBytes: MIB, maxContentBytes: MIB, maxFrames: 1 });
  const nothing = made(0).data;
  let steps = 0;
  for (let at = 0; at < nothing.length; steps++) at = scanner.step(nothing, at, Infinity, Infinity).to;
  assertEquals([scanner.frames, scanner.bodies], [1, made(0).count + 1]);
  assert(steps >= made(0).count / 1024, `${steps} steps`);
  assertEquals(decompressFrame(await loadZlib(), nothing, 120_001), undefined);
  // Blocks of a byte each, which an honest writer that flushes after each may make.
  const { data, sizeBytes } = made(1);
  assertEquals(await decompressWhole(data, { sizeBytes }), new Uint8Array(sizeBytes).fill(65));
  await refused(nothing, 120_001, "decompresses to 1 bytes where 120001 are expected");
});

Deno.test("Damage is refused wherever it lies, also when much has been decompressed before it", async () => {
  const seed = Date.now() & 0xffff;
  console.log(`seed ${seed}`);
  const bases = [prose(3000, 1), prose(60_000, 2), prose(700_000, 3)].map((data) => ({
    data,
    packed: pack(data, 3, true),
  }));
  const random = new DataView(noise(64_000, seed + 1).buffer);
  for (let at = 0; at + 32 <= random.byteLength; at += 32) {
    const { data, packed } = bases[at / 32 % bases.length];
    let bad = packed.slice();
    for (let change = 0; change < 1 + random.getUint8(at) % 3; change++) {
      const where = random.getUint32(at + 4 + 8 * change) % bad.length;
      const what = random.getUint8(at + 8 + 8 * change);
      if (what < 128) bad[where] ^= 1 << (what & 7);
      else if (what < 160) bad = bad.slice(0, where + 1);
      else if (what < 192) bad = join([bad, bad.subarray(0, where)]);
      else bad.copyWithin(where, random.getUint16(at + 2) % bad.length);
    }
    const ways = [
      () => unpack(cutAt(bad, [bad.length >> 1]), { sizeBytes: data.length }),
      () => decompressWhole(bad, { sizeBytes: data.length }),
    ];
    for (const way of ways) {
      try {
        assertEquals((await way()).length, data.length, `${at}`);
      } catch (error) {
        assert(error instanceof BrokkrError, `${at}: ${error}`);
        assertEquals(error.code, Code.INVALID_ARGUMENT, `${at}: ${error}`);
      }
    }
  }
});

Deno.test("Data of another size than was told does not become a frame", async () => {
  for (const sizeBytes of [0, 1000, 999_999, 1_000_001, 5_000_000]) {
    await assertRejects(() => Array.fromAsync(compress([noise(1_000_000)], { sizeBytes })), Error);
  }
});
