import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code, ManualClock, seededRandom } from "@brokkr/common";
import { decompressWhole } from "../compression/decompress.ts";
import { batchOf } from "../digest_batch.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { packRecord } from "./_codec.ts";
import {
  assertHolds,
  type Blob,
  blob,
  flipByte,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  withDir,
} from "./_disk_testing.ts";
import { filled, forge, quarantined, verified } from "./_rot_testing.ts";
import { decodeRecord, HEADER_BYTES, RecordCodec } from "./_record.ts";
import { SEGMENT_HEADER_BYTES } from "./_segment_header.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { fsck } from "./fsck.ts";

/** A source of `size` bytes, which compresses to a third or so. */
function source(size: number, seed: number): Blob {
  const words = "int void static const return struct include anvil hammer forge bellows".split(" ");
  const random = seededRandom(seed);
  let text = `${seed}\n`;
  while (text.length < size) {
    text += `${words[Math.floor(random.next() * words.length)]}_${Math.floor(random.next() * 100)} `;
  }
  const data = new TextEncoder().encode(text.slice(0, size));
  return { data, digest: digestOf(SHA256, data) };
}

const SOURCES = [600, 4096, 50_000, 65_536, 300_000, MIB].map((size, i) => source(size, i + 1));
const NOISE = [600, 4096, 300_000, MIB].map((size, i) => blob(size, i + 1));
const FIRST_DATA = SEGMENT_HEADER_BYTES + HEADER_BYTES + 32;

Deno.test("frame hands out what is stored as it is stored, and nothing where a blob is not stored so", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    await using store = await filled(dir, [...SOURCES, ...NOISE, blob(MIB + 1, 9), source(100, 9)], {
      clock,
    });
    for (const { digest, data } of SOURCES) {
      const frame = await store.frame?.(SCOPE, digest);
      assert(frame !== undefined && frame.length < data.length / 2, `${data.length} bytes`);
      assertEquals(await decompressWhole(frame, { sizeBytes: data.length }), data);
      assertEquals(frame, packRecord(data));
    }
    const others = [...NOISE, blob(MIB + 1, 9), source(100, 9), source(5000, 77), blob(0, 1)];
    for (const { digest } of others) assertEquals(await store.frame?.(SCOPE, digest), undefined);
    const wrongSize = { ...SOURCES[1].digest, sizeBytes: 4095 };
    assertEquals(await store.frame?.(SCOPE, wrongSize), undefined);
    await store[Symbol.asyncDispose]();
    await rejectsWith(Code.UNAVAILABLE, async () => await store.frame?.(SCOPE, SOURCES[0].digest));
  }));

Deno.test("a store written with compression is read without, and the other way round, also without its index", () =>
  withDir(async (dir) => {
    const all = [...SOURCES, ...NOISE];
    const half = all.filter((_, i) => i % 2 === 0);
    for (const [compression, held] of [["zstd", half], ["off", all], ["zstd", all]] as const) {
      await using store = await openDiskBlobStore(dir, { compression, cacheBytes: 0 });
      for (const one of held) await put(store, one);
      await assertHolds(store, held);
    }
    await Deno.remove(`${dir}/index`, { recursive: true });
    await using store = await openDiskBlobStore(dir, { compression: "off", cacheBytes: 0 });
    await assertHolds(store, all);
    const usage = await store.keeper.usage();
    assertEquals(usage.bytes, all.reduce((sum, { data }) => sum + data.length, 0));
    const saved = half.reduce(
      (sum, { data }) => sum + data.length - (packRecord(data)?.length ?? data.length),
      0,
    );
    assertEquals([usage.savedBytes, usage.bytes - usage.storedBytes], [saved, saved]);
    assertEquals((await store.stat()).storedBytes, usage.storedBytes);
  }));

Deno.test("ranges of a compressed blob are ranges of the blob", () =>
  withDir(async (dir) => {
    await using store = await filled(dir, SOURCES);
    for (const { digest, data } of SOURCES) {
      for (const [offset, limit] of [[0, 1], [1], [data.length - 1, 5], [data.length], [300, 200]]) {
        const parts = await Array.fromAsync(store.read(SCOPE, digest, { offset, limit }), (p) => p.slice());
        const end = limit === undefined ? data.length : offset + limit;
        assertEquals(parts.flatMap((part) => [...part]), [...data.subarray(offset, end)]);
      }
    }
  }));

Deno.test("the sums over what is stored outlive a restart and a crash, and fall when blobs go", () =>
  withDir(async (dir) => {
    const expected = SOURCES.reduce((sum, { data }) => sum + (packRecord(data)?.length ?? 0), 0);
    {
      await using store = await filled(dir, SOURCES);
      assertEquals((await store.stat()).storedBytes, expected);
    }
    await using store = await openDiskBlobStore(dir);
    assertEquals((await store.stat()).storedBytes, expected);
    for (const { digest } of SOURCES) await store.delete(SCOPE, digest);
    assertEquals((await store.stat()).storedBytes, 0);
  }));

Deno.test("a store holds as much as fits compressed, and evicts by what it takes", () =>
  withDir(async (dir) => {
    const sources = Array.from({ length: 150 }, (_, i) => source(100_000, i + 1));
    const options = { maxBytes: 8 * MIB, paceMs: 0, headroomBytes: 0, clock: new ManualClock() };
    await using store = await openDiskBlobStore(dir, options);
    for (const one of sources) await put(store, one);
    assertEquals(await missing(store, sources), []);
    const { bytes, diskBytes } = await store.stat();
    assert(bytes === 15_000_000 && diskBytes < 8 * MIB, `${bytes} bytes in ${diskBytes}`);
  }));

