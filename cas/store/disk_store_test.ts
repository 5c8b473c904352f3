// What only the disk leaf has: recovery, faults of the disk, damage, limits.

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code, createLogger, ManualClock, scopeOf } from "@brokkr/common";
import fc from "fast-check";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { FaultyFiles } from "./_faulty_files.ts";
import { type DiskBlobStoreOptions, openDiskBlobStore } from "./disk_store.ts";
import { systemFiles } from "./file_layer.ts";

const SCOPE = scopeOf("");
const MIB = 1 << 20;

interface Blob {
  readonly digest: Digest;
  readonly data: Uint8Array;
}

function blob(size: number, seed: number): Blob {
  const data = new Uint8Array(size).fill(seed);
  data[0] = seed >> 8;
  return { data, digest: digestOf(SHA256, data) };
}

const put = (store: BlobStore, { digest, data }: Blob) => store.put(SCOPE, digest, data);

async function missing(store: BlobStore, blobs: readonly Blob[]): Promise<number[]> {
  return [...await store.missing(SCOPE, batchOf(SHA256, blobs.map((one) => one.digest)))];
}

async function assertHolds(store: BlobStore, blobs: readonly Blob[]): Promise<void> {
  assertEquals(await missing(store, blobs), []);
  for (const { digest, data } of blobs) assertEquals(await store.get(SCOPE, digest), data);
}

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-disk-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function copyDirectory(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copyDirectory(`${from}/${entry.name}`, `${to}/${entry.name}`);
    else await Deno.copyFile(`${from}/${entry.name}`, `${to}/${entry.name}`);
  }
}

/** What a killed process leaves: the directory as it is, while the store that wrote it is still open. */
async function crashCopy(dir: string): Promise<string> {
  const copy = `${dir}-crash-${crypto.randomUUID()}`;
  await copyDirectory(dir, copy);
  return copy;
}

async function segmentPaths(dir: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(`${dir}/segments`), (entry) => entry.name);
  return names.sort().map((name) => `${dir}/segments/${name}`);
}

async function flipByte(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0] ^= 0xff;
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(byte);
}

async function rejectsWith(code: Code, run: () => Promise<unknown>): Promise<BrokkrError> {
  const error = await assertRejects(run, BrokkrError);
  assertEquals(error.codeName, new BrokkrError(code, "").codeName, error.message);
  return error;
}

/** A store whose index is written only when the clock is moved. */
function still(options: DiskBlobStoreOptions = {}): DiskBlobStoreOptions & { clock: ManualClock } {
  return { ...options, clock: new ManualClock() };
}

const SOME = [blob(10, 1), blob(5000, 2), blob(MIB, 3), blob(MIB + 1, 4), blob(2 * MIB, 5), blob(100, 6)];

Deno.test("openDiskBlobStore writes the format first and finds everything again after a clean shutdown", () =>
  withDir(async (dir) => {
    {
      await using store = await openDiskBlobStore(dir);
      for (const one of SOME) await put(store, one);
    }
    assertStringIncludes(await Deno.readTextFile(`${dir}/FORMAT`), "brokkr-blobs 1\n");
    assert((await Deno.stat(`${dir}/CLEAN`)).isFile);
    const lines: string[] = [];
    const files = new FaultyFiles(systemFiles);
    const log = createLogger({ write: (line) => lines.push(line) });
    await using store = await openDiskBlobStore(dir, { log, files });
    await assertHolds(store, SOME);
    assertEquals((await store.stat()).files, 2);
    assertEquals((await store.stat()).segments, 1);
    // The index was trusted: no directory of blobs was looked at.
    assertEquals([...files.counts].filter(([operation]) => operation === "list"), [["list", 2]]);
    assertEquals(lines.filter((line) => !line.includes("INFO")), []);
    await assertRejects(() => Deno.stat(`${dir}/CLEAN`), Deno.errors.NotFound);
  }));

