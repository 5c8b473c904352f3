// One table of cases for the uploads of every store, and what only those on disk can do: outlive their process.

import { assert, assertEquals } from "@std/assert";
import { Code, ManualClock, scopeOf } from "@brokkr/common";
import type { BlobStore, UploadId, UploadLimits } from "../blob_store.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { MIB, rejectsWith, withDir } from "./_disk_testing.ts";
import { FaultyFiles } from "./_faulty_files.ts";
import { UPLOAD_BYTES, uploadData, uploadOf } from "./_upload_until_killed.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { systemFiles } from "./file_layer.ts";
import { MemoryBlobStore } from "./memory_store.ts";

const SCOPE = scopeOf("main");
const SIZES = [2, 5000, MIB, MIB + 1, 3 * MIB + 5];

interface Options {
  readonly uploads?: UploadLimits;
  readonly clock?: ManualClock;
  readonly limitBytes?: number;
}

interface Kind {
  readonly name: string;
  open(dir: string, options?: Options): Promise<BlobStore>;
  /** Closes the store and opens it again, as a restart does; the same store where nothing outlives it. */
  reopen(store: BlobStore, dir: string, options?: Options): Promise<BlobStore>;
}

const openDisk = (dir: string, { limitBytes, ...options }: Options = {}) =>
  openDiskBlobStore(dir, { ...options, ...(limitBytes === undefined ? {} : { maxBytes: limitBytes }) });

const KINDS: readonly Kind[] = [
  {
    name: "MemoryBlobStore",
    open: (_dir, { limitBytes, ...options } = {}) =>
      Promise.resolve(new MemoryBlobStore(limitBytes ?? 64 * MIB, options)),
    reopen: (store) => Promise.resolve(store),
  },
  { name: "DiskBlobStore", open: openDisk, reopen: (store) => Promise.resolve(store) },
  {
    name: "DiskBlobStore opened again",
    open: openDisk,
    async reopen(store, dir, options) {
      await store[Symbol.asyncDispose]();
      return await openDisk(dir, options);
    },
  },
];

function upload(size: number, seed = 1, uuid = "u"): UploadId & { readonly data: Uint8Array } {
  const data = new Uint8Array(size);
  for (let i = 0; i < size; i++) data[i] = Math.imul(i + seed, 0x9e3779b1) >>> 24;
  return { scope: SCOPE, uuid, digest: digestOf(SHA256, data), data };
}

/** Writes the first `bytes` and leaves. */
async function leave(store: BlobStore, id: UploadId & { readonly data: Uint8Array }, bytes: number) {
  await using writer = await store.uploads.begin(id);
  const middle = bytes >> 1;
  await writer.write(id.data.subarray(0, middle));
  await writer.write(id.data.subarray(middle, bytes));
  await writer.suspend();
  await writer.suspend();
}

async function missing(store: BlobStore, id: UploadId): Promise<boolean> {
  return (await store.missing(SCOPE, batchOf(SHA256, [id.digest]))).length > 0;
}

