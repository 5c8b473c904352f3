/**
 * Work on many digests in slices, so that the event loop gets its turn.
 *
 * @module
 */

import { type Scope, Slices } from "@brokkr/common";
import type { BlobStore, DigestBatch, MissingOptions } from "./blob_store.ts";
import type { Digest, DigestFunction } from "./digest.ts";
import { batchOf } from "./digest_batch.ts";

/** Digests packed or looked up in one go: some 2 ms. */
export const SLICE_DIGESTS = 8192;

function* slicesOf(batch: DigestBatch): Generator<{ readonly from: number; readonly slice: DigestBatch }> {
  const { fn, hashes, sizes } = batch;
  for (let from = 0; from < batch.length; from += SLICE_DIGESTS) {
    const to = Math.min(batch.length, from + SLICE_DIGESTS);
    const slice = {
      fn,
      length: to - from,
      hashes: hashes.subarray(from * fn.hashBytes, to * fn.hashBytes),
      sizes: sizes.subarray(from, to),
    };
    yield { from, slice };
  }
}

/** As `store.missing`; a batch of one slice is answered without a promise when the store does. */
export function missingInSlices(
  store: BlobStore,
  scope: Scope,
  batch: DigestBatch,
  options?: MissingOptions,
): Uint32Array | Promise<Uint32Array> {
  return batch.length <= SLICE_DIGESTS
    ? store.missing(scope, batch, options)
    : missingOfMany(store, scope, batch, options);
}

async function missingOfMany(
  store: BlobStore,
  scope: Scope,
  batch: DigestBatch,
  options?: MissingOptions,
): Promise<Uint32Array> {
  const missing: number[] = [];
  const slices = new Slices();
  for (const { from, slice } of slicesOf(batch)) {
    if (slices.spent) await slices.next();
    for (const index of await store.missing(scope, slice, options)) missing.push(from + index);
  }
  return Uint32Array.from(missing);
}

/** As `store.pin`. */
export async function pinInSlices(
  store: BlobStore,
  scope: Scope,
  batch: DigestBatch,
  durationMs: number,
): Promise<void> {
  const slices = new Slices();
  for (const { slice } of slicesOf(batch)) {
    if (slices.spent) await slices.next();
    await store.pin(scope, slice, durationMs);
  }
}

/** As `batchOf`. */
export async function batchInSlices(fn: DigestFunction, digests: readonly Digest[]): Promise<DigestBatch> {
  if (digests.length <= SLICE_DIGESTS) return batchOf(fn, digests);
  const hashes = new Uint8Array(digests.length * fn.hashBytes);
  const sizes = new Float64Array(digests.length);
  const slices = new Slices();
  for (let from = 0; from < digests.length; from += SLICE_DIGESTS) {
    if (slices.spent) await slices.next();
    const slice = batchOf(fn, digests.slice(from, from + SLICE_DIGESTS));
    hashes.set(slice.hashes, from * fn.hashBytes);
    sizes.set(slice.sizes, from);
  }
  return { fn, length: digests.length, hashes, sizes };
}
