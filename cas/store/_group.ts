/**
 * Records that are written and synced together. Blobs are compared with their digests here: in the buffer that is
 * written, so that nobody can change them any more, and many at a time, which takes less time for small ones.
 *
 * @module
 */

import type { BrokkrError } from "@brokkr/common";
import type { Digest } from "../digest.ts";
import { hashError } from "./_checks.ts";
import { encodeRecord, HEADER_BYTES, type Record } from "./_record.ts";

/** Blobs are compared when there are so many bytes of them: a fraction of a millisecond of work, and no more at once. */
const CHECK_BYTES = 128 << 10;
/** Or so many blobs. */
const CHECK_BLOBS = 512;

/** A record of a group. */
export interface Entry {
  /** What it holds. */
  readonly record: Record;
  /** Where it begins in the buffer. */
  readonly at: number;
  /** Its length on disk. */
  readonly length: number;
}

/** An entry as its writer knows it. */
export interface Pending {
  /** Why it is not written; undefined when it is. */
  error: BrokkrError | undefined;
}

interface Unchecked {
  readonly digest: Digest;
  readonly data: Uint8Array;
  readonly pending: Pending;
}

interface GroupEntry extends Entry {
  readonly pending: Pending;
}

/** A group that is gathered, then written. */
export class Group {
  /** Asks for a new segment instead of holding records. */
  readonly turns: boolean;
  readonly buffer: Uint8Array;
  used = 0;
  readonly done = Promise.withResolvers<void>();
  #entries: GroupEntry[] = [];
  #unchecked: Unchecked[] = [];
  #uncheckedBytes = 0;
  #failed = false;

  constructor(buffer: Uint8Array, turns = false) {
    this.buffer = buffer;
    this.turns = turns;
    // Each writer awaits it; a group whose writers all gave up must not end the process.
    this.done.promise.catch(() => {});
  }

  /** Its records. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Copies a record into the buffer. With a digest its data is compared with that before it is written. */
  add(record: Record, salt: Uint8Array, digest?: Digest): Pending {
    const at = this.used;
    const length = encodeRecord(this.buffer, at, record, salt);
    const pending: Pending = { error: undefined };
    this.#entries.push({ record, at, length, pending });
    this.used += length;
    if (digest !== undefined) {
      const data = dataOf(this.buffer, at, record);
      this.#unchecked.push({ digest, data, pending });
      this.#uncheckedBytes += data.length;
      if (this.#uncheckedBytes >= CHECK_BYTES || this.#unchecked.length >= CHECK_BLOBS) this.#check();
    }
    return pending;
  }

  /** Compares what was not compared yet and takes out what is not what its digest says. */
  seal(): void {
    this.#check();
    if (!this.#failed) return;
    const kept: GroupEntry[] = [];
    let at = 0;
    for (const entry of this.#entries) {
      if (entry.pending.error !== undefined) continue;
      if (at !== entry.at) this.buffer.copyWithin(at, entry.at, entry.at + entry.length);
      kept.push({ ...entry, at });
      at += entry.length;
    }
    this.#entries = kept;
    this.used = at;
  }

  #check(): void {
    const all = this.#unchecked;
    this.#unchecked = [];
    this.#uncheckedBytes = 0;
    for (const fn of new Set(all.map(({ digest }) => digest.fn))) {
      const batch = all.filter(({ digest }) => digest.fn === fn);
      const hashes = batch.length === 1
        ? [fn.hash(batch[0].data)]
        : fn.hashBatch(batch.map(({ data }) => data));
      for (let i = 0; i < batch.length; i++) {
        const { digest, pending } = batch[i];
        if (hashes[i] === digest.hash) continue;
        pending.error = hashError(digest, hashes[i]);
        this.#failed = true;
      }
    }
  }
}

/** The data of a record where it lies in a buffer. */
function dataOf(buffer: Uint8Array, at: number, { hash, data }: Record): Uint8Array {
  const start = at + HEADER_BYTES + hash.length;
  return buffer.subarray(start, start + data.length);
}
