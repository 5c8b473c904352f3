/**
 * Decompressing zstd from a peer that is not trusted.
 *
 * @module
 */

import { BrokkrError, type ByteLease, Code, resourceExhausted, Slices } from "@brokkr/common";
import { FrameError, FrameScanner, MAX_BLOCK_BYTES } from "./_frames.ts";
import type { ByteShares } from "./byte_shares.ts";
import { loadZlib, plainBytes, type ZlibModule, ZlibPump } from "./_zlib.ts";

/** log2 of the largest window taken: 8 MiB, which RFC 8878 wants every decoder to take, and levels up to 19 keep to. */
const MAX_WINDOW_LOG = 23;

/** What goes into the decoder at once, and what may come out of it: well below a millisecond of work. */
const STEP_BYTES = 2 * MAX_BLOCK_BYTES;

/** Up to this size a blob is decompressed on the spot. */
const WHOLE_BYTES = 256 << 10;

/** When a client may try again that found the memory in use. */
const RETRY_MS = 1000;

/** What a decoder takes beside its window, in bytes. */
const DECODER_BYTES = 512 << 10;

/** What decompressing a blob of `sizeBytes` in one go takes at most beside the blob; what is done on the spot is not counted. */
export function decoderBytes(sizeBytes: number): number {
  return sizeBytes <= WHOLE_BYTES ? 0 : DECODER_BYTES + 2 ** MAX_WINDOW_LOG;
}

/** How data is decompressed. */
export interface DecompressOptions {
  /** Size of the decompressed data in bytes. More is refused as soon as it shows, less at the end. */
  readonly sizeBytes: number;
  /** Charged for the decoder's window. */
  readonly budget?: ByteShares;
  /** Ends the wait for the budget, and slices of long work. */
  readonly signal?: AbortSignal;
  /** Code of the errors for bad data; INVALID_ARGUMENT by default. */
  readonly code?: Code;
}

/** Most bytes of compressed data taken for `sizeBytes`: incompressible data grows by less than a hundredth. */
function maxInputBytes(sizeBytes: number): number {
  return 2 * sizeBytes + (64 << 10);
}

/** A scanner with the limits for data that decompresses to `sizeBytes`. */
function scannerFor(sizeBytes: number): FrameScanner {
  return new FrameScanner({
    maxWindowBytes: 2 ** MAX_WINDOW_LOG,
    maxContentBytes: sizeBytes,
    maxFrames: 64 + Math.floor(sizeBytes / 512),
  });
}

