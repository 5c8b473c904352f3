/**
 * Long synchronous work in slices, so that heartbeats and streams never wait behind it.
 *
 * @module
 */

import { throwIfAborted } from "./errors.ts";

/** How long one slice may hold the event loop, in milliseconds. Below the project's limit of 5 with room to spare. */
export const SLICE_MS = 3;

/** Lets everything else that waits for the event loop have its turn. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => resolve());
  });
}

/**
 * Cuts a loop of short synchronous steps into slices.
 *
 * @example
 * ```ts
 * import { Slices } from "@brokkr/common";
 * const slices = new Slices();
 * for (let step = 0; step < 1000; step++) {
 *   // ... something short ...
 *   if (slices.spent) await slices.next();
 * }
 * ```
 */
export class Slices {
  #startedMs = performance.now();
  readonly #signal: AbortSignal | undefined;

  /** Slices that end when `signal` aborts. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether the slice is over and {@linkcode Slices.next} should be awaited. Cheap: call it after every step. */
  get spent(): boolean {
    return performance.now() - this.#startedMs >= SLICE_MS;
  }

  /**
   * Lets others run, then begins the next slice.
   *
   * @throws {BrokkrError} what the signal was aborted with.
   */
  async next(): Promise<void> {
    await yieldToEventLoop();
    throwIfAborted(this.#signal);
    this.#startedMs = performance.now();
  }
}
