/**
 * What a client of the store takes and gives.
 *
 * @module
 */

import type { Clock, Random } from "@brokkr/common";
import type { CallOptions, Channel } from "@brokkr/proto/rpc";
import type { Digest, DigestFunction } from "../digest.ts";
import type { Chunking } from "./_chunking.ts";
import type { WireCompression } from "./_compression.ts";
import type { ChunkSource } from "./chunk_source.ts";

/** A blob to upload: its bytes, or a way to read them, which may be called more than once. */
export interface UploadBlob {
  /** Its digest. */
  readonly digest: Digest;
  /** Its bytes. What a function gives is read only when it is sent. */
  readonly data: Uint8Array | (() => AsyncIterable<Uint8Array>);
}

/** What a transfer moved and what it could leave. */
export interface TransferStat {
  /** Blobs moved, whole or in part. */
  readonly blobs: number;
  /** Bytes of them that were moved. */
  readonly bytes: number;
  /** Bytes of them that did not have to move, since the receiver had them already as parts of other blobs. */
  readonly sharedBytes: number;
  /** Blobs that did not have to move. */
  readonly skippedBlobs: number;
  /** Their bytes. */
  readonly skippedBytes: number;
}

/** How far a transfer is. */
export interface TransferProgress {
  /** Blobs moved. */
  readonly blobs: number;
  /** Bytes of blobs that are where they should be, moved or shared. */
  readonly bytes: number;
  /** Those of them that did not have to move, since the receiver had them already as parts of other blobs. */
  readonly sharedBytes: number;
  /** Blobs to move in all. */
  readonly totalBlobs: number;
  /** Their bytes in all. */
  readonly totalBytes: number;
}

/** Options of a transfer of several blobs. */
export interface TransferOptions extends CallOptions {
  /** Told now and then how far it is. */
  readonly onProgress?: (progress: TransferProgress) => void;
}

/** Options of the read of one blob. */
export interface ReadOptions extends CallOptions {
  /** Where chunks are looked for before they are fetched; the client's by default. */
  readonly chunks?: ChunkSource;
}

/** Options of a download of several blobs. */
export interface DownloadOptions extends TransferOptions {
  /** Where chunks of large blobs are looked for before they are fetched; the client's by default. */
  readonly chunks?: ChunkSource;
  /**
   * Takes blobs too large for a batch as verified streams: it must read to the end, where a wrong digest shows. Without
   * it they are put together in memory.
   */
  readonly onLarge?: (digest: Digest, chunks: AsyncIterable<Uint8Array>) => Promise<void>;
}

/** How a {@linkcode CasClient} is set up. */
export interface CasClientOptions {
  /** Where the store is. */
  readonly channel: Channel;
  /** REAPI instance name. */
  readonly instance: string;
  /** Function of all digests. */
  readonly fn: DigestFunction;
  /** Source of upload ids and of the spread of retries. */
  readonly random: Random;
  /** Calls of one transfer under way at once; 8 by default. */
  readonly parallel?: number;
  /** Bytes in one batch call, 2,000,000 by default, at most 4,000,000. Half of it is the largest blob that goes in one. */
  readonly maxBatchBytes?: number;
  /** Attempts for calls that may be repeated; 4 by default. */
  readonly attempts?: number;
  /** Waits between attempts; the system's by default. */
  readonly clock?: Clock;
  /**
   * `auto` moves blobs compressed where the server offers it and it makes them smaller, which pays on slow links: with
   * zstd, else brotli, else deflate;
   * `off`, the default, moves them as they are, which is faster over loopback and fast networks.
   */
  readonly compression?: "auto" | "off";
  /**
   * `auto`, the default, sends of large blobs only those chunks that the store lacks, and fetches only those that
   * {@linkcode CasClientOptions.chunks} lacks, where the server offers it; `off` moves blobs whole.
   */
  readonly chunking?: "auto" | "off";
  /** Where chunks of large blobs are looked for before they are fetched; nowhere by default. */
  readonly chunks?: ChunkSource;
}

/** What the client's parts share. */
export interface ClientContext {
  readonly channel: Channel;
  readonly instance: string;
  readonly fn: DigestFunction;
  readonly random: Random;
  readonly clock: Clock;
  readonly parallel: number;
  readonly attempts: number;
  readonly maxBatchBytes: number;
  readonly compression: WireCompression | undefined;
  readonly chunking: Chunking | undefined;
  readonly chunks: ChunkSource | undefined;
}
