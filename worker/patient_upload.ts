/**
 * Uploads that outlast a store which is away for a moment.
 *
 * @module
 */

import { asBrokkrError, type Clock, Code, type Logger, sleep } from "@brokkr/common";
import type { UploadBlob } from "@brokkr/cas/client";
import type { ActionStore } from "./store.ts";

/** How long the store may be away while outputs wait for it. */
const STORE_AWAY_MS = 20_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 1000;

/**
 * Uploads what an action left. What was done is not thrown away because the store is away for a moment, such as while
 * control is started anew; should that take too long, the lease runs out or the action goes back to the queue.
 *
 * @throws {BrokkrError} of the store; the reason of `signal`.
 */
export async function uploadPatiently(
  store: ActionStore,
  blobs: readonly UploadBlob[],
  signal: AbortSignal,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  if (blobs.length === 0) return;
  const untilMs = clock.monotonicMs() + STORE_AWAY_MS;
  for (let delayMs = FIRST_DELAY_MS;; delayMs = Math.min(MAX_DELAY_MS, 2 * delayMs)) {
    try {
      return await store.upload(blobs, signal);
    } catch (thrown) {
      const error = asBrokkrError(thrown);
      signal.throwIfAborted();
      if (error.code !== Code.UNAVAILABLE || clock.monotonicMs() + delayMs > untilMs) throw error;
      log.debug("The store cannot be reached; uploading again soon", { error });
    }
    await sleep(clock, delayMs, signal);
  }
}
