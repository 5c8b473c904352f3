/**
 * SHA-256 and SHA256TREE by the kernel of `wasm/gen/sha256.ts`.
 *
 * @module
 */

import { Arena, type KernelBuffer } from "./_arena.ts";
import { instantiateKernel } from "./_load.ts";
import { ARENA, LAYOUT, MAX_JOBS, STAGING_BYTES } from "./_sha256_layout.ts";

interface Exports {
  readonly memory: WebAssembly.Memory;
  /** Sets the scalar state to that of an empty message. */
  begin(): void;
  /** Compresses blocks into the scalar state. */
  blocks1(at: number, blocks: number): void;
  /** Ends the message in the scalar state, with its last bytes and its whole size. */
  finish(at: number, size: number, total: number, to: number): void;
  whole(at: number, size: number, to: number): void;
  /** `jobs`: pairs of address and size. */
  batch(jobs: number, count: number, to: number): void;
  tree(at: number, size: number, nodes: number): void;
  parents(at: number, count: number, to: number): void;
}

const HASH_BYTES = 32;
const BLOCK_BYTES = 64;
/** More subtrees than a stream of 2^53 bytes has on its stack. */
const MAX_STACK = 40;
/** Bytes of the subtrees that a stream of SHA256TREE is made of: a power of two of leaves. */
const SEGMENT_BYTES = 64 * 1024;

/** An instance of the kernel. Its calls are synchronous, so a thread needs one only. */
export class Sha256Kernel {
  readonly #exports: Exports;
  readonly #arena: Arena;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;
  /** The first digest. */
  readonly #first: Uint8Array<ArrayBuffer>;
  /** The input of each job. */
  readonly #indices = new Uint32Array(MAX_JOBS);

  constructor() {
    this.#exports = instantiateKernel<Exports>("sha256", "simd");
    this.#arena = new Arena(this.#exports.memory, LAYOUT.arena, ARENA.slots, ARENA.slotBytes);
    // SAFETY: the memory is not shared, so its buffer is an ArrayBuffer; and it has its greatest size from the start, so
    // it never grows, which would detach the buffer.
    this.#bytes = new Uint8Array(this.#exports.memory.buffer as ArrayBuffer);
    this.#words = new Uint32Array(this.#bytes.buffer);
    this.#first = this.#bytes.subarray(LAYOUT.digests, LAYOUT.digests + HASH_BYTES);
  }

  /** A buffer that is hashed where it lies; `undefined` if there is none of that size left. */
  acquire(sizeBytes: number): KernelBuffer | undefined {
    return this.#arena.acquire(sizeBytes);
  }

