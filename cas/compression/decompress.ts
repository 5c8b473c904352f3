/**
 * Decompressing blobs from a peer that is not trusted.
 *
 * @module
 */

import { Code } from "@brokkr/common";
import type { BlobCompressor } from "../compressors.ts";
import { brotliBytes } from "./_brotli_tables.ts";
import { BrotliDecoder } from "./brotli_decoder.ts";
import { type BlobDecoder, type DecompressOptions, maxInputBytes, refusal } from "./_decoding.ts";
import { CodecTurns } from "./_turns.ts";
import { loadZlib } from "./_zlib.ts";
import { INFLATE_BYTES, InflateDecoder } from "./inflate_decoder.ts";
import { decompressFrame, ZSTD_DECODER_BYTES, ZstdDecoder } from "./zstd_decoder.ts";

/** Up to this size a blob of zstd is decompressed on the spot: its blocks bound the time that takes. */
const WHOLE_BYTES = 256 << 10;

/**
 * What decompressing a blob of `sizeBytes` in one go takes at most beside the blob, when it comes as `data`; what is done
 * on the spot is not counted.
 */
export function decoderBytes(
  sizeBytes: number,
  compressor: BlobCompressor = "zstd",
  data?: Uint8Array,
): number {
  if (compressor === "deflate") return INFLATE_BYTES;
  if (compressor === "brotli") return brotliBytes(sizeBytes, data);
  return sizeBytes <= WHOLE_BYTES ? 0 : ZSTD_DECODER_BYTES;
}

/**
 * A decoder of data that decompresses to `options.sizeBytes`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { compressWhole, openDecoder } from "@brokkr/cas/compression";
 * const packed = await compressWhole(new Uint8Array(100_000), { compressor: "deflate" });
 * using decoder = await openDecoder({ sizeBytes: 100_000, compressor: "deflate" });
 * let bytes = 0;
 * for (const part of [packed.subarray(0, 5), packed.subarray(5)]) {
 *   for await (const piece of decoder.decode(part)) bytes += piece.length;
 * }
 * decoder.finish();
 * assertEquals(bytes, 100_000);
 * ```
 */
export async function openDecoder(options: DecompressOptions): Promise<BlobDecoder> {
  const { compressor = "zstd" } = options;
  const decoders = { zstd: ZstdDecoder, brotli: BrotliDecoder, deflate: InflateDecoder };
  return await decoders[compressor].open(options);
}

/**
 * Decompresses a stream; it may end anywhere, and what is pulled is what is worked for.
 *
 * @throws {BrokkrError} as {@linkcode BlobDecoder.decode} and {@linkcode BlobDecoder.finish}.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  using decoder = await openDecoder(options);
  for await (const chunk of source) yield* decoder.decode(chunk);
  decoder.finish();
}

/**
 * Decompresses data that is there as a whole into `options.sizeBytes` bytes, which the caller has found room for.
 *
 * @throws {BrokkrError} as {@linkcode decompress}.
 */
export async function decompressWhole(data: Uint8Array, options: DecompressOptions): Promise<Uint8Array> {
  const { sizeBytes, compressor = "zstd", code = Code.INVALID_ARGUMENT } = options;
  if (compressor === "zstd" && sizeBytes <= WHOLE_BYTES && data.length <= maxInputBytes(sizeBytes)) {
    const zlib = await loadZlib();
    const turns = new CodecTurns(options.signal);
    if (turns.spent) await turns.next();
    try {
      const whole = decompressFrame(zlib, data, sizeBytes);
      if (whole !== undefined) return whole;
    } catch (error) {
      throw refusal(error, compressor, code);
    }
  }
  // Not allocated before the data has shown that it gives this much.
  const pieces: Uint8Array[] = [];
  for await (const piece of decompress([data], options)) pieces.push(piece);
  return concat(pieces, sizeBytes);
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
