/**
 * Hashing of what is too large to be hashed in one go.
 *
 * @module
 */

import { Blake3Pair, helpfulThread, secondThread } from "./blake3_threads.ts";
import { createHasher } from "./hasher.ts";
import type { HashName } from "./names.ts";

/** How long the event loop may be held, in milliseconds; no more than 5 are allowed, and the last step may be slow. */
const SLICE_MS = 3;
/** Bytes between two looks at the clock: half a millisecond of the slowest function. */
const STEP_BYTES = 256 * 1024;

/** Options of {@linkcode hashLarge}. */
export interface LargeOptions {
  /**
   * How many threads hash; only BLAKE3 can use a second one, which it does for 2 MiB and more. By default it does so where a
   * core is idle.
   */
  readonly threads?: 1 | 2;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/**
 * The hash of bytes of any length, which must not change meanwhile, or of a stream of them. The event loop has its turn
 * every 3 ms.
 *
 * @throws {unknown} what the signal was aborted with, or what the stream failed with
 *
 * @example
 * ```ts
 * import { hash, hashLarge } from "@brokkr/wasm";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array(1_000_000);
 * assertEquals(await hashLarge("blake3", bytes), hash("blake3", bytes));
 * ```
 */
export async function hashLarge(
  name: HashName,
  source: Uint8Array | AsyncIterable<Uint8Array>,
  options?: LargeOptions,
): Promise<Uint8Array> {
  const { signal, threads } = options ?? {};
  signal?.throwIfAborted();
  const hasher = name === "blake3" && threads !== 1
    ? new Blake3Pair(threads === 2 ? secondThread : helpfulThread)
    : createHasher(name);
  let startedMs = performance.now();
  const add = async (bytes: Uint8Array, sizeBytes?: number) => {
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      const end = Math.min(at + STEP_BYTES, bytes.length);
      const part = bytes.subarray(at, end);
      if (hasher instanceof Blake3Pair) {
        hasher.update(part, sizeBytes === undefined ? undefined : sizeBytes - end);
      } else hasher.update(part);
      if (performance.now() - startedMs < SLICE_MS) continue;
      await new Promise<void>((resolve) => void setImmediate(resolve));
      signal?.throwIfAborted();
      startedMs = performance.now();
    }
  };
  if (source instanceof Uint8Array) {
    await add(source, source.length);
  } else {
    for await (const bytes of source) {
      signal?.throwIfAborted();
      await add(bytes);
    }
  }
  return hasher.digest();
}
