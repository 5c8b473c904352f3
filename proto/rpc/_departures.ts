/**
 * What left a stream and not the process. HTTP/2 here frames all that the peer's windows allow, whether or not the socket
 * takes it: a peer that granted large windows and then stopped reading would have as much lie in the socket's queue.
 * So a message counts as sent only when the queue behind it is short.
 *
 * @module
 */

/** What is used of a socket. */
export interface DepartureSocket {
  /** Whether it said that it wants no more for now. */
  readonly writableNeedDrain: boolean;
  /** Bytes that it has queued. */
  readonly writableLength: number;
  /** Whether it was freed. */
  readonly destroyed: boolean;
  /** Calls `listener` when its queue is empty, or when it has closed. */
  once(event: "drain" | "close", listener: () => void): unknown;
}

/** What is used of an HTTP/2 session. */
export interface DepartureSession {
  /** Calls `listener` when it has ended. */
  once(event: "close", listener: () => void): unknown;
}

/** A queue that is no longer than this is as good as sent. */
const SHORT_BYTES = 256 << 10;

/** The end of the way out for the messages of one connection. */
export class Departures {
  readonly #socket: DepartureSocket;
  #waiting: (() => void)[] = [];
  #closed = false;

  /** Watches `socket`, and the session on it: either may be the only one to say that it has closed. */
  constructor(socket: DepartureSocket, session: DepartureSession) {
    this.#socket = socket;
    const close = () => {
      this.#closed = true;
      this.#flush();
    };
    socket.once("close", close);
    session.once("close", close);
  }

  /** Calls `then` when what was handed to the socket so far has left: at once when its queue is short. */
  after(then: () => void): void {
    if (this.#waiting.length === 0) {
      if (!this.#full()) return then();
      this.#socket.once("drain", () => this.#flush());
    }
    this.#waiting.push(then);
  }

  #full(): boolean {
    if (this.#closed) return false;
    try {
      const { destroyed, writableNeedDrain, writableLength } = this.#socket;
      return !destroyed && writableNeedDrain && writableLength > SHORT_BYTES;
    } catch {
      return false; // an HTTP/2 session that has lost its socket throws when it is asked for it
    }
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const then of waiting) then();
  }
}
