/**
 * Hashing of streams.
 *
 * @module
 */

import * as nodeCrypto from "node:crypto";
import { checkEngine, type Engine, type HashOptions, type NodeName, SHA256_LIMIT } from "./_engines.ts";
import { Blake3Hasher } from "./blake3.ts";
import { hash, hashHex } from "./hash.ts";
import type { Hasher, HashName } from "./names.ts";
import { Sha256Stream, Sha256TreeStream } from "./sha256_streams.ts";

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
  return name === "sha256" && engine === "auto"
    ? new LazyHasher()
    : new CheckedHasher(streamOf(name, engine, options?.sizeBytes ?? 0));
}

/** What a hasher asks of an engine. */
export interface Stream {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
  /** Where that is cheaper than to encode the bytes. */
  digestHex?(): string;
}

/** How long BLAKE3 streams are hashed, and from which length on. */
let long: { readonly fromBytes: number; readonly make: () => Stream } | undefined;

/** Has BLAKE3 streams of `fromBytes` and more hashed by what `make` makes. */
export function hashLongStreamsBy(fromBytes: number, make: () => Stream): void {
  long = { fromBytes, make };
}

function streamOf(name: HashName, engine: Engine, sizeBytes: number): Stream {
  if (name === "sha256tree") return new Sha256TreeStream();
  if (name === "blake3" && long !== undefined && sizeBytes >= long.fromBytes) return long.make();
  if (name === "blake3") return new Blake3Hasher();
  if (name === "sha256" && engine === "wasm") return new Sha256Stream();
  return new NodeStream(name);
}

function refuse(): never {
  throw new TypeError("The hasher has given its hash already; create another one");
}

/** Refuses what comes after the end, which engines answer each in a way of its own. */
class CheckedHasher implements Hasher {
  #stream: Stream | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  #open(): Stream {
    return this.#stream ?? refuse();
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

/** What a {@linkcode LazyHasher} holds bytes in, unless another has it: to allocate costs more than to hash so few. */
let spare: Uint8Array | undefined = new Uint8Array(SHA256_LIMIT);

/**
 * SHA-256. Many streams are a single small message, for which node:crypto's hashers cost more than its hashing; and where
 * they are not, a layer more would cost as much as is lost by that.
 */
class LazyHasher implements Hasher {
  #held: Uint8Array | undefined;
  #length = 0;
  #inner: nodeCrypto.Hash | undefined;
  #ended = false;

  update(bytes: Uint8Array): void {
    if (this.#ended) refuse();
    if (this.#inner === undefined) {
      if (this.#length + bytes.length <= SHA256_LIMIT) return this.#hold(bytes);
      this.#inner = nodeCrypto.createHash("sha256");
      if (this.#length > 0) this.#inner.update(this.#release());
    }
    this.#inner.update(bytes);
  }

  #hold(bytes: Uint8Array): void {
    if (this.#held === undefined) {
      this.#held = spare ?? new Uint8Array(SHA256_LIMIT);
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
    if (this.#inner !== undefined) return Uint8Array.fromHex(this.digestHex());
    if (this.#ended) refuse();
    this.#ended = true;
    return hash("sha256", this.#release());
  }

  digestHex(): string {
    if (this.#ended) refuse();
    this.#ended = true;
    return this.#inner?.digest("hex") ?? hashHex("sha256", this.#release());
  }
}
