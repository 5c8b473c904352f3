/**
 * Lists of chunks that were read lately, by where they lie: a place in the log never holds anything else.
 *
 * @module
 */

import type { ChunkList } from "../blob_store.ts";
import { type BlobLocation, RECORD_ALIGN } from "./membership_table.ts";

/** Bytes counted for each list beside its digests. */
const ENTRY_BYTES = 256;

/** The cache; the list unused for longest goes first. */
export class ListCache {
  readonly #limitBytes: number;
  readonly #lists = new Map<number, ChunkList>();
  #bytes = 0;

  /** Holds at most `limitBytes`. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The list that lies there. */
  get(location: BlobLocation): ChunkList | undefined {
    const key = keyOf(location);
    const list = this.#lists.get(key);
    if (list !== undefined) {
      this.#lists.delete(key);
      this.#lists.set(key, list);
    }
    return list;
  }

  /** Keeps a list. */
  set(location: BlobLocation, list: ChunkList): void {
    const key = keyOf(location);
    this.#drop(key);
    this.#lists.set(key, list);
    this.#bytes += bytesOf(list);
    for (const oldest of this.#lists.keys()) {
      if (this.#bytes <= this.#limitBytes || oldest === key) return;
      this.#drop(oldest);
    }
  }

  #drop(key: number): void {
    const list = this.#lists.get(key);
    if (list === undefined) return;
    this.#lists.delete(key);
    this.#bytes -= bytesOf(list);
  }
}

function bytesOf({ chunks }: ChunkList): number {
  return ENTRY_BYTES + chunks.hashes.byteLength + chunks.sizes.byteLength;
}

function keyOf({ segment, offset }: BlobLocation): number {
  return segment * 2 ** 29 + offset / RECORD_ALIGN;
}
