/**
 * The connections of the HTTP cache: how many there are, and whose turn it is on each. A client may send further
 * requests before the first is answered; they are answered one after the other.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Clock, Logger } from "@brokkr/common";
import { Connections } from "@brokkr/proto/rpc/server";

/** Requests that one connection may have waiting; one with more is closed. */
const MAX_WAITING = 64;

/** One connection. */
interface Line {
  readonly socket: Socket;
  /** Resolves when all requests so far are answered. */
  tail: Promise<void>;
  /** Requests that run or wait. */
  requests: number;
}

/** All connections of a server. */
export class Lines {
  readonly #connections: Connections;
  readonly #onCount: (count: number) => void;
  readonly #lines = new Map<string, Line>();

  /** At most `max` at once: beyond, the oldest without a request is closed, or else the newest. */
  constructor(max: number, clock: Clock, log: Logger, onCount: (count: number) => void) {
    const busy = () =>
      new Set([...this.#lines.values()].filter((line) => line.requests > 0).map(({ socket }) => socket));
    this.#connections = new Connections(max, busy, clock, log);
    this.#onCount = onCount;
  }

  /** Takes in a new connection, before any TLS on it. */
  add(socket: Socket): void {
    const key = keyOf(socket);
    this.#lines.set(key, { socket, tail: Promise.resolve(), requests: 0 });
    socket.once("close", () => {
      this.#lines.delete(key);
      this.#onCount(this.#lines.size);
    });
    this.#connections.admit(socket);
    this.#onCount(this.#lines.size);
  }

  /** Whether an answer may be under way on the connection of `socket`. */
  isBusy(socket: Socket): boolean {
    return (this.#lines.get(keyOf(socket))?.requests ?? 0) > 0;
  }

  /** Runs `run` when it is the turn of a request that came on `socket`; false when too many wait already. */
  enqueue(socket: Socket, run: () => Promise<void>): boolean {
    const line = this.#lines.get(keyOf(socket));
    if (line === undefined || line.requests > MAX_WAITING) return false;
    line.requests++;
    line.tail = line.tail.then(run).finally(() => void line.requests--);
    return true;
  }

  /** Closes connections: those without a request, or all of them. */
  close(which: "idle" | "all"): void {
    for (const { socket, requests } of this.#lines.values()) {
      if (which === "all" || requests === 0) socket.destroy();
    }
  }
}

/** The peer's address and port. TLS wraps a socket in another one, and both have the same. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
