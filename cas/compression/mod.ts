/**
 * zstd for blobs on the wire: a streaming codec that trusts nothing it is sent.
 *
 * @module
 */

export { type ByteShares, shareOf } from "./byte_shares.ts";
export { compress, type CompressOptions, compressWhole } from "./compress.ts";
export { decompress, type DecompressOptions, decompressWhole, ZstdDecoder } from "./decompress.ts";