/** `error` as what is told to whoever sent the data. */
function refusal(error: unknown, code: Code): BrokkrError {
  if (error instanceof BrokkrError) return error;
  const why = error instanceof FrameError
    ? error.message
    : `is damaged: ${error instanceof Error ? error.message : String(error)}`;
  return new BrokkrError(code, `The zstd data ${why}`, { cause: error });
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
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { compressWhole, ZstdDecoder } from "@brokkr/cas/compression";
 * const packed = await compressWhole(new Uint8Array(100_000));
 * using decoder = await ZstdDecoder.open({ sizeBytes: 100_000 });
 * let bytes = 0;
 * for (const part of [packed.subarray(0, 5), packed.subarray(5)]) {
 *   for await (const piece of decoder.decode(part)) bytes += piece.length;
 * }
 * decoder.finish();
 * assertEquals(bytes, 100_000);
 * ```
 */
export class ZstdDecoder implements Disposable {
  readonly #options: DecompressOptions;
  readonly #code: Code;
  readonly #scanner: FrameScanner;
  readonly #zlib: ZlibModule;
  /** Made when there is room for it, not while that is waited for. */
  #pump: ZlibPump | undefined;
  readonly #slices: Slices;
  readonly #leases: ByteLease[] = [];
  #leasedBytes = 0;
  #inputBytes = 0;
  #outputBytes = 0;
  #disposed = false;

  private constructor(zlib: ZlibModule, options: DecompressOptions) {
    this.#zlib = zlib;
    this.#options = options;
    this.#code = options.code ?? Code.INVALID_ARGUMENT;
    this.#scanner = scannerFor(options.sizeBytes);
    this.#slices = new Slices(options.signal);
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
      const allowed = maxInputBytes(this.#options.sizeBytes);
      if (this.#inputBytes > allowed) {
        throw new FrameError(
          `has more than ${allowed} bytes, too many for ${this.#options.sizeBytes} decompressed ones`,
        );
      }
      for (let at = 0; at < chunk.length;) {
        // Scanned before it is fed: the decoder never sees what is not allowed.
        const { to, header } = this.#scanner.step(chunk, at, STEP_BYTES, STEP_BYTES);
        if (header !== undefined) await this.#charge(DECODER_BYTES + header.windowBytes);
        this.#pump ??= this.#makePump();
        const pieces = this.#pump.write(chunk.subarray(at, to));
        at = to;
        for (const { length } of pieces) this.#outputBytes += length;
        if (this.#outputBytes > this.#options.sizeBytes) {
          throw new FrameError(`decompresses to more than ${this.#options.sizeBytes} bytes`);
        }
        for (const piece of pieces) if (piece.length > 0) yield piece;
        if (this.#slices.spent) await this.#slices.next();
      }
    } catch (error) {
      throw refusal(error, this.#code);
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
      throw refusal(error, this.#code);
    }
  }

  /** Frees the decoder and its share of the budget. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#pump?.[Symbol.dispose]();
    for (const lease of this.#leases) lease.release();
  }

  #makePump(): ZlibPump {
    if (this.#disposed) throw new BrokkrError(Code.CANCELLED, "The codec was disposed of");
    const zlib = this.#zlib;
    const params = { [zlib.constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
    // Pieces are views of a buffer of this size; what was yielded keeps it alive, so it is no larger than a step's.
    const chunkBytes = Math.max(1024, Math.min(STEP_BYTES, this.#options.sizeBytes + 64));
    return new ZlibPump(zlib, zlib.createZstdDecompress({ chunkSize: 1024, params }), chunkBytes);
  }

  /**
   * Holds `bytes` of the budget in all. Only the first share is waited for: decoders that held some and waited for more,
   * as frames with growing windows want it, would wait for each other for ever.
   */
  async #charge(bytes: number): Promise<void> {
    const { budget, signal } = this.#options;
    if (budget === undefined || bytes <= this.#leasedBytes) return;
    const more = bytes - this.#leasedBytes;
    const lease = this.#leasedBytes === 0 ? await budget.acquire(more, signal) : budget.tryAcquire(more);
    if (lease === undefined) {
      throw resourceExhausted("The memory for decompressing is in use; try again later", RETRY_MS);
    }
    this.#leases.push(lease);
    this.#leasedBytes = bytes;
    if (this.#disposed) lease.release();
  }
}

/**
 * Decompresses a stream; it may end anywhere, and what is pulled is what is worked for.
 *
 * @throws {BrokkrError} as {@linkcode ZstdDecoder.decode} and {@linkcode ZstdDecoder.finish}.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  using decoder = await ZstdDecoder.open(options);
  for await (const chunk of source) yield* decoder.decode(chunk);
  decoder.finish();
}

/**
 * Decompresses data that is there as a whole into `options.sizeBytes` bytes, which the caller has found room for.
 *
 * @throws {BrokkrError} as {@linkcode decompress}.
 */
export async function decompressWhole(data: Uint8Array, options: DecompressOptions): Promise<Uint8Array> {
  const { sizeBytes, code = Code.INVALID_ARGUMENT } = options;
  if (sizeBytes <= WHOLE_BYTES && data.length <= maxInputBytes(sizeBytes)) {
    const zlib = await loadZlib();
    try {
      const whole = decompressFrame(zlib, data, sizeBytes);
      if (whole !== undefined) return whole;
    } catch (error) {
      throw refusal(error, code);
    }
  }
  // Not allocated before the data has shown that it gives this much.
  const pieces: Uint8Array[] = [];
  for await (const piece of decompress([data], options)) pieces.push(piece);
  return concat(pieces, sizeBytes);
}

/** What `data` decompresses to if it is one frame; undefined when it is several. */
function decompressFrame(zlib: ZlibModule, data: Uint8Array, sizeBytes: number): Uint8Array | undefined {
  const scanner = scannerFor(sizeBytes);
  for (let at = 0; at < data.length;) {
    at = scanner.step(data, at, Infinity, Infinity).to;
    if (scanner.frames > 1 || (scanner.frames === 1 && at < data.length)) return undefined;
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

/** `pieces`, which have `sizeBytes` in all, as one. */
export function concat(pieces: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
