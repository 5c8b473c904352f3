/**
 * Filling the catalog while the store serves.
 *
 * Mostly from the index, which answers what is asked for until it is all in memory. When the index is lost, or was not
 * to be trusted, from the segments and files themselves: what was found is answered, and of what was not found yet nobody
 * can say whether it is there, so who asks for it is told to ask again. Then the index is written anew, in the order of
 * its keys.
 *
 * After a crash the index may name files that were removed, and not name files that were kept: a file counts only when it
 * was seen.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, type Logger, Slices, unavailable } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import { type Digest, type DigestFunction, digestFunctionByValue, formatDigest } from "../digest.ts";
import { type BlobIndex, FLUSH_FILE_BYTES, isBefore } from "./_blob_index.ts";
import { catchUpSegment, isSealed } from "./_catch_up.ts";
import type { Catalog } from "./_catalog.ts";
import type { FileBlobs } from "./_file_blobs.ts";
import { type IndexedBlob, IndexQueue } from "./_index_queue.ts";
import { isListed, locationOf, MAX_RECORD_DATA, type Record, RecordKind } from "./_record.ts";
import { SEGMENT_HEADER_BYTES, segmentName } from "./_segment_header.ts";
import type { LogPosition, SegmentInfo } from "./_segment_log.ts";
import type { FileLayer } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT } from "./membership_table.ts";

/** When a client may ask again for what is not known yet, in milliseconds. */
const RETRY_MS = 2000;
/** How long loading rests after a failure. */
const FAILURE_REST_MS = 5000;
/** How often progress is told. */
const PROGRESS_MS = 10_000;
/** Parts in which the index is written anew, each in the order of its keys: what one part holds is in memory twice. */
const FILL_PARTS = 16;
/** Bytes of the index's file read at a time. */
const WARM_BYTES = 1 << 20;
/** Files looked at at a time for one caller. */
const LOOKS_AT_ONCE = 32;

/** What loading works with. */
export interface LoadingOptions {
  readonly dir: string;
  readonly files: FileLayer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly salt: Uint8Array;
  readonly index: BlobIndex;
  readonly catalog: Catalog;
  readonly blobs: FileBlobs;
  /** Segments as they were found. */
  readonly segments: readonly SegmentInfo[];
  /** When what no index knows counts as used last. */
  readonly usedS: number;
  /** Whether the index holds nothing, so that segments have to be read. */
  readonly rebuilds: boolean;
  /** Whether the index is right about files. */
  readonly filesKnown: boolean;
  /** Called once, when the index is not read any more; with whether it can be trusted the next time. */
  readonly onEnd: (trusted: boolean) => Promise<void>;
}

/** Loads one catalog. */
export class Loading {
  readonly #options: LoadingOptions;
  readonly #abort = new AbortController();
  /** Where segments ended when the store was opened, by number. */
  readonly #ends: ReadonlyMap<number, number>;
  readonly #totalBytes: number;
  #filesKnown: boolean;
  /** Segments that were read, when they have to be. */
  #next = 0;
  #readBytes = 0;
  #running: Promise<void> = Promise.resolve();
  #fault: string | undefined;
  #dropped = 0;
  #ended = false;
  /** Reads of the index for callers. */
  readonly #asked = new Set<Promise<void>>();

