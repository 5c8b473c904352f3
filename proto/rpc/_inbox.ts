/**
 * Messages of one call on their way in: reads one ahead, and no further, so that the peer is held back by the reader.
 *
 * @module
 */

/** Takes messages from grpc-js and hands them to one reader. */
export class Inbox {
  readonly #startRead: () => void;
  #ahead: Uint8Array | undefined;
  #reading = false;
  #ended = false;
  #error: unknown = undefined;
  #resolve: ((bytes: Uint8Array | undefined) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  /** `startRead` asks for one more message. */
  constructor(startRead: () => void) {
    this.#startRead = startRead;
  }

  /** Asks for the first message before anyone wants it: grpc-js's client piles up messages until it was asked once. */
  prime(): void {
    this.#read();
  }

  /** A message arrived. */
  deliver(bytes: Uint8Array): void {
    this.#reading = false;
    if (this.#ended) return;
    const resolve = this.#resolve;
    if (resolve === undefined) {
      this.#ahead = bytes;
      return;
    }
    this.#settle();
    resolve(bytes);
    this.#read();
  }

  /** No more will come: the reader gets what is left and then the end, or at once `error` if there is one. */
  end(error?: unknown): void {
    if (this.#ended && (error === undefined || this.#error !== undefined)) return;
    this.#ended = true;
    this.#error = error;
    if (error !== undefined) this.#ahead = undefined;
    const resolve = this.#resolve, reject = this.#reject;
    this.#settle();
    if (error !== undefined) reject?.(error);
    else resolve?.(undefined);
  }

  /** The call was answered: what is left goes, and so does what still comes. Who reads on gets `error`. */
  drop(error: unknown): void {
    if (!this.#ended) this.#error = error;
    this.#ended = true;
    this.#ahead = undefined;
  }

  /** The next message, undefined at the end. Only one may be awaited at a time. */
  next(): Promise<Uint8Array | undefined> {
    const ahead = this.#ahead;
    if (ahead !== undefined) {
      this.#ahead = undefined;
      this.#read();
      return Promise.resolve(ahead);
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(undefined);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
    this.#resolve = resolve;
    this.#reject = reject;
    this.#read();
    return promise;
  }

  #settle(): void {
    this.#resolve = undefined;
    this.#reject = undefined;
  }

  #read(): void {
    if (this.#reading || this.#ended || this.#ahead !== undefined) return;
    this.#reading = true;
    this.#startRead();
  }
}
