/**
 * The hash functions behind one face. Each has an engine of its own here or in node:crypto; SHA-256 has both, and the
 * faster one for the size is taken.
 *
 * @module
 */

import * as nodeCrypto from "node:crypto";
import type { KernelBuffer } from "./_arena.ts";
import { blake3, Blake3Hasher } from "./blake3.ts";
import { HASH_BYTES, type Hasher, type HashName } from "./names.ts";
import { sha256Kernel, Sha256Stream, Sha256TreeStream } from "./sha256.ts";

/**
 * What computes a hash: `auto` is the faster one for the size, `wasm` the kernels of this member, `node` node:crypto. A
 * function that one of them does not have is refused there.
 */
export type Engine = "auto" | "wasm" | "node";

/** Options of hashing. */
export interface HashOptions {
  /** What computes the hash; `auto` by default. */
  readonly engine?: Engine;
}

/** The functions of node:crypto. */
type NodeName = Exclude<HashName, "blake3" | "sha256tree">;

/**
 * Up to which size in bytes SHA-256 is left to the kernel, by how many messages there are at once. Above, node:crypto is
 * faster, as processors have instructions for SHA-256 which WebAssembly does not know; below, the cost of a call of
 * node:crypto is more than the work. The figures come from `hash_bench.ts` on a processor with such instructions (one without
 * them would gain by larger ones): in a batch the lanes are full but for the last messages, which may be the longest, so
 * small batches get small limits.
 */
const SHA256_LIMITS = [
  { messages: 16, bytes: 1024 },
  { messages: 4, bytes: 247 },
  { messages: 0, bytes: 183 },
] as const;
const ONE_LIMIT = 183;

function isNodeName(name: HashName): name is NodeName {
  return name !== "blake3" && name !== "sha256tree";
}

function checkEngine(name: HashName, engine: Engine): void {
  if (engine === "node" && !isNodeName(name)) {
    throw new RangeError(`node:crypto does not compute ${name}; use the engine auto or wasm`);
  }
  if (engine === "wasm" && isNodeName(name) && name !== "sha256") {
    throw new RangeError(`There is no kernel that computes ${name}; use the engine auto or node`);
  }
}

/** Whether a single message of SHA-256 goes to the kernel. */
function takesKernel(name: HashName, engine: Engine, sizeBytes: number): boolean {
  if (engine !== "auto") checkEngine(name, engine);
  return name === "sha256" && (engine === "wasm" || engine === "auto" && sizeBytes <= ONE_LIMIT);
}

/**
 * The hash of `bytes`, which may be any view, also of shared memory.
 *
 * @throws {RangeError} if the engine that is asked for does not have the function
 *
 * @example
 * ```ts
 * import { hash } from "@brokkr/wasm";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(hash("blake3", new Uint8Array()).length, 32);
 * ```
 */
export function hash(name: HashName, bytes: Uint8Array, options?: HashOptions): Uint8Array {
  if (takesKernel(name, options?.engine ?? "auto", bytes.length)) return sha256Kernel().hash(bytes);
  if (name === "sha256tree") return sha256Kernel().tree(bytes);
  if (name === "blake3") return blake3().hash(bytes);
  return Uint8Array.fromHex(nodeCrypto.hash(name, bytes, "hex"));
}

/**
 * The hash of `bytes` in lower-case hex.
 *
 * @throws {RangeError} if the engine that is asked for does not have the function
 */
export function hashHex(name: HashName, bytes: Uint8Array, options?: HashOptions): string {
  if (takesKernel(name, options?.engine ?? "auto", bytes.length)) return sha256Kernel().hashHex(bytes);
  if (name === "blake3") return blake3().hashHex(bytes);
  return isNodeName(name) ? nodeCrypto.hash(name, bytes, "hex") : hash(name, bytes).toHex();
}

