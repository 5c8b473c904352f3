/**
 * Changes that wait to be written to the blob index: packed into few large buffers, since hundreds of thousands may wait
 * and none of them should be an object; and handed out in the order of their keys, since the pages of a tree that are
 * touched one after the other are written once.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import type { MetadataChange } from "../metadata_store.ts";
import { type BlobLocation, FILE_SEGMENT, RECORD_ALIGN } from "./membership_table.ts";

/** First byte of the keys of blobs. */
export const BLOB_KEYS = 1;
/** Length of a value. */
export const VALUE_BYTES = 24;
/** Length of a value of format 2, whose records held blobs as they are. */
const PLAIN_VALUE_BYTES = 20;
/** Length of a value of format 1, which knew no use. */
export const OLD_VALUE_BYTES = 16;

const CHUNK_BYTES = 1 << 20;
/** Kind and key length come before key and value. */
const HEAD_BYTES = 2;
const PUT = 1;
/** Buckets by which changes are ordered first: two bytes of the hash. */
const BUCKETS = 65_536;
/** Changes looked at between two looks at the time. */
const STEP = 4096;

/** The key of a blob. */
export function blobKey(fnValue: number, hash: Uint8Array): Uint8Array {
  const key = new Uint8Array(hash.length + 2);
  key[0] = BLOB_KEYS;
  key[1] = fnValue;
  key.set(hash, 2);
  return key;
}

/** What the index says of a blob. */
export interface IndexedBlob {
  /** Where it lies. */
  readonly location: BlobLocation;
  /** When it was used last, in seconds of store time; 0 when that is not known. */
  readonly usedS: number;
}

/** What a value says; undefined when it is none. */
export function decodeValue(value: Uint8Array): IndexedBlob | undefined {
  if (
    value.length !== VALUE_BYTES && value.length !== PLAIN_VALUE_BYTES && value.length !== OLD_VALUE_BYTES
  ) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const segment = view.getUint32(0, true);
  const sizeBytes = view.getFloat64(8, true);
  const plain = segment === FILE_SEGMENT || value.length !== VALUE_BYTES;
  return {
    location: {
      segment,
      offset: view.getUint32(4, true) * RECORD_ALIGN,
      sizeBytes,
      storedBytes: plain ? sizeBytes : view.getUint32(20, true),
    },
    usedS: value.length === OLD_VALUE_BYTES ? 0 : view.getUint32(16, true),
  };
}

/** Changes in the order in which they were made. */
export class IndexQueue {
  readonly #chunks: { readonly bytes: Uint8Array; readonly view: DataView }[] = [];
  /** Where each change begins: number of its chunk times the length of chunks, and offset. */
  #starts = new Uint32Array(256);
  #length = 0;
  #at = CHUNK_BYTES;

  /** How many. */
  get length(): number {
    return this.#length;
  }

  /** Adds that a blob lies somewhere. */
  put(fnValue: number, hash: Uint8Array, location: BlobLocation, usedS: number): void {
    const { bytes, view, at } = this.#add(PUT, fnValue, hash, VALUE_BYTES);
    const value = at + HEAD_BYTES + bytes[at + 1];
    view.setUint32(value, location.segment, true);
    view.setUint32(value + 4, location.offset / RECORD_ALIGN, true);
    view.setFloat64(value + 8, location.sizeBytes, true);
    view.setUint32(value + 16, usedS, true);
    view.setUint32(value + 20, location.segment === FILE_SEGMENT ? 0 : location.storedBytes, true);
  }

  /** Adds that a blob is gone. */
  delete(fnValue: number, hash: Uint8Array): void {
    this.#add(0, fnValue, hash, 0);
  }

  /** A change; its arrays are views. */
  change(index: number): MetadataChange {
    const start = this.#starts[index];
    const { bytes } = this.#chunks[Math.floor(start / CHUNK_BYTES)];
    const at = start % CHUNK_BYTES;
    const end = at + HEAD_BYTES + bytes[at + 1];
    const key = bytes.subarray(at + HEAD_BYTES, end);
    return bytes[at] === PUT
      ? { op: "put", key, value: bytes.subarray(end, end + VALUE_BYTES) }
      : { op: "delete", key };
  }

  /**
   * Numbers of the changes in the order of their keys (of what the first six bytes of a hash make of it), those of one
   * key in the order they came. Gives way in between.
   */
  async ordered(): Promise<Uint32Array> {
    const slices = new Slices();
    const counts = new Uint32Array(BUCKETS + 1);
    for (let i = 0; i < this.#length; i++) {
      counts[(this.#prefix(i) >>> 16) + 1]++;
      if (i % STEP === 0 && slices.spent) await slices.next();
    }
    for (let bucket = 0; bucket < BUCKETS; bucket++) counts[bucket + 1] += counts[bucket];
    const order = new Uint32Array(this.#length);
    const next = counts.slice();
    for (let i = 0; i < this.#length; i++) {
      order[next[this.#prefix(i) >>> 16]++] = i;
      if (i % STEP === 0 && slices.spent) await slices.next();
    }
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const begin = counts[bucket];
      const end = counts[bucket + 1];
      if (end - begin > 1) order.subarray(begin, end).sort((a, b) => this.#compare(a, b));
      if (slices.spent) await slices.next();
    }
    return order;
  }

  #compare(a: number, b: number): number {
    return this.#prefix(a) - this.#prefix(b) || this.#prefix(a, 4) - this.#prefix(b, 4) || a - b;
  }

  /** Four bytes of a hash as a number. */
  #prefix(index: number, from = 0): number {
    const start = this.#starts[index];
    // Behind the two bytes of a key that come before the hash.
    return this.#chunks[Math.floor(start / CHUNK_BYTES)].view.getUint32(
      start % CHUNK_BYTES + HEAD_BYTES + 2 + from,
    );
  }

  #add(kind: number, fnValue: number, hash: Uint8Array, valueBytes: number) {
    const keyBytes = hash.length + 2;
    const length = HEAD_BYTES + keyBytes + valueBytes;
    if (this.#at + length > CHUNK_BYTES) {
      const bytes = new Uint8Array(CHUNK_BYTES);
      this.#chunks.push({ bytes, view: new DataView(bytes.buffer) });
      this.#at = 0;
    }
    if (this.#length === this.#starts.length) {
      const grown = new Uint32Array(this.#length * 2);
      grown.set(this.#starts);
      this.#starts = grown;
    }
    const at = this.#at;
    const { bytes, view } = this.#chunks[this.#chunks.length - 1];
    bytes[at] = kind;
    bytes[at + 1] = keyBytes;
    bytes[at + 2] = BLOB_KEYS;
    bytes[at + 3] = fnValue;
    bytes.set(hash, at + 4);
    this.#starts[this.#length++] = (this.#chunks.length - 1) * CHUNK_BYTES + at;
    this.#at += length;
    return { bytes, view, at };
  }
}
