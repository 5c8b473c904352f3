/**
 * A share of each turn of the event loop for work that comes in small pieces from many sides at once: each piece is short,
 * but the pieces of a thousand callers that were woken together would be one long turn.
 *
 * @module
 */

import { yieldToEventLoop } from "@brokkr/common";

/**
 * Counts work until the turn ends.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { TurnShare } from "./_turn_share.ts";
 * const share = new TurnShare(100);
 * share.spend(60);
 * assertEquals(share.isSpent, false);
 * share.spend(60);
 * assertEquals(share.isSpent, true);
 * await share.spendLater(60); // in the next turn
 * assertEquals(share.isSpent, false);
 * ```
 */
export class TurnShare {
  readonly #limit: number;
  #spent = 0;
  #ends: Promise<void> | undefined;

  /** A share of `limit` in each turn, in whatever it is that is counted. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether no more is to be done in this turn. */
  get isSpent(): boolean {
    return this.#spent >= this.#limit;
  }

  /** Counts what is done in this turn. */
  spend(amount: number): void {
    this.#spent += amount;
    this.#ends ??= yieldToEventLoop().then(() => {
      this.#spent = 0;
      this.#ends = undefined;
    });
  }

  /** Waits for a turn that has something left and counts at once, so that of many who wait few are let through in each. */
  async spendLater(amount: number): Promise<void> {
    while (this.isSpent) await this.#ends;
    this.spend(amount);
  }
}
