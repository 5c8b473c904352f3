/**
 * What a store has promised, as far as its callers can know: the simplest thing that could be right.
 *
 * @module
 */

import type { Random } from "@brokkr/common";
import { chunkLengths } from "@brokkr/wasm";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import type { ChunkList, DigestBatch } from "../blob_store.ts";
import { FAST_CDC_2020 } from "./_chunk_list.ts";
import { CHUNK_AVG_BYTES, CHUNK_SEED } from "./_cut.ts";
import { encodeRecord, MAX_RECORD_DATA, recordBytes, RecordKind, SALT_BYTES } from "./_record.ts";

/** A promise was broken. */
export class Violation extends Error {}

/**
 * What is known of a blob: `present` was acknowledged, or said to be there, and not deleted since; `absent` was never
 * put, or its deletion was acknowledged; `open` is all between: it may be there, and is whole then.
 */
export type Knowledge = "present" | "absent" | "open";

/** A blob of the simulation and what is known of it. */
export class ModelBlob {
  /** What is known. */
  state: Knowledge = "absent";
  /** Puts under way. */
  puts = 0;
  /** Deletions under way. */
  deletes = 0;
  /** Changes whenever a put or a deletion begins or ends. */
  changes = 0;
  /** When somebody was told that it is there, by this process, in milliseconds of the machine's wall time. */
  promisedMs = -Infinity;
  /** What it is cut into; none of what is too small for that. */
  parts: readonly ModelBlob[] = [];
  /** What is cut into this. The store may keep a part whenever it has such a blob, and without it lose the blob. */
  readonly wholes: ModelBlob[] = [];

  /** Nothing is known of a blob but what it is. */
  constructor(
    /** Its place in the model. */
    readonly index: number,
    /** Its digest. */
    readonly digest: Digest,
    /** Its bytes. */
    readonly data: Uint8Array,
  ) {}

  /** A put begins; the function it returns ends it. */
  beginPut(): (acknowledged: boolean) => void {
    this.puts++;
    this.changes++;
    if (this.state === "absent") this.state = "open";
    const begun = this.changes;
    const alone = this.deletes === 0;
    return (acknowledged) => {
      this.puts--;
      // Nothing is known of a put and a deletion at once; other puts do no harm.
      const undisturbed = alone && this.deletes === 0 && this.#deletedAt < begun;
      this.changes++;
      if (acknowledged && undisturbed) this.state = "present";
    };
  }

  /** A part of it goes: it may be gone with it, or not. */
  unsettle(): void {
    this.#deletedAt = ++this.changes;
    this.promisedMs = -Infinity;
    if (this.state === "present") this.state = "open";
  }

  #deletedAt = -1;

  /** A deletion begins; the function it returns ends it. */
  beginDelete(): (acknowledged: boolean) => void {
    this.deletes++;
    this.#deletedAt = ++this.changes;
    const before = this.state;
    this.state = "open";
    this.promisedMs = -Infinity;
    for (const whole of this.wholes) whole.unsettle();
    const begun = this.changes;
    const alone = this.puts === 0 && this.deletes === 1;
    return (acknowledged) => {
      this.deletes--;
      const undisturbed = alone && this.changes === begun;
      this.#deletedAt = ++this.changes;
      for (const whole of this.wholes) whole.unsettle();
      if (undisturbed && (acknowledged || before === "absent")) this.state = "absent";
    };
  }
}

/** Sizes around all that the store tells apart. */
const SIZES = [
  1,
  9,
  500,
  4000,
  4096,
  5000,
  20_000,
  66_000,
  300_000,
  MAX_RECORD_DATA - 1,
  MAX_RECORD_DATA,
  MAX_RECORD_DATA + 1,
  MAX_RECORD_DATA + 70_000,
];
/** Sizes of many blobs: small, for simulations of long lives. */
const SMALL_SIZES = [3, 300, 3000, 9000, 30_000, 90_000];

/** The blob that has its beginning in common with the one before it; both are large. */
const VERSION = SIZES.length - 1;

let pool: readonly { readonly digest: Digest; readonly data: Uint8Array }[] | undefined;

/** Bytes that look like no others. */
function content(size: number, seed: number): Uint8Array {
  const data = new Uint8Array(size);
  let state = Math.imul(seed, 2654435761) + 1;
  for (let i = 0; i < size; i++) {
    state = Math.imul(state, 1664525) + 1013904223;
    data[i] = state >>> 24;
  }
  return data;
}

/** Fills bytes with records that say to be another blob, with other bytes: right but for the salt, which nobody knows. */
function forge(data: Uint8Array, { fn, hash, sizeBytes }: Digest): void {
  const record = {
    kind: RecordKind.BLOB,
    fnValue: fn.value,
    hash: Uint8Array.fromHex(hash),
    sizeBytes,
    data: new Uint8Array(sizeBytes).fill(0xee),
  };
  const length = recordBytes(fn.hashBytes, sizeBytes);
  for (let at = 0; at + length <= data.length; at += 1024) {
    encodeRecord(data, at, record, new Uint8Array(SALT_BYTES));
  }
}