Deno.test("openDiskBlobStore finds everything acknowledged after a crash, with any index", () =>
  withDir(async (dir) => {
    const options = still();
    await using store = await openDiskBlobStore(dir, options);
    for (const one of SOME.slice(0, 4)) await put(store, one);
    options.clock.advance(2000); // The index learns of these some time after this.
    for (const one of SOME.slice(4)) await put(store, one);
    const gone = blob(33, 7);
    await put(store, gone);
    await store.delete(SCOPE, gone.digest);
    await store.delete(SCOPE, SOME[3].digest);
    await put(store, SOME[3]);
    for (const index of ["kept", "removed", "garbage"]) {
      const copy = await crashCopy(dir);
      try {
        if (index !== "kept") await Deno.remove(`${copy}/index`, { recursive: true });
        if (index === "garbage") {
          await Deno.mkdir(`${copy}/index`);
          await Deno.writeTextFile(`${copy}/index/data.mdb`, "garbage".repeat(5000));
        }
        for (let round = 0; round < 2; round++) {
          await using again = await openDiskBlobStore(copy);
          await assertHolds(again, SOME);
          assertEquals(await missing(again, [gone]), [0]);
          assertEquals((await again.stat()).blobs, SOME.length);
        }
      } finally {
        await Deno.remove(copy, { recursive: true });
      }
    }
  }));

Deno.test("openDiskBlobStore does not trust a clean marker that another index left", () =>
  withDir(async (dir) => {
    {
      await using store = await openDiskBlobStore(dir);
      await put(store, SOME[0]);
    }
    await copyDirectory(`${dir}/index`, `${dir}/old`);
    {
      await using store = await openDiskBlobStore(dir);
      for (const one of SOME) await put(store, one);
      await store.delete(SCOPE, SOME[0].digest);
    }
    await Deno.remove(`${dir}/index`, { recursive: true });
    await Deno.rename(`${dir}/old`, `${dir}/index`);
    await using store = await openDiskBlobStore(dir);
    await assertHolds(store, SOME.slice(1));
    assertEquals(await missing(store, SOME), [0]);
  }));

Deno.test("openDiskBlobStore makes the index anew when loading it twice never ended", () =>
  withDir(async (dir) => {
    {
      await using store = await openDiskBlobStore(dir);
      for (const one of SOME) await put(store, one);
    }
    await Deno.writeTextFile(`${dir}/LOADING`, "2\n");
    // Within a page that loading would read; LMDB would end the process.
    const size = (await Deno.stat(`${dir}/index/data.mdb`)).size;
    using file = await Deno.open(`${dir}/index/data.mdb`, { write: true });
    await file.seek(8192, Deno.SeekMode.Start);
    await file.write(new Uint8Array(size - 8192).fill(0x5a));
    await using store = await openDiskBlobStore(dir);
    await assertHolds(store, SOME);
    await assertRejects(() => Deno.stat(`${dir}/LOADING`), Deno.errors.NotFound);
  }));

