/**
 * A cache of byte arrays with a limit in bytes; the one unused longest goes first.
 *
 * @module
 */

/** Bytes counted for each entry beside its data. */
const ENTRY_BYTES = 128;

/** The cache. */
export class ByteLru {
  readonly #limitBytes: number;
  readonly #entries = new Map<number, Uint8Array>();
  #bytes = 0;

  /** Holds at most `limitBytes`; 0 turns it off. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is cached under `key`. */
  get(key: number): Uint8Array | undefined {
    const data = this.#entries.get(key);
    if (data !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, data);
    }
    return data;
  }

  /** Caches `data`, which must own its buffer: what is counted is the buffer. */
  set(key: number, data: Uint8Array): void {
    const bytes = data.buffer.byteLength + ENTRY_BYTES;
    if (bytes > this.#limitBytes / 8) return;
    this.delete(key);
    this.#entries.set(key, data);
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#limitBytes) return;
      this.delete(oldest);
    }
  }

  /** Forgets `key`. */
  delete(key: number): void {
    const data = this.#entries.get(key);
    if (data === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= data.buffer.byteLength + ENTRY_BYTES;
  }
}
