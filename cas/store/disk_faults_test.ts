// What happens to a running store when its disk is taken away, fails, or cannot be written.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code, ManualClock, yieldToEventLoop } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import {
  assertHolds,
  type Blob,
  blob,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  withDir,
} from "./_disk_testing.ts";
import { FaultyFiles, type FileOperation } from "./_faulty_files.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import type { DiskBlobStoreOptions } from "./disk_store_options.ts";
import { systemFiles } from "./file_layer.ts";

const SOME = [blob(10, 1), blob(50_000, 2), blob(MIB, 3), blob(MIB + 1, 4), blob(3 * MIB, 5)];
const LATER = [blob(11, 6), blob(2 * MIB, 7)];

/** A store with what it said of its health. */
async function watched(dir: string, options: DiskBlobStoreOptions = {}) {
  const reasons: (string | undefined)[] = [];
  const clock = new ManualClock();
  const store = await openDiskBlobStore(dir, {
    clock,
    onHealth: (reason) => reasons.push(reason),
    ...options,
  });
  return { store, clock, reasons };
}

/** Turns the event loop until `done`. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await yieldToEventLoop();
}

/** Puts a blob, trying again while the store is unavailable, as clients do. */
async function putPatiently(store: BlobStore, one: Blob): Promise<void> {
  for (;;) {
    try {
      return await put(store, one);
    } catch (error) {
      if (!(error instanceof BrokkrError) || error.code !== Code.UNAVAILABLE) throw error;
      await yieldToEventLoop();
    }
  }
}

interface Removal {
  readonly what: string;
  readonly remove: (dir: string) => Promise<unknown>;
  /** Which of SOME are still there. */
  readonly left: (one: Blob) => boolean;
}

const rm = (path: string) => Deno.remove(path, { recursive: true });

const REMOVALS: readonly Removal[] = [
  { what: "its directory is removed", remove: rm, left: () => false },
  {
    what: "its directory is moved away",
    remove: (dir) => Deno.rename(dir, `${dir}.away`),
    left: () => false,
  },
  {
    what: "all in its directory is removed",
    remove: async (dir) => {
      for await (const { name } of Deno.readDir(dir)) await rm(`${dir}/${name}`);
    },
    left: () => false,
  },
  {
    what: "its segments are removed",
    remove: (dir) => rm(`${dir}/segments`),
    left: (one) => one.data.length > MIB,
  },
  {
    what: "one segment is removed",
    remove: async (dir) => await Deno.remove((await segmentPaths(dir))[0]),
    left: (one) => one.data.length > MIB,
  },
  {
    what: "its large blobs are removed",
    remove: (dir) => rm(`${dir}/blobs`),
    left: (one) => one.data.length <= MIB,
  },
  { what: "its index is removed", remove: (dir) => rm(`${dir}/index`), left: () => true },
  {
    what: "the directories of writers are removed",
    remove: async (dir) => {
      await rm(`${dir}/tmp`);
      await rm(`${dir}/uploads`);
    },
    left: () => true,
  },
];

for (const { what, remove, left } of REMOVALS) {
  Deno.test(`DiskBlobStore notices that ${what}, says so, and goes on with what is left`, () =>
    withDir(async (parent) => {
      const dir = `${parent}/cas`;
      const { store, clock, reasons } = await watched(dir);
      await using _store = store;
      for (const one of SOME) await put(store, one);
      await remove(dir);
      clock.advance(5000);
      await until(() => reasons.length === 2);
      assertStringIncludes(reasons[0] ?? "", dir);
      assertEquals(reasons[1], undefined);
      const kept = SOME.filter(left);
      assertEquals(await missing(store, SOME), SOME.flatMap((one, i) => left(one) ? [] : [i]));
      await assertHolds(store, kept);
      for (const one of [...SOME, ...LATER]) await put(store, one);
      await assertHolds(store, [...SOME, ...LATER]);
      await store[Symbol.asyncDispose]();
      await using again = await openDiskBlobStore(dir);
      await assertHolds(again, [...SOME, ...LATER]);
    }));

  Deno.test(`DiskBlobStore acknowledges nothing into the void when ${what}`, () =>
    withDir(async (parent) => {
      // Nobody tells it: the writes themselves must find out.
      const dir = `${parent}/cas`;
      const { store } = await watched(dir);
      await using _store = store;
      for (const one of SOME) await put(store, one);
      await remove(dir);
      // A small blob that goes to a segment which was moved is there, where it was moved to; a look every few seconds tells.
      const held = what.includes("moved away") ? LATER.slice(1) : LATER;
      for (const one of held) await putPatiently(store, one);
      await assertHolds(store, held);
      await store[Symbol.asyncDispose]();
      await using again = await openDiskBlobStore(dir);
      await assertHolds(again, held);
    }));
}

