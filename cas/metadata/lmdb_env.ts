/**
 * One LMDB environment: the few operations the stores need, with errors a person can act on. One writing process per
 * directory, and never in a Web Worker (lmdb panics there).
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code } from "@brokkr/common";
import { open } from "lmdb";
import type { MetadataChange } from "../metadata_store.ts";
import { lmdbFileFault } from "./_lmdb_file.ts";
import { nextTurn } from "../store/_turn.ts";
import { prefixEnd } from "./_order.ts";

/** How an environment is opened. */
export interface LmdbOptions {
  /** Address space reserved for it, and so its largest size; 64 GiB by default. Takes no disk and no memory. */
  readonly mapSizeBytes?: number;
  /**
   * Whether what lies behind a page on the disk is read with it; true by default. Not where keys are asked for in no order
   * and there is more than fits the memory: reading ahead then reads a hundred kilobytes for each key.
   */
  readonly readAhead?: boolean;
}

/** A key and its value. */
export interface LmdbEntry {
  /** The key. */
  readonly key: Uint8Array;
  /** The value. */
  readonly value: Uint8Array;
}

/** Entries read between two turns of the event loop: about a millisecond. */
const SLICE_ENTRIES = 400;
/** Values copied between two turns of the event loop, in bytes; one may be larger. */
const SLICE_BYTES = 1 << 20;
/** Reads under way at a time for one caller of {@linkcode LmdbEnv.prefetch}. */
const PREFETCH_LANES = 16;
/** Keys counted between two turns of the event loop. */
const COUNT_SLICE = 20_000;

/** What is used of the library; its own types are wider than what it does. */
interface Database {
  get(key: Uint8Array): Uint8Array | undefined;
  put(key: Uint8Array, value: Uint8Array): Promise<boolean>;
  remove(key: Uint8Array): Promise<boolean>;
  batch(action: () => void): Promise<boolean>;
  getRange(options: RangeOptions): Iterable<LmdbEntry>;
  getKeys(options: RangeOptions): Iterable<Uint8Array>;
  getKeysCount(options: RangeOptions): number;
  prefetch(keys: readonly Uint8Array[], callback: () => void): void;
  close(): Promise<void>;
}

interface RangeOptions {
  start?: Uint8Array;
  end?: Uint8Array;
  exclusiveStart?: boolean;
  limit?: number;
  offset?: number;
}

/** Without Node's Buffer class, whose `slice` shares memory. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A failed commit carries its reason as a promise that rejects. */
async function commitCause(error: unknown): Promise<unknown> {
  const reason = error instanceof Error ? (error as { commitError?: unknown }).commitError : undefined;
  if (!(reason instanceof Promise)) return error;
  // The library may never settle it; its own turn is enough to know.
  return await Promise.race([reason.catch((cause: unknown) => cause), nextTurn().then(() => error)]);
}

/** An open LMDB environment. */
export class LmdbEnv implements AsyncDisposable {
  readonly #db: Database;
  readonly #path: string;
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  private constructor(db: Database, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /**
   * Opens (or makes) the environment in directory `path`.
   *
   * @throws {BrokkrError} DATA_LOSS when what is there is no LMDB environment; PERMISSION_DENIED when it cannot be used.
   */
  static open(path: string, options: LmdbOptions = {}): LmdbEnv {
    try {
      Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
      const fault = lmdbFileFault(`${path}/data.mdb`);
      if (fault !== undefined) {
        throw new BrokkrError(Code.DATA_LOSS, `LMDB data file ${path}/data.mdb is damaged: ${fault}`);
      }
      const settings = {
        path,
        noSubdir: false,
        keyEncoding: "binary" as const,
        encoding: "binary" as const,
        mapSize: options.mapSizeBytes ?? 64 * 2 ** 30,
        // A commit resolves after its pages and its meta page are on disk, in that order.
        overlappingSync: false,
        noReadAhead: options.readAhead === false,
        // Transactions are what `batch` says. Batching by turns would leave, when a commit fails, a rejected promise
        // inside the library that nobody can handle, and the process would end.
        eventTurnBatching: false,
      };
      // By name, since the library does not declare all that it knows.
      const db = open<Uint8Array, Uint8Array>(settings);
      return new LmdbEnv(db as unknown as Database, path);
    } catch (error) {
      if (error instanceof BrokkrError) throw error;
      const denied = error instanceof Deno.errors.PermissionDenied ||
        error instanceof Deno.errors.NotADirectory;
      throw new BrokkrError(
        denied ? Code.PERMISSION_DENIED : Code.DATA_LOSS,
        `Cannot open the LMDB environment in ${path}: ${
          error instanceof Error ? error.message : String(error)
        }`,
        { cause: error },
      );
    }
  }

  /** The value of `key`, as bytes of its own. */
  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen();
    const value = this.#db.get(key);
    return value === undefined ? undefined : plain(value);
  }

