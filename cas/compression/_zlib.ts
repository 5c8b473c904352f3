/**
 * The zstd binding, loaded when it is first needed: whoever moves plain blobs does not wait for it to start.
 *
 * @module
 */

import type * as Zlib from "node:zlib";

/** The module `node:zlib`. */
export type ZlibModule = typeof Zlib;

/** A compressor or decompressor of the module. */
export type ZlibTransform = Zlib.ZstdCompress | Zlib.ZstdDecompress;

let loading: Promise<ZlibModule> | undefined;

/** The module, which is loaded once. */
export function loadZlib(): Promise<ZlibModule> {
  return loading ??= import("node:zlib");
}

/** What the module gives, a Buffer, as the plain bytes that everything else here works with. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Feeds a transform one piece at a time and gives what that yields.
 *
 * The binding does its work on this thread and calls back when a write and all it yields are through; so a caller that
 * gives it short pieces holds the event loop for a short time, and nothing but its answer is ever buffered.
 */
export class ZlibPump implements Disposable {
  readonly #transform: ZlibTransform;
  #pieces: Uint8Array[] = [];
  #fail: ((error: unknown) => void) | undefined;
  #failure: unknown;

  /** A pump that owns `transform`. */
  constructor(transform: ZlibTransform) {
    this.#transform = transform;
    transform.on("data", (piece: Uint8Array) => void this.#pieces.push(plainBytes(piece)));
    transform.on("error", (error: unknown) => {
      this.#failure ??= error;
      this.#fail?.(error);
    });
  }

  /** Feeds `bytes`, which may be reused when this resolves. One at a time. */
  write(bytes: Uint8Array): Promise<Uint8Array[]> {
    return this.#run((done) => this.#transform.write(bytes, (error) => done(error)));
  }

  /** Feeds the end. */
  end(): Promise<Uint8Array[]> {
    return this.#run((done) => {
      this.#transform.once("end", () => done());
      this.#transform.end();
    });
  }

  /** Frees the native side at once; what is under way then never answers. */
  [Symbol.dispose](): void {
    this.#transform.destroy();
    this.#pieces = [];
  }

  #run(start: (done: (error?: unknown) => void) => void): Promise<Uint8Array[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#fail = reject;
      start((error) => {
        this.#fail = undefined;
        if (error !== undefined && error !== null) return reject(error);
        // Nearly always all has been emitted by now; reading emits what has not.
        while (this.#transform.read() !== null);
        const pieces = this.#pieces;
        this.#pieces = [];
        resolve(pieces);
      });
    });
  }
}
