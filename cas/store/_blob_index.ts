/**
 * The index of the disk store, in LMDB: where each blob lies, and up to where the segment log has been seen. Never the
 * only copy: it is behind the log by as much as has not been flushed, and is caught up, or made anew, from segments and
 * files when the store opens. So it is written lazily, and nothing waits for it.
 *
 * Keys: byte 1, digest function, hash; values: segment, offset / 8 (32-bit each), size (float64), last use (32-bit; not
 * in values of format 1), little-endian. Under
 * byte 0 the store's id and the log position.
 *
 * @module
 */

import type { Clock, Logger, TimerHandle } from "@brokkr/common";
import type { MetadataChange } from "../metadata_store.ts";
import type { IndexEnv, OpenIndexEnv } from "./_index_env.ts";
import { nextTurn } from "./_turn.ts";
import { type BlobLocation, RECORD_ALIGN } from "./membership_table.ts";
import type { LogPosition } from "./_segment_log.ts";

const OWN = 0;
const BLOB = 1;
const ID_KEY = Uint8Array.of(OWN, 1);
const POSITION_KEY = Uint8Array.of(OWN, 2);

/** Changes in one transaction: so many are handed to LMDB in about two milliseconds. */
const SLICE_CHANGES = 500;
/** Slices under way at a time. */
const MAX_SLICES = 40;
/** Changes that are flushed without waiting for the timer. */
const FLUSH_CHANGES = 8192;
/** How long changes wait for others. */
const FLUSH_DELAY_MS = 1000;
/** How long a failed flush waits for another try. */
const RETRY_DELAY_MS = 5000;
/** Changes kept while flushing fails; beyond, the index stays behind until the store is opened again. */
const MAX_WAITING = 500_000;

function encodeLocation(location: BlobLocation, usedS: number): Uint8Array {
  const value = new Uint8Array(20);
  const view = new DataView(value.buffer);
  view.setUint32(0, location.segment, true);
  view.setUint32(4, location.offset / RECORD_ALIGN, true);
  view.setFloat64(8, location.sizeBytes, true);
  view.setUint32(16, usedS, true);
  return value;
}

function blobKey(fnValue: number, hash: Uint8Array): Uint8Array {
  const key = new Uint8Array(hash.length + 2);
  key[0] = BLOB;
  key[1] = fnValue;
  key.set(hash, 2);
  return key;
}

/** The index of one store. */
export class BlobIndex {
  readonly #env: IndexEnv;
  readonly #clock: Clock;
  readonly #log: Logger;
  #waiting: MetadataChange[] = [];
  #position: LogPosition;
  #flushedPosition: LogPosition;
  #timer: TimerHandle | undefined;
  #flushing: Promise<void> | undefined;
  #behind = false;