  /** Reads what {@linkcode LmdbEnv.get} needs for these keys from the disk, in other threads; many at a time. */
  async prefetch(keys: readonly Uint8Array[]): Promise<void> {
    const share = Math.ceil(keys.length / PREFETCH_LANES);
    const lanes: Promise<void>[] = [];
    for (let at = 0; at < keys.length; at += share) {
      this.#checkOpen();
      const lane = new Promise<void>((resolve) => this.#db.prefetch(keys.slice(at, at + share), resolve))
        .finally(() => this.#running.delete(lane));
      // Closing waits for it: its thread reads what is mapped.
      this.#running.add(lane);
      lanes.push(lane);
      await nextTurn();
    }
    await Promise.all(lanes);
  }

  /**
   * Applies all changes or none, in order; on disk when it resolves. The bytes must not change before that.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when the disk is full; UNAVAILABLE when it fails otherwise.
   */
  apply(changes: readonly MetadataChange[]): Promise<void> {
    this.#checkOpen();
    const run = this.#apply(changes).finally(() => this.#running.delete(run));
    this.#running.add(run);
    return run;
  }

  async #apply(changes: readonly MetadataChange[]): Promise<void> {
    if (changes.length === 0) return;
    // Most operations of a batch give the same promise.
    const parts = new Set<Promise<boolean>>();
    parts.add(this.#db.batch(() => {
      for (const change of changes) {
        parts.add(
          change.op === "put" ? this.#db.put(change.key, change.value) : this.#db.remove(change.key),
        );
      }
    }));
    // Each part rejects by itself when the commit fails, so each needs somebody who listens.
    const results = await Promise.allSettled(parts);
    for (const result of results) {
      if (result.status === "rejected") throw this.#writeError(await commitCause(result.reason));
    }
  }

  /** Entries with `prefix` after `after`, at most `limit`, in byte order; lets the event loop turn in between. */
  async *entries(prefix: Uint8Array, after?: Uint8Array, limit = Infinity): AsyncGenerator<LmdbEntry[]> {
    const end = prefixEnd(prefix);
    let start = after ?? prefix;
    let exclusiveStart = after !== undefined;
    for (let left = limit; left > 0;) {
      this.#checkOpen();
      const wanted = Math.min(left, SLICE_ENTRIES);
      const slice: LmdbEntry[] = [];
      let bytes = 0;
      for (const entry of this.#db.getRange({ start, end, exclusiveStart, limit: wanted })) {
        slice.push({ key: plain(entry.key), value: plain(entry.value) });
        bytes += entry.value.length;
        if (bytes >= SLICE_BYTES) break;
      }
      if (slice.length > 0) yield slice;
      if (slice.length < wanted && bytes < SLICE_BYTES) return;
      left -= slice.length;
      start = slice[slice.length - 1].key;
      exclusiveStart = true;
      if (left > 0) await nextTurn();
    }
  }

  /** How many keys begin with `prefix`. */
  async count(prefix: Uint8Array): Promise<number> {
    const end = prefixEnd(prefix);
    let start = prefix;
    for (let total = 0;;) {
      this.#checkOpen();
      const [next] = this.#db.getKeys({ start, end, offset: COUNT_SLICE, limit: 1 });
      if (next === undefined) return total + this.#db.getKeysCount({ start, end });
      total += COUNT_SLICE;
      start = plain(next);
      await nextTurn();
    }
  }

  /** Waits for running writes and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled(this.#running);
    // The library ends its read transaction in a timer, which must not find the environment closed.
    await new Promise((resolve) => setTimeout(resolve, 0));
    await this.#db.close();
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new BrokkrError(Code.UNAVAILABLE, `The LMDB environment in ${this.#path} is closed`);
    }
  }

  #writeError(cause: unknown): BrokkrError {
    const message = cause instanceof Error ? cause.message : String(cause);
    // LMDB says EIO for a short write, which is what a full disk gives it.
    if (/no space|MDB_MAP_FULL|input\/output|quota/i.test(message)) {
      return new BrokkrError(
        Code.RESOURCE_EXHAUSTED,
        `Cannot write metadata to ${this.#path}: ${message}; the disk is full or failing: free space, then try again`,
        { details: [{ kind: "retryInfo", retryDelayMs: 5000 }], cause },
      );
    }
    return new BrokkrError(Code.UNAVAILABLE, `Cannot write metadata to ${this.#path}: ${message}`, {
      cause: asBrokkrError(cause),
    });
  }
}