interface Case {
  readonly name: string;
  run(kind: Kind, dir: string): Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name: "goes on with an upload where it was left, as often as it is left",
    async run(kind, dir) {
      let store = await kind.open(dir);
      for (const size of SIZES) {
        const id = upload(size);
        assertEquals(await store.uploads.keptBytes(id), 0);
        let at = size >> 2 || 1;
        await leave(store, id, at);
        while (at < size) {
          store = await kind.reopen(store, dir);
          assertEquals(await store.uploads.keptBytes(id), at);
          assertEquals(await missing(store, id), true);
          for (const offset of [0, at - 1, at + 1]) {
            assertEquals(await store.uploads.resume(id, offset), undefined);
          }
          const writer = await store.uploads.resume(id, at);
          assert(writer !== undefined);
          assertEquals(writer.writtenBytes, at);
          const to = Math.min(size, at + (size >> 1 || 1));
          await writer.write(id.data.subarray(at, to));
          at = to;
          if (at < size) await writer.suspend();
          else await writer.commit();
        }
        assertEquals(await store.get(SCOPE, id.digest), id.data);
        assertEquals(await store.uploads.keptBytes(id), 0);
        assertEquals(store.uploads.stat(), { kept: 0, keptBytes: 0 });
      }
      await store[Symbol.asyncDispose]();
    },
  },
  {
    name: "keeps uploads apart by blob, name, instance and size",
    async run(kind, dir) {
      let store = await kind.open(dir);
      const id = upload(3000);
      await leave(store, id, 2000);
      store = await kind.reopen(store, dir);
      const others: UploadId[] = [
        { ...id, uuid: "v" },
        { ...id, scope: scopeOf("other") },
        { ...id, digest: upload(3000, 2).digest },
        { ...id, digest: { ...id.digest, sizeBytes: 3001 } },
        { ...id, uuid: "../../../etc/passwd\0\n" },
      ];
      for (const other of others) {
        assertEquals(await store.uploads.keptBytes(other), 0);
        assertEquals(await store.uploads.resume(other, 2000), undefined);
      }
      const [, , , , strange] = others;
      await leave(store, { ...strange, data: id.data }, 1000);
      store = await kind.reopen(store, dir);
      assertEquals(await store.uploads.keptBytes(strange), 1000);
      assertEquals(await store.uploads.keptBytes(id), 2000);
      await store[Symbol.asyncDispose]();
    },
  },
  {
    name: "drops what was kept when the upload begins again, is aborted, or wrote nothing",
    async run(kind, dir) {
      let store = await kind.open(dir);
      for (const size of SIZES) {
        const id = upload(size);
        const half = size >> 1;
        await leave(store, id, half);
        await leave(store, id, 1);
        assertEquals(await store.uploads.keptBytes(id), 1);
        await (await store.uploads.resume(id, 1))?.abort();
        assertEquals(await store.uploads.keptBytes(id), 0);
        await leave(store, id, 0);
        store = await kind.reopen(store, dir);
        assertEquals(await store.uploads.keptBytes(id), 0);
        await leave(store, id, half);
        await using writer = await store.uploads.begin(id);
        assertEquals(await store.uploads.keptBytes(id), 0);
        await writer.write(id.data);
        await writer.commit();
        await writer.suspend();
        assertEquals(store.uploads.stat().kept, 0);
      }
      await store[Symbol.asyncDispose]();
    },
  },
  {
    name: "verifies all bytes of an upload that went on, and keeps nothing of a wrong one",
    async run(kind, dir) {
      let store = await kind.open(dir);
      for (const size of SIZES) {
        const id = upload(size);
        const wrong = { ...id, data: upload(size, 77).data };
        await leave(store, wrong, size >> 1);
        const opened = await kind.reopen(store, dir);
        const again = opened !== store;
        store = opened;
        const writer = await store.uploads.resume(id, size >> 1);
        assert(writer !== undefined);
        await writer.write(id.data.subarray(size >> 1));
        // After a restart nobody knows whether the client or the disk was wrong.
        await rejectsWith(again ? Code.UNAVAILABLE : Code.INVALID_ARGUMENT, () => writer.commit());
        assertEquals(await store.uploads.keptBytes(id), 0);
        assertEquals(await missing(store, id), true);
      }
      assertEquals((await store.stat()).blobs, 0);
      await store[Symbol.asyncDispose]();
    },
  },
  {
    name: "keeps to its limits, the oldest going first, and forgets with time",
    async run(kind, dir) {
      const clock = new ManualClock();
      const options = { clock, uploads: { keepMs: 60_000, maxKept: 3, maxKeptBytes: 5 * MIB } };
      let store = await kind.open(dir, options);
      const ids = Array.from({ length: 5 }, (_, i) => upload(2 * MIB, i + 1));
      const standing = () => Promise.all(ids.map((id) => store.uploads.keptBytes(id)));
      for (const id of ids.slice(0, 4)) await leave(store, id, MIB);
      assertEquals(await standing(), [0, MIB, MIB, MIB, 0]);
      clock.advance(30_000);
      await leave(store, ids[4], 2 * MIB - 1);
      assertEquals(await standing(), [0, 0, MIB, MIB, 2 * MIB - 1]);
      await leave(store, ids[0], 2 * MIB - 1);
      assertEquals(await standing(), [2 * MIB - 1, 0, 0, MIB, 2 * MIB - 1]);
      const large = upload(7 * MIB, 9);
      await leave(store, large, 6 * MIB);
      assertEquals(await store.uploads.keptBytes(large), 0);
      assertEquals(store.uploads.stat(), { kept: 3, keptBytes: 5 * MIB - 2 });
      clock.advance(30_000);
      await leave(store, ids[1], MIB);
      clock.advance(30_000);
      assertEquals(await standing(), [0, MIB, 0, 0, 0]);
      clock.advance(30_000);
      assertEquals(await standing(), [0, 0, 0, 0, 0]);
      store = await kind.reopen(store, dir, options);
      assertEquals(store.uploads.stat(), { kept: 0, keptBytes: 0 });
      await store[Symbol.asyncDispose]();
    },
  },
  {
    name: "counts interrupted uploads among what it holds, and drops them for blobs that need the room",
    async run(kind, dir) {
      const options = { limitBytes: 10 * MIB };
      let store = await kind.open(dir, options);
      for (let i = 0; i < 4; i++) await leave(store, upload(3 * MIB, i + 1), 2 * MIB);
      store = await kind.reopen(store, dir, options);
      assertEquals(store.uploads.stat().keptBytes, 8 * MIB);
      const blob = upload(5 * MIB, 9);
      await store.put(SCOPE, blob.digest, blob.data);
      assertEquals(store.uploads.stat(), { kept: 2, keptBytes: 4 * MIB });
      // One that goes on needs room only for what it has not got.
      const last = upload(3 * MIB, 4);
      const at = await store.uploads.keptBytes(last) || await store.uploads.keptBytes(upload(3 * MIB, 3));
      assertEquals(at, 2 * MIB);
      await store[Symbol.asyncDispose]();
    },
  },
];

