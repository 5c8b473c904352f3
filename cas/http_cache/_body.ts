/**
 * The body of a request, taken piece by piece as it is wanted.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { cancelled } from "@brokkr/common";

/** Waits for the peer, for at most as long as it may stand still; `bytes` tells how many came. */
export type PeerWait = (
  listen: (resolve: () => void, reject: (error: unknown) => void) => void,
) => Promise<void>;

/** What a {@linkcode Body} is made of. */
export interface BodyOptions {
  /** The request. */
  readonly request: IncomingMessage;
  /** Tells a client that asked whether it may send that it may. */
  readonly onFirst: () => void;
  /** Waits for the peer. */
  readonly wait: PeerWait;
  /** So many bytes have come. */
  readonly onBytes: (bytes: number) => void;
}

/** Reads one request's body. Nothing is taken from the connection before {@linkcode Body.next} asks for it. */
export class Body {
  /** What Content-Length says; 0 when there is no body; undefined when it comes in chunks. */
  readonly lengthBytes: number | undefined;
  readonly #options: BodyOptions;
  #started = false;
  #ended = false;
  #readBytes = 0;
  #wake: (() => void) | undefined;

  /** The body of a request. */
  constructor(options: BodyOptions) {
    this.#options = options;
    const { "content-length": length, "transfer-encoding": encoding } = options.request.headers;
    // The parser has refused lengths that are no numbers, and both at once.
    this.lengthBytes = encoding !== undefined ? undefined : Number(length ?? 0);
    if (this.lengthBytes === 0) this.#ended = true;
  }

  /** Whether all of it was read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether anything was asked for. */
  get started(): boolean {
    return this.#started;
  }

  /** Bytes read. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** The most that is left; Infinity when nobody knows. */
  get leftBytes(): number {
    return this.#ended ? 0 : (this.lengthBytes ?? Infinity) - this.#readBytes;
  }

  /**
   * The next piece, undefined at the end.
   *
   * @throws {BrokkrError} CANCELLED when the client goes away; what the wait throws.
   */
  async next(): Promise<Uint8Array | undefined> {
    const { request } = this.#options;
    if (this.#ended) return undefined;
    this.#start();
    for (;;) {
      const chunk: unknown = request.read();
      if (chunk instanceof Uint8Array && chunk.length > 0) {
        this.#readBytes += chunk.length;
        this.#options.onBytes(chunk.length);
        // A plain one, whose `slice` copies as everyone expects.
        return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      }
      if (request.readableEnded) {
        this.#ended = true;
        return undefined;
      }
      if (request.destroyed || request.errored !== null) {
        throw cancelled("The client went away in the middle of its request");
      }
      await this.#options.wait((resolve) => this.#wake = resolve);
    }
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#options.onFirst();
    const wake = () => this.#wake?.();
    // Without a listener an error, such as of a client that goes away, would end the process.
    for (const event of ["readable", "end", "error", "close"]) this.#options.request.on(event, wake);
  }
}
