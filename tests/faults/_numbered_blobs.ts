/**
 * Blobs that are known by a number: whoever has the number can tell whether the bytes are right.
 *
 * @module
 */

import { type Digest, digestOf, SHA256 } from "@brokkr/cas/client";

/** A step of Knuth's multiplicative hash: neighbours get bytes that have nothing in common. */
const MULTIPLIER = 2_654_435_761;
const MAX_SMALL_BYTES = 9000;
const MIDDLE_EVERY = 60;
const MIDDLE_BYTES = 200_000;
const LARGE_EVERY = 150;
const LARGE_BYTES = 1_200_000;

/** Whether a blob is a file of its own. */
export function isLarge(n: number): boolean {
  return n % LARGE_EVERY === LARGE_EVERY - 1;
}

/** Size of a blob in bytes: mostly small, now and then some hundred KB, rarely more than fits in a segment. */
export function numberedSize(n: number): number {
  if (isLarge(n)) return LARGE_BYTES + n % 1000;
  if (n % MIDDLE_EVERY === MIDDLE_EVERY - 1) return MIDDLE_BYTES + n % 1000;
  return 8 + (n * 37) % MAX_SMALL_BYTES;
}

/** The blob with a number. */
export function numberedBlob(n: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(numberedSize(n) / 4) * 4);
  const words = new Uint32Array(bytes.buffer);
  let word = Math.imul(n + 1, MULTIPLIER);
  for (let at = 0; at < words.length; at++) words[at] = word = Math.imul(word, 1_664_525) + 1_013_904_223;
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes.subarray(0, numberedSize(n));
}

/** The digest of the blob with a number. */
export function numberedDigest(n: number): Digest {
  return digestOf(SHA256, numberedBlob(n));
}
