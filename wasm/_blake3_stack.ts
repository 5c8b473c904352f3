/**
 * What a stream of BLAKE3 remembers: the values of the subtrees that it has been through, and its last bytes.
 *
 * @module
 */

import { CHUNK_BYTES } from "./_blake3_layout.ts";
import type { Blake3 } from "./blake3.ts";

/** Typed arrays are dear to create, even empty ones. */
const EMPTY: Uint8Array = new Uint8Array(0);

/** The last bytes of a stream: its hash needs to know which are the very last. */
export class Tail {
  readonly #most: number;
  #bytes = EMPTY;
  #length = 0;

  /** @param most the most bytes that are kept at a time */
  constructor(most: number) {
    this.#most = most;
  }

  /** The buffer, the first {@linkcode Tail.length} bytes of which are kept; the others mean nothing. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  /** How many bytes are kept. */
  get length(): number {
    return this.#length;
  }

  /** Adds bytes. */
  keep(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      // Most streams are short: the buffer grows with them.
      const larger = new Uint8Array(Math.min(Math.max(CHUNK_BYTES / 2, 2 * needed), this.#most));
      if (this.#length > 0) larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  /** Forgets what is kept; its buffer is used again. */
  clear(): void {
    this.#length = 0;
  }
}

/**
 * The chaining values of complete subtrees, from left to right. Two of one size are joined at once: there are never more
 * than the bits of the number of chunks (section 5.1.2 of the paper). A subtree may only be pushed when more bytes follow
 * it, as otherwise it could be part of the root, which is computed differently.
 */
export class SubtreeStack {
  readonly #kernel: Blake3;
  #values: Uint8Array[] | undefined;
  #sizes: number[] | undefined;
  #chunks = 0;

  /** An empty stack. */
  constructor(kernel: Blake3) {
    this.#kernel = kernel;
  }

  /** The chunks of all subtrees. */
  get chunks(): number {
    return this.#chunks;
  }

  /** Adds the subtree behind the last. */
  push(value: Uint8Array, chunks: number): void {
    const values = this.#values ??= [];
    const sizes = this.#sizes ??= [];
    this.#chunks += chunks;
    let size = chunks;
    let joined = value;
    while (sizes.at(-1) === size) {
      sizes.pop();
      joined = this.#kernel.parent(values.pop() ?? joined, joined, false).take();
      size *= 2;
    }
    values.push(joined);
    sizes.push(size);
  }

  /** Leaves the hash of everything in the kernel; the last bytes are in `tail`, a subtree at most. */
  finish(tail: Tail): Blake3 {
    const values = this.#values ?? [];
    this.#kernel.subtree(tail.buffer, tail.length, undefined, this.#chunks, values.length === 0);
    for (let left = values.pop(); left !== undefined; left = values.pop()) {
      this.#kernel.parent(left, this.#kernel.take(), values.length === 0);
    }
    return this.#kernel;
  }
}
