/**
 * What was measured lately: values of the last minutes, in slots, so that old ones go without being kept one by one.
 *
 * @module
 */

/** Sum, number and greatest of what was added within a window of time. */
export class Recent {
  readonly #slotMs: number;
  readonly #slots: { at: number; sum: number; count: number; max: number }[];

  /** Of the last `windowMs` milliseconds, in `slots` steps: what is up to one step older counts, too. */
  constructor(windowMs: number, slots = 10) {
    this.#slotMs = windowMs / slots;
    this.#slots = Array.from({ length: slots + 1 }, () => ({ at: -1, sum: 0, count: 0, max: 0 }));
  }

  /** Adds a value that is not negative. */
  add(nowMs: number, value: number): void {
    const at = Math.floor(nowMs / this.#slotMs);
    const slot = this.#slots[at % this.#slots.length];
    if (slot.at !== at) Object.assign(slot, { at, sum: 0, count: 0, max: 0 });
    slot.sum += value;
    slot.count++;
    if (value > slot.max) slot.max = value;
  }

  /**
   * What is there of the window that ends now; zeros when nothing was added.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Recent } from "@brokkr/common";
   * const recent = new Recent(60_000);
   * recent.add(0, 5);
   * recent.add(30_000, 2);
   * assertEquals(recent.read(59_000), { sum: 7, count: 2, max: 5 });
   * assertEquals(recent.read(70_000), { sum: 2, count: 1, max: 2 });
   * ```
   */
  read(nowMs: number): { readonly sum: number; readonly count: number; readonly max: number } {
    const oldest = Math.floor(nowMs / this.#slotMs) - this.#slots.length + 1;
    const total = { sum: 0, count: 0, max: 0 };
    for (const { at, sum, count, max } of this.#slots) {
      if (at < oldest || at < 0) continue;
      total.sum += sum;
      total.count += count;
      total.max = Math.max(total.max, max);
    }
    return total;
  }
}