  private constructor(env: IndexEnv, position: LogPosition, clock: Clock, log: Logger) {
    this.#env = env;
    this.#position = position;
    this.#flushedPosition = position;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Opens the index in `dir`; undefined when what is there belongs to another store or is unfinished.
   *
   * @throws {BrokkrError} DATA_LOSS when it is damaged.
   */
  static async open(
    dir: string,
    id: string,
    clock: Clock,
    log: Logger,
    openEnv: OpenIndexEnv,
  ): Promise<BlobIndex | undefined> {
    const env = openEnv(dir);
    try {
      const found = env.get(ID_KEY);
      const position = env.get(POSITION_KEY);
      if (found !== undefined && position?.length === 12 && new TextDecoder().decode(found) === id) {
        const view = new DataView(position.buffer, position.byteOffset, 12);
        return new BlobIndex(
          env,
          { segment: view.getUint32(0, true), offset: view.getFloat64(4, true) },
          clock,
          log,
        );
      }
    } catch (error) {
      await env[Symbol.asyncDispose]();
      throw error;
    }
    await env[Symbol.asyncDispose]();
    return undefined;
  }

  /** Makes an empty index in `dir`, which must hold none. */
  static async create(
    dir: string,
    id: string,
    clock: Clock,
    log: Logger,
    openEnv: OpenIndexEnv,
  ): Promise<BlobIndex> {
    const env = openEnv(dir);
    const index = new BlobIndex(env, { segment: 0, offset: 0 }, clock, log);
    await env.apply([
      { op: "put", key: ID_KEY, value: new TextEncoder().encode(id) },
      { op: "put", key: POSITION_KEY, value: encodePosition(index.#position) },
    ]);
    return index;
  }

  /** Everything before this place of the log is in the index on disk. */
  get position(): LogPosition {
    return this.#flushedPosition;
  }

  /** Whether all that it was told is on disk. */
  get complete(): boolean {
    return !this.#behind && this.#waiting.length === 0 && samePosition(this.#position, this.#flushedPosition);
  }

  /** Hands every entry to `onEntry`, giving way in between; the hash is a view. */
  async load(
    onEntry: (fnValue: number, hash: Uint8Array, location: BlobLocation, usedS: number) => void,
  ): Promise<void> {
    for await (const slice of this.#env.entries(Uint8Array.of(BLOB))) {
      for (const { key, value } of slice) {
        if (key.length < 18 || (value.length !== 16 && value.length !== 20)) continue;
        const view = new DataView(value.buffer, value.byteOffset, value.length);
        const usedS = value.length === 16 ? 0 : view.getUint32(16, true);
        onEntry(key[1], key.subarray(2), {
          segment: view.getUint32(0, true),
          offset: view.getUint32(4, true) * RECORD_ALIGN,
          sizeBytes: view.getFloat64(8, true),
        }, usedS);
      }
    }
  }

  /** Notes where a blob lies, and when it was used last. */
  put(fnValue: number, hash: Uint8Array, location: BlobLocation, usedS: number): void {
    this.#change({ op: "put", key: blobKey(fnValue, hash), value: encodeLocation(location, usedS) });
  }

  /** Notes that a blob is gone. */
  delete(fnValue: number, hash: Uint8Array): void {
    this.#change({ op: "delete", key: blobKey(fnValue, hash) });
  }

  /** Notes that everything before `position` of the log has been told. */
  advance(position: LogPosition): void {
    this.#position = position;
    this.#schedule();
  }

  /** Writes what waits; resolves when it is on disk, or when writing failed, which is logged. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.complete || this.#behind) return;
    this.#flushing = this.#flush().finally(() => this.#flushing = undefined);
    await this.#flushing;
  }

  /** Flushes and closes. */
  async close(): Promise<void> {
    await this.flush();
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#env[Symbol.asyncDispose]();
  }

  #change(change: MetadataChange): void {
    if (this.#behind) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#log.error("The blob index cannot be written; it stays behind until the store is opened again");
      this.#behind = true;
      this.#waiting = [];
      return;
    }
    this.#waiting.push(change);
    this.#schedule();
  }

  #schedule(delayMs = FLUSH_DELAY_MS): void {
    if (this.#behind) return;
    if (this.#waiting.length >= FLUSH_CHANGES && this.#flushing === undefined && delayMs === FLUSH_DELAY_MS) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#flushing = this.#flush().finally(() => this.#flushing = undefined);
      return;
    }
    this.#timer ??= this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      // Logs what fails by itself.
      this.flush().catch((error) => this.#log.error("Flushing the blob index failed", { error }));
    });
  }

  async #flush(): Promise<void> {
    const changes = this.#waiting;
    const position = this.#position;
    this.#waiting = [];
    try {
      // Slices handed over without waiting share commits. The position goes last: a crash in between only means that
      // some records are seen twice.
      let slices: Promise<void>[] = [];
      for (let at = 0; at < changes.length; at += SLICE_CHANGES) {
        const slice = this.#env.apply(changes.slice(at, at + SLICE_CHANGES));
        // It may fail before anyone waits for it.
        slice.catch(() => {});
        slices.push(slice);
        await nextTurn();
        if (slices.length >= MAX_SLICES) {
          await all(slices);
          slices = [];
        }
      }
      await all(slices);
      await this.#env.apply([{ op: "put", key: POSITION_KEY, value: encodePosition(position) }]);
      this.#flushedPosition = position;
    } catch (error) {
      this.#log.warn("Cannot write the blob index; trying again", { error });
      // What was written is written again; the last change of a key wins as before.
      this.#waiting = changes.concat(this.#waiting);
      this.#schedule(RETRY_DELAY_MS);
    }
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

/** Whether two places of the log are one. */
export function samePosition(a: LogPosition, b: LogPosition): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}
