/**
 * Windows of uploads that shrink when there are many: what all peers together may have sent and nobody has read stays
 * within a share of memory, while a few uploads get windows that are large enough for long distances.
 *
 * HTTP/2 gives every stream of a connection the same initial window, which may be changed at any time and then changes
 * the streams that are open too (RFC 9113, 6.9.2).
 *
 * @module
 */

/** What is used of an HTTP/2 session. */
export interface WindowedSession {
  /** Sends SETTINGS, and calls `acknowledged` when the peer has taken them, or will not. */
  settings(settings: { readonly initialWindowSize: number }, acknowledged: () => void): void;
  /** Cuts it off. */
  destroy?(): void;
  /** Whether it was freed. */
  readonly destroyed: boolean;
  /** Whether it takes no more streams. */
  readonly closed: boolean;
  /** Calls `listener` when it has ended. */
  once(event: "close", listener: () => void): unknown;
}

/** Smallest window that is given: one frame. */
const MIN_WINDOW_BYTES = 16 << 10;

/**
 * SETTINGS that a peer may leave unacknowledged: as many as lead from a window of 1 MiB to the smallest. Node ends a
 * connection with more than ten, which a peer that is merely busy must not come to feel.
 */
const MAX_UNACKNOWLEDGED = 6;
/** How long a peer may leave so many. Nothing holds it to a window that it has not acknowledged. */
const ACKNOWLEDGE_LIMIT_MS = 60_000;

/** What a connection was told. */
interface Told {
  windowBytes: number;
  unacknowledged: number;
  lastAcknowledgedMs: number;
}

/** The windows of all connections of one server. */
export class ReceiveWindows {
  readonly #shareBytes: number;
  readonly #maxBytes: number;
  readonly #nowMs: () => number;
  readonly #sessions = new Map<WindowedSession, Told>();
  #receiving = 0;
  #windowBytes: number;

  /** `shareBytes` for all uploads together; `maxBytes` for one of few. */
  constructor(shareBytes: number, maxBytes: number, nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#shareBytes = shareBytes;
    this.#maxBytes = maxBytes;
    this.#windowBytes = maxBytes;
  }

  /** Window that each upload has now, in bytes. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** A connection was made; its SETTINGS gave each stream `maxBytes`. */
  add(session: WindowedSession): void {
    const told = { windowBytes: this.#maxBytes, unacknowledged: 0, lastAcknowledgedMs: this.#nowMs() };
    this.#sessions.set(session, told);
    session.once("close", () => this.#sessions.delete(session));
    this.#tell(session, told);
  }

  /** A call began to receive. */
  began(): void {
    this.#receiving++;
    const wanted = this.#wanted();
    if (wanted < this.#windowBytes) this.#set(wanted);
  }

  /** A call has received all. */
  ended(): void {
    this.#receiving--;
  }

  /** Gives larger windows when there are fewer uploads again. Called now and then: every change costs all connections. */
  relax(): void {
    const wanted = this.#wanted();
    if (wanted > this.#windowBytes) this.#set(wanted);
    const limitMs = this.#nowMs() - ACKNOWLEDGE_LIMIT_MS;
    for (const [session, { unacknowledged, lastAcknowledgedMs }] of this.#sessions) {
      if (unacknowledged === MAX_UNACKNOWLEDGED && lastAcknowledgedMs < limitMs) session.destroy?.();
    }
  }

  #wanted(): number {
    const each = this.#shareBytes / Math.max(1, this.#receiving);
    if (each >= this.#maxBytes) return this.#maxBytes;
    return Math.max(MIN_WINDOW_BYTES, 2 ** Math.floor(Math.log2(each)));
  }

  #set(windowBytes: number): void {
    this.#windowBytes = windowBytes;
    for (const [session, told] of this.#sessions) this.#tell(session, told);
  }

  /** Tells the window of now, or leaves that to the next acknowledgement when many are missing. */
  #tell(session: WindowedSession, told: Told): void {
    if (session.destroyed || session.closed || told.windowBytes === this.#windowBytes) return;
    if (told.unacknowledged >= MAX_UNACKNOWLEDGED) return;
    if (told.unacknowledged === 0) told.lastAcknowledgedMs = this.#nowMs();
    told.unacknowledged++;
    told.windowBytes = this.#windowBytes;
    session.settings({ initialWindowSize: told.windowBytes }, () => {
      told.unacknowledged--;
      told.lastAcknowledgedMs = this.#nowMs();
      this.#tell(session, told);
    });
  }
}
