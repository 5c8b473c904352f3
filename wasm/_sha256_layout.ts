/**
 * The memory of the kernel of SHA-256.
 *
 * @module
 */

/** Messages of a batch that the kernel takes at once. */
export const MAX_JOBS = 1024;

/** As much as stays in the second-level cache while it is hashed. */
export const STAGING_BYTES = 256 * 1024;

/** Buffers that are lent. */
export const ARENA = { slots: 4, slotBytes: 1024 * 1024 } as const;

/** What lies where. The kernel may read up to 63 bytes behind a message, so the last page has nothing. */
export const LAYOUT = {
  /** The message schedule of four lanes: 16 vectors. */
  schedule: 0,
  /** The round constants, each four times: 64 vectors. */
  constants: 256,
  /** The states of the four lanes, transposed: 8 vectors. */
  lanes: 1280,
  /** A scalar state: 8 words. */
  state: 1408,
  /** Jobs of a batch that the kernel makes itself: pairs of address and length. */
  leafJobs: 1472,
  /** The last one or two blocks of the message in each lane: 4 times 128 bytes. */
  tails: 1536,
  /** Round constants plus schedule of the block of padding that ends a leaf, each four times: 64 vectors. */
  leafPadding: 2048,
  /** The same for a message of one block. */
  blockPadding: 3072,
  /** The jobs of a batch: pairs of address and length. */
  jobs: 4096,
  /** Digests of a batch, or of the leaves of a segment. */
  digests: 4096 + MAX_JOBS * 8,
  /** The tables as they come with the module: 192 words. */
  data: 49152,
  /** Where messages are copied to. */
  staging: 65536,
  /** The buffers that are lent. */
  arena: 65536 + STAGING_BYTES,
  /** Pages of 64 KiB. */
  pages: 70,
} as const;
