/**
 * What a disk store holds, in memory: one membership table for each digest function, and the sums over them.
 *
 * Until all of it is in memory the catalog asks a {@linkcode CatalogSource} for what it does not know, and keeps what it
 * is told. What the table holds, and what was dropped meanwhile, is never taken from there: it is newer.
 *
 * @module
 */

import { type Random, Slices } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import type { Digest, DigestFunction } from "../digest.ts";
import type { Totals } from "./_blob_index.ts";
import { isEmptyAt } from "./_checks.ts";
import type { IndexedBlob } from "./_index_queue.ts";
import { isListed, recordBytes } from "./_record.ts";
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

/** Blobs of one part: dropping one of them takes two microseconds or so. */
const PART_BLOBS = 1024;

/** Look-ups after which it is known how long they take, */
const PROBES = 16;
/** and how long each may take without a disk being waited for, in milliseconds. */
const SLOW_MS = 0.03;

const UNUSED: SegmentUse = { bytes: 0, records: 0 };

/** From where a catalog that is not loaded learns of a blob; undefined when nothing is known there. */
export type CatalogSource = (fn: DigestFunction, hash: Uint8Array) => IndexedBlob | undefined;

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
  #lists = 0;
  #recordBytes = 0;
  #storedBytes = 0;
  readonly #loaded = Promise.withResolvers<void>();
  #source: CatalogSource | undefined = () => undefined;
  /** What was dropped before all was loaded, by function and hash. */
  readonly #gone = new Set<string>();
  /** What has no record any more, as the end of the log says, but may be a file. */
  readonly #buried = new Set<string>();
  /** Sums over what the source knows and what was changed since; undefined when the source does not know them. */
  #assumed: Totals | undefined;

  /** An empty catalog, not loaded. */
  constructor(random: Random) {
    this.#seed = random.bytes(8);
    // Who waits for it hears of it; that nobody does is no reason to end the process.
    this.#loaded.promise.catch(() => {});
  }

  /** Resolves when it knows all there is; rejects when that will not be. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Whether it does not know all there is. */
  get isLoading(): boolean {
    return this.#source !== undefined;
  }

  /** Sums over all blobs, as exact as they are known; undefined while nobody knows them. */
  get totals(): Totals | undefined {
    if (this.#source !== undefined) return this.#assumed;
    return {
      blobs: this.#held,
      bytes: this.#bytes,
      files: this.#files,
      fileBytes: this.#fileBytes,
      storedBytes: this.#storedBytes,
    };
  }

  /** Answers from `source` what it does not know, with these sums over all that is there. */
  beginLoading(source: CatalogSource, totals: Totals | undefined): void {
    this.#source = source;
    this.#assumed = totals;
  }

  /** Says that it knows all there is. */
  endLoading(): void {
    this.#source = undefined;
    this.#assumed = undefined;
    this.#gone.clear();
    this.#buried.clear();
    this.#loaded.resolve();
  }

  /** Says that it will never know all there is. */
  failLoading(error: Error): void {
    this.#loaded.reject(error);
  }

  /** Whether the catalog itself knows if a blob is there, so that no other word counts. */
  decides(fn: DigestFunction, hash: Uint8Array): boolean {
    return this.#tables.get(fn)?.findRaw(hash) !== undefined ||
      (this.#gone.size > 0 && this.#gone.has(goneKey(fn, hash)));
  }

  /** Where it knows itself that a blob lies. */
  held(fn: DigestFunction, hash: Uint8Array): BlobLocation | undefined {
    return this.#tables.get(fn)?.findRaw(hash);
  }

  /** Takes what the source knows, unless it {@linkcode Catalog.decides} itself. No sum over all that is there changes. */
  offer(fn: DigestFunction, hash: Uint8Array, { location, usedS }: IndexedBlob): void {
    if (this.decides(fn, hash)) return;
    if (this.#isBuried(fn, hash, location)) return;
    this.#put(fn, hash, location, usedS);
    this.#count(fn, location, 1);
  }

  /** Drops what was {@linkcode Catalog.offer}ed; it may be offered again. */
  takeBack(fn: DigestFunction, hash: Uint8Array): void {
    const before = this.#tables.get(fn)?.deleteRaw(hash);
    if (before !== undefined) this.#count(fn, before, -1);
  }

  /**
   * Takes what the end of the log says, without asking the source what it knew before: that would be a read of the disk for
   * every record. So blobs may be counted twice until all is loaded.
   */
  replay(fn: DigestFunction, hash: Uint8Array, location: BlobLocation | undefined, usedS: number): void {
    const before = this.#tables.get(fn)?.findRaw(hash);
    if (before !== undefined) {
      this.takeBack(fn, hash);
      this.assume(before, -1);
    }
    const key = goneKey(fn, hash);
    if (location === undefined) {
      this.#gone.add(key);
      return;
    }
    this.#gone.delete(key);
    this.#buried.delete(key);
    this.assume(location, 1);
    this.offer(fn, hash, { location, usedS });
  }

  /**
   * As {@linkcode Catalog.replay}, of a tombstone of a blob that may be a file by now: of that the log knows nothing, so
   * only a record that the source knows of is gone.
   */
  replayBurial(fn: DigestFunction, hash: Uint8Array): void {
    const before = this.#tables.get(fn)?.findRaw(hash);
    if (before?.segment === FILE_SEGMENT) return;
    if (before !== undefined) {
      this.takeBack(fn, hash);
      this.assume(before, -1);
    }
    this.#buried.add(goneKey(fn, hash));
  }

  #isBuried(fn: DigestFunction, hash: Uint8Array, { segment }: BlobLocation): boolean {
    return this.#buried.size > 0 && segment !== FILE_SEGMENT && this.#buried.has(goneKey(fn, hash));
  }

  /** Says that the source was wrong: it counted blobs that are not there, or did not count some that are. */
  assume(location: BlobLocation, sign: 1 | -1): void {
    const before = this.#assumed;
    if (before === undefined) return;
    const file = location.segment === FILE_SEGMENT ? sign : 0;
    this.#assumed = {
      blobs: Math.max(0, before.blobs + sign),
      bytes: Math.max(0, before.bytes + sign * location.sizeBytes),
      files: Math.max(0, before.files + file),
      fileBytes: Math.max(0, before.fileBytes + file * location.sizeBytes),
      storedBytes: Math.max(0, before.storedBytes + sign * location.storedBytes),
    };
  }

  /** Says that it holds all files there are. */
  countFiles(): void {
    const before = this.#assumed;
    if (before === undefined) return;
    const bytes = Math.max(0, before.bytes - before.fileBytes) + this.#fileBytes;
    const blobs = Math.max(0, before.blobs - before.files) + this.#files;
    const storedBytes = Math.max(0, before.storedBytes - before.fileBytes) + this.#fileBytes;
    this.#assumed = { blobs, bytes, files: this.#files, fileBytes: this.#fileBytes, storedBytes };
  }

  /**
   * Indices of blobs of which the catalog, after asking its source, knows nothing. Gives way in between. `prefetch` is
   * told of what the source will be asked for when that takes long.
   */
  async unknown(
    batch: DigestBatch,
    prefetch: (hashes: readonly Uint8Array[]) => Promise<void>,
  ): Promise<number[]> {
    const { fn, hashes } = batch;
    const hashAt = (i: number) => hashes.subarray(i * fn.hashBytes, (i + 1) * fn.hashBytes);
    const unknown: number[] = [];
    const absent = this.#table(fn).missing(batch);
    const slices = new Slices();
    const beganMs = performance.now();
    for (const [at, i] of absent.entries()) {
      // The first ones tell whether the source has to wait for a disk.
      if (at === PROBES && performance.now() - beganMs > PROBES * SLOW_MS) {
        await prefetch(Array.from(absent.subarray(at), hashAt));
      }
      const hash = hashAt(i);
      if (!isEmptyAt(batch, i) && this.findRaw(fn, hash) === undefined && !this.decides(fn, hash)) {
        unknown.push(i);
      }
      if (slices.spent) await slices.next();
    }
    return unknown;
  }

  /** Blobs held. */
  get blobs(): number {
    return this.#assumed?.blobs ?? this.#held;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#assumed?.bytes ?? this.#bytes;
  }

  /** Their bytes in the form in which they are kept, without what goes around them. */
  get storedBytes(): number {
    return this.#assumed?.storedBytes ?? this.#storedBytes;
  }

  /** Blobs that are files. */
  get files(): number {
    return this.#assumed?.files ?? this.#files;
  }

  /** Bytes of those. */
  get fileBytes(): number {
    return this.#assumed?.fileBytes ?? this.#fileBytes;
  }

  /** How many of the blobs that it holds itself are lists of chunks. */
  get lists(): number {
    return this.#lists;
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
    const found = this.#tables.get(fn)?.find(hash, touch);
    if (found !== undefined || this.#source === undefined) return found;
    return this.#learn(fn, Uint8Array.fromHex(hash)) ? this.#table(fn).find(hash, touch) : undefined;
  }

  /** As {@linkcode Catalog.find}, for raw hash bytes. */
  findRaw(fn: DigestFunction, hash: Uint8Array): BlobLocation | undefined {
    const found = this.#tables.get(fn)?.findRaw(hash);
    if (found !== undefined || this.#source === undefined) return found;
    return this.#learn(fn, hash) ? this.#table(fn).findRaw(hash) : undefined;
  }

  /** All that is known of a blob. */
  entry(fn: DigestFunction, hash: Uint8Array): TableEntry | undefined {
    return this.findRaw(fn, hash) === undefined ? undefined : this.#table(fn).entry(hash);
  }

  /** Where a blob of exactly this size lies. With `touch` that counts as a use. */
  locate(digest: Digest, touch?: Touch): BlobLocation | undefined {
    const location = this.find(digest.fn, digest.hash, touch);
    return location?.sizeBytes === digest.sizeBytes ? location : undefined;
  }

  /**
   * Indices of what is not there. With `touch` that is a use of what is there, and pins it. Of a catalog that is not loaded
   * after {@linkcode Catalog.unknown}, as of all functions of batches: they look at nothing but the table.
   */
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

  /**
   * The parts of the catalog, each small enough to be visited, and dropped, within one turn of the event loop. Where blobs
   * go meanwhile, some may be shown twice.
   */
  *parts(): Generator<(visit: (fn: DigestFunction, entry: TableEntry) => boolean | void) => void> {
    for (const [fn, table] of [...this.#tables]) {
      for (let part = 0; part < table.shards; part++) {
        for (let to = table.countOf(part); to > 0; to -= PART_BLOBS) {
          yield (visit) =>
            table.visit(
              part,
              (entry) => {
                if (visit(fn, entry) !== true) return false;
                this.#count(fn, entry, -1);
                this.#noteGone(fn, entry.hash, entry);
                return true;
              },
              Math.max(0, to - PART_BLOBS),
              to,
            );
        }
      }
    }
  }

  /** Until when a blob is pinned, 0 when it is not. */
  pinnedUntilMs(digest: Digest): number {
    return this.#table(digest.fn).pinnedUntilMs(digest.hash);
  }

  /** Sets where a blob lies, used last at `usedS` unless it was used later. */
  set(fn: DigestFunction, hash: Uint8Array, location: BlobLocation, usedS = 0): void {
    if (this.#source !== undefined) {
      const known = this.findRaw(fn, hash);
      if (known !== undefined) this.assume(known, -1);
      this.assume(location, 1);
      this.#gone.delete(goneKey(fn, hash));
      this.#buried.delete(goneKey(fn, hash));
    }
    const before = this.#put(fn, hash, location, usedS);
    if (before !== undefined) this.#count(fn, before, -1);
    this.#count(fn, location, 1);
  }

  /** Drops a blob. */
  delete(fn: DigestFunction, hash: Uint8Array): BlobLocation | undefined {
    if (this.#source !== undefined) this.#noteGone(fn, hash, this.findRaw(fn, hash));
    const before = this.#tables.get(fn)?.deleteRaw(hash);
    if (before !== undefined) this.#count(fn, before, -1);
    return before;
  }

  get #held(): number {
    let held = 0;
    for (const table of this.#tables.values()) held += table.size;
    return held;
  }

  /** Asks the source for a blob that is not in the table; whether it is there now. */
  #learn(fn: DigestFunction, hash: Uint8Array): boolean {
    if (this.#gone.size > 0 && this.#gone.has(goneKey(fn, hash))) return false;
    const blob = this.#source?.(fn, hash);
    if (blob === undefined) return false;
    if (this.#isBuried(fn, hash, blob.location)) return false;
    this.offer(fn, hash, blob);
    return true;
  }

  #noteGone(fn: DigestFunction, hash: Uint8Array, location: BlobLocation | undefined): void {
    if (this.#source === undefined) return;
    if (location !== undefined) this.assume(location, -1);
    this.#gone.add(goneKey(fn, hash));
  }

  #put(
    fn: DigestFunction,
    hash: Uint8Array,
    { segment, offset, sizeBytes, storedBytes }: BlobLocation,
    usedS: number,
  ): BlobLocation | undefined {
    return this.#table(fn).set(hash, segment, offset, sizeBytes, usedS, storedBytes);
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

  #count(fn: DigestFunction, { segment, sizeBytes, storedBytes }: BlobLocation, sign: 1 | -1): void {
    this.#bytes += sign * sizeBytes;
    this.#storedBytes += sign * storedBytes;
    if (isListed({ segment, sizeBytes })) this.#lists += sign;
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
    const bytes = sign * recordBytes(fn.hashBytes, storedBytes);
    this.#recordBytes += bytes;
    use.bytes += bytes;
    use.records += sign;
    if (use.records === 0) this.#segments.delete(segment);
  }
}

function goneKey(fn: DigestFunction, hash: Uint8Array): string {
  return `${fn.value}:${hash.toHex()}`;
}
