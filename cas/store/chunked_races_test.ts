// Lists of chunks while something else goes on: promises, pins and deletions that meet a cut, and what a crash left.

import { assert, assertEquals } from "@std/assert";
import { Code, ManualClock } from "@brokkr/common";
import type { BlobStore, ChunkList } from "../blob_store.ts";
import { blobSubject, digestOf, SHA256 } from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import {
  assertHolds,
  type Blob,
  flipByte,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  withDir,
} from "./_disk_testing.ts";
import { FaultyFiles } from "./_faulty_files.ts";
import { decodeRecord, encodeRecord, HEADER_BYTES, SALT_BYTES } from "./_record.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { Splicer, type SplicerOptions } from "./_splicer.ts";
import { type FileLayer, systemFiles } from "./file_layer.ts";

function noise(length: number, seed: number): Blob {
  const data = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return { data, digest: digestOf(SHA256, data) };
}

async function split(store: BlobStore, { digest }: Blob): Promise<ChunkList> {
  const list = await store.split?.(SCOPE, digest);
  assert(list !== undefined);
  return list;
}

const HOUR_MS = 3_600_000;

Deno.test("a blob that is promised while its list is written keeps its chunks as long as it was promised", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const files = new FaultyFiles(systemFiles);
    const promiseMs = 3 * HOUR_MS;
    await using store = await openDiskBlobStore(dir, {
      clock,
      files,
      promiseMs,
      maxBytes: 30 * MIB,
      segmentBytes: MIB,
      paceMs: 0,
      headroomBytes: 0,
    });
    const blob = noise(4 * MIB, 1);
    await put(store, blob);
    const answers: unknown[] = [];
    files.fault = (operation, path) => {
      if (operation === "syncData" && path.includes("/segments/")) {
        // Later than whoever cuts it looked at the clock.
        clock.advance(HOUR_MS);
        answers.push(store.missing(SCOPE, batchOf(SHA256, [blob.digest])));
      }
      return undefined;
    };
    await split(store, blob);
    files.fault = () => undefined;
    assert(answers.length > 0);
    for (const answer of answers) assertEquals([...await (answer as Uint32Array)], []);
    clock.advance(promiseMs - HOUR_MS / 2);
    for (let seed = 100; seed < 180; seed++) {
      clock.advance(1000);
      await put(store, noise(900_000, seed));
    }
    await assertHolds(store, [blob]);
  }));

Deno.test("a blob that is pinned while it is cut keeps its chunks pinned, too", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, { headroomBytes: 0, maxBytes: 1 << 30 });
    let expected = 0;
    for (let turns = 0; turns < 40; turns++) {
      const blob = noise(1_500_000, 1000 + turns);
      await put(store, blob);
      const cut = split(store, blob);
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      await store.pin(SCOPE, batchOf(SHA256, [blob.digest]), 1000 * HOUR_MS);
      expected += 1 + (await cut).chunks.length;
      assertEquals((await store.keeper.usage()).pinned.blobs, expected, `after ${turns} turns`);
    }
  }));

Deno.test("a chunk that is there many times is pinned once", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, { headroomBytes: 0, maxBytes: 20 * MIB });
    const chunk = noise(900_000, 2);
    await put(store, chunk);
    const data = new Uint8Array(30 * chunk.data.length);
    for (let i = 0; i < 30; i++) data.set(chunk.data, i * chunk.data.length);
    const digest = digestOf(SHA256, data);
    const list = { chunks: batchOf(SHA256, Array(30).fill(chunk.digest)), chunking: 0 };
    assertEquals(await store.splice?.(SCOPE, digest, list), "kept");
    await store.pin(SCOPE, batchOf(SHA256, [digest]), 1000 * HOUR_MS);
    assertEquals((await store.keeper.usage()).pinned.blobs, 2);
  }));

Deno.test("who deletes a blob before its file was found beside its list deletes both", () =>
  withDir(async (dir) => {
    const blob = noise(3_000_000, 3);
    const path = `${dir}/blobs/sha256/${blob.digest.hash.slice(0, 2)}/${blob.digest.hash}`;
    {
      await using store = await openDiskBlobStore(dir);
      await put(store, blob);
      await Deno.copyFile(path, `${dir}/kept`);
      await split(store, blob);
    }
    // As a crash would leave it that came before the file was gone.
    await Deno.rename(`${dir}/kept`, path);
    await Deno.remove(`${dir}/CLEAN`);
    const looked = Promise.withResolvers<void>();
    // The clock's timers alone keep no process alive.
    const alive = setInterval(() => {}, 60_000);
    const files: FileLayer = {
      open: (path, mode) => systemFiles.open(path, mode),
      makeDirectory: (path) => systemFiles.makeDirectory(path),
      rename: (from, to) => systemFiles.rename(from, to),
      remove: (path) => systemFiles.remove(path),
      removeTree: (path) => systemFiles.removeTree(path),
      list: async (path) => {
        if (path.endsWith("/blobs")) await looked.promise;
        return await systemFiles.list(path);
      },
      size: (path) => systemFiles.size(path),
      modifiedMs: (path) => systemFiles.modifiedMs(path),
      touch: (path, wallMs) => systemFiles.touch(path, wallMs),
      syncDirectory: (path) => systemFiles.syncDirectory(path),
      freeBytes: (path) => systemFiles.freeBytes(path),
    };
    {
      await using store = await openDiskBlobStore(dir, { files });
      try {
        assert(await store.delete(SCOPE, blob.digest));
        assertEquals(await missing(store, [blob]), [0]);
      } finally {
        looked.resolve();
        clearInterval(alive);
      }
    }
    await Deno.remove(`${dir}/CLEAN`, { recursive: true }).catch(() => {});
    await using store = await openDiskBlobStore(dir);
    assertEquals(await missing(store, [blob]), [0]);
    assertEquals((await store.stat()).files, 0);
  }));

