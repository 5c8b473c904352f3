/**
 * What a blob store is. Leaves (memory, disk, remote) and combinators all have this face, and one table of cases runs
 * against every one.
 *
 * @module
 */

import type { Scope } from "@brokkr/common";
import type { Digest, DigestFunction } from "./digest.ts";

/** Many digests of one function, packed so that asking for ten thousand makes no ten thousand objects. */
export interface DigestBatch {
  /** Their function. */
  readonly fn: DigestFunction;
  /** How many. */
  readonly length: number;
  /** Raw hashes, `fn.hashBytes` each, one after the other; starts on a 4-byte boundary of its buffer. */
  readonly hashes: Uint8Array;
  /** Their sizes in bytes. */
  readonly sizes: Float64Array;
}

/** How {@linkcode BlobStore.missing} looks. */
export interface MissingOptions {
  /** Only looks: what is there is neither kept for it nor counts as used. For who looks at everything now and then. */
  readonly peek?: boolean;
}

/** Which part of a blob to read. */
export interface ReadRange {
  /** First byte; 0 by default. */
  readonly offset?: number;
  /** How many bytes at most; all by default. */
  readonly limit?: number;
}

/** Takes a blob piece by piece. Nothing is visible before {@linkcode BlobWriter.commit} has verified and kept it. */
export interface BlobWriter extends AsyncDisposable {
  /** Bytes taken so far. */
  readonly writtenBytes: number;
  /**
   * Takes the next bytes; the caller may reuse them once this resolves.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when there are more than the digest says.
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Verifies size and hash, makes the blob durable, then visible.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when size or hash do not match; nothing is stored then.
   */
  commit(): Promise<void>;
  /** Drops what was written; harmless after commit. */
  abort(): Promise<void>;
}

/** Names an upload: the one who began it chose the name, so that it can go on with it later. */
export interface UploadId {
  /** On whose data it works. */
  readonly scope: Scope;
  /** The name that the client made up. */
  readonly uuid: string;
  /** The blob. */
  readonly digest: Digest;
}

/** A writer whose upload can be left, to go on with it later. */
export interface UploadWriter extends BlobWriter {
  /**
   * Keeps what was written, as durable as the store is, for {@linkcode UploadStore.resume}. Not to be called while a
   * write is under way. Harmless after commit and abort. What cannot be kept is dropped.
   */
  suspend(): Promise<void>;
}

/** How much of interrupted uploads is kept. Beyond, the oldest go first. */
export interface UploadLimits {
  /** How long one is kept, in milliseconds; an hour by default. */
  readonly keepMs?: number;
  /** How many are kept; 256 by default. */
  readonly maxKept?: number;
  /** How many of their bytes are kept; 4 GiB by default. */
  readonly maxKeptBytes?: number;
}

/**
 * Uploads that may be interrupted and go on. A store that outlives its process keeps them too: one that was under way
 * when the process was killed counts as interrupted.
 *
 * At most one writer of an upload may be open at a time.
 */
export interface UploadStore {
  /** Bytes kept of an interrupted upload, and found to be there; 0 when none are, or while one writes it. */
  keptBytes(id: UploadId): Promise<number>;
  /** Begins an upload, dropping what was kept of an earlier one of this name. Throws as {@linkcode BlobStore.writer}. */
  begin(id: UploadId, signal?: AbortSignal): Promise<UploadWriter>;
  /**
   * Goes on with an interrupted upload; undefined when it does not stand at `offset`. The writer has taken `offset`
   * bytes, and its commit verifies all of them.
   */
  resume(id: UploadId, offset: number, signal?: AbortSignal): Promise<UploadWriter | undefined>;
  /** How many are kept, and their bytes. */
  stat(): { readonly kept: number; readonly keptBytes: number };
}

/** How a blob is divided into others. */
export interface ChunkList {
  /** The chunks, in order; together they are the blob. */
  readonly chunks: DigestBatch;
  /** REAPI's number of the function that cut it; 0 when it was cut by other means. */
  readonly chunking: number;
}

