/**
 * The compressors of blobs on the wire: their names in resource names, and their numbers in batches.
 *
 * @module
 */

import { Compressor } from "@brokkr/proto";

/** How a blob may be compressed on its way, as names of it have it. */
export type BlobCompressor = "zstd" | "brotli" | "deflate";

/**
 * The compressors that are taken and given, the best first: zstd is faster both ways than what it is smaller than, and
 * brotli at its fastest makes less of binaries in half of deflate's time.
 */
export const BLOB_COMPRESSORS: readonly BlobCompressor[] = ["zstd", "brotli", "deflate"];

/** Their numbers in REAPI. */
export const COMPRESSOR_VALUES: Readonly<Record<BlobCompressor, Compressor>> = {
  zstd: Compressor.ZSTD,
  brotli: Compressor.BROTLI,
  deflate: Compressor.DEFLATE,
};

/** The compressor with a number of REAPI; undefined for 0, which is none, and those that nobody here knows. */
export function compressorOf(value: Compressor): BlobCompressor | undefined {
  return BLOB_COMPRESSORS.find((each) => COMPRESSOR_VALUES[each] === value);
}

/**
 * The best compressor among those that a peer takes; undefined when it takes none that is known here.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { bestCompressor } from "@brokkr/cas";
 * assertEquals(bestCompressor([0, 2, 1, 99]), "zstd");
 * assertEquals(bestCompressor([0]), undefined);
 * ```
 */
export function bestCompressor(values: readonly Compressor[] | undefined): BlobCompressor | undefined {
  return BLOB_COMPRESSORS.find((each) => values?.includes(COMPRESSOR_VALUES[each]));
}
