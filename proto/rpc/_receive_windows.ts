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
  /** Sends SETTINGS. */
  settings(settings: { readonly initialWindowSize: number }): void;
  /** Whether it was freed. */
  readonly destroyed: boolean;
  /** Whether it takes no more streams. */
  readonly closed: boolean;
  /** Calls `listener` when it has ended. */
  once(event: "close", listener: () => void): unknown;
}

/** Smallest window that is given: one frame. */
const MIN_WINDOW_BYTES = 16 << 10;

/** The windows of all connections of one server. */
export class ReceiveWindows {
  readonly #shareBytes: number;
  readonly #maxBytes: number;
  readonly #sessions = new Set<WindowedSession>();
  #receiving = 0;
  #windowBytes: number;

  /** `shareBytes` for all uploads together; `maxBytes` for one of few. */
  constructor(shareBytes: number, maxBytes: number) {
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
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    if (this.#windowBytes !== this.#maxBytes) this.#tell(session);
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
  }

  #wanted(): number {
    const each = this.#shareBytes / Math.max(1, this.#receiving);
    if (each >= this.#maxBytes) return this.#maxBytes;
    return Math.max(MIN_WINDOW_BYTES, 2 ** Math.floor(Math.log2(each)));
  }

  #set(windowBytes: number): void {
    this.#windowBytes = windowBytes;
    for (const session of this.#sessions) this.#tell(session);
  }

  #tell(session: WindowedSession): void {
    if (!session.destroyed && !session.closed) session.settings({ initialWindowSize: this.#windowBytes });
  }
}
