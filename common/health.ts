/**
 * Whether a process lives and whether it is ready: named checks, one answer.
 *
 * @module
 */

/** What is wrong with one part, by its name. */
export interface HealthReport {
  /** True when every part is ready. */
  readonly ready: boolean;
  /** Name of the part and what it waits for, for each part that is not ready. */
  readonly waiting: Readonly<Record<string, string>>;
}

/**
 * Collects the readiness of a process's parts.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Health } from "@brokkr/common";
 * const health = new Health();
 * health.set("store", "The index is loading");
 * assertEquals(health.report().ready, false);
 * health.set("store", undefined);
 * assertEquals(health.report().ready, true);
 * ```
 */
export class Health {
  readonly #waiting = new Map<string, string>();
  readonly #listeners = new Set<(report: HealthReport) => void>();

  /** Says why `part` is not ready, or, with undefined, that it is. */
  set(part: string, reason: string | undefined): void {
    if (reason === undefined) this.#waiting.delete(part);
    else this.#waiting.set(part, reason);
    const report = this.report();
    for (const listener of this.#listeners) listener(report);
  }

  /** The state now. */
  report(): HealthReport {
    return { ready: this.#waiting.size === 0, waiting: Object.fromEntries(this.#waiting) };
  }

  /** Calls `listener` on every change until the result is called. */
  onChange(listener: (report: HealthReport) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
