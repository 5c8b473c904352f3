import { assert, assertEquals } from "@std/assert";
import { ByteBudget, Code } from "@brokkr/common";
import { ByteStream, Compressor, type Init, RawCas, type WriteRequest } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import fc from "fast-check";
import { compressWhole, decompressWhole, encoderBytes } from "../compression/mod.ts";
import { block, cutAt, frame, join, prose, skippable } from "../compression/_testing.ts";
import { BLOB_COMPRESSORS, type BlobCompressor, COMPRESSOR_VALUES, compressorOf } from "../compressors.ts";
import { batchOf, type Digest, digestOf, formatReadName, formatUploadName, SHA256 } from "../mod.ts";
import {
  blob,
  fails,
  noise,
  onEachStore,
  scope,
  startTestServer,
  type TestServer,
  type TestServerOptions,
  wire,
} from "./_test_server.ts";

const MIB = 1 << 20;
const instanceName = "main";
const empty = blob("");

async function* list<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}

let uploads = 0;
function uploadName(digest: Digest, compressor: BlobCompressor): string {
  return formatUploadName(instanceName, `u${uploads++}`, digest, compressor);
}

/** Messages that write `packed` as the blob `digest`, cut at `cuts`. */
function messagesOf(
  digest: Digest,
  packed: Uint8Array,
  cuts: readonly number[] = [],
  compressor: BlobCompressor = "zstd",
): Init<WriteRequest>[] {
  let offset = 0;
  const messages: Init<WriteRequest>[] = [];
  for (const data of cutAt(packed, cuts)) {
    const resourceName = offset === 0 ? uploadName(digest, compressor) : "";
    messages.push({ resourceName, writeOffset: offset, data });
    offset += data.length;
  }
  messages.push({
    resourceName: offset === 0 ? uploadName(digest, compressor) : "",
    writeOffset: offset,
    finishWrite: true,
  });
  return messages;
}

/** Registers a test for each compressor and each kind of store. */
function onEach(
  name: string,
  body: (
    compressor: BlobCompressor,
    start: (options?: TestServerOptions) => Promise<TestServer>,
  ) => Promise<void>,
): void {
  for (const compressor of BLOB_COMPRESSORS) {
    onEachStore(`${compressor}: ${name}`, (start) => body(compressor, start));
  }
}

function write(
  channel: Channel,
  messages: readonly Init<WriteRequest>[],
): Promise<{ committedSize: number }> {
  return channel.clientStream(ByteStream.write, list(messages));
}

async function read(
  channel: Channel,
  digest: Digest,
  readOffset = 0,
  readLimit = 0,
  compressor: BlobCompressor = "zstd",
): Promise<Uint8Array> {
  const resourceName = formatReadName(instanceName, digest, compressor);
  const parts: Uint8Array[] = [];
  for await (
    const { data } of channel.serverStream(ByteStream.read, { resourceName, readOffset, readLimit })
  ) {
    parts.push(data.slice());
  }
  return join(parts);
}

async function has(server: TestServer, digest: Digest): Promise<boolean> {
  return (await server.store.missing(scope, batchOf(SHA256, [digest]))).length === 0;
}

onEach("blobs of all sizes are written in any pieces and read back", async (compressor, start) => {
  await using server = await start({ budget: new ByteBudget(64 * MIB) });
  for (const length of [1, 100, 65_536, 65_537, MIB, 3 * MIB + 17]) {
    for (const data of [prose(length, length), noise(length, length + 1), new Uint8Array(length)]) {
      const digest = digestOf(SHA256, data);
      const packed = await compressWhole(data, { compressor, level: 3 });
      const messages = messagesOf(digest, packed, [1, 5, 700, 300_000, 300_001, MIB], compressor);
      assertEquals(await write(server.channel, messages), { committedSize: packed.length });
      assertEquals(digestOf(SHA256, await server.store.get(scope, digest)), digest);
      for (const offset of [0, 1, length - 1, length]) {
        const got = await read(server.channel, digest, offset, 0, compressor);
        const rest = await decompressWhole(got, { compressor, sizeBytes: length - offset });
        assertEquals(
          digestOf(SHA256, rest),
          digestOf(SHA256, data.subarray(offset)),
          `${length} from ${offset}`,
        );
      }
    }
  }
});

