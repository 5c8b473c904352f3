/**
 * Turns of the event loop for codecs, which all of them share: were each to work for its own few milliseconds, sixteen
 * streams would make everything else wait for fifty.
 *
 * @module
 */

import { throwIfAborted } from "@brokkr/common";

/** How long all codecs together may hold the event loop in one turn, in milliseconds; the last step may go beyond. */
const TURN_MS = 3;

/** When work began in this turn; undefined when none did. */
let begunMs: number | undefined;
/** Those who go on in turns of their own, the longest waiting first. */
const waiting: (() => void)[] = [];

function begin(): void {
  begunMs = performance.now();
  setImmediate(() => {
    begunMs = undefined;
    const next = waiting.shift();
    if (next === undefined) return;
    begin();
    next();
  });
}

/** Cuts the work of a codec into steps: ask before each of them. */
export class CodecTurns {
  readonly #signal: AbortSignal | undefined;

  /** Turns that end when `signal` aborts. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether codecs have worked enough in this turn, so that {@linkcode CodecTurns.next} should be awaited. */
  get spent(): boolean {
    if (begunMs === undefined) begin();
    return begunMs !== undefined && performance.now() - begunMs >= TURN_MS;
  }

  /**
   * Waits for a turn.
   *
   * @throws {BrokkrError} what the signal was aborted with.
   */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (begunMs === undefined) begin();
    });
    throwIfAborted(this.#signal);
  }
}