/**
 * The hashes of many inputs, one after the other. It is synchronous, and hashes about 800 KB in a millisecond: hand it no
 * more than a message's worth at a time.
 *
 * @throws {RangeError} if the engine that is asked for does not have the function
 *
 * @example
 * ```ts
 * import { hash, hashBatch } from "@brokkr/wasm";
 * import { assertEquals } from "@std/assert";
 *
 * const inputs = ["a", "b"].map((text) => new TextEncoder().encode(text));
 * assertEquals(hashBatch("sha256", inputs).subarray(32), hash("sha256", inputs[1]));
 * ```
 */
export function hashBatch(name: HashName, inputs: readonly Uint8Array[], options?: HashOptions): Uint8Array {
  const engine = options?.engine ?? "auto";
  checkEngine(name, engine);
  if (name === "blake3") return blake3().hashBatch(inputs);
  const bytes = HASH_BYTES[name];
  const all = new Uint8Array(inputs.length * bytes);
  if (name === "sha256" && engine !== "node") {
    sha256Batch(inputs, all, engine);
  } else if (isNodeName(name)) {
    for (let i = 0; i < inputs.length; i++) writeHex(nodeCrypto.hash(name, inputs[i], "hex"), all, i * bytes);
  } else {
    for (let i = 0; i < inputs.length; i++) all.set(hash(name, inputs[i]), i * bytes);
  }
  return all;
}

function sha256Batch(inputs: readonly Uint8Array[], to: Uint8Array, engine: Engine): void {
  const limit = engine === "wasm" ? Infinity : batchLimit(inputs);
  for (const i of sha256Kernel().batch(inputs, to, limit)) {
    if (engine === "wasm") to.set(sha256Kernel().hash(inputs[i]), i * HASH_BYTES.sha256);
    else writeHex(nodeCrypto.hash("sha256", inputs[i], "hex"), to, i * HASH_BYTES.sha256);
  }
}

/** The largest limit for which there are enough messages below it. */
function batchLimit(inputs: readonly Uint8Array[]): number {
  for (const { messages, bytes } of SHA256_LIMITS) {
    let count = 0;
    for (let i = 0; i < inputs.length && count < messages; i++) if (inputs[i].length <= bytes) count++;
    if (count >= messages) return bytes;
  }
  return ONE_LIMIT;
}

/** The value of a hex digit, in lower case. */
function digit(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}

/** Decodes hex in place: a view for each hash of a batch would cost more than the decoding. */
function writeHex(hex: string, to: Uint8Array, at: number): void {
  for (let i = 0; i < hex.length; i += 2) {
    to[at++] = digit(hex.charCodeAt(i)) << 4 | digit(hex.charCodeAt(i + 1));
  }
}

/**
 * A hasher of a stream.
 *
 * @throws {RangeError} if the engine that is asked for does not have the function
 *
 * @example
 * ```ts
 * import { createHasher, hash } from "@brokkr/wasm";
 * import { assertEquals } from "@std/assert";
 *
 * const hasher = createHasher("sha256tree");
 * for (let i = 0; i < 3; i++) hasher.update(new Uint8Array(1000));
 * assertEquals(hasher.digest(), hash("sha256tree", new Uint8Array(3000)));
 * ```
 */
export function createHasher(name: HashName, options?: HashOptions): Hasher {
  const engine = options?.engine ?? "auto";
  checkEngine(name, engine);
  return new CheckedHasher(streamOf(name, engine));
}

/** What a hasher asks of an engine. */
interface Stream {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
  /** Where that is cheaper than to encode the bytes. */
  digestHex?(): string;
}

function streamOf(name: HashName, engine: Engine): Stream {
  if (name === "sha256tree") return new Sha256TreeStream();
  if (name === "blake3") return new Blake3Hasher();
  if (name === "sha256" && engine === "wasm") return new Sha256Stream();
  return name === "sha256" && engine === "auto" ? new LazyStream() : new NodeStream(name);
}

