/**
 * One call of a client: bytes out with backpressure, bytes in one by one, and a status at the end.
 *
 * @module
 */

import type { ChannelInterface, Metadata } from "@grpc/grpc-js";
import { asBrokkrError, type BrokkrError, cancelled, Code } from "@brokkr/common";
import { Inbox } from "./_inbox.ts";
import { asBuffer, Outbox } from "./_outbox.ts";
import { DETAILS_KEY, fromWireStatus } from "./status.ts";

type GrpcCall = ReturnType<ChannelInterface["createCall"]>;

/** What a queued message takes beside its bytes. */
const MESSAGE_OVERHEAD_BYTES = 64;

/** How a status from grpc-js became an error, if it was one. */
export type Explain = (code: number, details: string) => BrokkrError | undefined;

/** What starts a call. */
export interface CallStart {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Moment it must be over, in milliseconds since 1970; Infinity for none. */
  readonly deadline: number;
  /** What goes before the messages. */
  readonly metadata: Metadata;
  /** Cancels it. */
  readonly signal?: AbortSignal;
  /** Bytes that may be under way before a sender must wait. */
  readonly sendAheadBytes: number;
  /** Better words for failures to connect. */
  readonly explain: Explain;
}

/** A call under way. */
export class ClientCall {
  readonly #call: GrpcCall;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #start: CallStart;
  readonly #onEnd: (call: ClientCall) => void;
  readonly #onAbort: () => void;
  readonly #settled = Promise.withResolvers<void>();
  /** Messages that wait for the one before them: grpc-js keeps only the last of several handed to it at once. */
  readonly #queue: Uint8Array[] = [];
  #sending = false;
  #halfClosing = false;
  #ended = false;
  #error: BrokkrError | undefined;
  #onOver: (() => void) | undefined;
  #cancelReason: BrokkrError | undefined;

  /** Starts a call on `channel`; `onEnd` is told when it is over. */
  constructor(channel: ChannelInterface, start: CallStart, onEnd: (call: ClientCall) => void) {
    this.#start = start;
    this.#onEnd = onEnd;
    this.#outbox = new Outbox(start.sendAheadBytes);
    this.#call = channel.createCall(start.path, start.deadline, null, null, null);
    this.#inbox = new Inbox(() => this.#call.startRead());
    this.#onAbort = () => this.cancel(asBrokkrError(start.signal?.reason, Code.CANCELLED));
    this.#call.start(start.metadata, {
      onReceiveMetadata: () => {},
      onReceiveMessage: (bytes: Uint8Array) => this.#inbox.deliver(bytes),
      onReceiveStatus: (status) => this.#end(status.code, status.details, status.metadata),
    });
    this.#inbox.prime();
    if (start.signal?.aborted) this.#onAbort();
    else start.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Whether its status is known. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when its status is known; never rejects. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /**
   * What comes of `work`, or undefined when the call is over before that. One at a time. A race against
   * {@linkcode ClientCall.settled} would keep every value it was run with for as long as the call lives.
   */
  async unlessOver<T>(work: Promise<T>): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    work.then(resolve, reject);
    if (this.#ended) resolve(undefined);
    this.#onOver = () => resolve(undefined);
    try {
      return await promise;
    } finally {
      this.#onOver = undefined;
    }
  }

  /** What it failed with, once it has ended. */
  get error(): BrokkrError | undefined {
    return this.#error;
  }

  /** Hands a message over without waiting. */
  post(bytes: Uint8Array): void {
    if (this.#ended || this.#halfClosing) return;
    this.#outbox.add(bytes.byteLength + MESSAGE_OVERHEAD_BYTES);
    if (this.#sending) this.#queue.push(bytes);
    else this.#send(bytes);
  }

  /** Sends a message once there is room; false when the call has ended. */
  async send(bytes: Uint8Array): Promise<boolean> {
    if (this.#outbox.full) await this.#outbox.room();
    this.post(bytes);
    return !this.#ended;
  }

  /** No more messages will be sent. */
  halfClose(): void {
    if (this.#ended || this.#halfClosing) return;
    this.#halfClosing = true;
    // What is queued goes first; the message under way is grpc-js's own to wait for.
    if (this.#queue.length === 0) this.#call.halfClose();
  }

  /** The next message, undefined at a successful end. */
  next(): Promise<Uint8Array | undefined> {
    return this.#inbox.next();
  }

  /** Ends the call from this side. */
  cancel(reason: BrokkrError = cancelled()): void {
    if (this.#ended) return;
    this.#cancelReason ??= reason;
    this.#call.cancelWithStatus(Code.CANCELLED as number, reason.message);
  }

  #send(bytes: Uint8Array): void {
    this.#sending = true;
    const callback = () => {
      this.#sending = false;
      this.#outbox.sent(bytes.byteLength + MESSAGE_OVERHEAD_BYTES);
      const next = this.#ended ? undefined : this.#queue.shift();
      if (next === undefined) return;
      this.#send(next);
      if (this.#halfClosing && this.#queue.length === 0) this.#call.halfClose();
    };
    this.#call.sendMessageWithContext({ callback }, asBuffer(bytes));
  }

  #end(code: number, details: string, metadata: Metadata): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#start.signal?.removeEventListener("abort", this.#onAbort);
    if (code !== Code.OK) this.#error = this.#errorOf(code, details, metadata);
    this.#queue.length = 0;
    this.#outbox.close();
    this.#inbox.end(this.#error);
    this.#settled.resolve();
    this.#onOver?.();
    this.#onEnd(this);
  }

  #errorOf(code: number, details: string, metadata: Metadata): BrokkrError {
    if (this.#cancelReason !== undefined && code === Code.CANCELLED) return this.#cancelReason;
    const bin = metadata.get(DETAILS_KEY)[0];
    const explained = bin === undefined ? this.#start.explain(code, details) : undefined;
    return explained ?? fromWireStatus(code, details, typeof bin === "string" ? undefined : bin);
  }
}
