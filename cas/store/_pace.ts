/**
 * Doing something at a bounded rate.
 *
 * @module
 */

import { type Clock, sleep, throwIfAborted } from "@brokkr/common";

/** Sleeps shorter than this are saved up, in milliseconds. */
const SHORTEST_MS = 5;

/** Bytes at a bounded rate: what was taken is paid for before more is. */
export class Pace {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #signal: AbortSignal | undefined;
  /** When all that was taken is paid for. */
  #paidMs: number;

  /** At most `bytesPerSecond`, which may be `Infinity`; ends when `signal` aborts. */
  constructor(clock: Clock, bytesPerSecond: number, signal?: AbortSignal) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#signal = signal;
    this.#paidMs = clock.monotonicMs();
  }

  /**
   * Waits until what was taken before is paid for, then takes `bytes`.
   *
   * @throws What the signal was aborted with.
   */
  async take(bytes: number): Promise<void> {
    throwIfAborted(this.#signal);
    const nowMs = this.#clock.monotonicMs();
    if (this.#paidMs - nowMs > SHORTEST_MS) await sleep(this.#clock, this.#paidMs - nowMs, this.#signal);
    this.#paidMs = Math.max(this.#paidMs, nowMs) + bytes / this.#bytesPerMs;
  }
}
