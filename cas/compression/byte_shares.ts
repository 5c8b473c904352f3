/**
 * The codecs' part of the byte budget.
 *
 * @module
 */

import { ByteBudget, type ByteLease } from "@brokkr/common";

/** Gives shares of a budget, in turn. */
export interface ByteShares {
  /**
   * Takes `sizeBytes`, waiting until they are free.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when too many wait or it is more than there is; what `signal` was aborted
   * with when it aborts first.
   */
  acquire(sizeBytes: number, signal?: AbortSignal): Promise<ByteLease>;
}

/** What every part has room for: the largest decoder. */
const LEAST_BYTES = 9 << 20;

/**
 * A quarter of `budget`, with a queue of its own: a codec lives as long as its stream, and those that wait for one must
 * not stand in the way of messages, which need the budget but for a moment.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ByteBudget } from "@brokkr/common";
 * import { shareOf } from "@brokkr/cas/compression";
 * const budget = new ByteBudget(100_000_000);
 * const codecs = shareOf(budget);
 * using _lease = await codecs.acquire(20_000_000);
 * assertEquals(budget.usedBytes, 20_000_000);
 * ```
 */
export function shareOf(budget: ByteBudget): ByteShares {
  const part = new ByteBudget(
    Math.min(budget.limitBytes, Math.max(LEAST_BYTES, Math.floor(budget.limitBytes / 4))),
  );
  return {
    async acquire(sizeBytes, signal) {
      const inner = await part.acquire(sizeBytes, signal);
      try {
        const outer = await budget.acquire(sizeBytes, signal);
        const release = () => {
          outer.release();
          inner.release();
        };
        return { sizeBytes, release, [Symbol.dispose]: release };
      } catch (error) {
        inner.release();
        throw error;
      }
    },
  };
}
