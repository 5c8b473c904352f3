/**
 * Small tools for concurrent code: a semaphore, a bounded queue, bounded parallel mapping.
 *
 * @module
 */

import { asBrokkrError, Code, invalidArgument } from "./errors.ts";

/**
 * Runs `fn` over `items`, at most `limit` at once, and returns the results in order. The first failure stops the
 * start of further items and is thrown after those under way have ended.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { mapLimit } from "@brokkr/common";
 * assertEquals(await mapLimit([1, 2, 3], 2, (n) => Promise.resolve(n * 2)), [2, 4, 6]);
 * ```
 */
export async function mapLimit<T, R>(
  items: readonly T[],
  limit: number,
  fn: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  if (!(limit >= 1)) {
    throw invalidArgument("limit", `A limit of parallel work must be at least 1, not ${limit}`);
  }
  const results = new Array<R>(items.length);
  let next = 0;
  let failure: { error: unknown } | undefined;
  const lane = async () => {
    while (next < items.length && failure === undefined) {
      const index = next++;
      try {
        results[index] = await fn(items[index], index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  if (failure !== undefined) throw failure.error;
  return results;
}

/**
 * A bounded queue between producers that wait and one consumer that iterates.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { AsyncQueue } from "@brokkr/common";
 * const queue = new AsyncQueue<number>(8);
 * await queue.push(1);
 * queue.close();
 * const seen = [];
 * for await (const item of queue) seen.push(item);
 * assertEquals(seen, [1]);
 * ```
 */
export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #closed = false;
  #error: unknown = undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];

  /** A queue that holds at most `limit` items. */
  constructor(limit: number) {
    if (!(limit >= 1)) throw invalidArgument("limit", `A queue must hold at least 1 item, not ${limit}`);
    this.#limit = limit;
  }

  /** How many items wait. */
  get size(): number {
    return this.#items.length;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Adds an item at once; false when full or closed. */
  tryPush(item: T): boolean {
    if (this.#closed || this.#items.length >= this.#limit) return false;
    this.#items.push(item);
    this.#wakeReader?.();
    return true;
  }

  /** Adds an item, waiting for room. Resolves to false when the queue is closed. */
  async push(item: T, signal?: AbortSignal): Promise<boolean> {
    while (!this.#closed) {
      if (signal?.aborted) throw asBrokkrError(signal.reason, Code.CANCELLED);
      if (this.tryPush(item)) return true;
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        this.#wakeWriters.push(wake);
        signal?.addEventListener("abort", wake, { once: true });
      });
    }
    return false;
  }

  /** Ends it: the reader gets what is left, then the end, or `error` if one is given. */
  close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#wakeReader?.();
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }

  /** Reads until the end; breaking out closes the queue. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          for (const wake of this.#wakeWriters.splice(0)) wake();
          yield item;
          continue;
        }
        if (this.#closed) {
          if (this.#error !== undefined) throw this.#error;
          return;
        }
        await new Promise<void>((resolve) => this.#wakeReader = resolve);
        this.#wakeReader = undefined;
      }
    } finally {
      this.close();
    }
  }
}

/**
 * Counted permits, first come first served.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@brokkr/common";
 * const semaphore = new Semaphore(2);
 * using _permit = await semaphore.acquire();
 * ```
 */
export class Semaphore {
  #free: number;
  readonly #waiters: (() => void)[] = [];

  /** `permits` may be held at once. */
  constructor(permits: number) {
    if (!(permits >= 1)) {
      throw invalidArgument("permits", `A semaphore needs at least 1 permit, not ${permits}`);
    }
    this.#free = permits;
  }

  /** Takes a permit, waiting for one. */
  async acquire(): Promise<Disposable> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiters.push(resolve));
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#waiters.shift();
        if (next === undefined) this.#free++;
        else next();
      },
    };
  }
}
