/**
 * Downloading blobs, each verified against its digest.
 *
 * @module
 */

import { BrokkrError, Code, mapLimit } from "@brokkr/common";
import { RawByteStream, RawCas } from "@brokkr/proto";
import type { CallOptions } from "@brokkr/proto/rpc";
import type { ReadRange } from "../blob_store.ts";
import { type Digest, formatDigest, type Hasher, missingBlobsError } from "../digest.ts";
import { formatReadName } from "../resource_name.ts";
import { divide, statusError, VerifiedSink, wrongHash, wrongSize } from "./_batches.ts";
import { plainOf } from "./_compression.ts";
import { isTransient, waitToRetry } from "./_retry.ts";
import type { ClientContext, DownloadOptions } from "./types.ts";

/** Receives blobs. */
export type BlobSink = (digest: Digest, data: Uint8Array) => void | Promise<void>;

/** Reads a large blob; `onShared` is told of bytes that did not have to be fetched. */
export type ReadLarge = (
  digest: Digest,
  options: CallOptions,
  onShared: (bytes: number) => void,
) => AsyncIterable<Uint8Array>;

/**
 * Fetches every blob of `digests`, which are distinct, large ones by `readLarge`. Gives how many bytes did not have to be
 * fetched.
 */
export async function fetchBlobs(
  context: ClientContext,
  digests: readonly Digest[],
  onBlob: BlobSink,
  options: DownloadOptions,
  readLarge: ReadLarge,
): Promise<number> {
  const { batches, large, totalBlobs, totalBytes } = divide(
    digests.map((digest) => ({ digest })),
    context.maxBatchBytes,
  );
  const missing: Digest[] = [];
  let doneBlobs = 0;
  let doneBytes = 0;
  let sharedBytes = 0;
  const sink = async (digest: Digest, data: Uint8Array) => {
    await onBlob(digest, data);
    done(digest);
  };
  const done = (digest: Digest) => {
    doneBlobs++;
    doneBytes += digest.sizeBytes;
    options.onProgress?.({ blobs: doneBlobs, bytes: doneBytes, sharedBytes, totalBlobs, totalBytes });
  };
  const fetchLarge = async (digest: Digest) => {
    try {
      let shared = 0;
      const chunks = readLarge(digest, options, (bytes) => shared = bytes);
      if (options.onLarge === undefined) {
        const data = await collect(digest, chunks);
        sharedBytes += shared;
        return await sink(digest, data);
      }
      await options.onLarge(digest, chunks);
      sharedBytes += shared;
      done(digest);
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) missing.push(digest);
      else throw error;
    }
  };
  const tasks = [
    ...large.map(({ digest }) => () => fetchLarge(digest)),
    ...batches.map((batch) => () =>
      fetchBatch(context, batch.map(({ digest }) => digest), sink, missing, options)
    ),
  ];
  await mapLimit(tasks, context.parallel, (task) => task());
  if (missing.length > 0) {
    throw missingBlobsError(
      `${missing.length} of ${totalBlobs} blobs are missing, first ${formatDigest(missing[0])}`,
      missing,
    );
  }
  return sharedBytes;
}

/** Fetches chunks, which are distinct and verified; the callback is given views into whole messages. */
export async function fetchChunks(
  context: ClientContext,
  digests: readonly Digest[],
  onChunk: BlobSink,
  options: CallOptions,
): Promise<void> {
  if (digests.length === 0) return;
  await fetchBlobs(context, digests, onChunk, options, (digest) => readBlob(context, digest, {}, options));
}

