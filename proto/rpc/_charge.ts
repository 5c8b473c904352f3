/**
 * Charging messages to the byte budget.
 *
 * @module
 */

import {
  asBrokkrError,
  type BrokkrError,
  type ByteBudget,
  type ByteLease,
  type Clock,
  Code,
  resourceExhausted,
} from "@brokkr/common";

/** Messages below this size are not charged: the limit of concurrent streams bounds them well enough. */
export const CHARGE_FLOOR_BYTES = 8192;

/** When a refused client is told to come back. */
const RETRY_MS = 500;

function overBudget(budget: ByteBudget, sizeBytes: number): BrokkrError {
  return resourceExhausted(
    `No room for a message of ${sizeBytes} bytes: ${budget.usedBytes} of ${budget.limitBytes} bytes for calls are in use`,
    RETRY_MS,
  );
}

/**
 * Charges a message at once; undefined when it is too small to be charged or there is no budget.
 *
 * @throws {BrokkrError} RESOURCE_EXHAUSTED with a hint when the budget has no room.
 */
export function chargeNow(core: ChargedCore, sizeBytes: number): ByteLease | undefined {
  const { budget } = core;
  if (budget === undefined || sizeBytes < CHARGE_FLOOR_BYTES) return undefined;
  const lease = budget.tryAcquire(sizeBytes);
  if (lease !== undefined) return lease;
  core.refusedMs = core.clock.monotonicMs();
  throw overBudget(budget, sizeBytes);
}

/** What of a server's core is charged. */
export interface ChargedCore {
  /** Time. */
  readonly clock: Clock;
  /** Where bytes are charged. */
  readonly budget: ByteBudget | undefined;
  /** When a message was last refused for want of memory, in monotonic milliseconds. */
  refusedMs: number;
}

/**
 * Charges a streamed message, waiting for a while when the budget has no room: the peer is held back meanwhile.
 *
 * @throws {BrokkrError} RESOURCE_EXHAUSTED with a hint after `limitMs`, or what `signal` was aborted with.
 */
export async function charge(
  budget: ByteBudget | undefined,
  sizeBytes: number,
  options: { readonly clock: Clock; readonly limitMs: number; readonly signal: AbortSignal },
): Promise<ByteLease | undefined> {
  if (budget === undefined || sizeBytes < CHARGE_FLOOR_BYTES) return undefined;
  const now = budget.tryAcquire(sizeBytes);
  if (now !== undefined) return now;
  const waiting = new AbortController();
  const stop = () => waiting.abort(asBrokkrError(options.signal.reason, Code.CANCELLED));
  if (options.signal.aborted) stop();
  options.signal.addEventListener("abort", stop, { once: true });
  using _timer = options.clock.setTimer(options.limitMs, () => waiting.abort(overBudget(budget, sizeBytes)));
  try {
    return await budget.acquire(sizeBytes, waiting.signal);
  } finally {
    options.signal.removeEventListener("abort", stop);
  }
}