/** Counts of a store. */
export interface BlobStoreStat {
  /** Blobs held. */
  readonly blobs: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Their bytes in the form in which they are kept; fewer where that is compressed. */
  readonly storedBytes: number;
  /** Bytes taken on disk, with headers and garbage; 0 for memory. */
  readonly diskBytes: number;
  /** Segments in use. */
  readonly segments: number;
  /** Large blobs in files of their own. */
  readonly files: number;
  /** Free bytes where it stores. */
  readonly freeBytes: number;
}

/** A content-addressed store. The empty blob is always there. */
export interface BlobStore extends AsyncDisposable {
  /** Uploads that can be interrupted. */
  readonly uploads: UploadStore;
  /**
   * Indices into `batch` of the blobs that are not there, in order. Exact: what is not listed can be read, and is kept
   * for a build's length unless `peek` is set. A blob whose size differs from what the store holds counts as missing.
   */
  missing(
    scope: Scope,
    batch: DigestBatch,
    options?: MissingOptions,
  ): Uint32Array | Promise<Uint32Array>;
  /**
   * Bytes of the blob with this hash, for those who know no more of it than that; undefined when it is not there. Only
   * looks: it is no use of the blob. Stores that know blobs by their whole digest alone lack it.
   *
   * @throws {BrokkrError} UNAVAILABLE when the store cannot tell now.
   */
  sizeOf?(scope: Scope, fn: DigestFunction, hash: string): number | undefined | Promise<number | undefined>;
  /**
   * A whole blob. For blobs that fit a message; larger ones are read as streams.
   *
   * @throws {BrokkrError} NOT_FOUND; DATA_LOSS when what is stored is damaged.
   */
  get(scope: Scope, digest: Digest): Promise<Uint8Array>;
  /**
   * A blob, or a range of it, in pieces of at most 1 MiB. A piece is valid until the next is asked for.
   *
   * @throws {BrokkrError} NOT_FOUND on the first pull; OUT_OF_RANGE when `offset` lies beyond the end.
   */
  read(scope: Scope, digest: Digest, range?: ReadRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Keeps a whole blob: verified, durable and visible when it resolves. Resolves at once for a blob already there.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when `data` does not have this digest; RESOURCE_EXHAUSTED when it is full.
   */
  put(scope: Scope, digest: Digest, data: Uint8Array): Promise<void>;
  /** Keeps a blob piece by piece; `signal` ends the wait for memory. */
  writer(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<BlobWriter>;
  /**
   * Keeps blobs from eviction for `durationMs`; 0 ends that. For longer than promises last only as long as such pins take
   * no more than their share of the store.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when they would take more.
   */
  pin(scope: Scope, batch: DigestBatch, durationMs: number): Promise<void>;
  /**
   * Makes a blob of chunks that are there; what it shares with other blobs is kept once. `known` when the blob was there
   * already. The whole is verified. Stores that keep no lists of chunks lack it.
   *
   * @throws {BrokkrError} NOT_FOUND when a chunk is missing; INVALID_ARGUMENT when the chunks are not the blob.
   */
  splice?(
    scope: Scope,
    digest: Digest,
    list: ChunkList,
    signal?: AbortSignal,
  ): Promise<"kept" | "known">;
  /**
   * How a blob is divided into chunks, all of which are there and kept for a build's length; it is divided now if it was
   * not. Undefined when the blob is not there.
   */
  split?(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<ChunkList | undefined>;
  /**
   * The one zstd frame in which a blob is kept, with its size in its header, when that is how it is kept; undefined
   * otherwise. Counts as reading it.
   */
  frame?(scope: Scope, digest: Digest): Promise<Uint8Array | undefined>;
  /** Drops a blob. True if it was there. */
  delete(scope: Scope, digest: Digest): Promise<boolean>;
  /** Counts. */
  stat(): Promise<BlobStoreStat>;
}
