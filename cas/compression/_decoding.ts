/**
 * What the decoders have in common.
 *
 * @module
 */

import { BrokkrError, type ByteLease, Code, resourceExhausted } from "@brokkr/common";
import type { BlobCompressor } from "../compressors.ts";
import { FrameError } from "./_frames.ts";
import type { ByteShares } from "./byte_shares.ts";

/** When a client may try again that found the memory in use. */
const RETRY_MS = 1000;

/** How data is decompressed. */
export interface DecompressOptions {
  /** Size of the decompressed data in bytes. More is refused as soon as it shows, less at the end. */
  readonly sizeBytes: number;
  /** How it was compressed; zstd by default. */
  readonly compressor?: BlobCompressor;
  /** Charged for the decoder's window. */
  readonly budget?: ByteShares;
  /** Ends the wait for the budget, and slices of long work. */
  readonly signal?: AbortSignal;
  /** Code of the errors for bad data; INVALID_ARGUMENT by default. */
  readonly code?: Code;
}

/** Decompresses data piece by piece, cut anywhere. Dispose of it when done: that frees the native side at once. */
export interface BlobDecoder extends Disposable {
  /** Compressed bytes taken. */
  readonly inputBytes: number;
  /** Decompressed bytes given. */
  readonly outputBytes: number;
  /**
   * Decompresses the next bytes. Work is done as pieces are pulled; `chunk` may be reused when the last one was.
   *
   * @throws {BrokkrError} with `options.code` when the data is damaged, something else, wants too large a window, or
   * decompresses to more than it should; RESOURCE_EXHAUSTED when the budget is.
   */
  decode(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * Checks that the data is complete.
   *
   * @throws {BrokkrError} with `options.code` when it ended early or gave too little.
   */
  finish(): void;
}

/** Most bytes of compressed data taken for `sizeBytes`: incompressible data grows by less than a hundredth. */
export function maxInputBytes(sizeBytes: number): number {
  return 2 * sizeBytes + (64 << 10);
}

/** Throws when more bytes came than any honest compressor makes of `sizeBytes`. */
export function checkInputBytes(inputBytes: number, sizeBytes: number): void {
  const allowed = maxInputBytes(sizeBytes);
  if (inputBytes <= allowed) return;
  throw new FrameError(`has more than ${allowed} bytes, too many for ${sizeBytes} decompressed ones`);
}

/** `error` as what is told to whoever sent the data. */
export function refusal(error: unknown, compressor: BlobCompressor, code: Code): BrokkrError {
  if (error instanceof BrokkrError) return error;
  const why = error instanceof FrameError
    ? error.message
    : `is damaged: ${error instanceof Error ? error.message : String(error)}`;
  return new BrokkrError(code, `The ${compressor} data ${why}`, { cause: error });
}

/** What a decoder holds of a budget. */
export class DecoderRoom implements Disposable {
  readonly #budget: ByteShares | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #leases: ByteLease[] = [];
  #leasedBytes = 0;
  #disposed = false;

  /** Room of `budget`; as much as is asked for when there is none. */
  constructor({ budget, signal }: DecompressOptions) {
    this.#budget = budget;
    this.#signal = signal;
  }

  /**
   * Holds `bytes` in all. Only the first share is waited for: decoders that held some and waited for more, as frames
   * with growing windows want it, would wait for each other for ever.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when there is no room.
   */
  async hold(bytes: number): Promise<void> {
    const budget = this.#budget;
    if (budget === undefined || bytes <= this.#leasedBytes) return;
    const more = bytes - this.#leasedBytes;
    const lease = this.#leasedBytes === 0
      ? await budget.acquire(more, this.#signal)
      : budget.tryAcquire(more);
    if (lease === undefined) {
      throw resourceExhausted("The memory for decompressing is in use; try again later", RETRY_MS);
    }
    this.#leases.push(lease);
    this.#leasedBytes = bytes;
    if (this.#disposed) lease.release();
  }

  /** Throws once it was disposed of: what was waited for came too late. */
  check(): void {
    if (this.#disposed) throw new BrokkrError(Code.CANCELLED, "The codec was disposed of");
  }

  /** Gives all back. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const lease of this.#leases) lease.release();
  }
}
