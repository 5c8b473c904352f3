/**
 * Whether a file system answers at once.
 *
 * @module
 */

/** What a call may take on average, in milliseconds: from memory or a fast disk it is far less. */
const CALL_MS = 0.5;
/** What all calls may take beyond that before the file system counts as slow, in milliseconds. */
const GRACE_MS = 50;

/**
 * Times calls of a file system. Where it answers at once, waiting for the answer costs less than handing the call to
 * another thread, by a factor of five; where it does not, many calls have to be under way at a time.
 */
export class DiskPace {
  readonly #nowMs: () => number;
  #calls = 0;
  #spentMs = 0;

  /** Times by `nowMs`. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Whether the file system keeps callers waiting. */
  get slow(): boolean {
    return this.#spentMs > GRACE_MS + CALL_MS * this.#calls;
  }

  /** Does what calls the file system, and times it. */
  timed<T>(call: () => T): T {
    const startMs = this.#nowMs();
    try {
      return call();
    } finally {
      this.#calls++;
      this.#spentMs += this.#nowMs() - startMs;
    }
  }
}
