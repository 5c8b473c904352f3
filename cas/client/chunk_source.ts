/**
 * Chunks that are at hand, so that a large blob is fetched without what it shares with local files.
 *
 * @module
 */

import type { Digest } from "../digest.ts";

/** Cuts bytes as the server cuts blobs, and gives the digests of the chunks in order. */
export type CutChunks = (bytes: AsyncIterable<Uint8Array>) => Promise<readonly Digest[]>;

/**
 * Where a {@linkcode CasClient} looks for chunks before it fetches them. What comes from it need not be right: each chunk
 * is verified, and fetched if it is not what it should be.
 */
export interface ChunkSource {
  /**
   * Whether there may be chunks of this blob. Only then is the server asked how the blob is divided, which may make work
   * for it; a plain read is faster where nothing is shared.
   */
  mayHelp(blob: Digest): boolean | Promise<boolean>;
  /** Told before chunks of `blob` are looked for: cuts local files with `cut` if that is still to be done. */
  prepare?(blob: Digest, cut: CutChunks, signal?: AbortSignal): Promise<void>;
  /** Whether there seems to be a chunk. */
  has(chunk: Digest): boolean;
  /** The bytes of a chunk, or undefined when it is not there, or not any more. */
  find(chunk: Digest): Promise<Uint8Array | undefined>;
  /** Told that what was found is not the chunk: neither it nor what lies beside it should be tried again. */
  reject?(chunk: Digest): void;
  /** Told how a blob that came is divided. Without it nobody finds that out. */
  learn?(blob: Digest, chunks: readonly Digest[]): void;
}
