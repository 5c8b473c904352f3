/**
 * The algorithms of this member in plain TypeScript, slow and short: what the kernels are held against in tests, and the
 * easiest place to read what they compute.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Rotates a 32-bit word right. */
function rotr(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}

const BLAKE3_IV = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);
const BLAKE3_PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;
/** Bytes of a leaf of BLAKE3's and of SHA256TREE's tree. */
const LEAF_BYTES = 1024;

function blake3Compress(
  cv: Uint32Array,
  block: Uint32Array,
  counter: number,
  blockBytes: number,
  flags: number,
): Uint32Array {
  const v = new Uint32Array(16);
  v.set(cv);
  v.set(BLAKE3_IV.subarray(0, 4), 8);
  v.set([counter, Math.floor(counter / 2 ** 32), blockBytes, flags], 12);
  const mix = (a: number, b: number, c: number, d: number, x: number, y: number) => {
    v[a] += v[b] + x;
    v[d] = rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 7);
  };
  let m = Array.from(block);
  for (let round = 0; round < 7; round++) {
    for (let i = 0; i < 4; i++) mix(i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
    for (let i = 0; i < 4; i++) {
      mix(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i]);
    }
    m = BLAKE3_PERMUTATION.map((from) => m[from]);
  }
  return v.subarray(0, 8).map((word, i) => word ^ v[i + 8]);
}

/** The words of a block, padded with zeros. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const padded = new Uint8Array(64);
  padded.set(bytes);
  return new Uint32Array(padded.buffer);
}

/** The chaining value of the chunk of number `index`. */
export function blake3Leaf(bytes: Uint8Array, index: number, root: number): Uint32Array {
  let cv: Uint32Array = BLAKE3_IV;
  const blocks = Math.max(1, Math.ceil(bytes.length / 64));
  for (let i = 0; i < blocks; i++) {
    const block = bytes.subarray(i * 64, (i + 1) * 64);
    const flags = (i === 0 ? CHUNK_START : 0) | (i === blocks - 1 ? CHUNK_END | root : 0);
    cv = blake3Compress(cv, wordsOf(block), index, block.length, flags);
  }
  return cv;
}

/** The largest power of two of leaves that leaves at least a byte for the right. */
function leftBytes(length: number): number {
  let left = LEAF_BYTES;
  while (left * 2 < length) left *= 2;
  return left;
}

function blake3Node(bytes: Uint8Array, index: number, root: number): Uint32Array {
  if (bytes.length <= LEAF_BYTES) return blake3Leaf(bytes, index, root);
  const left = leftBytes(bytes.length);
  const block = new Uint32Array(16);
  block.set(blake3Node(bytes.subarray(0, left), index, 0));
  block.set(blake3Node(bytes.subarray(left), index + left / LEAF_BYTES, 0), 8);
  return blake3Compress(BLAKE3_IV, block, 0, 64, PARENT | root);
}

/** BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs) with 32 bytes of output. */
export function referenceBlake3(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(blake3Node(bytes, 0, ROOT).slice().buffer);
}

/** The round constants of SHA-256: the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
export function sha256Constants(): Uint32Array {
  return primes(64).map((prime) => rootFraction(prime, 3n));
}

/** The leading 32 bits of the fractional parts of the square roots of `count` primes from the `from`-th on. */
export function squareRootFractions(from: number, count: number): Uint32Array {
  return primes(from + count).subarray(from).map((prime) => rootFraction(prime, 2n));
}

function primes(count: number): Uint32Array {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return Uint32Array.from(found);
}

/** The first 32 bits of the fractional part of a root, computed exactly. */
function rootFraction(prime: number, degree: bigint): number {
  const target = BigInt(prime) << (32n * degree);
  let low = 0n;
  let high = 1n << 40n;
  while (low < high) {
    const middle = (low + high + 1n) >> 1n;
    if (middle ** degree <= target) low = middle;
    else high = middle - 1n;
  }
  return Number(low & 0xffffffffn);
}

/**
 * SHA-256's block cipher (FIPS 180-4, 6.2.2, steps 1 to 3) over a block of 64 bytes, from the state `state`; SHA-256 itself
 * then adds that state, SHA256TREE does not.
 */
export function referenceSha256Cipher(state: Uint32Array, block: Uint8Array): Uint32Array {
  const k = sha256Constants();
  const view = new DataView(block.buffer, block.byteOffset, 64);
  const w = new Uint32Array(64);
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(i * 4);
  for (let i = 16; i < 64; i++) {
    const s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ (w[i - 15] >>> 3);
    const s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ (w[i - 2] >>> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
    const t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [a, b, c, d, e, f, g, h] = [(t1 + t2) >>> 0, a, b, c, (d + t1) >>> 0, e, f, g];
  }
  return Uint32Array.of(a, b, c, d, e, f, g, h);
}

/**
 * SHA256TREE, as the remote execution protocol defines it: blobs of up to 1024 bytes have their SHA-256; larger ones are
 * divided as BLAKE3 divides, and the two hashes go through SHA-256's block cipher once, without padding and without the
 * addition at its end, from a state made of the square roots of the 9th to the 16th prime.
 */
export function referenceSha256Tree(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= LEAF_BYTES) return new Uint8Array(createHash("sha256").update(bytes).digest());
  const left = leftBytes(bytes.length);
  const block = new Uint8Array(64);
  block.set(referenceSha256Tree(bytes.subarray(0, left)));
  block.set(referenceSha256Tree(bytes.subarray(left)), 32);
  const state = referenceSha256Cipher(squareRootFractions(8, 8), block);
  const hash = new Uint8Array(32);
  const view = new DataView(hash.buffer);
  state.forEach((word, i) => view.setUint32(i * 4, word));
  return hash;
}
