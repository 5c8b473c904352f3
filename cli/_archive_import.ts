/**
 * Bringing what an archive holds into a grid, a bounded part of it in memory at a time.
 *
 * @module
 */

import { type CasClient, type Digest, type DigestFunction, digestOf, formatDigest } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import { type ArchivedBlob, type Manifest, openArchive } from "./_archive.ts";
import { damagedArchive } from "./_tar.ts";

/** Options of an import. */
export interface ImportOptions {
  /** Told how far it is. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** What is done with what was imported. */
export interface ImportSteps extends ImportOptions {
  /** Puts a result into the action cache. */
  readonly store: (action: Digest, result: Uint8Array, signal: AbortSignal | undefined) => Promise<void>;
  /** Throws when something that belongs to the action is not there. */
  readonly checkWhole: (action: Digest, signal: AbortSignal | undefined) => Promise<void>;
}

/** What an import came to. */
export interface ImportResult {
  /** What the archive says of itself. */
  readonly manifest: Manifest;
  /** Blobs that the grid lacked. */
  readonly blobs: number;
  /** Their bytes. */
  readonly bytes: number;
}

/** Blobs up to this are uploaded together. */
const SMALL_BYTES = 1 << 20;
/** Bytes and number of those that are in memory at a time. */
const GROUP_BYTES = 8 << 20;
const GROUP_BLOBS = 2000;
/** Largest encoded result that a grid takes. */
const MAX_RESULT_BYTES = 4_000_000;

/** Imports an archive; see {@linkcode StoreClient.importArchive}. `casOf` gives the store by the function of digests. */
export async function importArchive(
  casOf: (fn: DigestFunction) => CasClient,
  source: AsyncIterable<Uint8Array>,
  steps: ImportSteps,
): Promise<ImportResult> {
  const { signal } = steps;
  const { manifest, blobs } = await openArchive(source);
  const { action, result } = manifest;
  if (result !== undefined && result.sizeBytes > MAX_RESULT_BYTES) {
    throw damagedArchive(
      `its result has ${result.sizeBytes} bytes; a grid takes at most ${MAX_RESULT_BYTES}`,
    );
  }
  const upload = new Upload(casOf(action.fn), steps.signal);
  let resultBytes = result !== undefined && result.sizeBytes === 0 ? emptyResult(result) : undefined;
  let bytes = 0;
  for await (const blob of blobs) {
    if (blob.digest.hash === result?.hash) {
      resultBytes = await wholeOf(blob);
      await upload.addSmall(blob.digest, resultBytes);
    } else await upload.add(blob);
    steps.onProgress?.(bytes += blob.digest.sizeBytes, manifest.bytes);
  }
  await upload.flush();
  if (result !== undefined && resultBytes === undefined) {
    throw damagedArchive(`it lacks the result ${formatDigest(result)} of its manifest`);
  }
  if (manifest.inputs) await steps.checkWhole(action, signal);
  // Last: it is found only once all that it promises is there.
  if (resultBytes !== undefined) await steps.store(action, resultBytes, signal);
  return { manifest, blobs: upload.blobs, bytes: upload.bytes };
}

function emptyResult(result: Digest): Uint8Array {
  const empty = new Uint8Array();
  if (digestOf(result.fn, empty).hash !== result.hash) {
    throw damagedArchive(`${formatDigest(result)} names no result`);
  }
  return empty;
}

async function wholeOf({ digest, data }: ArchivedBlob): Promise<Uint8Array> {
  const whole = new Uint8Array(digest.sizeBytes);
  let length = 0;
  for await (const piece of data) {
    whole.set(piece, length);
    length += piece.length;
  }
  return whole;
}

/** Uploads what the grid lacks: small blobs together, large ones as they come out of the archive. */
class Upload {
  blobs = 0;
  bytes = 0;
  readonly #cas: CasClient;
  readonly #signal: AbortSignal | undefined;
  #waiting: { readonly digest: Digest; readonly data: Uint8Array }[] = [];
  #waitingBytes = 0;

  constructor(cas: CasClient, signal: AbortSignal | undefined) {
    this.#cas = cas;
    this.#signal = signal;
  }

  async add(blob: ArchivedBlob): Promise<void> {
    if (blob.digest.sizeBytes <= SMALL_BYTES) await this.addSmall(blob.digest, await wholeOf(blob));
    else await this.#addLarge(blob);
  }

  async addSmall(digest: Digest, data: Uint8Array): Promise<void> {
    this.#waiting.push({ digest, data });
    this.#waitingBytes += data.length;
    if (this.#waitingBytes >= GROUP_BYTES || this.#waiting.length >= GROUP_BLOBS) await this.flush();
  }

  async flush(): Promise<void> {
    const group = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (group.length === 0) return;
    const { blobs, bytes } = await this.#cas.upload(group, { signal: this.#signal });
    this.blobs += blobs;
    this.bytes += bytes;
  }

  async #addLarge({ digest, data }: ArchivedBlob): Promise<void> {
    const missing = await this.#cas.findMissing([digest], { signal: this.#signal });
    if (missing.length === 0) {
      for await (const _ of data); // it is compared with its hash all the same
      return;
    }
    let begun = false;
    const onlyOnce = () => {
      // What went by cannot be read again. The next import finds what has come so far.
      if (begun) {
        throw new BrokkrError(
          Code.FAILED_PRECONDITION,
          `The upload of blob ${formatDigest(digest)} broke off; import the archive again`,
        );
      }
      begun = true;
      return data;
    };
    await this.#cas.uploadKnownMissing([{ digest, data: onlyOnce }], { signal: this.#signal });
    this.blobs++;
    this.bytes += digest.sizeBytes;
  }
}
