/**
 * Makes blobs of chunks, and cuts blobs that are files into chunks.
 *
 * A list is a record like any other: acknowledged when it is synced, after all of its chunks were. A file that was cut is
 * removed only then, and durably, so that between two operations either is there, or both. Where a start finds both the
 * file counts.
 *
 * @module
 */

import { BrokkrError, Code, type Logger, Semaphore, Slices, throwIfAborted } from "@brokkr/common";
import type { BlobWriter, ChunkList, DigestBatch } from "../blob_store.ts";
import { type Digest, digestKey, digestOf, formatDigest, type Hasher } from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import { checkHash, checkMaxSize, isEmptyBlob } from "./_checks.ts";
import {
  checkChunkList,
  chunkListBytes,
  encodeChunkList,
  FAST_CDC_2020,
  isStorable,
  missingChunksError,
} from "./_chunk_list.ts";
import { CHUNK_AVG_BYTES, CHUNK_MAX_BYTES, cut } from "./_cut.ts";
import type { ListedBlobs } from "./_listed_blobs.ts";
import { isListed, MAX_RECORD_DATA, recordBytes, RecordCodec, RecordKind } from "./_record.ts";
import type { Recovered } from "./_recover.ts";
import type { SegmentLog } from "./_segment_log.ts";
import { FILE_SEGMENT, type Touch } from "./membership_table.ts";

/** Files that are cut at once: each takes some 10 MiB of memory. */
const CUTS_AT_ONCE = 2;
/** Blobs that are put together at once: each holds memory while it waits for more. */
const ASSEMBLED_AT_ONCE = 4;
/** Chunks that are stored at once, so that they share syncs. */
const PUTS_AT_ONCE = 8;
/** Bytes hashed in one turn: well below a millisecond. */
const HASH_STEP_BYTES = 256 << 10;

