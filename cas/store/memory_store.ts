/**
 * Blobs in memory: for tests and for what need not outlive the process.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, type Scope, systemClock, throwIfAborted } from "@brokkr/common";
import type {
  BlobStore,
  BlobStoreStat,
  BlobWriter,
  ChunkList,
  DigestBatch,
  MissingOptions,
  ReadRange,
  UploadId,
  UploadLimits,
  UploadStore,
  UploadWriter,
} from "../blob_store.ts";
import type { Digest, DigestFunction } from "../digest.ts";
import { digestAt } from "../digest_batch.ts";
import {
  checkBatch,
  checkHash,
  checkMaxSize,
  checkNotOver,
  checkSize,
  emptyHash,
  isEmptyAt,
  isEmptyBlob,
  noSuchBlob,
  PIECE_BYTES,
  resolveRange,
} from "./_checks.ts";
import { HeldBlobs, type Reservation } from "./_held_blobs.ts";
import { KeptUploads, settleUploadLimits, uploadKey } from "./_kept_uploads.ts";
import { MemoryChunks } from "./_memory_chunks.ts";

/** How a {@linkcode MemoryBlobStore} is set up beside its limit. */
export interface MemoryBlobStoreOptions {
  /** Most blobs it holds; no limit but its size by default. */
  readonly maxBlobs?: number;
  /** Largest blob it takes, in bytes; any that fits by default. */
  readonly maxBlobBytes?: number;
  /** How long blobs are kept that somebody was told to be there, in milliseconds; 3 hours by default. */
  readonly promiseMs?: number;
  /** How much of interrupted uploads is kept. */
  readonly uploads?: UploadLimits;
  /** Time, for how long, and for what was used when; the system's by default. */
  readonly clock?: Clock;
}

const DEFAULT_PROMISE_MS = 3 * 3_600_000;

/**
 * A blob store in memory. At its limits what was not used for longest goes, except for what somebody was told to be
 * there, see {@linkcode MemoryBlobStoreOptions.promiseMs}: as long as such promises take no more than 70 % of the store,
 * and for at least 10 minutes however much they take.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { scopeOf } from "@brokkr/common";
 * import { digestOf, MemoryBlobStore, SHA256 } from "@brokkr/cas";
 * await using store = new MemoryBlobStore(1 << 20);
 * const data = new TextEncoder().encode("hello");
 * await store.put(scopeOf(""), digestOf(SHA256, data), data);
 * assertEquals(await store.get(scopeOf(""), digestOf(SHA256, data)), data);
 * ```
 */
export class MemoryBlobStore implements BlobStore {
  readonly #limitBytes: number;
  readonly #maxBlobBytes: number;
  readonly #promiseMs: number;
  readonly #blobs: HeldBlobs;
  readonly #uploads: MemoryUploads;
  readonly #chunks: MemoryChunks;

