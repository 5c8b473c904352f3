// What a disk store answers before all of it is in memory, and how it gets there.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code, createLogger } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import { SHA256 } from "../digest.ts";
import { LmdbEnv } from "../metadata/lmdb_env.ts";
import type { MetadataChange } from "../metadata_store.ts";
import {
  assertHolds,
  type Blob,
  blob,
  copyDirectory,
  crashCopy,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  still,
  withDir,
} from "./_disk_testing.ts";
import { Gate, gatedIndex, gatedLists, gatedSegment, watchedIndex } from "./_start_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { systemFiles } from "./file_layer.ts";

const SMALL = Array.from({ length: 40 }, (_, i) => blob(1000 + i, i + 1));
const LARGE = [blob(MIB + 1, 201), blob(MIB + 2, 202), blob(2 * MIB, 203)];
const bytesOf = (blobs: readonly Blob[]) => blobs.reduce((sum, { data }) => sum + data.length, 0);

async function filled(dir: string, blobs: readonly Blob[], options = {}): Promise<void> {
  await using store = await openDiskBlobStore(dir, options);
  for (const one of blobs) await put(store, one);
}

async function assertCounts(store: BlobStore, blobs: readonly Blob[]): Promise<void> {
  const stat = await store.stat();
  assertEquals([stat.blobs, stat.bytes], [blobs.length, bytesOf(blobs)]);
  assertEquals(stat.files, blobs.filter(({ data }) => data.length > MIB).length);
}

