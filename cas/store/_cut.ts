/**
 * How blobs are cut here, so that versions of one share chunks: FastCDC 2020, with the parameters that clients are told.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { FastCdcChunker } from "@brokkr/wasm";

/** Average size of chunks, in bytes: the largest, four times that, still fits a record. */
export const CHUNK_AVG_BYTES = 256 << 10;
/** Smallest size of a chunk that is not the last. */
export const CHUNK_MIN_BYTES = CHUNK_AVG_BYTES / 4;
/** Largest size of a chunk. What is no larger is not cut. */
export const CHUNK_MAX_BYTES = CHUNK_AVG_BYTES * 4;
/** Seed of the cuts. */
export const CHUNK_SEED = 0;

/** Bytes looked at between two looks at the time: a fraction of a millisecond. */
const STEP_BYTES = 256 << 10;

/** The chunks of what `pieces` are together, in order; each has its own bytes. */
export async function* cut(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const slices = new Slices(signal);
  const chunker = new FastCdcChunker({ avgBytes: CHUNK_AVG_BYTES, seed: CHUNK_SEED });
  // No chunk is longer, and at most one step more is held than what waits for its end.
  const held = new Uint8Array(CHUNK_MAX_BYTES + 2 * STEP_BYTES);
  let used = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += STEP_BYTES) {
      const step = piece.subarray(at, at + STEP_BYTES);
      held.set(step, used);
      used += step.length;
      let from = 0;
      for (const length of chunker.push(step)) {
        yield held.slice(from, from + length);
        from += length;
      }
      held.copyWithin(0, from, used);
      used -= from;
      if (slices.spent) await slices.next();
    }
  }
  const last = chunker.finish();
  if (last > 0) yield held.slice(0, last);
}
