/**
 * Hashing and chunking, by kernels in WebAssembly and by node:crypto, whichever is faster for the size.
 *
 * @module
 */

export type { KernelBuffer } from "./_arena.ts";
export { chunkAndHash, type HashedChunk } from "./chunk_and_hash.ts";
export { chunkLengths, FastCdcChunker } from "./fastcdc.ts";
export {
  type CheckedFastCdcParams,
  checkFastCdcParams,
  type FastCdcParams,
  LEAST_MIN_BYTES,
  MAX_AVG_BYTES,
  MIN_AVG_BYTES,
  MOST_MAX_BYTES,
} from "./fastcdc_params.ts";
export type { Engine, HashOptions } from "./_engines.ts";
export { acquireBuffer, hash, hashBatch, hashBatchHex, hashHex } from "./hash.ts";
export { createHasher } from "./hasher.ts";
export { stopHashThreads } from "./blake3_threads.ts";
export { hashLarge, type LargeOptions } from "./large.ts";
export { HASH_BYTES, type Hasher, type HashName } from "./names.ts";
