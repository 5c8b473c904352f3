/**
 * Decompressing zstd from a peer that is not trusted.
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
import { FrameError, FrameScanner, MAX_BLOCK_BYTES } from "./_frames.ts";
import { CodecTurns } from "./_turns.ts";
import { loadZlib, plainBytes, type ZlibModule, ZlibPump } from "./_zlib.ts";

/** log2 of the largest window taken: 8 MiB, which RFC 8878 wants every decoder to take, and levels up to 19 keep to. */
const MAX_WINDOW_LOG = 23;

/** What goes into the decoder at once, and what may come out of it: well below a millisecond of work. */
const STEP_BYTES = 2 * MAX_BLOCK_BYTES;

/** What a decoder takes beside its window, in bytes. */
const DECODER_BYTES = 512 << 10;

/** What a decoder takes at most, in bytes. */
export const ZSTD_DECODER_BYTES = DECODER_BYTES + 2 ** MAX_WINDOW_LOG;

/** A scanner with the limits for data that decompresses to `sizeBytes`. */
function scannerFor(sizeBytes: number): FrameScanner {
  return new FrameScanner({
    maxWindowBytes: 2 ** MAX_WINDOW_LOG,
    maxContentBytes: sizeBytes,
    maxFrames: 64 + Math.floor(sizeBytes / 512),
  });
}

/** Throws unless `scanner` stands at the end of whole frames that gave `outputBytes`, and that is what was expected. */
function checkEnd(scanner: FrameScanner, outputBytes: number, sizeBytes: number): void {
  if (!scanner.betweenFrames) {
    throw new FrameError(`ends inside ${scanner.place} of frame ${scanner.frames + 1}`);
  }
  if (scanner.frames === 0) throw new FrameError("is empty; even the empty blob takes a frame");
  if (outputBytes !== sizeBytes) {
    throw new FrameError(`decompresses to ${outputBytes} bytes where ${sizeBytes} are expected`);
  }
}

/**
 * Decompresses data piece by piece: any number of frames, skippable ones too, cut anywhere.
 *
 * Memory stays within the window (8 MiB at most) and a few blocks, whatever is sent. Dispose of it when done: that frees
 * the native side at once.
 */
export class ZstdDecoder implements BlobDecoder {
  readonly #options: DecompressOptions;
  readonly #code: Code;
  readonly #scanner: FrameScanner;
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
    this.#scanner = scannerFor(options.sizeBytes);
    this.#turns = new CodecTurns(options.signal);
    this.#room = new DecoderRoom(options);
  }

  /** A decoder of data that decompresses to `options.sizeBytes`. */
  static async open(options: DecompressOptions): Promise<ZstdDecoder> {
    return new ZstdDecoder(await loadZlib(), options);
  }

  /** Compressed bytes taken. */
  get inputBytes(): number {
    return this.#inputBytes;
  }

  /** Decompressed bytes given. */
  get outputBytes(): number {
    return this.#outputBytes;
  }

  /**
   * Decompresses the next bytes. Work is done as pieces are pulled; `chunk` may be reused when the last one was.
   *
   * @throws {BrokkrError} with `options.code` when the data is damaged, no zstd, needs a dictionary or a window beyond
   * 8 MiB, or decompresses to more than it should; RESOURCE_EXHAUSTED when the budget is.
   */
  async *decode(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      this.#inputBytes += chunk.length;
      checkInputBytes(this.#inputBytes, this.#options.sizeBytes);
      for (let at = 0; at < chunk.length;) {
        if (this.#turns.spent) await this.#turns.next();
        // Scanned before it is fed: the decoder never sees what is not allowed.
        const { to, header } = this.#scanner.step(chunk, at, STEP_BYTES, STEP_BYTES);
        if (header !== undefined) await this.#room.hold(DECODER_BYTES + header.windowBytes);
        this.#pump ??= this.#makePump();
        const pieces = this.#pump.write(chunk.subarray(at, to));
        at = to;
        for (const { length } of pieces) this.#outputBytes += length;
        if (this.#outputBytes > this.#options.sizeBytes) {
          throw new FrameError(`decompresses to more than ${this.#options.sizeBytes} bytes`);
        }
        for (const piece of pieces) if (piece.length > 0) yield piece;
      }
    } catch (error) {
      throw refusal(error, "zstd", this.#code);
    }
  }

  /**
   * Checks that the data is complete.
   *
   * @throws {BrokkrError} with `options.code` when it ended inside a frame or gave too little.
   */
  finish(): void {
    try {
      checkEnd(this.#scanner, this.#outputBytes, this.#options.sizeBytes);
    } catch (error) {
      throw refusal(error, "zstd", this.#code);
    }
  }

  /** Frees the decoder and its share of the budget. */
  [Symbol.dispose](): void {
    this.#pump?.[Symbol.dispose]();
    this.#room[Symbol.dispose]();
  }

  #makePump(): ZlibPump {
    this.#room.check();
    const { constants, createZstdDecompress } = this.#zlib;
    const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
    // Pieces are views of a buffer of this size; what was yielded keeps it alive, so it is no larger than a step's.
    const chunkBytes = Math.max(1024, Math.min(STEP_BYTES, this.#options.sizeBytes + 64));
    const operations = { next: constants.ZSTD_e_continue, end: constants.ZSTD_e_end };
    return new ZlibPump(createZstdDecompress({ chunkSize: 1024, params }), operations, chunkBytes);
  }
}

/**
 * Blocks of a frame that is decompressed on the spot, at most. Honest ones have a few; each of an attacker's, of a dozen
 * bytes, can cost tables.
 */
const WHOLE_BLOCKS = 64;

/** What `data` decompresses to if it is one frame of few blocks, all at once; undefined when it is more. */
export function decompressFrame(
  zlib: ZlibModule,
  data: Uint8Array,
  sizeBytes: number,
): Uint8Array | undefined {
  const scanner = scannerFor(sizeBytes);
  for (let at = 0; at < data.length;) {
    at = scanner.step(data, at, Infinity, Infinity).to;
    if (scanner.frames > 1 || (scanner.frames === 1 && at < data.length)) return undefined;
    if (scanner.bodies > WHOLE_BLOCKS) return undefined;
  }
  if (!scanner.betweenFrames || scanner.frames === 0) checkEnd(scanner, 0, sizeBytes);
  let output: Uint8Array;
  try {
    output = zlib.zstdDecompressSync(data, {
      chunkSize: sizeBytes + 64,
      maxOutputLength: Math.max(1, sizeBytes),
      params: { [zlib.constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new FrameError(`decompresses to more than ${sizeBytes} bytes`);
    }
    throw error;
  }
  checkEnd(scanner, output.length, sizeBytes);
  return plainBytes(output);
}
