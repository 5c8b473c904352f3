/**
 * A proxy that stands before a server and misbehaves in a chosen way: it takes each call apart into messages, passes them
 * on in both directions as they come, and lets a mutation change them, the status, or the manner of the ending.
 *
 * @module
 */

import * as http2 from "node:http2";
import { concat } from "./protobuf.ts";
import { type Call, framed, type Reply, type Wire } from "./wire.ts";

/** How a call ends. */
export interface Ending {
  readonly code: number;
  /** Percent-encoded. */
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
}

/** What a mutant does otherwise than the server behind it. */
export interface Mutation {
  /** Only calls with this path, or one of these, if given. */
  readonly path?: string | readonly string[];
  /** Changes a message of the client. `call` is the same for all messages of a call. */
  readonly request?: (message: Uint8Array, index: number, call: { at: number }) => Uint8Array;
  /** Answers at once, without asking the server: messages, and a status. */
  readonly answer?: (
    headers: http2.IncomingHttpHeaders,
  ) => { readonly code: number; readonly messages?: Uint8Array[] } | undefined;
  /** Changes a message of the server, or drops it. */
  readonly message?: (message: Uint8Array, index: number) => Uint8Array | undefined;
  /** Changes the ending. */
  readonly end?: (ending: Ending, reply: Reply) => Ending & { readonly more?: Uint8Array[] };
  /** `hang`: never answers. `no-trailers`: ends without a status. `frames`: takes a frame for a message. `late`: answers only once the client is done. */
  readonly manner?: "hang" | "no-trailers" | "frames" | "late";
}

/** Splits a stream of bytes into messages with their prefix. */
async function* messagesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    pending = concat([pending, chunk]);
    while (pending.length >= 5) {
      const length = new DataView(pending.buffer, pending.byteOffset).getUint32(1);
      if (pending.length < 5 + length) break;
      yield pending.slice(5, 5 + length);
      pending = pending.slice(5 + length);
    }
  }
}

async function passRequest(stream: http2.ServerHttp2Stream, call: Call, mutation: Mutation): Promise<void> {
  const chunks = stream as AsyncIterable<Uint8Array>;
  try {
    if (mutation.manner === "frames") {
      for await (const chunk of chunks) {
        await call.raw(chunk);
        break;
      }
    } else if (mutation.request !== undefined) {
      let index = 0;
      const memory = { at: 0 };
      for await (const message of messagesOf(chunks)) {
        await call.send(mutation.request(message, index++, memory));
      }
    } else {
      for await (const chunk of chunks) await call.raw(new Uint8Array(chunk));
    }
    call.end();
  } catch {
    // The client is gone.
    call.cancel();
  }
}

function finish(
  stream: http2.ServerHttp2Stream,
  ending: Ending,
  mutation: Mutation,
  more: readonly Uint8Array[],
): void {
  if (stream.destroyed || stream.closed) return;
  const trailers = { "grpc-status": String(ending.code), "grpc-message": ending.message, ...ending.trailers };
  if (!stream.headersSent) {
    stream.respond({ ":status": 200, "content-type": "application/grpc", ...ending.headers }, {
      waitForTrailers: mutation.manner !== "no-trailers",
    });
  }
  for (const message of more) stream.write(framed(message));
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end();
}

const OWN_HEADERS = ["content-type", "date", "grpc-status", "grpc-message", "trailer"];

function without(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN_HEADERS.includes(name)));
}

/** A proxy with a mutation. */
export class Mutant implements AsyncDisposable {
  readonly #server: http2.Http2Server;
  readonly #upstream: Wire;
  readonly #mutation: Mutation;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #running = new Set<Promise<void>>();

  private constructor(upstream: Wire, mutation: Mutation) {
    this.#upstream = upstream;
    this.#mutation = mutation;
    this.#server = http2.createServer({ settings: { maxConcurrentStreams: 1000 } });
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      const destroy = session.destroy;
      session.destroy = (...args) => void setTimeout(() => Reflect.apply(destroy, session, args), 0);
      session.on("error", () => {});
      session.on("close", () => this.#sessions.delete(session));
    });
    this.#server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      const done = this.#serve(stream, headers).finally(() => this.#running.delete(done));
      this.#running.add(done);
    });
  }

  /** Starts one on a free port of loopback. */
  static async start(upstream: Wire, mutation: Mutation): Promise<Mutant> {
    const mutant = new Mutant(upstream, mutation);
    await new Promise<void>((resolve) => mutant.#server.listen(0, "127.0.0.1", resolve));
    return mutant;
  }

  /** Where it listens. */
  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The mutant does not listen");
    return address.port;
  }

  async #serve(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): Promise<void> {
    const path = String(headers[":path"]);
    const paths = this.#mutation.path === undefined ? [path] : [this.#mutation.path].flat();
    const mutation = paths.includes(path) ? this.#mutation : {};
    const closed = new Promise<void>((resolve) => stream.once("close", resolve));
    if (mutation.manner === "hang") return await closed;
    const answer = mutation.answer?.(headers);
    if (answer !== undefined) {
      stream.resume();
      const ending = { code: answer.code, message: "mutant", headers: {}, trailers: {} };
      return finish(stream, ending, {}, answer.messages ?? []);
    }
    const passed = Object.fromEntries(
      Object.entries(headers).filter(([name]) => !name.startsWith(":")).map((
        [name, value],
      ) => [name, String(value)]),
    );
    const call = this.#upstream.open(path, { headers: passed });
    stream.on("close", () => call.cancel());
    const sent = passRequest(stream, call, mutation);
    if (mutation.manner === "late") await sent;
    await this.#passAnswer(stream, call, mutation);
    await Promise.race([sent, closed]);
  }

  async #passAnswer(stream: http2.ServerHttp2Stream, call: Call, mutation: Mutation): Promise<void> {
    let index = 0;
    for (let bytes = await call.next(); bytes !== undefined; bytes = await call.next()) {
      const changed = mutation.message === undefined ? bytes : mutation.message(bytes, index++);
      if (changed === undefined || stream.destroyed) continue;
      if (!stream.headersSent && mutation.end === undefined) {
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, {
          waitForTrailers: mutation.manner !== "no-trailers",
        });
      }
      if (mutation.end === undefined) stream.write(framed(changed));
      else this.#held(stream).push(changed);
    }
    const reply = await call.reply;
    const code = reply.code ?? 2;
    const from = reply.trailersOnly ? reply.headers : reply.trailers;
    const ending: Ending = {
      code,
      message: from["grpc-message"] ?? "",
      headers: without(reply.trailersOnly ? {} : reply.headers),
      trailers: without(from),
    };
    const changed = mutation.end?.(ending, reply) ?? ending;
    const more = "more" in changed ? changed.more as Uint8Array[] | undefined : undefined;
    finish(stream, changed, mutation, more ?? this.#held(stream));
  }

  readonly #holding = new WeakMap<http2.ServerHttp2Stream, Uint8Array[]>();

  #held(stream: http2.ServerHttp2Stream): Uint8Array[] {
    let held = this.#holding.get(stream);
    if (held === undefined) this.#holding.set(stream, held = []);
    return held;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.destroy();
    await closed;
    await Promise.all(this.#running);
  }
}