  constructor(options: LoadingOptions) {
    this.#options = options;
    this.#filesKnown = options.filesKnown;
    this.#ends = new Map(options.segments.map(({ id, sizeBytes }) => [id, sizeBytes]));
    this.#totalBytes = options.segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    options.catalog.beginLoading(
      (fn, hash) => this.#ask(fn, hash),
      options.rebuilds ? undefined : options.index.found.totals,
    );
  }

  /** Whether what the index says of files was compared with those there are, now or by a clean shutdown. */
  get filesKnown(): boolean {
    return this.#filesKnown;
  }

  /** Whether the last segment was read to its end, so that it may go on. */
  get tailKnown(): boolean {
    return !this.#options.rebuilds || this.#next === this.#options.segments.length;
  }

  /** Bytes of files that may be there and were not counted, at most. */
  get uncountedBytes(): number {
    return this.#filesKnown || !this.#options.catalog.isLoading ? 0 : FLUSH_FILE_BYTES;
  }

  /** What keeps the store from answering everything, in words. */
  get problem(): string | undefined {
    const { rebuilds, catalog } = this.#options;
    if (this.#fault !== undefined || !rebuilds || !catalog.isLoading) return this.#fault;
    const share = this.#totalBytes === 0 ? 100 : Math.floor(this.#readBytes / this.#totalBytes * 100);
    return `its index is made anew, ${share} % of the segments are read; what was not found yet is answered later`;
  }

  /** Why the directory has to be opened again. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Settles when it has ended: all is loaded, and an index that is made anew is finished. */
  get ended(): Promise<void> {
    return this.#running;
  }

  /** Loads all; rejects with the first failure. */
  async load(): Promise<void> {
    const { catalog, rebuilds, index } = this.#options;
    if (!this.#filesKnown) await this.#findFiles();
    if (!rebuilds) await this.#readIndex();
    else await this.#readSegments();
    if (this.#abort.signal.aborted) return;
    if (catalog.isLoading) catalog.endLoading();
    if (rebuilds) {
      await this.#fill();
      if (this.#abort.signal.aborted) return;
      await index.finish();
    }
    await this.#end();
  }

  /** Goes on in the background with what {@linkcode Loading.load} began, and tries again when it fails. */
  continue(begun: Promise<void>): void {
    this.#running = this.#persist(begun);
  }

  /** Ends; what is not loaded is not waited for. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#options.catalog.failLoading(
      new BrokkrError(Code.UNAVAILABLE, `The blob store in ${this.#options.dir} is closed`),
    );
    await this.#running;
    await this.#end();
  }

  /**
   * Sees to it that the catalog knows whether a blob is there; `sizeBytes` when its size is known.
   *
   * @throws {BrokkrError} UNAVAILABLE when nobody can tell yet.
   */
  async settle(fn: DigestFunction, hash: string, sizeBytes?: number): Promise<void> {
    const { catalog } = this.#options;
    if (catalog.find(fn, hash) !== undefined) return;
    const raw = Uint8Array.fromHex(hash);
    if (catalog.decides(fn, raw)) return;
    if (!this.#filesKnown && (sizeBytes === undefined || sizeBytes > MAX_RECORD_DATA)) {
      await this.#lookAtFile(fn, raw);
      if (catalog.decides(fn, raw)) return;
    }
    // Also of what is large: it may be a list of chunks in a segment that was not read yet.
    this.#checkKnown();
  }

  /** As {@linkcode Loading.settle}, for many. */
  async settleAll(batch: DigestBatch): Promise<void> {
    const { fn, hashes, sizes } = batch;
    const large: number[] = [];
    const prefetch = (hashes: readonly Uint8Array[]) => this.#prefetch(fn, hashes);
    for (const i of await this.#options.catalog.unknown(batch, prefetch)) {
      if (sizes[i] <= MAX_RECORD_DATA || this.#filesKnown) this.#checkKnown();
      else large.push(i);
    }
    const looks = large[Symbol.iterator]();
    const lane = async () => {
      for (const i of looks) {
        const hash = hashes.slice(i * fn.hashBytes, (i + 1) * fn.hashBytes);
        await this.#lookAtFile(fn, hash);
        if (!this.#options.catalog.decides(fn, hash)) this.#checkKnown();
      }
    };
    await Promise.all(Array.from({ length: Math.min(LOOKS_AT_ONCE, large.length) }, lane));
  }

  /**
   * Sees to it that a blob that is put is not put a second time. What is not known is taken, and may be there twice.
   *
   * @throws {BrokkrError} UNAVAILABLE when nobody can tell yet whether there is room.
   */
  async settlePut(digest: Digest): Promise<void> {
    if (this.#options.rebuilds && !this.#filesKnown) {
      throw unavailable(
        `The files of the blob store in ${this.#options.dir} are being counted, since its index was lost; send blob ` +
          `${formatDigest(digest)} again`,
        RETRY_MS,
      );
    }
    if (!this.#filesKnown && digest.sizeBytes > MAX_RECORD_DATA) {
      await this.settle(digest.fn, digest.hash, digest.sizeBytes);
    }
  }

  async #end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#options.onEnd(this.#fault === undefined);
  }

  #checkKnown(): void {
    const { rebuilds, catalog, dir } = this.#options;
    if (rebuilds && catalog.isLoading) {
      throw unavailable(`The blob store in ${dir} cannot tell yet: ${this.problem}`, RETRY_MS);
    }
  }

  /** What the index says of a blob, where it can be believed. */
  #ask(fn: DigestFunction, hash: Uint8Array): IndexedBlob | undefined {
    if (this.#options.rebuilds) return undefined;
    let blob: IndexedBlob | undefined;
    try {
      blob = this.#options.index.get(fn.value, hash);
    } catch (error) {
      throw this.#distrust(error);
    }
    return blob !== undefined && this.#isThere(blob.location) ? this.#dated(blob) : undefined;
  }

  /** A use that is still to come was noted when the clock was wrong: such a blob would never be the one unused for longest. */
  #dated(blob: IndexedBlob): IndexedBlob {
    const { usedS } = this.#options;
    return blob.usedS <= usedS ? blob : { location: blob.location, usedS };
  }

  async #prefetch(fn: DigestFunction, hashes: readonly Uint8Array[]): Promise<void> {
    const { rebuilds, index } = this.#options;
    if (rebuilds) return;
    const reading = index.prefetch(fn.value, hashes);
    this.#asked.add(reading);
    try {
      await reading;
    } catch (error) {
      throw this.#distrust(error);
    } finally {
      this.#asked.delete(reading);
    }
  }

  #isThere({ segment, offset, storedBytes }: BlobLocation): boolean {
    // Where files are not known, those that are there are offered one by one.
    if (segment === FILE_SEGMENT) return this.#options.filesKnown;
    return (this.#ends.get(segment) ?? 0) > offset + storedBytes;
  }

  /** The index cannot be read: the store is to be opened again, without it. */
  #distrust(error: unknown): BrokkrError {
    const { log, dir } = this.#options;
    if (this.#abort.signal.aborted) return unavailable(`The blob store in ${dir} is closed`, RETRY_MS);
    if (this.#fault === undefined) log.error("The blob index is damaged", { dir, error });
    this.#fault = "its index is damaged";
    return unavailable(`The blob store in ${dir} cannot tell: ${this.#fault}`, FAILURE_REST_MS);
  }

  async #persist(begun: Promise<void>): Promise<void> {
    const { log, clock, dir } = this.#options;
    const tell = () => {
      if (this.problem !== undefined) {
        log.info("The blob index is made anew", { dir, progress: this.problem });
      }
      progress = clock.setTimer(PROGRESS_MS, tell);
    };
    let progress = clock.setTimer(0, tell);
    try {
      for (let attempt = begun;; attempt = this.load()) {
        try {
          return await attempt;
        } catch (error) {
          if (this.#abort.signal.aborted || this.#fault !== undefined) return;
          log.error("Loading the blob store failed; trying again", { dir, error });
          await this.#rest();
          if (this.#abort.signal.aborted) return;
        }
      }
    } finally {
      progress.cancel();
    }
  }

  async #rest(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.setTimer(FAILURE_REST_MS, resolve);
    this.#abort.signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    timer.cancel();
  }

  async #lookAtFile(fn: DigestFunction, hash: Uint8Array): Promise<void> {
    const sizeBytes = await this.#options.blobs.look(fn, hash.toHex());
    if (sizeBytes !== undefined) this.#keepFile(fn, hash, sizeBytes);
  }

  /** Notes a file that is there. */
  #keepFile(fn: DigestFunction, hash: Uint8Array, sizeBytes: number): void {
    const { catalog, index, usedS, rebuilds } = this.#options;
    if (this.#filesKnown) return;
    const location = { segment: FILE_SEGMENT, offset: 0, sizeBytes, storedBytes: sizeBytes };
    // A list of chunks whose blob is a file as well is that of a file that was about to be removed, or one that lacked a
    // chunk before the file came: the file is whole.
    const gives = (other: BlobLocation) => isListed(other) && other.sizeBytes === sizeBytes;
    const held = catalog.held(fn, hash);
    if (held !== undefined) {
      if (!gives(held)) return;
      catalog.set(fn, hash, location, usedS);
      index.put(fn.value, hash, location, usedS);
      return;
    }
    if (catalog.decides(fn, hash)) return;
    const known = rebuilds ? undefined : index.get(fn.value, hash);
    // A record that proves itself is as good as a file.
    const isRecord = known !== undefined && known.location.segment !== FILE_SEGMENT;
    if (isRecord && this.#isThere(known.location) && !gives(known.location)) return;
    const isNew = known?.location.segment !== FILE_SEGMENT || known.location.sizeBytes !== sizeBytes;
    catalog.offer(fn, hash, { location, usedS: isNew ? usedS : this.#dated(known).usedS });
    if (!isNew) return;
    if (known !== undefined) catalog.assume(known.location, -1);
    catalog.assume(location, 1);
    index.put(fn.value, hash, location, usedS);
  }

  async #findFiles(): Promise<void> {
    const { blobs } = this.#options;
    await blobs.scan((fn, hash, sizeBytes) => this.#keepFile(fn, hash, sizeBytes), this.#abort.signal);
    if (this.#abort.signal.aborted) return;
    this.#filesKnown = true;
    this.#options.catalog.countFiles();
  }

  async #readIndex(): Promise<void> {
    const { index, catalog, log } = this.#options;
    const onEntry = (fnValue: number, hash: Uint8Array, blob: IndexedBlob) => {
      const fn = digestFunctionByValue(fnValue);
      if (fn === undefined || fn.hashBytes !== hash.length) return;
      if (this.#isThere(blob.location)) catalog.offer(fn, hash, this.#dated(blob));
      else if (!catalog.decides(fn, hash)) this.#dropEntry(fn, hash, blob.location);
    };
    await this.#warm();
    try {
      await index.load(onEntry, this.#abort.signal);
    } catch (error) {
      throw this.#distrust(error);
    }
    if (this.#dropped > 0) log.error("Blobs are gone with their segments", { blobs: this.#dropped });
  }

  /**
   * Reads the file of the index once from end to end, as fast as the disk can, so that it is in the page cache when its
   * pages are looked at in the order of the keys, which they do not lie in.
   */
  async #warm(): Promise<void> {
    const { files, dir, log } = this.#options;
    const path = `${dir}/index/data.mdb`;
    try {
      const sizeBytes = await files.size(path);
      if (sizeBytes === undefined || sizeBytes > Deno.systemMemoryInfo().available / 2) return;
      const file = await files.open(path, "read");
      try {
        const buffer = new Uint8Array(Math.min(sizeBytes, WARM_BYTES));
        for (let at = 0; at < sizeBytes && !this.#abort.signal.aborted; at += buffer.length) {
          // Who asks goes first.
          while (this.#asked.size > 0) await Promise.allSettled(this.#asked);
          if (await file.read(buffer, at) === 0) return;
        }
      } finally {
        file.close();
      }
    } catch (error) {
      log.warn("Cannot read the file of the blob index ahead", { path, error });
    }
  }

  /** The index names what is not there. */
  #dropEntry(fn: DigestFunction, hash: Uint8Array, location: BlobLocation): void {
    const { index, catalog } = this.#options;
    index.delete(fn.value, hash);
    // Those of files were counted by looking at them.
    if (location.segment === FILE_SEGMENT) return;
    catalog.assume(location, -1);
    this.#dropped++;
  }

  async #readSegments(): Promise<void> {
    const { segments, index, dir, files, log, salt } = this.#options;
    for (; this.#next < segments.length; this.#next++) {
      if (this.#abort.signal.aborted) return;
      const info = segments[this.#next];
      const end = this.#ends.get(info.id) ?? info.sizeBytes;
      const before = this.#readBytes;
      const endBytes = await catchUpSegment({
        path: `${dir}/segments/${segmentName(info.id)}`,
        files,
        log,
        salt,
        info,
        start: SEGMENT_HEADER_BYTES,
        isLast: this.#next === segments.length - 1,
        isSealed: isSealed(segments, this.#next),
        onRecord: (record, offset, length) => {
          this.#readBytes += length;
          this.#takeRecord(record, locationOf(record, info.id, offset));
        },
        signal: this.#abort.signal,
      });
      if (this.#abort.signal.aborted) return;
      this.#readBytes = before + end;
      const position: LogPosition = { segment: info.id, offset: endBytes };
      if (isBefore(index.toldPosition, position)) index.advance(position);
    }
  }

  /** Takes a record of a log that others go on writing: what the catalog knows of later places counts more. */
  #takeRecord(record: Record, location: BlobLocation): void {
    const { catalog, usedS } = this.#options;
    const fn = digestFunctionByValue(record.fnValue);
    if (fn === undefined || fn.hashBytes !== record.hash.length) return;
    const before = catalog.findRaw(fn, record.hash);
    if (before === undefined) {
      if (record.kind === RecordKind.BLOB) catalog.offer(fn, record.hash, { location, usedS });
    } else if (before.segment !== FILE_SEGMENT && isBefore(before, location)) {
      if (record.kind === RecordKind.BLOB) catalog.set(fn, record.hash, location, usedS);
      else catalog.takeBack(fn, record.hash);
    }
  }

  /** Writes all that the catalog holds into an empty index. */
  async #fill(): Promise<void> {
    const { catalog, index } = this.#options;
    for (let part = 0; part < FILL_PARTS; part++) {
      const entries = new IndexQueue();
      const slices = new Slices();
      for (const visit of catalog.parts()) {
        visit((fn, entry) => {
          if (Math.floor(entry.hash[0] / 256 * FILL_PARTS) !== part) return;
          entries.put(fn.value, entry.hash, entry, entry.usedS);
        });
        if (slices.spent) await slices.next();
        if (this.#abort.signal.aborted) return;
      }
      await index.fill(entries);
    }
  }
}
