/**
 * Compressing to one zstd frame.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { FrameScanner } from "./_frames.ts";
import type { ByteShares } from "./byte_shares.ts";
import { loadZlib, plainBytes, type ZlibModule, ZlibPump } from "./_zlib.ts";
import { concat } from "./decompress.ts";

/** The fastest level proper: on the event loop of a server, time counts more than the last tenth of the size. */
const DEFAULT_LEVEL = 1;

/** What goes into the compressor at once: about a millisecond of work. */
const STEP_BYTES = 256 << 10;

/** Up to this size a blob is compressed on the spot. */
const WHOLE_BYTES = 256 << 10;

/** What a compressor of level 1 to 3 takes, in bytes: its window, tables and buffers. */
const ENCODER_BYTES = 2 << 20;

/** What compressing a blob of `sizeBytes` in one go takes beside the blob; what is done on the spot is not counted. */
export function encoderBytes(sizeBytes: number): number {
  return sizeBytes <= WHOLE_BYTES ? 0 : ENCODER_BYTES;
}

/** How data is compressed. */
export interface CompressOptions {
  /** Level, 1 to 19; 1 by default. */
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
 * Compresses a stream to one frame, also when the stream is empty. What is pulled is what is worked for; memory stays
 * within some 2 MiB.
 */
export async function* compress(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: CompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { budget, signal, sizeBytes } = options;
  const zlib = await loadZlib();
  using _lease = await budget?.acquire(ENCODER_BYTES, signal);
  const transform = zlib.createZstdCompress({
    chunkSize: 1024,
    params: { [zlib.constants.ZSTD_c_compressionLevel]: options.level ?? DEFAULT_LEVEL },
    ...told(sizeBytes),
  });
  const chunkBytes = Math.max(1024, Math.min(STEP_BYTES, boundBytes(sizeBytes ?? STEP_BYTES)));
  using pump = new ZlibPump(zlib, transform, chunkBytes);
  const slices = new Slices(signal);
  const scanner = ownScanner();
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += STEP_BYTES) {
      if (slices.spent) await slices.next();
      for (const piece of pump.write(chunk.subarray(at, at + STEP_BYTES))) {
        if (piece.length > 0) yield ofFirstFrame(scanner, piece);
      }
    }
  }
  for (const piece of pump.end()) {
    const kept = ofFirstFrame(scanner, piece);
    if (kept.length > 0) yield kept;
  }
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
  if (data.length <= WHOLE_BYTES) {
    return compressFrame(await loadZlib(), data, options.level ?? DEFAULT_LEVEL);
  }
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of compress([data], { ...options, sizeBytes: data.length })) {
    pieces.push(piece);
    bytes += piece.length;
  }
  return concat(pieces, bytes);
}

function compressFrame(zlib: ZlibModule, data: Uint8Array, level: number): Uint8Array {
  const packed = zlib.zstdCompressSync(data, {
    chunkSize: boundBytes(data.length),
    ...told(data.length),
    params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
  });
  return ofFirstFrame(ownScanner(), plainBytes(packed));
}
