/**
 * Blobs by the time since their last use.
 *
 * @module
 */

import type { AgeClass } from "../store_keeper.ts";
import type { Tally } from "./_eviction_plan.ts";

/** Upper bounds of age classes, in seconds. */
const AGES = [600, 3600, 6 * 3600, 86_400, 3 * 86_400, 7 * 86_400, 30 * 86_400];

/** Counts blobs by age. */
export class AgeCount {
  readonly #nowS: number;
  readonly #tallies: Tally[] = Array.from({ length: AGES.length + 1 }, () => ({ blobs: 0, bytes: 0 }));

  /** None yet; ages are as of `nowS`, seconds of store time. */
  constructor(nowS: number) {
    this.#nowS = nowS;
  }

  /** Counts a blob that was used last at `usedS`. */
  add(usedS: number, bytes: number): void {
    const age = this.#nowS - usedS;
    const at = AGES.findIndex((bound) => age <= bound);
    const tally = this.#tallies[at < 0 ? AGES.length : at];
    tally.blobs++;
    tally.bytes += bytes;
  }

  /** The classes, latest use first. */
  get classes(): AgeClass[] {
    return this.#tallies.map((tally, at) => ({ ...tally, upToSeconds: AGES.at(at) }));
  }
}
