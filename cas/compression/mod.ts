/**
 * Compressed blobs on the wire (zstd, brotli, raw deflate): streaming codecs that trust nothing they are sent.
 *
 * @module
 */

export { acquireSoon, type ByteShares, shareOf } from "./byte_shares.ts";
export type { BlobCompressor } from "../compressors.ts";
export { compress, type CompressOptions, compressWhole, encoderBytes } from "./compress.ts";
export type { BlobDecoder, DecompressOptions } from "./_decoding.ts";
export { decoderBytes, decompress, decompressWhole, openDecoder } from "./decompress.ts";
