/**
 * Reading blobs of the disk store: verified, cached, and given up when they are damaged.
 *
 * @module
 */

import { BrokkrError, type ByteBudget, Code, type Counter, type Logger } from "@brokkr/common";
import { type Digest, digestKey, formatDigest } from "../digest.ts";
import { noSuchBlob } from "./_checks.ts";
import { readPieces, ReadRoom } from "./_file_reader.ts";
import { ByteLru } from "./_lru.ts";
import { decodeRecord, recordBytes, RecordKind } from "./_record.ts";
import type { Recovered } from "./_recover.ts";
import type { SegmentLog } from "./_segment_log.ts";
import { segmentName } from "./_segment_header.ts";
import { hasCode, type StoreFile } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT, RECORD_ALIGN } from "./membership_table.ts";

/** Larger blobs are not cached. */
const CACHED_BYTES = 64 << 10;

/** Files remembered to be whole. */
const MAX_VERIFIED = 100_000;

/** What a {@linkcode BlobReader} works with. */
export interface BlobReaderOptions {
  readonly state: Recovered;
  readonly segments: SegmentLog;
  readonly budget: ByteBudget;
  readonly cacheBytes: number;
  readonly damaged: Counter;
  readonly log: Logger;
  /** Makes an error of the system one that says what failed. */
  readonly failure: (what: string, error: unknown) => BrokkrError;
  /** Called when a blob's file is found to be gone. */
  readonly onGone: () => void;
}

/** Reads the blobs of one store. */
export class BlobReader {
  readonly #options: BlobReaderOptions;
  readonly #cache: ByteLru;
  /** Files whose bytes were found to have their hash. */
  readonly #verified = new Set<string>();

  constructor(options: BlobReaderOptions) {
    this.#options = options;
    this.#cache = new ByteLru(options.cacheBytes);
  }

  /** Where a blob lies; throws NOT_FOUND. */
  locate(digest: Digest): BlobLocation {
    const location = this.#options.state.catalog.locate(digest);
    if (location === undefined) throw noSuchBlob(digest);
    return location;
  }

  /** Forgets what is cached of a place. */
  forget(location: BlobLocation): void {
    this.#cache.delete(cacheKey(location));
  }

  /** A blob that lies in a segment. */
  async readSmall(digest: Digest, location: BlobLocation): Promise<Uint8Array> {
    const { state, segments, failure } = this.#options;
    const key = cacheKey(location);
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const hashBytes = digest.fn.hashBytes;
    let bytes: Uint8Array;
    try {
      bytes = await segments.read(
        location.segment,
        location.offset,
        recordBytes(hashBytes, digest.sizeBytes),
      );
    } catch (error) {
      if (!hasCode(error, "EIO") && !hasCode(error, "ENOENT")) {
        throw failure(`read blob ${formatDigest(digest)}`, error);
      }
      throw this.#damage(digest, location, error);
    }
    const record = decodeRecord(bytes, 0, state.salt);
    if (
      typeof record === "string" || record.kind !== RecordKind.BLOB || record.fnValue !== digest.fn.value ||
      record.data.length !== digest.sizeBytes || record.hash.toHex() !== digest.hash
    ) {
      throw this.#damage(digest, location, undefined);
    }
    if (record.data.length <= CACHED_BYTES) this.#cache.set(key, record.data);
    return record.data;
  }

  /** The one piece of a blob that lies in a segment, charged as long as the consumer has it. */
  async *readHeld(
    digest: Digest,
    location: BlobLocation,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { sizeBytes } = digest;
    using _lease = sizeBytes <= CACHED_BYTES
      ? undefined
      : await this.#options.budget.acquire(sizeBytes, signal);
    yield (await this.readSmall(digest, location)).subarray(start, end);
  }

  /** Pieces of a blob that is a file. */
  async *readLarge(
    digest: Digest,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { budget, failure } = this.#options;
    using room = await ReadRoom.take(budget, end - start, signal);
    const file = await this.#openFile(digest);
    try {
      if (await file.size() !== digest.sizeBytes) {
        throw this.#damage(digest, this.locate(digest), undefined);
      }
      const pieces = readPieces(file, start, end, room, signal);
      const whole = start === 0 && end === digest.sizeBytes && !this.#verified.has(digestKey(digest));
      yield* whole ? this.#verify(digest, pieces) : pieces;
    } catch (error) {
      if (hasCode(error, "EIO")) throw this.#damage(digest, this.locate(digest), error);
      throw failure(`read blob ${formatDigest(digest)}`, error);
    } finally {
      file.close();
    }
  }

  /**
   * Hands on the pieces of a whole blob, the last of them only when all have its hash. A disk may give back other bytes
   * than it took; each file is looked at when it is first read in a process, as hashing costs as much as reading.
   */
  async *#verify(
    digest: Digest,
    pieces: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const hasher = digest.fn.hasher();
    let left = digest.sizeBytes;
    for await (const piece of pieces) {
      hasher.update(piece);
      left -= piece.length;
      if (left === 0) {
        if (hasher.digestHex() !== digest.hash) throw this.#damage(digest, this.locate(digest), undefined);
        if (this.#verified.size >= MAX_VERIFIED) this.#verified.clear();
        this.#verified.add(digestKey(digest));
      }
      yield piece;
    }
  }

  async #openFile(digest: Digest): Promise<StoreFile> {
    const { state, failure } = this.#options;
    try {
      return await state.blobs.open(digest.fn, digest.hash);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw failure(`read blob ${formatDigest(digest)}`, error);
      // Deleted since it was found, then this throws NOT_FOUND; if not, its file is lost.
      throw this.#damage(digest, this.locate(digest), error);
    }
  }

  /** Takes a blob out of the catalog and the index. */
  drop(digest: Digest): void {
    const { catalog, index } = this.#options.state;
    const hash = Uint8Array.fromHex(digest.hash);
    const before = catalog.delete(digest.fn, hash);
    if (before !== undefined) this.forget(before);
    this.#verified.delete(digestKey(digest));
    index.delete(digest.fn.value, hash);
  }

  /** Drops a blob that is gone or cannot be read as it was written, so that it counts as missing, and says so. */
  #damage(digest: Digest, location: BlobLocation, cause: unknown): BrokkrError {
    const { state, log, damaged } = this.#options;
    const where = location.segment === FILE_SEGMENT
      ? state.blobs.path(digest.fn, digest.hash)
      : `${segmentName(location.segment)} at ${location.offset}`;
    const gone = hasCode(cause, "ENOENT");
    const blob = formatDigest(digest);
    log.error(`A blob is ${gone ? "gone" : "damaged"} and counts as missing from now on`, {
      blob,
      where,
      cause,
    });
    damaged.add();
    const now = state.catalog.locate(digest);
    if (now?.segment === location.segment && now.offset === location.offset) this.drop(digest);
    if (gone) {
      if (location.segment === FILE_SEGMENT) this.#options.onGone();
      return new BrokkrError(
        Code.NOT_FOUND,
        `Blob ${blob} is gone from the disk (${where}); upload it again`,
        {
          cause,
        },
      );
    }
    return new BrokkrError(
      Code.DATA_LOSS,
      `Blob ${formatDigest(digest)} is damaged on disk (${where}); upload it again`,
      { cause },
    );
  }
}

function cacheKey(location: BlobLocation): number {
  return location.segment * 2 ** 29 + location.offset / RECORD_ALIGN;
}
