/**
 * The parameters of FastCDC 2020, checked and completed.
 *
 * @module
 */

/** How FastCDC 2020 cuts. Everybody who is to find the same chunks needs the same. */
export interface FastCdcParams {
  /** The size that chunks are to have on average: a power of two from {@linkcode MIN_AVG_BYTES} to {@linkcode MAX_AVG_BYTES}. */
  readonly avgBytes: number;
  /** Changes where the cuts lie: any unsigned 32-bit number, by default 0. */
  readonly seed?: number;
  /** No chunk is shorter, but the last one: by default a quarter of the average, at least {@linkcode LEAST_MIN_BYTES}. */
  readonly minBytes?: number;
  /** No chunk is longer: by default four times the average, at most {@linkcode MOST_MAX_BYTES}. */
  readonly maxBytes?: number;
}

/** The parameters with nothing left out. */
export type CheckedFastCdcParams = Readonly<Required<FastCdcParams>>;

/** Smallest average size of chunks in bytes (the remote execution API's limit). */
export const MIN_AVG_BYTES = 1 << 10;
/** Largest average size of chunks in bytes (the remote execution API's limit). */
export const MAX_AVG_BYTES = 1 << 20;
/** Smallest `minBytes`: the hash looks at the last 64 bytes. */
export const LEAST_MIN_BYTES = 64;
/** Largest `maxBytes`. */
export const MOST_MAX_BYTES = 16 << 20;

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} of FastCDC must be a whole number from ${least} to ${most}, not ${value}`);
}

/**
 * Checks parameters and fills in the defaults.
 *
 * @throws {RangeError} when a parameter is out of its range
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { checkFastCdcParams } from "@brokkr/wasm";
 *
 * assertEquals(checkFastCdcParams({ avgBytes: 1 << 18 }), {
 *   avgBytes: 1 << 18,
 *   seed: 0,
 *   minBytes: 1 << 16,
 *   maxBytes: 1 << 20,
 * });
 * ```
 */
export function checkFastCdcParams(params: FastCdcParams): CheckedFastCdcParams {
  const avgBytes = whole("avgBytes", params.avgBytes, MIN_AVG_BYTES, MAX_AVG_BYTES);
  if ((avgBytes & (avgBytes - 1)) !== 0) {
    throw new RangeError(`avgBytes of FastCDC must be a power of two, not ${avgBytes}`);
  }
  return {
    avgBytes,
    seed: whole("seed", params.seed ?? 0, 0, 2 ** 32 - 1),
    minBytes: whole("minBytes", params.minBytes ?? avgBytes / 4, LEAST_MIN_BYTES, avgBytes),
    maxBytes: whole("maxBytes", params.maxBytes ?? avgBytes * 4, avgBytes, MOST_MAX_BYTES),
  };
}

/**
 * The masks for averages of 2^8 to 2^22 bytes, spread as the paper does (W. Xia et al., "The Design of Fast Content-Defined
 * Chunking for Data Deduplication Based Storage Systems", IEEE TPDS 31(9), 2020). Which bits they have cannot be derived: they
 * are those of the algorithm's published implementations. A boundary is where the hash has zeros under all bits of the mask.
 */
const MASKS: readonly bigint[] = [
  0x0000001800035300n,
  0x0000019000353000n,
  0x0000590003530000n,
  0x0000d90003530000n,
  0x0000d90103530000n,
  0x0000d90303530000n,
  0x0000d90313530000n,
  0x0000d90f03530000n,
  0x0000d90303537000n,
  0x0000d90703537000n,
  0x0000d90707537000n,
  0x0000d91707537000n,
  0x0000d91747537000n,
  0x0000d91767537000n,
  0x0000d93767537000n,
];
const FIRST_MASK_BITS = 8;
/** By how many doublings of size the masks before and after the average differ from the one of the average. */
const NORMALIZATION = 2;

/** The masks of an average size: `strict` before a chunk has reached it, `loose` after. */
export function fastCdcMasks(avgBytes: number): { readonly strict: bigint; readonly loose: bigint } {
  const at = Math.log2(avgBytes) - FIRST_MASK_BITS;
  return { strict: MASKS[at + NORMALIZATION], loose: MASKS[at - NORMALIZATION] };
}
