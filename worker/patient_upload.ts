/**
 * Uploads that outlast a store which is away for a moment.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, type Clock, Code, type Logger, sleep } from "@brokkr/common";
import type { UploadBlob } from "@brokkr/cas/client";
import type { ActionStore } from "./store.ts";

/** How long the store may be away, or full, while outputs wait for it. */
const STORE_AWAY_MS = 20_000;
/** How long it may be full when it does not say that trying again may help. */
const STORE_FULL_MS = 5000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 1000;

/** The store has no room for what an action left. Running the action elsewhere would not help. */
export class StoreFullError extends BrokkrError {
  /** `cause` is what the store said. */
  constructor(cause: BrokkrError) {
    const message = `The action ran, but the store cannot take its outputs: ${cause.message}`;
    super(cause.code, message, { details: cause.details, cause });
  }
}

/**
 * Uploads what an action left. What was done is not thrown away because the store is away for a moment, such as while
 * control is started anew; should that take too long, the lease runs out or the action goes back to the queue.
 *
 * @throws {StoreFullError} when the store has no room for it, and finds none meanwhile.
 * @throws {BrokkrError} of the store; the reason of `signal`.
 */
export async function uploadPatiently(
  store: ActionStore,
  blobs: readonly UploadBlob[],
  signal: AbortSignal,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  if (blobs.length === 0) return;
  const startMs = clock.monotonicMs();
  for (let delayMs = FIRST_DELAY_MS;; delayMs = Math.min(MAX_DELAY_MS, 2 * delayMs)) {
    try {
      return await store.upload(blobs, signal);
    } catch (thrown) {
      const error = asBrokkrError(thrown);
      signal.throwIfAborted();
      const full = error.code === Code.RESOURCE_EXHAUSTED;
      // They are more than the store could hold if it held nothing else.
      if (error.code === Code.FAILED_PRECONDITION) throw new StoreFullError(error);
      if (!full && error.code !== Code.UNAVAILABLE) throw error;
      const patienceMs = full && error.retryDelayMs === undefined ? STORE_FULL_MS : STORE_AWAY_MS;
      if (clock.monotonicMs() + delayMs > startMs + patienceMs) {
        throw full ? new StoreFullError(error) : error;
      }
      log.debug("The store does not take outputs; uploading again soon", { error });
    }
    await sleep(clock, delayMs, signal);
  }
}
