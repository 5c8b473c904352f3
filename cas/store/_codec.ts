/**
 * How the data of a record is kept: as it is, or as one zstd frame where that saves enough.
 *
 * Most of what builds store compresses to a third; archives, pictures and what is encrypted does not, and must not pay
 * for the rest. So the bytes are looked at before they are compressed: a sample of them is counted, and where every value
 * is about as frequent as any other no compressor finds anything worth having. What saves less than an eighth all the
 * same is kept as it is.
 *
 * @module
 */

import { Semaphore } from "@brokkr/common";
import type { Digest } from "../digest.ts";
import { checkHash } from "./_checks.ts";
import { FrameMaker, FrameReader } from "./_frame_codec.ts";
import { recordBytes } from "./_record.ts";
import { TurnShare } from "./_turn_share.ts";

/**
 * Smaller blobs are kept as they are: what is saved of them is little beside a record's head, its entry in the index and
 * its sync.
 */
export const MIN_PACKED_BYTES = 512;

/** What is compressed at once: a quarter of a millisecond of work. */
const STEP_BYTES = 64 << 10;

/** What is compressed in one turn of the event loop, whoever asks for it: two milliseconds of work. */
const TURN_BYTES = 512 << 10;

/** What is decompressed in one turn, whoever asks for it: as long. */
const UNPACKED_TURN_BYTES = 1 << 20;

/** Bytes that lie together in a sample; fewer would meet the same column of a table again and again. */
const RUN_BYTES = 16;
/** Runs of a sample. */
const RUNS = 32;
/** A sample. */
const SAMPLE_BYTES = RUNS * RUN_BYTES;

/**
 * How many values seem to be used, all as often, judged by the pairs of equal bytes in a sample. Random bytes use 256.
 * Where it is 190 or more a byte tells at least 7.57 bits (by Rényi's entropy of order 2, which is never more than
 * Shannon's), so that giving frequent ones shorter codes saves a twentieth at most.
 */
const VALUES_OF_PACKED = 190;

const counts = new Uint32Array(256);

/**
 * Whether bytes look as if they were compressed or encrypted: in a sample of 512, spread over all of them, no value shows
 * more often than others. Takes half a microsecond whatever the size. It sees no repetitions: noise that is there twice
 * looks packed.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { looksPacked } from "./_codec.ts";
 * assert(looksPacked(crypto.getRandomValues(new Uint8Array(10_000))));
 * assert(!looksPacked(new TextEncoder().encode("#include <stdio.h>\n".repeat(500))));
 * ```
 */
export function looksPacked(data: Uint8Array): boolean {
  counts.fill(0);
  if (data.length <= SAMPLE_BYTES) {
    count(data, 0, data.length);
  } else {
    const span = data.length - RUN_BYTES;
    for (let run = 0; run < RUNS; run++) {
      const at = Math.floor(span * run / (RUNS - 1));
      count(data, at, at + RUN_BYTES);
    }
  }
  let squares = 0;
  for (let value = 0; value < 256; value++) squares += counts[value] * counts[value];
  const sample = Math.min(data.length, SAMPLE_BYTES);
  return squares < sample + sample * (sample - 1) / VALUES_OF_PACKED;
}

function count(data: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) counts[data[i]]++;
}

const maker = new FrameMaker();
const reader = new FrameReader();

/**
 * The zstd frame as which a blob of 1 MiB at most is to be kept, with its size in its header; undefined when it is to be
 * kept as it is. A view that is good until the next call, which takes some four milliseconds for the largest.
 */
export function packRecord(data: Uint8Array): Uint8Array | undefined {
  if (data.length < MIN_PACKED_BYTES || looksPacked(data)) return undefined;
  return ifShorter(maker.end(data), data.length);
}

/** `frame` where it takes an eighth less on disk than the data it holds. */
function ifShorter(frame: Uint8Array, sizeBytes: number): Uint8Array | undefined {
  return 8 * recordBytes(32, frame.length) <= 7 * recordBytes(32, sizeBytes) ? frame : undefined;
}

/** What is compressed in a turn of the event loop, in bytes. */
const packing = new TurnShare(TURN_BYTES);
/** What is decompressed in one. */
const unpacking = new TurnShare(UNPACKED_TURN_BYTES);
/** Those who wait for another turn to compress, and those who need several. */
const lane = new Semaphore(1);
let inLane = 0;
/** The maker of frames that take several turns. */
const slowMaker = new FrameMaker();

/**
 * Compares a blob with its digest and compresses it as {@linkcode packRecord} does, but as little at a time as suits the
 * event loop, also when many come at once. Each byte is compressed in the turn in which it is hashed: the frame, which is
 * the caller's to keep, holds what has the hash, whatever becomes of the data meanwhile.
 *
 * Undefined, at once or later, means that the blob is to be kept as it is; it was not compared then.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the data has another hash.
 */
export function packChecked(
  digest: Digest,
  data: Uint8Array,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  if (data.length < MIN_PACKED_BYTES || looksPacked(data)) return undefined;
  if (inLane > 0 || data.length > STEP_BYTES || packing.isSpent) return packInLane(digest, data);
  return packAtOnce(digest, data);
}

function packAtOnce(digest: Digest, data: Uint8Array): Uint8Array | undefined {
  packing.spend(data.length);
  const frame = ifShorter(maker.end(data), data.length)?.slice();
  if (frame !== undefined) checkHash(digest, digest.fn.hash(data));
  return frame;
}

async function packInLane(digest: Digest, data: Uint8Array): Promise<Uint8Array | undefined> {
  inLane++;
  try {
    using _turn = await lane.acquire();
    // Nobody else spends anything now.
    if (packing.isSpent) await packing.spendLater(0);
    if (data.length <= STEP_BYTES) return packAtOnce(digest, data);
    return await packInSteps(digest, data);
  } finally {
    inLane--;
  }
}

async function packInSteps(digest: Digest, data: Uint8Array): Promise<Uint8Array | undefined> {
  const hasher = digest.fn.hasher();
  try {
    let at = 0;
    for (; at + STEP_BYTES < data.length; at += STEP_BYTES) {
      if (packing.isSpent) await packing.spendLater(0);
      packing.spend(STEP_BYTES);
      const step = data.subarray(at, at + STEP_BYTES);
      hasher.update(step);
      slowMaker.add(step);
    }
    packing.spend(data.length - at);
    const last = data.subarray(at);
    hasher.update(last);
    const frame = ifShorter(slowMaker.end(last), data.length)?.slice();
    if (frame !== undefined) checkHash(digest, hasher.digestHex());
    return frame;
  } catch (error) {
    slowMaker.drop();
    throw error;
  }
}

/**
 * The blob that a frame holds.
 *
 * @throws {Error} when the frame is damaged or holds another number of bytes; the message ends a sentence about it.
 */
export function unpackRecord(frame: Uint8Array, sizeBytes: number): Uint8Array {
  return reader.read(frame, sizeBytes);
}

/** As {@linkcode unpackRecord}, but as much in a turn of the event loop as suits it when many come at once. */
export async function unpackInTurn(frame: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  if (unpacking.isSpent) await unpacking.spendLater(sizeBytes);
  else unpacking.spend(sizeBytes);
  return unpackRecord(frame, sizeBytes);
}