Deno.test("a list that is wrong although its record's checksum is right makes its blob missing, and nothing else", () =>
  withDir(async (dir) => {
    const blob = noise(3_000_000, 4);
    const other = noise(1000, 5);
    let list: ChunkList;
    {
      await using store = await openDiskBlobStore(dir);
      await put(store, blob);
      await put(store, other);
      list = await split(store, blob);
    }
    const salt = Uint8Array.fromHex(
      /\nid ([0-9a-f]{32})/.exec(await Deno.readTextFile(`${dir}/FORMAT`))?.[1] ?? "",
    ).subarray(0, SALT_BYTES);
    const [segment] = await segmentPaths(dir);
    const bytes = await Deno.readFile(segment);
    const raw = Uint8Array.fromHex(blob.digest.hash);
    let changed = 0;
    for (let at = 0; at + HEADER_BYTES < bytes.length; at += 8) {
      const record = decodeRecord(bytes, at, salt);
      if (typeof record === "string" || !record.hash.every((byte, i) => byte === raw[i])) continue;
      const data = record.data.slice();
      data[8] ^= 1;
      encodeRecord(bytes, at, { ...record, hash: raw, data }, salt);
      changed++;
    }
    assertEquals(changed, 1);
    await Deno.writeFile(segment, bytes);
    await using store = await openDiskBlobStore(dir);
    assertEquals(await missing(store, [other, blob]), [1]);
    assertEquals(await store.split?.(SCOPE, blob.digest), undefined);
    await put(store, blob);
    await assertHolds(store, [blob, {
      digest: digestAt(list.chunks, 0),
      data: blob.data.slice(0, list.chunks.sizes[0]),
    }]);
  }));

/** A splicer whose store is not there: what is not given fails when it is called. */
function splicerOf(parts: object): Splicer {
  const nothing = () => {
    throw new Error("Not to be called");
  };
  const others = { read: nothing, readVerified: nothing, put: nothing, writer: nothing, reserve: nothing };
  return new Splicer({ ...others, ...parts } as unknown as SplicerOptions);
}

Deno.test("a file whose list would be too long for a record is not read to find that out", async () => {
  const splicer = splicerOf({});
  const digest = { ...noise(10, 6).digest, sizeBytes: 8 * 2 ** 30 };
  assertEquals(await splicer.cutFile(digest, { uses: true }), undefined);
});

Deno.test("whoever waits for room for a list does not keep others from its blob", async () => {
  const blob = noise(1_500_000, 7);
  let alone = 0;
  const seen: number[] = [];
  const splicer = splicerOf({
    readVerified: () => [blob.data],
    put: () => Promise.resolve(),
    promise: () => ({ usedS: 0, untilMs: 0 }),
    reserve: () => {
      seen.push(alone);
      return Promise.resolve();
    },
    release: () => {},
    alone: async (_: unknown, run: () => Promise<unknown>) => {
      alone++;
      try {
        return await run();
      } finally {
        alone--;
      }
    },
    // It went meanwhile.
    state: { catalog: { entry: () => undefined } },
  });
  assertEquals(await splicer.cutFile(blob.digest, { uses: true }), undefined);
  assertEquals(seen, [0]);
});

Deno.test("who makes a blob of a chunk that is found damaged is told to send that chunk again", () =>
  withDir(async (dir) => {
    const whole = noise(1_800_000, 8);
    const chunks = [0, 1, 2].map((i) => {
      const data = whole.data.subarray(i * 600_000, (i + 1) * 600_000);
      return { data, digest: digestOf(SHA256, data) };
    });
    await using store = await openDiskBlobStore(dir);
    for (const chunk of chunks) await put(store, chunk);
    const [segment] = await segmentPaths(dir);
    await flipByte(segment, 900_000);
    const list = { chunks: batchOf(SHA256, chunks.map(({ digest }) => digest)), chunking: 0 };
    const error = await rejectsWith(Code.NOT_FOUND, async () => {
      await store.splice?.(SCOPE, whole.digest, list);
    });
    const [detail] = error.details;
    assert(detail.kind === "preconditionFailure");
    assertEquals(detail.violations.map(({ subject }) => subject), [blobSubject(chunks[1].digest)]);
    await put(store, chunks[1]);
    assertEquals(await store.splice?.(SCOPE, whole.digest, list), "kept");
    await assertHolds(store, [whole]);
  }));
