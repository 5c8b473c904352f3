/**
 * BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs) with 32 bytes of output, over the kernel that `wasm/gen/blake3.ts`
 * generates.
 *
 * Everything here is synchronous and uses fixed regions of the kernel's memory during one call only: what outlives a call,
 * the state of a stream, is in JavaScript's memory, so that streams which are never finished leak nothing.
 *
 * @module
 */

import { Arena, type KernelBuffer } from "./_arena.ts";
import {
  ARENA,
  CHUNK_BYTES,
  LAYOUT,
  RUN_BLOBS,
  RUN_BYTES,
  SKIPPED,
  SUBTREE_BYTES,
  SUBTREE_CHUNKS,
} from "./_blake3_layout.ts";
import { SubtreeStack, Tail } from "./_blake3_stack.ts";
import { instantiateKernel, type SimdBuild } from "./_load.ts";

/** Bytes of a hash and of a chaining value. */
const VALUE_BYTES = 32;
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;
/** Blobs above this are hashed alone in a batch too: their own chunks fill the lanes. */
const ALONE_BYTES = 32 * 1024;
/** Chunks of the smallest subtree of a stream: what a stream may hold back. */
const STEP_CHUNKS = 16;

interface Exports {
  readonly memory: WebAssembly.Memory;
  init(): void;
  single(p: number, length: number, counter: number, first: number, last: number, to: number): void;
  tree(p: number, length: number, counter: number, root: number, to: number): void;
  run(blobs: number): void;
  runTiny(blobs: number): void;
}

/** A kernel and what it computes. Its calls are synchronous, so a thread needs one only. */
export class Blake3 {
  readonly #exports: Exports;
  readonly #arena: Arena;
  readonly #memory: Uint8Array<ArrayBuffer>;
  readonly #lengths: Uint32Array;
  readonly #resultView: Uint8Array;

  /**
   * Instantiates the kernel.
   *
   * @param build which instructions it may use; what the engine has when not given
   */
  constructor(build?: SimdBuild) {
    this.#exports = instantiateKernel<Exports>("blake3", build);
    this.#exports.init();
    this.#arena = new Arena(this.#exports.memory, ARENA.start, ARENA.slots, ARENA.slotBytes);
    // SAFETY: the memory is not shared, so its buffer is an ArrayBuffer; and it has its greatest size from the start, so
    // it never grows, which would detach the buffer.
    const buffer = this.#exports.memory.buffer as ArrayBuffer;
    this.#memory = new Uint8Array(buffer);
    this.#lengths = new Uint32Array(buffer, LAYOUT.lengths, RUN_BLOBS);
    this.#resultView = new Uint8Array(buffer, LAYOUT.result, VALUE_BYTES);
  }

  /** A buffer of at most a megabyte that is hashed where it lies; `undefined` if there is none of that size left. */
  acquire(sizeBytes: number): KernelBuffer | undefined {
    return this.#arena.acquire(sizeBytes);
  }

  /** The hash of `bytes`. */
  hash(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#hash(bytes);
    return this.take();
  }

  /** The same in hex. */
  hashHex(bytes: Uint8Array): string {
    this.#hash(bytes);
    return this.takeHex();
  }