Deno.test("DiskBlobStore looks for all large blobs when the file of one is gone, and takes them again", () =>
  withDir(async (dir) => {
    const { store } = await watched(dir);
    await using _store = store;
    const large = Array.from({ length: 12 }, (_, i) => blob(MIB + 1 + i, i + 20));
    for (const one of [...large, ...SOME]) await put(store, one);
    const gone = large.filter((_, i) => i % 3 !== 0);
    for (const { digest } of gone.slice(1)) {
      await Deno.remove(`${dir}/blobs/sha256/${digest.hash.slice(0, 2)}/${digest.hash}`);
    }
    await rm(`${dir}/blobs/sha256/${gone[0].digest.hash.slice(0, 2)}`);
    await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, gone[0].digest));
    const expected = gone.map((one) => large.indexOf(one));
    while ((await missing(store, large)).length < expected.length) await yieldToEventLoop();
    const absent = (await missing(store, large)).map((index) => large[index]);
    assert(gone.every((one) => absent.includes(one)));
    for (const one of large) await put(store, one);
    await assertHolds(store, [...large, ...SOME]);
  }));

Deno.test("DiskBlobStore is unavailable, and says why, until its directory can be made again", () =>
  withDir(async (parent) => {
    const dir = `${parent}/cas`;
    const { store, clock, reasons } = await watched(dir);
    await using _store = store;
    for (const one of SOME) await put(store, one);
    await Deno.remove(dir, { recursive: true });
    await Deno.writeTextFile(dir, "in the way");
    clock.advance(5000);
    await until(() => reasons.length === 2);
    for (const reason of reasons) assertStringIncludes(reason ?? "", dir);
    for (
      const call of [
        () => put(store, SOME[0]),
        () => store.get(SCOPE, SOME[0].digest),
        () => missing(store, SOME),
        () => Array.fromAsync(store.read(SCOPE, SOME[4].digest)),
        () => store.writer(SCOPE, SOME[0].digest),
        () => store.stat(),
        () => store.uploads.keptBytes({ scope: SCOPE, uuid: "u", digest: SOME[0].digest }),
        () => store.delete(SCOPE, SOME[0].digest),
      ]
    ) {
      const error = await rejectsWith(Code.UNAVAILABLE, call);
      assertStringIncludes(error.message, dir);
      assert(error.retryDelayMs !== undefined);
    }
    await Deno.remove(dir);
    // The first look may still find it gone: the timer is set when the one before has ended.
    while (reasons.at(-1) !== undefined) {
      clock.advance(5000);
      await yieldToEventLoop();
    }
    assertEquals(await missing(store, SOME), [0, 1, 2, 3, 4]);
    for (const one of SOME) await put(store, one);
    await assertHolds(store, SOME);
  }));

interface WriteFault {
  readonly code: "EROFS" | "EIO" | "EMFILE" | "ENOSPC";
  readonly expected: Code;
  readonly words: string;
  readonly unhealthy: boolean;
}

const WRITE_FAULTS: readonly WriteFault[] = [
  { code: "EROFS", expected: Code.UNAVAILABLE, words: "mount it for writing", unhealthy: true },
  { code: "EIO", expected: Code.UNAVAILABLE, words: "kernel's log", unhealthy: true },
  { code: "EMFILE", expected: Code.RESOURCE_EXHAUSTED, words: "ulimit -n", unhealthy: false },
  { code: "ENOSPC", expected: Code.RESOURCE_EXHAUSTED, words: "free some", unhealthy: false },
];

const CHANGING: readonly FileOperation[] = [
  "write",
  "syncData",
  "truncate",
  "makeDirectory",
  "rename",
  "syncDirectory",
];

