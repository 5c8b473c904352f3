/**
 * The two writers of the disk store: one gathers a small blob in memory, one streams a large blob into a file.
 *
 * @module
 */

import { BrokkrError, type ByteLease, Code } from "@brokkr/common";
import type { UploadWriter } from "../blob_store.ts";
import type { Digest, Hasher } from "../digest.ts";
import { checkHash, checkNotOver, checkSize, PIECE_BYTES } from "./_checks.ts";
import type { TemporaryFile } from "./_file_blobs.ts";
import { writeAll } from "./file_layer.ts";

/** Chunks of at least so many bytes are written as they come; smaller ones are gathered first. */
const DIRECT_BYTES = 128 << 10;
/** Size of the two buffers that gather. */
const GATHER_BYTES = 256 << 10;
/** Most bytes that a {@linkcode LargeWriter} buffers. */
export const LARGE_WRITER_BYTES = 2 * GATHER_BYTES;
/** After so many bytes the disk is set to work on them while more come, so that the last sync has little left to do. */
const SYNC_EVERY_BYTES = 8 << 20;

function closedError(): BrokkrError {
  return new BrokkrError(Code.FAILED_PRECONDITION, "The writer of this blob is closed; open another");
}

/** What a {@linkcode SmallWriter} needs of its store. */
export interface SmallWriterHost {
  /** Held for its bytes. */
  readonly lease: ByteLease;
  /** Keeps the whole blob. */
  put(data: Uint8Array): Promise<void>;
  /** Keeps what was written of an interrupted upload; without it, it is dropped. */
  leave?(data: Uint8Array): Promise<void>;
}

/** Gathers a blob that goes to the segment log. */
export class SmallWriter implements UploadWriter {
  readonly #digest: Digest;
  readonly #host: SmallWriterHost;
  #data: Uint8Array | undefined;
  #writtenBytes = 0;

