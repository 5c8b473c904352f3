/**
 * Blobs of the disk store that are kept as lists of chunks: whether all of their chunks are there, and reading them.
 *
 * A chunk may go without its blobs hearing of it. So a blob is there only when its chunks are, which is looked at whenever
 * the blob is, in memory; one that lacks a chunk is given up. Whatever counts as a use of the blob, or promises it, does so
 * for its chunks, too: no chunk was ever used longer ago than a blob that it is part of.
 *
 * @module
 */

import {
  BrokkrError,
  type ByteBudget,
  type ByteLease,
  Code,
  Semaphore,
  Slices,
  throwIfAborted,
} from "@brokkr/common";
import type { ChunkList, DigestBatch } from "../blob_store.ts";
import { type Digest, formatDigest } from "../digest.ts";
import { digestAt } from "../digest_batch.ts";
import { SLICE_DIGESTS } from "../_slices.ts";
import type { BlobReader } from "./_blob_reader.ts";
import { decodeChunkList } from "./_chunk_list.ts";
import { ReadRoom } from "./_file_reader.ts";
import { ListCache } from "./_list_cache.ts";
import { isListed, MAX_RECORD_BYTES, MAX_RECORD_DATA } from "./_record.ts";
import type { Recovered } from "./_recover.ts";
import type { BlobLocation, Touch } from "./membership_table.ts";

/** Memory for lists that were read lately. */
const CACHE_BYTES = 32 << 20;
/** Chunks looked up in one turn: some 2 ms. */
const TURN_CHUNKS = SLICE_DIGESTS;
/** Tries to read a list that moves away meanwhile. */
const MAX_MOVES = 100;
/** Chunks that are read at once for parts of them; nobody takes anything while they are, so that they are not charged. */
const PARTS_AT_ONCE = 4;
/** Part of the memory in which readers may have whole chunks. */
const WHOLE_PART = 1 / 8;

/** What {@linkcode ListedBlobs} works with. */
export interface ListedBlobsOptions {
  readonly state: Recovered;
  readonly reader: BlobReader;
  /** Memory for those who read. */
  readonly budget: ByteBudget;
  /** See `Loading.settleAll`. */
  readonly settleAll: (batch: DigestBatch) => Promise<void>;
  /** Told of a blob that was given up since it lacks a chunk. */
  readonly onBroken: (digest: Digest) => void;
}

/** Where a blob lies, and its chunks when it is kept as a list of them, all of which are there. */
export interface FoundBlob {
  readonly location: BlobLocation;
  readonly list: ChunkList | undefined;
}

/** Looks at lists of chunks, and reads what they list. */
export class ListedBlobs {
  readonly #options: ListedBlobsOptions;
  readonly #cache = new ListCache(CACHE_BYTES);
  readonly #parts = new Semaphore(PARTS_AT_ONCE);
  /** Into which chunks are read of which only a part is wanted. */
  readonly #scratch: Uint8Array[] = [];

  constructor(options: ListedBlobsOptions) {
    this.#options = options;
  }

  /**
   * Indices of what is not there, of a batch of which the catalog knows all that can be known. At once, unless lists have
   * to be read for it, or they are long.
   */
  missing(batch: DigestBatch, touch: Touch | undefined): Uint32Array | Promise<Uint32Array> {
    const { catalog } = this.#options.state;
    const missing = catalog.missing(batch, touch);
    if (catalog.lists === 0) return missing;
    const listed = this.#listedOf(batch, missing);
    if (listed.length === 0) return missing;
    let left = TURN_CHUNKS;
    let broken = false;
    for (const { hash, location } of listed) {
      const list = catalog.isLoading ? undefined : this.#cache.get(location);
      left -= list?.chunks.length ?? left;
      if (list === undefined || left < 0) return this.#missingSlowly(batch, touch);
      if (this.lacking(list, touch).length === 0) continue;
      this.#giveUp({ fn: batch.fn, hash, sizeBytes: location.sizeBytes });
      broken = true;
    }
    return broken ? catalog.missing(batch) : missing;
  }

