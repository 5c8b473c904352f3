/**
 * The few things of grpc-js 1.14.7 that its public face does not offer: settings of the HTTP/2 servers it makes, and the
 * stream beneath a call. All of them are read here, checked, and a test fails when another version has changed them.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Server, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { BrokkrError, Code } from "@brokkr/common";
import type { DepartureSession, DepartureSocket } from "./_departures.ts";
import { Frame } from "./_frame_buffers.ts";
import type { DataStream } from "./_intake.ts";
import type { WindowedSession } from "./_receive_windows.ts";

/** HTTP/2's "no longer needed". */
const CANCEL = 8;

/** What is used of an HTTP/2 session. */
export interface H2Session extends WindowedSession {
  /** Largest number of unread bytes the peer may have sent on the connection. */
  setLocalWindowSize(sizeBytes: number): void;
  /** Ends the connection at once. */
  destroy(): void;
  /** Calls `listener` when it has ended, or when the peer's first SETTINGS have come. */
  once(event: "close" | "remoteSettings", listener: () => void): unknown;
}

/** What is used of an HTTP/2 stream. */
export interface H2Stream {
  /** Whether both sides are done. */
  readonly closed: boolean;
  /** Whether it was freed. */
  readonly destroyed: boolean;
  /** Why it was reset, 0 or undefined when it was not. */
  readonly rstCode?: number;
  /** Whether the peer ended it before it was complete. */
  readonly aborted?: boolean;
  /** Its connection. */
  readonly session?: DepartureSession;
  /** Sends RST_STREAM. */
  close(code: number): void;
}

/** What is used of an HTTP/2 server. */
interface H2Server extends NodeListener {
  on(event: "session", listener: (session: H2Session) => void): unknown;
  on(event: "sessionError", listener: (error: Error) => void): unknown;
  prependListener(event: "connection" | "secureConnection", listener: (socket: Socket) => void): unknown;
}

function changed(what: string): BrokkrError {
  return new BrokkrError(Code.INTERNAL, `This version of grpc-js has no ${what}; it was written for 1.14.7`);
}

/**
 * Sets what SETTINGS frames of all connections of `server` say, and how long a peer may take for the handshake of TLS. Call
 * it before binding a port.
 */
export function setH2Options(
  server: Server,
  settings: Readonly<Record<string, number>>,
  handshakeTimeout: number,
): void {
  const common: unknown = Reflect.get(server, "commonServerOptions");
  if (typeof common !== "object" || common === null) throw changed("commonServerOptions");
  const old: unknown = Reflect.get(common, "settings");
  Reflect.set(common, "settings", { ...(typeof old === "object" ? old : {}), ...settings });
  Reflect.set(common, "handshakeTimeout", handshakeTimeout);
}

/** The HTTP/2 servers that `server` listens with. */
export function h2Servers(server: Server): readonly H2Server[] {
  const servers: unknown = Reflect.get(server, "http2Servers");
  if (!(servers instanceof Map)) throw changed("http2Servers");
  return [...servers.keys()];
}

/** What node:net asks for when it is told nothing. */
const BACKLOG = 511;

/** What is used of a server of node:net and of what is built on it. */
export interface NodeListener {
  /** Whether it takes connections. */
  readonly listening: boolean;
  /** Deno's own listener, null when it is closed. */
  readonly _handle?: { listen?(backlog: number): number } | null;
}

/**
 * Makes `listener` look again whether connections wait. Deno 2.9.6 takes a failure to accept one, such as for want of file
 * descriptors, for "none waits": it says nothing and is never woken again. Listening once more on the socket that listens
 * already wakes it, changes nothing else, and costs less than a microsecond.
 */
export function wakeListener({ listening, _handle: handle }: NodeListener): void {
  if (listening && typeof handle?.listen === "function") handle.listen(BACKLOG);
}

/** As {@linkcode wakeListener}, for all that `server` listens on. */
export function keepAccepting(server: Server): void {
  for (const listener of h2Servers(server)) wakeListener(listener);
}

/** The stream that carries a call, undefined when it cannot be seen. */
export function streamOf(call: ServerInterceptingCallInterface): H2Stream | undefined {
  const stream: unknown = Reflect.get(call, "stream");
  return typeof stream === "object" && stream !== null ? stream as H2Stream : undefined;
}

/** The socket of a session, undefined when it is gone. */
export function socketOf(session: object): DepartureSocket | undefined {
  const socket: unknown = Reflect.get(session, "socket");
  if (typeof socket !== "object" || socket === null) return undefined;
  try {
    // A proxy, whose properties are there when they are asked for and not before, and throw when the socket is gone.
    return typeof Reflect.get(socket, "writableNeedDrain") === "boolean"
      ? socket as DepartureSocket
      : undefined;
  } catch {
    return undefined;
  }
}

/** The data of the stream that carries a call, undefined when it cannot be seen. */
export function dataStreamOf(call: ServerInterceptingCallInterface): DataStream | undefined {
  const stream: unknown = streamOf(call);
  return typeof stream === "object" && stream !== null && "prependListener" in stream
    ? stream as DataStream
    : undefined;
}

/**
 * Whether the peer broke the call off. HTTP/2 streams that were reset say "end" before they say "close": taken for the end
 * of the requests, half an upload would look like a whole one.
 */
export function wasBrokenOff(call: ServerInterceptingCallInterface): boolean {
  const stream = streamOf(call);
  if (stream === undefined) return false;
  return stream.destroyed || stream.closed || stream.aborted === true || (stream.rstCode ?? 0) !== 0;
}

/** Has a call send each {@linkcode Frame} as it is, where grpc-js would copy it. */
export function sendFrames(call: ServerInterceptingCallInterface): void {
  const serialize: unknown = Reflect.get(call, "serializeMessage");
  if (typeof serialize !== "function") throw changed("serializeMessage");
  Reflect.set(
    call,
    "serializeMessage",
    (value: unknown) => value instanceof Frame ? value.bytes : Reflect.apply(serialize, call, [value]),
  );
}

/** Ends the stream of a call at once, dropping what waits to be sent. */
export function resetStream(call: ServerInterceptingCallInterface): void {
  const stream = streamOf(call);
  if (stream !== undefined && !stream.destroyed) stream.close(CANCEL);
}
