/**
 * A gRPC client on bare HTTP/2 that trusts nothing: it frames by hand, keeps all that came back (headers, messages,
 * trailers, how the stream ended), and gives every call a deadline of its own, so that a server that never answers is a
 * finding and not a hang.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import * as http2 from "node:http2";
import { setImmediate } from "node:timers";
import { concat, Fields } from "./protobuf.ts";

/** Names of the status codes, by number. */
export const STATUS_NAMES = [
  ...["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"],
  ...[
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
  ],
  ...["INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"],
] as const;

/** A name of a status code. */
export type StatusName = typeof STATUS_NAMES[number];

/** How a call ended, and all that came with it. */
export interface Reply {
  /** `:status` of HTTP. */
  readonly httpStatus: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  /** Whether the status came in the headers, without a body. */
  readonly trailersOnly: boolean;
  /** `grpc-status`, when there was one that is a number. */
  readonly code: number | undefined;
  /** `grpc-message`, percent-decoded. */
  readonly message: string;
  /** `grpc-status-details-bin`: a google.rpc.Status. */
  readonly details: Uint8Array | undefined;
  /** Messages in the order they came. */
  readonly messages: readonly Uint8Array[];
  /** What went wrong below gRPC: no answer in time, a reset, a lost connection, a message cut short. */
  readonly fault: string | undefined;
}

/** The name of a reply's status, or what came instead of one. */
export function statusOf(reply: Reply): string {
  if (reply.code !== undefined) {
    const name = STATUS_NAMES[reply.code] ?? `status ${reply.code}`;
    return reply.message === "" ? name : `${name}: ${reply.message.slice(0, 300)}`;
  }
  const http = reply.httpStatus === undefined ? "" : ` (HTTP ${reply.httpStatus})`;
  return `no grpc-status${http}${reply.fault === undefined ? "" : `; ${reply.fault}`}`;
}

/** One gRPC message with its prefix. */
export function framed(body: Uint8Array, flag = 0, length = body.length): Uint8Array {
  const prefix = new Uint8Array(5);
  prefix[0] = flag;
  new DataView(prefix.buffer).setUint32(1, length);
  return concat([prefix, body]);
}

/** Decodes what gRPC percent-encodes; undefined when it is not well-formed. */
export function percentDecode(text: string): string | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const escape = /^%([0-9A-Fa-f]{2})/.exec(text.slice(i, i + 3));
    if (text[i] === "%" && escape === null) return undefined;
    if (escape !== null) {
      bytes.push(parseInt(escape[1], 16));
      i += 2;
    } else bytes.push(text.charCodeAt(i));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes));
  } catch {
    return undefined;
  }
}

/** What a call can be given. */
export interface CallOptions {
  /** More headers, or others than the usual ones; an empty value leaves one out. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the server may take to answer in full. */
  readonly timeoutMs?: number;
}

/** How to reach a server. */
export interface WireOptions {
  readonly host: string;
  readonly port: number;
  /** PEM texts; without it plaintext. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Headers of every call, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long a call may take by default. */
  readonly timeoutMs?: number;
  /** Window that the server gets for each stream, in bytes. */
  readonly windowBytes?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** What is kept of one answer; a server that sends more is cut off. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

function textHeaders(headers: http2.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !name.startsWith(":")).map((
      [name, value],
    ) => [name, String(value)]),
  );
}

/** One call: what is sent, message by message or byte by byte, and what comes back. */
export class Call {
  /** How it ended; never rejects. */
  readonly reply: Promise<Reply>;
  readonly #stream: http2.ClientHttp2Stream;
  readonly #messages: Uint8Array[] = [];
  readonly #wakers = new Set<() => void>();
  #pending: Uint8Array = new Uint8Array();
  #received = 0;
  #httpStatus: number | undefined;
  #headers: Record<string, string> = {};
  #trailers: Record<string, string> | undefined;
  #fault: string | undefined;
  #ended = false;
  #read = 0;

