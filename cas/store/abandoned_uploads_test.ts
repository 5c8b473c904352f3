// Uploads that are left in great numbers, and files that others made of them.

import { assert, assertEquals } from "@std/assert";
import { ByteBudget, Code, scopeOf, yieldToEventLoop } from "@brokkr/common";
import type { UploadId } from "../blob_store.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { rejectsWith, withDir } from "./_disk_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { type FileLayer, systemFiles } from "./file_layer.ts";

const scope = scopeOf("main");
const DATA = new Uint8Array([1, 2, 3, 4]);
const DIGEST = digestOf(SHA256, DATA);

const named = (uuid: string): UploadId => ({ scope, uuid, digest: DIGEST });

Deno.test("10,000 small uploads left at once are written a few at a time, and no more than are kept", () =>
  withDir(async (dir) => {
    let open = 0;
    let most = 0;
    let made = 0;
    const files: FileLayer = {
      ...systemFiles,
      async open(path, mode) {
        const file = await systemFiles.open(path, mode);
        if (!path.includes("/uploads/")) return file;
        made++;
        most = Math.max(most, ++open);
        return {
          readSync: (buffer, position) => file.readSync(buffer, position),
          read: (buffer, position) => file.read(buffer, position),
          write: (buffer, position) => file.write(buffer, position),
          truncate: (sizeBytes) => file.truncate(sizeBytes),
          size: () => file.size(),
          syncData: () => file.syncData(),
          close() {
            open--;
            file.close();
          },
        };
      },
    };
    const budget = new ByteBudget(1 << 20);
    await using store = await openDiskBlobStore(dir, { files, budget, uploads: { maxKept: 100 } });
    const writers = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) => store.uploads.begin(named(`u${i}`))),
    );
    for (const writer of writers) await writer.write(DATA.subarray(0, 2));
    await Promise.all(writers.map((writer) => writer.suspend()));
    assertEquals(open, 0);
    assert(most <= 8, `${most} files were open at once`);
    assertEquals([made, store.uploads.stat()], [100, { kept: 100, keptBytes: 200 }]);
    assertEquals(budget.usedBytes, 0);
    assertEquals((await Array.fromAsync(Deno.readDir(`${dir}/uploads`))).length, 100);
    await using writer = await store.uploads.resume(named("u5"), 2);
    await writer?.write(DATA.subarray(2));
    await writer?.commit();
    assertEquals(await store.get(scope, DIGEST), DATA);
  }));

Deno.test("names of uploads are nothing but names, however strange", () =>
  withDir(async (dir) => {
    const strange = ["../../escaped", "/etc/passwd", "\0", "a".repeat(1_000_000), "", "ÿ\n"];
    {
      await using store = await openDiskBlobStore(dir);
      for (const uuid of strange) {
        await using writer = await store.uploads.begin(named(uuid));
        await writer.write(DATA.subarray(0, 3));
        await writer.suspend();
      }
    }
    for await (const { name } of Deno.readDir(`${dir}/uploads`)) assert(/^[0-9a-f]{64}$/.test(name), name);
    await using store = await openDiskBlobStore(dir);
    for (const uuid of strange) assertEquals(await store.uploads.keptBytes(named(uuid)), 3);
  }));

Deno.test("what was left is looked through at the start, the youngest being kept", () =>
  withDir(async (dir) => {
    {
      await using _store = await openDiskBlobStore(dir);
    }
    const now = Date.now();
    for (let i = 0; i < 2000; i++) {
      const path = `${dir}/uploads/${i.toString(16).padStart(64, "0")}`;
      await Deno.writeFile(path, new Uint8Array(i === 1999 ? 100_000 : 100));
      await Deno.utime(path, new Date(now - 1e6 + i * 100), new Date(now - 1e6 + i * 100));
    }
    const uploads = { maxKept: 500, maxKeptBytes: 50_000 };
    await using store = await openDiskBlobStore(dir, { uploads });
    assertEquals(store.uploads.stat(), { kept: 500, keptBytes: 50_000 });
    const names = (await Array.fromAsync(Deno.readDir(`${dir}/uploads`))).map(({ name }) =>
      parseInt(name, 16)
    );
    assertEquals(names.sort((a, b) => a - b), Array.from({ length: 500 }, (_, i) => 1499 + i));
  }));

Deno.test("a file that others made longer than its blob counts for nothing, and holds no memory", () =>
  withDir(async (dir) => {
    {
      await using store = await openDiskBlobStore(dir);
      await using writer = await store.uploads.begin(named("u"));
      await writer.write(DATA.subarray(0, 3));
      await writer.suspend();
    }
    for await (const { name } of Deno.readDir(`${dir}/uploads`)) {
      await Deno.writeFile(`${dir}/uploads/${name}`, new Uint8Array(9));
    }
    const budget = new ByteBudget(1 << 20);
    await using store = await openDiskBlobStore(dir, { budget });
    assertEquals(store.uploads.stat().keptBytes, 9);
    assertEquals(await store.uploads.resume(named("u"), 9), undefined);
    assertEquals([await store.uploads.keptBytes(named("u")), budget.usedBytes], [0, 0]);
  }));

Deno.test("a call that ends waits no longer for a writer's memory, and loses nothing of its upload", () =>
  withDir(async (dir) => {
    const budget = new ByteBudget(1 << 20);
    await using store = await openDiskBlobStore(dir, { budget });
    for (const sizeBytes of [1 << 19, 1 << 22]) {
      const data = new Uint8Array(sizeBytes).fill(5);
      const id = { scope, uuid: "u", digest: digestOf(SHA256, data) };
      {
        await using writer = await store.uploads.begin(id);
        await writer.write(data.subarray(0, 100_000));
        await writer.suspend();
      }
      const all = await budget.acquire(budget.limitBytes);
      const abort = new AbortController();
      const { signal } = abort;
      const waits = [
        store.uploads.begin({ ...id, uuid: "other" }, signal),
        store.writer(scope, id.digest, signal),
        store.uploads.resume(id, 100_000, signal),
      ];
      const codes = waits.map((wait) => rejectsWith(Code.CANCELLED, () => wait));
      while (budget.waiters < waits.length) await yieldToEventLoop();
      abort.abort();
      await Promise.all(codes);
      all.release();
      assertEquals([budget.waiters, budget.usedBytes], [0, 0]);
      await using writer = await store.uploads.resume(id, 100_000);
      await writer?.write(data.subarray(100_000));
      await writer?.commit();
      assertEquals((await store.get(scope, id.digest)).length, sizeBytes);
      assertEquals(store.uploads.stat(), { kept: 0, keptBytes: 0 });
    }
  }));
