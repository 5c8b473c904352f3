// What only the disk leaf has: faults of the disk, damage, limits.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BrokkrError, ByteBudget, Code } from "@brokkr/common";
import { digestOf, SHA256 } from "../digest.ts";
import {
  assertHolds,
  type Blob,
  blob,
  crashCopy,
  flipByte,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  still,
  withDir,
} from "./_disk_testing.ts";
import { FaultyFiles } from "./_faulty_files.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { type FileLayer, systemFiles } from "./file_layer.ts";

const SOME = [blob(10, 1), blob(5000, 2), blob(MIB, 3), blob(MIB + 1, 4), blob(2 * MIB, 5), blob(100, 6)];

Deno.test("DiskBlobStore reports a damaged small blob once, then counts it as missing and takes it again", () =>
  withDir(async (dir) => {
    const blobs = Array.from({ length: 20 }, (_, i) => blob(1000, i + 1));
    await using store = await openDiskBlobStore(dir, still({ cacheBytes: 0 }));
    for (const one of blobs) await put(store, one);
    const [path] = await segmentPaths(dir);
    await flipByte(path, 64 + 5 * 1072 + 500);
    const error = await rejectsWith(Code.DATA_LOSS, () => store.get(SCOPE, blobs[5].digest));
    assertStringIncludes(error.message, "upload it again");
    assertEquals(await missing(store, blobs), [5]);
    await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, blobs[5].digest));
    // A new index skips the damage and finds all behind it.
    const copy = await crashCopy(dir);
    try {
      await Deno.remove(`${copy}/index`, { recursive: true });
      await using again = await openDiskBlobStore(copy);
      assertEquals(await missing(again, blobs), [5]);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
    await put(store, blobs[5]);
    await assertHolds(store, blobs);
  }));

Deno.test("DiskBlobStore reports a truncated, lost or changed file of a large blob, then takes it again", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const large = blob(2 * MIB, 9);
    const path = `${dir}/blobs/sha256/${large.digest.hash.slice(0, 2)}/${large.digest.hash}`;
    const damages = [
      [() => Deno.truncate(path, MIB), Code.DATA_LOSS],
      [() => Deno.remove(path), Code.NOT_FOUND],
      [() => flipByte(path, MIB + 77), Code.DATA_LOSS],
    ] as const;
    for (const [damage, code] of damages) {
      await put(store, large);
      await damage();
      assertEquals(await missing(store, [large]), []);
      const error = await rejectsWith(code, () => store.get(SCOPE, large.digest));
      assertStringIncludes(error.message, "upload it again");
      assertEquals(await missing(store, [large]), [0]);
    }
    await put(store, large);
    await assertHolds(store, [large]);
  }));

Deno.test("DiskBlobStore does not take a client's bytes for a record when it searches a damaged segment", () =>
  withDir(async (dir) => {
    const victim = blob(500, 1);
    const evil = blob(5000, 2);
    await using store = await openDiskBlobStore(dir, still());
    await put(store, victim);
    const [path] = await segmentPaths(dir);
    // The record of the victim, with the salt zeroed as a client would have to guess it, inside another blob.
    const record = (await Deno.readFile(path)).slice(64, 64 + 500);
    record.fill(0, 24, 32);
    evil.data.set(record, 48);
    const forged = { data: evil.data, digest: digestOf(SHA256, evil.data) };
    await put(store, forged);
    await store.delete(SCOPE, victim.digest);
    const copy = await crashCopy(dir);
    try {
      await Deno.remove(`${copy}/index`, { recursive: true });
      await flipByte((await segmentPaths(copy))[0], 64 + 576 + 10);
      await using again = await openDiskBlobStore(copy);
      assertEquals(await missing(again, [victim, forged]), [0, 1]);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }));

Deno.test("DiskBlobStore begins another segment when one is full, and reads from all of them", () =>
  withDir(async (dir) => {
    const blobs = Array.from({ length: 60 }, (_, i) => blob(10_000, i + 1));
    const options = { segmentBytes: 100_000, cacheBytes: 0 };
    {
      await using store = await openDiskBlobStore(dir, options);
      for (const one of blobs) await put(store, one);
      assertEquals((await store.stat()).segments, 7);
      await assertHolds(store, blobs);
    }
    await Deno.remove(`${dir}/index`, { recursive: true });
    await using store = await openDiskBlobStore(dir, options);
    await assertHolds(store, blobs);
    for (const path of await segmentPaths(dir)) assert((await Deno.stat(path)).size <= 100_000);
  }));

Deno.test("DiskBlobStore shares few syncs among 200 puts made at once", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    await using store = await openDiskBlobStore(dir, { files });
    await put(store, blob(5, 250));
    const before = files.count("syncData");
    const blobs = Array.from({ length: 200 }, (_, i) => blob(4096, i + 1));
    await Promise.all(blobs.map((one) => put(store, one)));
    const syncs = files.count("syncData") - before;
    assert(syncs <= 4, `${syncs} syncs for 200 puts`);
    await assertHolds(store, blobs);
  }));