  /** @internal */
  constructor(stream: http2.ClientHttp2Stream, timeoutMs: number) {
    this.#stream = stream;
    this.reply = new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        if (this.#ended) return;
        this.#ended = true;
        resolve(this.#reply());
        this.#wake();
      };
      const timer = setTimeout(() => {
        this.#fault ??= `the server did not answer within ${timeoutMs / 1000} s`;
        stream.close(http2.constants.NGHTTP2_CANCEL);
        finish();
      }, timeoutMs);
      stream.on("response", (headers) => {
        this.#httpStatus = Number(headers[":status"]);
        this.#headers = textHeaders(headers);
        this.#wake();
      });
      stream.on("trailers", (headers) => this.#trailers = textHeaders(headers));
      stream.on("data", (chunk: Uint8Array) => this.#take(chunk));
      stream.on("error", (error: Error) => this.#fault ??= error.message);
      stream.on("end", () => {
        // The server has said all. Whether the request was at its end is no longer of interest to anybody.
        if (this.#trailers === undefined && !("grpc-status" in this.#headers)) return;
        finish();
        if (!stream.writableEnded) stream.close(http2.constants.NGHTTP2_CANCEL);
      });
      stream.on("close", finish);
    });
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }

  #take(chunk: Uint8Array): void {
    this.#received += chunk.length;
    if (this.#received > MAX_ANSWER_BYTES) {
      this.#fault ??= `the answer has more than ${MAX_ANSWER_BYTES} bytes`;
      this.cancel();
      return;
    }
    let bytes: Uint8Array = this.#pending.length === 0
      ? new Uint8Array(chunk)
      : concat([this.#pending, chunk]);
    while (bytes.length >= 5) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
      if (bytes.length < 5 + length) break;
      // Nothing was offered in grpc-accept-encoding.
      if (bytes[0] !== 0) {
        this.#fault ??= `a message has the compressed flag ${bytes[0]}, which was not offered`;
      }
      this.#messages.push(bytes.slice(5, 5 + length));
      bytes = bytes.subarray(5 + length);
    }
    this.#pending = bytes.slice();
    this.#wake();
  }

  #reply(): Reply {
    const trailersOnly = this.#trailers === undefined && "grpc-status" in this.#headers;
    const last = trailersOnly ? this.#headers : this.#trailers ?? {};
    const code = /^\d{1,5}$/.test(last["grpc-status"] ?? "") ? Number(last["grpc-status"]) : undefined;
    if (this.#pending.length > 0 && code !== undefined) this.#fault ??= "the last message is cut short";
    if (code === undefined && this.#fault === undefined) {
      const reset = this.#stream.rstCode ?? 0;
      this.#fault = reset === 0
        ? "the stream ended without a status"
        : `the stream was reset with code ${reset}`;
    }
    const bin = last["grpc-status-details-bin"];
    return {
      httpStatus: this.#httpStatus,
      headers: this.#headers,
      trailers: this.#trailers ?? {},
      trailersOnly,
      code,
      message: percentDecode(last["grpc-message"] ?? "") ?? last["grpc-message"],
      details: bin === undefined ? undefined : new Uint8Array(Buffer.from(bin, "base64")),
      messages: this.#messages,
      fault: this.#fault,
    };
  }

  /** Sends bytes as they are; resolves when they left, or the stream is gone. */
  async raw(bytes: Uint8Array): Promise<void> {
    if (this.#ended || this.#stream.destroyed || this.#stream.writableEnded) return;
    const written = new Promise<void>((resolve) => this.#stream.write(bytes, () => resolve()));
    await Promise.race([written, this.reply]);
  }

  /** Sends one message. */
  async send(body: Uint8Array): Promise<void> {
    await this.raw(framed(body));
  }

  /** Ends the request. */
  end(): void {
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.end();
  }

  /** Resets the stream. */
  cancel(): void {
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
  }

  /** The next message; undefined when the call is over. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#read >= this.#messages.length) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => this.#wakers.add(resolve));
    }
    return this.#messages[this.#read++];
  }
}

/** A connection. Made anew when it was lost. */
export class Wire implements AsyncDisposable {
  readonly #options: WireOptions;
  #session: http2.ClientHttp2Session | undefined;
  #fault: string | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  #connect(): http2.ClientHttp2Session {
    const alive = this.#session;
    if (alive !== undefined && !alive.closed && !alive.destroyed) return alive;
    const { host, port, tls, windowBytes } = this.#options;
    const authority = `${tls === undefined ? "http" : "https"}://${
      host.includes(":") ? `[${host}]` : host
    }:${port}`;
    const session = http2.connect(authority, {
      ...tls,
      settings: { enablePush: false, initialWindowSize: windowBytes ?? 1 << 20 },
    });
    // A session that is freed while its streams are still walked aborts Deno when a server says GOAWAY.
    const destroy = session.destroy;
    session.destroy = (...args) => void setImmediate(() => Reflect.apply(destroy, session, args));
    session.on("error", (error: Error) => this.#fault = error.message);
    this.#session = session;
    return session;
  }

  /** Begins a call. */
  open(path: string, options: CallOptions = {}): Call {
    const { host, port, tls, headers, timeoutMs } = this.#options;
    const all: Record<string, string> = {
      ":method": "POST",
      ":scheme": tls === undefined ? "http" : "https",
      ":path": path,
      ":authority": `${host}:${port}`,
      "content-type": "application/grpc",
      "te": "trailers",
      "user-agent": "brokkr-conformance",
      ...headers,
      ...options.headers,
    };
    for (const [name, value] of Object.entries(all)) if (value === "") delete all[name];
    return new Call(this.#connect().request(all), options.timeoutMs ?? timeoutMs ?? DEFAULT_TIMEOUT_MS);
  }

  /** One message there, all that comes back. */
  async unary(path: string, body: Uint8Array, options: CallOptions = {}): Promise<Reply> {
    const call = this.open(path, options);
    await call.send(body);
    call.end();
    return await call.reply;
  }

  /** Round-trip of an HTTP/2 PING in milliseconds; undefined when none came back in time. */
  async ping(timeoutMs: number): Promise<number | undefined> {
    const session = this.#connect();
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), timeoutMs);
      const answered = (error: Error | null, ms: number) => {
        clearTimeout(timer);
        resolve(error === null ? ms : undefined);
      };
      const send = () => session.ping(answered);
      if (session.connecting) session.once("connect", send);
      else send();
    });
  }

  /** Another connection to the same server, with options of its own. */
  another(options: Partial<WireOptions> = {}): Wire {
    return new Wire({ ...this.#options, ...options });
  }

  /** What the connection died of, if it did. */
  get fault(): string | undefined {
    return this.#fault;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined || session.destroyed) return;
    await new Promise<void>((resolve) => {
      session.once("close", resolve);
      session.destroy();
    });
  }
}

/** The google.rpc.Status of a reply's details, decoded. */
export function richStatus(reply: Reply): Fields | undefined {
  return reply.details === undefined ? undefined : Fields.parse(reply.details);
}
