/**
 * The binding of the codecs, loaded when it is first needed: whoever moves plain blobs does not wait for it to start.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import type * as Zlib from "node:zlib";

/** The module `node:zlib`. */
export type ZlibModule = typeof Zlib;

/** A compressor or decompressor of the module. */
export type ZlibTransform =
  | Zlib.ZstdCompress
  | Zlib.ZstdDecompress
  | Zlib.BrotliCompress
  | Zlib.DeflateRaw
  | Zlib.InflateRaw;

/** The numbers that tell a transform what to do with its input. */
export interface ZlibOperations {
  /** To go on. */
  readonly next: number;
  /** To end. */
  readonly end: number;
}

/** What one step of a pump did. */
export interface PumpStep {
  /** Bytes of the input that were taken. */
  readonly taken: number;
  /** What it gave. */
  readonly output: Uint8Array;
  /** Whether there was no room for more, so that more may be there. */
  readonly full: boolean;
}

const NOTHING = new Uint8Array();

let loading: Promise<ZlibModule> | undefined;

/** The module, which is loaded once. */
export function loadZlib(): Promise<ZlibModule> {
  return loading ??= import("node:zlib");
}

/** What the module gives, a Buffer, as the plain bytes that everything else here works with. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What a transform of `node:zlib` does its work with. */
interface NativeHandle {
  /** Told of failures. */
  onerror: (message: string, errno: number, code: string) => void;
  /** Takes from `input` and puts into `output`; the transform's `_writeState` then has what is left of both. */
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputBytes: number,
    output: Uint8Array,
    outputOffset: number,
    outputBytes: number,
  ): void;
}

function isHandle(value: unknown): value is NativeHandle {
  return typeof value === "object" && value !== null && "onerror" in value && "writeSync" in value &&
    typeof value.writeSync === "function";
}

/**
 * Feeds a transform one piece at a time and gives what that yields.
 *
 * It does without the transform's stream: there the binding throws what is wrong with data beyond the first buffer of
 * output where nobody can catch it, which ends the process. The work is done on this thread either way, so callers give
 * it short pieces.
 */
export class ZlibPump implements Disposable {
  readonly #transform: ZlibTransform;
  readonly #handle: NativeHandle;
  /** Room left in the output and bytes left of the input after a write. */
  readonly #left: Uint32Array;
  readonly #operations: ZlibOperations;
  readonly #chunkBytes: number;
  #output: Uint8Array;
  #outputBytes = 0;
  #failure: Error | undefined;
  #disposed = false;

  /** A pump that owns `transform`, whose output comes in buffers of `chunkBytes`. */
  constructor(transform: ZlibTransform, operations: ZlibOperations, chunkBytes: number) {
    const handle: unknown = Reflect.get(transform, "_handle");
    const left: unknown = Reflect.get(transform, "_writeState");
    if (!isHandle(handle) || !(left instanceof Uint32Array)) {
      transform.destroy();
      throw new BrokkrError(
        Code.INTERNAL,
        "The codecs' binding of this Deno has another form; 2.9 is needed",
      );
    }
    this.#transform = transform;
    this.#handle = handle;
    this.#left = left;
    this.#operations = operations;
    this.#chunkBytes = chunkBytes;
    this.#output = new Uint8Array(chunkBytes);
    handle.onerror = (message) => void (this.#failure ??= new Error(message));
    transform.on("error", (error: Error) => void (this.#failure ??= error));
  }

  /**
   * Feeds `bytes` and gives what they yield.
   *
   * @throws {Error} when they are damaged.
   */
  write(bytes: Uint8Array): Uint8Array[] {
    return this.#run(bytes, this.#operations.next);
  }

  /**
   * Feeds `input` from `from` to `to` for at most `maxBytes` of output, which are no more than there is room for in one
   * buffer. What is not taken although there was room belongs to nothing that was begun: the data have ended before it, or
   * are damaged there.
   *
   * @throws {Error} when the input is damaged.
   */
  step(input: Uint8Array, from: number, to: number, maxBytes: number): PumpStep {
    if (this.#outputBytes === this.#output.length) this.#renew();
    const start = this.#outputBytes;
    const room = Math.min(maxBytes, this.#output.length - start);
    const taken = to - from - this.#pass(this.#operations.next, input, from, to, room);
    return { taken, output: this.#output.subarray(start, this.#outputBytes), full: this.#left[0] === 0 };
  }

  /** Feeds the end. */
  end(): Uint8Array[] {
    return this.#run(NOTHING, this.#operations.end);
  }

  /** Frees the native side at once. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#transform.destroy();
  }

  #renew(): void {
    this.#output = new Uint8Array(this.#chunkBytes);
    this.#outputBytes = 0;
  }

  /** One call of the binding; gives how much of the input is left. */
  #pass(operation: number, input: Uint8Array, from: number, to: number, room: number): number {
    if (this.#disposed) throw new BrokkrError(Code.CANCELLED, "The codec was disposed of");
    this.#handle.writeSync(operation, input, from, to - from, this.#output, this.#outputBytes, room);
    if (this.#failure !== undefined) throw this.#failure;
    const [roomLeft, inputLeft] = this.#left;
    this.#outputBytes += room - roomLeft;
    return inputLeft;
  }

  #run(input: Uint8Array, operation: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let at = 0;;) {
      const start = this.#outputBytes;
      const left = this.#pass(operation, input, at, input.length, this.#output.length - start);
      if (this.#outputBytes > start) pieces.push(this.#output.subarray(start, this.#outputBytes));
      const passed = input.length - left - at;
      at += passed;
      if (this.#left[0] === 0) {
        this.#renew();
      } else if (at === input.length || passed === 0) {
        // With room left all is out. What is not taken then is no part of what was begun; the frames are counted elsewhere.
        return pieces;
      }
    }
  }
}
