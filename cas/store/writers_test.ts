// What a writer of a large blob does when its store ends it in the middle of something.

import { assertEquals } from "@std/assert";
import { BrokkrError, Code, unavailable } from "@brokkr/common";
import { digestOf, SHA256 } from "../digest.ts";
import { MIB, rejectsWith, withDir } from "./_disk_testing.ts";
import { LargeWriter, type LargeWriterHost } from "./_writers.ts";
import { type StoreFile, systemFiles } from "./file_layer.ts";

const DATA = new Uint8Array(3 * MIB).fill(7);
const DIGEST = digestOf(SHA256, DATA);
const WHY = unavailable("The store was closed", 0);

interface Watched {
  readonly host: LargeWriterHost;
  /** Held back until it resolves. */
  readonly create: PromiseWithResolvers<void>;
  readonly sync: PromiseWithResolvers<void>;
  /** Resolves when a sync waits. */
  readonly syncing: PromiseWithResolvers<void>;
  readonly open: Set<string>;
  readonly left: number[];
  released: number;
}

function watch(dir: string): Watched {
  let made = 0;
  const watched: Watched = {
    create: Promise.withResolvers(),
    sync: Promise.withResolvers(),
    syncing: Promise.withResolvers(),
    open: new Set(),
    left: [],
    released: 0,
    host: {
      async create() {
        await watched.create.promise;
        const path = `${dir}/${made++}`;
        const file = await systemFiles.open(path, "create");
        watched.open.add(path);
        const slow: StoreFile = {
          readSync: (buffer, position) => file.readSync(buffer, position),
          read: (buffer, position) => file.read(buffer, position),
          write: (buffer, position) => file.write(buffer, position),
          truncate: (sizeBytes) => file.truncate(sizeBytes),
          size: () => file.size(),
          async syncData() {
            watched.syncing.resolve();
            await watched.sync.promise;
            await file.syncData();
          },
          close() {
            watched.open.delete(path);
            file.close();
          },
        };
        return { path, file: slow };
      },
      keep: () => Promise.reject(WHY),
      discard: async (path) => void await systemFiles.remove(path),
      leave: (_path, writtenBytes) => void watched.left.push(writtenBytes),
      failure: (error) =>
        error instanceof BrokkrError ? error : new BrokkrError(Code.INTERNAL, String(error)),
      release: () => void watched.released++,
    },
  };
  return watched;
}

for (const pieceBytes of [1000, MIB]) {
  Deno.test(`a writer that is ended while its file is made keeps none, with pieces of ${pieceBytes} bytes`, () =>
    withDir(async (dir) => {
      const watched = watch(dir);
      const writer = new LargeWriter(DIGEST, watched.host);
      const pieces = Array.from({ length: 300 }, (_, i) => DATA.subarray(i * 1000, (i + 1) * 1000));
      const failed = rejectsWith(Code.UNAVAILABLE, async () => {
        if (pieceBytes === MIB) return await writer.write(DATA.subarray(0, MIB));
        for (const piece of pieces) await writer.write(piece);
      });
      // The small pieces reach the file after 256 KiB; until then nothing waits.
      for (let i = 0; i < 3000; i++) await Promise.resolve();
      const ended = writer.end(WHY);
      watched.create.resolve();
      await Promise.all([failed, ended]);
      assertEquals([watched.open.size, watched.left, watched.released], [0, [], 1]);
      assertEquals(await Array.fromAsync(Deno.readDir(dir)), []);
    }));
}

Deno.test("a writer that is being left takes nothing more, and ends once", () =>
  withDir(async (dir) => {
    const watched = watch(dir);
    watched.create.resolve();
    const writer = new LargeWriter(DIGEST, watched.host);
    await writer.write(DATA.subarray(0, 2 * MIB));
    const ended = writer.end(WHY);
    await watched.syncing.promise;
    await rejectsWith(Code.UNAVAILABLE, () => writer.write(DATA.subarray(2 * MIB)));
    await rejectsWith(Code.UNAVAILABLE, () => writer.commit());
    await writer.abort();
    watched.sync.resolve();
    await ended;
    assertEquals([watched.open.size, watched.left, watched.released], [0, [2 * MIB], 1]);
    assertEquals((await Deno.stat(`${dir}/0`)).size, 2 * MIB);
  }));

Deno.test("a closed file is not read or written: its number may be another's", () =>
  withDir(async (dir) => {
    const file = await systemFiles.open(`${dir}/a`, "create");
    file.close();
    const other = await systemFiles.open(`${dir}/b`, "create");
    for (
      const use of [
        () => file.write(new Uint8Array(1), 0),
        () => file.syncData(),
        () => file.truncate(5),
        () => file.read(new Uint8Array(1), 0),
        () => file.size(),
      ]
    ) {
      const error = await use().then(() => undefined, (error) => error);
      assertEquals(error?.code, "EBADF");
    }
    assertEquals(await other.size(), 0);
    other.close();
  }));
