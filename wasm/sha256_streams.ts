/**
 * Streams of SHA-256 and SHA256TREE through the kernel.
 *
 * @module
 */

import { BLOCK_BYTES, HASH_BYTES, SEGMENT_BYTES, type Sha256Kernel, sha256Kernel } from "./sha256.ts";

/** More subtrees than a stream of 2^53 bytes has on its stack. */
const MAX_STACK = 40;

/** SHA256TREE of a message of any length. */
export function sha256Tree(
  bytes: Uint8Array,
  kernel: Sha256Kernel = sha256Kernel(),
): Uint8Array<ArrayBuffer> {
  if (bytes.length <= SEGMENT_BYTES) return kernel.shortTree(bytes);
  const stream = new Sha256TreeStream(kernel);
  stream.update(bytes);
  return stream.digest();
}

/**
 * Bytes that are kept until there are `size` of them: a stream comes in pieces of any length, and what works on it wants
 * full ones.
 */
class Pieces {
  readonly #size: number;
  #held = new Uint8Array();
  #length = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Those that are not a full piece. */
  get rest(): Uint8Array {
    return this.#held.subarray(0, this.#length);
  }

  /** Calls `take` with one or more full pieces at a time, without a copy where `bytes` have them. */
  add(bytes: Uint8Array, take: (pieces: Uint8Array) => void): void {
    let rest = bytes;
    if (this.#length > 0) {
      const missing = Math.min(this.#size - this.#length, bytes.length);
      this.#hold(bytes.subarray(0, missing));
      rest = bytes.subarray(missing);
      if (this.#length < this.#size) return;
      this.#length = 0;
      take(this.#held);
    }
    const full = rest.length - rest.length % this.#size;
    if (full > 0) take(rest.subarray(0, full));
    if (full < rest.length) this.#hold(rest.subarray(full));
  }

  #hold(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#held.length) {
      const grown = new Uint8Array(Math.min(this.#size, Math.max(length, 4 * this.#held.length)));
      grown.set(this.#held.subarray(0, this.#length));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#length);
    this.#length = length;
  }
}

/** A stream of SHA-256 through the scalar kernel. */
export class Sha256Stream {
  readonly #kernel: Sha256Kernel;
  readonly #state = new Uint8Array(HASH_BYTES);
  readonly #pieces = new Pieces(BLOCK_BYTES);
  #total = 0;

  /** @param kernel the one that is used; that of this thread by default */
  constructor(kernel: Sha256Kernel = sha256Kernel()) {
    this.#kernel = kernel;
    kernel.begin(this.#state);
  }

  /** Adds bytes. */
  update(bytes: Uint8Array): void {
    this.#total += bytes.length;
    this.#pieces.add(bytes, (blocks) => this.#kernel.resume(this.#state, blocks));
  }

  /** The hash of all that was added. */
  digest(): Uint8Array<ArrayBuffer> {
    return this.#kernel.finish(this.#state, this.#pieces.rest, this.#total);
  }
}

/**
 * A stream of SHA256TREE. Full segments become subtrees, and two subtrees of one size become one as soon as both are there,
 * so a stream of any length needs a segment and a digest for each bit of the number of segments.
 */
export class Sha256TreeStream {
  readonly #kernel: Sha256Kernel;
  readonly #pieces = new Pieces(SEGMENT_BYTES);
  #stack = new Uint8Array();
  #height = 0;
  #segments = 0;

  /** @param kernel the one that is used; that of this thread by default */
  constructor(kernel: Sha256Kernel = sha256Kernel()) {
    this.#kernel = kernel;
  }

  /** Adds bytes. */
  update(bytes: Uint8Array): void {
    this.#pieces.add(bytes, (segments) => {
      for (let from = 0; from < segments.length; from += SEGMENT_BYTES) {
        this.#push(segments.subarray(from, from + SEGMENT_BYTES));
        // As many pairs are complete now as the number of segments can be halved.
        for (let n = ++this.#segments; n % 2 === 0; n /= 2) this.#join();
      }
    });
  }

  #push(bytes: Uint8Array): void {
    if (this.#stack.length === 0) this.#stack = new Uint8Array(MAX_STACK * HASH_BYTES);
    this.#kernel.subtree(bytes, this.#stack.subarray(this.#height++ * HASH_BYTES));
  }

  #join(): void {
    this.#height--;
    this.#kernel.parent(
      this.#stack.subarray((this.#height - 1) * HASH_BYTES, (this.#height + 1) * HASH_BYTES),
    );
  }

  /** The hash of all that was added. */
  digest(): Uint8Array<ArrayBuffer> {
    const rest = this.#pieces.rest;
    if (this.#segments === 0) return this.#kernel.shortTree(rest);
    if (rest.length > 0) this.#push(rest);
    while (this.#height > 1) this.#join();
    return this.#stack.slice(0, HASH_BYTES);
  }
}
