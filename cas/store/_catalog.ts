/**
 * What a disk store holds, in memory: one membership table for each digest function, and the sums over them.
 *
 * @module
 */

import type { Random } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import type { Digest, DigestFunction } from "../digest.ts";
import { type BlobLocation, FILE_SEGMENT, MembershipTable } from "./membership_table.ts";

/** The catalog of one store. */
export class Catalog {
  readonly #tables = new Map<DigestFunction, MembershipTable>();
  readonly #seed: Uint8Array;
  #bytes = 0;
  #files = 0;
  #fileBytes = 0;

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

  /** Where a blob lies, whatever its size. */
  find(fn: DigestFunction, hash: string): BlobLocation | undefined {
    return this.#tables.get(fn)?.find(hash);
  }

  /** As {@linkcode Catalog.find}, for raw hash bytes. */
  findRaw(fn: DigestFunction, hash: Uint8Array): BlobLocation | undefined {
    return this.#tables.get(fn)?.findRaw(hash);
  }

  /** Where a blob of exactly this size lies. */
  locate(digest: Digest): BlobLocation | undefined {
    const location = this.find(digest.fn, digest.hash);
    return location?.sizeBytes === digest.sizeBytes ? location : undefined;
  }

  /** Indices of what is not there. */
  missing(batch: DigestBatch): Uint32Array {
    return this.#table(batch.fn).missing(batch);
  }

  /** Pins what is there. */
  pin(batch: DigestBatch, untilMs: number): void {
    this.#table(batch.fn).pin(batch, untilMs);
  }

  /** Until when a blob is pinned, 0 when it is not. */
  pinnedUntilMs(digest: Digest): number {
    return this.#table(digest.fn).pinnedUntilMs(digest.hash);
  }

  /** Sets where a blob lies. */
  set(fn: DigestFunction, hash: Uint8Array, location: BlobLocation): void {
    const before = this.#table(fn).set(hash, location.segment, location.offset, location.sizeBytes);
    if (before !== undefined) this.#count(before, -1);
    this.#count(location, 1);
  }

  /** Drops a blob. */
  delete(fn: DigestFunction, hash: Uint8Array): BlobLocation | undefined {
    const before = this.#tables.get(fn)?.deleteRaw(hash);
    if (before !== undefined) this.#count(before, -1);
    return before;
  }

  #table(fn: DigestFunction): MembershipTable {
    let table = this.#tables.get(fn);
    if (table === undefined) {
      table = new MembershipTable(fn.hashBytes, this.#seed);
      this.#tables.set(fn, table);
    }
    return table;
  }

  #count(location: BlobLocation, sign: 1 | -1): void {
    this.#bytes += sign * location.sizeBytes;
    if (location.segment !== FILE_SEGMENT) return;
    this.#files += sign;
    this.#fileBytes += sign * location.sizeBytes;
  }
}
