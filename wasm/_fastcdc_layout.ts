/**
 * Where things lie in the memory of the FastCDC kernel, for its source and its driver.
 *
 * @module
 */

/** Where things lie in the kernel's memory. */
export const FASTCDC_LAYOUT = {
  /** u64[256]: the gear table. At address 0, so that a look-up's address is eight times the byte and nothing else. */
  gear: 0,
  /** u16[64]: eight times each byte that is being looked at. */
  scaled: 2048,
  /** The chunk that is being cut, see {@linkcode FASTCDC_STATE}. */
  state: 4096,
  /** u32[]: the lengths of the chunks that ended in the window; there is room for chunks of 64 bytes. */
  lengths: 8192,
  /** Static data: the gear table of seed 0. */
  data: 32768,
  /** The bytes to scan; one byte that was left over from the last window may lie right before them. */
  window: 65536 - 64,
  /** Bytes of the window: what fits the first-level cache. After it are 64 bytes that are read in vain. */
  windowBytes: 32768,
  /** Pages of 64 KiB. */
  pages: 2,
} as const;

/** Indices of the 32-bit words of the state. */
export const FASTCDC_STATE = {
  /** u64: the gear hash. */
  hash: 0,
  /** How many bytes of the chunk have been scanned or skipped. */
  scanned: 2,
  /** u64: the mask before the average. */
  strict: 4,
  /** u64: the mask after the average. */
  loose: 6,
  /** Where hashing begins: `minBytes`, rounded down to even. */
  min: 8,
  avg: 9,
  max: 10,
  /** Out: how many bytes of the window are left, 0 or 1. */
  left: 11,
  words: 12,
} as const;
