/**
 * Blobs on disk: small ones in a segment log, large ones in files of their own, LMDB as an index over both, and an exact
 * table in memory that answers what is there.
 *
 * What is acknowledged is synced. What is visible was verified. What is damaged is found when it is read and counts as
 * missing from then on, so that a client can upload it again.
 *
 * @module
 */

import {
  asBrokkrError,
  BrokkrError,
  ByteBudget,
  type Clock,
  Code,
  type Logger,
  type Metrics,
  noLog,
  noMetrics,
  type Random,
  type Scope,
  systemClock,
  systemRandom,
  throwIfAborted,
} from "@brokkr/common";
import type { BlobStore, BlobStoreStat, BlobWriter, DigestBatch, ReadRange } from "../blob_store.ts";
import { type Digest, digestFunctionByValue, digestKey, formatDigest } from "../digest.ts";
import {
  checkBatch,
  checkHash,
  checkMaxSize,
  checkSize,
  isEmptyBlob,
  noSuchBlob,
  PIECE_BYTES,
  resolveRange,
} from "./_checks.ts";
import { readPieces } from "./_file_reader.ts";
import { ByteLru } from "./_lru.ts";
import { decodeRecord, MAX_RECORD_DATA, recordBytes, RecordKind } from "./_record.ts";
import { markClean, recover, type Recovered } from "./_recover.ts";
import { type Committed, type LogPosition, SegmentLog } from "./_segment_log.ts";
import { LARGE_WRITER_BYTES, LargeWriter, SmallWriter } from "./_writers.ts";
import { type FileLayer, hasCode, systemFiles } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT, MAX_TABLE_SIZE, RECORD_ALIGN } from "./membership_table.ts";

/** How a disk store is set up. Everything has a default that suits production. */
export interface DiskBlobStoreOptions {
  /** Time, for pins and for when the index is written. */
  readonly clock?: Clock;
  /** For the store's id and the names of temporary files. */
  readonly random?: Random;
  /**
   * Memory for readers and writers; 128 MiB of its own by default. Never one that callers hold a share of while they
   * wait for this store, or both wait for ever.
   */
  readonly budget?: ByteBudget;
  /** Where it counts. */
  readonly metrics?: Metrics;
  /** Where it tells of damage and recovery. */
  readonly log?: Logger;
  /** Largest blob it takes, in bytes; 16 GiB by default. */
  readonly maxBlobBytes?: number;
  /** Most bytes it takes on disk; no limit but the disk's by default. */
  readonly maxBytes?: number;
  /** A segment that would grow beyond this is followed by another; 256 MiB by default. */
  readonly segmentBytes?: number;
  /** Memory for the contents of small blobs read lately; 64 MiB by default. */
  readonly cacheBytes?: number;
  /** The file system; the machine's by default. */
  readonly files?: FileLayer;
}

/** Most bytes of one group. */
const GROUP_BYTES = 4 << 20;
/** Most bytes of puts that wait for their group. */
const PENDING_BYTES = 64 << 20;
/** Larger blobs are not cached. */
const CACHED_BYTES = 64 << 10;
/** Largest blob that {@linkcode BlobStore.get} hands out in one piece. */
const MAX_GET_BYTES = 512 << 20;

/**
 * Opens the store in `dir`, making it when the directory is new. The caller's process must own the directory (see
 * `openDataDirectory`). After a crash the log is read from where the index left off.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when the directory has another format or is something else.
 */
export async function openDiskBlobStore(
  dir: string,
  options: DiskBlobStoreOptions = {},
): Promise<BlobStore> {
  const files = options.files ?? systemFiles;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const log = options.log ?? noLog;
  const recovered = await recover({ dir, files, clock, random, log });
  const store = new DiskBlobStore(dir, recovered, { ...options, files, clock, random, log });
  try {
    await store.start();
    return store;
  } catch (error) {
    await recovered.index.close();
    throw error;
  }
}

type Settled = DiskBlobStoreOptions & {
  readonly files: FileLayer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
};

