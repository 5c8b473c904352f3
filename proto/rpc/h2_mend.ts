/**
 * Mends what aborts a Deno process when a peer sends GOAWAY (https://github.com/denoland/deno/issues/36788): the session
 * is destroyed while nghttp2 still walks its streams. Destroying it one turn later avoids that. `close` stays as it is:
 * deferring it makes a graceful shutdown hang.
 *
 * It also bounds deadlines that grpc-js would let wrap around, and adds a status code that Deno does not name.
 *
 * This must be the first import of every module that loads grpc-js, ahead of it. Importing it twice does no harm.
 *
 * @module
 */

import { createRequire } from "node:module";
import { setImmediate } from "node:timers";

/** What the mend needs of a session. */
interface Session {
  /** Frees it. */
  destroy: (...args: unknown[]) => void;
  /** Whether it takes no more streams. */
  readonly closed: boolean;
  /** Whether it was freed. */
  readonly destroyed: boolean;
  /** Its connection. */
  readonly socket?: { readonly destroyed: boolean; once(event: "close", listener: () => void): unknown };
}

/** What the mend needs of a server. */
interface Server {
  prependListener(event: "session", fn: (session: Session) => void): void;
  prependListener(event: "stream", fn: (stream: unknown, headers: Record<string, unknown>) => void): void;
}

const MENDED = Symbol.for("brokkr.h2_mend");
const LIVE = Symbol.for("brokkr.h2_mend.live");

// The object that `require` gives out is the one grpc-js calls; an ES module's namespace could not be changed.
const http2: object = createRequire(import.meta.url)("node:http2");

function deferDestroy(session: Session): Session {
  if (Reflect.has(session, MENDED)) return session;
  Reflect.defineProperty(session, MENDED, { value: true });
  const destroy = session.destroy;
  session.destroy = (...args) => {
    setImmediate(() => Reflect.apply(destroy, session, args));
  };
  return session;
}

/** Milliseconds of each unit of `grpc-timeout`. */
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** What a timer of JavaScript can wait: 24 days and a half. */
const MAX_TIMER_MS = 2_147_483_647;

/** grpc-js lets a longer deadline wrap around, often to one that has passed: these calls get the longest it can tell. */
function boundTimeout(headers: Record<string, unknown>): void {
  const timeout = headers["grpc-timeout"];
  if (typeof timeout !== "string") return;
  const unitMs = UNIT_MS[timeout.slice(-1)];
  if (unitMs !== undefined && Number(timeout.slice(0, -1)) * unitMs > MAX_TIMER_MS) {
    headers["grpc-timeout"] = `${Math.floor(MAX_TIMER_MS / 1000)}S`;
  }
}

function wrap(name: string, after: (made: unknown) => void): void {
  const original: unknown = Reflect.get(http2, name);
  if (typeof original !== "function") throw new TypeError(`node:http2 has no function ${name} to mend`);
  const wrapped = function (this: unknown, ...args: unknown[]): unknown {
    const made: unknown = Reflect.apply(original, this, args);
    after(made);
    return made;
  };
  Reflect.set(http2, name, wrapped);
}

function liveSessions(): Set<Session> {
  const known: unknown = Reflect.get(http2, LIVE);
  if (known instanceof Set) return known;
  const made = new Set<Session>();
  Reflect.defineProperty(http2, LIVE, { value: made });
  return made;
}

const live = liveSessions();

function mend(): void {
  if (Reflect.has(http2, MENDED)) return;
  Reflect.defineProperty(http2, MENDED, { value: true });
  // Deno's list lacks it, and grpc-js would refuse what is no gRPC with a 200.
  const constants: unknown = Reflect.get(http2, "constants");
  if (typeof constants === "object" && constants !== null) {
    Reflect.set(constants, "HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE", 415);
  }
  for (const name of ["createServer", "createSecureServer"]) {
    wrap(name, (made) => {
      const server = made as Server;
      server.prependListener("session", deferDestroy);
      server.prependListener("stream", (_stream, headers) => boundTimeout(headers));
    });
  }
  wrap("connect", (made) => {
    const session = deferDestroy(made as Session);
    live.add(session);
    session.socket?.once("close", () => live.delete(session));
  });
}

mend();

/**
 * Resolves when every client session that is closing has let go of its socket, or after `limitMs`. For a channel that
 * wants to leave nothing alive behind it.
 */
export async function clientSessionsClosed(limitMs: number): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (performance.now() < endMs) {
    let waiting = false;
    for (const session of live) {
      if (session.socket?.destroyed ?? session.destroyed) live.delete(session);
      else if (session.closed || session.destroyed) waiting = true;
    }
    if (!waiting) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