/** Waits until a file is gone. */
async function untilGone(path: string): Promise<void> {
  while (await systemFiles.size(path) !== undefined) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Lines of a log, and the log. */
function logged() {
  const lines: string[] = [];
  return { lines, log: createLogger({ write: (line) => lines.push(line) }) };
}

Deno.test("DiskBlobStore answers exactly, counts right and takes changes while its index is loaded", () =>
  withDir(async (dir) => {
    await filled(dir, [...SMALL, ...LARGE]);
    const gate = new Gate();
    const added = [blob(500, 90), blob(MIB + 9, 91)];
    {
      await using store = await openDiskBlobStore(dir, { openIndex: gatedIndex(gate) });
      using _open = gate;
      await gate.reached;
      await assertCounts(store, [...SMALL, ...LARGE]);
      assertEquals(await missing(store, [SMALL[3], added[0], LARGE[1], added[1], SMALL[4]]), [1, 3]);
      assertEquals(await store.get(SCOPE, SMALL[7].digest), SMALL[7].data);
      assertEquals(await store.sizeOf?.(SCOPE, SHA256, LARGE[2].digest.hash), LARGE[2].data.length);
      // What the index still names is not found again once it is deleted, and what came is not overwritten.
      for (const one of [SMALL[0], SMALL[1], LARGE[0]]) assert(await store.delete(SCOPE, one.digest));
      assertEquals(await store.delete(SCOPE, added[0].digest), false);
      for (const one of [...added, SMALL[1], SMALL[2]]) await put(store, one);
      const now = [...SMALL.slice(1), ...LARGE.slice(1), ...added];
      await assertCounts(store, now);
      gate.open();
      await store.keeper.usage();
      assertEquals(await missing(store, [SMALL[0], LARGE[0], ...now]), [0, 1]);
      await assertHolds(store, now);
      await assertCounts(store, now);
    }
    await using again = await openDiskBlobStore(dir);
    await assertCounts(again, [...SMALL.slice(1), ...LARGE.slice(1), ...added]);
    assertEquals(await missing(again, [SMALL[0], LARGE[0]]), [0, 1]);
  }));

Deno.test("DiskBlobStore closed while it is loading has shut down cleanly", () =>
  withDir(async (dir) => {
    await filled(dir, [...SMALL, ...LARGE]);
    for (let round = 0; round < 4; round++) {
      const gate = new Gate();
      const store = await openDiskBlobStore(dir, { openIndex: gatedIndex(gate) });
      using _open = gate;
      await gate.reached;
      assert(await store.delete(SCOPE, SMALL[round].digest));
      const usage = rejectsWith(Code.UNAVAILABLE, () => store.keeper.usage());
      const closing = store[Symbol.asyncDispose]();
      gate.open();
      await closing;
      await usage;
      assert((await Deno.stat(`${dir}/CLEAN`)).isFile);
    }
    const { lines, log } = logged();
    await using store = await openDiskBlobStore(dir, { log });
    assertEquals(lines.filter((line) => !line.includes("Opened the blob store")), []);
    await assertHolds(store, [...SMALL.slice(4), ...LARGE]);
    await assertCounts(store, [...SMALL.slice(4), ...LARGE]);
  }));

Deno.test("DiskBlobStore asks the disk for large blobs after a crash until it has looked at all files", () =>
  withDir(async (dir) => {
    const flushed = new Gate();
    const options = still({ openIndex: watchedIndex(flushed) });
    await using store = await openDiskBlobStore(dir, options);
    for (const one of [...SMALL.slice(0, 5), LARGE[0], LARGE[1]]) await put(store, one);
    // The index learns of these, and of nothing that comes after.
    options.clock.advance(60_000);
    await flushed.reached;
    await store.delete(SCOPE, LARGE[0].digest);
    for (const one of [LARGE[2], ...SMALL.slice(5, 9)]) await put(store, one);
    const copy = await crashCopy(dir);
    try {
      const gate = new Gate();
      {
        await using again = await openDiskBlobStore(copy, { files: gatedLists(systemFiles, gate) });
        using _open = gate;
        await gate.reached;
        assertEquals(await missing(again, [LARGE[0], LARGE[1], LARGE[2], ...SMALL.slice(0, 10)]), [0, 12]);
        assertEquals((await again.get(SCOPE, LARGE[2].digest)).length, LARGE[2].data.length);
        await rejectsWith(Code.NOT_FOUND, () => again.get(SCOPE, LARGE[0].digest));
        assert(await again.delete(SCOPE, LARGE[1].digest));
        await put(again, LARGE[0]);
        gate.open();
        await again.keeper.usage();
        assertEquals(await missing(again, [LARGE[1], LARGE[0], LARGE[2], ...SMALL.slice(0, 9)]), [0]);
        await assertCounts(again, [...SMALL.slice(0, 9), LARGE[0], LARGE[2]]);
      }
      await using last = await openDiskBlobStore(copy);
      await assertHolds(last, [...SMALL.slice(0, 9), LARGE[0], LARGE[2]]);
      await assertCounts(last, [...SMALL.slice(0, 9), LARGE[0], LARGE[2]]);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }));

Deno.test("DiskBlobStore answers what it found, and UNAVAILABLE for the rest, while its index is made anew", () =>
  withDir(async (dir) => {
    const twice = blob(1500, 99);
    {
      await using store = await openDiskBlobStore(dir, { segmentBytes: 12_000 });
      await put(store, twice);
      for (const one of SMALL.slice(0, 30)) await put(store, one);
      // Little enough garbage that no segment is written anew for it.
      await store.delete(SCOPE, twice.digest);
      await put(store, twice);
      for (const one of [...SMALL.slice(30), ...LARGE]) await put(store, one);
      assert((await store.stat()).segments >= 4);
    }
    await Deno.remove(`${dir}/index`, { recursive: true });
    const gate = new Gate();
    const files = gatedSegment(systemFiles, "00000002.seg", gate);
    const reasons: (string | undefined)[] = [];
    const added = blob(700, 98);
    {
      await using store = await openDiskBlobStore(dir, {
        files,
        segmentBytes: 12_000,
        onHealth: (reason) => reasons.push(reason),
      });
      using _open = gate;
      await gate.reached;
      assertEquals(await missing(store, [SMALL[0], SMALL[1], ...LARGE]), []);
      assertEquals(await store.get(SCOPE, SMALL[2].digest), SMALL[2].data);
      const unknown = [
        () => missing(store, [SMALL[39]]),
        () => store.get(SCOPE, SMALL[39].digest),
        () => store.delete(SCOPE, SMALL[39].digest),
        () => missing(store, [added]),
        // It may be a list of chunks that lies in such a segment.
        () => missing(store, [blob(MIB + 7, 97)]),
      ];
      for (const ask of unknown) {
        const error = await rejectsWith(Code.UNAVAILABLE, ask);
        assertStringIncludes(error.message, "its index is made anew");
        assert(error.retryDelayMs !== undefined);
      }
      assertStringIncludes(reasons.at(-1) ?? "", "its index is made anew");
      // Also what lies in segments not read yet may be put again, and what was read deleted.
      for (const one of [added, SMALL[38]]) await put(store, one);
      assert(await store.delete(SCOPE, twice.digest));
      assertEquals(await missing(store, [added, SMALL[38], twice]), [2]);
      gate.open();
      await store.keeper.usage();
      await assertHolds(store, [...SMALL, ...LARGE, added]);
      assertEquals(await missing(store, [twice]), [0]);
      await assertCounts(store, [...SMALL, ...LARGE, added]);
      await untilGone(`${dir}/LOADING`);
    }
    assertEquals(reasons.at(-1), undefined);
    const { lines, log } = logged();
    await using again = await openDiskBlobStore(dir, { log, segmentBytes: 12_000 });
    assertEquals(lines.filter((line) => !line.includes("Opened the blob store")), []);
    await assertHolds(again, [...SMALL, ...LARGE, added]);
    await assertCounts(again, [...SMALL, ...LARGE, added]);
    assertEquals(await missing(again, [twice]), [0]);
  }));

Deno.test("DiskBlobStore closed while its index is made anew makes it anew the next time, with what came meanwhile", () =>
  withDir(async (dir) => {
    await filled(dir, SMALL, { segmentBytes: 12_000 });
    await Deno.remove(`${dir}/index`, { recursive: true });
    const added = Array.from({ length: 3 }, (_, i) => blob(800, 80 + i));
    for (const one of added) {
      const gate = new Gate();
      const files = gatedSegment(systemFiles, "00000002.seg", gate);
      const store = await openDiskBlobStore(dir, { files, segmentBytes: 12_000 });
      using _open = gate;
      await gate.reached;
      await put(store, one);
      const closing = store[Symbol.asyncDispose]();
      gate.open();
      await closing;
    }
    await using store = await openDiskBlobStore(dir, { segmentBytes: 12_000 });
    await assertHolds(store, [...SMALL, ...added]);
    await assertCounts(store, [...SMALL, ...added]);
  }));

Deno.test("DiskBlobStore killed in the middle of loading, again and again, holds everything", () =>
  withDir(async (dir) => {
    await filled(dir, [...SMALL, ...LARGE]);
    for (let round = 0; round < 4; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", new URL("./_load_until_killed.ts", import.meta.url).pathname, dir],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      assertEquals(Number((await reader.read()).value), SMALL.length + LARGE.length);
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
    }
    await using store = await openDiskBlobStore(dir);
    await assertHolds(store, [...SMALL, ...LARGE]);
    await assertCounts(store, [...SMALL, ...LARGE]);
  }));

Deno.test("DiskBlobStore catches up with a log of which its index knows nothing", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, still({ segmentBytes: 100_000 }));
    const blobs = Array.from({ length: 2000 }, (_, i) => blob(300 + (i >> 8), i));
    await Promise.all(blobs.map((one) => put(store, one)));
    for (const one of blobs.slice(0, 500)) await store.delete(SCOPE, one.digest);
    for (const one of blobs.slice(0, 100)) await put(store, one);
    const held = [...blobs.slice(0, 100), ...blobs.slice(500)];
    const copy = await crashCopy(dir);
    try {
      const gate = new Gate();
      await using again = await openDiskBlobStore(copy, { openIndex: gatedIndex(gate) });
      using _open = gate;
      await gate.reached;
      assertEquals(await missing(again, blobs), Array.from({ length: 400 }, (_, i) => i + 100));
      gate.open();
      await again.keeper.usage();
      await assertHolds(again, held);
      await assertCounts(again, held);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }));

