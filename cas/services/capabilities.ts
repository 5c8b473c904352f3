/**
 * What the store and the action cache advertise.
 *
 * @module
 */

import { type CacheCapabilities, Compressor, type Init, SymlinkAbsolutePathStrategy } from "@brokkr/proto";
import { MAX_BATCH_TOTAL_BYTES } from "@brokkr/proto/rpc/server";
import { DIGEST_FUNCTIONS } from "../digest.ts";

/** What {@linkcode casCapabilities} depends on. */
export interface CasCapabilitiesOptions {
  /** Largest blob taken, in bytes; no limit by default. */
  readonly maxBlobBytes?: number;
  /** Whether clients may bring results; true by default. */
  readonly updateEnabled?: boolean;
}

/** The CacheCapabilities of the services of this member: what is listed works, what works is listed. */
export function casCapabilities(options: CasCapabilitiesOptions = {}): Init<CacheCapabilities> {
  return {
    digestFunctions: DIGEST_FUNCTIONS.map((fn) => fn.value),
    actionCacheUpdateCapabilities: { updateEnabled: options.updateEnabled ?? true },
    maxBatchTotalSizeBytes: MAX_BATCH_TOTAL_BYTES,
    maxCasBlobSizeBytes: options.maxBlobBytes ?? 0,
    symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy.ALLOWED,
    supportedCompressors: [Compressor.ZSTD],
    supportedBatchUpdateCompressors: [Compressor.ZSTD],
  };
}