  /** Leaves the hash at {@linkcode LAYOUT.result}. */
  #hash(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length > SUBTREE_BYTES) {
      const hasher = new Blake3Hasher(this);
      hasher.update(bytes);
      this.#resultView.set(hasher.digest());
      return;
    }
    const p = this.#place(bytes);
    if (length <= CHUNK_BYTES) {
      this.#exports.single(p, length, 0, CHUNK_START, CHUNK_END | ROOT, LAYOUT.result);
    } else {
      this.#exports.tree(p, length, 0, ROOT, LAYOUT.result);
    }
  }

  /** Where the kernel reads `bytes`, a subtree at most. */
  #place(bytes: Uint8Array): number {
    if (this.#arena.holds(bytes)) return bytes.byteOffset;
    this.#memory.set(bytes, LAYOUT.stream);
    return LAYOUT.stream;
  }

  /** The hashes of many blobs, one behind the other. Chunks of all of them fill the lanes of the kernel. */
  hashBatch(inputs: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
    const hashes = new Uint8Array(inputs.length * VALUE_BYTES);
    for (let from = 0; from < inputs.length;) from = this.#run(inputs, from, hashes);
    return hashes;
  }

  /** Hashes the blobs from number `from` on, as many as have room, and returns the number of the first that had not. */
  #run(inputs: readonly Uint8Array[], from: number, hashes: Uint8Array): number {
    const memory = this.#memory;
    const lengths = this.#lengths;
    const end = Math.min(inputs.length, from + RUN_BLOBS);
    let at: number = LAYOUT.run;
    let tiny = true;
    let i = from;
    for (; i < end; i++) {
      const input = inputs[i];
      const { length } = input;
      if (length > ALONE_BYTES) {
        lengths[i - from] = SKIPPED;
        this.#hash(input);
        memory.set(this.#resultView, LAYOUT.hashes + (i - from) * VALUE_BYTES);
        tiny = false;
        continue;
      }
      if (at + length > LAYOUT.run + RUN_BYTES) break;
      memory.set(input, at);
      lengths[i - from] = length;
      if (length <= 64) {
        at += 64;
      } else {
        at += (length + 63) & ~63;
        tiny = false;
      }
    }
    if (tiny) this.#exports.runTiny(i - from);
    else this.#exports.run(i - from);
    hashes.set(
      memory.subarray(LAYOUT.hashes, LAYOUT.hashes + (i - from) * VALUE_BYTES),
      from * VALUE_BYTES,
    );
    return i;
  }

  /**
   * Leaves the chaining value of a subtree, {@linkcode SUBTREE_BYTES} at most, for {@linkcode Blake3.take}.
   *
   * @param head has the first bytes
   * @param headBytes how many those are
   * @param rest the bytes that follow them, if any
   * @param counter the number of its first chunk
   * @param root whether it is the whole input, then the value is the hash
   */
  subtree(
    head: Uint8Array,
    headBytes: number,
    rest: Uint8Array | undefined,
    counter: number,
    root: boolean,
  ): this {
    let p: number = LAYOUT.stream;
    if (headBytes === 0 && rest !== undefined) {
      p = this.#place(rest);
    } else {
      // All of it, as a view of the part would take longer to create; what is beyond is overwritten or not looked at.
      this.#memory.set(head, p);
      if (rest !== undefined) this.#memory.set(rest, p + headBytes);
    }
    this.#exports.tree(p, headBytes + (rest?.length ?? 0), counter, root ? ROOT : 0, LAYOUT.result);
    return this;
  }

  /** Leaves the chaining value of a node above two others. */
  parent(left: Uint8Array, right: Uint8Array, root: boolean): this {
    this.#memory.set(left, LAYOUT.pair);
    this.#memory.set(right, LAYOUT.pair + VALUE_BYTES);
    this.#exports.single(LAYOUT.pair, 2 * VALUE_BYTES, 0, PARENT, root ? ROOT : 0, LAYOUT.result);
    return this;
  }

  /** The value or hash that was computed last. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#memory.slice(LAYOUT.result, LAYOUT.result + VALUE_BYTES);
  }

  /** The same in hex, for small blobs in half the time, as it creates no array. */
  takeHex(): string {
    return this.#resultView.toHex();
  }
}

let shared: Blake3 | undefined;

/** The kernel of this thread, instantiated when it is first used. */
export function blake3(): Blake3 {
  return shared ??= new Blake3();
}

/** Hashes a stream in memory of at most 16 KiB and 32 bytes for each doubling of its length. */
export class Blake3Hasher {
  readonly #kernel: Blake3;
  readonly #stack: SubtreeStack;
  readonly #tail = new Tail(STEP_CHUNKS * CHUNK_BYTES);
  #ended = false;

  /** A hasher that has seen nothing. */
  constructor(kernel: Blake3 = blake3()) {
    this.#kernel = kernel;
    this.#stack = new SubtreeStack(kernel);
  }

  /**
   * Adds bytes; they may be reused afterwards.
   *
   * @throws {TypeError} after the digest was taken.
   */
  update(bytes: Uint8Array): void {
    if (this.#ended) throw ended();
    const tail = this.#tail;
    let at = 0;
    let available = tail.length + bytes.length;
    while (available > STEP_CHUNKS * CHUNK_BYTES) {
      const chunks = this.#nextSize(available);
      const upTo = at + chunks * CHUNK_BYTES - tail.length;
      this.#kernel.subtree(tail.buffer, tail.length, bytes.subarray(at, upTo), this.#stack.chunks, false);
      this.#stack.push(this.#kernel.take(), chunks);
      tail.clear();
      at = upTo;
      available -= chunks * CHUNK_BYTES;
    }
    tail.keep(at === 0 ? bytes : bytes.subarray(at));
  }

  /**
   * The hash of all bytes; ends the hasher.
   *
   * @throws {TypeError} when it was taken before.
   */
  digest(): Uint8Array<ArrayBuffer> {
    return this.#finish().take();
  }

  /**
   * The same in hex.
   *
   * @throws {TypeError} when the digest was taken before.
   */
  digestHex(): string {
    return this.#finish().takeHex();
  }

  #finish(): Blake3 {
    if (this.#ended) throw ended();
    this.#ended = true;
    return this.#stack.finish(this.#tail);
  }

  /** Chunks of the largest subtree that may follow and leaves a byte of `available` for later. */
  #nextSize(available: number): number {
    let chunks = SUBTREE_CHUNKS;
    while (this.#stack.chunks % chunks !== 0 || chunks * CHUNK_BYTES >= available) chunks /= 2;
    return chunks;
  }
}

function ended(): TypeError {
  return new TypeError("The hasher has given its hash already; create another one");
}
