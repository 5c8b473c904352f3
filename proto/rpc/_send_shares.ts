/**
 * How far the streams of a server may be ahead of their peers: all together no more than a part of the byte budget, as the
 * transport keeps a copy of what it was handed, and the memory for the largest as long as the stream lasts.
 *
 * @module
 */

import type { ByteBudget } from "@brokkr/common";

/** Part of the budget that may be ahead. */
const PART = 1 / 8;

/** Divides what may be ahead among the calls that stream. */
export class SendShares {
  readonly #wholeBytes: number;
  #calls = 0;

  /** Divides a part of `budget`; without one each call may have as much as it likes. */
  constructor(budget: ByteBudget | undefined) {
    this.#wholeBytes = budget === undefined ? Infinity : budget.limitBytes * PART;
  }

  /** What each call may be ahead now, in bytes. */
  get aheadBytes(): number {
    return this.#wholeBytes / Math.max(1, this.#calls);
  }

  /** A call begins to stream, until the result is disposed of. */
  enter(): Disposable {
    this.#calls++;
    return { [Symbol.dispose]: () => void this.#calls-- };
  }
}