/** What a {@linkcode Splicer} needs of its store. */
export interface SplicerOptions {
  readonly state: Recovered;
  readonly segments: SegmentLog;
  readonly lists: ListedBlobs;
  readonly maxBlobBytes: number;
  readonly log: Logger;
  /** A use now that promises what it finds. */
  readonly promise: () => Touch;
  /** See {@linkcode BlobStore.missing}; what is there is promised. */
  readonly missing: (chunks: DigestBatch) => Promise<Uint32Array>;
  /** See {@linkcode BlobStore.read}. */
  readonly read: (digest: Digest, signal?: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Pieces of a file, the last of them only when all have the digest. */
  readonly readVerified: (digest: Digest, signal?: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Keeps a chunk. */
  readonly put: (digest: Digest, data: Uint8Array) => Promise<void>;
  /** Opens a writer. */
  readonly writer: (digest: Digest, signal?: AbortSignal) => Promise<BlobWriter>;
  /** Runs something when no other change of the blob is under way. */
  readonly alone: <T>(digest: Digest, run: () => Promise<T>) => Promise<T>;
  /** Sets bytes on the disk aside. */
  readonly reserve: (digest: Digest, bytes: number) => Promise<void>;
  readonly release: (bytes: number) => void;
}

/** How a file is cut. */
export interface CutOptions {
  readonly signal?: AbortSignal;
  /** Waits for its turn before each piece is read. */
  readonly turn?: () => Promise<void>;
  /** Whether that is a use of the blob. */
  readonly uses: boolean;
}

/** A file that is being cut. */
interface Cutting {
  readonly done: Promise<ChunkList | undefined>;
  /** Resolves when somebody waits for it. */
  readonly hurried: PromiseWithResolvers<void>;
}

/** Splices and splits the blobs of one store. */
export class Splicer {
  readonly #options: SplicerOptions;
  readonly #lanes = new Semaphore(CUTS_AT_ONCE);
  readonly #assembling = new Semaphore(ASSEMBLED_AT_ONCE);
  readonly #cutting = new Map<string, Cutting>();

  constructor(options: SplicerOptions) {
    this.#options = options;
  }

  /** See {@linkcode BlobStore.splice}. */
  async splice(digest: Digest, given: ChunkList, signal?: AbortSignal): Promise<"kept" | "known"> {
    const { lists, maxBlobBytes, missing, promise } = this.#options;
    checkMaxSize(digest, maxBlobBytes);
    const list = checkChunkList(digest, given);
    throwIfAborted(signal);
    if (isEmptyBlob(digest)) return "known";
    if (await lists.findKept(digest, promise()) !== undefined) return "known";
    const lacking = await missing(list.chunks);
    if (lacking.length > 0) throw missingChunksError(digest, list.chunks, lacking);
    if (digest.sizeBytes <= MAX_RECORD_DATA || !isStorable(list)) {
      await this.#assemble(digest, list, signal);
      return "kept";
    }
    const hasher = digest.fn.hasher(digest.sizeBytes);
    await this.#each(digest, list, hasher, undefined, signal);
    checkHash(digest, hasher.digestHex());
    throwIfAborted(signal);
    return await this.#keep(digest, list);
  }

  /** See {@linkcode BlobStore.split}. */
  async split(digest: Digest, signal?: AbortSignal): Promise<ChunkList | undefined> {
    const { lists, promise, state: { catalog } } = this.#options;
    throwIfAborted(signal);
    if (isEmptyBlob(digest)) return { chunks: batchOf(digest.fn, []), chunking: FAST_CDC_2020 };
    const found = await lists.find(digest, promise());
    if (found === undefined || found.list !== undefined) return found?.list;
    if (digest.sizeBytes <= CHUNK_MAX_BYTES) {
      return { chunks: batchOf(digest.fn, [digest]), chunking: FAST_CDC_2020 };
    }
    // Until all files are known, what is one is not to be anything else.
    if (catalog.isLoading) return undefined;
    return await this.cutFile(digest, signal === undefined ? { uses: true } : { uses: true, signal });
  }

  /** Cuts a file and keeps its chunks instead; undefined when it is no file any more, or they cannot be kept. */
  async cutFile(digest: Digest, options: CutOptions): Promise<ChunkList | undefined> {
    const key = digestKey(digest);
    for (let other = this.#cutting.get(key); other !== undefined; other = this.#cutting.get(key)) {
      // Whoever waits for it does not wait until it has nothing better to do.
      if (options.turn === undefined) other.hurried.resolve();
      // Who gives up does not take it away from others.
      await other.done.catch(() => {});
      const list = await this.#listOf(digest);
      if (list !== undefined) return list;
    }
    const hurried = Promise.withResolvers<void>();
    const done = this.#cut(digest, options, hurried.promise);
    this.#cutting.set(key, { done, hurried });
    try {
      return await done;
    } finally {
      this.#cutting.delete(key);
    }
  }

  async #listOf(digest: Digest): Promise<ChunkList | undefined> {
    return (await this.#options.lists.find(digest, this.#options.promise()))?.list;
  }

  /** Writes the chunks of a blob together as one, which is verified as any other. */
  async #assemble(digest: Digest, list: ChunkList, signal: AbortSignal | undefined): Promise<void> {
    using _lane = await this.#assembling.acquire();
    throwIfAborted(signal);
    await using writer = await this.#options.writer(digest, signal);
    await this.#each(digest, list, undefined, writer, signal);
    await writer.commit();
  }

  async #each(
    digest: Digest,
    { chunks }: ChunkList,
    hasher: Hasher | undefined,
    writer: BlobWriter | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const slices = new Slices(signal);
    for (let i = 0; i < chunks.length; i++) {
      for await (const piece of this.#chunk(digest, chunks, i, signal)) {
        for (let at = 0; hasher !== undefined && at < piece.length; at += HASH_STEP_BYTES) {
          hasher.update(piece.subarray(at, at + HASH_STEP_BYTES));
          if (slices.spent) await slices.next();
        }
        await writer?.write(piece);
        if (slices.spent) await slices.next();
      }
    }
  }