Deno.test("DiskBlobStore keeps nothing of a group whose sync failed, gives up its segment, and goes on in another", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    await using store = await openDiskBlobStore(dir, still({ files }));
    const kept = blob(100, 1);
    await put(store, kept);
    const lost = [blob(100, 2), blob(200, 3)];
    files.fault = (operation, path) => operation === "syncData" && path.endsWith(".seg") ? "EIO" : undefined;
    for (const result of await Promise.allSettled(lost.map((one) => put(store, one)))) {
      assertEquals(result.status, "rejected");
      if (result.status === "rejected") assertEquals(result.reason.code, Code.UNAVAILABLE);
    }
    assertEquals(await missing(store, [kept, ...lost]), [1, 2]);
    files.fault = () => undefined;
    for (const one of lost) await put(store, one);
    await assertHolds(store, [kept, ...lost]);
    assertEquals((await store.stat()).segments, 2);
    const copy = await crashCopy(dir);
    try {
      await using again = await openDiskBlobStore(copy);
      await assertHolds(again, [kept, ...lost]);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }));

for (const kind of ["ENOSPC", "ENOSPC after a short write"] as const) {
  Deno.test(`DiskBlobStore answers RESOURCE_EXHAUSTED on ${kind}, leaves no trace, and works again when there is room`, () =>
    withDir(async (dir) => {
      const files = new FaultyFiles(systemFiles);
      await using store = await openDiskBlobStore(dir, still({ files }));
      const kept = blob(100, 1);
      await put(store, kept);
      const [path] = await segmentPaths(dir);
      const size = (await Deno.stat(path)).size;
      let shortened = kind === "ENOSPC";
      files.fault = (operation) => {
        if (operation !== "write") return undefined;
        if (shortened) return "ENOSPC";
        shortened = true;
        return "short";
      };
      for (const one of [blob(4000, 2), blob(3 * MIB, 3)]) {
        const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, () => put(store, one));
        assertStringIncludes(error.message, "No space left");
        assert(error.retryDelayMs !== undefined);
        assertEquals(await missing(store, [kept, one]), [1]);
      }
      assertEquals((await Deno.stat(path)).size, size);
      assertEquals((await Array.fromAsync(Deno.readDir(`${dir}/tmp`))).length, 0);
      files.fault = () => undefined;
      const later = [blob(4000, 2), blob(3 * MIB, 3)];
      for (const one of later) await put(store, one);
      await assertHolds(store, [kept, ...later]);
      assertEquals((await store.stat()).segments, 1);
    }));
}

Deno.test("DiskBlobStore leaves headroom on the disk, and takes blobs again as soon as there is more", () =>
  withDir(async (dir) => {
    let freeBytes = 10 * MIB;
    const files: FileLayer = { ...systemFiles, freeBytes: () => Promise.resolve(freeBytes) };
    await using store = await openDiskBlobStore(dir, still({ files, headroomBytes: 8 * MIB }));
    const kept = [blob(MIB, 1), blob(512 * 1024, 2)];
    for (const one of kept) await put(store, one);
    await assertHolds(store, kept);
    freeBytes -= 1.5 * MIB;
    for (const one of [blob(MIB, 3), blob(3 * MIB, 4)]) {
      const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, () => put(store, one));
      assertStringIncludes(error.message, `(${8 * MIB} bytes are kept free)`);
      assert(error.retryDelayMs !== undefined);
    }
    await put(store, blob(1000, 5));
    freeBytes += 20 * MIB;
    for (const one of [blob(MIB, 3), blob(3 * MIB, 4)]) await put(store, one);
    await assertHolds(store, [...kept, blob(MIB, 3), blob(3 * MIB, 4), blob(1000, 5)]);
  }));

Deno.test("DiskBlobStore refuses a large blob when a sync fails while it is still being written", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    await using store = await openDiskBlobStore(dir, { files });
    const large = blob(40 * MIB, 1);
    let failed = 0;
    // Once: the kernel reports a lost write to one sync only, and the next one succeeds.
    files.fault = (operation, path) =>
      operation === "syncData" && path.includes("/tmp/") && failed++ === 0 ? "EIO" : undefined;
    for (const chunk of [MIB, 64 << 10]) {
      failed = 0;
      await rejectsWith(Code.UNAVAILABLE, async () => {
        await using writer = await store.writer(SCOPE, large.digest);
        for (let at = 0; at < large.data.length; at += chunk) {
          await writer.write(large.data.subarray(at, at + chunk));
        }
        await writer.commit();
      });
      assert(failed >= 1);
      assertEquals(await missing(store, [large]), [0]);
      assertEquals((await Array.fromAsync(Deno.readDir(`${dir}/tmp`))).length, 0);
    }
    await put(store, large);
    await assertHolds(store, [large]);
  }));