async function fetchBatch(
  context: ClientContext,
  digests: readonly Digest[],
  sink: (digest: Digest, data: Uint8Array) => Promise<void>,
  missing: Digest[],
  options: CallOptions,
): Promise<void> {
  let left = digests;
  using room = context.compression?.takeRoom();
  const codec = room && await context.compression?.forStreams();
  for (let attempt = 1; left.length > 0; attempt++) {
    const response = await context.channel.unary(RawCas.batchReadBlobs, {
      instanceName: context.instance,
      digests: left,
      digestFunction: context.fn.value,
      acceptableCompressors: codec === undefined ? [] : [codec.value],
    }, options);
    const byHash = new Map(response.responses.map((each) => [each.digest?.hash, each]));
    const again: Digest[] = [];
    const verified = new VerifiedSink(sink);
    let failure: BrokkrError | undefined;
    for (const digest of left) {
      const entry = byHash.get(digest.hash);
      const error = entry === undefined
        ? new BrokkrError(Code.UNAVAILABLE, `The server's answer leaves out blob ${formatDigest(digest)}`)
        : statusError(entry.status, digest);
      if (error === undefined && entry !== undefined) {
        await verified.add(digest, await plainOf(codec, digest, entry));
      } else if (error?.code === Code.NOT_FOUND) missing.push(digest);
      else if (isTransient(error) || error?.code === Code.RESOURCE_EXHAUSTED) {
        again.push(digest);
        failure = error;
      } else throw error;
    }
    await verified.flush();
    if (failure !== undefined) {
      if (attempt >= context.attempts) throw failure;
      await waitToRetry(context, attempt, new BrokkrError(Code.UNAVAILABLE, failure.message), options.signal);
    }
    left = again;
  }
}

/** A whole blob in memory, from a read that verifies it. */
export async function collect(digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const whole = new Uint8Array(digest.sizeBytes);
  let length = 0;
  for await (const chunk of chunks) {
    whole.set(chunk, length);
    length += chunk.length;
  }
  return whole;
}

/**
 * Reads a blob or a part of it. A broken stream goes on where it broke. A whole blob is verified as it passes: what was
 * yielded before the end is not to be trusted until the end is reached.
 */
export async function* readBlob(
  context: ClientContext,
  digest: Digest,
  range: ReadRange,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const start = range.offset ?? 0;
  const end = Math.min(digest.sizeBytes, start + (range.limit ?? Infinity));
  if (end <= start && start <= digest.sizeBytes) return;
  const hasher = start === 0 && end === digest.sizeBytes ? digest.fn.hasher(digest.sizeBytes) : undefined;
  yield* readRest(context, digest, start, end, hasher, options);
  const hash = hasher?.digestHex();
  if (hash !== undefined && hash !== digest.hash) throw wrongHash(digest, hash);
}

/** Reads a blob from `start` to `end`, adding what comes to `hasher`. A broken stream goes on where it broke. */
export async function* readRest(
  context: ClientContext,
  digest: Digest,
  start: number,
  end: number,
  hasher: Hasher | undefined,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = start;
  for (let attempt = 1; offset < end || start > digest.sizeBytes;) {
    const before = offset;
    try {
      for await (const data of readFrom(context, digest, offset, end, options)) {
        if (offset + data.length > end) throw wrongSize(digest, offset + data.length);
        hasher?.update(data);
        offset += data.length;
        if (data.length > 0) yield data;
      }
      if (offset < end) throw wrongSize(digest, offset);
    } catch (error) {
      // Progress earns new attempts, so that only a store that gives nothing at all ends the read.
      if (offset > before) attempt = 1;
      await waitToRetry(context, attempt++, error, options.signal);
    }
  }
}

/** The bytes of a blob from `offset` to `end`, in one attempt. */
async function* readFrom(
  context: ClientContext,
  digest: Digest,
  offset: number,
  end: number,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  // A limit of 0 means all, which is what is left when nothing was left out. A compressed read takes no other.
  const readLimit = end === digest.sizeBytes ? 0 : end - offset;
  using room = readLimit === 0 && offset < end ? context.compression?.takeRoom() : undefined;
  const codec = room && await context.compression?.forStreams();
  const resourceName = formatReadName(context.instance, digest, codec?.name);
  const request = { resourceName, readOffset: offset, readLimit };
  async function* received() {
    for await (const { data } of context.channel.serverStream(RawByteStream.read, request, options)) {
      yield data;
    }
  }
  if (codec === undefined) return yield* received();
  yield* codec.decompress(received(), end - offset, options.signal);
}
