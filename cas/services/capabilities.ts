/**
 * What the store and the action cache advertise.
 *
 * @module
 */

import { type CacheCapabilities, type Init, SymlinkAbsolutePathStrategy } from "@brokkr/proto";
import { MAX_BATCH_TOTAL_BYTES } from "@brokkr/proto/rpc/server";
import type { BlobStore } from "../blob_store.ts";
import { BLOB_COMPRESSORS, COMPRESSOR_VALUES } from "../compressors.ts";
import { DIGEST_FUNCTIONS } from "../digest.ts";
import { CHUNK_AVG_BYTES, CHUNK_SEED } from "../store/_cut.ts";

/** What {@linkcode casCapabilities} depends on. */
export interface CasCapabilitiesOptions {
  /** Largest blob taken, in bytes; no limit by default. */
  readonly maxBlobBytes?: number;
  /** Whether clients may bring results; true by default. */
  readonly updateEnabled?: boolean;
  /** The store, which may split and splice blobs; by default neither. */
  readonly store?: Pick<BlobStore, "split" | "splice">;
}

/** The CacheCapabilities of the services of this member: what is listed works, what works is listed. */
export function casCapabilities(options: CasCapabilitiesOptions = {}): Init<CacheCapabilities> {
  const splitBlobSupport = options.store?.split !== undefined;
  const spliceBlobSupport = options.store?.splice !== undefined;
  const compressors = BLOB_COMPRESSORS.map((name) => COMPRESSOR_VALUES[name]);
  return {
    digestFunctions: DIGEST_FUNCTIONS.map((fn) => fn.value),
    actionCacheUpdateCapabilities: { updateEnabled: options.updateEnabled ?? true },
    maxBatchTotalSizeBytes: MAX_BATCH_TOTAL_BYTES,
    maxCasBlobSizeBytes: options.maxBlobBytes ?? 0,
    symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy.ALLOWED,
    supportedCompressors: compressors,
    supportedBatchUpdateCompressors: compressors,
    splitBlobSupport,
    spliceBlobSupport,
    ...(splitBlobSupport || spliceBlobSupport
      ? { fastCdc2020Params: { avgChunkSizeBytes: CHUNK_AVG_BYTES, seed: CHUNK_SEED } }
      : {}),
  };
}
