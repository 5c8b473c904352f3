/**
 * One budget of bytes for everything that buffers: receive windows, batches, uploads, readers.
 *
 * @module
 */

import { asBrokkrError, Code, invalidArgument, resourceExhausted } from "./errors.ts";

/** Bytes taken from a {@linkcode ByteBudget}; released once, by `using` or by hand. */
export interface ByteLease extends Disposable {
  /** How many bytes are held. */
  readonly sizeBytes: number;
  /** Gives them back; harmless the second time. */
  release(): void;
}

interface Waiter {
  readonly sizeBytes: number;
  readonly grant: (lease: ByteLease) => void;
}

/**
 * A counted budget of bytes with a bounded first-come-first-served queue.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ByteBudget } from "@brokkr/common";
 * const budget = new ByteBudget(100);
 * {
 *   using _lease = await budget.acquire(60);
 *   assertEquals(budget.availableBytes, 40);
 * }
 * assertEquals(budget.availableBytes, 100);
 * ```
 */
export class ByteBudget {
  /** The whole budget in bytes. */
  readonly limitBytes: number;
  /** How many may wait before {@linkcode ByteBudget.acquire} refuses. */
  readonly maxWaiters: number;
  #usedBytes = 0;
  readonly #waiters = new Set<Waiter>();

  /** A budget of `limitBytes` with at most `maxWaiters` waiting for a share of it. */
  constructor(limitBytes: number, maxWaiters = 10_000) {
    if (!Number.isSafeInteger(limitBytes) || limitBytes <= 0) {
      throw invalidArgument("limitBytes", `A byte budget must be a positive whole number, not ${limitBytes}`);
    }
    this.limitBytes = limitBytes;
    this.maxWaiters = maxWaiters;
  }

  /** Bytes that are free now. */
  get availableBytes(): number {
    return this.limitBytes - this.#usedBytes;
  }

  /** Bytes that are held now. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** How many callers wait. */
  get waiters(): number {
    return this.#waiters.size;
  }

  /** Takes `sizeBytes` if they are free and nobody waits; undefined otherwise. */
  tryAcquire(sizeBytes: number): ByteLease | undefined {
    this.#check(sizeBytes);
    if (this.#waiters.size > 0 || this.#usedBytes + sizeBytes > this.limitBytes) return undefined;
    return this.#take(sizeBytes);
  }

  /**
   * Takes `sizeBytes`, waiting in turn until they are free.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when too many wait already or `sizeBytes` exceeds the whole budget; what
   * `signal` was aborted with when it aborts first.
   */
  acquire(sizeBytes: number, signal?: AbortSignal): Promise<ByteLease> {
    if (signal?.aborted) return Promise.reject(asBrokkrError(signal.reason, Code.CANCELLED));
    let now: ByteLease | undefined;
    try {
      now = this.tryAcquire(sizeBytes);
    } catch (error) {
      return Promise.reject(error);
    }
    if (now !== undefined) return Promise.resolve(now);
    if (this.#waiters.size >= this.maxWaiters) {
      return Promise.reject(
        resourceExhausted(
          `Memory budget of ${this.limitBytes} bytes is in use and ${this.#waiters.size} calls wait`,
          1000,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters.delete(waiter);
        this.#wake();
        reject(asBrokkrError(signal?.reason, Code.CANCELLED));
      };
      const waiter: Waiter = {
        sizeBytes,
        grant: (lease) => {
          signal?.removeEventListener("abort", onAbort);
          resolve(lease);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #check(sizeBytes: number): void {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw invalidArgument(
        "sizeBytes",
        `A share of a byte budget must be a whole number of bytes, not ${sizeBytes}`,
      );
    }
    if (sizeBytes > this.limitBytes) {
      throw resourceExhausted(
        `${sizeBytes} bytes exceed the whole memory budget of ${this.limitBytes} bytes`,
        60_000,
      );
    }
  }

  #take(sizeBytes: number): ByteLease {
    this.#usedBytes += sizeBytes;
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      this.#usedBytes -= sizeBytes;
      this.#wake();
    };
    return { sizeBytes, release, [Symbol.dispose]: release };
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (this.#usedBytes + waiter.sizeBytes > this.limitBytes) return;
      this.#waiters.delete(waiter);
      waiter.grant(this.#take(waiter.sizeBytes));
    }
  }
}
