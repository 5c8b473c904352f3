/**
 * Time as the store notes it with each blob: seconds since the beginning of 2020, in 32 bits. Wall time where it begins,
 * since it must outlive the process, and monotonic from there on, so that a clock that is set does not shuffle what was
 * used before what.
 *
 * @module
 */

import type { Clock } from "@brokkr/common";

/** 2020-01-01T00:00:00Z in milliseconds of wall time. */
const BEGINNING_MS = 1_577_836_800_000;
const MAX_S = 2 ** 32 - 1;

/** The time of one open store. */
export class StoreTime {
  readonly #clock: Clock;
  readonly #offsetMs: number;

  /** Time that begins where the wall clock stands. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = clock.wallMs() - clock.monotonicMs() - BEGINNING_MS;
  }

  /** Seconds of store time. */
  now(): number {
    return Math.min(MAX_S, Math.max(0, Math.floor((this.#clock.monotonicMs() + this.#offsetMs) / 1000)));
  }
}

/** Wall time in milliseconds for seconds of store time. */
export function wallOf(storeS: number): number {
  return BEGINNING_MS + storeS * 1000;
}
