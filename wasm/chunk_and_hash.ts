/**
 * Cuts a source into chunks and hashes each while it is in the processor's cache.
 *
 * @module
 */

import { FastCdcChunker } from "./fastcdc.ts";
import type { FastCdcParams } from "./fastcdc_params.ts";
import { hash } from "./hash.ts";
import { createHasher } from "./hasher.ts";
import type { HashName } from "./names.ts";

/** A chunk of a source. */
export interface HashedChunk {
  /** Where it begins in the source, in bytes. */
  readonly offset: number;
  /** Its bytes, never none. */
  readonly length: number;
  /** Its hash. */
  readonly hash: Uint8Array;
  /** Its bytes: a view that is good until the next chunk is asked for. */
  readonly bytes: Uint8Array;
}

/** Bytes that are scanned before chunks in them are hashed: little enough to be in the cache still. */
const STEP_BYTES = 64 << 10;
/** A chunk above this is hashed in parts of this, so that the event loop gets its turn between them. */
const PART_BYTES = 1 << 20;
/** Work for longer than this, and everybody else gets a turn. The longest indivisible step takes about a millisecond. */
const SLICE_MS = 3;

/** Gives the event loop its turn when the last one is a while ago. */
class Slices {
  #since = performance.now();

  get due(): boolean {
    return performance.now() - this.#since > SLICE_MS;
  }

  async turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}

/** The bytes of a chunk that began in an earlier piece. */
class Carry {
  #buffer = new Uint8Array(0);
  length = 0;

  constructor(private readonly most: number) {}

  add(bytes: Uint8Array): void {
    const length = this.length + bytes.length;
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(
        Math.min(Math.max(length, 2 * this.#buffer.length, STEP_BYTES), this.most),
      );
      grown.set(this.#buffer.subarray(0, this.length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.length);
    this.length = length;
  }

  /** The first `length` bytes; good until {@linkcode drop} or {@linkcode add}. */
  view(length: number): Uint8Array {
    return this.#buffer.subarray(0, length);
  }

  /** Forgets the first `length` bytes. */
  drop(length: number): void {
    this.#buffer.copyWithin(0, length, this.length);
    this.length -= length;
  }
}

async function hashOf(name: HashName, bytes: Uint8Array, slices: Slices): Promise<Uint8Array> {
  const hasher = createHasher(name);
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    if (slices.due) await slices.turn();
    hasher.update(bytes.subarray(at, at + PART_BYTES));
  }
  return hasher.digest();
}

/**
 * The chunks of a source and their hashes. A source may be given whole, or in pieces of any length, each of which must stay as it
 * is until the next one is asked for. Memory: one chunk, when the source comes in pieces. The event loop has its turn every few
 * milliseconds.
 *
 * @throws {RangeError} when a parameter is out of its range
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { chunkAndHash } from "@brokkr/wasm";
 *
 * const lengths: number[] = [];
 * for await (const { length } of chunkAndHash({ avgBytes: 1024 }, "sha256", new Uint8Array(10_000))) lengths.push(length);
 * assertEquals(lengths, [4096, 4096, 1808]);
 * ```
 */
export async function* chunkAndHash(
  params: FastCdcParams,
  name: HashName,
  source: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<HashedChunk, void, undefined> {
  const chunker = new FastCdcChunker(params);
  // One byte more than a chunk: the end of a chunk may lie one byte before the piece in which it is found.
  const carry = new Carry(chunker.params.maxBytes + 1);
  const slices = new Slices();
  let offset = 0;

  const chunkOf = async (bytes: Uint8Array): Promise<HashedChunk> => {
    const { length } = bytes;
    const hashed = length > PART_BYTES ? await hashOf(name, bytes, slices) : hash(name, bytes);
    offset += length;
    return { offset: offset - length, length, hash: hashed, bytes };
  };

  for await (const piece of source instanceof Uint8Array ? [source] : source) {
    /** Where in the piece the chunk under way begins, when none of it is carried. */
    let start = 0;
    for (let at = 0; at < piece.length; at += STEP_BYTES) {
      for (const length of chunker.push(piece.subarray(at, at + STEP_BYTES))) {
        if (carry.length === 0) {
          yield await chunkOf(piece.subarray(start, start += length));
        } else {
          start = Math.max(0, length - carry.length);
          carry.add(piece.subarray(0, start));
          yield await chunkOf(carry.view(length));
          carry.drop(length);
        }
        if (slices.due) await slices.turn();
      }
      if (slices.due) await slices.turn();
    }
    if (piece !== source) carry.add(piece.subarray(start));
    else if (chunker.pending > 0) yield await chunkOf(piece.subarray(start));
  }
  if (carry.length > 0) yield await chunkOf(carry.view(carry.length));
}
