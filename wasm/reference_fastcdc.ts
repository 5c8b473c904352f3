/**
 * FastCDC 2020 in plain TypeScript, slow and short: what the kernel is held against in tests, and the easiest place to read
 * what it computes.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { checkFastCdcParams, fastCdcMasks, type FastCdcParams } from "./fastcdc_params.ts";

const U64 = (1n << 64n) - 1n;

/**
 * The gear table: a random number for each value of a byte, which is the first eight bytes, big-endian, of the MD5 of that
 * byte 64 times over.
 */
export function gearTable(): BigUint64Array {
  return BigUint64Array.from({ length: 256 }, (_, byte) => {
    return createHash("md5").update(new Uint8Array(64).fill(byte)).digest().readBigUInt64BE();
  });
}

/** A chunk's end, from the chunk's start, and the hash there. */
export interface ReferenceCut {
  /** Bytes of the chunk. */
  readonly length: number;
  /** The gear hash at its end; the shifted one when the length is even. */
  readonly hash: bigint;
}

/**
 * The first chunk of `bytes`, as the `fastcdc` crate's `v2020` finds it: bytes are taken in pairs, the first byte of each with
 * the hash, the table and the mask shifted left by one, so that a pair costs one shift. A boundary lies before the byte that
 * made the hash match.
 */
export function referenceCut(params: FastCdcParams, gear: BigUint64Array, bytes: Uint8Array): ReferenceCut {
  const { avgBytes, minBytes, maxBytes } = checkFastCdcParams(params);
  const { strict, loose } = fastCdcMasks(avgBytes);
  if (bytes.length <= minBytes) return { length: bytes.length, hash: 0n };
  const end = Math.min(bytes.length, maxBytes);
  let hash = 0n;
  for (let i = minBytes & ~1; i < (end & ~1); i += 2) {
    const mask = i < avgBytes ? strict : loose;
    hash = ((hash << 2n) + (gear[bytes[i]] << 1n)) & U64;
    if ((hash & (mask << 1n)) === 0n) return { length: i, hash };
    hash = (hash + gear[bytes[i + 1]]) & U64;
    if ((hash & mask) === 0n) return { length: i + 1, hash };
  }
  return { length: end, hash };
}

/** All chunks of `bytes`. */
export function referenceCuts(params: FastCdcParams, bytes: Uint8Array): ReferenceCut[] {
  const seed = BigInt(checkFastCdcParams(params).seed);
  const gear = gearTable().map((value) => value ^ seed);
  const cuts: ReferenceCut[] = [];
  for (let at = 0; at < bytes.length; at += cuts[cuts.length - 1].length) {
    cuts.push(referenceCut(params, gear, bytes.subarray(at)));
  }
  return cuts;
}
