/**
 * The connections of a server, as many as may be at once.
 *
 * Whoever can reach a port can open connections and leave them at that. So when there are too many, one without a call
 * makes room, the oldest first: its client, if it is one, connects again with its next call. Only when each has calls is
 * the newest turned away.
 *
 * @module
 */

import type { Clock, Logger } from "@brokkr/common";

/** What is used of an HTTP/2 session. */
export interface CountedSession {
  /** Ends the connection at once. */
  destroy(): void;
  /** Calls `listener` when it has ended. */
  once(event: "close", listener: () => void): unknown;
}

/** Least time between two lines of the log: a flood of connections must not become one of lines. */
const WARN_EVERY_MS = 10_000;

/** Counts the connections of a server. */
export class Connections {
  readonly #max: number;
  readonly #busy: () => ReadonlySet<unknown>;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Oldest first. */
  readonly #sessions = new Set<CountedSession>();
  #warnedMs = -Infinity;
  #closed = 0;

  /** At most `max` at once; `busy` gives the sessions that have calls. */
  constructor(max: number, busy: () => ReadonlySet<unknown>, clock: Clock, log: Logger) {
    this.#max = max;
    this.#busy = busy;
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes in a new connection; false when it was closed instead. */
  admit(session: CountedSession): boolean {
    const victim = this.#sessions.size < this.#max ? undefined : this.#idle() ?? session;
    if (victim !== undefined) this.#end(victim);
    if (victim === session) return false;
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    return true;
  }

  #idle(): CountedSession | undefined {
    const busy = this.#busy();
    for (const session of this.#sessions) if (!busy.has(session)) return session;
    return undefined;
  }

  #end(session: CountedSession): void {
    this.#sessions.delete(session);
    this.#closed++;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#warnedMs >= WARN_EVERY_MS) {
      this.#warnedMs = nowMs;
      this.#log.warn("Too many connections; the oldest without a call are closed, or else the newest", {
        most: this.#max,
        closed: this.#closed,
      });
      this.#closed = 0;
    }
    session.destroy();
  }
}
