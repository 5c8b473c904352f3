/**
 * Trying again what may be tried again.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, type Random, sleep } from "@brokkr/common";

/** What a retry needs of its surroundings. */
export interface RetryContext {
  /** Waits between attempts. */
  readonly clock: Clock;
  /** Spreads them. */
  readonly random: Random;
  /** Attempts in all. */
  readonly attempts: number;
}

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;

/** Whether a failure may pass by itself. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof BrokkrError)) return false;
  return error.code === Code.UNAVAILABLE || error.code === Code.ABORTED ||
    (error.code === Code.RESOURCE_EXHAUSTED && error.retryDelayMs !== undefined);
}

/**
 * Waits before attempt `attempt` (1 is the second) after `error`, or throws it when there shall be no more. The wait
 * doubles each time, is spread over half to the whole of it, and is at least what the server hinted at.
 */
export async function waitToRetry(
  context: RetryContext,
  attempt: number,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (attempt >= context.attempts || !isTransient(error) || signal?.aborted) throw error;
  const hintMs = error instanceof BrokkrError ? error.retryDelayMs ?? 0 : 0;
  const backoffMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  const delayMs = Math.max(hintMs, backoffMs * (0.5 + context.random.next() / 2));
  await sleep(context.clock, Math.min(delayMs, 60_000), signal);
}

/** Calls `run` until it succeeds, fails for good, or has had all its attempts. */
export async function retrying<T>(
  context: RetryContext,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await run();
    } catch (error) {
      await waitToRetry(context, attempt, error, signal);
    }
  }
}
