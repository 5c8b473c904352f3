/**
 * What the action cache counts of its lookups and updates.
 *
 * @module
 */

import { type Clock, type Counter, type Metrics, Recent } from "@brokkr/common";

/** What the gauge of the hit ratio looks back on. */
const HIT_RATIO_WINDOW_MS = 300_000;

/** The counts. */
export class CacheCounts {
  readonly #clock: Clock;
  readonly #hits: Counter;
  readonly #misses: Counter;
  readonly #updates: Counter;
  readonly #recent = new Recent(HIT_RATIO_WINDOW_MS);

  /** Counts into `metrics`. */
  constructor(metrics: Metrics, clock: Clock) {
    this.#clock = clock;
    this.#hits = metrics.counter("brokkr_action_cache_hits_total", "Lookups that found a complete result");
    this.#misses = metrics.counter(
      "brokkr_action_cache_misses_total",
      "Lookups without one: absent, or incomplete because blobs are gone",
      ["reason"],
    );
    this.#updates = metrics.counter(
      "brokkr_action_cache_updates_total",
      "Results that were to be stored: stored or refused",
      ["outcome"],
    );
    metrics.gauge(
      "brokkr_action_cache_hit_ratio",
      "Share of the lookups of the last five minutes that hit; 0 when there were none",
      [],
      () => {
        const { sum, count } = this.#recent.read(this.#clock.monotonicMs());
        return count === 0 ? 0 : sum / count;
      },
    );
  }

  /** A lookup that hit. */
  hit(): void {
    this.#hits.add();
    this.#recent.add(this.#clock.monotonicMs(), 1);
  }

  /** A lookup that did not. */
  miss(reason: string): void {
    this.#misses.add({ reason });
    this.#recent.add(this.#clock.monotonicMs(), 0);
  }

  /** A result that was to be stored. */
  update(outcome: string): void {
    this.#updates.add({ outcome });
  }
}
