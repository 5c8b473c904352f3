// What a disk store finds again after shutdowns, crashes and losses.

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Code, createLogger, yieldToEventLoop } from "@brokkr/common";
import fc from "fast-check";
import { digestOf, SHA256 } from "../digest.ts";
import {
  assertHolds,
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
import { FaultyFiles } from "./_faulty_files.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { systemFiles } from "./file_layer.ts";

const SOME = [blob(10, 1), blob(5000, 2), blob(MIB, 3), blob(MIB + 1, 4), blob(2 * MIB, 5), blob(100, 6)];

Deno.test("openDiskBlobStore writes the format first and finds everything again after a clean shutdown", () =>
  withDir(async (dir) => {
    {
      await using store = await openDiskBlobStore(dir);
      for (const one of SOME) await put(store, one);
    }
    assertStringIncludes(await Deno.readTextFile(`${dir}/FORMAT`), "brokkr-blobs 3\n");
    assert((await Deno.stat(`${dir}/CLEAN`)).isFile);
    const lines: string[] = [];
    const files = new FaultyFiles(systemFiles);
    const log = createLogger({ write: (line) => lines.push(line) });
    await using store = await openDiskBlobStore(dir, { log, files });
    await assertHolds(store, SOME);
    assertEquals((await store.stat()).files, 2);
    assertEquals((await store.stat()).segments, 1);
    // The index was trusted: no directory of blobs was looked at.
    assertEquals([...files.counts].filter(([operation]) => operation === "list"), [["list", 3]]);
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

Deno.test("openDiskBlobStore does not trust an older index that knows the same end of the log", () =>
  withDir(async (dir) => {
    const [before, later] = SOME.filter(({ data }) => data.length > MIB);
    {
      await using store = await openDiskBlobStore(dir);
      await put(store, before);
    }
    await copyDirectory(`${dir}/index`, `${dir}/old`);
    {
      await using store = await openDiskBlobStore(dir);
      await put(store, later);
      await store.delete(SCOPE, before.digest);
    }
    await Deno.remove(`${dir}/index`, { recursive: true });
    await Deno.rename(`${dir}/old`, `${dir}/index`);
    await using store = await openDiskBlobStore(dir);
    await assertHolds(store, [later]);
    assertEquals(await missing(store, [before]), [0]);
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
    // In the background, when the index is finished.
    const names = () => Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
    while ((await names()).includes("LOADING")) await yieldToEventLoop();
  }));

Deno.test("openDiskBlobStore refuses a directory of another format or purpose, in words", () =>
  withDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/FORMAT`, "brokkr-blobs 4\nid 00\n");
    const error = await rejectsWith(Code.FAILED_PRECONDITION, () => openDiskBlobStore(dir));
    assertStringIncludes(error.message, "has format 4");
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

Deno.test("openDiskBlobStore touches no segments of a store with another id, and says what the id begins with", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    for (const one of SOME) await put(store, one);
    await store[Symbol.asyncDispose]();
    const format = await Deno.readTextFile(`${dir}/FORMAT`);
    const id = /id ([0-9a-f]{32})/.exec(format)?.[1] ?? "";
    await Deno.writeTextFile(`${dir}/FORMAT`, format.replace(id, "0".repeat(32)));
    const [segment] = await segmentPaths(dir);
    const before = (await Deno.stat(segment)).size;
    const refusal = await rejectsWith(Code.FAILED_PRECONDITION, () => openDiskBlobStore(dir));
    assertStringIncludes(refusal.message, `begin with ${id.slice(0, 16)}`);
    assertEquals((await Deno.stat(segment)).size, before);
    await Deno.writeTextFile(`${dir}/FORMAT`, format);
    await using again = await openDiskBlobStore(dir);
    await assertHolds(again, SOME);
  }));

Deno.test("openDiskBlobStore says so when the end of the log is gone", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(dir);
    for (const one of SOME) await put(store, one);
    await store[Symbol.asyncDispose]();
    for (const segment of await segmentPaths(dir)) await Deno.remove(segment);
    const lines: string[] = [];
    await using again = await openDiskBlobStore(dir, {
      log: createLogger({ write: (line) => lines.push(line) }),
    });
    assertEquals(
      lines.filter((line) => line.includes("ERROR The end of the log is gone") && line.includes("known=6"))
        .length,
      1,
    );
    assertEquals((await again.stat()).blobs, 2);
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
