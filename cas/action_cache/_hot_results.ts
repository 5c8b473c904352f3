/**
 * Results used lately, kept at hand.
 *
 * @module
 */

import { type AnyRecord, decodeRecord } from "./_record.ts";

/** A result kept at hand. */
export type HotResult = Omit<AnyRecord, "usedS"> & {
  /** When it was used last, about, in seconds of wall time; undefined when nobody knows. */
  usedS: number | undefined;
  /** When what it promises was pinned last. */
  pinnedMs: number;
};

/**
 * Takes a stored record apart.
 *
 * @throws {BrokkrError} as `decodeRecord`.
 */
export function hotResult(stored: Uint8Array, pinnedMs = -Infinity): HotResult {
  const record = decodeRecord(stored);
  return { ...record, usedS: record.usedS, pinnedMs };
}

/** The results used last, bounded in number and bytes. */
export class HotResults {
  /** Counts changes: what was read before one may be stale after it. */
  generation = 0;
  readonly #entries = new Map<string, HotResult>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #bytes = 0;

  /** Holds at most so many. */
  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /** The result of this name. */
  get(name: string): HotResult | undefined {
    const record = this.#entries.get(name);
    if (record === undefined) return undefined;
    // Maps iterate in order of insertion: what was used last goes to the end.
    this.#entries.delete(name);
    this.#entries.set(name, record);
    return record;
  }

  /** Keeps a result, unless it is very large. */
  set(name: string, record: HotResult): void {
    this.delete(name);
    const bytes = sizeOf(record);
    if (bytes > this.#maxBytes / 4) return;
    this.#entries.set(name, record);
    this.#bytes += bytes;
    for (const [oldest, old] of this.#entries) {
      if (this.#entries.size <= this.#maxEntries && this.#bytes <= this.#maxBytes) return;
      this.#entries.delete(oldest);
      this.#bytes -= sizeOf(old);
    }
  }

  /** Forgets a result. */
  delete(name: string): void {
    const old = this.#entries.get(name);
    if (old === undefined) return;
    this.#entries.delete(name);
    this.#bytes -= sizeOf(old);
  }

  /** Forgets all. */
  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}

function sizeOf({ bytes, closure }: HotResult): number {
  return bytes.length + closure.length * (closure.fn.hashBytes + 8) + 400;
}
