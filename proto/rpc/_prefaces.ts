/**
 * Connections whose peers have yet to say that they speak HTTP/2. Whoever says nothing is no client, and is not kept: the
 * pings that find dead connections begin much later.
 *
 * @module
 */

import type { Clock } from "@brokkr/common";

/** What is used of an HTTP/2 session. */
export interface PrefacedSession {
  /** Ends the connection at once. */
  destroy(): void;
  /** Calls `listener` when the peer's first SETTINGS have come, which end its preface, or when it has ended. */
  once(event: "remoteSettings" | "close", listener: () => void): unknown;
}

/** Ends connections that say nothing for too long. */
export class Prefaces {
  readonly #limitMs: number;
  readonly #clock: Clock;
  /** When each came, oldest first. */
  readonly #silent = new Map<PrefacedSession, number>();

  /** Each peer has `limitMs`. */
  constructor(limitMs: number, clock: Clock) {
    this.#limitMs = limitMs;
    this.#clock = clock;
  }

  /** A connection came. */
  add(session: PrefacedSession): void {
    this.#silent.set(session, this.#clock.monotonicMs());
    const known = () => void this.#silent.delete(session);
    session.once("remoteSettings", known);
    session.once("close", known);
  }

  /** Ends those whose time is over. */
  sweep(nowMs: number): void {
    for (const [session, sinceMs] of this.#silent) {
      if (nowMs - sinceMs < this.#limitMs) return;
      this.#silent.delete(session);
      session.destroy();
    }
  }
}
