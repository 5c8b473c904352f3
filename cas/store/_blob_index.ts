/**
 * The index of the disk store, in LMDB: where each blob lies, and up to where the segment log has been seen. Never the
 * only copy: it is behind the log by as much as has not been flushed, and is caught up, or made anew, from segments and
 * files when the store opens. So it is written lazily, and nothing waits for it.
 *
 * Keys: byte 1, digest function, hash; values: segment, offset / 8 (32-bit each), size (float64), last use (32-bit; not
 * in values of format 1), bytes of data in the record (32-bit; not in those of format 1 and 2), little-endian. Under byte 0 the store's id, the log position, and the sums over all blobs as
 * of that position. An index without an id is unfinished.
 *
 * Keys are random, so nearly every change costs a page of its own, however small: 4 KiB for 54 bytes. Only many changes
 * in one transaction share pages, which is why they wait for each other for so long (see `start_bench.ts`). A crash
 * costs that much of the log to be read again.
 *
 * @module
 */

import { type Clock, type Logger, Semaphore, Slices, type TimerHandle } from "@brokkr/common";
import type { IndexEnv, OpenIndexEnv } from "./_index_env.ts";
import { BLOB_KEYS, blobKey, decodeValue, type IndexedBlob, IndexQueue } from "./_index_queue.ts";
import { nextTurn } from "./_turn.ts";
import { type BlobLocation, FILE_SEGMENT } from "./membership_table.ts";
import type { LogPosition } from "./_segment_log.ts";

const ID_KEY = Uint8Array.of(0, 1);
const POSITION_KEY = Uint8Array.of(0, 2);
const TOTALS_KEY = Uint8Array.of(0, 3);
const CLOSED_KEY = Uint8Array.of(0, 4);

/** Changes handed to the database at a time: about two milliseconds. */
const SLICE_CHANGES = 500;
/**
 * Changes under way at a time. They come in the order of their keys, so that commits of this many share hardly a page, and
 * pages that one commit gave up are there for the next but one: the file stays small.
 */
const UNDERWAY_CHANGES = 20_000;
/** Changes that are flushed without waiting for the timer, */
const FLUSH_CHANGES = 500_000;
/** and bytes of the log that would have to be read again, */
const FLUSH_LOG_BYTES = 1 << 30;
/** and bytes of files that only a look at all files would find again. */
export const FLUSH_FILE_BYTES = 256 << 20;
/** How long changes wait for others. */
const FLUSH_DELAY_MS = 30_000;
/** How long a failed flush waits for another try. */
const RETRY_DELAY_MS = 5000;
/** Callers for which is read ahead at a time. */
const PREFETCHES = 4;
/** Entries handed over between two looks at the time. */
const STEP = 16;
/** Changes kept while flushing fails; beyond, the index stays behind until the store is opened again. */
const MAX_WAITING = 2_000_000;

/** Sums over all blobs. */
export interface Totals {
  /** How many. */
  readonly blobs: number;
  /** Their bytes. */
  readonly bytes: number;
  /** How many of them are files. */
  readonly files: number;
  /** Bytes of those. */
  readonly fileBytes: number;
  /** Bytes of all in the form in which they are kept. */
  readonly storedBytes: number;
}

/** Sums over nothing. */
export const NO_TOTALS: Totals = { blobs: 0, bytes: 0, files: 0, fileBytes: 0, storedBytes: 0 };

/** How an index is opened. */
export interface BlobIndexOptions {
  readonly dir: string;
  /** The store's id. */
  readonly id: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly openIndex: OpenIndexEnv;
}

/** What an index said of itself when it was opened. */
interface Found {
  readonly position: LogPosition;
  /** Sums as of that position; undefined in an index of format 1. */
  readonly totals: Totals | undefined;
  /** How its last clean shutdown was named. */
  readonly closed: string | undefined;
}

/** The index of one store. */
export class BlobIndex {
  readonly #env: IndexEnv;
  readonly #options: BlobIndexOptions;
  #finished: boolean;
  /** What it said of itself when it was opened. A flush that did not end may have written more. */
  readonly found: Found;
  /** Sums over all that the index was told; undefined while nobody knows them. */
  totals: () => Totals | undefined = () => undefined;
  /** Changes that wait; only the last takes more, those before it could not be written. */
  #queues: IndexQueue[] = [new IndexQueue()];
  /** Changes in those before the last. */
  #failed = 0;
  #position: LogPosition;
  #flushedPosition: LogPosition;
  #flushedTotals: Totals | undefined;
  #logBytes = 0;
  #fileBytes = 0;
  #timer: TimerHandle | undefined;
  #flushing: Promise<void> | undefined;
  #behind = false;
  readonly #prefetches = new Semaphore(PREFETCHES);

  private constructor(env: IndexEnv, options: BlobIndexOptions, found: Found, finished: boolean) {
    this.#env = env;
    this.#options = options;
    this.#position = found.position;
    this.#flushedPosition = found.position;
    this.#flushedTotals = found.totals;
    this.found = found;
    this.#finished = finished;
  }

