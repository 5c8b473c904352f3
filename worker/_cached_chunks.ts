/**
 * Chunks of large blobs in the worker's cache: the next version of one is fetched without what it shares with them.
 *
 * @module
 */

import { ChunkIndex, type ChunkSource, type Digest, digestKey } from "@brokkr/cas/client";
import type { BlobCache } from "./blob_cache.ts";

/** Remembers how the large blobs that came are divided, and reads chunks from the files that the cache has of them. */
export class CachedChunks implements ChunkSource {
  readonly #index: ChunkIndex;

  /** Chunks of what is in `cache`. */
  constructor(cache: BlobCache) {
    this.#index = new ChunkIndex({
      pathOf: (key) => {
        const entry = cache.find(key);
        return entry?.ready ? entry.path : undefined;
      },
    });
  }

  /** See {@linkcode ChunkSource.mayHelp}: whether any are known. */
  mayHelp(): boolean {
    return this.#index.size > 0;
  }

  /** See {@linkcode ChunkSource.has}. */
  has(chunk: Digest): boolean {
    return this.#index.has(chunk);
  }

  /** See {@linkcode ChunkSource.find}. */
  find(chunk: Digest): Promise<Uint8Array | undefined> {
    return this.#index.find(chunk);
  }

  /** See {@linkcode ChunkSource.reject}. */
  reject(chunk: Digest): void {
    this.#index.reject(chunk);
  }

  /** See {@linkcode ChunkSource.learn}. */
  learn(blob: Digest, chunks: readonly Digest[]): void {
    this.#index.add(digestKey(blob), chunks);
  }
}
