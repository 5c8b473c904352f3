/**
 * zstd for blobs on the wire: a streaming codec that trusts nothing it is sent.
 *
 * @module
 */

export { acquireSoon, type ByteShares, shareOf } from "./byte_shares.ts";
export { compress, type CompressOptions, compressWhole, encoderBytes } from "./compress.ts";
export {
  decoderBytes,
  decompress,
  type DecompressOptions,
  decompressWhole,
  ZstdDecoder,
} from "./decompress.ts";
