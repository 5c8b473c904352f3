/**
 * Metadata in memory: for tests and simulations.
 *
 * @module
 */

import type { MetadataChange, MetadataRange, MetadataStore } from "../metadata_store.ts";
import { checkChanges, checkKey, checkRange } from "./_checks.ts";
import { compareBytes, hasPrefix } from "./_order.ts";

interface Entry {
  readonly key: Uint8Array;
  value: Uint8Array;
}

/**
 * A metadata store in memory: a sorted array.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryMetadataStore } from "@brokkr/cas";
 * await using store = new MemoryMetadataStore();
 * await store.write([{ op: "put", key: new Uint8Array([1]), value: new Uint8Array([2]) }]);
 * assertEquals(store.get(new Uint8Array([1])), new Uint8Array([2]));
 * ```
 */
export class MemoryMetadataStore implements MetadataStore {
  /** See {@linkcode MetadataStore.bootEpoch}. */
  readonly bootEpoch: number;
  readonly #entries: Entry[] = [];

  /** An empty store that says it was started `bootEpoch` times. */
  constructor(bootEpoch = 1) {
    this.bootEpoch = bootEpoch;
  }

  /** See {@linkcode MetadataStore.get}. */
  get(key: Uint8Array): Uint8Array | undefined {
    checkKey(key);
    const at = this.#lowerBound(key);
    const entry = this.#entries[at];
    return entry !== undefined && compareBytes(entry.key, key) === 0 ? entry.value.slice() : undefined;
  }

  /** See {@linkcode MetadataStore.write}. */
  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async write(changes: readonly MetadataChange[]): Promise<void> {
    checkChanges(changes);
    for (const change of changes) {
      const at = this.#lowerBound(change.key);
      const found = this.#entries[at] !== undefined && compareBytes(this.#entries[at].key, change.key) === 0;
      if (change.op === "delete") {
        if (found) this.#entries.splice(at, 1);
      } else if (found) {
        this.#entries[at].value = change.value.slice();
      } else {
        this.#entries.splice(at, 0, { key: change.key.slice(), value: change.value.slice() });
      }
    }
  }

  /** See {@linkcode MetadataStore.list}. */
  // deno-lint-ignore require-await -- so that what it throws becomes a rejection.
  async list(range: MetadataRange): Promise<{ readonly key: Uint8Array; readonly value: Uint8Array }[]> {
    checkRange(range);
    const found: { key: Uint8Array; value: Uint8Array }[] = [];
    const { prefix, after, maxBytes = Infinity } = range;
    let bytes = 0;
    let at = this.#lowerBound(after !== undefined && compareBytes(after, prefix) > 0 ? after : prefix);
    for (; at < this.#entries.length && found.length < range.limit && bytes < maxBytes; at++) {
      const { key, value } = this.#entries[at];
      if (!hasPrefix(key, prefix)) break;
      if (after !== undefined && compareBytes(key, after) <= 0) continue;
      found.push({ key: key.slice(), value: value.slice() });
      bytes += value.length;
    }
    return found;
  }

  /** See {@linkcode MetadataStore.count}. */
  count(prefix: Uint8Array): Promise<number> {
    let at = this.#lowerBound(prefix);
    const start = at;
    while (at < this.#entries.length && hasPrefix(this.#entries[at].key, prefix)) at++;
    return Promise.resolve(at - start);
  }

  /** Drops everything. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#entries.length = 0;
    return Promise.resolve();
  }

  #lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes(this.#entries[middle].key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
