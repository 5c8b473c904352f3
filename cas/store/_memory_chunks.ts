/**
 * Chunks of blobs in memory: a blob that was made of chunks is held whole beside them, and remembers what it was made of.
 *
 * @module
 */

import { type Scope, Slices, throwIfAborted } from "@brokkr/common";
import type { ChunkList, DigestBatch } from "../blob_store.ts";
import { type Digest, digestKey, digestOf } from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import { checkHash } from "./_checks.ts";
import { checkChunkList, FAST_CDC_2020, missingChunksError } from "./_chunk_list.ts";
import { CHUNK_MAX_BYTES, cut } from "./_cut.ts";
import { hashInSlices } from "./_look.ts";

/** Lists remembered. */
const MAX_LISTS = 1000;

/** What {@linkcode MemoryChunks} needs of its store. */
export interface MemoryChunksHost {
  /** See {@linkcode BlobStore.missing}. */
  missing(scope: Scope, batch: DigestBatch): Uint32Array;
  /** See {@linkcode BlobStore.get}. */
  get(scope: Scope, digest: Digest): Promise<Uint8Array>;
  /** See {@linkcode BlobStore.put}. */
  put(scope: Scope, digest: Digest, data: Uint8Array): Promise<void>;
  /** Makes room for a blob; what it returns keeps bytes that were verified, and that nobody else has. */
  reserve(digest: Digest): Promise<Disposable & { keep(data: Uint8Array): void }>;
}

/** Splices and splits. */
export class MemoryChunks {
  readonly #host: MemoryChunksHost;
  readonly #lists = new Map<string, ChunkList>();

  constructor(host: MemoryChunksHost) {
    this.#host = host;
  }

  /** See {@linkcode BlobStore.splice}. */
  async splice(
    scope: Scope,
    digest: Digest,
    given: ChunkList,
    signal?: AbortSignal,
  ): Promise<"kept" | "known"> {
    const list = checkChunkList(digest, given);
    throwIfAborted(signal);
    if (this.#host.missing(scope, batchOf(digest.fn, [digest])).length === 0) return "known";
    const { chunks } = list;
    const missing = this.#host.missing(scope, chunks);
    if (missing.length > 0) throw missingChunksError(digest, chunks, missing);
    const slices = new Slices(signal);
    using room = await this.#host.reserve(digest);
    const data = new Uint8Array(digest.sizeBytes);
    let at = 0;
    for (let i = 0; i < chunks.length; i++) {
      data.set(await this.#host.get(scope, digestAt(chunks, i)), at);
      at += chunks.sizes[i];
      if (slices.spent) await slices.next();
    }
    checkHash(digest, await hashInSlices(digest.fn.hasher(), data, slices));
    room.keep(data);
    this.#remember(digest, list);
    return "kept";
  }

  /** See {@linkcode BlobStore.split}. */
  async split(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<ChunkList | undefined> {
    throwIfAborted(signal);
    const itself = batchOf(digest.fn, digest.sizeBytes === 0 ? [] : [digest]);
    if (this.#host.missing(scope, batchOf(digest.fn, [digest])).length > 0) return undefined;
    const known = this.#lists.get(digestKey(digest));
    if (known !== undefined && this.#host.missing(scope, known.chunks).length === 0) return known;
    if (digest.sizeBytes <= CHUNK_MAX_BYTES) return { chunks: itself, chunking: FAST_CDC_2020 };
    const digests: Digest[] = [];
    for await (const chunk of cut([await this.#host.get(scope, digest)], signal)) {
      const made = digestOf(digest.fn, chunk);
      await this.#host.put(scope, made, chunk);
      digests.push(made);
    }
    const list = { chunks: batchOf(digest.fn, digests), chunking: FAST_CDC_2020 };
    if (this.#host.missing(scope, list.chunks).length > 0) return undefined;
    this.#remember(digest, list);
    return list;
  }

  #remember(digest: Digest, list: ChunkList): void {
    const key = digestKey(digest);
    this.#lists.delete(key);
    this.#lists.set(key, list);
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= MAX_LISTS) break;
      this.#lists.delete(oldest);
    }
  }
}