Deno.test("any blob in any frames and any messages is stored as it was", async () => {
  await using server = await startTestServer();
  const part = fc.record({
    bytes: fc.nat(200_000),
    seed: fc.nat(99),
    random: fc.boolean(),
    skip: fc.nat(50),
  });
  const parts = fc.array(part, { minLength: 1, maxLength: 3 });
  const seed = Date.now() & 0xffffffff;
  console.log(`seed ${seed}`);
  await fc.assert(
    fc.asyncProperty(parts, fc.array(fc.nat(300_000), { maxLength: 6 }), async (pieces, cuts) => {
      const plain = pieces.map(({ bytes, seed, random }) => (random ? noise : prose)(bytes, seed));
      const packed: Uint8Array[] = [];
      for (const [i, { skip }] of pieces.entries()) {
        packed.push(skippable(skip, skip & 15), await compressWhole(plain[i], { level: 1 + skip % 9 }));
      }
      const data = join(plain);
      const digest = digestOf(SHA256, data);
      const there = await has(server, digest);
      const sent = join(packed);
      const { committedSize } = await write(server.channel, messagesOf(digest, sent, cuts));
      assertEquals(committedSize, there ? -1 : sent.length);
      assertEquals(digestOf(SHA256, await server.store.get(scope, digest)), digest);
    }),
    { seed, numRuns: 60 },
  );
});

