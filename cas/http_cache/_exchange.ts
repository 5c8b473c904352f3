/**
 * One request and its answer: who waits for whom, and how it ends.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { asBrokkrError, type BrokkrError, cancelled, type Clock, Code } from "@brokkr/common";
import { Body } from "./_body.ts";
import { failureAnswer, type HeaderMap } from "./_http_error.ts";
import type { Outcome } from "./_meters.ts";
import { Patience } from "./_patience.ts";

/** Bytes handed to a connection at once: who takes that many in time does not stand still. */
const SEND_BYTES = 128 << 10;
/** What is left of a request that was refused is read, so that its client sees the answer: up to so many bytes before it, */
const DRAIN_BYTES = 1 << 20;
/** and after it for so long. */
const LINGER_MS = 5000;
/** The same for a blob that is there already: many clients send all of it before they look for the answer. */
const DRAIN_PRESENT_BYTES = 64 << 20;

const TEXT = "text/plain; charset=utf-8";

/** What an {@linkcode Exchange} is made of. */
export interface ExchangeOptions {
  /** The request. */
  readonly request: IncomingMessage;
  /** Its answer. */
  readonly response: ServerResponse;
  /** Whether the client waits to be told to send the body. */
  readonly expectsContinue: boolean;
  /** Whether the connection ends with this answer. */
  readonly closing: () => boolean;
  /** How long the client may stand still, in milliseconds. */
  readonly stallMs: number;
  /** Time. */
  readonly clock: Clock;
}

/** One request and its answer. */
export class Exchange {
  /** GET, HEAD, PUT or something else. */
  readonly method: string;
  /** The body of the request. */
  readonly body: Body;
  /** Headers of the request, names in lower case. */
  readonly headers: IncomingMessage["headers"];
  /** When it began. */
  readonly startedMs: number;
  /** Which cache it is about, for those who count. */
  cache: "ac" | "cas" | "other" = "other";
  /** How it ended, for those who count; found out from the status where nothing is said. */
  outcome: Outcome | undefined;
  /** Why it failed. */
  error: BrokkrError | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: ExchangeOptions;
  readonly #patience: Patience;
  readonly #abort = new AbortController();
  #rejectWait: ((error: unknown) => void) | undefined;
  #gone = false;
  #cut = false;

