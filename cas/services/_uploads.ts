/**
 * Uploads under way: which call writes which, and who goes on when two calls name the same.
 *
 * - A write from the start is its own: beside one that is under way it writes another copy, and both succeed. Only the
 *   first of them can be interrupted and go on.
 * - A write from where one under way stands takes it over: its client has come back on another connection before the
 *   server heard that the first one broke. The call that wrote it ends with ABORTED.
 * - A write from anywhere else beside one under way is UNAVAILABLE: QueryWriteStatus tells where to go on.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, unavailable } from "@brokkr/common";
import type { BlobStore, BlobWriter, UploadId, UploadWriter } from "../blob_store.ts";
import { uploadKey } from "../store/_kept_uploads.ts";

/** An upload that a call writes now. */
export class ActiveUpload implements AsyncDisposable {
  readonly #release: () => void;
  #left: BrokkrError | undefined;
  #leaveNow: ((error: BrokkrError) => void) | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #writer: (BlobWriter & Partial<UploadWriter>) | undefined;

  /** Calls `release` at its end. */
  constructor(release: () => void) {
    this.#release = release;
  }

  /** What it writes with; set as soon as there is one. */
  get writer(): BlobWriter & Partial<UploadWriter> {
    if (this.#writer === undefined) throw new BrokkrError(Code.INTERNAL, "An upload has no writer yet");
    return this.#writer;
  }

  set writer(writer: BlobWriter & Partial<UploadWriter>) {
    this.#writer = writer;
  }

  /** Bytes taken; undefined before there is a writer. */
  get writtenBytes(): number | undefined {
    return this.#writer?.writtenBytes;
  }

  /**
   * What `step` gives, unless another call takes the upload over before: ABORTED then. Not a race with one promise for
   * all steps, which would keep what each of them gave.
   */
  unlessLeft<T>(step: Promise<T>): Promise<T> {
    if (this.#left !== undefined) return Promise.reject(this.#left);
    return new Promise((resolve, reject) => {
      this.#leaveNow = reject;
      step.then(resolve, reject);
    });
  }

  /** Resolves when it has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Makes the call that writes it leave it; resolves when it has. */
  async leave(): Promise<void> {
    this.#left = new BrokkrError(Code.ABORTED, "Another call goes on with this upload");
    this.#leaveNow?.(this.#left);
    await this.#ended.promise;
  }

  /** Keeps what was written, to go on with it. */
  async suspend(): Promise<void> {
    if (this.#writer?.suspend === undefined) await this.#writer?.abort();
    else await this.#writer.suspend();
  }

  /** Ends it; what was neither committed nor kept is dropped. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#writer?.abort();
    } finally {
      this.#release();
      this.#ended.resolve();
    }
  }
}

/** Uploads under way, over those that a store keeps. */
export class Uploads implements AsyncDisposable {
  readonly #store: BlobStore;
  readonly #active = new Map<string, ActiveUpload>();
  /** With those that began beside another. */
  readonly #all = new Set<ActiveUpload>();

  constructor(store: BlobStore) {
    this.#store = store;
  }

  /** Bytes taken so far of an upload that is under way or was interrupted. */
  async writtenBytes(id: UploadId): Promise<number> {
    return this.#active.get(uploadKey(id))?.writtenBytes ?? await this.#store.uploads.keptBytes(id);
  }

  /**
   * An upload that stands at `offset`: a new one, or one that goes on.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when it stands elsewhere; UNAVAILABLE when another call writes it.
   */
  async begin(id: UploadId, offset: number, signal: AbortSignal): Promise<ActiveUpload> {
    const key = uploadKey(id);
    const other = this.#active.get(key);
    if (other !== undefined && offset !== 0) {
      if (other.writtenBytes !== offset) throw stillWritten();
      await other.leave();
      if (this.#active.has(key)) throw stillWritten();
    }
    const upload = this.#add(key);
    try {
      upload.writer = await this.#writer(id, offset, other, this.#active.get(key) === upload, signal);
      return upload;
    } catch (error) {
      await upload[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits for all that are under way; the server has ended their calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all].map((upload) => upload.ended));
  }

  #add(key: string): ActiveUpload {
    const upload = new ActiveUpload(() => {
      this.#all.delete(upload);
      if (this.#active.get(key) === upload) this.#active.delete(key);
    });
    this.#all.add(upload);
    if (!this.#active.has(key)) this.#active.set(key, upload);
    return upload;
  }

  async #writer(
    id: UploadId,
    offset: number,
    other: ActiveUpload | undefined,
    isFirst: boolean,
    signal: AbortSignal,
  ): Promise<BlobWriter & Partial<UploadWriter>> {
    const { uploads } = this.#store;
    if (offset === 0) {
      return isFirst
        ? await uploads.begin(id, signal)
        : await this.#store.writer(id.scope, id.digest, signal);
    }
    const writer = await uploads.resume(id, offset, signal);
    if (writer !== undefined) return writer;
    // What the other call took after this one had asked is more than its client knows of.
    if (other !== undefined) throw stillWritten();
    throw invalidArgument(
      "write_offset",
      `This upload stands at ${await uploads.keptBytes(
        id,
      )} bytes, so that a write cannot go on from ${offset}; ` +
        "ask QueryWriteStatus",
    );
  }
}

function stillWritten(): BrokkrError {
  return unavailable(
    "Another call still writes this upload; ask QueryWriteStatus where to go on, and try again",
  );
}