  /** Begins with nothing written; releases the lease when done. */
  constructor(digest: Digest, host: SmallWriterHost) {
    this.#digest = digest;
    this.#host = host;
    this.#data = new Uint8Array(digest.sizeBytes);
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#data === undefined) throw closedError();
    checkNotOver(this.#digest, this.#writtenBytes + chunk.length);
    this.#data.set(chunk, this.#writtenBytes);
    this.#writtenBytes += chunk.length;
  }

  async commit(): Promise<void> {
    const data = this.#data;
    if (data === undefined) throw closedError();
    this.#data = undefined;
    using _lease = this.#host.lease;
    checkSize(this.#digest, this.#writtenBytes);
    await this.#host.put(data);
  }

  async suspend(): Promise<void> {
    const data = this.#data;
    if (data === undefined) return;
    this.#data = undefined;
    using _lease = this.#host.lease;
    if (this.#writtenBytes > 0) await this.#host.leave?.(data.subarray(0, this.#writtenBytes));
  }

  abort(): Promise<void> {
    if (this.#data !== undefined) this.#host.lease.release();
    this.#data = undefined;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }
}

/** What a {@linkcode LargeWriter} needs of its store. */
export interface LargeWriterHost {
  /** Makes the file. */
  create(): Promise<TemporaryFile>;
  /** Gives the verified and synced file its name, or removes it when the blob is there already. */
  keep(path: string): Promise<void>;
  /** Removes a file that is not to be kept. */
  discard(path: string): Promise<void>;
  /** Keeps a synced file with the first bytes of an interrupted upload; without it, it is dropped. */
  leave?(path: string, writtenBytes: number, hasher: Hasher): void;
  /** Makes an error of the system one that says what failed. */
  failure(error: unknown): BrokkrError;
  /** Called once, at the end, however it ends. */
  release(): void;
}

/** Where a {@linkcode LargeWriter} goes on. */
export interface LargeBeginning {
  /** The file. */
  readonly temporary: TemporaryFile;
  /** Bytes that are in it. */
  readonly writtenBytes: number;
  /** Has taken them. */
  readonly hasher: Hasher;
}

/** Streams a blob into a file; hashing, writing and the disk's own work go on at the same time. */
export class LargeWriter implements UploadWriter {
  readonly #digest: Digest;
  readonly #host: LargeWriterHost;
  readonly #hasher: Hasher;
  #temporary: TemporaryFile | undefined;
  #writtenBytes: number;
  #filePosition: number;
  #syncedPosition: number;
  #gather: Uint8Array | undefined;
  #other: Uint8Array | undefined;
  #gathered = 0;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #failure: unknown;
  #closed = false;
  /** It commits or is left: nothing else may come. */
  #ending = false;
  /** Why the store ended it, if it did. */
  #ended: BrokkrError | undefined;
  /** Writes under way: what they take has not all reached the file. */
  #taking = 0;

  /** Begins with nothing written, or goes on. */
  constructor(digest: Digest, host: LargeWriterHost, beginning?: LargeBeginning) {
    this.#digest = digest;
    this.#host = host;
    this.#hasher = beginning?.hasher ?? digest.fn.hasher(digest.sizeBytes);
    this.#temporary = beginning?.temporary;
    this.#writtenBytes = this.#filePosition = this.#syncedPosition = beginning?.writtenBytes ?? 0;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#closed || this.#ending) throw this.#closedError();
    checkNotOver(this.#digest, this.#writtenBytes + chunk.length);
    this.#writtenBytes += chunk.length;
    this.#taking++;
    try {
      if (chunk.length < DIRECT_BYTES) await this.#gatherChunk(chunk);
      else await this.#writeDirect(chunk);
    } catch (error) {
      await this.#discard();
      throw this.#host.failure(error);
    } finally {
      this.#taking--;
    }
  }

  async commit(): Promise<void> {
    if (this.#closed || this.#ending) throw this.#closedError();
    this.#ending = true;
    try {
      checkSize(this.#digest, this.#writtenBytes);
      checkHash(this.#digest, this.#hasher.digestHex());
      const { path, file } = await this.#flushAll();
      await file.syncData();
      file.close();
      await this.#host.keep(path);
      this.#temporary = undefined;
    } catch (error) {
      await this.#discard();
      throw this.#host.failure(error);
    }
    this.#finish();
  }

  /** Ends it for the store: what is still to come fails with `why`. */
  async end(why: BrokkrError): Promise<void> {
    this.#ended ??= why;
    await this.suspend();
  }

  #closedError(): BrokkrError {
    return this.#ended ?? closedError();
  }

  async suspend(): Promise<void> {
    if (this.#closed || this.#ending) return;
    if (this.#host.leave === undefined || this.#writtenBytes === 0 || this.#taking > 0) {
      return await this.#discard();
    }
    this.#ending = true;
    try {
      const { path, file } = await this.#flushAll();
      await file.syncData();
      this.#closed = true;
      file.close();
      this.#temporary = undefined;
      this.#host.leave(path, this.#writtenBytes, this.#hasher);
    } catch (error) {
      await this.#discard();
      throw this.#host.failure(error);
    }
    this.#finish();
  }

  async abort(): Promise<void> {
    // What is being committed or left ends by itself.
    if (!this.#ending) await this.#discard();
  }

  /** Waits until all that was written is in the file. */
  async #flushAll(): Promise<TemporaryFile> {
    await this.#flushGathered();
    await this.#writing;
    await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure;
    return await this.#open();
  }

  async #discard(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled([this.#writing, this.#syncing]);
    const temporary = this.#temporary;
    this.#temporary = undefined;
    if (temporary !== undefined) {
      temporary.file.close();
      await this.#host.discard(temporary.path);
    }
    this.#finish();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }

  #finish(): void {
    this.#closed = true;
    this.#gather = this.#other = undefined;
    this.#host.release();
  }

  async #open(): Promise<TemporaryFile> {
    if (this.#closed) throw this.#closedError();
    if (this.#temporary !== undefined) return this.#temporary;
    const temporary = await this.#host.create();
    if (!this.#closed) return this.#temporary = temporary;
    // It was ended meanwhile: nobody else knows of the file.
    temporary.file.close();
    await this.#host.discard(temporary.path);
    throw this.#closedError();
  }

  /** A large chunk: the file layer writes it from where it lies, while it is hashed here. */
  async #writeDirect(chunk: Uint8Array): Promise<void> {
    await this.#flushGathered();
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.subarray(at, at + PIECE_BYTES);
      await this.#startWrite(piece);
      this.#hasher.update(piece);
    }
    // The caller may reuse the chunk once this resolves.
    await this.#writing;
  }

  /** A small chunk: copied, so that the caller need not wait for the disk. */
  async #gatherChunk(chunk: Uint8Array): Promise<void> {
    this.#hasher.update(chunk);
    for (let at = 0; at < chunk.length;) {
      const buffer = this.#gather ??= new Uint8Array(GATHER_BYTES);
      const taken = Math.min(chunk.length - at, buffer.length - this.#gathered);
      buffer.set(chunk.subarray(at, at + taken), this.#gathered);
      this.#gathered += taken;
      at += taken;
      if (this.#gathered === buffer.length) await this.#flushGathered();
    }
  }

  async #flushGathered(): Promise<void> {
    const buffer = this.#gather;
    if (buffer === undefined || this.#gathered === 0) return;
    const length = this.#gathered;
    this.#gathered = 0;
    // After the write before this one ended, its buffer is free.
    await this.#startWrite(buffer.subarray(0, length));
    this.#gather = this.#other;
    this.#other = buffer;
  }

  /** Waits for the write before and starts the next. */
  async #startWrite(bytes: Uint8Array): Promise<void> {
    const { file } = await this.#open();
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw this.#closedError();
    const position = this.#filePosition;
    this.#filePosition += bytes.length;
    this.#writing = writeAll(file, bytes, position);
    // Whoever awaits it next hears of a failure; until then it must not count as unhandled.
    this.#writing.catch(() => {});
    if (position - this.#syncedPosition >= SYNC_EVERY_BYTES && this.#syncing === undefined) {
      this.#syncedPosition = position;
      this.#syncing = file.syncData().catch((error) => {
        // Said once by the kernel, so it must be remembered: a later sync may report success.
        this.#failure ??= error;
      }).finally(() => this.#syncing = undefined);
    }
  }
}
