/**
 * What every blob store checks: that data has its digest, that a range lies within a blob, that a blob is the empty
 * one.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, notFound } from "@brokkr/common";
import type { DigestBatch, ReadRange } from "../blob_store.ts";
import { type Digest, type DigestFunction, formatDigest } from "../digest.ts";

/** Largest piece that a store hands out or hashes at once. */
export const PIECE_BYTES = 1 << 20;

const emptyHashes = new Map<DigestFunction, { readonly hex: string; readonly raw: Uint8Array }>();

/** Hash of no bytes, in hex and raw. */
export function emptyHash(fn: DigestFunction): { readonly hex: string; readonly raw: Uint8Array } {
  let hash = emptyHashes.get(fn);
  if (hash === undefined) {
    const hex = fn.hash(new Uint8Array(0));
    hash = { hex, raw: Uint8Array.fromHex(hex) };
    emptyHashes.set(fn, hash);
  }
  return hash;
}

/** Whether `digest` names the empty blob, which is always there. */
export function isEmptyBlob(digest: Digest): boolean {
  return digest.sizeBytes === 0 && digest.hash === emptyHash(digest.fn).hex;
}

/** Whether entry `index` of a batch names the empty blob. */
export function isEmptyAt(batch: DigestBatch, index: number): boolean {
  if (batch.sizes[index] !== 0) return false;
  const { raw } = emptyHash(batch.fn);
  const at = index * batch.fn.hashBytes;
  for (let i = 0; i < raw.length; i++) if (batch.hashes[at + i] !== raw[i]) return false;
  return true;
}

/** Throws INVALID_ARGUMENT unless `length` is the size that `digest` says. */
export function checkSize(digest: Digest, length: number): void {
  if (length === digest.sizeBytes) return;
  throw invalidArgument(
    "data",
    `Blob ${formatDigest(digest)} must have ${digest.sizeBytes} bytes, but ${length} were sent`,
  );
}

/** Throws INVALID_ARGUMENT when more bytes came than `digest` says. */
export function checkNotOver(digest: Digest, length: number): void {
  if (length > digest.sizeBytes) {
    throw invalidArgument(
      "data",
      `Blob ${formatDigest(digest)} must have ${digest.sizeBytes} bytes, but at least ${length} were sent`,
    );
  }
}

/** Throws INVALID_ARGUMENT unless `hash` is the one that `digest` says. */
export function checkHash(digest: Digest, hash: string): void {
  if (hash !== digest.hash) throw hashError(digest, hash);
}

/** INVALID_ARGUMENT for data that has another hash than `digest` says. */
export function hashError(digest: Digest, hash: string): BrokkrError {
  return invalidArgument(
    "data",
    `Data sent as blob ${formatDigest(digest)} has ${digest.fn.name} hash ${hash}`,
  );
}

/** Throws INVALID_ARGUMENT when a blob is larger than the store takes. */
export function checkMaxSize(digest: Digest, maxBlobBytes: number): void {
  if (digest.sizeBytes > maxBlobBytes) {
    throw invalidArgument(
      "digest.size_bytes",
      `Blob ${formatDigest(digest)} is larger than the ${maxBlobBytes} bytes that this store takes`,
    );
  }
}

/** Throws INTERNAL when a batch's arrays are too short for what it says it holds. */
export function checkBatch(batch: DigestBatch): void {
  if (batch.hashes.length < batch.length * batch.fn.hashBytes || batch.sizes.length < batch.length) {
    throw new BrokkrError(Code.INTERNAL, `A batch of ${batch.length} digests lacks hashes or sizes`);
  }
}

/** NOT_FOUND naming a blob. */
export function noSuchBlob(digest: Digest): BrokkrError {
  return notFound(`No blob ${formatDigest(digest)} in this store`);
}

/**
 * The part of a blob that `range` means, as `[start, end)`.
 *
 * @throws {BrokkrError} OUT_OF_RANGE when it begins beyond the end, or before the start.
 */
export function resolveRange(digest: Digest, range: ReadRange | undefined): { start: number; end: number } {
  const start = range?.offset ?? 0;
  const limit = range?.limit ?? Infinity;
  if (!Number.isSafeInteger(start) || start < 0 || start > digest.sizeBytes) {
    throw new BrokkrError(
      Code.OUT_OF_RANGE,
      `Cannot read from offset ${start} of blob ${
        formatDigest(digest)
      }: it must lie in 0 to ${digest.sizeBytes}`,
    );
  }
  if (!(limit >= 0)) throw invalidArgument("limit", `Cannot read ${limit} bytes; give 0 or more`);
  return { start, end: Math.min(digest.sizeBytes, start + limit) };
}
