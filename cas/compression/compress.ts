/**
 * Compressing to one zstd frame, or one stream of brotli or raw deflate.
 *
 * @module
 */

import type { BlobCompressor } from "../compressors.ts";
import { FrameScanner } from "./_frames.ts";
import { CodecTurns } from "./_turns.ts";
import type { ByteShares } from "./byte_shares.ts";
import {
  loadZlib,
  plainBytes,
  type ZlibModule,
  type ZlibOperations,
  ZlibPump,
  type ZlibTransform,
} from "./_zlib.ts";
import { concat } from "./decompress.ts";

/** How each compressor works here. */
interface Way {
  /**
   * The level, unless another is asked for: on the event loop of a server, time counts more than the last tenth of the
   * size. Deflate's first level makes a third more of text than its second, which is not much slower.
   */
  readonly level: number;
  /** What goes into the compressor at once: a millisecond or two of work. */
  readonly stepBytes: number;
  /** Up to this size a blob is compressed on the spot. */
  readonly wholeBytes: number;
  /** What the compressor takes at its usual levels, in bytes: its window, tables and buffers. */
  readonly encoderBytes: number;
}

const WAYS: Readonly<Record<BlobCompressor, Way>> = {
  zstd: { level: 1, stepBytes: 256 << 10, wholeBytes: 256 << 10, encoderBytes: 2 << 20 },
  brotli: { level: 1, stepBytes: 128 << 10, wholeBytes: 256 << 10, encoderBytes: 4 << 20 },
  deflate: { level: 2, stepBytes: 64 << 10, wholeBytes: 128 << 10, encoderBytes: 512 << 10 },
};

/**
 * log2 of the window of brotli data made here. Its fastest level looks back no further, and the other side has less to
 * keep.
 */
const BROTLI_WINDOW_LOG = 18;

/** What compressing a blob of `sizeBytes` in one go takes beside the blob; what is done on the spot is not counted. */
export function encoderBytes(sizeBytes: number, compressor: BlobCompressor = "zstd"): number {
  return sizeBytes <= WAYS[compressor].wholeBytes ? 0 : WAYS[compressor].encoderBytes;
}

/** How data is compressed. */
export interface CompressOptions {
  /** What to compress to; zstd by default. */
  readonly compressor?: BlobCompressor;
  /** Level: 1 to 19 of zstd, 0 to 11 of brotli, 0 to 9 of deflate; a fast one by default. */
  readonly level?: number;
  /** Size of the data in bytes, if known: the frame then tells it, which lets the other side make room. */
  readonly sizeBytes?: number;
  /** Charged for the compressor. */
  readonly budget?: ByteShares;
  /** Ends the wait for the budget, and slices of long work. */
  readonly signal?: AbortSignal;
}

/** A scanner of what the compressor makes, which needs no limits. */
function ownScanner(): FrameScanner {
  return new FrameScanner({ maxWindowBytes: Infinity, maxContentBytes: Infinity, maxFrames: 1 });
}

/**
 * The part of `piece` that belongs to the one frame: the binding appends an empty one where the end of the output falls
 * on the end of its buffer, and some clients read but one frame.
 */
function ofFirstFrame(scanner: FrameScanner, piece: Uint8Array): Uint8Array {
  let at = 0;
  while (at < piece.length && scanner.frames === 0) at = scanner.step(piece, at, Infinity, Infinity).to;
  return piece.subarray(0, at);
}

/**
 * Compresses a stream, also an empty one: to one frame of zstd, or one stream of the others. What is pulled is what is
 * worked for; memory stays within some 2 MiB, 4 MiB for brotli.
 */