  #digest(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#first);
  }

  /** Where the kernel reads `bytes`, which are not longer than the staging area unless they lie in a lent buffer. */
  #place(bytes: Uint8Array): number {
    if (this.#arena.holds(bytes)) return bytes.byteOffset;
    this.#bytes.set(bytes, LAYOUT.staging);
    return LAYOUT.staging;
  }

  /** Leaves the digest of a message at `LAYOUT.digests`. */
  #run(bytes: Uint8Array): void {
    if (bytes.length <= STAGING_BYTES || this.#arena.holds(bytes)) {
      this.#exports.whole(this.#place(bytes), bytes.length, LAYOUT.digests);
      return;
    }
    this.#exports.begin();
    const rest = this.#blocks(bytes);
    this.#exports.finish(this.#place(rest), rest.length, bytes.length, LAYOUT.digests);
  }

  /** Compresses all full blocks into the scalar state; what remains is shorter than a block. */
  #blocks(bytes: Uint8Array): Uint8Array {
    const end = bytes.length - bytes.length % BLOCK_BYTES;
    for (let from = 0; from < end; from += STAGING_BYTES) {
      const part = bytes.subarray(from, Math.min(from + STAGING_BYTES, end));
      this.#exports.blocks1(this.#place(part), part.length / BLOCK_BYTES);
    }
    return bytes.subarray(end);
  }

  /** SHA-256 of a message. */
  hash(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#run(bytes);
    return this.#digest();
  }

  /** The same in hex. */
  hashHex(bytes: Uint8Array): string {
    this.#run(bytes);
    return this.#first.toHex();
  }

  /**
   * SHA-256 of those messages that are not longer than `limit` (256 KiB at most): the hash of `inputs[i]` is written to
   * `32 * i` of `to`, and the indices of the longer ones are returned.
   */
  batch(inputs: readonly Uint8Array[], to: Uint8Array, limit: number): number[] {
    const skipped: number[] = [];
    const most = Math.min(limit, STAGING_BYTES);
    let at = LAYOUT.staging;
    let jobs = 0;
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i];
      const size = input.length;
      if (size > most) {
        skipped.push(i);
        continue;
      }
      if (jobs === MAX_JOBS || at + size > LAYOUT.staging + STAGING_BYTES) {
        this.#flush(jobs, to);
        [jobs, at] = [0, LAYOUT.staging];
      }
      const job = LAYOUT.jobs / 4 + jobs * 2;
      if (this.#arena.holds(input)) {
        this.#words[job] = input.byteOffset;
      } else {
        this.#bytes.set(input, at);
        this.#words[job] = at;
        at += size;
      }
      this.#words[job + 1] = size;
      this.#indices[jobs++] = i;
    }
    this.#flush(jobs, to);
    return skipped;
  }

  #flush(jobs: number, to: Uint8Array): void {
    this.#exports.batch(LAYOUT.jobs, jobs, LAYOUT.digests);
    // A run of inputs, none of which was skipped, is one copy.
    for (let from = 0; from < jobs;) {
      const index = this.#indices[from];
      let end = from + 1;
      if (this.#indices[jobs - 1] - index === jobs - 1 - from) end = jobs;
      else while (end < jobs && this.#indices[end] === index + end - from) end++;
      const digests = this.#bytes.subarray(
        LAYOUT.digests + from * HASH_BYTES,
        LAYOUT.digests + end * HASH_BYTES,
      );
      to.set(digests, index * HASH_BYTES);
      from = end;
    }
  }

  /** SHA256TREE of a message. */
  tree(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    if (bytes.length > SEGMENT_BYTES) {
      const stream = new Sha256TreeStream(this);
      stream.update(bytes);
      return stream.digest();
    }
    this.#exports.tree(this.#place(bytes), bytes.length, LAYOUT.digests);
    return this.#digest();
  }

  /** Writes the digest of a subtree of at most {@linkcode SEGMENT_BYTES} to `to`. */
  subtree(bytes: Uint8Array, to: Uint8Array): void {
    this.#exports.tree(this.#place(bytes), bytes.length, LAYOUT.digests);
    to.set(this.#first);
  }

  /** Writes the digest of the parent of two subtrees, whose digests are side by side, to the first one's place. */
  parent(children: Uint8Array): void {
    this.#bytes.set(children, LAYOUT.digests);
    this.#exports.parents(LAYOUT.digests, 1, LAYOUT.digests);
    children.set(this.#first);
  }

  /** Begins a stream: its state is kept in `state`, 32 bytes, between the calls. */
  begin(state: Uint8Array): void {
    this.#exports.begin();
    state.set(this.#bytes.subarray(LAYOUT.state, LAYOUT.state + HASH_BYTES));
  }

  /** Goes on with a stream by all full blocks of `bytes`, and returns the rest. */
  resume(state: Uint8Array, bytes: Uint8Array): Uint8Array {
    this.#bytes.set(state, LAYOUT.state);
    const rest = this.#blocks(bytes);
    state.set(this.#bytes.subarray(LAYOUT.state, LAYOUT.state + HASH_BYTES));
    return rest;
  }

  /** Ends a stream of `total` bytes with those that were no full block. */
  finish(state: Uint8Array, rest: Uint8Array, total: number): Uint8Array<ArrayBuffer> {
    this.#bytes.set(state, LAYOUT.state);
    this.#exports.finish(this.#place(rest), rest.length, total, LAYOUT.digests);
    return this.#digest();
  }
}

let shared: Sha256Kernel | undefined;

/** The kernel of this thread. */
export function sha256Kernel(): Sha256Kernel {
  return shared ??= new Sha256Kernel();
}

/**
 * Bytes that are kept until there are `size` of them: a stream comes in pieces of any length, and what works on it wants
 * full ones.
 */
class Pieces {
  readonly #size: number;
  #held: Uint8Array | undefined;
  #length = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Those that are not a full piece. */
  get rest(): Uint8Array {
    return this.#held === undefined ? new Uint8Array() : this.#held.subarray(0, this.#length);
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
      if (this.#held !== undefined) take(this.#held);
    }
    const full = rest.length - rest.length % this.#size;
    if (full > 0) take(rest.subarray(0, full));
    if (full < rest.length) this.#hold(rest.subarray(full));
  }

  #hold(bytes: Uint8Array): void {
    this.#held ??= new Uint8Array(this.#size);
    this.#held.set(bytes, this.#length);
    this.#length += bytes.length;
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
  readonly #stack = new Uint8Array(MAX_STACK * HASH_BYTES);
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
    if (rest.length > 0 || this.#segments === 0) this.#push(rest);
    while (this.#height > 1) this.#join();
    return this.#stack.slice(0, HASH_BYTES);
  }
}
