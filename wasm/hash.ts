/**
 * The hash functions behind one face. Each has an engine of its own here or in node:crypto; SHA-256 has both, and the
 * faster one for the size is taken.
 *
 * @module
 */

import { hash as nodeHash } from "node:crypto";
import type { KernelBuffer } from "./_arena.ts";
import { blake3 } from "./blake3.ts";
import {
  checkEngine,
  type Engine,
  type HashOptions,
  isNodeName,
  type NodeName,
  SHA256_LIMIT,
} from "./_engines.ts";
import { HASH_BYTES, type HashName } from "./names.ts";
import { sha256Kernel } from "./sha256.ts";
import { sha256Tree } from "./sha256_streams.ts";

/**
 * Up to which size in bytes SHA-256 is left to the kernel, by how many messages there are at once. Above, node:crypto is
 * faster, as processors have instructions for SHA-256 which WebAssembly does not know; below, the cost of a call of
 * node:crypto is more than the work. The figures come from `hash_bench.ts` on a processor with such instructions (one without
 * them would gain by larger ones): in a batch the lanes are full but for the last messages, which may be the longest, so
 * small batches get small limits.
 */
const SHA256_LIMITS = [
  { messages: 16, bytes: 695 },
  { messages: 4, bytes: 247 },
  { messages: 3, bytes: SHA256_LIMIT },
] as const;

/**
 * Messages that node:crypto gets before the kernel of SHA-256 is loaded: that takes as long as it saves on as many, and a
 * command that hashes a few should not wait for it.
 */
const LOADED_AFTER = 2000;
let seen = 0;
let usable = false;

/** Whether so many have been hashed that the kernel pays, now that there are `messages` more which it would do faster. */
function kernelPays(messages: number): boolean {
  if (seen < LOADED_AFTER) {
    seen += messages;
    if (seen >= LOADED_AFTER) usable = canLoad();
  }
  return usable;
}

/** Whether the kernel of SHA-256 is there: a program that may not read its file does not fail, as node:crypto hashes too. */
function canLoad(): boolean {
  try {
    sha256Kernel();
    return true;
  } catch {
    return false;
  }
}

/** Up to this size, SHA256TREE is SHA-256. */
const LEAF_BYTES = 1024;

/** Hashes that are decoded together. */
const STRING_HASHES = 4096;

/** Hashes that are encoded together. */
const HEX_GROUP = 8;

/** Whether the kernel hashes a single message of SHA-256. */
function takesKernel(engine: Engine, bytes: Uint8Array): boolean {
  return engine === "wasm" || engine === "auto" && bytes.length <= SHA256_LIMIT && kernelPays(1);
}

/** Those that are not a message of SHA-256 for node:crypto, which is the case that must not cost more than its call. */
function otherHex(name: HashName, bytes: Uint8Array, engine: Engine): string {
  checkEngine(name, engine);
  if (name === "blake3") return blake3().hashHex(bytes);
  if (name === "sha256tree") {
    return bytes.length <= LEAF_BYTES ? hashHex("sha256", bytes, { engine }) : sha256Tree(bytes).toHex();
  }
  if (name === "sha256" && takesKernel(engine, bytes)) return sha256Kernel().hashHex(bytes);
  return nodeHash(name, bytes, "hex");
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
  const engine = options?.engine ?? "auto";
  checkEngine(name, engine);
  if (name === "blake3") return blake3().hash(bytes);
  if (name === "sha256tree") {
    return bytes.length <= LEAF_BYTES ? hash("sha256", bytes, options) : sha256Tree(bytes);
  }
  if (name === "sha256" && takesKernel(engine, bytes)) return sha256Kernel().hash(bytes);
  return Uint8Array.fromHex(nodeHash(name, bytes, "hex"));
}

/**
 * The hash of `bytes` in lower-case hex.
 *
 * @throws {RangeError} if the engine that is asked for does not have the function
 */
export function hashHex(name: HashName, bytes: Uint8Array, options?: HashOptions): string {
  const engine = options?.engine ?? "auto";
  if (name === "sha256" && engine === "auto" && bytes.length > SHA256_LIMIT) {
    return nodeHash("sha256", bytes, "hex");
  }
  return otherHex(name, bytes, engine);
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
  if (name === "sha256" && engine !== "node") return sha256Batch(inputs, engine);
  if (isNodeName(name)) return nodeBatch(name, inputs);
  return treeBatch(inputs, engine);
}

