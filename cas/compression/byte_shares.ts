/**
 * The codecs' part of the byte budget.
 *
 * @module
 */

import { ByteBudget, type ByteLease, type Clock, resourceExhausted, systemClock } from "@brokkr/common";

/** Gives shares of a budget, in turn. */
export interface ByteShares {
  /**
   * Takes `sizeBytes`, waiting until they are free.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when too many wait or it is more than there is; what `signal` was aborted
   * with when it aborts first.
   */
  acquire(sizeBytes: number, signal?: AbortSignal): Promise<ByteLease>;
  /** Takes `sizeBytes` if they are free and nobody waits; undefined otherwise. */
  tryAcquire(sizeBytes: number): ByteLease | undefined;
}

/** How long a caller that holds a part of a budget may wait for more of it, in milliseconds. */
const WAIT_MS = 5000;

/**
 * Takes `sizeBytes` of `budget`, or all of it when it is smaller, and gives up after five seconds: for those who hold
 * something that others wait for in their turn, and who would wait for each other for ever.
 *
 * @throws {BrokkrError} RESOURCE_EXHAUSTED when there is no room by then.
 */
export async function acquireSoon(
  budget: ByteBudget,
  sizeBytes: number,
  signal: AbortSignal | undefined,
  clock: Clock = systemClock,
): Promise<ByteLease> {
  const least = Math.min(sizeBytes, budget.limitBytes);
  const now = budget.tryAcquire(least);
  if (now !== undefined) return now;
  const waiting = new AbortController();
  const late = () =>
    waiting.abort(
      resourceExhausted(
        `No room for ${least} bytes: ${budget.usedBytes} of ${budget.limitBytes} bytes for calls are in use`,
        1000,
      ),
    );
  using _timer = clock.setTimer(WAIT_MS, late);
  return await budget.acquire(least, signal ? AbortSignal.any([signal, waiting.signal]) : waiting.signal);
}

/** What every part has room for: the largest decoder of zstd. */
const LEAST_BYTES = 9 << 20;

/**
 * A quarter of `budget`, with a queue of its own: a codec lives as long as its stream, and those that wait for one must
 * not stand in the way of messages, which need the budget but for a moment. What is larger than the quarter takes all of
 * it: a decoder of brotli with the largest window works, though alone, also where little memory is given.
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
    async acquire(wantedBytes, signal) {
      const sizeBytes = Math.min(wantedBytes, part.limitBytes);
      const inner = await part.acquire(sizeBytes, signal);
      try {
        return both(inner, await acquireSoon(budget, sizeBytes, signal));
      } catch (error) {
        inner.release();
        throw error;
      }
    },
    tryAcquire(sizeBytes) {
      if (sizeBytes > part.limitBytes) return undefined;
      const inner = part.tryAcquire(sizeBytes);
      if (inner === undefined) return undefined;
      const outer = budget.tryAcquire(sizeBytes);
      if (outer !== undefined) return both(inner, outer);
      inner.release();
      return undefined;
    },
  };
}

function both(inner: ByteLease, outer: ByteLease): ByteLease {
  const release = () => {
    outer.release();
    inner.release();
  };
  return { sizeBytes: outer.sizeBytes, release, [Symbol.dispose]: release };
}