Deno.test("what is compressed is moved as it is when its segment goes", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, {
      maxBytes: 400 * MIB,
      segmentBytes: MIB,
      headroomBytes: 0,
      clock: new ManualClock(),
      cacheBytes: 0,
    });
    const blobs = Array.from({ length: 300 }, (_, i) => source(20_000, i + 1));
    await Promise.all(blobs.map((one) => put(store, one)));
    const stay = blobs.filter((_, i) => i % 3 === 0);
    assertEquals([...await store.missing(SCOPE, batchOf(SHA256, stay.map(({ digest }) => digest)))], []);
    const before = (await segmentPaths(dir)).length;
    for (const [i, { digest }] of blobs.entries()) if (i % 3 !== 0) await store.delete(SCOPE, digest);
    await store.keeper.collect();
    assert(!(await segmentPaths(dir))[0].endsWith("00000001.seg"), "The first segment is there still");
    assert(before > 1, `${before} segments`);
    for (const { digest, data } of stay) assertEquals(await store.frame?.(SCOPE, digest), packRecord(data));
    await assertHolds(store, stay);
  }));

Deno.test("a bit that flips in a stored frame is found by readers and by the scrubber", () =>
  withDir(async (dir) => {
    const [one, other] = [SOURCES[2], SOURCES[3]];
    await using store = await filled(dir, [one, other]);
    await flipByte((await segmentPaths(dir))[0], FIRST_DATA + 1000);
    assertEquals(await store.frame?.(SCOPE, one.digest), undefined);
    const error = await rejectsWith(Code.DATA_LOSS, () => store.get(SCOPE, one.digest));
    assertStringIncludes(error.message, "checksum is wrong");
    assertEquals(await missing(store, [one, other]), [0]);
    await put(store, one);
    await assertHolds(store, [one, other]);
    assertEquals((await verified(store)).damaged, []);
  }));

Deno.test("a frame that is damaged under a right checksum is found by whoever undoes it, and ends nothing", () =>
  withDir(async (dir) => {
    const one = SOURCES[2];
    const frameBytes = packRecord(one.data)?.length ?? 0;
    const random = seededRandom(4711);
    let lost = 0;
    for (let i = 0; i < 20; i++) {
      const at = `${dir}/${i}`;
      {
        await using _store = await filled(at, [one]);
      }
      const [segment] = await segmentPaths(at);
      // The beginning of a frame is what decoders trust.
      const place = i < 8 ? i : Math.floor(random.next() * frameBytes);
      await flipByte(segment, FIRST_DATA + place);
      await forge(segment, FIRST_DATA);
      const found = await fsck(at);
      assertEquals(found.problems > 0, true, `at ${place}`);
      await using store = await openDiskBlobStore(at, { cacheBytes: 0, verifyReads: "always" });
      if (i % 2 === 0) await rejectsWith(Code.DATA_LOSS, () => store.get(SCOPE, one.digest));
      else assertEquals((await verified(store)).damaged.length, 1);
      lost += (await missing(store, [one])).length;
      await put(store, one);
      await assertHolds(store, [one]);
    }
    assertEquals(lost, 20);
  }));

Deno.test("what is set aside of a compressed blob is its record", () =>
  withDir(async (dir) => {
    const one = SOURCES[1];
    await using store = await filled(dir, [one]);
    await forge((await segmentPaths(dir))[0], FIRST_DATA);
    assertEquals((await verified(store)).damaged.map(({ digest }) => digest?.hash), [one.digest.hash]);
    const aside = await quarantined(dir);
    assertEquals([...aside.keys()], [`${one.digest.hash}/${one.digest.sizeBytes}`]);
  }));

Deno.test("the event loop turns while many compressed blobs are put and read at once", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, { cacheBytes: 1 });
    // 26 MB in all: a tenth of a second of compressing, and half of that to undo it.
    const blobs = Array.from({ length: 400 }, (_, i) => source(65_536, i + 1));
    for (const work of [put, async (_: unknown, { digest }: Blob) => void await store.get(SCOPE, digest)]) {
      let turns = 0;
      let done = false;
      const count = () => {
        turns++;
        if (!done) setImmediate(count);
      };
      setImmediate(count);
      await Promise.all(blobs.map((one) => work(store, one)));
      done = true;
      assert(turns >= 20, `${turns} turns`);
    }
    await assertHolds(store, blobs);
  }));

Deno.test("records say how they are kept", () =>
  withDir(async (dir) => {
    {
      await using _store = await filled(dir, [SOURCES[1]]);
    }
    const bytes = await Deno.readFile((await segmentPaths(dir))[0]);
    const salt = bytes.slice(SEGMENT_HEADER_BYTES + 24, SEGMENT_HEADER_BYTES + 32);
    const record = decodeRecord(bytes, SEGMENT_HEADER_BYTES, salt);
    assert(typeof record !== "string");
    assertEquals([record.codec, record.sizeBytes], [RecordCodec.ZSTD, 4096]);
    assertEquals(record.data, packRecord(SOURCES[1].data));
  }));