  /** A request that just came. */
  constructor(options: ExchangeOptions) {
    const { request, response, clock } = options;
    this.#options = options;
    this.#request = request;
    this.#response = response;
    this.method = request.method ?? "";
    this.headers = request.headers;
    this.startedMs = clock.monotonicMs();
    this.#patience = new Patience(clock, options.stallMs);
    let continued = !options.expectsContinue;
    this.body = new Body({
      request,
      onFirst: () => {
        if (!continued) response.writeContinue();
        continued = true;
      },
      wait: (listen) => this.#wait(listen),
      onBytes: (bytes) => this.#patience.end(bytes),
    });
    // What goes wrong with a connection is told by its close.
    request.on("error", () => {});
    response.on("error", () => {});
    response.on("close", () => this.#onClose());
  }

  /** Aborts when the client goes away or is not waited for any longer. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The status that was sent; 0 when none was. */
  get status(): number {
    return this.#response.headersSent ? this.#response.statusCode : 0;
  }

  /** Whether this is the connection that it came on. */
  isOn(socket: object): boolean {
    return this.#request.socket === socket;
  }

  /** A header of the request, the first where it came several times. */
  header(name: string): string | undefined {
    const value = this.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** Answers a request as a whole. */
  async answer(
    status: number,
    headers: HeaderMap = {},
    content: Uint8Array = new Uint8Array(0),
  ): Promise<void> {
    const lingerMs = await this.#settleBody(status < 300 ? DRAIN_PRESENT_BYTES : DRAIN_BYTES, status);
    this.begin(status, { "content-length": `${content.length}`, ...headers }, lingerMs > 0);
    if (this.method !== "HEAD" && content.length > 0) await this.send(content);
    if (lingerMs > 0) await this.#drain(Infinity, lingerMs);
    await this.end();
  }

  /** Answers with a line of text. */
  async say(status: number, text: string, headers: HeaderMap = {}): Promise<void> {
    const content = new TextEncoder().encode(text + "\n");
    await this.answer(status, { "content-type": TEXT, ...headers }, content);
  }

  /** Sends the head of an answer whose content follows. */
  begin(status: number, headers: HeaderMap, close = false): void {
    const closing = close || this.#options.closing() || !this.body.ended;
    this.#response.writeHead(status, closing ? { ...headers, connection: "close" } : { ...headers });
    if (closing) this.#response.flushHeaders();
  }

  /** Sends a piece of the content; resolves when it has left the process, and may be reused. */
  async send(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; at += SEND_BYTES) {
      const part = piece.subarray(at, at + SEND_BYTES);
      await this.#wait((resolve, reject) => {
        this.#response.write(part, (error) => error ? reject(cancelled("The client went away")) : resolve());
      });
      this.#patience.end(part.length);
    }
  }

  /** Ends the answer; resolves when all of it has left the process. */
  async end(): Promise<void> {
    await this.#wait((resolve) => void this.#response.end(() => resolve()));
  }

  /** Answers a request that failed, if that can still be done. */
  async fail(thrown: unknown): Promise<void> {
    this.error = asBrokkrError(thrown);
    if (this.#gone) return;
    // Half an answer must not be taken for a whole one.
    if (this.#response.headersSent) return this.destroy();
    const { status, message, headers } = failureAnswer(thrown);
    try {
      await this.say(status, message, headers);
    } catch {
      this.destroy(); // it does not even take the answer
    }
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#request.socket.destroy();
  }

  /** Looks whether the client stands still; called every now and then. */
  sweep(nowMs: number, pressed: boolean): void {
    const error = this.#patience.spent(nowMs, pressed);
    if (error !== undefined) this.cut(error);
  }

  /** Ends what goes on; the second time, and where an answer is under way, with the connection. */
  cut(error: BrokkrError): void {
    const last = this.#cut || this.#response.headersSent;
    this.#cut = true;
    this.error ??= error;
    this.#abort.abort(error);
    this.#patience.end(0);
    const reject = this.#rejectWait;
    this.#rejectWait = undefined;
    reject?.(error);
    if (last) this.destroy();
  }

  #onClose(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#response.writableFinished) return;
    const error = cancelled("The client went away");
    this.#abort.abort(error);
    this.#rejectWait?.(error);
  }

  /** Waits for the peer. */
  async #wait(listen: (resolve: () => void, reject: (error: unknown) => void) => void): Promise<void> {
    if (this.#gone) throw cancelled("The client went away");
    this.#patience.begin();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#rejectWait = reject;
        listen(resolve, reject);
      });
    } finally {
      this.#rejectWait = undefined;
      this.#patience.end(0);
    }
  }

  /**
   * Deals with what of the body nobody wants: an answer that is sent before it may get lost. Reads it when it is little;
   * gives for how long it is to be read after the answer when it is much, 0 for not at all.
   */
  async #settleBody(drainBytes: number, status: number): Promise<number> {
    const { body } = this;
    if (body.ended || this.#cut) return 0;
    // Nobody sends one with these, but who means harm.
    if (this.method !== "PUT") return 0;
    // A client that asked first, and was not told to send, does not.
    if (this.#options.expectsContinue && !body.started) return 0;
    if (body.leftBytes <= drainBytes) {
      await this.#drain(drainBytes, Infinity);
      return 0;
    }
    return status < 300 ? Infinity : LINGER_MS;
  }

  async #drain(maxBytes: number, maxMs: number): Promise<void> {
    const untilMs = this.#options.clock.monotonicMs() + maxMs;
    const upTo = this.body.readBytes + maxBytes;
    try {
      while (this.body.readBytes <= upTo && this.#options.clock.monotonicMs() < untilMs) {
        if (await this.body.next() === undefined) return;
      }
    } catch (error) {
      if (this.#gone || asBrokkrError(error).code !== Code.CANCELLED) throw error;
    }
  }
}
