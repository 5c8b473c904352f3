/**
 * Where writers of the disk store are made: with memory from the budget and room on the disk set aside for each.
 *
 * @module
 */

import { BrokkrError, type ByteBudget, Code, type Logger } from "@brokkr/common";
import type { UploadWriter } from "../blob_store.ts";
import { type Digest, formatDigest } from "../digest.ts";
import { checkMaxSize } from "./_checks.ts";
import type { LargeSource } from "./_disk_uploads.ts";
import type { TemporaryFile } from "./_file_blobs.ts";
import { MAX_RECORD_DATA } from "./_record.ts";
import type { Room } from "./_room.ts";
import { LARGE_WRITER_BYTES, LargeWriter, type LargeWriterHost, SmallWriter } from "./_writers.ts";
import type { FileLayer } from "./file_layer.ts";

/** What a {@linkcode WriterDesk} needs of its store. */
export interface WriterDeskOptions {
  readonly files: FileLayer;
  readonly log: Logger;
  readonly budget: ByteBudget;
  readonly maxBlobBytes: number;
  readonly room: Room;
  /** Throws when the store is closed. */
  readonly checkOpen: () => void;
  /** Drops something that can be done without; false when there is nothing. */
  readonly makeRoom: () => Promise<boolean>;
  /** Makes a temporary file. */
  readonly create: () => Promise<TemporaryFile>;
  /** Keeps a small blob. */
  readonly putSmall: (digest: Digest, data: Uint8Array) => Promise<void>;
  /** Keeps a verified and synced file as a large blob. */
  readonly keepFile: (digest: Digest, path: string) => Promise<void>;
  /** Makes an error of the system one that says what failed. */
  readonly failure: (what: string, error: unknown) => BrokkrError;
}

/** Makes the writers of one store. */
export class WriterDesk {
  readonly #options: WriterDeskOptions;
  readonly #writers = new Set<LargeWriter>();

  constructor(options: WriterDeskOptions) {
    this.#options = options;
  }

  /** Sets bytes on the disk aside; what can be done without makes way. */
  async reserve(digest: Digest, bytes: number): Promise<void> {
    const { room, makeRoom } = this.#options;
    for (;;) {
      try {
        return await room.reserve(digest, bytes);
      } catch (error) {
        const full = error instanceof BrokkrError && error.code === Code.RESOURCE_EXHAUSTED;
        if (!full || !await makeRoom()) throw error;
      }
    }
  }

  /** Gives back what was set aside. */
  release(bytes: number): void {
    this.#options.room.release(bytes);
  }

  /** A writer of a blob of any size. */
  async open(digest: Digest, signal?: AbortSignal): Promise<UploadWriter> {
    return digest.sizeBytes <= MAX_RECORD_DATA
      ? await this.small(digest, undefined, signal)
      : await this.large(digest, undefined, signal);
  }

  /** A writer of a blob that goes to the segment log. */
  async small(
    digest: Digest,
    leave?: (data: Uint8Array) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<UploadWriter> {
    const { budget, checkOpen, maxBlobBytes, putSmall } = this.#options;
    checkOpen();
    checkMaxSize(digest, maxBlobBytes);
    const lease = await budget.acquire(digest.sizeBytes, signal);
    const put = async (data: Uint8Array) => {
      checkOpen();
      await putSmall(digest, data);
    };
    return new SmallWriter(digest, leave === undefined ? { lease, put } : { lease, put, leave });
  }

  /** A writer of a blob that becomes a file, from where `source` stands. */
  async large(digest: Digest, source?: LargeSource, signal?: AbortSignal): Promise<UploadWriter> {
    const { budget, checkOpen, maxBlobBytes, create, keepFile, failure } = this.#options;
    checkOpen();
    checkMaxSize(digest, maxBlobBytes);
    const lease = await budget.acquire(LARGE_WRITER_BYTES, signal);
    const reserved = digest.sizeBytes - (source?.beginning?.writtenBytes ?? 0);
    try {
      await this.reserve(digest, reserved);
    } catch (error) {
      lease.release();
      throw error;
    }
    const release = () => {
      lease.release();
      this.release(reserved);
    };
    try {
      checkOpen();
    } catch (error) {
      release();
      throw error;
    }
    const host: LargeWriterHost = {
      create: source?.create ?? create,
      keep: (path) => keepFile(digest, path),
      discard: (path) => this.discard(path),
      failure: (error) => failure(`write blob ${formatDigest(digest)}`, error),
      release: () => {
        release();
        source?.ended();
        this.#writers.delete(writer);
      },
    };
    if (source !== undefined) host.leave = source.leave;
    const writer = new LargeWriter(digest, host, source?.beginning);
    this.#writers.add(writer);
    return writer;
  }

  /** Removes a file that is not kept. */
  async discard(path: string): Promise<void> {
    const { files, log } = this.#options;
    try {
      await files.remove(path);
    } catch (error) {
      log.warn("Cannot remove a temporary file; the next start does", { path, error });
    }
  }

  /** Ends all writers; what is still to come to them fails with `why`. */
  async end(why: BrokkrError): Promise<void> {
    for (const writer of this.#writers) {
      await writer.end(why).catch((error) => this.#options.log.warn("Cannot keep an upload", { error }));
    }
  }
}