Deno.test("openDiskBlobStore refuses a directory of another format or purpose, in words", () =>
  withDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/FORMAT`, "brokkr-blobs 2\nid 00\n");
    const error = await rejectsWith(Code.FAILED_PRECONDITION, () => openDiskBlobStore(dir));
    assertStringIncludes(error.message, "has format 2");
    await Deno.writeTextFile(`${dir}/FORMAT`, "");
    assertStringIncludes(
      (await rejectsWith(Code.FAILED_PRECONDITION, () => openDiskBlobStore(dir))).message,
      "damaged",
    );
    await Deno.remove(`${dir}/FORMAT`);
    await Deno.mkdir(`${dir}/segments`);
    assertStringIncludes(
      (await rejectsWith(Code.FAILED_PRECONDITION, () => openDiskBlobStore(dir))).message,
      "no FORMAT",
    );
  }));

Deno.test("openDiskBlobStore removes what unfinished writers left", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const large = blob(3 * MIB, 8);
    await using writer = await store.writer(SCOPE, large.digest);
    await writer.write(large.data.subarray(0, 2 * MIB));
    const copy = await crashCopy(dir);
    try {
      assertEquals((await Array.fromAsync(Deno.readDir(`${copy}/tmp`))).length, 1);
      await using again = await openDiskBlobStore(copy);
      assertEquals((await Array.fromAsync(Deno.readDir(`${copy}/tmp`))).length, 0);
      assertEquals(await missing(again, [large]), [0]);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }));

Deno.test("openDiskBlobStore cuts a torn tail of every length and goes on behind it", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir, still());
    const kept = [blob(100, 1), blob(200, 2)];
    for (const one of kept) await put(store, one);
    const [path] = await segmentPaths(dir);
    const keptSize = (await Deno.stat(path)).size;
    const torn = blob(300, 3);
    await put(store, torn);
    const fullSize = (await Deno.stat(path)).size;
    for (let size = keptSize + 1; size < fullSize; size += 13) {
      const copy = await crashCopy(dir);
      try {
        const [tail] = await segmentPaths(copy);
        await Deno.truncate(tail, size);
        {
          await using again = await openDiskBlobStore(copy);
          assertEquals((await Deno.stat(tail)).size, keptSize);
          await assertHolds(again, kept);
          assertEquals(await missing(again, [torn]), [0]);
          await put(again, torn);
        }
        await using last = await openDiskBlobStore(copy);
        await assertHolds(last, [...kept, torn]);
      } finally {
        await Deno.remove(copy, { recursive: true });
      }
    }
  }));

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

Deno.test("DiskBlobStore reports a truncated or lost file of a large blob, then takes it again", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    const large = blob(2 * MIB, 9);
    const path = `${dir}/blobs/sha256/${large.digest.hash.slice(0, 2)}/${large.digest.hash}`;
    for (const damage of [() => Deno.truncate(path, MIB), () => Deno.remove(path)]) {
      await put(store, large);
      await damage();
      assertEquals(await missing(store, [large]), []);
      await rejectsWith(Code.DATA_LOSS, () => store.get(SCOPE, large.digest));
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

Deno.test("DiskBlobStore loses nothing acknowledged when its process is killed under load", () =>
  withDir(async (dir) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", new URL("./_put_until_killed.ts", import.meta.url).pathname, dir],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const acknowledged = new Set<number>();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) acknowledged.add(Number(line));
      if (acknowledged.size >= 3000) break;
    }
    child.kill("SIGKILL");
    await child.status;
    assert(acknowledged.size >= 3000);
    const { numberedBlob } = await import("./_put_until_killed.ts");
    await using store = await openDiskBlobStore(dir);
    for (const n of acknowledged) {
      const data = numberedBlob(n);
      assertEquals((await store.get(SCOPE, digestOf(SHA256, data))).length, data.length);
    }
  }));

Deno.test({
  name: "DiskBlobStore works again on a disk that was really full",
  ignore: Deno.uid() !== 0, // Only root can mount a small tmpfs.
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
          await using store = await openDiskBlobStore(`${dir}/store`);
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

Deno.test("DiskBlobStore behaves like a map through closing, crashing and losing its index", async () => {
  const pool = [
    ...Array.from({ length: 8 }, (_, i) => blob(1 + i * 700, i + 1)),
    blob(MIB, 40),
    blob(MIB + 1, 41),
  ];
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant("put"),
        of: fc.array(fc.nat(pool.length - 1), { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constant("delete"),
        of: fc.array(fc.nat(pool.length - 1), { minLength: 1, maxLength: 2 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constantFrom("close", "crash", "crash without index", "tick"),
        of: fc.constant([]),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) =>
      withDir(async (base) => {
        let dir = `${base}/0`;
        let options = still({ segmentBytes: 20_000 });
        let store = await openDiskBlobStore(dir, options);
        const model = new Set<number>();
        const reopen = async (at: string) => {
          dir = at;
          options = still({ segmentBytes: 20_000 });
          store = await openDiskBlobStore(dir, options);
        };
        for (const [n, { op, of }] of steps.entries()) {
          if (op === "put") {
            await Promise.all(of.map((i) => put(store, pool[i])));
            for (const i of of) model.add(i);
          } else if (op === "delete") {
            for (const i of of) {
              assertEquals(await store.delete(SCOPE, pool[i].digest), model.delete(i));
            }
          } else if (op === "tick") {
            options.clock.advance(1500);
          } else if (op === "close") {
            await store[Symbol.asyncDispose]();
            await reopen(dir);
          } else {
            await copyDirectory(dir, `${base}/${n + 1}`);
            await store[Symbol.asyncDispose]();
            if (op === "crash without index") {
              await Deno.remove(`${base}/${n + 1}/index`, { recursive: true });
            }
            await reopen(`${base}/${n + 1}`);
          }
          const absent = pool.flatMap((_, i) => model.has(i) ? [] : [i]);
          assertEquals(await missing(store, pool), absent);
        }
        for (const i of model) assertEquals(await store.get(SCOPE, pool[i].digest), pool[i].data);
        const stat = await store.stat();
        assertEquals(stat.blobs, model.size);
        assertEquals(stat.bytes, [...model].reduce((sum, i) => sum + pool[i].data.length, 0));
        await store[Symbol.asyncDispose]();
      })),
    { numRuns: 25 },
  );
});