  /**
   * Opens the index; undefined when what is there belongs to another store or is unfinished.
   *
   * @throws {BrokkrError} DATA_LOSS when it is damaged.
   */
  static async open(options: BlobIndexOptions): Promise<BlobIndex | undefined> {
    const env = options.openIndex(options.dir);
    try {
      const id = env.get(ID_KEY);
      const position = env.get(POSITION_KEY);
      if (id !== undefined && position?.length === 12 && new TextDecoder().decode(id) === options.id) {
        const view = new DataView(position.buffer, position.byteOffset, 12);
        const closed = env.get(CLOSED_KEY);
        const found = {
          position: { segment: view.getUint32(0, true), offset: view.getFloat64(4, true) },
          totals: decodeTotals(env.get(TOTALS_KEY)),
          closed: closed === undefined ? undefined : new TextDecoder().decode(closed),
        };
        return new BlobIndex(env, options, found, true);
      }
    } catch (error) {
      await env[Symbol.asyncDispose]();
      throw error;
    }
    await env[Symbol.asyncDispose]();
    return undefined;
  }

  /** Begins an index in a directory that must hold none; it counts only when {@linkcode BlobIndex.finish} was called. */
  static create(options: BlobIndexOptions): BlobIndex {
    const found = { position: { segment: 0, offset: 0 }, totals: undefined, closed: undefined };
    return new BlobIndex(options.openIndex(options.dir), options, found, false);
  }

  /** Everything before this place of the log is in the index on disk. */
  get position(): LogPosition {
    return this.#flushedPosition;
  }

  /** Up to where it was told what the log holds. */
  get toldPosition(): LogPosition {
    return this.#position;
  }

