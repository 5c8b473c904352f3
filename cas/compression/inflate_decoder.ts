/**
 * Decompressing raw deflate (RFC 1951) from a peer that is not trusted. A blob is one stream, which tells its own end.
 *
 * Where it ends is told from how the binding moves on: with room for output it takes all of its input, unless the stream
 * has ended before.
 *
 * @module
 */

import { Code } from "@brokkr/common";
import {
  type BlobDecoder,
  checkInputBytes,
  DecoderRoom,
  type DecompressOptions,
  refusal,
} from "./_decoding.ts";
import { FrameError } from "./_frames.ts";
import { CodecTurns } from "./_turns.ts";
import { loadZlib, type ZlibModule, ZlibPump } from "./_zlib.ts";

/**
 * What goes into a decoder at once. A few bytes can make it build tables or much output: beside the output, which has its
 * own limit, it is this that keeps a step below a few milliseconds, whatever is sent.
 */
const INPUT_STEP_BYTES = 4 << 10;

/** What comes out of a decoder at once, at most. */
const OUTPUT_STEP_BYTES = 128 << 10;

/** What a decoder takes, in bytes: its window of 32 KiB, tables, state, and a buffer of output. */
export const INFLATE_BYTES = 256 << 10;

/** Decompresses one stream piece by piece, cut anywhere. */
export class InflateDecoder implements BlobDecoder {
  readonly #options: DecompressOptions;
  readonly #code: Code;
  readonly #zlib: ZlibModule;
  /** Made when there is room for it, not while that is waited for. */
  #pump: ZlibPump | undefined;
  readonly #turns: CodecTurns;
  readonly #room: DecoderRoom;
  #inputBytes = 0;
  #outputBytes = 0;

  private constructor(zlib: ZlibModule, options: DecompressOptions) {
    this.#zlib = zlib;
    this.#options = options;
    this.#code = options.code ?? Code.INVALID_ARGUMENT;
    this.#turns = new CodecTurns(options.signal);
    this.#room = new DecoderRoom(options);
  }

  /** A decoder of data that decompresses to `options.sizeBytes`. */
  static async open(options: DecompressOptions): Promise<InflateDecoder> {
    return new InflateDecoder(await loadZlib(), options);
  }

  /** Compressed bytes taken. */
  get inputBytes(): number {
    return this.#inputBytes;
  }

  /** Decompressed bytes given. */
  get outputBytes(): number {
    return this.#outputBytes;
  }

  /** See {@linkcode BlobDecoder.decode}. */
  async *decode(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    const { sizeBytes } = this.#options;
    try {
      const before = this.#inputBytes;
      this.#inputBytes += chunk.length;
      checkInputBytes(this.#inputBytes, sizeBytes);
      if (chunk.length > 0 && this.#pump === undefined) await this.#begin();
      const pump = this.#pump;
      if (pump === undefined) return;
      for (let at = 0, full = false; at < chunk.length || full;) {
        if (this.#turns.spent) await this.#turns.next();
        const to = Math.min(chunk.length, at + INPUT_STEP_BYTES);
        // One byte more than is due has room, so that it shows at once.
        const step = pump.step(chunk, at, to, sizeBytes - this.#outputBytes + 1);
        at += step.taken;
        full = step.full;
        this.#outputBytes += step.output.length;
        if (this.#outputBytes > sizeBytes) {
          throw new FrameError(`decompresses to more than ${sizeBytes} bytes`);
        }
        if (step.output.length > 0) yield step.output;
        if (at < to && !full) throw this.#stopped(before + at);
      }
    } catch (error) {
      throw refusal(error, "deflate", this.#code);
    }
  }

  /** See {@linkcode BlobDecoder.finish}. */
  finish(): void {
    const { sizeBytes } = this.#options;
    try {
      const pump = this.#pump;
      if (pump === undefined) {
        throw new FrameError("is empty; even the empty blob takes two bytes");
      }
      // What has ended takes no more. The step may fail instead, if a zero does not go on what was begun.
      if (takesMore(pump)) throw new FrameError(`is cut short after ${this.#inputBytes} bytes`);
      if (this.#outputBytes !== sizeBytes) {
        throw new FrameError(
          `decompresses to ${this.#outputBytes} bytes where ${sizeBytes} are expected`,
        );
      }
    } catch (error) {
      throw refusal(error, "deflate", this.#code);
    }
  }

  /** Frees the decoder and its share of the budget. */
  [Symbol.dispose](): void {
    this.#pump?.[Symbol.dispose]();
    this.#room[Symbol.dispose]();
  }

  /** What is wrong with data that are not taken from byte `at` on. */
  #stopped(at: number): FrameError {
    const { sizeBytes } = this.#options;
    return new FrameError(
      this.#outputBytes === sizeBytes
        ? `goes on after its end at byte ${at}`
        : `ends at byte ${at}, but goes on, after ${this.#outputBytes} of ${sizeBytes} decompressed bytes`,
    );
  }

  /** Makes the decoder, once there is room for it. */
  async #begin(): Promise<void> {
    await this.#room.hold(INFLATE_BYTES);
    this.#room.check();
    const { constants, createInflateRaw } = this.#zlib;
    const operations = { next: constants.Z_NO_FLUSH, end: constants.Z_FINISH };
    const chunkBytes = Math.min(OUTPUT_STEP_BYTES, this.#options.sizeBytes + 1);
    this.#pump = new ZlibPump(createInflateRaw({ chunkSize: 1024 }), operations, chunkBytes);
  }
}

/** Whether a pump that has taken all it was given wants more. It is of no use afterwards. */
function takesMore(pump: ZlibPump): boolean {
  try {
    return pump.step(new Uint8Array(1), 0, 1, 1).taken > 0;
  } catch {
    return true; // a decoder that had ended would not have looked at it
  }
}
