/**
 * Long work in slices, so that the event loop gets its turn.
 *
 * @module
 */

/** Longest slice, in milliseconds; the rule is that nothing synchronous runs longer than 5. */
const SLICE_MS = 3;

/** Says when work has run long enough to let others run. */
export class Breath {
  #startMs = performance.now();

  /** Whether it is time to {@linkcode Breath.pause}. */
  get due(): boolean {
    return performance.now() - this.#startMs >= SLICE_MS;
  }

  /** Lets the event loop turn once. */
  async pause(): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.#startMs = performance.now();
  }
}
