/**
 * Dividing blobs into batch calls and streams.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument } from "@brokkr/common";
import { type Digest, type DigestFunction, digestKey, formatDigest } from "../digest.ts";

/** What a blob takes in a message beside its bytes, generously. */
const ENTRY_OVERHEAD_BYTES = 160;

/** Blobs divided by how they travel. */
export interface Division<T> {
  /** Small ones, in batches. */
  readonly batches: readonly (readonly T[])[];
  /** Large ones, each in a stream of its own. */
  readonly large: readonly T[];
  /** Blobs in all. */
  readonly totalBlobs: number;
  /** Bytes in all. */
  readonly totalBytes: number;
}

/** Divides blobs so that each batch with its framing stays within `maxBatchBytes`. */
export function divide<T extends { readonly digest: Digest }>(
  blobs: readonly T[],
  maxBatchBytes: number,
): Division<T> {
  const batches: T[][] = [];
  const large: T[] = [];
  let batch: T[] = [];
  let batchBytes = 0;
  let totalBytes = 0;
  for (const blob of blobs) {
    const { sizeBytes } = blob.digest;
    totalBytes += sizeBytes;
    if (sizeBytes > maxBatchBytes / 2) {
      large.push(blob);
      continue;
    }
    if (batch.length > 0 && batchBytes + sizeBytes + ENTRY_OVERHEAD_BYTES > maxBatchBytes) {
      batches.push(batch);
      batch = [];
      batchBytes = 0;
    }
    batch.push(blob);
    batchBytes += sizeBytes + ENTRY_OVERHEAD_BYTES;
  }
  if (batch.length > 0) batches.push(batch);
  return { batches, large, totalBlobs: blobs.length, totalBytes };
}

/** Each blob once, checked to be of the function `fn`. */
export function unique<T extends { readonly digest: Digest }>(blobs: readonly T[], fn: DigestFunction): T[] {
  const byKey = new Map<string, T>();
  for (const blob of blobs) {
    const key = digestKey(blob.digest);
    const before = byKey.get(key);
    if (before === undefined) {
      if (blob.digest.fn !== fn) {
        throw invalidArgument("digest", `This client works with ${fn.name}, not ${blob.digest.fn.name}`);
      }
      byKey.set(key, blob);
    } else if (before.digest.sizeBytes !== blob.digest.sizeBytes) {
      throw invalidArgument(
        "digest",
        `One hash is given two sizes: ${formatDigest(before.digest)} and ${formatDigest(blob.digest)}`,
      );
    }
  }
  return [...byKey.values()];
}

/** Throws DATA_LOSS unless `data` has this digest. */
export function verify(digest: Digest, data: Uint8Array): void {
  if (data.length !== digest.sizeBytes) throw wrongSize(digest, data.length);
  const hash = digest.fn.hash(data);
  if (hash !== digest.hash) throw wrongHash(digest, hash);
}

/** Blobs are verified when there are so many bytes of them: a fraction of a millisecond of work, and little memory. */
const TOGETHER_BYTES = 128 << 10;

/** Verifies blobs of one function many at a time, which takes less time for small ones, and hands them on. */
export class VerifiedSink {
  readonly #sink: (digest: Digest, data: Uint8Array) => Promise<void>;
  #waiting: { readonly digest: Digest; readonly data: Uint8Array }[] = [];
  #bytes = 0;

  /** Verifies for `sink`. */
  constructor(sink: (digest: Digest, data: Uint8Array) => Promise<void>) {
    this.#sink = sink;
  }

  /**
   * Takes a blob, which is handed on now or later.
   *
   * @throws {BrokkrError} DATA_LOSS when one that was taken does not have its digest; what was taken with it is not handed
   * on then.
   */
  async add(digest: Digest, data: Uint8Array): Promise<void> {
    if (data.length !== digest.sizeBytes) throw wrongSize(digest, data.length);
    this.#waiting.push({ digest, data });
    this.#bytes += data.length;
    if (this.#bytes >= TOGETHER_BYTES) await this.flush();
  }

  /** Hands on what was taken; throws as {@linkcode VerifiedSink.add} does. */
  async flush(): Promise<void> {
    const blobs = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (blobs.length === 0) return;
    const { fn } = blobs[0].digest;
    const hashes = blobs.length === 1
      ? [fn.hash(blobs[0].data)]
      : fn.hashBatch(blobs.map(({ data }) => data));
    blobs.forEach(({ digest }, i) => {
      if (hashes[i] !== digest.hash) throw wrongHash(digest, hashes[i]);
    });
    for (const { digest, data } of blobs) await this.#sink(digest, data);
  }
}

/** DATA_LOSS for a blob that came with another hash. */
export function wrongHash(digest: Digest, hash: string): BrokkrError {
  return new BrokkrError(
    Code.DATA_LOSS,
    `Blob ${formatDigest(digest)} came with the hash ${hash}; it was damaged in the store or on the way`,
  );
}

/** DATA_LOSS for a blob that came with another size. */
export function wrongSize(digest: Digest, sizeBytes: number): BrokkrError {
  return new BrokkrError(
    Code.DATA_LOSS,
    `Blob ${formatDigest(digest)} came with ${sizeBytes} bytes; it was damaged in the store or on the way`,
  );
}

/** The error in a per-blob status, or undefined when it is OK. */
export function statusError(
  status: { readonly code: number; readonly message: string } | undefined,
  digest: Digest,
): BrokkrError | undefined {
  if (status === undefined || status.code === Code.OK) return undefined;
  const message = status.message === "" ? `Blob ${formatDigest(digest)} could not be moved` : status.message;
  return new BrokkrError(status.code as Code, message);
}
