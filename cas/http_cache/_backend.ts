/**
 * What requests are answered from.
 *
 * @module
 */

import { asBrokkrError, type ByteBudget, type ByteLease, type Clock, Code } from "@brokkr/common";
import type { ActionCache } from "../action_cache/action_cache.ts";
import type { BlobStore } from "../blob_store.ts";
import type { Exchange } from "./_exchange.ts";
import { HttpError, noMemory } from "./_http_error.ts";
import type { Meters } from "./_meters.ts";

/** What requests are answered from. */
export interface Backend {
  /** Blobs. */
  readonly store: BlobStore;
  /** Results. */
  readonly cache: ActionCache;
  /** Environments whose results clients may see, in order. */
  readonly environments: () => readonly string[];
  /** Charged with what requests hold. */
  readonly budget: ByteBudget | undefined;
  /** Largest blob taken, in bytes. */
  readonly maxBlobBytes: number;
  /** Whether what is stored under /ac/ must be a complete ActionResult. */
  readonly validateAc: boolean;
  /** How long a request waits for memory, in milliseconds. */
  readonly budgetWaitMs: number;
  /** Time. */
  readonly clock: Clock;
  /** Where all is counted. */
  readonly meters: Meters;
  /** Memory was refused. */
  readonly onRefused: () => void;
}

/** Less is not charged: the number of connections bounds it well enough. */
const CHARGE_FLOOR_BYTES = 8192;
/** Largest body of unknown length, or of an unknown hash, that is held to find it. */
const HELD_BYTES = 64 << 20;

/** Largest body that is held as a whole, in bytes. */
export function heldLimit({ budget }: Backend): number {
  return budget === undefined ? HELD_BYTES : Math.min(HELD_BYTES, budget.limitBytes >> 2);
}

/**
 * Takes memory for a request, waiting for a while.
 *
 * @throws {HttpError} 503 when there is none.
 */
export async function charge(
  backend: Backend,
  exchange: Exchange,
  sizeBytes: number,
): Promise<ByteLease | undefined> {
  const { budget, clock, budgetWaitMs } = backend;
  if (budget === undefined || sizeBytes < CHARGE_FLOOR_BYTES) return undefined;
  const waiting = new AbortController();
  const stop = () => waiting.abort(exchange.signal.reason);
  exchange.signal.addEventListener("abort", stop, { once: true });
  using _timer = clock.setTimer(budgetWaitMs, () => waiting.abort(noMemory(`${sizeBytes} bytes`)));
  try {
    return await budget.acquire(sizeBytes, waiting.signal);
  } catch (error) {
    if (exchange.signal.aborted || error instanceof HttpError) throw error;
    if (asBrokkrError(error).code === Code.RESOURCE_EXHAUSTED) {
      backend.onRefused();
      throw noMemory(`${sizeBytes} bytes`);
    }
    throw error;
  } finally {
    exchange.signal.removeEventListener("abort", stop);
  }
}

/** A body that is held as a whole, charged until it is let go. */
export interface Held extends Disposable {
  /** Its bytes. */
  readonly data: Uint8Array;
}

/**
 * Reads the whole body, of at most `limitBytes`.
 *
 * @throws {HttpError} What `tooLarge` gives when there is more; 503 when there is no memory for it.
 */
export async function readHeld(
  backend: Backend,
  exchange: Exchange,
  limitBytes: number,
  tooLarge: () => HttpError,
): Promise<Held> {
  const { lengthBytes } = exchange.body;
  if (lengthBytes === undefined) return await readUnknown(backend, exchange, limitBytes, tooLarge);
  if (lengthBytes > limitBytes) throw tooLarge();
  const lease = await charge(backend, exchange, lengthBytes);
  try {
    const data = new Uint8Array(lengthBytes);
    let at = 0;
    for (let piece = await exchange.body.next(); piece !== undefined; piece = await exchange.body.next()) {
      data.set(piece, at);
      at += piece.length;
    }
    if (at !== lengthBytes) {
      throw new HttpError(400, `The body has ${at} bytes, not ${lengthBytes} as it said`);
    }
    return { data, [Symbol.dispose]: () => lease?.release() };
  } catch (error) {
    lease?.release();
    throw error;
  }
}

/** What a body of unknown length begins with. */
const FIRST_BYTES = 64 << 10;

/** Bytes that grow, copied out of the pieces they come in: those may be small parts of large buffers. */
class Growing implements Held {
  readonly #backend: Backend;
  #buffer: Uint8Array;
  #lease: ByteLease | undefined;
  #length = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.#lease = this.#charge(FIRST_BYTES);
    this.#buffer = new Uint8Array(FIRST_BYTES);
  }

  get data(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    let capacity = this.#buffer.length;
    while (capacity < this.#length + piece.length) capacity *= 2;
    if (capacity > this.#buffer.length) {
      const lease = this.#charge(capacity);
      const grown = new Uint8Array(capacity);
      grown.set(this.data);
      this.#buffer = grown;
      this.#lease?.release();
      this.#lease = lease;
    }
    this.#buffer.set(piece, this.#length);
    this.#length += piece.length;
  }

  [Symbol.dispose](): void {
    this.#lease?.release();
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
  }

  /** Not waited for: all who would wait here hold some already. */
  #charge(sizeBytes: number): ByteLease | undefined {
    const { budget, onRefused } = this.#backend;
    if (budget === undefined) return undefined;
    const lease = budget.tryAcquire(sizeBytes);
    if (lease !== undefined) return lease;
    onRefused();
    throw noMemory("a body of unknown length");
  }
}

async function readUnknown(
  backend: Backend,
  exchange: Exchange,
  limitBytes: number,
  tooLarge: () => HttpError,
): Promise<Held> {
  const held = new Growing(backend);
  try {
    for (let piece = await exchange.body.next(); piece !== undefined; piece = await exchange.body.next()) {
      if (held.length + piece.length > limitBytes) throw tooLarge();
      held.add(piece);
    }
    return held;
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}
