/**
 * Going on with an upload that another process began.
 *
 * @module
 */

import { BrokkrError, Code, unavailable } from "@brokkr/common";
import type { UploadId, UploadWriter } from "../blob_store.ts";
import { formatDigest } from "../digest.ts";

/**
 * Goes on with what another process wrote. When the whole does not have its digest, the client may be right and the
 * bytes from before damaged, so it is told to begin again and not that it is wrong.
 */
export class InheritedWriter implements UploadWriter {
  readonly #id: UploadId;
  readonly #writer: UploadWriter;

  /** Goes on with `writer`. */
  constructor(id: UploadId, writer: UploadWriter) {
    this.#id = id;
    this.#writer = writer;
  }

  get writtenBytes(): number {
    return this.#writer.writtenBytes;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#writer.write(chunk);
  }

  async commit(): Promise<void> {
    const complete = this.writtenBytes === this.#id.digest.sizeBytes;
    try {
      await this.#writer.commit();
    } catch (error) {
      if (!complete || !(error instanceof BrokkrError) || error.code !== Code.INVALID_ARGUMENT) throw error;
      throw unavailable(
        `What was kept of the upload of blob ${formatDigest(this.#id.digest)} does not fit what followed; ` +
          "nothing is kept of it now, send it from the start",
        0,
        error,
      );
    }
  }

  suspend(): Promise<void> {
    return this.#writer.suspend();
  }

  abort(): Promise<void> {
    return this.#writer.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }
}