Deno.test("DiskBlobStore goes on from an index whose position names a segment that was evicted", () =>
  withDir(async (dir) => {
    const options = { segmentBytes: 12_000 };
    await filled(dir, SMALL.slice(0, 5), options);
    await copyDirectory(`${dir}/index`, `${dir}/old`);
    await filled(dir, SMALL, options);
    const [first, ...others] = await segmentPaths(dir);
    assert(others.length >= 2);
    const bytes = await Deno.readFile(first);
    const inFirst = (one: Blob) => bytes.join().includes(Uint8Array.fromHex(one.digest.hash).join());
    await Deno.remove(first);
    await Deno.remove(`${dir}/index`, { recursive: true });
    await Deno.rename(`${dir}/old`, `${dir}/index`);
    const { lines, log } = logged();
    {
      await using store = await openDiskBlobStore(dir, { ...options, log });
      assert(!lines.some((line) => line.includes("Making the blob index anew")), lines.join("\n"));
      assertEquals(await missing(store, SMALL), SMALL.flatMap((one, i) => inFirst(one) ? [i] : []));
      await assertCounts(store, SMALL.filter((one) => !inFirst(one)));
    }
    // The newest is never evicted: an index that knows of a later one belongs to another log.
    for (const path of others.slice(-2)) await Deno.remove(path);
    await using store = await openDiskBlobStore(dir, { ...options, log });
    assert(lines.some((line) => line.includes("Making the blob index anew")), lines.join("\n"));
    const left = (await Promise.all((await segmentPaths(dir)).map((path) => Deno.readFile(path)))).map(
      String,
    );
    const isLeft = (one: Blob) =>
      left.some((text) => text.includes(Uint8Array.fromHex(one.digest.hash).join()));
    assertEquals(await missing(store, SMALL), SMALL.flatMap((one, i) => isLeft(one) ? [] : [i]));
  }));