  /**
   * As {@linkcode ListedBlobs.find}, for who is about to store the blob: undefined also when nobody can tell yet, as it does
   * no harm to have it twice.
   *
   * @throws {BrokkrError} UNAVAILABLE when nobody can tell yet whether there is room.
   */
  async findKept(digest: Digest, touch: Touch): Promise<FoundBlob | undefined> {
    const { catalog, loading } = this.#options.state;
    if (!catalog.isLoading) return await this.find(digest, touch);
    await loading.settlePut(digest);
    const location = catalog.locate(digest, touch);
    if (location === undefined || !isListed(location)) return location && { location, list: undefined };
    try {
      return await this.find(digest, touch);
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.UNAVAILABLE && catalog.isLoading) {
        return undefined;
      }
      throw error;
    }
  }

  /** Finds a blob with all of its chunks; undefined when it is not there. With `touch` that is a use of all of it. */
  async find(digest: Digest, touch?: Touch): Promise<FoundBlob | undefined> {
    const { state: { catalog, loading }, settleAll } = this.#options;
    for (let move = 0; move < MAX_MOVES; move++) {
      if (catalog.isLoading) await loading.settle(digest.fn, digest.hash, digest.sizeBytes);
      const location = catalog.locate(digest, touch);
      if (location === undefined) return undefined;
      if (!isListed(location)) return { location, list: undefined };
      const list = this.#cache.get(location) ?? await this.#load(digest, location);
      if (list === undefined) continue;
      if (catalog.isLoading) await settleAll(list.chunks);
      // From here on at once.
      const now = catalog.locate(digest);
      if (now === undefined || !samePlace(now, location)) continue;
      if (this.lacking(list, touch).length === 0) return { location, list };
      this.#giveUp(digest);
      // While it loads, a file that nobody has seen yet may be the blob as well.
      if (!catalog.isLoading) return undefined;
    }
    throw new BrokkrError(Code.UNAVAILABLE, `Blob ${formatDigest(digest)} moves about; try again`);
  }

  /** Adds the chunks of those of a batch that are lists, in the order in which they come. */
  async *chunksOf(batch: DigestBatch): AsyncGenerator<DigestBatch, void, undefined> {
    if (this.#options.state.catalog.lists === 0) return;
    for (const { hash, location } of this.#listedOf(batch, new Uint32Array(0))) {
      const found = await this.find({ fn: batch.fn, hash, sizeBytes: location.sizeBytes });
      if (found?.list !== undefined) yield found.list.chunks;
    }
  }

  /**
   * Pieces of a blob, charged while the consumer has them: whole chunks while there is plenty of memory, since who has one
   * may never take it; parts of them where many read. Then the chunk is read whole for the first part, which is how it is
   * verified, and again for each further one if it is compressed.
   */
  async *read(
    digest: Digest,
    { chunks }: ChunkList,
    start: number,
    end: number,
    touch: () => Touch,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    using room = await ReadRoom.take(this.#options.budget, end - start, signal);
    let at = 0;
    for (let i = 0; i < chunks.length && at < end; i++) {
      const chunk = digestAt(chunks, i);
      const from = at;
      at += chunk.sizeBytes;
      if (at <= start) continue;
      throwIfAborted(signal);
      try {
        const piece = [Math.max(0, start - from), Math.min(chunk.sizeBytes, end - from)] as const;
        yield* this.#readChunk(chunk, ...piece, touch, room, signal);
      } catch (error) {
        throw this.#withName(error, digest, chunk);
      }
    }
  }

  async *#readChunk(
    chunk: Digest,
    start: number,
    end: number,
    touch: () => Touch,
    room: ReadRoom,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { reader } = this.#options;
    using whole = this.#tryWhole(chunk.sizeBytes);
    if (whole !== undefined) {
      const data = await reader.readSmall(chunk, reader.locate(chunk, touch()));
      yield data.subarray(start, end);
      return;
    }
    for (let at = start; at < end; room.adapt()) {
      throwIfAborted(signal);
      const to = Math.min(end, at + room.pieceBytes);
      yield (at === start ? undefined : await reader.readPart(chunk, at, to)) ??
        await this.#part(chunk, at, to, touch());
      at = to;
    }
  }

  /** Room for a whole chunk, where most of the memory is left for others then. */
  #tryWhole(sizeBytes: number): ByteLease | undefined {
    const { budget } = this.#options;
    if (budget.availableBytes - sizeBytes < budget.limitBytes * (1 - WHOLE_PART)) return undefined;
    return budget.tryAcquire(sizeBytes);
  }

  /** A part of a chunk; the rest of it is not kept. */
  async #part(chunk: Digest, start: number, end: number, touch: Touch): Promise<Uint8Array> {
    using _turn = await this.#parts.acquire();
    const { reader } = this.#options;
    const location = reader.locate(chunk, touch);
    const scratch = this.#scratch.pop() ?? new Uint8Array(MAX_RECORD_BYTES);
    try {
      const part = await reader.readCheckedPart(chunk, start, end, scratch);
      if (part !== undefined) return part;
    } finally {
      this.#scratch.push(scratch);
    }
    return (await reader.readSmall(chunk, location)).slice(start, end);
  }

  /** What is said of a chunk that cannot be read, to who reads the blob. */
  #withName(error: unknown, digest: Digest, chunk: Digest): unknown {
    if (!(error instanceof BrokkrError)) return error;
    if (error.code !== Code.NOT_FOUND && error.code !== Code.DATA_LOSS) return error;
    return new BrokkrError(
      error.code,
      `Blob ${formatDigest(digest)} is not whole any more, upload it again: its chunk ${
        formatDigest(chunk)
      } is lost (${error.message})`,
      { cause: error },
    );
  }

  async #missingSlowly(batch: DigestBatch, touch: Touch | undefined): Promise<Uint32Array> {
    const { catalog } = this.#options.state;
    const slices = new Slices();
    for (const { hash, location } of this.#listedOf(batch, catalog.missing(batch))) {
      const found = await this.find({ fn: batch.fn, hash, sizeBytes: location.sizeBytes }, touch);
      if (slices.spent || (found?.list?.chunks.length ?? 0) > TURN_CHUNKS) await slices.next();
    }
    // Those that lack a chunk are not there any more.
    return catalog.missing(batch, touch);
  }

  /** Those of a batch that are there and lists. */
  #listedOf(
    { fn, length, hashes, sizes }: DigestBatch,
    missing: Uint32Array,
  ): { readonly hash: Digest["hash"]; readonly location: BlobLocation }[] {
    const { catalog } = this.#options.state;
    const listed: { readonly hash: Digest["hash"]; readonly location: BlobLocation }[] = [];
    let next = 0;
    for (let i = 0; i < length; i++) {
      if (missing[next] === i) {
        next++;
        continue;
      }
      if (sizes[i] <= MAX_RECORD_DATA) continue;
      const raw = hashes.subarray(i * fn.hashBytes, (i + 1) * fn.hashBytes);
      const location = catalog.findRaw(fn, raw);
      if (location === undefined || !isListed(location) || location.sizeBytes !== sizes[i]) continue;
      listed.push({ hash: raw.toHex() as Digest["hash"], location });
    }
    return listed;
  }

  /** Indices of the chunks that are not there, now, of a list of which the catalog knows all that can be known. */
  lacking({ chunks }: ChunkList, touch: Touch | undefined): Uint32Array {
    return this.#options.state.catalog.missing(chunks, touch);
  }

  /** Reads a list; undefined when it is gone from there, or was found damaged. */
  async #load(digest: Digest, location: BlobLocation): Promise<ChunkList | undefined> {
    let record;
    try {
      record = await this.#options.reader.readRecord(digest, location, "blob");
    } catch (error) {
      const gone = error instanceof BrokkrError &&
        (error.code === Code.NOT_FOUND || error.code === Code.DATA_LOSS);
      if (gone) return undefined;
      throw error;
    }
    const list = decodeChunkList(record.data, digest);
    // What the reader lets through was looked at.
    if (typeof list === "string") {
      throw new BrokkrError(Code.INTERNAL, `Blob ${formatDigest(digest)}: ${list}`);
    }
    this.#cache.set(location, list);
    return list;
  }

  /** A blob that lacks a chunk is not there. */
  #giveUp(digest: Digest): void {
    const { state: { catalog, index }, reader, onBroken } = this.#options;
    if (!catalog.isLoading) {
      reader.drop(digest);
    } else {
      // A file of it may be there, which only a look at the disk can tell.
      const hash = Uint8Array.fromHex(digest.hash);
      const before = catalog.findRaw(digest.fn, hash);
      if (before !== undefined) reader.forget(before);
      catalog.replayBurial(digest.fn, hash);
      index.delete(digest.fn.value, hash);
    }
    onBroken(digest);
  }
}

function samePlace(a: BlobLocation, b: BlobLocation): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}