class DiskBlobStore implements BlobStore {
  readonly #dir: string;
  readonly #options: Settled;
  readonly #state: Recovered;
  readonly #log: SegmentLog;
  readonly #cache: ByteLru;
  readonly #budget: ByteBudget;
  readonly #maxBlobBytes: number;
  readonly #maxBytes: number;
  /** Operations that change a blob, by its key: one at a time for each. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #writers = new Set<BlobWriter>();
  readonly #damaged;
  #reservedBytes = 0;
  #operations = 0;
  #idle: (() => void) | undefined;
  #closed = false;

  constructor(dir: string, state: Recovered, options: Settled) {
    this.#dir = dir;
    this.#state = state;
    this.#options = options;
    this.#cache = new ByteLru(options.cacheBytes ?? 64 << 20);
    this.#budget = options.budget ?? new ByteBudget(128 << 20);
    this.#maxBlobBytes = Math.min(options.maxBlobBytes ?? 2 ** 34, MAX_TABLE_SIZE);
    this.#maxBytes = options.maxBytes ?? Infinity;
    const metrics = options.metrics ?? noMetrics;
    const groups = metrics.histogram(
      "brokkr_cas_sync_seconds",
      "How long writing and syncing a group of small blobs took",
      [],
      [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5],
    );
    const grouped = metrics.counter("brokkr_cas_grouped_records_total", "Records synced in groups");
    metrics.gauge("brokkr_cas_blobs", "Blobs held", [], () => state.catalog.blobs);
    metrics.gauge("brokkr_cas_bytes", "Bytes of the blobs held", [], () => state.catalog.bytes);
    this.#damaged = metrics.counter("brokkr_cas_damaged_total", "Blobs found damaged when read");
    this.#log = new SegmentLog({
      files: options.files,
      dir: `${dir}/segments`,
      salt: state.salt,
      segmentBytes: options.segmentBytes ?? 256 << 20,
      groupBytes: GROUP_BYTES,
      pendingBytes: PENDING_BYTES,
      clock: options.clock,
      log: options.log,
      segments: state.segments,
      onCommitted: (records, position) => this.#onCommitted(records, position),
      onGroup: (records, _bytes, syncMs) => {
        groups.observe(syncMs / 1000);
        grouped.add({}, records);
      },
    });
  }

  start(): Promise<void> {
    return this.#log.resume();
  }

  missing(_scope: Scope, batch: DigestBatch): Uint32Array {
    this.#checkOpen();
    return this.#state.catalog.missing(batch);
  }

  async get(_scope: Scope, digest: Digest): Promise<Uint8Array> {
    this.#checkOpen();
    if (isEmptyBlob(digest)) return new Uint8Array(0);
    const location = this.#locate(digest);
    if (location.segment !== FILE_SEGMENT) return await this.#readSmall(digest, location);
    if (digest.sizeBytes > MAX_GET_BYTES) {
      throw new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Blob ${formatDigest(digest)} is too large to be read in one piece; read it as a stream`,
      );
    }
    const whole = new Uint8Array(digest.sizeBytes);
    let at = 0;
    for await (const piece of this.#readLarge(digest, 0, digest.sizeBytes)) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  async *read(
    _scope: Scope,
    digest: Digest,
    range?: ReadRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    this.#checkOpen();
    throwIfAborted(signal);
    if (isEmptyBlob(digest)) {
      resolveRange(digest, range);
      return;
    }
    const location = this.#locate(digest);
    const { start, end } = resolveRange(digest, range);
    if (start === end) return;
    if (location.segment === FILE_SEGMENT) {
      yield* this.#readLarge(digest, start, end, signal);
    } else {
      yield (await this.#readSmall(digest, location)).subarray(start, end);
    }
  }

  async put(_scope: Scope, digest: Digest, data: Uint8Array): Promise<void> {
    this.#checkOpen();
    checkSize(digest, data.length);
    if (this.#state.catalog.locate(digest) !== undefined) return;
    if (data.length <= MAX_RECORD_DATA) return await this.#putSmall(digest, data);
    await using writer = await this.#openWriter(digest);
    await writer.write(data);
    await writer.commit();
  }

  async writer(_scope: Scope, digest: Digest): Promise<BlobWriter> {
    this.#checkOpen();
    return await this.#openWriter(digest);
  }

  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async pin(_scope: Scope, batch: DigestBatch, durationMs: number): Promise<void> {
    this.#checkOpen();
    checkBatch(batch);
    this.#state.catalog.pin(batch, this.#options.clock.monotonicMs() + durationMs);
  }

  async delete(_scope: Scope, digest: Digest): Promise<boolean> {
    this.#checkOpen();
    if (isEmptyBlob(digest)) return false;
    return await this.#alone(digest, async () => {
      const location = this.#state.catalog.locate(digest);
      if (location === undefined) return false;
      if (location.segment !== FILE_SEGMENT) {
        const hash = Uint8Array.fromHex(digest.hash);
        const { fn, sizeBytes } = digest;
        await this.#log.append(fn.hashBytes, 0, () => ({
          kind: RecordKind.TOMBSTONE,
          fnValue: fn.value,
          hash,
          sizeBytes,
          data: new Uint8Array(0),
        }));
        return true;
      }
      this.#drop(digest);
      try {
        await this.#state.blobs.remove(digest.fn, digest.hash);
      } catch (error) {
        throw this.#failure(`remove blob ${formatDigest(digest)}`, error);
      }
      return true;
    });
  }

  async stat(): Promise<BlobStoreStat> {
    const { catalog } = this.#state;
    return {
      blobs: catalog.blobs,
      bytes: catalog.bytes,
      diskBytes: this.#diskBytes,
      segments: this.#log.segmentCount,
      files: catalog.files,
      freeBytes: await this.#options.files.freeBytes(this.#dir),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const writer of this.#writers) await writer.abort();
    if (this.#operations > 0) await new Promise<void>((resolve) => this.#idle = resolve);
    const end = this.#log.position;
    await this.#log.close();
    const { index } = this.#state;
    await index.flush();
    try {
      await markClean(this.#options.files, this.#dir, index, end);
    } catch (error) {
      this.#options.log.warn("Cannot note a clean shutdown; the next start takes longer", { error });
    }
    await index.close();
  }

  get #diskBytes(): number {
    return this.#log.diskBytes + this.#state.catalog.fileBytes;
  }

  #checkOpen(): void {
    if (this.#closed) throw new BrokkrError(Code.UNAVAILABLE, `The blob store in ${this.#dir} is closed`);
  }

  #locate(digest: Digest): BlobLocation {
    const location = this.#state.catalog.locate(digest);
    if (location === undefined) throw noSuchBlob(digest);
    return location;
  }

  /** Runs `run` when no other change of this blob is under way; closing waits for it. */
  async #alone<T>(digest: Digest, run: () => Promise<T>): Promise<T> {
    const key = digestKey(digest);
    this.#operations++;
    try {
      for (let other = this.#busy.get(key); other !== undefined; other = this.#busy.get(key)) await other;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#busy.set(key, promise);
      try {
        return await run();
      } finally {
        this.#busy.delete(key);
        resolve();
      }
    } finally {
      if (--this.#operations === 0) this.#idle?.();
    }
  }

  async #putSmall(digest: Digest, data: Uint8Array): Promise<void> {
    const { fn, sizeBytes } = digest;
    if (sizeBytes === 0) return checkHash(digest, fn.hash(data));
    await this.#alone(digest, async () => {
      if (this.#state.catalog.locate(digest) !== undefined) return;
      const reserved = recordBytes(fn.hashBytes, sizeBytes);
      this.#reserve(digest, reserved);
      try {
        await this.#log.append(fn.hashBytes, data.length, () => {
          checkHash(digest, fn.hash(data));
          const hash = Uint8Array.fromHex(digest.hash);
          return { kind: RecordKind.BLOB, fnValue: fn.value, hash, sizeBytes, data };
        });
      } finally {
        this.#reservedBytes -= reserved;
      }
    });
  }

  /** Makes the records of a durable group visible. */
  #onCommitted(records: readonly Committed[], position: LogPosition): void {
    const { catalog, index } = this.#state;
    for (const { record, segment, offset } of records) {
      const fn = digestFunctionByValue(record.fnValue);
      if (fn === undefined) continue;
      if (record.kind === RecordKind.BLOB) {
        const location = { segment, offset, sizeBytes: record.sizeBytes };
        catalog.set(fn, record.hash, location);
        index.put(record.fnValue, record.hash, location);
      } else {
        const before = catalog.delete(fn, record.hash);
        if (before !== undefined) this.#cache.delete(cacheKey(before));
        index.delete(record.fnValue, record.hash);
      }
    }
    index.advance(position);
  }

  async #openWriter(digest: Digest): Promise<BlobWriter> {
    checkMaxSize(digest, this.#maxBlobBytes);
    const writer = digest.sizeBytes <= MAX_RECORD_DATA
      ? await this.#smallWriter(digest)
      : await this.#largeWriter(digest);
    return writer;
  }

  async #smallWriter(digest: Digest): Promise<BlobWriter> {
    const lease = await this.#budget.acquire(digest.sizeBytes);
    return new SmallWriter(digest, lease, (data) => {
      this.#checkOpen();
      return this.#putSmall(digest, data);
    });
  }

  async #largeWriter(digest: Digest): Promise<BlobWriter> {
    const lease = await this.#budget.acquire(LARGE_WRITER_BYTES);
    try {
      this.#checkOpen();
      this.#reserve(digest, digest.sizeBytes);
    } catch (error) {
      lease.release();
      throw error;
    }
    const { blobs } = this.#state;
    const writer: LargeWriter = new LargeWriter(digest, {
      create: () => blobs.create(),
      keep: (path) => this.#keepFile(digest, path),
      discard: (path) => this.#discardFile(path),
      failure: (error) => this.#failure(`write blob ${formatDigest(digest)}`, error),
      release: () => {
        lease.release();
        this.#reservedBytes -= digest.sizeBytes;
        this.#writers.delete(writer);
      },
    });
    this.#writers.add(writer);
    return writer;
  }

  async #keepFile(digest: Digest, path: string): Promise<void> {
    this.#checkOpen();
    await this.#alone(digest, async () => {
      const { blobs, catalog, index } = this.#state;
      if (catalog.locate(digest) !== undefined) return await this.#discardFile(path);
      await blobs.keep(path, digest.fn, digest.hash);
      const location = { segment: FILE_SEGMENT, offset: 0, sizeBytes: digest.sizeBytes };
      const hash = Uint8Array.fromHex(digest.hash);
      catalog.set(digest.fn, hash, location);
      index.put(digest.fn.value, hash, location);
    });
  }

  async #discardFile(path: string): Promise<void> {
    try {
      await this.#options.files.remove(path);
    } catch (error) {
      this.#options.log.warn("Cannot remove a temporary file; the next start does", { path, error });
    }
  }

  #reserve(digest: Digest, bytes: number): void {
    const used = this.#diskBytes + this.#reservedBytes;
    if (used + bytes > this.#maxBytes) {
      throw new BrokkrError(
        Code.RESOURCE_EXHAUSTED,
        `No room for blob ${
          formatDigest(digest)
        }: the store in ${this.#dir} takes ${used} of the ${this.#maxBytes} ` +
          "bytes it may; raise its limit",
      );
    }
    this.#reservedBytes += bytes;
  }

  async #readSmall(digest: Digest, location: BlobLocation): Promise<Uint8Array> {
    const key = cacheKey(location);
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const hashBytes = digest.fn.hashBytes;
    let bytes: Uint8Array;
    try {
      bytes = await this.#log.read(
        location.segment,
        location.offset,
        recordBytes(hashBytes, digest.sizeBytes),
      );
    } catch (error) {
      if (!hasCode(error, "EIO") && !hasCode(error, "ENOENT")) {
        throw this.#failure(`read blob ${formatDigest(digest)}`, error);
      }
      throw this.#damage(digest, location, error);
    }
    const record = decodeRecord(bytes, 0, this.#state.salt);
    if (
      typeof record === "string" || record.kind !== RecordKind.BLOB || record.fnValue !== digest.fn.value ||
      record.data.length !== digest.sizeBytes || record.hash.toHex() !== digest.hash
    ) {
      throw this.#damage(digest, location, undefined);
    }
    if (record.data.length <= CACHED_BYTES) this.#cache.set(key, record.data);
    return record.data;
  }

  async *#readLarge(
    digest: Digest,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const pieceBytes = Math.min(PIECE_BYTES, end - start);
    using _lease = await this.#budget.acquire(2 * pieceBytes, signal);
    let file;
    try {
      file = await this.#state.blobs.open(digest.fn, digest.hash);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw this.#failure(`read blob ${formatDigest(digest)}`, error);
      // Deleted since it was found; if not, its file is lost.
      if (this.#state.catalog.locate(digest) === undefined) throw noSuchBlob(digest);
      throw this.#damage(digest, this.#locate(digest), error);
    }
    try {
      if (await file.size() !== digest.sizeBytes) {
        throw this.#damage(digest, this.#locate(digest), undefined);
      }
      yield* readPieces(file, start, end, pieceBytes, signal);
    } catch (error) {
      if (hasCode(error, "EIO")) throw this.#damage(digest, this.#locate(digest), error);
      throw asBrokkrError(error);
    } finally {
      file.close();
    }
  }

  /** Drops a blob that cannot be read as it was written, so that it counts as missing, and says so. */
  #damage(digest: Digest, location: BlobLocation, cause: unknown): BrokkrError {
    const where = location.segment === FILE_SEGMENT
      ? this.#state.blobs.path(digest.fn, digest.hash)
      : `segment ${location.segment.toString(16).padStart(8, "0")} at ${location.offset}`;
    this.#options.log.error("A blob is damaged and counts as missing from now on", {
      blob: formatDigest(digest),
      where,
      cause,
    });
    this.#damaged.add();
    const now = this.#state.catalog.locate(digest);
    if (now?.segment === location.segment && now.offset === location.offset) this.#drop(digest);
    return new BrokkrError(
      Code.DATA_LOSS,
      `Blob ${formatDigest(digest)} is damaged on disk (${where}); upload it again`,
      { cause },
    );
  }

  #drop(digest: Digest): void {
    const hash = Uint8Array.fromHex(digest.hash);
    const before = this.#state.catalog.delete(digest.fn, hash);
    if (before !== undefined) this.#cache.delete(cacheKey(before));
    this.#state.index.delete(digest.fn.value, hash);
  }

  #failure(what: string, error: unknown): BrokkrError {
    if (error instanceof BrokkrError) return error;
    const cause = asBrokkrError(error, Code.UNAVAILABLE);
    return new BrokkrError(cause.code, `Cannot ${what} in ${this.#dir}: ${cause.message}`, {
      details: cause.details,
      cause: error,
    });
  }
}

function cacheKey(location: BlobLocation): number {
  return location.segment * 2 ** 29 + location.offset / RECORD_ALIGN;
}
