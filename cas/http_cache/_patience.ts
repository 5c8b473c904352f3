/**
 * How long a peer is waited for. Only the time counts that is spent waiting for it, and only what moves along in earnest
 * ends it: who sends a byte a minute stands still.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, unavailable } from "@brokkr/common";

/** Less than this is no progress. */
const PROGRESS_BYTES = 1024;
/** While others wait for memory, a peer may stand still for so long, */
const PRESSED_STALL_MS = 3000;
/** and must send at least so many bytes in a second. */
const PRESSED_BYTES_PER_MS = 64;

const NONE = -1;

/** Watches over one request. */
export class Patience {
  readonly #clock: Clock;
  readonly #limitMs: number;
  #sinceMs = NONE;
  #waitedMs = 0;
  #allWaitedMs = 0;
  #bytes = 0;
  #markBytes = 0;

  /** A peer may stand still for `limitMs`. */
  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  /** From now on the peer is waited for. */
  begin(): void {
    this.#sinceMs = this.#clock.monotonicMs();
  }

  /** It has come, with so many bytes sent or taken. */
  end(bytes: number): void {
    if (this.#sinceMs !== NONE) {
      const ms = this.#clock.monotonicMs() - this.#sinceMs;
      this.#waitedMs += ms;
      this.#allWaitedMs += ms;
    }
    this.#sinceMs = NONE;
    this.#bytes += bytes;
    if (this.#bytes - this.#markBytes < PROGRESS_BYTES) return;
    this.#markBytes = this.#bytes;
    this.#waitedMs = 0;
  }

  /** Why the peer is not waited for any longer; undefined when it is. */
  spent(nowMs: number, pressed: boolean): BrokkrError | undefined {
    if (this.#sinceMs === NONE) return undefined;
    const waitedMs = this.#waitedMs + nowMs - this.#sinceMs;
    const what = `The client neither sent nor took anything to speak of for ${
      Math.round(waitedMs / 100) / 10
    } s`;
    if (waitedMs > this.#limitMs) return new BrokkrError(Code.DEADLINE_EXCEEDED, what);
    if (!pressed) return undefined;
    const allMs = this.#allWaitedMs + nowMs - this.#sinceMs;
    if (waitedMs <= PRESSED_STALL_MS && allMs <= PRESSED_STALL_MS + this.#bytes / PRESSED_BYTES_PER_MS) {
      return undefined;
    }
    return unavailable("The client was too slow while others waited for the memory it holds");
  }
}