  /** Whether all that it was told is on disk. */
  get complete(): boolean {
    return this.#finished && !this.#behind && this.#waiting === 0 && this.#flushedTotals !== undefined &&
      samePosition(this.#position, this.#flushedPosition);
  }

  /** What the index on disk says of a blob, which is not what it was told since the last flush. */
  get(fnValue: number, hash: Uint8Array): IndexedBlob | undefined {
    const value = this.#env.get(blobKey(fnValue, hash));
    return value === undefined ? undefined : decodeValue(value);
  }

  /** Reads from the disk what {@linkcode BlobIndex.get} needs for these hashes, while others have their turn. */
  async prefetch(fnValue: number, hashes: readonly Uint8Array[]): Promise<void> {
    using _turn = await this.#prefetches.acquire();
    await this.#env.prefetch?.(hashes.map((hash) => blobKey(fnValue, hash)));
  }

  /** Hands every entry on disk to `onEntry` in the order of their keys, giving way in between; the hash is a view. */
  async load(
    onEntry: (fnValue: number, hash: Uint8Array, blob: IndexedBlob) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const slices = new Slices();
    for await (const slice of this.#env.entries(Uint8Array.of(BLOB_KEYS))) {
      for (const [at, { key, value }] of slice.entries()) {
        const blob = key.length < 18 ? undefined : decodeValue(value);
        if (blob !== undefined) onEntry(key[1], key.subarray(2), blob);
        // A table that grows takes as long as many entries.
        if (at % STEP === 0 && slices.spent) await slices.next();
        if (signal?.aborted === true) return;
      }
    }
  }

  /** Notes where a blob lies from now on, and when it was used last. */
  put(fnValue: number, hash: Uint8Array, location: BlobLocation, usedS: number): void {
    if (location.segment === FILE_SEGMENT) this.#fileBytes += location.sizeBytes;
    this.touch(fnValue, hash, location, usedS);
  }

  /** Notes when a blob was used last; it lies where it did. */
  touch(fnValue: number, hash: Uint8Array, location: BlobLocation, usedS: number): void {
    if (this.#behind) return;
    this.#open.put(fnValue, hash, location, usedS);
    this.#schedule();
  }

  /** Notes that a blob is gone. */
  delete(fnValue: number, hash: Uint8Array): void {
    if (this.#behind) return;
    this.#open.delete(fnValue, hash);
    this.#schedule();
  }

  /** Notes that everything before `position` of the log has been told. */
  advance(position: LogPosition): void {
    const before = this.#position;
    this.#logBytes += position.segment === before.segment ? position.offset - before.offset : position.offset;
    this.#position = position;
    this.#schedule();
  }

  /** Writes what waits; resolves when it is on disk, or when writing failed, which is logged. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.complete || this.#behind || (!this.#finished && this.#waiting === 0)) return;
    await this.#begin();
  }

  /**
   * Writes entries to an index that is not finished, past what waits: what is told of a blob meanwhile is written later.
   *
   * @throws {BrokkrError} when the disk is full or fails.
   */
  async fill(entries: IndexQueue): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    await this.#write(entries);
  }

  /** Says that the index, with what waits, holds all there is before the position it was told. */
  async finish(): Promise<void> {
    this.#finished = true;
    await this.flush();
  }

  /** Names a clean shutdown, durably. */
  async nameClosing(name: string): Promise<void> {
    await this.#env.apply([{ op: "put", key: CLOSED_KEY, value: new TextEncoder().encode(name) }]);
  }

  /** Flushes and closes. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#timer?.cancel();
      this.#timer = undefined;
      await this.#env[Symbol.asyncDispose]();
    }
  }

  get #open(): IndexQueue {
    return this.#queues[this.#queues.length - 1];
  }

  get #waiting(): number {
    return this.#failed + this.#open.length;
  }

  #begin(): Promise<void> {
    return this.#flushing = this.#flush().finally(() => this.#flushing = undefined);
  }

  #schedule(delayMs = FLUSH_DELAY_MS): void {
    if (this.#behind) return;
    const { clock, log } = this.#options;
    if (this.#waiting >= MAX_WAITING) {
      log.error("The blob index cannot be written; it stays behind until the store is opened again");
      this.#behind = true;
      this.#queues = [new IndexQueue()];
      this.#failed = 0;
      return;
    }
    const urgent = this.#open.length >= FLUSH_CHANGES || this.#logBytes >= FLUSH_LOG_BYTES ||
      this.#fileBytes >= FLUSH_FILE_BYTES;
    // After a failure only the timer tries again.
    if (urgent && this.#flushing === undefined && this.#queues.length === 1) {
      this.#timer?.cancel();
      this.#timer = undefined;
      // Logs what fails by itself.
      this.#begin().catch((error) => log.error("Flushing the blob index failed", { error }));
      return;
    }
    this.#timer ??= clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.flush().catch((error) => log.error("Flushing the blob index failed", { error }));
    });
  }

  async #flush(): Promise<void> {
    // At the end of a turn what the store was told and its sums agree.
    await nextTurn();
    const queues = this.#queues;
    const position = this.#position;
    const totals = this.totals();
    const finished = this.#finished;
    this.#queues = [new IndexQueue()];
    this.#failed = 0;
    this.#logBytes = 0;
    this.#fileBytes = 0;
    try {
      for (const queue of queues) await this.#write(queue);
      if (!finished) return;
      // The position goes last: a crash in between only means that some records are seen twice.
      await this.#env.apply([
        { op: "put", key: ID_KEY, value: new TextEncoder().encode(this.#options.id) },
        { op: "put", key: POSITION_KEY, value: encodePosition(position) },
        totals === undefined
          ? { op: "delete", key: TOTALS_KEY }
          : { op: "put", key: TOTALS_KEY, value: encodeTotals(totals) },
      ]);
      this.#flushedPosition = position;
      this.#flushedTotals = totals;
    } catch (error) {
      this.#options.log.warn("Cannot write the blob index; trying again", { error });
      // What was written is written again; the last change of a key wins as before.
      const failed = queues.filter((queue) => queue.length > 0);
      this.#queues = failed.concat(this.#queues);
      for (const queue of failed) this.#failed += queue.length;
      this.#schedule(RETRY_DELAY_MS);
    }
  }

  /** Slices handed over without waiting share commits, and with them pages. */
  async #write(queue: IndexQueue): Promise<void> {
    if (queue.length === 0) return;
    const order = await queue.ordered();
    let slices: Promise<void>[] = [];
    for (let at = 0; at < order.length; at += SLICE_CHANGES) {
      const slice = this.#env.apply(
        Array.from(order.subarray(at, at + SLICE_CHANGES), (index) => queue.change(index)),
      );
      // Heard below; it may fail before anybody waits for it.
      slice.catch(() => {});
      slices.push(slice);
      if (slices.length * SLICE_CHANGES < UNDERWAY_CHANGES) {
        await nextTurn();
        continue;
      }
      await all(slices);
      slices = [];
    }
    await all(slices);
  }
}

/** Waits for all, then throws the first failure: none may fail unheard. */
async function all(parts: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(parts)) {
    if (result.status === "rejected") throw result.reason;
  }
}

function encodePosition(position: LogPosition): Uint8Array {
  const value = new Uint8Array(12);
  const view = new DataView(value.buffer);
  view.setUint32(0, position.segment, true);
  view.setFloat64(4, position.offset, true);
  return value;
}

function encodeTotals({ blobs, bytes, files, fileBytes, storedBytes }: Totals): Uint8Array {
  const value = new Uint8Array(40);
  const view = new DataView(value.buffer);
  [blobs, bytes, files, fileBytes, storedBytes].forEach((sum, i) => view.setFloat64(i * 8, sum, true));
  return value;
}

function decodeTotals(value: Uint8Array | undefined): Totals | undefined {
  if (value?.length !== 40 && value?.length !== 32) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const [blobs, bytes, files, fileBytes] = [0, 8, 16, 24].map((at) => view.getFloat64(at, true));
  // Before format 3 blobs were kept as they are.
  const storedBytes = value.length === 32 ? bytes : view.getFloat64(32, true);
  return { blobs, bytes, files, fileBytes, storedBytes };
}

/** Whether two places of the log are one. */
export function samePosition(a: LogPosition, b: LogPosition): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}

/** Whether one place of the log lies before another. */
export function isBefore(a: LogPosition, b: LogPosition): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}