export async function* compress(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: CompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { budget, compressor = "zstd", signal, sizeBytes } = options;
  const { encoderBytes, stepBytes } = WAYS[compressor];
  const zlib = await loadZlib();
  using _lease = await budget?.acquire(encoderBytes, signal);
  const chunkBytes = Math.max(1024, Math.min(stepBytes, boundBytes(sizeBytes ?? stepBytes)));
  using pump = openPump(zlib, compressor, options, chunkBytes);
  const turns = new CodecTurns(signal);
  const scanner = compressor === "zstd" ? ownScanner() : undefined;
  let taken = 0;
  for await (const chunk of source) {
    taken += chunk.length;
    for (let at = 0; at < chunk.length; at += stepBytes) {
      if (turns.spent) await turns.next();
      for (const piece of pump.write(chunk.subarray(at, at + stepBytes))) {
        if (piece.length > 0) yield scanner === undefined ? piece : ofFirstFrame(scanner, piece);
      }
    }
  }
  if (sizeBytes !== undefined && taken !== sizeBytes) {
    throw new RangeError(`A stream of ${sizeBytes} bytes was to be compressed, but it has ${taken}`);
  }
  for (const piece of pump.end()) {
    const kept = scanner === undefined ? piece : ofFirstFrame(scanner, piece);
    if (kept.length > 0) yield kept;
  }
}

function openPump(
  zlib: ZlibModule,
  compressor: BlobCompressor,
  options: CompressOptions,
  chunkBytes: number,
): ZlibPump {
  const { constants } = zlib;
  const level = options.level ?? WAYS[compressor].level;
  const made: Record<BlobCompressor, () => readonly [ZlibTransform, ZlibOperations]> = {
    zstd: () => [
      zlib.createZstdCompress({
        chunkSize: 1024,
        params: { [constants.ZSTD_c_compressionLevel]: level },
        ...told(options.sizeBytes),
      }),
      { next: constants.ZSTD_e_continue, end: constants.ZSTD_e_end },
    ],
    brotli: () => [
      zlib.createBrotliCompress({ chunkSize: 1024, params: brotliParams(zlib, level) }),
      { next: constants.BROTLI_OPERATION_PROCESS, end: constants.BROTLI_OPERATION_FINISH },
    ],
    deflate: () => [
      zlib.createDeflateRaw({ chunkSize: 1024, level }),
      { next: constants.Z_NO_FLUSH, end: constants.Z_FINISH },
    ],
  };
  const [transform, operations] = made[compressor]();
  return new ZlibPump(transform, operations, chunkBytes);
}

function brotliParams({ constants }: ZlibModule, level: number): Record<number, number> {
  return { [constants.BROTLI_PARAM_QUALITY]: level, [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_LOG };
}

/** The option, which the types of `node:zlib` lack, that makes a frame tell its size. */
function told(sizeBytes: number | undefined): { readonly pledgedSrcSize?: number } {
  return sizeBytes === undefined ? {} : { pledgedSrcSize: sizeBytes };
}

/** The largest size that `bytes` are compressed to, with some to spare. */
function boundBytes(bytes: number): number {
  return bytes + Math.ceil(bytes / 128) + 512;
}

/**
 * Compresses data that is there as a whole.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { compressWhole, decompressWhole } from "@brokkr/cas/compression";
 * const packed = await compressWhole(new TextEncoder().encode("anvil ".repeat(1000)));
 * const text = new TextDecoder().decode(await decompressWhole(packed, { sizeBytes: 6000 }));
 * assertEquals(text, "anvil ".repeat(1000));
 * ```
 */
export async function compressWhole(
  data: Uint8Array,
  options: Omit<CompressOptions, "sizeBytes"> = {},
): Promise<Uint8Array> {
  const { compressor = "zstd" } = options;
  const { level: usual, wholeBytes } = WAYS[compressor];
  if (data.length <= wholeBytes) {
    const zlib = await loadZlib();
    const turns = new CodecTurns(options.signal);
    if (turns.spent) await turns.next();
    return compressAtOnce(zlib, compressor, data, options.level ?? usual);
  }
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of compress([data], { ...options, sizeBytes: data.length })) {
    pieces.push(piece);
    bytes += piece.length;
  }
  return concat(pieces, bytes);
}

function compressAtOnce(
  zlib: ZlibModule,
  compressor: BlobCompressor,
  data: Uint8Array,
  level: number,
): Uint8Array {
  const chunkSize = boundBytes(data.length);
  if (compressor === "brotli") {
    return plainBytes(zlib.brotliCompressSync(data, { chunkSize, params: brotliParams(zlib, level) }));
  }
  if (compressor === "deflate") return plainBytes(zlib.deflateRawSync(data, { chunkSize, level }));
  const packed = zlib.zstdCompressSync(data, {
    chunkSize,
    ...told(data.length),
    params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
  });
  return ofFirstFrame(ownScanner(), plainBytes(packed));
}
