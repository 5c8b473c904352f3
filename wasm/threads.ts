/**
 * Two threads for the long streams of a process that hashes many of them.
 *
 * @module
 */

import { Blake3Pair, helpfulThread, TWO_THREADS_BYTES } from "./blake3_threads.ts";
import { hashLongStreamsBy } from "./hasher.ts";

/**
 * From now on {@linkcode createHasher} has BLAKE3 streams that are said to be long hashed by two threads, where the machine
 * has a core to spare. Servers and workers say so; a command that ends soon would pay for the thread and not use it.
 *
 * @example
 * ```ts
 * import { createHasher, hash } from "@brokkr/wasm";
 * import { hashLongStreamsOnTwoThreads } from "@brokkr/wasm/threads";
 * import { assertEquals } from "@std/assert";
 *
 * hashLongStreamsOnTwoThreads();
 * const bytes = new Uint8Array(5_000_000);
 * const hasher = createHasher("blake3", { sizeBytes: bytes.length });
 * hasher.update(bytes);
 * assertEquals(hasher.digest(), hash("blake3", bytes));
 * ```
 */
export function hashLongStreamsOnTwoThreads(): void {
  hashLongStreamsBy(TWO_THREADS_BYTES, () => new Blake3Pair(helpfulThread));
}
