/**
 * ByteStream Read of `compressed-blobs/{compressor}/…`.
 *
 * @module
 */

import { invalidArgument, type Scope } from "@brokkr/common";
import type { Init, ReadResponse } from "@brokkr/proto";
import type { BlobStore } from "../blob_store.ts";
import { type ByteShares, compress, compressWhole } from "../compression/mod.ts";
import type { BlobCompressor } from "../compressors.ts";
import type { Digest } from "../digest.ts";

/** Blobs up to this size are compressed at once. */
const WHOLE_BYTES = 64 << 10;

/** Most bytes of a stored frame in one message. */
const MESSAGE_BYTES = 256 << 10;

/** What a compressed read works with. */
export interface CompressedRead {
  readonly store: BlobStore;
  readonly scope: Scope;
  readonly digest: Digest;
  /** How it is to travel. */
  readonly compressor: BlobCompressor;
  /** First byte wanted, of the blob itself. */
  readonly offset: number;
  /** Charged for the compressor. */
  readonly budget: ByteShares | undefined;
  readonly signal: AbortSignal;
  /** Told of the blob's own bytes as they leave. */
  readonly onRead: (bytes: number) => void;
}

/**
 * Refuses a limit, as REAPI wants it: nobody could say what it counts.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT.
 */
export function checkCompressedLimit(readLimit: number): void {
  if (readLimit === 0) return;
  throw invalidArgument(
    "read_limit",
    `A compressed read takes no limit, but this one has ${readLimit}; leave it 0, or read the blob uncompressed`,
  );
}

/**
 * The blob from `offset`, compressed to one frame or stream, in messages; also an empty rest is one. What the store keeps
 * as a frame of zstd travels as it is to those who want the whole of it as zstd.
 */
export async function* readCompressed(
  read: CompressedRead,
): AsyncGenerator<Init<ReadResponse>, void, undefined> {
  const { digest, compressor, offset, store, scope, signal, budget, onRead } = read;
  const sizeBytes = digest.sizeBytes - offset;
  const kept = compressor === "zstd" && offset === 0 ? await store.frame?.(scope, digest) : undefined;
  if (kept !== undefined) {
    onRead(sizeBytes);
    for (let at = 0; at < kept.length; at += MESSAGE_BYTES) {
      yield { data: kept.subarray(at, at + MESSAGE_BYTES) };
    }
    return;
  }
  if (digest.sizeBytes <= WHOLE_BYTES) {
    const rest = (await store.get(scope, digest)).subarray(offset);
    onRead(rest.length);
    yield { data: await compressWhole(rest, { compressor }) };
    return;
  }
  async function* counted() {
    for await (const piece of store.read(scope, digest, { offset }, signal)) {
      onRead(piece.length);
      yield piece;
    }
  }
  for await (const data of compress(counted(), { compressor, sizeBytes, budget, signal })) yield { data };
}
