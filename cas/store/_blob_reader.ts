/**
 * Reading blobs of the disk store: verified, cached, and given up when they are damaged.
 *
 * @module
 */

import { BrokkrError, type ByteBudget, Code, unavailable } from "@brokkr/common";
import { type Digest, digestKey, formatDigest } from "../digest.ts";
import { noSuchBlob } from "./_checks.ts";
import { readPieces, ReadRoom } from "./_file_reader.ts";
import { type Depth, type Fault, faultOf, type Look, lookAtRecord, type Sight } from "./_look.ts";
import { ByteLru } from "./_lru.ts";
import type { Mender } from "./_mender.ts";
import type { Recovered } from "./_recover.ts";
import { HEADER_BYTES, MAX_RECORD_DATA, type Record, RecordCodec } from "./_record.ts";
import type { SegmentLog } from "./_segment_log.ts";
import { hasCode, type StoreFile } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT, RECORD_ALIGN, type Touch } from "./membership_table.ts";

/** Larger blobs are not cached. */
const CACHED_BYTES = 64 << 10;

/** Files remembered to be whole. */
const MAX_VERIFIED = 100_000;

/** When a client may try again that got wrong bytes of a blob that is right. */
const RETRY_MS = 1000;

/** What a {@linkcode BlobReader} works with. */
export interface BlobReaderOptions {
  readonly state: Recovered;
  /** Which reads are compared with the digest. */
  readonly verifyReads: "first" | "always";
  readonly segments: SegmentLog;
  readonly budget: ByteBudget;
  readonly cacheBytes: number;
  /** Deals with what is damaged. */
  readonly mender: Mender;
  /** Makes an error of the system one that says what failed. */
  readonly failure: (what: string, error: unknown) => BrokkrError;
}

/** Reads the blobs of one store. */
export class BlobReader {
  readonly #options: BlobReaderOptions;
  readonly #cache: ByteLru;
  readonly #always: boolean;
  /** Files whose bytes were found to have their hash. */
  readonly #verified = new Set<string>();

  constructor(options: BlobReaderOptions) {
    this.#options = options;
    this.#always = options.verifyReads === "always";
    this.#cache = new ByteLru(options.cacheBytes);
  }

  /** Where a blob lies; throws NOT_FOUND. With `touch` that counts as a use. */
  locate(digest: Digest, touch?: Touch): BlobLocation {
    const location = this.#options.state.catalog.locate(digest, touch);
    if (location === undefined) throw noSuchBlob(digest);
    return location;
  }

  /** Forgets what is cached of a place. */
  forget(location: BlobLocation): void {
    this.#cache.delete(cacheKey(location));
  }

