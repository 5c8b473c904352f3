/**
 * What the tests of starting share: gates that hold up the index and the disk.
 *
 * @module
 */

import { LmdbEnv } from "../metadata/lmdb_env.ts";
import type { OpenIndexEnv } from "./_index_env.ts";
import type { FileLayer, StoreFile } from "./file_layer.ts";

/** Holds up who comes until it is opened. */
export class Gate implements Disposable {
  readonly #opened = Promise.withResolvers<void>();
  readonly #reached = Promise.withResolvers<void>();

  /** Resolves when somebody waits. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Waits until it is open. */
  async pass(): Promise<void> {
    // The store's own timers keep no process alive, and nothing else is under way.
    const alive = setInterval(() => {}, 1000);
    this.#reached.resolve();
    await this.#opened.promise;
    clearInterval(alive);
  }

  /** Lets all pass. */
  open(): void {
    this.#opened.resolve();
  }

  /** As {@linkcode Gate.open}: so that a test that fails closes its store. */
  [Symbol.dispose](): void {
    this.open();
  }
}

/** LMDB whose entries are listed only when `gate` is open; each can be had at once. */
export function gatedIndex(gate: Gate): OpenIndexEnv {
  return (path) => {
    const env = LmdbEnv.open(path);
    return {
      get: (key) => env.get(key),
      apply: (changes) => env.apply(changes),
      async *entries(prefix, after, limit) {
        await gate.pass();
        yield* env.entries(prefix, after, limit);
      },
      [Symbol.asyncDispose]: () => env[Symbol.asyncDispose](),
    };
  };
}

/** LMDB that says when it has a blob and the position of the log that comes after it. */
export function watchedIndex(flushed: Gate): OpenIndexEnv {
  return (path) => {
    const env = LmdbEnv.open(path);
    let blobs = 0;
    return {
      get: (key) => env.get(key),
      apply: async (changes) => {
        blobs += changes.filter(({ key }) => key[0] === 1).length;
        const isPosition = changes.some(({ key }) => key[0] === 0 && key[1] === 2);
        await env.apply(changes);
        if (isPosition && blobs > 0) {
          flushed.open();
          await flushed.pass();
        }
      },
      entries: (prefix, after, limit) => env.entries(prefix, after, limit),
      [Symbol.asyncDispose]: () => env[Symbol.asyncDispose](),
    };
  };
}

/** A layer that lists directories beneath `blobs/` only when `gate` is open. */
export function gatedLists(inner: FileLayer, gate: Gate): FileLayer {
  return Object.assign(Object.create(inner), {
    list: async (path: string) => {
      if (/\/blobs(\/|$)/.test(path)) await gate.pass();
      return await inner.list(path);
    },
  });
}

/** A layer that reads a segment beyond its header only when `gate` is open, in the first file that opens it. */
export function gatedSegment(inner: FileLayer, name: string, gate: Gate): FileLayer {
  let first = true;
  return Object.assign(Object.create(inner), {
    open: async (path: string, mode: Parameters<FileLayer["open"]>[1]) => {
      const file = await inner.open(path, mode);
      if (!path.endsWith(`/${name}`)) return file;
      return Object.assign(Object.create(null), bound(file), {
        read: async (buffer: Uint8Array, position: number) => {
          if (position >= 64 && first) {
            first = false;
            await gate.pass();
          }
          return await file.read(buffer, position);
        },
      });
    },
  });
}

function bound(file: StoreFile): StoreFile {
  return {
    readSync: (buffer, position) => file.readSync(buffer, position),
    read: (buffer, position) => file.read(buffer, position),
    write: (buffer, position) => file.write(buffer, position),
    syncData: () => file.syncData(),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    size: () => file.size(),
    close: () => file.close(),
  };
}
