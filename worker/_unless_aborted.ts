/**
 * @module
 */

import { asBrokkrError, Code } from "@brokkr/common";

/** A promise's outcome, or what `signal` aborted with if that comes first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(asBrokkrError(signal.reason, Code.CANCELLED));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
