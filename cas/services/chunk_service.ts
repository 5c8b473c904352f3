/**
 * ContentAddressableStorage.SplitBlob and SpliceBlob: large blobs travel as the chunks that the other side lacks.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, type Scope, Slices } from "@brokkr/common";
import {
  ChunkingFunction,
  ContentAddressableStorage as Cas,
  type Init,
  type SpliceBlobRequest,
  type SpliceBlobResponse,
  type SplitBlobRequest,
  type SplitBlobResponse,
} from "@brokkr/proto";
import { type CallContext, type Route, unary } from "@brokkr/proto/rpc/server";
import type { BlobStore, ChunkList, DigestBatch } from "../blob_store.ts";
import { type Digest, formatDigest, makeDigest, parseDigest } from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import { missingInSlices } from "../_slices.ts";
import { MAX_CHUNKS } from "../store/_chunk_list.ts";
import { type CasCounters, casCounters, type CasServiceOptions } from "./_shared.ts";

/** Chunks packed in one go. */
const PACKED_CHUNKS = 1024;

/**
 * Routes of SplitBlob and SpliceBlob, as far as the store can do it. Without its `split` or `splice` the method is not
 * served.
 */
export function chunkRoutes(options: CasServiceOptions): Route[] {
  const count = casCounters(options.metrics);
  const { split, splice } = options.store;
  const routes: Route[] = [];
  if (split !== undefined) {
    routes.push(
      unary(Cas.splitBlob, "read", (request, context) => splitBlob(options, count, request, context)),
    );
  }
  if (splice !== undefined) {
    routes.push(
      unary(Cas.spliceBlob, "write", (request, context) => spliceBlob(options, count, request, context)),
    );
  }
  return routes;
}

async function splitBlob(
  { store }: CasServiceOptions,
  count: CasCounters,
  request: SplitBlobRequest,
  context: CallContext,
): Promise<Init<SplitBlobResponse>> {
  const scope = context.scope(request.instanceName);
  const digest = parseDigest(request.blobDigest, request.digestFunction, "blob_digest");
  // How the client would like it cut is a wish; there is one way that all share.
  const list = await store.split?.(scope, digest, context.signal);
  if (list === undefined) {
    count.misses("SplitBlob", 1);
    throw new BrokkrError(Code.NOT_FOUND, `Blob ${formatDigest(digest)} is not there, or cannot be split`);
  }
  count.hits("SplitBlob", 1);
  const { chunks, chunking } = list;
  const chunkDigests: { readonly hash: string; readonly sizeBytes: number }[] = [];
  const slices = new Slices(context.signal);
  for (let i = 0; i < chunks.length; i++) {
    const { hash, sizeBytes } = digestAt(chunks, i);
    chunkDigests.push({ hash, sizeBytes });
    if (i % PACKED_CHUNKS === 0 && slices.spent) await slices.next();
  }
  return { chunkDigests, chunkingFunction: chunking };
}

async function spliceBlob(
  { store, maxBlobBytes = Infinity }: CasServiceOptions,
  count: CasCounters,
  request: SpliceBlobRequest,
  context: CallContext,
): Promise<Init<SpliceBlobResponse>> {
  const scope = context.scope(request.instanceName);
  const digest = parseDigest(request.blobDigest, request.digestFunction, "blob_digest");
  if (digest.sizeBytes > maxBlobBytes) {
    throw invalidArgument(
      "blob_digest.size_bytes",
      `Blob ${formatDigest(digest)} is larger than the ${maxBlobBytes} bytes that this store takes`,
    );
  }
  const list = {
    chunks: await packChunks(request, digest, context),
    // What else there may be is as good as unknown: only that the chunks are the blob counts.
    chunking: request.chunkingFunction === ChunkingFunction.FAST_CDC_2020
      ? ChunkingFunction.FAST_CDC_2020
      : ChunkingFunction.UNKNOWN,
  };
  const outcome = await store.splice?.(scope, digest, list, context.signal);
  if (outcome === "known") await checkKept(store, scope, digest, list);
  else count.written("SpliceBlob", digest.sizeBytes);
  return { blobDigest: { hash: digest.hash, sizeBytes: digest.sizeBytes } };
}

/** The chunks of a request, packed, all of the blob's function. */
async function packChunks(
  { chunkDigests }: SpliceBlobRequest,
  { fn }: Digest,
  { signal }: CallContext,
): Promise<DigestBatch> {
  const { length } = chunkDigests;
  if (length > MAX_CHUNKS) {
    throw invalidArgument("chunk_digests", `At most ${MAX_CHUNKS} chunks are taken, but ${length} were sent`);
  }
  const hashes = new Uint8Array(length * fn.hashBytes);
  const sizes = new Float64Array(length);
  const slices = new Slices(signal);
  for (let from = 0; from < length; from += PACKED_CHUNKS) {
    if (slices.spent) await slices.next();
    const digests = chunkDigests.slice(from, from + PACKED_CHUNKS).map(({ hash, sizeBytes }) =>
      makeDigest(fn, hash, sizeBytes)
    );
    const batch = batchOf(fn, digests);
    hashes.set(batch.hashes, from * fn.hashBytes);
    sizes.set(batch.sizes, from);
  }
  return { fn, length, hashes, sizes };
}

/**
 * Of a blob that was there before: whether the chunks that the client named were kept for it, too.
 *
 * @throws {BrokkrError} ALREADY_EXISTS when not all of them are there.
 */
async function checkKept(
  store: BlobStore,
  scope: Scope,
  digest: Digest,
  { chunks }: ChunkList,
): Promise<void> {
  const missing = await missingInSlices(store, scope, chunks);
  if (missing.length === 0) return;
  throw new BrokkrError(
    Code.ALREADY_EXISTS,
    `Blob ${
      formatDigest(digest)
    } is there, but ${missing.length} of the chunks named for it are not, first ` +
      `${formatDigest(digestAt(chunks, missing[0]))}; SplitBlob tells how it is kept`,
  );
}
