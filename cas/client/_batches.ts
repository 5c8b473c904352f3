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
