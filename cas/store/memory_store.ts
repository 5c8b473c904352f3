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
  DigestBatch,
  MissingOptions,
  ReadRange,
  UploadId,
  UploadLimits,
  UploadStore,
  UploadWriter,
} from "../blob_store.ts";
import { type Digest, type DigestFunction, digestKey, formatDigest } from "../digest.ts";
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
import { KeptUploads, settleUploadLimits, uploadKey } from "./_kept_uploads.ts";

/** How a {@linkcode MemoryBlobStore} is set up beside its limit. */
export interface MemoryBlobStoreOptions {
  /** How much of interrupted uploads is kept. */
  readonly uploads?: UploadLimits;
  /** Time, for how long; the system's by default. */
  readonly clock?: Clock;
}

/**
 * A blob store in memory.
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
  readonly #blobs = new Map<string, Uint8Array>();
  #bytes = 0;
  readonly #uploads: MemoryUploads;

  /** A store that holds at most `limitBytes` of data. */
  constructor(limitBytes: number, options: MemoryBlobStoreOptions = {}) {
    this.#limitBytes = limitBytes;
    this.#uploads = new MemoryUploads(options, (digest, data) => this.#makeWriter(digest, data));
  }

  /** See {@linkcode BlobStore.uploads}. */
  get uploads(): UploadStore {
    return this.#uploads;
  }

  /** See {@linkcode BlobStore.missing}. */
  missing(_scope: Scope, batch: DigestBatch, _options?: MissingOptions): Uint32Array {
    checkBatch(batch);
    const missing: number[] = [];
    for (let i = 0; i < batch.length; i++) {
      if (isEmptyAt(batch, i)) continue;
      if (this.#find(digestAt(batch, i)) === undefined) missing.push(i);
    }
    return Uint32Array.from(missing);
  }

  /** See {@linkcode BlobStore.sizeOf}. */
  sizeOf(_scope: Scope, fn: DigestFunction, hash: string): number | undefined {
    return hash === emptyHash(fn).hex ? 0 : this.#blobs.get(digestKey({ fn, hash }))?.length;
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
  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async put(_scope: Scope, digest: Digest, data: Uint8Array): Promise<void> {
    checkSize(digest, data.length);
    if (this.#find(digest) !== undefined) return;
    this.#checkRoom(digest);
    checkHash(digest, digest.fn.hash(data));
    this.#keep(digest, data.slice());
  }

  /** See {@linkcode BlobStore.writer}. */
  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async writer(_scope: Scope, digest: Digest): Promise<BlobWriter> {
    return this.#makeWriter(digest);
  }

  /** See {@linkcode BlobStore.pin}; nothing is ever evicted here. */
  pin(_scope: Scope, batch: DigestBatch, _durationMs: number): Promise<void> {
    checkBatch(batch);
    return Promise.resolve();
  }

  /** See {@linkcode BlobStore.delete}. */
  delete(_scope: Scope, digest: Digest): Promise<boolean> {
    if (isEmptyBlob(digest) || this.#find(digest) === undefined) return Promise.resolve(false);
    this.#blobs.delete(digestKey(digest));
    this.#bytes -= digest.sizeBytes;
    return Promise.resolve(true);
  }

  /** See {@linkcode BlobStore.stat}. */
  stat(): Promise<BlobStoreStat> {
    return Promise.resolve({
      blobs: this.#blobs.size,
      bytes: this.#bytes,
      diskBytes: 0,
      segments: 0,
      files: 0,
      freeBytes: this.#limitBytes - this.#bytes,
    });
  }

  /** Drops everything. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#uploads.close();
    this.#blobs.clear();
    this.#bytes = 0;
    return Promise.resolve();
  }

  #find(digest: Digest): Uint8Array | undefined {
    if (isEmptyBlob(digest)) return new Uint8Array(0);
    const data = this.#blobs.get(digestKey(digest));
    return data?.length === digest.sizeBytes ? data : undefined;
  }

  #makeWriter(digest: Digest, begun?: Begun): MemoryWriter {
    checkMaxSize(digest, this.#limitBytes);
    return new MemoryWriter(digest, begun, (data) => {
      if (this.#find(digest) !== undefined) return;
      this.#checkRoom(digest);
      this.#keep(digest, data);
    });
  }

  #checkRoom(digest: Digest): void {
    const left = () => this.#limitBytes - this.#bytes - this.#uploads.bytes;
    while (left() < digest.sizeBytes && this.#uploads.dropOldest());
    if (left() >= digest.sizeBytes) return;
    throw new BrokkrError(
      Code.RESOURCE_EXHAUSTED,
      `No room for blob ${
        formatDigest(digest)
      }: the store holds ${this.#bytes} of its ${this.#limitBytes} bytes; ` +
        "raise its limit, cas_max_size",
    );
  }

  #keep(digest: Digest, data: Uint8Array): void {
    this.#blobs.set(digestKey(digest), data);
    this.#bytes += data.length;
  }
}

/** What a writer has taken; `data` is as long as the whole blob. */
interface Begun {
  readonly data: Uint8Array;
  readonly writtenBytes: number;
}

class MemoryWriter implements UploadWriter {
  readonly #digest: Digest;
  readonly #keep: (data: Uint8Array) => void;
  /** Takes what is left for later; without it, it is dropped. */
  onSuspend: ((begun: Begun) => void) | undefined;
  #data: Uint8Array | undefined;
  #writtenBytes: number;
  #done = false;

  constructor(digest: Digest, begun: Begun | undefined, keep: (data: Uint8Array) => void) {
    this.#digest = digest;
    this.#data = begun?.data;
    this.#writtenBytes = begun?.writtenBytes ?? 0;
    this.#keep = keep;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#done) throw new BrokkrError(Code.FAILED_PRECONDITION, "The writer is closed");
    checkNotOver(this.#digest, this.#writtenBytes + chunk.length);
    this.#data ??= new Uint8Array(this.#digest.sizeBytes);
    this.#data.set(chunk, this.#writtenBytes);
    this.#writtenBytes += chunk.length;
  }

  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async commit(): Promise<void> {
    if (this.#done) throw new BrokkrError(Code.FAILED_PRECONDITION, "The writer is closed");
    this.#done = true;
    const data = this.#data ?? new Uint8Array(0);
    this.#data = undefined;
    checkSize(this.#digest, this.#writtenBytes);
    checkHash(this.#digest, this.#digest.fn.hash(data));
    this.#keep(data);
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
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
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
