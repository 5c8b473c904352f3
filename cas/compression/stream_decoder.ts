/**
 * Decompressing raw deflate (RFC 1951) and brotli (RFC 7932) from a peer that is not trusted. A blob is one stream of
 * either, which tells its own end.
 *
 * What is wrong is told from how the binding moves on, as that of brotli says nothing by itself: a decoder that has room
 * for output and leaves input has ended before it, or found it damaged. Whether all is well in the end the size tells,
 * and then the digest, which every caller checks.
 *
 * @module
 */

import { Code, Slices } from "@brokkr/common";
import {
  type BlobDecoder,
  checkInputBytes,
  DecoderRoom,
  type DecompressOptions,
  refusal,
} from "./_decoding.ts";
import { FrameError } from "./_frames.ts";
import { loadZlib, type ZlibModule, ZlibPump } from "./_zlib.ts";

/** The formats that are one stream. */
export type StreamFormat = "brotli" | "deflate";

/**
 * What goes into a decoder at once. A few bytes can make it build large tables or much output: beside the output, which
 * has its own limit, it is this that keeps a step below a few milliseconds, whatever is sent.
 */
const INPUT_STEP_BYTES = 4 << 10;

/** What comes out of a decoder at once, at most. */
const OUTPUT_STEP_BYTES = 128 << 10;

/** Window, tables and state of inflate, in bytes. */
const INFLATE_BYTES = 256 << 10;

/** The prefix codes, context maps and state of a brotli decoder, in bytes: 3 times 256 codes of 1080 entries. */
const BROTLI_TABLE_BYTES = 4 << 20;

/** The largest window that RFC 7932 has, in bytes. */
const MAX_BROTLI_WINDOW_BYTES = 16 << 20;

/**
 * The window that brotli data needs, in bytes, as its first byte says (RFC 7932, section 9.1); undefined when that begins
 * the "large window" of another format, which goes up to a GiB.
 */
export function brotliWindowBytes(first: number): number | undefined {
  if ((first & 1) === 0) return 1 << 16;
  const high = first >> 1 & 7;
  if (high !== 0) return 1 << 17 + high;
  const low = first >> 4 & 7;
  return low === 1 ? undefined : 1 << (low === 0 ? 17 : 8 + low);
}

/** What a decoder of `data` takes at most beside what it gives, in bytes. */
export function streamDecoderBytes(format: StreamFormat, data: Uint8Array | undefined): number {
  if (format === "deflate") return INFLATE_BYTES;
  const window = data === undefined || data.length === 0
    ? MAX_BROTLI_WINDOW_BYTES
    : brotliWindowBytes(data[0]);
  return BROTLI_TABLE_BYTES + (window ?? 0); // what cannot be told is refused
}

/**
 * Decompresses one stream piece by piece, cut anywhere. Memory stays within the window (32 KiB for deflate, at most 16 MiB
 * for brotli), tables of 4 MiB, and a buffer of 128 KiB, whatever is sent.
 */
export class StreamDecoder implements BlobDecoder {
  readonly #format: StreamFormat;
  readonly #options: DecompressOptions;
  readonly #code: Code;
  readonly #zlib: ZlibModule;
  /** Made when there is room for it, not while that is waited for. */
  #pump: ZlibPump | undefined;
  readonly #slices: Slices;
  readonly #room: DecoderRoom;
  #inputBytes = 0;
  #outputBytes = 0;

  private constructor(zlib: ZlibModule, format: StreamFormat, options: DecompressOptions) {
    this.#zlib = zlib;
    this.#format = format;
    this.#options = options;
    this.#code = options.code ?? Code.INVALID_ARGUMENT;
    this.#slices = new Slices(options.signal);
    this.#room = new DecoderRoom(options);
  }

  /** A decoder of data that decompresses to `options.sizeBytes`. */
  static async open(format: StreamFormat, options: DecompressOptions): Promise<StreamDecoder> {
    return new StreamDecoder(await loadZlib(), format, options);
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
      if (chunk.length > 0 && this.#pump === undefined) await this.#begin(chunk);
      const pump = this.#pump;
      if (pump === undefined) return;
      for (let at = 0, full = false; at < chunk.length || full;) {
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
        if (this.#slices.spent) await this.#slices.next();
      }
    } catch (error) {
      throw refusal(error, this.#format, this.#code);
    }
  }

  /** See {@linkcode BlobDecoder.finish}. */
  finish(): void {
    const { sizeBytes } = this.#options;
    try {
      const pump = this.#pump;
      if (pump === undefined) {
        const least = this.#format === "brotli" ? "a byte" : "two bytes";
        throw new FrameError(`is empty; even the empty blob takes ${least}`);
      }
      // What has ended takes no more. The step may fail instead, if a zero does not go on what was begun.
      if (takesMore(pump)) throw new FrameError(`is cut short after ${this.#inputBytes} bytes`);
      if (this.#outputBytes !== sizeBytes) {
        throw new FrameError(
          `decompresses to ${this.#outputBytes} bytes where ${sizeBytes} are expected, or is damaged at its end`,
        );
      }
    } catch (error) {
      throw refusal(error, this.#format, this.#code);
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
        : `is damaged or ends at byte ${at}, after ${this.#outputBytes} of ${sizeBytes} decompressed bytes`,
    );
  }

  /** Makes the decoder, once there is room for it. */
  async #begin(chunk: Uint8Array): Promise<void> {
    if (this.#format === "brotli" && brotliWindowBytes(chunk[0]) === undefined) {
      throw new FrameError(
        `needs a "large window", which is no RFC 7932; at most ${MAX_BROTLI_WINDOW_BYTES} bytes are taken`,
      );
    }
    await this.#room.hold(streamDecoderBytes(this.#format, chunk));
    this.#room.check();
    const { constants, createBrotliDecompress, createInflateRaw } = this.#zlib;
    const [transform, operations] = this.#format === "brotli"
      ? [createBrotliDecompress({ chunkSize: 1024 }), {
        next: constants.BROTLI_OPERATION_PROCESS,
        end: constants.BROTLI_OPERATION_FINISH,
      }]
      : [createInflateRaw({ chunkSize: 1024 }), { next: constants.Z_NO_FLUSH, end: constants.Z_FINISH }];
    const chunkBytes = Math.min(OUTPUT_STEP_BYTES, this.#options.sizeBytes + 1);
    this.#pump = new ZlibPump(transform, operations, chunkBytes);
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
