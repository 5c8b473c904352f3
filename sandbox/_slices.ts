/**
 * Long synchronous work in slices, so that the event loop is never held up.
 *
 * @module
 */

const SLICE_MS = 3;

/** Measures slices of work; see {@linkcode Slices.rest}. */
export class Slices {
  #startMs = performance.now();

  /** Call this between steps: when the slice is used up it lets the event loop run once. */
  async rest(): Promise<void> {
    if (performance.now() - this.#startMs < SLICE_MS) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.#startMs = performance.now();
  }
}
