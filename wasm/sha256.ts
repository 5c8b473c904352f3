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
  /** Makes nodes to one, which comes first. */
  reduce(nodes: number, count: number): void;
}

/** Bytes of a digest. */
export const HASH_BYTES = 32;
/** Bytes of a block of SHA-256. */
export const BLOCK_BYTES = 64;
/** Bytes of the subtrees that a stream of SHA256TREE is made of: a power of two of leaves. */
export const SEGMENT_BYTES = 64 * 1024;
const LEAF_BYTES = 1024;

function leavesOf(bytes: Uint8Array): number {
  return Math.max(1, Math.ceil(bytes.length / LEAF_BYTES));
}

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

  /**
   * SHA256TREE of those messages that are not longer than {@linkcode SEGMENT_BYTES}, as {@linkcode batch} does SHA-256: the
   * leaves of all are a batch, and then those of each are joined.
   */
  treeBatch(inputs: readonly Uint8Array[], to: Uint8Array): number[] {
    const skipped: number[] = [];
    let at = LAYOUT.staging;
    let jobs = 0;
    let first = 0;
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i];
      if (input.length > SEGMENT_BYTES) {
        skipped.push(i);
        continue;
      }
      if (jobs + leavesOf(input) > MAX_JOBS || at + input.length > LAYOUT.staging + STAGING_BYTES) {
        this.#join(jobs, inputs.slice(first, i), to.subarray(first * HASH_BYTES));
        [jobs, at, first] = [0, LAYOUT.staging, i];
      }
      const held = this.#arena.holds(input);
      if (!held) this.#bytes.set(input, at);
      this.#addLeaves(jobs, held ? input.byteOffset : at, input.length);
      jobs += leavesOf(input);
      if (!held) at += input.length;
    }
    this.#join(jobs, inputs.slice(first), to.subarray(first * HASH_BYTES));
    return skipped;
  }

  #addLeaves(jobs: number, at: number, size: number): void {
    let job = LAYOUT.jobs / 4 + jobs * 2;
    let from = 0;
    do {
      this.#words[job++] = at + from;
      this.#words[job++] = Math.min(LEAF_BYTES, size - from);
      from += LEAF_BYTES;
    } while (from < size);
  }

  /** Hashes the leaves that are there, and joins those of each input; inputs that are too long have none. */
  #join(jobs: number, inputs: readonly Uint8Array[], to: Uint8Array): void {
    this.#exports.batch(LAYOUT.jobs, jobs, LAYOUT.digests);
    let at: number = LAYOUT.digests;
    for (let i = 0; i < inputs.length; i++) {
      if (inputs[i].length > SEGMENT_BYTES) continue;
      const leaves = leavesOf(inputs[i]);
      if (leaves > 1) this.#exports.reduce(at, leaves);
      to.set(this.#bytes.subarray(at, at + HASH_BYTES), i * HASH_BYTES);
      at += leaves * HASH_BYTES;
    }
  }

  /** SHA256TREE of at most {@linkcode SEGMENT_BYTES}. */
  shortTree(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#exports.tree(this.#place(bytes), bytes.length, LAYOUT.digests);
    return this.#digest();
  }

  /** Writes SHA256TREE of at most {@linkcode SEGMENT_BYTES} to `to`. */
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
