/**
 * Messages of one call on their way out: counts what the connection has not taken yet, and holds the producer back.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What any call may have under way before it has shown that it takes something. */
const FIRST_AHEAD_BYTES = 64 << 10;

/** Counts unsent bytes of one call. */
export class Outbox {
  readonly #aheadBytes: number;
  readonly #shareBytes: () => number;
  #unsentBytes = 0;
  #sentBytes = 0;
  #closed = false;
  #waiters: (() => void)[] = [];

  /**
   * `aheadBytes` may be under way before {@linkcode Outbox.full} says so; less at the start, as much as the peer has taken,
   * so that a thousand peers that take nothing hold little. Less also when `shareBytes`, its share of what all calls may
   * have, is less; one message always.
   */
  constructor(aheadBytes: number, shareBytes: () => number = () => Infinity) {
    this.#aheadBytes = aheadBytes;
    this.#shareBytes = shareBytes;
  }

  /** Whether the producer must wait. */
  get full(): boolean {
    if (this.#unsentBytes === 0 || this.#closed) return false;
    const trustedBytes = Math.max(FIRST_AHEAD_BYTES, this.#sentBytes);
    return this.#unsentBytes > Math.min(this.#aheadBytes, trustedBytes, this.#shareBytes());
  }

  /** Bytes handed over and not taken by the connection. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** A message of `sizeBytes` is handed to the connection. */
  add(sizeBytes: number): void {
    this.#unsentBytes += sizeBytes;
  }

  /** The connection has taken a message of `sizeBytes`. */
  sent(sizeBytes: number): void {
    this.#unsentBytes -= sizeBytes;
    this.#sentBytes += sizeBytes;
    if (!this.full) this.#wake();
  }

  /** Resolves when there is room again, or the call is over. */
  async room(): Promise<void> {
    while (this.full) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** The call is over: nobody waits any longer. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

/** The same bytes as a Buffer, which grpc-js wants. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The same bytes as a plain Uint8Array, whose `slice` copies as everyone expects. */
export function asPlain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
