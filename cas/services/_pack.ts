/**
 * Digests as they lie in a request, packed for the store without a string or an object for each.
 *
 * @module
 */

import { invalidArgument } from "@brokkr/common";
import { type PackedDigests, packedHash } from "@brokkr/proto";
import type { DigestBatch } from "../blob_store.ts";
import { type DigestFunction, makeDigest, resolveDigestFunction } from "../digest.ts";

/** Value of a lower-case hexadecimal digit by its character; 16 for what is none. */
const NIBBLES = new Uint8Array(256).fill(16);
for (let i = 0; i < 16; i++) NIBBLES["0123456789abcdef".charCodeAt(i)] = i;

/**
 * The function that a request means.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when it is unknown or not supported here.
 */
export function functionOf(digests: PackedDigests, value: number): DigestFunction {
  // Without digests and without a name nothing is asked, so that any function will do.
  return resolveDigestFunction(value, digests.count === 0 && value === 0 ? 64 : digests.hashLength[0] ?? 0);
}

/**
 * Packs the digests from `from` to `to`.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the first that is malformed.
 */
export function packDigests(
  digests: PackedDigests,
  fn: DigestFunction,
  from: number,
  to: number,
): DigestBatch {
  const { bytes, hashStart, hashLength } = digests;
  const { hashBytes } = fn;
  const length = to - from;
  const hashes = new Uint8Array(length * hashBytes);
  const sizes = new Float64Array(length);
  let out = 0;
  for (let i = from; i < to; i++) {
    if (hashLength[i] !== hashBytes * 2) throw malformed(digests, fn, i);
    let at = hashStart[i];
    let bad = 0;
    for (const end = out + hashBytes; out < end; out++, at += 2) {
      const high = NIBBLES[bytes[at]];
      const low = NIBBLES[bytes[at + 1]];
      bad |= high | low;
      hashes[out] = high << 4 | low;
    }
    const size = digests.size[i];
    if (bad >= 16 || !(size >= 0) || size > Number.MAX_SAFE_INTEGER) throw malformed(digests, fn, i);
    sizes[i - from] = size;
  }
  return { fn, length, hashes, sizes };
}

/** What is wrong with digest `i`. */
function malformed(digests: PackedDigests, fn: DigestFunction, i: number): Error {
  const field = `blob_digests[${i}]`;
  try {
    makeDigest(fn, packedHash(digests, i), digests.size[i]);
  } catch (error) {
    return invalidArgument(field, error instanceof Error ? error.message : String(error));
  }
  return invalidArgument(field, "A digest is malformed");
}