  /** Pieces of a chunk; one that went, or was found damaged and counts as missing, is to be sent again. */
  async *#chunk(
    digest: Digest,
    chunks: DigestBatch,
    i: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#options.read(digestAt(chunks, i), signal);
    } catch (error) {
      const lost = error instanceof BrokkrError &&
        (error.code === Code.NOT_FOUND || error.code === Code.DATA_LOSS);
      throw lost ? missingChunksError(digest, chunks, [i], error) : error;
    }
  }

  /** Appends the list of a blob that is not there. */
  async #keep(digest: Digest, list: ChunkList): Promise<"kept" | "known"> {
    const { alone, lists, promise } = this.#options;
    return await this.#withRoom(list, digest, () =>
      alone(digest, async () => {
        if (await lists.findKept(digest, promise()) !== undefined) return "known";
        await this.#append(digest, list, promise(), undefined, () => true);
        return "kept";
      }));
  }

  /**
   * Appends a list, unless `isWanted` says at the last moment that it is not; whether it did.
   *
   * @throws {BrokkrError} NOT_FOUND when a chunk went.
   */
  async #append(
    digest: Digest,
    list: ChunkList,
    touch: Touch,
    usedS: number | undefined,
    isWanted: () => boolean,
  ): Promise<boolean> {
    const { segments, lists } = this.#options;
    const { fn, sizeBytes } = digest;
    let appended = false;
    await segments.append(fn.hashBytes, chunkListBytes(fn, list.chunks.length), () => {
      if (!isWanted()) return undefined;
      const lacking = lists.lacking(list, touch);
      if (lacking.length > 0) throw missingChunksError(digest, list.chunks, lacking);
      appended = true;
      return {
        kind: RecordKind.BLOB,
        fnValue: fn.value,
        hash: Uint8Array.fromHex(digest.hash),
        sizeBytes,
        codec: RecordCodec.CHUNKS,
        data: encodeChunkList(list),
        ...(usedS === undefined ? {} : { usedS }),
      };
    });
    return appended;
  }

  /**
   * Runs `run` with room for a list on the disk. Whoever waits for room must not keep others from the blob meanwhile: it may
   * be what has to go to make some.
   */
  async #withRoom<T>({ chunks }: ChunkList, digest: Digest, run: () => Promise<T>): Promise<T> {
    const { reserve, release } = this.#options;
    const bytes = recordBytes(digest.fn.hashBytes, chunkListBytes(digest.fn, chunks.length));
    await reserve(digest, bytes);
    try {
      return await run();
    } finally {
      release(bytes);
    }
  }

  async #cut(
    digest: Digest,
    options: CutOptions,
    hurried: Promise<void>,
  ): Promise<ChunkList | undefined> {
    // Its list would be no record; what is looked for in vain would be read and stored before that is seen.
    const likely = Math.ceil(digest.sizeBytes / CHUNK_AVG_BYTES);
    if (chunkListBytes(digest.fn, likely) > MAX_RECORD_DATA) return undefined;
    using _lane = await this.#lanes.acquire();
    const digests: Digest[] = [];
    const under = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    try {
      for await (const chunk of cut(this.#pieces(digest, options, hurried), options.signal)) {
        if (chunkListBytes(digest.fn, digests.length + 1) > MAX_RECORD_DATA) return undefined;
        const made = digestOf(digest.fn, chunk);
        digests.push(made);
        const put = this.#options.put(made, chunk).catch((error) => void (failure ??= { error }));
        under.add(put);
        put.finally(() => under.delete(put));
        while (under.size >= PUTS_AT_ONCE) await Promise.race(under);
        if (failure !== undefined) throw failure.error;
      }
    } catch (error) {
      // It went while it was read.
      if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) return undefined;
      throw error;
    } finally {
      await Promise.all(under);
    }
    if (failure !== undefined) throw (failure as { readonly error: unknown }).error;
    return await this.#replace(
      digest,
      { chunks: batchOf(digest.fn, digests), chunking: FAST_CDC_2020 },
      options,
    );
  }

  async *#pieces(
    digest: Digest,
    { signal, turn }: CutOptions,
    hurried: Promise<void>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let waits = turn !== undefined;
    hurried.then(() => waits = false);
    const wait = () => waits ? Promise.race([turn?.(), hurried]) : undefined;
    await wait();
    for await (const piece of this.#options.readVerified(digest, signal)) {
      yield piece;
      await wait();
    }
  }

  /** Puts a list in the place of a file. */
  async #replace(digest: Digest, list: ChunkList, { uses }: CutOptions): Promise<ChunkList | undefined> {
    const { alone, lists, state: { catalog, blobs, index }, promise, log } = this.#options;
    const { sizeBytes } = digest;
    const hash = Uint8Array.fromHex(digest.hash);
    return await this.#withRoom(list, digest, () =>
      alone(digest, async () => {
        const entry = catalog.entry(digest.fn, hash);
        if (entry?.segment !== FILE_SEGMENT || entry.sizeBytes !== digest.sizeBytes) {
          return entry !== undefined && isListed(entry) ? await this.#listOf(digest) : undefined;
        }
        const { usedS, pinnedUntilMs } = entry;
        const now = promise();
        // What keeps the blob keeps its chunks.
        const touch = { usedS: now.usedS, untilMs: Math.max(pinnedUntilMs, uses ? now.untilMs : 0) };
        const isFile = () => catalog.findRaw(digest.fn, hash)?.segment === FILE_SEGMENT;
        try {
          if (!await this.#append(digest, list, touch, uses ? now.usedS : usedS, isFile)) return undefined;
        } catch (error) {
          if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) return undefined;
          throw error;
        }
        // What was used or promised as a file meanwhile; from now on whoever does that sees the list.
        const listed = catalog.entry(digest.fn, hash) ?? entry;
        const since = { usedS: listed.usedS, untilMs: listed.pinnedUntilMs };
        if (!isListed(listed) || lists.lacking(list, since).length > 0) {
          // A chunk went that nobody had been promised then, so the file stays what the blob is.
          const file = { segment: FILE_SEGMENT, offset: 0, sizeBytes, storedBytes: sizeBytes };
          catalog.set(digest.fn, hash, file, listed.usedS);
          index.put(digest.fn.value, hash, file, listed.usedS);
          return undefined;
        }
        try {
          await blobs.remove(digest.fn, digest.hash);
        } catch (error) {
          // The next start takes the file for the blob again.
          log.warn("Cannot remove a file that was cut into chunks", { blob: formatDigest(digest), error });
        }
        return list;
      }));
  }
}
