/**
 * Batches of any size.
 *
 * @module
 */

import type { HashOptions } from "./_engines.ts";
import { hashBatchHex } from "./hash.ts";
import type { HashName } from "./names.ts";

/** What is hashed at a time: a millisecond or two of the slowest function. */
const SLICE_BYTES = 512 * 1024;
const SLICE_MESSAGES = 4096;

/** Options of {@linkcode hashBatchInSlices}. */
export interface SlicedBatchOptions extends HashOptions {
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/**
 * The hashes of many inputs in lower-case hex, which must not change meanwhile; the event loop has its turn in between,
 * unless they are few. A single input is not divided: above some megabytes, give it to `hashLarge`.
 *
 * @throws {RangeError} if the engine that is asked for does not have the function
 * @throws {unknown} what the signal was aborted with
 *
 * @example
 * ```ts
 * import { hashBatchHex, hashBatchInSlices } from "@brokkr/wasm";
 * import { assertEquals } from "@std/assert";
 *
 * const inputs = Array.from({ length: 10_000 }, (_, i) => Uint8Array.of(i, i >> 8));
 * assertEquals(await hashBatchInSlices("sha256", inputs), hashBatchHex("sha256", inputs));
 * ```
 */
export async function hashBatchInSlices(
  name: HashName,
  inputs: readonly Uint8Array[],
  options: SlicedBatchOptions = {},
): Promise<string[]> {
  const hashes: string[] = [];
  for (let from = 0; from < inputs.length;) {
    if (from > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    options.signal?.throwIfAborted();
    let end = from;
    for (let bytes = 0; end < inputs.length && end - from < SLICE_MESSAGES && bytes < SLICE_BYTES; end++) {
      bytes += inputs[end].length;
    }
    const slice = hashBatchHex(
      name,
      from === 0 && end === inputs.length ? inputs : inputs.slice(from, end),
      options,
    );
    for (const hash of slice) hashes.push(hash);
    from = end;
  }
  return hashes;
}
