/**
 * When a failed call is worth another try.
 *
 * @module
 */

import { type BrokkrError, Code, type Random } from "@brokkr/common";

/** How unary calls are tried again. */
export interface RetryOptions {
  /** How often after the first try; 0 for never. */
  readonly retries: number;
  /** First wait in milliseconds; doubles each time. */
  readonly firstDelayMs: number;
  /** Longest wait in milliseconds. */
  readonly maxDelayMs: number;
}

/**
 * How long to wait before try number `attempt + 1`, undefined when there should be none: UNAVAILABLE always passes,
 * RESOURCE_EXHAUSTED only if the server says when. Jitter keeps clients that failed together apart.
 */
export function retryDelayMs(
  error: BrokkrError,
  attempt: number,
  options: RetryOptions,
  random: Random,
): number | undefined {
  const hintMs = error.retryDelayMs;
  const passes = error.code === Code.UNAVAILABLE ||
    (error.code === Code.RESOURCE_EXHAUSTED && hintMs !== undefined);
  if (!passes) return undefined;
  const backoffMs = Math.min(options.firstDelayMs * 2 ** (attempt - 1), options.maxDelayMs);
  if (hintMs === undefined || hintMs <= backoffMs) return backoffMs * (0.5 + random.next() * 0.5);
  return Math.min(hintMs, options.maxDelayMs) * (1 + random.next() * 0.25); // never before the server's own moment
}
