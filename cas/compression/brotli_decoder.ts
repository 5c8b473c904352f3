/**
 * Decompressing brotli (RFC 7932) from a peer that is not trusted. A blob is one stream, which tells its own end.
 *
 * @module
 */

import { Code } from "@brokkr/common";
import { BrotliInflater, type Passed } from "./_brotli.ts";
import { brotliBytes } from "./_brotli_tables.ts";
import { loadDictionary } from "./_brotli_dictionary.ts";
import {
  type BlobDecoder,
  checkInputBytes,
  DecoderRoom,
  type DecompressOptions,
  refusal,
} from "./_decoding.ts";
import { FrameError } from "./_frames.ts";
import { CodecTurns } from "./_turns.ts";

/** What comes out of a decoder at once, at most. */
const OUTPUT_STEP_BYTES = 128 << 10;

/** What a decoder does at once, in literals, of which it takes some 50 in a microsecond. */
const WORK_STEP = 32 << 10;

/** Decompresses one stream piece by piece, cut anywhere. */
export class BrotliDecoder implements BlobDecoder {
  readonly #options: DecompressOptions;
  readonly #code: Code;
  readonly #inflater: BrotliInflater;
  readonly #turns: CodecTurns;
  readonly #room: DecoderRoom;
  #inputBytes = 0;
  #outputBytes = 0;

  private constructor(dictionary: Uint8Array, options: DecompressOptions) {
    this.#options = options;
    this.#code = options.code ?? Code.INVALID_ARGUMENT;
    this.#inflater = new BrotliInflater(options.sizeBytes, dictionary);
    this.#turns = new CodecTurns(options.signal);
    this.#room = new DecoderRoom(options);
  }

  /** A decoder of data that decompresses to `options.sizeBytes`. */
  static async open(options: DecompressOptions): Promise<BrotliDecoder> {
    return new BrotliDecoder(await loadDictionary(), options);
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
      const first = this.#inputBytes === 0;
      this.#inputBytes += chunk.length;
      checkInputBytes(this.#inputBytes, sizeBytes);
      if (first && chunk.length > 0) await this.#room.hold(brotliBytes(sizeBytes, chunk));
      this.#room.check();
      this.#inflater.add(chunk);
      for (let passed: Passed = "more"; passed === "more";) {
        // Also where the input will be used up: the next may be there already, as one of many small messages.
        if (this.#turns.spent) await this.#turns.next();
        passed = this.#inflater.run(OUTPUT_STEP_BYTES, WORK_STEP);
        const piece = this.#inflater.output();
        this.#outputBytes += piece.length;
        if (piece.length > 0) yield piece;
      }
      this.#checkRest();
    } catch (error) {
      throw refusal(error, "brotli", this.#code);
    }
  }

  /** See {@linkcode BlobDecoder.finish}. */
  finish(): void {
    const { sizeBytes } = this.#options;
    try {
      if (this.#inputBytes === 0) throw new FrameError("is empty; even the empty blob takes a byte");
      if (!this.#inflater.ended) throw new FrameError(`is cut short after ${this.#inputBytes} bytes`);
      if (this.#outputBytes !== sizeBytes) {
        throw new FrameError(
          `decompresses to ${this.#outputBytes} bytes where ${sizeBytes} are expected`,
        );
      }
    } catch (error) {
      throw refusal(error, "brotli", this.#code);
    }
  }

  /** Frees the decoder and its share of the budget. */
  [Symbol.dispose](): void {
    this.#room[Symbol.dispose]();
  }

  #checkRest(): void {
    const rest = this.#inflater.bytesLeft;
    if (this.#inflater.ended && rest > 0) {
      throw new FrameError(`goes on after its end at byte ${this.#inputBytes - rest}`);
    }
  }
}