  /** A blob that lies in a segment. It may be elsewhere by the time it is read. */
  async readSmall(digest: Digest, location: BlobLocation): Promise<Uint8Array> {
    for (let at = location;;) {
      const key = cacheKey(at);
      const cached = this.#cache.get(key);
      if (cached !== undefined && (!this.#always || digest.fn.hash(cached) === digest.hash)) return cached;
      try {
        const { data } = await this.#readRecord(digest, at, this.#always ? "hash" : "blob");
        if (data.length <= CACHED_BYTES) this.#cache.set(key, data);
        return data;
      } catch (error) {
        // Moved or evicted meanwhile; each turn of this loop needs another place.
        const now = this.#options.state.catalog.locate(digest);
        if (now === undefined || now.segment === FILE_SEGMENT || samePlace(now, at)) throw error;
        at = now;
      }
    }
  }

  /** The frame in which a blob is kept, where it is kept in one. What cannot be told now is left to who reads the blob. */
  async readFrame(digest: Digest, location: BlobLocation): Promise<Uint8Array | undefined> {
    const { segment, sizeBytes, storedBytes } = location;
    if (segment === FILE_SEGMENT || sizeBytes > MAX_RECORD_DATA || storedBytes >= sizeBytes) return undefined;
    const look = await this.#look(digest, location, this.#always ? "hash" : "record");
    return look.record?.codec === RecordCodec.ZSTD ? look.record.data : undefined;
  }

  /** The record at a place, which is dropped when it is not what it should be and still counts. */
  async readRecord(digest: Digest, location: BlobLocation, depth: Depth = "record"): Promise<Record> {
    return (await this.#readRecord(digest, location, this.#always ? "hash" : depth)).record;
  }

  async #readRecord(digest: Digest, location: BlobLocation, depth: Depth): Promise<Sight> {
    let look = await this.#look(digest, location, depth);
    if (look.fault !== undefined && samePlace(this.locate(digest), location)) {
      // A disk may fail once: nothing is given up that was not read twice.
      look = await this.#look(digest, location, depth);
    }
    if (look.fault !== undefined) throw this.#damage(digest, location, look.fault);
    return look;
  }

  async #look(digest: Digest, location: BlobLocation, depth: Depth): Promise<Look> {
    const { state, segments, failure } = this.#options;
    try {
      return await lookAtRecord(segments, state.salt, digest, location, depth);
    } catch (error) {
      throw failure(`read blob ${formatDigest(digest)}`, error);
    }
  }

  /**
   * A part of a blob that lies in a segment as it is, whose record is read into `scratch` and compared. Undefined when that
   * is not possible, or something is wrong with it, which who reads all of it finds out again and deals with.
   */
  async readCheckedPart(
    digest: Digest,
    start: number,
    end: number,
    scratch: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const { state, segments, failure } = this.#options;
    const location = this.locate(digest);
    if (this.#always || location.segment === FILE_SEGMENT || location.storedBytes !== digest.sizeBytes) {
      return undefined;
    }
    const read = (segment: number, offset: number, length: number) =>
      segments.read(segment, offset, length, scratch.subarray(0, length));
    try {
      const { record } = await lookAtRecord({ read }, state.salt, digest, location, "record");
      return record?.codec === RecordCodec.PLAIN ? record.data.slice(start, end) : undefined;
    } catch (error) {
      throw failure(`read blob ${formatDigest(digest)}`, error);
    }
  }

  /**
   * A part of a blob that lies in a segment as it is, which nobody compares with anything: for who has read all of its
   * record just before. Undefined when it does not lie there so, or not any more, or where all reads are to be compared.
   */
  async readPart(digest: Digest, start: number, end: number): Promise<Uint8Array | undefined> {
    const { segment, offset, storedBytes } = this.locate(digest);
    if (this.#always || segment === FILE_SEGMENT || storedBytes !== digest.sizeBytes) return undefined;
    const at = offset + HEADER_BYTES + digest.fn.hashBytes + start;
    try {
      const part = await this.#options.segments.read(segment, at, end - start);
      return part.length === end - start ? part : undefined;
    } catch (error) {
      if (faultOf(error) === undefined) {
        throw this.#options.failure(`read blob ${formatDigest(digest)}`, error);
      }
      return undefined;
    }
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

  /** Pieces of a blob that is a file. All of them are compared with the digest when `verified` says so. */
  async *readLarge(
    digest: Digest,
    start: number,
    end: number,
    signal?: AbortSignal,
    verified = this.#always,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { budget, failure } = this.#options;
    using room = await ReadRoom.take(budget, end - start, signal);
    const file = await this.#openFile(digest);
    try {
      if (await file.size() !== digest.sizeBytes) throw await this.#judge(digest);
      const pieces = readPieces(file, start, end, room, signal);
      const whole = start === 0 && end === digest.sizeBytes;
      const verify = whole && (verified || !this.#verified.has(digestKey(digest)));
      yield* verify ? this.#verify(digest, pieces) : pieces;
    } catch (error) {
      if (hasCode(error, "EIO")) throw await this.#judge(digest);
      throw failure(`read blob ${formatDigest(digest)}`, error);
    } finally {
      file.close();
    }
  }

  /**
   * Hands on the pieces of a whole blob, the last of them only when all have its hash. A disk may give back other bytes
   * than it took; unless every read is to be compared, each file is when it is first read in a process, as hashing costs
   * as much as reading.
   */
  async *#verify(
    digest: Digest,
    pieces: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const hasher = digest.fn.hasher(digest.sizeBytes);
    let left = digest.sizeBytes;
    for await (const piece of pieces) {
      hasher.update(piece);
      left -= piece.length;
      if (left === 0) {
        if (hasher.digestHex() !== digest.hash) throw await this.#judge(digest);
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
      if (faultOf(error) === undefined) throw failure(`read blob ${formatDigest(digest)}`, error);
      // Deleted since it was found, then this throws NOT_FOUND; if not, its file is lost.
      throw await this.#judge(digest);
    }
  }

  /** Has a file looked at again that gave wrong bytes or none; what to throw. */
  async #judge(digest: Digest): Promise<BrokkrError> {
    const { mender, failure } = this.#options;
    const blob = formatDigest(digest);
    const location = this.locate(digest);
    try {
      const judged = await mender.judgeFile(digest);
      if (judged === undefined) return noSuchBlob(digest);
      if (judged.fault !== undefined) return this.#lost(digest, location, judged.fault);
    } catch (error) {
      return failure(`read blob ${blob}`, error);
    }
    return unavailable(
      `The disk gave wrong bytes of blob ${blob} once, and right ones when it was asked again; try again`,
      RETRY_MS,
    );
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

  /** Gives up a blob that is gone or not what it was, so that it counts as missing; what to throw. */
  #damage(digest: Digest, location: BlobLocation, fault: Fault): BrokkrError {
    const outcome = this.#options.mender.condemn(digest, location, fault);
    // Evicted or moved while it was read: nothing is wrong with it.
    return outcome === undefined ? noSuchBlob(digest) : this.#lost(digest, location, fault);
  }

  #lost(digest: Digest, location: BlobLocation, fault: Fault): BrokkrError {
    const blob = formatDigest(digest);
    const where = this.#options.mender.where(digest, location);
    return fault.gone
      ? new BrokkrError(Code.NOT_FOUND, `Blob ${blob} is gone from the disk (${where}); upload it again`)
      : new BrokkrError(
        Code.DATA_LOSS,
        `Blob ${blob} is damaged on disk (${where}: ${fault.problem}); upload it again`,
      );
  }
}

function samePlace(a: BlobLocation, b: BlobLocation): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}

function cacheKey(location: BlobLocation): number {
  return location.segment * 2 ** 29 + location.offset / RECORD_ALIGN;
}
