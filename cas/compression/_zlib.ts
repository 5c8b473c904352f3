/**
 * The zstd binding, loaded when it is first needed: whoever moves plain blobs does not wait for it to start.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
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
  readonly #flush: number;
  readonly #end: number;
  readonly #chunkBytes: number;
  #output: Uint8Array;
  #outputBytes = 0;
  #failure: Error | undefined;
  #disposed = false;

  /** A pump that owns `transform`, whose output comes in buffers of `chunkBytes`. */
  constructor(zlib: ZlibModule, transform: ZlibTransform, chunkBytes: number) {
    const handle: unknown = Reflect.get(transform, "_handle");
    const left: unknown = Reflect.get(transform, "_writeState");
    if (!isHandle(handle) || !(left instanceof Uint32Array)) {
      transform.destroy();
      throw new BrokkrError(Code.INTERNAL, "The zstd binding of this Deno has another form; 2.9 is needed");
    }
    this.#transform = transform;
    this.#handle = handle;
    this.#left = left;
    this.#flush = zlib.constants.ZSTD_e_continue;
    this.#end = zlib.constants.ZSTD_e_end;
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
    return this.#run(bytes, this.#flush);
  }

  /** Feeds the end. */
  end(): Uint8Array[] {
    return this.#run(new Uint8Array(), this.#end);
  }

  /** Frees the native side at once. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#transform.destroy();
  }

  #run(input: Uint8Array, flush: number): Uint8Array[] {
    if (this.#disposed) throw new BrokkrError(Code.CANCELLED, "The codec was disposed of");
    const pieces: Uint8Array[] = [];
    for (let at = 0;;) {
      const room = this.#output.length - this.#outputBytes;
      this.#handle.writeSync(flush, input, at, input.length - at, this.#output, this.#outputBytes, room);
      if (this.#failure !== undefined) throw this.#failure;
      const [roomLeft, inputLeft] = this.#left;
      const end = this.#outputBytes + room - roomLeft;
      if (end > this.#outputBytes) pieces.push(this.#output.subarray(this.#outputBytes, end));
      this.#outputBytes = end;
      const passed = input.length - inputLeft - at;
      at += passed;
      if (roomLeft === 0) {
        this.#output = new Uint8Array(this.#chunkBytes);
        this.#outputBytes = 0;
      } else if (at === input.length || passed === 0) {
        // With room left all is out. What is not taken then is no part of what was begun; the frames are counted elsewhere.
        return pieces;
      }
    }
  }
}