Deno.test("any blob cut into any messages is stored as it was, whatever compressed it", async () => {
  await using server = await startTestServer({ budget: new ByteBudget(64 * MIB) });
  const seed = Date.now() & 0xffffffff;
  console.log(`seed ${seed}`);
  const blob = fc.record({
    compressor: fc.constantFrom(...BLOB_COMPRESSORS),
    bytes: fc.oneof(fc.nat(500), fc.nat(300_000)),
    seed: fc.nat(999),
    random: fc.boolean(),
    level: fc.integer({ min: 1, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(blob, fc.array(fc.nat(300_000), { maxLength: 6 }), async (each, cuts) => {
      const data = (each.random ? noise : prose)(each.bytes, each.seed);
      const digest = digestOf(SHA256, data);
      const there = await has(server, digest);
      const { compressor, level } = each;
      const sent = await compressWhole(data, { compressor, level });
      const messages = messagesOf(digest, sent, cuts.map((cut) => cut % (sent.length + 1)), compressor);
      const { committedSize } = await write(server.channel, messages);
      assertEquals(committedSize, there ? -1 : sent.length);
      assertEquals(digestOf(SHA256, await server.store.get(scope, digest)), digest);
    }),
    { seed, numRuns: 60 },
  );
});

Deno.test("a compressed read takes an offset of the blob, no limit, and says what is wrong", async () => {
  await using server = await startTestServer();
  const data = prose(100_000);
  const digest = digestOf(SHA256, data);
  await server.store.put(scope, digest, data);
  for (const compressor of BLOB_COMPRESSORS) {
    const get = (of: Digest, offset = 0, limit = 0) => read(server.channel, of, offset, limit, compressor);
    await fails(get(digest, 0, 1), Code.INVALID_ARGUMENT, "a limit");
    await fails(get(digest, 0, 100_000), Code.INVALID_ARGUMENT, "a limit of all");
    await fails(get(digest, 0, -1), Code.INVALID_ARGUMENT, "a negative limit");
    await fails(get(digest, -1), Code.OUT_OF_RANGE, "a negative offset");
    await fails(get(digest, 100_001), Code.OUT_OF_RANGE, "an offset past the end");
    for (const length of [10, 100_000]) {
      await fails(get(digestOf(SHA256, noise(length, 77))), Code.NOT_FOUND, `${length} bytes`);
    }
    const nothing = await get(empty.digest);
    assertEquals((await decompressWhole(nothing, { compressor, sizeBytes: 0 })).length, 0);
  }
  assertEquals(server.counts["cas_misses Read"], 2 * BLOB_COMPRESSORS.length);
});

/** Data that decompress to 16 MiB, and whose digest promises less. */
async function bombOf(compressor: BlobCompressor): Promise<Uint8Array> {
  return compressor === "zstd"
    ? frame({ header: [13 << 3], body: Array(8192).fill([...block(128 << 10, 1, false), 0]).flat() })
    : await compressWhole(new Uint8Array(16 * MIB), { compressor });
}

onEach("a write of what is wrong is refused and stores nothing", async (compressor, start) => {
  const budget = new ByteBudget(64 * MIB);
  await using server = await start({ budget, maxBlobBytes: 20 * MIB });
  for (const length of [2000, 3 * MIB]) {
    const data = prose(length);
    const digest = digestOf(SHA256, data);
    const packed = await compressWhole(data, { compressor });
    const other = digestOf(SHA256, noise(length));
    const bomb = await bombOf(compressor);
    const flipped = packed.slice();
    flipped[packed.length >> 1] ^= 0x10;
    const of = (sent: Digest, bytes: Uint8Array, cuts: readonly number[] = [100]) =>
      messagesOf(sent, bytes, cuts, compressor);
    const cases: Record<string, Init<WriteRequest>[]> = {
      "another blob": of(other, packed),
      "another size": of({ ...digest, sizeBytes: length + 1 }, packed),
      "a smaller size": of({ ...digest, sizeBytes: length - 1 }, packed),
      "plain data": of(digest, data),
      "a bomb": of(digest, bomb),
      "cut short": of(digest, packed.subarray(0, packed.length - 1)),
      "cut in the middle": of(digest, packed.subarray(0, packed.length >> 1)),
      "garbage behind": of(digest, join([packed, new Uint8Array([1, 2, 3])])),
      "a byte behind": of(digest, join([packed, new Uint8Array(1)]), [100, packed.length]),
      "a second blob behind": of(digest, join([packed, packed])),
      "a flipped bit": of(digest, flipped),
      "noise": of(digest, noise(length >> 1, 5)),
      "nothing": of(digest, new Uint8Array(), []),
      ...(compressor === "zstd" && {
        "a huge window": of(digest, frame({ header: [21 << 3] }), []),
        "a dictionary": of(digest, frame({ descriptor: 1, header: [0, 9] }), []),
      }),
      ...(compressor === "brotli" && { "a large window": of(digest, new Uint8Array([0x11, 26, 1, 2]), []) }),
      "no finish": of(digest, packed).slice(0, -1),
      "a gap": of(digest, packed).map((each, i) => i === 1 ? { ...each, writeOffset: 101 } : each),
      "a message after the last": [...of(digest, packed), { writeOffset: packed.length, data: packed }],
      "a first offset": [{
        resourceName: uploadName(digest, compressor),
        writeOffset: 7,
        data: packed,
        finishWrite: true,
      }],
      "too large a blob": of({ ...digest, sizeBytes: 20 * MIB + 1 }, packed),
    };
    for (const [what, messages] of Object.entries(cases)) {
      await fails(write(server.channel, messages), Code.INVALID_ARGUMENT, what);
      // All of it in one message, which may go another way.
      if (["no finish", "a gap", "a message after the last", "a first offset"].includes(what)) continue;
      const whole = join(messages.map(({ data }) => data ?? new Uint8Array()));
      const { resourceName } = messages[0];
      const one = write(server.channel, [{ resourceName, data: whole, finishWrite: true }]);
      await fails(one, Code.INVALID_ARGUMENT, `${what}, in one`);
      assertEquals((await server.store.stat()).blobs, 0, what);
    }
    assertEquals(budget.usedBytes, 0);
  }
});

onEach("a write of a blob that is there ends early with -1", async (compressor, start) => {
  await using server = await start();
  const data = prose(8 * MIB);
  const digest = digestOf(SHA256, data);
  await server.store.put(scope, digest, data);
  const packed = await compressWhole(data, { compressor });
  assertEquals(await write(server.channel, messagesOf(digest, packed, [], compressor)), {
    committedSize: -1,
  });
  // Whatever comes, and however long the client would go on.
  async function* endless() {
    for (let offset = 0;; offset += 1000) {
      yield await Promise.resolve({
        resourceName: offset === 0 ? uploadName(digest, compressor) : "",
        writeOffset: offset,
        data: noise(1000),
      });
    }
  }
  assertEquals(await server.channel.clientStream(ByteStream.write, endless()), { committedSize: -1 });
  assertEquals(await write(server.channel, messagesOf(empty.digest, new Uint8Array(), [], compressor)), {
    committedSize: -1,
  });
});

onEach("a write ends with -1 when another brings the blob meanwhile", async (compressor, start) => {
  await using server = await start();
  const data = noise(3 * MIB);
  const digest = digestOf(SHA256, data);
  const packed = await compressWhole(data, { compressor });
  const [first, ...rest] = messagesOf(digest, packed, [1000, 2000, MIB], compressor);
  async function* overtaken() {
    yield first;
    await server.store.put(scope, digest, data);
    yield* rest;
  }
  assertEquals(await server.channel.clientStream(ByteStream.write, overtaken()), { committedSize: -1 });
});

onEach("a write that broke off begins again from 0", async (compressor, start) => {
  const budget = new ByteBudget(64 * MIB);
  await using server = await start({ budget });
  const data = noise(3 * MIB);
  const digest = digestOf(SHA256, data);
  const packed = await compressWhole(data, { compressor });
  const messages = messagesOf(digest, packed, [MIB, 2 * MIB], compressor);
  const resourceName = messages[0].resourceName ?? "";
  const status = () => server.channel.unary(ByteStream.queryWriteStatus, { resourceName });
  assertEquals(await status(), { committedSize: 0, complete: false });
  const abort = new AbortController();
  async function* breakingOff() {
    yield messages[0];
    yield messages[1];
    while (budget.usedBytes === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    abort.abort();
    await new Promise(() => {});
  }
  await fails(
    server.channel.clientStream(ByteStream.write, breakingOff(), { signal: abort.signal }),
    Code.CANCELLED,
    "broken off",
  );
  while (budget.usedBytes > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(await status(), { committedSize: 0, complete: false });
  const later = messages.slice(1).map((each, i) => i === 0 ? { ...each, resourceName } : each);
  await fails(write(server.channel, later), Code.INVALID_ARGUMENT, "from where it stopped");
  assertEquals(await write(server.channel, messages), { committedSize: packed.length });
  assertEquals(await status(), { committedSize: -1, complete: true });
});

for (const compressor of BLOB_COMPRESSORS) {
  Deno.test(`${compressor}: reads that are abandoned or stalled give back what they hold`, async () => {
    const budget = new ByteBudget(64 * MIB);
    await using server = await startTestServer({ budget });
    const data = noise(16 * MIB);
    const digest = digestOf(SHA256, data);
    await server.store.put(scope, digest, data);
    const resourceName = formatReadName(instanceName, digest, compressor);
    // A quarter of the budget is for codecs, of 4 MiB at most; the others wait their turn.
    const room = 16 * MIB / encoderBytes(data.length, compressor);
    const aborts = Array.from({ length: room + 4 }, () => new AbortController());
    const streams = aborts.map(({ signal }) =>
      server.channel.serverStream(ByteStream.read, { resourceName }, { signal })[Symbol.asyncIterator]()
    );
    const first = streams.map((stream) => stream.next());
    await Promise.all(first.slice(0, room));
    assertEquals(budget.usedBytes, 16 * MIB);
    for (const stream of streams.slice(0, 4)) await stream.return?.();
    await Promise.all(first.slice(room));
    assertEquals(budget.usedBytes, 16 * MIB);
    const ended = streams.slice(4).map((stream) =>
      fails(
        (async () => {
          while ((await stream.next()).done !== true);
        })(),
        Code.CANCELLED,
      )
    );
    for (const abort of aborts) abort.abort();
    await Promise.all(ended);
    while (budget.usedBytes > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const again = await read(server.channel, digest, 0, 0, compressor);
    assertEquals(await decompressWhole(again, { compressor, sizeBytes: data.length }), data);
  });
}

onEach("BatchUpdateBlobs takes it, blob by blob", async (compressor, start) => {
  const value = COMPRESSOR_VALUES[compressor];
  const budget = new ByteBudget(64 * MIB);
  await using server = await start({ maxBlobBytes: 2 * MIB, budget });
  const small = blob("small ".repeat(50)), large = prose(MIB, 5), plain = blob("plain");
  const largeDigest = digestOf(SHA256, large);
  const pack = async (data: Uint8Array) => await compressWhole(data, { compressor });
  const [s, l] = [await pack(small.data), await pack(large)];
  const halves = join([await pack(large.subarray(0, 1000)), await pack(large.subarray(1000))]);
  const cases: readonly (readonly [Digest, Uint8Array, number, Code, string])[] = [
    [small.digest, s, value, Code.OK, ""],
    [largeDigest, l, value, Code.OK, ""],
    // Only zstd may have several frames.
    [largeDigest, compressor === "zstd" ? halves : l, value, Code.OK, ""],
    [plain.digest, plain.data, 0, Code.OK, ""],
    [empty.digest, await pack(new Uint8Array()), value, Code.OK, ""],
    [plain.digest, plain.data, value, Code.INVALID_ARGUMENT, `The ${compressor} data`],
    [plain.digest, s, value, Code.INVALID_ARGUMENT, "bytes"],
    [small.digest, s, 0, Code.INVALID_ARGUMENT, ""],
    [
      small.digest,
      s.subarray(0, s.length - 1),
      value,
      Code.INVALID_ARGUMENT,
      compressor === "zstd" ? "ends inside" : "cut short",
    ],
    [largeDigest, join([l, l.subarray(0, 9)]), value, Code.INVALID_ARGUMENT, ""],
    [small.digest, s, 4, Code.INVALID_ARGUMENT, "supported: IDENTITY (0), ZSTD (1), BROTLI (3), DEFLATE (2)"],
    [small.digest, s, 99, Code.INVALID_ARGUMENT, "Compressor 99"],
    [blob("other".repeat(60)).digest, s, value, Code.INVALID_ARGUMENT, ""],
    [{ ...small.digest, sizeBytes: 2 * MIB + 1 }, s, value, Code.INVALID_ARGUMENT, "at most"],
  ];
  const requests = cases.map(([digest, data, compressor]) => ({ digest: wire(digest), data, compressor }));
  const { responses } = await server.channel.unary(RawCas.batchUpdateBlobs, {
    instanceName,
    requests: requests.slice(0, 5),
  });
  const rest = await server.channel.unary(RawCas.batchUpdateBlobs, {
    instanceName,
    requests: requests.slice(5),
  });
  for (const [i, { status }] of [...responses, ...rest.responses].entries()) {
    assertEquals(status?.code ?? 0, cases[i][3], `${i}: ${status?.message}`);
    assert(status?.message.includes(cases[i][4]), `${i}: ${status?.message}`);
  }
  assertEquals((await server.store.stat()).blobs, 3);
  assertEquals(await server.store.get(scope, largeDigest), large);
  assertEquals(budget.usedBytes, 0);
});

Deno.test("a batch counts the blobs' own bytes: 4,000,000 of them are taken, and not one more", async () => {
  await using server = await startTestServer();
  const sizes = [1_500_000, 1_500_000, 1_000_000];
  for (const over of [0, 1]) {
    const requests = await Promise.all(sizes.map(async (size, i) => {
      const data = new Uint8Array(size + (i === 0 ? over : 0)).fill(i + 1);
      return {
        digest: wire(digestOf(SHA256, data)),
        data: await compressWhole(data),
        compressor: Compressor.ZSTD,
      };
    }));
    const update = server.channel.unary(RawCas.batchUpdateBlobs, { instanceName, requests });
    if (over === 1) await fails(update, Code.INVALID_ARGUMENT, "one more");
    else {for (const { status } of (await update).responses) {
        assertEquals(status?.code ?? 0, 0, status?.message);
      }}
    const asked = { instanceName, digests: requests.map(({ digest }) => digest), acceptableCompressors: [1] };
    const readBack = server.channel.unary(RawCas.batchReadBlobs, asked);
    if (over === 1) await fails(readBack, Code.INVALID_ARGUMENT, "one more");
    else for (const { compressor } of (await readBack).responses) assertEquals(compressor, Compressor.ZSTD);
  }
});

onEachStore("BatchReadBlobs compresses what gets smaller, for those who take it", async (start) => {
  await using server = await start();
  const blobs = [prose(100_000), noise(100_000), prose(600_000, 3), prose(200), prose(20), new Uint8Array()];
  const digests = blobs.map((data) => digestOf(SHA256, data));
  for (const [i, data] of blobs.entries()) await server.store.put(scope, digests[i], data);
  const gone = digestOf(SHA256, noise(500, 9));
  const { ZSTD, IDENTITY, DEFLATE, BROTLI } = Compressor;
  const cases: readonly (readonly [Compressor[], Compressor])[] = [
    [[ZSTD], ZSTD],
    [[DEFLATE, 77, ZSTD, IDENTITY, BROTLI], ZSTD],
    [[DEFLATE, BROTLI], BROTLI],
    [[DEFLATE, IDENTITY], DEFLATE],
    [[BROTLI], BROTLI],
    [[IDENTITY], IDENTITY],
    [[77], IDENTITY],
    [[], IDENTITY],
  ];
  for (const [acceptableCompressors, best] of cases) {
    const expected = [best, IDENTITY, best, undefined, IDENTITY, IDENTITY];
    const request = { instanceName, digests: [...digests, gone].map(wire), acceptableCompressors };
    const { responses } = await server.channel.unary(RawCas.batchReadBlobs, request);
    assertEquals(responses.length, 7);
    for (const [i, data] of blobs.entries()) {
      const { data: got, compressor, status } = responses[i];
      assertEquals(status?.code ?? 0, 0);
      const wanted = best === IDENTITY ? IDENTITY : expected[i];
      if (wanted !== undefined) assertEquals(compressor, wanted, `${i}`);
      assert(got.length <= data.length);
      const name = compressorOf(compressor);
      const plain = name === undefined
        ? got
        : await decompressWhole(got, { compressor: name, sizeBytes: data.length });
      assertEquals(digestOf(SHA256, plain), digests[i]);
    }
    assertEquals([responses[6].status?.code, responses[6].compressor], [Code.NOT_FOUND, IDENTITY]);
  }
});