/** All blobs; the first are one of each size. */
function blobs(): typeof pool & object {
  if (pool !== undefined) return pool;
  const made: { readonly digest: Digest; readonly data: Uint8Array }[] = [];
  for (const [i, size] of [...SIZES, ...SIZES.slice(0, 7), ...Array(4).fill(SMALL_SIZES).flat()].entries()) {
    const data = content(size, i + 1);
    // What a client sends may look like the store's own.
    if (size >= 4000 && i % 3 !== 0) forge(data, made[i % 2 + 1].digest);
    // The next version of the one before.
    if (i === VERSION) data.set(made[i - 1].data.subarray(0, 800_000));
    made.push({ data, digest: digestOf(SHA256, data) });
  }
  return pool = made;
}

/** The same blobs, and after them what the large ones are cut into. */
function withParts(whole: readonly ModelBlob[]): ModelBlob[] {
  const all = [...whole];
  const known = new Map<string, ModelBlob>();
  for (const blob of whole) {
    if (blob.data.length <= MAX_RECORD_DATA) continue;
    let at = 0;
    blob.parts = Array.from(
      chunkLengths({ avgBytes: CHUNK_AVG_BYTES, seed: CHUNK_SEED }, blob.data),
      (length) => {
        const data = blob.data.subarray(at, at += length);
        const digest = digestOf(SHA256, data);
        let part = known.get(digest.hash);
        if (part === undefined) {
          part = new ModelBlob(all.length, digest, data);
          known.set(digest.hash, part);
          all.push(part);
        }
        if (!part.wholes.includes(blob)) part.wholes.push(blob);
        return part;
      },
    );
  }
  return all;
}

/** The list of what a blob is cut into. */
export function listOf({ parts }: ModelBlob): ChunkList {
  return { chunks: batchOf(SHA256, parts.map(({ digest }) => digest)), chunking: FAST_CDC_2020 };
}

/** What all callers of one store know. */
export class CrashModel {
  /** All blobs, and what the large ones are cut into. */
  readonly blobs: readonly ModelBlob[];
  readonly #whole: readonly ModelBlob[];
  /** Names all of them, in order. */
  readonly batch: DigestBatch;
  /** Whether what was not used for a while may be gone. */
  evicts: boolean;
  /** Whether the disk has refused to give something back, so that what was there may count as damaged. */
  mayLose = false;

  /** Nothing is stored yet. */
  constructor(random: Random, options: { readonly evicts: boolean; readonly count?: number }) {
    // Each simulation has some of them, so that what it does to them comes together.
    // Half of them have both large ones, which can be cut.
    const large = random.next() < 0.5;
    const order = blobs().map((one, i) => ({
      one,
      at: large && i >= VERSION - 1 && i <= VERSION ? 0 : random.next(),
    }))
      .sort((a, b) => a.at - b.at);
    this.#whole = order.slice(0, options.count ?? 12).map(({ one }, i) =>
      new ModelBlob(i, one.digest, one.data)
    );
    this.blobs = withParts(this.#whole);
    this.batch = batchOf(SHA256, this.blobs.map(({ digest }) => digest));
    this.evicts = options.evicts;
  }

  /** Any of the blobs. */
  any(random: Random): ModelBlob {
    const some = random.next() < 0.1 ? this.blobs : this.#whole;
    return some[Math.floor(random.next() * some.length)];
  }

  /** Learns from an answer about all blobs, given at `nowMs`; with `promises`, of one that keeps them a while. */
  heard(
    missing: Iterable<number>,
    nowMs: number,
    promises = true,
    blobs: readonly ModelBlob[] = this.blobs,
  ): void {
    const absent = new Set(missing);
    for (const blob of blobs) {
      const there = !absent.has(blob.index);
      if (there && blob.state === "absent" && blob.wholes.length === 0) {
        throw new Violation(`${this.name(blob)} was deleted or never put, but is said to be there`);
      }
      if (!there && blob.state === "present") this.gone(blob, nowMs);
      // What is said to be there is to be there.
      if (there && blob.deletes === 0) {
        blob.state = "present";
        if (promises) blob.promisedMs = nowMs;
      }
    }
  }

  /** A blob that must be there is not. */
  gone(blob: ModelBlob, nowMs: number): void {
    if (!this.mayLose && (!this.evicts || nowMs - blob.promisedMs < KEPT_MS)) {
      throw new Violation(`${this.name(blob)} was acknowledged, but is missing`);
    }
    blob.state = "open";
  }

  /** What may have been evicted since somebody asked may be gone. */
  unheard(nowMs: number): void {
    if (!this.evicts) return;
    for (const blob of this.blobs) {
      if (blob.state === "present" && nowMs - blob.promisedMs >= KEPT_MS) blob.state = "open";
    }
  }

  /** What was deleted may be there again. */
  forget(): void {
    for (const blob of this.blobs) if (blob.state === "absent") blob.state = "open";
  }

  /** The machine stopped: what was under way may have happened. */
  stopped(): void {
    for (const blob of this.blobs) {
      if (blob.deletes > 0) blob.state = "open";
      blob.promisedMs = -Infinity;
      blob.puts = blob.deletes = 0;
      blob.changes++;
    }
  }

  /** A blob in a report. */
  name({ index, digest }: ModelBlob): string {
    return `Blob ${index} (${digest.hash.slice(0, 8)}, ${digest.sizeBytes} bytes)`;
  }
}

/** What was promised within this time is never evicted, in milliseconds. */
export const KEPT_MS = 600_000;