/** Refuses what comes after the end, which engines answer each in a way of its own. */
class CheckedHasher implements Hasher {
  #stream: Stream | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  #open(): Stream {
    if (this.#stream === undefined) {
      throw new TypeError("The hasher has given its hash already; create another one");
    }
    return this.#stream;
  }

  update(bytes: Uint8Array): void {
    this.#open().update(bytes);
  }

  digest(): Uint8Array {
    const stream = this.#open();
    this.#stream = undefined;
    return stream.digest();
  }

  digestHex(): string {
    const stream = this.#open();
    this.#stream = undefined;
    return stream.digestHex?.() ?? stream.digest().toHex();
  }
}

class NodeStream implements Stream {
  readonly #inner: nodeCrypto.Hash;

  constructor(name: NodeName) {
    this.#inner = nodeCrypto.createHash(name);
  }

  update(bytes: Uint8Array): void {
    this.#inner.update(bytes);
  }

  digest(): Uint8Array {
    // Hex and back is faster than the buffer that comes otherwise.
    return Uint8Array.fromHex(this.#inner.digest("hex"));
  }

  digestHex(): string {
    return this.#inner.digest("hex");
  }
}

/** What a {@linkcode LazyStream} holds bytes in, unless another has it: to allocate costs more than to hash so few. */
let spare: Uint8Array | undefined = new Uint8Array(ONE_LIMIT);

/** Many streams are a single small message, for which node:crypto's hashers cost more than its hashing. */
class LazyStream implements Stream {
  #held: Uint8Array | undefined;
  #length = 0;
  #inner: Stream | undefined;

  update(bytes: Uint8Array): void {
    if (this.#inner === undefined) {
      if (this.#length + bytes.length <= ONE_LIMIT) return this.#hold(bytes);
      this.#inner = new NodeStream("sha256");
      if (this.#length > 0) this.#inner.update(this.#release());
    }
    this.#inner.update(bytes);
  }

  #hold(bytes: Uint8Array): void {
    if (this.#held === undefined) {
      this.#held = spare ?? new Uint8Array(ONE_LIMIT);
      spare = undefined;
    }
    this.#held.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** What was held, until somebody else holds something. */
  #release(): Uint8Array {
    const held = this.#held ?? new Uint8Array();
    this.#held = undefined;
    if (held.length > 0) spare = held;
    return held.subarray(0, this.#length);
  }

  digest(): Uint8Array {
    return this.#inner?.digest() ?? hash("sha256", this.#release());
  }

  digestHex(): string {
    return this.#inner?.digestHex?.() ?? hashHex("sha256", this.#release());
  }
}

/**
 * A buffer to read into before hashing with `name`. It lies in the memory of the function's kernel where that saves a copy:
 * {@linkcode hash} and {@linkcode hashBatch} hash it, and any part of it, where it lies. Few can be lent at a time and they
 * have a megabyte at most; beyond that, an ordinary buffer comes.
 *
 * @throws {RangeError} if the size is no whole number
 *
 * @example
 * ```ts
 * import { acquireBuffer, hash } from "@brokkr/wasm";
 * import { assertEquals } from "@std/assert";
 *
 * using buffer = acquireBuffer("sha256tree", 4);
 * buffer.bytes.set([1, 2, 3, 4]);
 * assertEquals(hash("sha256tree", buffer.bytes), hash("sha256tree", Uint8Array.of(1, 2, 3, 4)));
 * ```
 */
export function acquireBuffer(name: HashName, sizeBytes: number): KernelBuffer {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new RangeError(`A buffer of ${sizeBytes} bytes was asked for; the size must be a whole number`);
  }
  return lend(name, sizeBytes) ?? { bytes: new Uint8Array(sizeBytes), [Symbol.dispose]: () => {} };
}

function lend(name: HashName, sizeBytes: number): KernelBuffer | undefined {
  if (name === "blake3") return blake3().acquire(sizeBytes);
  return name === "sha256" || name === "sha256tree" ? sha256Kernel().acquire(sizeBytes) : undefined;
}
