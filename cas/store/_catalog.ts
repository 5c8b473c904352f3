/**
 * What a disk store holds, in memory: one membership table for each digest function, and the sums over them.
 *
 * @module
 */

import type { Random } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import type { Digest, DigestFunction } from "../digest.ts";
import { recordBytes } from "./_record.ts";
import {
  type BlobLocation,
  FILE_SEGMENT,
  MembershipTable,
  type TableEntry,
  type Touch,
} from "./membership_table.ts";

/** What of a segment is not garbage. */
export interface SegmentUse {
  /** Bytes of records that are located there. */
  readonly bytes: number;
  /** How many. */
  readonly records: number;
}

const UNUSED: SegmentUse = { bytes: 0, records: 0 };

/** The catalog of one store. */
export class Catalog {
  readonly #tables = new Map<DigestFunction, MembershipTable>();
  readonly #seed: Uint8Array;
  readonly #segments = new Map<number, { bytes: number; records: number }>();
  /** Told of uses that the index should know of: seldom for one blob. The hash is a view. */
  onUse: (fn: DigestFunction, hash: Uint8Array, location: BlobLocation, usedS: number) => void = () => {};
  #bytes = 0;
  #files = 0;
  #fileBytes = 0;
  #recordBytes = 0;

  /** Resolves when it knows all there is. */
  readonly loaded: Promise<void> = Promise.resolve();

  /** An empty catalog. */
  constructor(random: Random) {
    this.#seed = random.bytes(8);
  }

  /** Blobs held. */
  get blobs(): number {
    let blobs = 0;
    for (const table of this.#tables.values()) blobs += table.size;
    return blobs;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Blobs that are files. */
  get files(): number {
    return this.#files;
  }

  /** Bytes of those. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Bytes of all records that are located somewhere. */
  get recordBytes(): number {
    return this.#recordBytes;
  }

  /** What of a segment is in use. */
  segmentUse(segment: number): SegmentUse {
    return this.#segments.get(segment) ?? UNUSED;
  }

  /** Where a blob lies, whatever its size. With `touch` that counts as a use. */
  find(fn: DigestFunction, hash: string, touch?: Touch): BlobLocation | undefined {
    return this.#tables.get(fn)?.find(hash, touch);
  }

  /** As {@linkcode Catalog.find}, for raw hash bytes. */
  findRaw(fn: DigestFunction, hash: Uint8Array): BlobLocation | undefined {
    return this.#tables.get(fn)?.findRaw(hash);
  }

  /** All that is known of a blob. */
  entry(fn: DigestFunction, hash: Uint8Array): TableEntry | undefined {
    return this.#tables.get(fn)?.entry(hash);
  }

  /** Where a blob of exactly this size lies. With `touch` that counts as a use. */
  locate(digest: Digest, touch?: Touch): BlobLocation | undefined {
    const location = this.find(digest.fn, digest.hash, touch);
    return location?.sizeBytes === digest.sizeBytes ? location : undefined;
  }

  /** Indices of what is not there. With `touch` that is a use of what is there, and pins it. */
  missing(batch: DigestBatch, touch?: Touch): Uint32Array {
    return this.#table(batch.fn).missing(batch, touch);
  }

  /** Pins what is there, and counts as a use. */
  pin(batch: DigestBatch, touch: Touch): void {
    this.#table(batch.fn).pin(batch, touch);
  }

  /** Ends pins. */
  unpin(batch: DigestBatch): void {
    this.#table(batch.fn).unpin(batch);
  }

  /** The parts of the catalog, each small enough to be visited within one turn of the event loop. */
  *parts(): Generator<(visit: (fn: DigestFunction, entry: TableEntry) => boolean | void) => void> {
    for (const [fn, table] of [...this.#tables]) {
      for (let part = 0; part < table.shards; part++) {
        yield (visit) =>
          table.visit(part, (entry) => {
            if (visit(fn, entry) !== true) return false;
            this.#count(fn, entry, -1);
            return true;
          });
      }
    }
  }

  /** Until when a blob is pinned, 0 when it is not. */
  pinnedUntilMs(digest: Digest): number {
    return this.#table(digest.fn).pinnedUntilMs(digest.hash);
  }

  /** Sets where a blob lies, used last at `usedS` unless it was used later. */
  set(fn: DigestFunction, hash: Uint8Array, location: BlobLocation, usedS = 0): void {
    const before = this.#table(fn).set(hash, location.segment, location.offset, location.sizeBytes, usedS);
    if (before !== undefined) this.#count(fn, before, -1);
    this.#count(fn, location, 1);
  }

  /** Drops a blob. */
  delete(fn: DigestFunction, hash: Uint8Array): BlobLocation | undefined {
    const before = this.#tables.get(fn)?.deleteRaw(hash);
    if (before !== undefined) this.#count(fn, before, -1);
    return before;
  }

  #table(fn: DigestFunction): MembershipTable {
    let table = this.#tables.get(fn);
    if (table === undefined) {
      table = new MembershipTable(
        fn.hashBytes,
        this.#seed,
        (hash, location, usedS) => this.onUse(fn, hash, location, usedS),
      );
      this.#tables.set(fn, table);
    }
    return table;
  }

  #count(fn: DigestFunction, { segment, sizeBytes }: BlobLocation, sign: 1 | -1): void {
    this.#bytes += sign * sizeBytes;
    if (segment === FILE_SEGMENT) {
      this.#files += sign;
      this.#fileBytes += sign * sizeBytes;
      return;
    }
    let use = this.#segments.get(segment);
    if (use === undefined) {
      use = { bytes: 0, records: 0 };
      this.#segments.set(segment, use);
    }
    const bytes = sign * recordBytes(fn.hashBytes, sizeBytes);
    this.#recordBytes += bytes;
    use.bytes += bytes;
    use.records += sign;
    if (use.records === 0) this.#segments.delete(segment);
  }
}