Deno.test("DiskBlobStore gives writers and readers their memory back, however they end", () =>
  withDir(async (dir) => {
    const budget = new ByteBudget(3 * MIB);
    await using store = await openDiskBlobStore(dir, { budget });
    const large = blob(3 * MIB, 1);
    for (const one of [blob(MIB, 2), large]) {
      for (let round = 0; round < 4; round++) {
        const writer = await store.writer(SCOPE, one.digest);
        await writer.write(one.data.subarray(0, 100));
        await writer.abort();
        const wrong = await store.writer(SCOPE, one.digest);
        await wrong.write(one.data.subarray(1));
        await rejectsWith(Code.INVALID_ARGUMENT, () => wrong.commit());
      }
      await Promise.all(Array.from({ length: 8 }, () => put(store, one)));
      assertEquals(budget.usedBytes, 0);
    }
    const readers = Array.from({ length: 6 }, async (_, n) => {
      for await (const piece of store.read(SCOPE, large.digest)) if (n % 2 === 0 && piece.length > 0) break;
    });
    await Promise.all(readers);
    assertEquals(budget.usedBytes, 0);
  }));

Deno.test("DiskBlobStore survives any single failing operation while blobs are put, read and deleted", async () => {
  const blobs = [blob(50, 1), blob(60_000, 2), blob(MIB + 9, 3)];
  for (let nth = 1; nth < 60; nth++) {
    const code = nth % 2 === 0 ? "EIO" as const : "ENOSPC" as const;
    await withDir(async (dir) => {
      const files = new FaultyFiles(systemFiles);
      const acknowledged: Blob[] = [];
      {
        await using store = await openDiskBlobStore(dir, still({ files, segmentBytes: 50_000 }));
        let count = 0;
        files.fault = () => ++count === nth ? code : undefined;
        for (const one of blobs) {
          await put(store, one).then(() => acknowledged.push(one), (error) => {
            assert(error instanceof BrokkrError, String(error));
          });
        }
        await store.delete(SCOPE, blobs[0].digest).then(
          (was) => was && acknowledged.splice(acknowledged.indexOf(blobs[0]), 1),
          () => acknowledged.splice(acknowledged.indexOf(blobs[0]), acknowledged.includes(blobs[0]) ? 1 : 0),
        );
        files.fault = () => undefined;
        await assertHolds(store, acknowledged);
        for (const one of blobs) await put(store, one);
        await assertHolds(store, blobs);
      }
      await using again = await openDiskBlobStore(dir);
      await assertHolds(again, blobs);
    });
  }
});

Deno.test("DiskBlobStore refuses writes over its limit in words and still reads", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, { maxBytes: 3 * MIB });
    const first = blob(2 * MIB, 1);
    await put(store, first);
    // What somebody was told to be there does not make room for others.
    await assertHolds(store, [first]);
    for (const one of [blob(MIB, 2), blob(2 * MIB, 3)]) {
      const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, () => put(store, one));
      assertStringIncludes(error.message, "raise its limit");
    }
    await assertHolds(store, [first]);
    await put(store, blob(MIB / 2, 4));
    await store.delete(SCOPE, first.digest);
    await put(store, blob(2 * MIB, 3));
  }));

Deno.test("DiskBlobStore refuses everything when closed, and ends what was under way", () =>
  withDir(async (dir) => {
    const store = await openDiskBlobStore(dir);
    const under = [blob(1000, 1), blob(2 * MIB, 2)].map((one) => put(store, one));
    const settled = Promise.allSettled(under);
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    const states = (await settled).map((result) => result.status);
    await rejectsWith(Code.UNAVAILABLE, () => put(store, SOME[0]));
    await rejectsWith(Code.UNAVAILABLE, () => store.get(SCOPE, SOME[0].digest));
    await using again = await openDiskBlobStore(dir);
    const absent = await missing(again, [blob(1000, 1), blob(2 * MIB, 2)]);
    states.forEach((state, i) => assert(state === "rejected" || !absent.includes(i)));
  }));

Deno.test({
  name: "DiskBlobStore works again on a disk that was really full" +
    (Deno.uid() === 0 ? "" : " (skipped: mounting a small tmpfs needs root)"),
  ignore: Deno.uid() !== 0,
  fn: () =>
    withDir(async (dir) => {
      const mount = await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=8m", "tmpfs", dir] })
        .output();
      if (!mount.success) {
        console.log("Skipped: a tmpfs cannot be mounted here");
        return;
      }
      try {
        await Deno.writeFile(`${dir}/ballast`, new Uint8Array(2 * MIB));
        const kept: Blob[] = [];
        {
          // Without headroom, so that it is the disk that says it is full.
          await using store = await openDiskBlobStore(`${dir}/store`, { headroomBytes: 0 });
          const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, async () => {
            for (let i = 0; i < 200; i++) {
              const one = blob(90_000, i + 1);
              await put(store, one);
              kept.push(one);
            }
          });
          assertStringIncludes(error.message, "No space left");
          await rejectsWith(Code.RESOURCE_EXHAUSTED, () => put(store, blob(3 * MIB, 77)));
          await assertHolds(store, kept);
          await Deno.remove(`${dir}/ballast`);
          const later = blob(MIB + 5, 99);
          await put(store, later);
          kept.push(later);
        }
        await using store = await openDiskBlobStore(`${dir}/store`);
        await assertHolds(store, kept);
      } finally {
        await new Deno.Command("umount", { args: ["-l", dir] }).output();
      }
    }),
});
