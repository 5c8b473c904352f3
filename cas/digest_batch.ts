/**
 * Packing digests into a {@linkcode DigestBatch} and back.
 *
 * @module
 */

import type { DigestBatch } from "./blob_store.ts";
import type { Digest, DigestFunction, HashHex } from "./digest.ts";
import { invalidArgument } from "@brokkr/common";

/**
 * Packs digests of one function.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when they differ in function.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { batchOf, digestAt, digestOf, SHA256 } from "@brokkr/cas";
 * const digest = digestOf(SHA256, new Uint8Array(3));
 * assertEquals(digestAt(batchOf(SHA256, [digest]), 0), digest);
 * ```
 */
export function batchOf(fn: DigestFunction, digests: readonly Digest[]): DigestBatch {
  const hashes = new Uint8Array(digests.length * fn.hashBytes);
  const sizes = new Float64Array(digests.length);
  for (let i = 0; i < digests.length; i++) {
    const digest = digests[i];
    if (digest.fn !== fn) {
      throw invalidArgument("digest", `A batch of ${fn.name} cannot hold a ${digest.fn.name} digest`);
    }
    hashes.subarray(i * fn.hashBytes, (i + 1) * fn.hashBytes).setFromHex(digest.hash);
    sizes[i] = digest.sizeBytes;
  }
  return { fn, length: digests.length, hashes, sizes };
}

/** The digest at `index` of a batch. */
export function digestAt(batch: DigestBatch, index: number): Digest {
  const { hashBytes } = batch.fn;
  const hash = batch.hashes.subarray(index * hashBytes, (index + 1) * hashBytes).toHex() as HashHex;
  return { fn: batch.fn, hash, sizeBytes: batch.sizes[index] };
}