for (const { code, expected, words, unhealthy } of WRITE_FAULTS) {
  Deno.test(`DiskBlobStore reads on when writes fail with ${code}, says what to do, and writes again after`, () =>
    withDir(async (dir) => {
      const files = new FaultyFiles(systemFiles);
      const { store, clock, reasons } = await watched(dir, { files });
      await using _store = store;
      for (const one of SOME) await put(store, one);
      files.fault = (operation, path) =>
        CHANGING.includes(operation) || (operation === "open" && path.startsWith(`${dir}/tmp/`))
          ? code
          : undefined;
      for (const one of LATER) {
        const error = await rejectsWith(expected, () => put(store, one));
        assertStringIncludes(error.message, words);
        assertStringIncludes(error.message, dir);
        assert(error.retryDelayMs !== undefined);
      }
      await assertHolds(store, SOME);
      assertEquals(await missing(store, LATER), [0, 1]);
      assertEquals(reasons.length, unhealthy ? 1 : 0);
      // As long as it fails, it stays so.
      const opens = files.count("open");
      clock.advance(5000);
      if (unhealthy) await until(() => files.count("open") > opens);
      files.fault = () => undefined;
      for (const one of LATER) await put(store, one);
      if (unhealthy) {
        while (reasons.at(-1) !== undefined) {
          clock.advance(5000);
          await yieldToEventLoop();
        }
        assertEquals(reasons.length, 2);
      }
      await assertHolds(store, [...SOME, ...LATER]);
    }));
}

Deno.test("DiskBlobStore answers a failing read with what the client can do, and never with INTERNAL", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    const { store } = await watched(dir, { files, cacheBytes: 0 });
    await using _store = store;
    const read = async (one: Blob) => {
      for await (const _ of store.read(SCOPE, one.digest)) { /* to the end */ }
    };
    const cases = [["EIO", Code.DATA_LOSS], ["EMFILE", Code.RESOURCE_EXHAUSTED], [
      "EROFS",
      Code.UNAVAILABLE,
    ]] as const;
    for (const [code, expected] of cases) {
      for (const one of SOME) await put(store, one);
      for (const one of SOME) {
        files.fault = (operation, path) =>
          operation === "read" || (operation === "open" && code !== "EIO" && path.includes("/blobs/"))
            ? code
            : undefined;
        const error = await rejectsWith(expected, () => read(one));
        assertStringIncludes(error.message, one.digest.hash);
        files.fault = () => undefined;
        // Damage is told once; what was only out of reach is there again.
        assertEquals(await missing(store, [one]), code === "EIO" ? [0] : []);
      }
    }
  }));

/** Mounts a tmpfs on `dir` while `run` runs; false when that cannot be done here. */
async function withTmpfs(dir: string, size: string, run: () => Promise<void>): Promise<void> {
  const args = ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir];
  if (!(await new Deno.Command("mount", { args }).output()).success) {
    console.log("Skipped: a tmpfs cannot be mounted here");
    return;
  }
  try {
    await run();
  } finally {
    await new Deno.Command("umount", { args: ["-l", dir] }).output();
  }
}

async function remount(dir: string, mode: "ro" | "rw"): Promise<boolean> {
  return (await new Deno.Command("mount", { args: ["-o", `remount,${mode}`, dir] }).output()).success;
}

Deno.test({
  name: "openDiskBlobStore says that a disk is really read-only, and opens it when it is not" +
    (Deno.uid() === 0 ? "" : " (skipped: mounting needs root)"),
  ignore: Deno.uid() !== 0,
  fn: () =>
    withDir((dir) =>
      withTmpfs(dir, "64m", async () => {
        const options = { headroomBytes: 0 };
        {
          await using store = await openDiskBlobStore(`${dir}/cas`, options);
          for (const one of SOME) await put(store, one);
        }
        assertEquals(await remount(dir, "ro"), true);
        for (const name of ["cas", "new"]) {
          const error = await rejectsWith(
            Code.UNAVAILABLE,
            () => openDiskBlobStore(`${dir}/${name}`, options),
          );
          assertStringIncludes(error.message, "mount it for writing");
        }
        assertEquals(await remount(dir, "rw"), true);
        await using store = await openDiskBlobStore(`${dir}/cas`, options);
        await assertHolds(store, SOME);
      })
    ),
});

Deno.test("DiskBlobStore answers RESOURCE_EXHAUSTED when the process is really out of file descriptors, and works after", () =>
  withDir(async (dir) => {
    const script = new URL("./_out_of_descriptors.ts", import.meta.url).pathname;
    // The limit is the child's own; descriptors that Deno needs to start are far fewer.
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", `ulimit -n 256 && exec "$0" "$@"`, Deno.execPath(), "run", "-A", script, `${dir}/cas`],
    }).output();
    const decoder = new TextDecoder();
    assertEquals(code, 0, decoder.decode(stderr));
    const lines = decoder.decode(stdout).trim().split("\n");
    assertEquals(lines.length, 5, decoder.decode(stdout));
    for (const line of lines.slice(0, 4)) {
      assert(/^RESOURCE_EXHAUSTED .*ulimit -n/.test(line), line);
    }
    assertEquals(lines[4], "works");
  }));