for (const kind of KINDS) {
  for (const { name, run } of CASES) {
    Deno.test(`${kind.name} ${name}`, () => withDir((dir) => run(kind, dir)));
  }
}

async function uploadFiles(dir: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(`${dir}/uploads`), ({ name }) => `${dir}/uploads/${name}`);
}

for (const pieceBytes of [48 << 10, MIB]) {
  Deno.test(`an upload in pieces of ${pieceBytes} bytes goes on after kill -9 from what is on the disk`, () =>
    withDir(async (dir) => {
      const script = new URL("./_upload_until_killed.ts", import.meta.url).pathname;
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", script, dir, String(pieceBytes)],
        stdout: "piped",
      }).spawn();
      let acknowledged = 0;
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        acknowledged = Math.max(acknowledged, ...text.split("\n").filter((line) => line !== "").map(Number));
        if (acknowledged > UPLOAD_BYTES / 2) break;
      }
      child.kill("SIGKILL");
      await child.status;
      const data = uploadData();
      const id = uploadOf(data);
      await using store = await openDiskBlobStore(dir);
      const [path] = await uploadFiles(dir);
      const kept = await store.uploads.keptBytes(id);
      assertEquals(kept, (await Deno.stat(path)).size);
      // What waits in memory for more, two buffers at most, is lost.
      assert(kept > acknowledged - (1 << 20) && kept < UPLOAD_BYTES, `${kept} of ${acknowledged}`);
      assertEquals(await Deno.readFile(path), data.subarray(0, kept));
      await using writer = await store.uploads.resume(id, kept);
      assert(writer !== undefined);
      await writer.write(data.subarray(kept));
      await writer.commit();
      assertEquals(await store.get(id.scope, id.digest), data);
      assertEquals(await uploadFiles(dir), []);
    }));
}

