/**
 * ByteStream Read of `compressed-blobs/zstd/…`.
 *
 * @module
 */

import { invalidArgument, type Scope } from "@brokkr/common";
import type { Init, ReadResponse } from "@brokkr/proto";
import type { BlobStore } from "../blob_store.ts";
import { type ByteShares, compress, compressWhole } from "../compression/mod.ts";
import type { Digest } from "../digest.ts";

/** Blobs up to this size are compressed at once. */
const WHOLE_BYTES = 64 << 10;

/** What a compressed read works with. */
export interface CompressedRead {
  readonly store: BlobStore;
  readonly scope: Scope;
  readonly digest: Digest;
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

/** The blob from `offset` as one zstd frame, in messages; also an empty rest is a frame. */
export async function* readCompressed(
  read: CompressedRead,
): AsyncGenerator<Init<ReadResponse>, void, undefined> {
  const { digest, offset, store, scope, signal, budget, onRead } = read;
  const sizeBytes = digest.sizeBytes - offset;
  if (digest.sizeBytes <= WHOLE_BYTES) {
    const rest = (await store.get(scope, digest)).subarray(offset);
    onRead(rest.length);
    yield { data: await compressWhole(rest) };
    return;
  }
  async function* counted() {
    for await (const piece of store.read(scope, digest, { offset }, signal)) {
      onRead(piece.length);
      yield piece;
    }
  }
  for await (const data of compress(counted(), { sizeBytes, budget, signal })) yield { data };
}