for (const [version, valueBytes] of [[1, 16], [2, 20]]) {
  Deno.test(`openDiskBlobStore takes over a directory of format ${version}, with its index`, () =>
    withDir(async (dir) => {
      await filled(dir, [...SMALL, ...LARGE]);
      {
        await using env = LmdbEnv.open(`${dir}/index`);
        const changes: MetadataChange[] = [];
        if (version === 1) changes.push({ op: "delete", key: Uint8Array.of(0, 3) });
        for await (const slice of env.entries(Uint8Array.of(1))) {
          for (const { key, value } of slice) {
            assertEquals(value.length, 24);
            changes.push({ op: "put", key, value: value.slice(0, valueBytes) });
          }
        }
        await env.apply(changes);
      }
      const format = await Deno.readTextFile(`${dir}/FORMAT`);
      await Deno.writeTextFile(`${dir}/FORMAT`, format.replace("brokkr-blobs 3", `brokkr-blobs ${version}`));
      for (const held of [[...SMALL, ...LARGE], [...SMALL.slice(1), ...LARGE]]) {
        const { lines, log } = logged();
        await using store = await openDiskBlobStore(dir, { log });
        assert(!lines.some((line) => line.includes("Making the blob index anew")), lines.join("\n"));
        assertEquals(await Deno.readTextFile(`${dir}/FORMAT`), format);
        await assertCounts(store, held);
        await assertHolds(store, held);
        await store.delete(SCOPE, SMALL[0].digest);
      }
    }));
}

Deno.test("DiskBlobStore makes its index anew when it turns out to be damaged while it is loaded", () =>
  withDir(async (dir) => {
    await filled(dir, [...SMALL, ...LARGE]);
    let opened = 0;
    await using store = await openDiskBlobStore(dir, {
      openIndex: (path) => {
        const env = LmdbEnv.open(path);
        if (opened++ > 0) return env;
        return Object.assign(Object.create(null), {
          get: (key: Uint8Array) => env.get(key),
          apply: (changes: readonly MetadataChange[]) => env.apply(changes),
          entries: () => {
            throw new Error("MDB_CORRUPTED: Located page was wrong type");
          },
          [Symbol.asyncDispose]: () => env[Symbol.asyncDispose](),
        });
      },
    });
    assertEquals(opened, 2);
    await assertHolds(store, [...SMALL, ...LARGE]);
    await assertCounts(store, [...SMALL, ...LARGE]);
  }));
