/**
 * Blobs in memory: for tests and for what need not outlive the process.
 *
 * @module
 */

import { BrokkrError, Code, throwIfAborted } from "@brokkr/common";
import type { Scope } from "@brokkr/common";
import type { BlobStore, BlobStoreStat, BlobWriter, DigestBatch, ReadRange } from "../blob_store.ts";
import { type Digest, digestKey, formatDigest } from "../digest.ts";
import { digestAt } from "../digest_batch.ts";
import {
  checkBatch,
  checkHash,
  checkMaxSize,
  checkNotOver,
  checkSize,
  isEmptyAt,
  isEmptyBlob,
  noSuchBlob,
  PIECE_BYTES,
  resolveRange,
} from "./_checks.ts";

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

  /** A store that holds at most `limitBytes` of data. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** See {@linkcode BlobStore.missing}. */
  missing(_scope: Scope, batch: DigestBatch): Uint32Array {
    checkBatch(batch);
    const missing: number[] = [];
    for (let i = 0; i < batch.length; i++) {
      if (isEmptyAt(batch, i)) continue;
      if (this.#find(digestAt(batch, i)) === undefined) missing.push(i);
    }
    return Uint32Array.from(missing);
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
    checkMaxSize(digest, this.#limitBytes);
    return new MemoryWriter(digest, (data) => {
      if (this.#find(digest) !== undefined) return;
      this.#checkRoom(digest);
      this.#keep(digest, data);
    });
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
    this.#blobs.clear();
    this.#bytes = 0;
    return Promise.resolve();
  }

  #find(digest: Digest): Uint8Array | undefined {
    if (isEmptyBlob(digest)) return new Uint8Array(0);
    const data = this.#blobs.get(digestKey(digest));
    return data?.length === digest.sizeBytes ? data : undefined;
  }

  #checkRoom(digest: Digest): void {
    if (this.#bytes + digest.sizeBytes <= this.#limitBytes) return;
    throw new BrokkrError(
      Code.RESOURCE_EXHAUSTED,
      `No room for blob ${
        formatDigest(digest)
      }: the store holds ${this.#bytes} of its ${this.#limitBytes} bytes; ` +
        "raise its limit",
    );
  }

  #keep(digest: Digest, data: Uint8Array): void {
    this.#blobs.set(digestKey(digest), data);
    this.#bytes += data.length;
  }
}

class MemoryWriter implements BlobWriter {
  readonly #digest: Digest;
  readonly #keep: (data: Uint8Array) => void;
  #data: Uint8Array | undefined;
  #writtenBytes = 0;
  #done = false;

  constructor(digest: Digest, keep: (data: Uint8Array) => void) {
    this.#digest = digest;
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

  abort(): Promise<void> {
    this.#done = true;
    this.#data = undefined;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }
}
