import { assert, assertEquals } from "@std/assert";
import { ManualClock, type Metrics, noLog, noMetrics, yieldToEventLoop } from "@brokkr/common";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { assertHolds, type Blob, blob, MIB, put, SCOPE, withDir } from "./_disk_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { systemFiles } from "./file_layer.ts";
import { Packer, type PackerOptions } from "./_packer.ts";

/** Text, more or less: it compresses well. */
function text(size: number, seed: number): Blob {
  const lines: string[] = [];
  for (let i = 0, at = 0; at < size; i++) {
    const line = `#define NAME_${seed}_${i * 7919 % 100_003} "${(i * 31 + seed) % 977} of something"\n`;
    lines.push(line);
    at += line.length;
  }
  const data = new TextEncoder().encode(lines.join("")).slice(0, size);
  return { data, digest: digestOf(SHA256, data) };
}

/** Lets time pass until `done`. */
async function pass(clock: ManualClock, done: () => boolean | Promise<boolean>): Promise<void> {
  while (!await done()) {
    clock.advance(250);
    await yieldToEventLoop();
  }
}

function counting(counts: Record<string, number>): Metrics {
  return {
    ...noMetrics,
    counter: (name) => ({
      add: (labels = {}, value = 1) => {
        const key = [name, ...Object.values(labels)].join(" ");
        counts[key] = (counts[key] ?? 0) + value;
      },
    }),
  };
}

Deno.test("a large blob that compresses becomes chunks by and by, one that does not stays a file", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const counts: Record<string, number> = {};
    await using store = await openDiskBlobStore(dir, { clock, metrics: counting(counts) });
    const loose = text(5 * MIB, 1);
    const tight = blob(4 * MIB, 2);
    await put(store, tight);
    await put(store, loose);
    assertEquals((await store.stat()).files, 2);
    await pass(clock, async () => (await store.stat()).files === 1);
    await pass(clock, () => (counts["brokkr_cas_large_blobs_total packed"] ?? 0) > 0);
    assertEquals(counts["brokkr_cas_large_blobs_total left"], 1);
    assertEquals(counts["brokkr_cas_packed_bytes_total"], loose.data.length);
    const { diskBytes, blobs } = await store.stat();
    assert(blobs > 2);
    assert(diskBytes < tight.data.length + loose.data.length / 2, `${diskBytes} bytes on disk`);
    await assertHolds(store, [loose, tight]);
  }));

Deno.test("nothing is packed where nothing is compressed, and a store closes while it packs", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const loose = text(3 * MIB, 3);
    {
      await using store = await openDiskBlobStore(dir, { clock, compression: "off" });
      await put(store, loose);
      for (let i = 0; i < 100; i++) {
        clock.advance(1000);
        await yieldToEventLoop();
      }
      assertEquals((await store.stat()).files, 1);
    }
    for (let turns = 0; turns < 40; turns += 8) {
      await using store = await openDiskBlobStore(dir, { clock });
      const more = text(3 * MIB, 10 + turns);
      await put(store, more);
      for (let i = 0; i < turns; i++) {
        clock.advance(1000);
        await yieldToEventLoop();
      }
      await assertHolds(store, [loose, more]);
    }
    await using store = await openDiskBlobStore(dir, { clock });
    await assertHolds(store, [loose, ...[0, 8, 16, 24, 32].map((turns) => text(3 * MIB, 10 + turns))]);
  }));

Deno.test("files are packed only when nobody stores anything, there is room, and they compress", () =>
  withDir(async (dir) => {
    const loose = text(2 * MIB, 4);
    const tight = blob(2 * MIB, 5);
    await Deno.writeFile(`${dir}/loose`, loose.data);
    await Deno.writeFile(`${dir}/tight`, tight.data);
    const clock = new ManualClock();
    const state = { idle: false, room: true, looks: 0 };
    const cut: Digest[] = [];
    const counts: Record<string, number> = {};
    const options: PackerOptions = {
      clock,
      log: noLog,
      metrics: counting(counts),
      open: (digest) => systemFiles.open(`${dir}/${digest === loose.digest ? "loose" : "tight"}`, "read"),
      isIdle: () => {
        state.looks++;
        return state.idle;
      },
      hasRoom: () => Promise.resolve(state.room),
      cut: async (digest, { turn }) => {
        await turn?.();
        cut.push(digest);
        return true;
      },
    };
    const packer = new Packer(options);
    const ended = (outcome: string) => counts[`brokkr_cas_large_blobs_total ${outcome}`] ?? 0;
    packer.offer(loose.digest);
    await pass(clock, () => state.looks > 20);
    assertEquals(cut.length, 0);
    state.idle = true;
    await pass(clock, () => ended("packed") === 1);
    assertEquals(cut, [loose.digest]);
    packer.offer(tight.digest);
    await pass(clock, () => ended("left") === 1);
    state.room = false;
    packer.offer(loose.digest);
    await pass(clock, () => ended("left") === 2);
    assertEquals(cut.length, 1);
    packer.offer(loose.digest);
    await packer.close();
    packer.offer(loose.digest);
    assertEquals(cut.length, 1);
  }));

Deno.test("who asks how a blob is cut does not wait until the store is idle to pack it", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    await using store = await openDiskBlobStore(dir, { clock });
    const loose = text(24 * MIB, 6);
    await put(store, loose);
    await pass(clock, async () => (await store.stat()).blobs > 3);
    // It was begun, and goes on only when this has ended.
    await using _writer = await store.writer(SCOPE, blob(2 * MIB, 7).digest);
    assertEquals((await store.stat()).files, 1);
    const list = await store.split?.(SCOPE, loose.digest);
    assert(list !== undefined && list.chunks.length > 24);
    assertEquals((await store.stat()).files, 0);
    await assertHolds(store, [loose]);
  }));
