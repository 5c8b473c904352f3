/**
 * Waiting in a way that keeps the process alive.
 *
 * @module
 */

import { asBrokkrError, type Clock, Code, sleep } from "@brokkr/common";

/**
 * Waits for `delayMs`. Without a clock it is a timer that keeps the process alive, unlike the system clock's: what waits
 * for nothing else (a retry, the end of a shutdown) must not end here.
 *
 * @throws {BrokkrError} with what `signal` was aborted with.
 */
export function pause(delayMs: number, signal?: AbortSignal, clock?: Clock): Promise<void> {
  if (clock !== undefined) return sleep(clock, delayMs, signal);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(asBrokkrError(signal.reason, Code.CANCELLED));
    const onAbort = () => {
      clearTimeout(timer);
      reject(asBrokkrError(signal?.reason, Code.CANCELLED));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