function treeBatch(inputs: readonly Uint8Array[], engine: Engine): Uint8Array {
  if (inputs.every((input) => input.length <= LEAF_BYTES)) return sha256Batch(inputs, engine);
  const all = new Uint8Array(inputs.length * HASH_BYTES.sha256tree);
  for (const i of sha256Kernel().treeBatch(inputs, all)) {
    all.set(sha256Tree(inputs[i]), i * HASH_BYTES.sha256tree);
  }
  return all;
}

/** To decode one long string costs less than a view of the result for each hash; only so long, as strings have a limit. */
function nodeBatch(name: NodeName, inputs: readonly Uint8Array[]): Uint8Array {
  if (inputs.length > STRING_HASHES) {
    const all = new Uint8Array(inputs.length * HASH_BYTES[name]);
    for (let from = 0; from < inputs.length; from += STRING_HASHES) {
      all.set(nodeBatch(name, inputs.slice(from, from + STRING_HASHES)), from * HASH_BYTES[name]);
    }
    return all;
  }
  let hex = "";
  for (let i = 0; i < inputs.length; i++) hex += nodeHash(name, inputs[i], "hex");
  return Uint8Array.fromHex(hex);
}

function sha256Batch(inputs: readonly Uint8Array[], engine: Engine): Uint8Array {
  const limit = engine === "wasm" ? Infinity : batchLimit(inputs);
  if (limit === undefined) {
    return inputs.length === 1 ? hash("sha256", inputs[0]) : nodeBatch("sha256", inputs);
  }
  const bytes = HASH_BYTES.sha256;
  const all = new Uint8Array(inputs.length * bytes);
  const skipped = sha256Kernel().batch(inputs, all, limit);
  if (skipped.length === 0) return all;
  const hashes = Uint8Array.fromHex(skipped.map((i) => hashHex("sha256", inputs[i], { engine })).join(""));
  for (let from = 0, end = 0; from < skipped.length; from = end) {
    while (end < skipped.length && skipped[end] - skipped[from] === end - from) end++;
    all.set(hashes.subarray(from * bytes, end * bytes), skipped[from] * bytes);
  }
  return all;
}

/**
 * The same as {@linkcode hashBatch} in lower-case hex.
 *
 * @throws {RangeError} if the engine that is asked for does not have the function
 */
export function hashBatchHex(name: HashName, inputs: readonly Uint8Array[], options?: HashOptions): string[] {
  const engine = options?.engine ?? "auto";
  checkEngine(name, engine);
  if (name === "sha256" && engine !== "node") return sha256BatchHex(inputs, engine);
  if (!isNodeName(name)) return hexes(hashBatch(name, inputs), inputs.length);
  return inputs.map((input) => nodeHash(name, input, "hex"));
}

function sha256BatchHex(inputs: readonly Uint8Array[], engine: Engine): string[] {
  const limit = engine === "wasm" ? Infinity : batchLimit(inputs);
  if (limit === undefined) return inputs.map((input) => hashHex("sha256", input));
  const all = new Uint8Array(inputs.length * HASH_BYTES.sha256);
  const skipped = sha256Kernel().batch(inputs, all, limit);
  const strings = hexes(all, inputs.length);
  for (const i of skipped) strings[i] = hashHex("sha256", inputs[i], { engine });
  return strings;
}

/**
 * Hashes of 32 bytes in hex. Some are encoded at a time, as a call costs more than its work; not all, as a part of a string
 * keeps the whole of it in memory.
 */
function hexes(all: Uint8Array, count: number): string[] {
  const strings = new Array<string>(count);
  for (let i = 0; i < count; i += HEX_GROUP) {
    const group = all.subarray(i * 32, (i + HEX_GROUP) * 32).toHex();
    for (let at = 0; at < group.length; at += 64) strings[i + at / 64] = group.slice(at, at + 64);
  }
  return strings;
}

/**
 * The largest limit for which there are enough messages below it; `undefined` if the kernel is not worth its call. Few small
 * ones among many others would not pay for sorting them out.
 */
function batchLimit(inputs: readonly Uint8Array[]): number | undefined {
  const limit = SHA256_LIMITS.find(({ messages, bytes }) => {
    let count = 0;
    for (let i = 0; i < inputs.length; i++) if (inputs[i].length <= bytes) count++;
    return count >= messages && count * 8 >= inputs.length;
  })?.bytes;
  return limit === undefined || kernelPays(inputs.length) ? limit : undefined;
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
