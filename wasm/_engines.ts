/**
 * Which engine computes which function.
 *
 * @module
 */

import type { HashName } from "./names.ts";

/**
 * What computes a hash: `auto` is the faster one for the size, `wasm` the kernels of this member, `node` node:crypto. A
 * function that one of them does not have is refused there.
 */
export type Engine = "auto" | "wasm" | "node";

/** Options of hashing. */
export interface HashOptions {
  /** What computes the hash; `auto` by default. */
  readonly engine?: Engine;
  /** How long a stream is, where that is known; who hashes long ones may do so with more than one thread. */
  readonly sizeBytes?: number;
}

/** The functions of node:crypto. */
export type NodeName = Exclude<HashName, "blake3" | "sha256tree">;

/**
 * Up to which size in bytes a single message of SHA-256 is left to the kernel: two blocks with their padding. Measured by
 * `hash_bench.ts`, as the limits of batches in `hash.ts`.
 */
export const SHA256_LIMIT = 119;

/** Whether node:crypto has a function. */
export function isNodeName(name: HashName): name is NodeName {
  return name !== "blake3" && name !== "sha256tree";
}

/** @throws {RangeError} if the engine that is asked for does not have the function */
export function checkEngine(name: HashName, engine: Engine): void {
  if (engine === "node" && !isNodeName(name)) {
    throw new RangeError(`node:crypto does not compute ${name}; use the engine auto or wasm`);
  }
  if (engine === "wasm" && isNodeName(name) && name !== "sha256") {
    throw new RangeError(`There is no kernel that computes ${name}; use the engine auto or node`);
  }
}