  /** A store that holds at most `limitBytes` of data, with what is being uploaded. */
  constructor(limitBytes: number, options: MemoryBlobStoreOptions = {}) {
    const { maxBlobs = Infinity, promiseMs = DEFAULT_PROMISE_MS, clock = systemClock } = options;
    this.#limitBytes = limitBytes;
    this.#maxBlobBytes = options.maxBlobBytes ?? Infinity;
    this.#promiseMs = promiseMs;
    this.#uploads = new MemoryUploads(options, (digest, begun) => this.#makeWriter(digest, begun));
    this.#blobs = new HeldBlobs({
      maxBytes: limitBytes,
      maxBlobs,
      promiseMs,
      clock,
      uploadBytes: () => this.#uploads.bytes,
      dropUpload: () => this.#uploads.dropOldest(),
    });
    this.#chunks = new MemoryChunks({
      missing: (scope, batch) => this.missing(scope, batch),
      get: (scope, digest) => this.get(scope, digest),
      put: (scope, digest, data) => this.put(scope, digest, data),
      reserve: async (digest) => {
        const room = await this.#blobs.reserve(digest);
        return {
          keep: (data) => this.#blobs.keep(room, data),
          [Symbol.dispose]: () => room[Symbol.dispose](),
        };
      },
    });
  }

  /** Increases whenever blobs went: who keeps what names blobs may look again. */
  get departures(): number {
    return this.#blobs.departures;
  }

  /** See {@linkcode BlobStore.uploads}. */
  get uploads(): UploadStore {
    return this.#uploads;
  }

  /** See {@linkcode BlobStore.missing}. */
  missing(_scope: Scope, batch: DigestBatch, options?: MissingOptions): Uint32Array {
    checkBatch(batch);
    const missing: number[] = [];
    for (let i = 0; i < batch.length; i++) {
      if (isEmptyAt(batch, i)) continue;
      const digest = digestAt(batch, i);
      const data = options?.peek === true
        ? this.#blobs.peek(digest)
        : this.#blobs.use(digest, this.#promiseMs);
      if (data === undefined) missing.push(i);
    }
    return Uint32Array.from(missing);
  }

  /** See {@linkcode BlobStore.sizeOf}. */
  sizeOf(_scope: Scope, fn: DigestFunction, hash: string): number | undefined {
    return hash === emptyHash(fn).hex ? 0 : this.#blobs.sizeOf(fn, hash);
  }

  /** See {@linkcode BlobStore.get}. */
  get(_scope: Scope, digest: Digest): Promise<Uint8Array> {
    const data = this.#find(digest);
    return data === undefined ? Promise.reject(noSuchBlob(digest)) : Promise.resolve(data);
  }

  /** See {@linkcode BlobStore.read}. */
  async *read(
    _scope: Scope,
    digest: Digest,
    range?: ReadRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    throwIfAborted(signal);
    const data = this.#find(digest);
    if (data === undefined) throw noSuchBlob(digest);
    const { start, end } = resolveRange(digest, range);
    for (let at = start; at < end; at += PIECE_BYTES) {
      throwIfAborted(signal);
      yield data.subarray(at, Math.min(end, at + PIECE_BYTES));
    }
  }

  /** See {@linkcode BlobStore.put}. */
  async put(_scope: Scope, digest: Digest, data: Uint8Array): Promise<void> {
    checkSize(digest, data.length);
    if (this.#find(digest) !== undefined) return;
    checkMaxSize(digest, this.#maxBlobBytes);
    // Before room is made: what is not kept drives nothing out.
    checkHash(digest, digest.fn.hash(data));
    const own = data.slice();
    this.#blobs.keep(await this.#blobs.reserve(digest), own);
  }

  /** See {@linkcode BlobStore.writer}. */
  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async writer(_scope: Scope, digest: Digest): Promise<BlobWriter> {
    return this.#makeWriter(digest);
  }

  /** See {@linkcode BlobStore.pin}. */
  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async pin(_scope: Scope, batch: DigestBatch, durationMs: number): Promise<void> {
    checkBatch(batch);
    const digests = Array.from({ length: batch.length }, (_, i) => digestAt(batch, i));
    // A promise is cheap and limited by what is evicted; what is pinned for longer must fit beforehand.
    if (durationMs > this.#promiseMs) this.#blobs.checkPins(digests);
    for (const digest of digests) {
      if (durationMs === 0) this.#blobs.unpin(digest);
      else this.#blobs.use(digest, durationMs);
    }
  }

  /** See {@linkcode BlobStore.splice}. */
  async splice(
    scope: Scope,
    digest: Digest,
    list: ChunkList,
    signal?: AbortSignal,
  ): Promise<"kept" | "known"> {
    checkMaxSize(digest, this.#maxBlobBytes);
    return await this.#chunks.splice(scope, digest, list, signal);
  }

  /** See {@linkcode BlobStore.split}. */
  split(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<ChunkList | undefined> {
    return this.#chunks.split(scope, digest, signal);
  }

  /** See {@linkcode BlobStore.delete}. */
  delete(_scope: Scope, digest: Digest): Promise<boolean> {
    return Promise.resolve(!isEmptyBlob(digest) && this.#blobs.delete(digest));
  }

  /** See {@linkcode BlobStore.stat}. */
  stat(): Promise<BlobStoreStat> {
    return Promise.resolve({
      blobs: this.#blobs.count,
      bytes: this.#blobs.bytes,
      storedBytes: this.#blobs.bytes,
      diskBytes: 0,
      segments: 0,
      files: 0,
      freeBytes: this.#limitBytes - this.#blobs.bytes,
    });
  }

  /** Drops everything. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#uploads.close();
    this.#blobs.clear();
    return Promise.resolve();
  }

  /** A blob that is used. */
  #find(digest: Digest): Uint8Array | undefined {
    return isEmptyBlob(digest) ? new Uint8Array(0) : this.#blobs.use(digest);
  }

  #makeWriter(digest: Digest, begun?: Begun): MemoryWriter {
    checkMaxSize(digest, this.#maxBlobBytes);
    return new MemoryWriter(digest, begun, {
      reserve: () => this.#blobs.reserve(digest),
      keep: (room, data) => this.#blobs.keep(room, data),
    });
  }
}

/** What a writer has taken; `data` is as long as the whole blob. */
interface Begun {
  readonly data: Uint8Array;
  readonly writtenBytes: number;
}

/** Where a writer's blob goes. */
interface Shelf {
  reserve(): Promise<Reservation>;
  keep(room: Reservation, data: Uint8Array): void;
}

class MemoryWriter implements UploadWriter {
  readonly #digest: Digest;
  readonly #shelf: Shelf;
  /** Takes what is left for later; without it, it is dropped. */
  onSuspend: ((begun: Begun) => void) | undefined;
  #data: Uint8Array | undefined;
  #room: Reservation | undefined;
  #writtenBytes: number;
  #done = false;

  constructor(digest: Digest, begun: Begun | undefined, shelf: Shelf) {
    this.#digest = digest;
    this.#data = begun?.data;
    this.#writtenBytes = begun?.writtenBytes ?? 0;
    this.#shelf = shelf;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#checkOpen();
    checkNotOver(this.#digest, this.#writtenBytes + chunk.length);
    await this.#takeRoom();
    this.#data ??= new Uint8Array(this.#digest.sizeBytes);
    this.#data.set(chunk, this.#writtenBytes);
    this.#writtenBytes += chunk.length;
  }

  async commit(): Promise<void> {
    this.#checkOpen();
    try {
      const data = this.#data ?? new Uint8Array(0);
      checkSize(this.#digest, this.#writtenBytes);
      checkHash(this.#digest, this.#digest.fn.hash(data));
      // Of the empty blob there is nothing to keep; one that went on may have all its bytes and no room yet.
      if (data.length > 0) this.#shelf.keep(await this.#takeRoom(), data);
    } finally {
      await this.abort();
    }
  }

  suspend(): Promise<void> {
    if (!this.#done && this.#data !== undefined) {
      this.onSuspend?.({ data: this.#data, writtenBytes: this.#writtenBytes });
    }
    return this.abort();
  }

  abort(): Promise<void> {
    this.#done = true;
    this.#data = undefined;
    this.#room?.[Symbol.dispose]();
    this.#room = undefined;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }

  #checkOpen(): void {
    if (this.#done) throw new BrokkrError(Code.FAILED_PRECONDITION, "The writer is closed");
  }

  async #takeRoom(): Promise<Reservation> {
    if (this.#room !== undefined) return this.#room;
    const room = await this.#shelf.reserve();
    if (this.#done) {
      room[Symbol.dispose]();
      this.#checkOpen();
    }
    return this.#room = room;
  }
}

class MemoryUploads implements UploadStore {
  readonly #kept: KeptUploads<Begun>;
  readonly #open: (digest: Digest, begun?: Begun) => MemoryWriter;

  constructor(
    { uploads, clock = systemClock }: MemoryBlobStoreOptions,
    open: (digest: Digest, begun?: Begun) => MemoryWriter,
  ) {
    this.#kept = new KeptUploads(settleUploadLimits(uploads), clock, () => {});
    this.#open = open;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#kept.bytes;
  }

  keptBytes(id: UploadId): Promise<number> {
    return Promise.resolve(this.#kept.get(uploadKey(id))?.writtenBytes ?? 0);
  }

  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async begin(id: UploadId): Promise<UploadWriter> {
    this.#kept.take(uploadKey(id));
    return this.#writer(id);
  }

  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async resume(id: UploadId, offset: number, signal?: AbortSignal): Promise<UploadWriter | undefined> {
    throwIfAborted(signal);
    const key = uploadKey(id);
    if (offset === 0 || this.#kept.get(key)?.writtenBytes !== offset) return undefined;
    return this.#writer(id, this.#kept.take(key));
  }

  stat(): { readonly kept: number; readonly keptBytes: number } {
    return { kept: this.#kept.count, keptBytes: this.#kept.bytes };
  }

  dropOldest(): boolean {
    return this.#kept.dropOldest();
  }

  close(): void {
    this.#kept.close();
  }

  #writer(id: UploadId, begun?: Begun): UploadWriter {
    const writer = this.#open(id.digest, begun);
    writer.onSuspend = (left) => {
      if (left.writtenBytes > 0) this.#kept.add(uploadKey(id), left, left.writtenBytes);
    };
    return writer;
  }
}
