/**
 * Hashing alone, without chunking and threads: what a command that ends soon has to load.
 *
 * @module
 */

export { HASH_BYTES, type Hasher, type HashName } from "./names.ts";
export { hashBatchHex, hashHex } from "./hash.ts";
export { createHasher } from "./hasher.ts";