Deno.test("DiskBlobStore drops old uploads at its start by the age of their files, also where the clock was set back", () =>
  withDir(async (dir) => {
    const startMs = 1_700_000_000_000;
    const hour = 3_600_000;
    const ids = Array.from({ length: 3 }, (_, i) => upload(2 * MIB, i + 1));
    const options = (wallMs: number) => ({ clock: new ManualClock(wallMs), uploads: { keepMs: hour } });
    const ages = [2 * hour, hour / 2, -2 * hour];
    {
      await using store = await openDiskBlobStore(dir, options(startMs));
      let before: string[] = [];
      for (const [i, id] of ids.entries()) {
        await leave(store, id, MIB);
        const now = await uploadFiles(dir);
        const [path] = now.filter((one) => !before.includes(one));
        await Deno.utime(path, new Date(startMs - ages[i]), new Date(startMs - ages[i]));
        before = now;
      }
    }
    const standing = (store: BlobStore) => Promise.all(ids.map((id) => store.uploads.keptBytes(id)));
    {
      const { clock, uploads } = options(startMs);
      await using store = await openDiskBlobStore(dir, { clock, uploads });
      assertEquals(await standing(store), [0, MIB, MIB]);
      assertEquals((await uploadFiles(dir)).length, 2);
      clock.advance(hour / 2);
      assertEquals(await standing(store), [0, 0, MIB]);
    }
    // From when it was first seen, and no later.
    await using store = await openDiskBlobStore(dir, options(startMs + hour));
    assertEquals(await standing(store), [0, 0, 0]);
    assertEquals(await uploadFiles(dir), []);
  }));

Deno.test("DiskBlobStore removes what is no upload and trusts no file that was cut under it", () =>
  withDir(async (dir) => {
    const id = upload(2 * MIB);
    {
      await using store = await openDiskBlobStore(dir);
      await leave(store, id, MIB);
      const [path] = await uploadFiles(dir);
      await Deno.truncate(path, 1000);
      assertEquals(await store.uploads.keptBytes(id), 0);
      assertEquals(await store.uploads.resume(id, MIB), undefined);
      await leave(store, id, MIB);
      await Deno.remove(path);
      assertEquals(await store.uploads.keptBytes(id), 0);
      await Deno.writeTextFile(`${dir}/uploads/strange`, "what is this");
      await Deno.writeFile(`${dir}/uploads/${"0".repeat(64)}`, new Uint8Array(0));
    }
    await using _store = await openDiskBlobStore(dir);
    assertEquals(await uploadFiles(dir), []);
  }));

Deno.test("DiskBlobStore drops an upload that it cannot keep, and goes on with one whose disk failed once", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    await using store = await openDiskBlobStore(dir, { files });
    for (const size of [5000, 3 * MIB]) {
      const id = upload(size);
      files.fault = (operation, path) =>
        operation === "syncData" && path.includes("/uploads/") ? "EIO" : undefined;
      await leave(store, id, size >> 1).catch(() => undefined);
      files.fault = () => undefined;
      assertEquals(await store.uploads.keptBytes(id), 0);
      assertEquals(await uploadFiles(dir), []);
      await leave(store, id, size >> 1);
      files.fault = (operation, path) =>
        operation === "open" && path.includes("/uploads/") ? "EMFILE" : undefined;
      await rejectsWith(Code.RESOURCE_EXHAUSTED, async () => {
        const writer = await store.uploads.resume(id, size >> 1);
        await writer?.write(id.data.subarray(size >> 1));
        await writer?.commit();
      });
      files.fault = () => undefined;
      await using writer = await store.uploads.resume(id, size >> 1);
      assert(writer !== undefined, "a failure to open costs nothing");
      await writer.write(id.data.subarray(size >> 1));
      await writer.commit();
    }
    assertEquals(await uploadFiles(dir), []);
  }));
