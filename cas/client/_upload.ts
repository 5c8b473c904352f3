/**
 * Uploading blobs: small ones in batches, large ones as streams.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, mapLimit, randomHex } from "@brokkr/common";
import { RawByteStream, RawCas, type WriteRequest } from "@brokkr/proto";
import { type Digest, formatDigest } from "../digest.ts";
import { formatUploadName } from "../resource_name.ts";
import { divide, statusError } from "./_batches.ts";
import { type BatchEntry, type Codec, packEntries } from "./_compression.ts";
import { isTransient, retrying, waitToRetry } from "./_retry.ts";
import type { ClientContext, TransferOptions, UploadBlob } from "./types.ts";

/** Most bytes of a blob in one message of a stream. */
const CHUNK_BYTES = 1 << 20;

/** Told that blobs and bytes are in the store, and how many of the bytes did not have to be sent. */
export type OnSent = (blobs: number, bytes: number, sharedBytes: number) => void;

/** Sends one blob that is too large for a batch; gives how many of its bytes did not have to be sent. */
export type SendLarge = (
  context: ClientContext,
  blob: UploadBlob,
  options: TransferOptions,
  progress: OnSent,
) => Promise<number>;

/**
 * Sends every blob of `blobs`, which are distinct, whether the store has it or not; large ones by `sendLarge`. Gives how
 * many bytes did not have to be sent.
 */
export async function sendAll(
  context: ClientContext,
  blobs: readonly UploadBlob[],
  options: TransferOptions,
  sendLarge: SendLarge,
): Promise<number> {
  const { batches, large, totalBlobs, totalBytes } = divide(blobs, context.maxBatchBytes);
  let doneBlobs = 0;
  let doneBytes = 0;
  let sharedBytes = 0;
  const progress: OnSent = (blobs, bytes, shared) => {
    doneBlobs += blobs;
    doneBytes += bytes;
    sharedBytes += shared;
    options.onProgress?.({ blobs: doneBlobs, bytes: doneBytes, sharedBytes, totalBlobs, totalBytes });
  };
  const tasks = [
    // Streams first: the longest work must not be left to a single lane at the end.
    ...large.map((blob) => () => sendLarge(context, blob, options, progress)),
    ...batches.map((batch) => () => sendBatch(context, batch, options, progress)),
  ];
  const shared = await mapLimit(tasks, context.parallel, (task) => task());
  return shared.reduce((sum, bytes) => sum + bytes, 0);
}

async function sendBatch(
  context: ClientContext,
  batch: readonly UploadBlob[],
  options: TransferOptions,
  progress: OnSent,
): Promise<number> {
  const blobs = await Promise.all(
    batch.map(async (blob) => ({ digest: blob.digest, data: await wholeOf(blob) })),
  );
  let left = await packBatch(context, blobs);
  for (let attempt = 1; left.length > 0; attempt++) {
    const response = await context.channel.unary(RawCas.batchUpdateBlobs, {
      instanceName: context.instance,
      requests: left,
      digestFunction: context.fn.value,
    }, options);
    const byHash = new Map(response.responses.map((each) => [each.digest?.hash, each.status]));
    const again: typeof left = [];
    let failure: BrokkrError | undefined;
    let bytes = 0;
    for (const blob of left) {
      const { hash } = blob.digest;
      const error = byHash.has(hash) ? statusError(byHash.get(hash), blob.digest) : unanswered(blob.digest);
      if (error === undefined) {
        bytes += blob.digest.sizeBytes;
        continue;
      }
      again.push(blob);
      if (failure === undefined || !mayPass(error)) failure = error;
    }
    progress(left.length - again.length, bytes, 0);
    if (failure !== undefined) {
      const hinted = mayPass(failure) ? new BrokkrError(Code.UNAVAILABLE, failure.message) : failure;
      if (attempt >= context.attempts) throw failure;
      await waitToRetry(context, attempt, hinted, options.signal);
    }
    left = again;
  }
  return 0;
}

async function packBatch(
  { compression }: ClientContext,
  blobs: readonly { readonly digest: Digest; readonly data: Uint8Array }[],
): Promise<BatchEntry[]> {
  using room = compression?.takeRoom();
  return await packEntries(room && await compression?.forBatches(), blobs);
}

/** A per-blob status carries no hint, so exhaustion counts as passing too. */
function mayPass(error: BrokkrError): boolean {
  return isTransient(error) || error.code === Code.RESOURCE_EXHAUSTED;
}

function unanswered(digest: Digest): BrokkrError {
  return new BrokkrError(Code.UNAVAILABLE, `The server's answer leaves out blob ${formatDigest(digest)}`);
}

/** All bytes of a blob, in memory. */
async function wholeOf(blob: UploadBlob): Promise<Uint8Array> {
  const { digest, data } = blob;
  if (typeof data !== "function") {
    if (data.length !== digest.sizeBytes) throw otherSize(digest, data.length);
    return data;
  }
  const whole = new Uint8Array(digest.sizeBytes);
  let length = 0;
  for await (const chunk of data()) {
    if (length + chunk.length > whole.length) throw otherSize(digest, length + chunk.length);
    whole.set(chunk, length);
    length += chunk.length;
  }
  if (length !== whole.length) throw otherSize(digest, length);
  return whole;
}

/** INVALID_ARGUMENT for a blob whose source gave more or fewer bytes than its digest says. */
export function otherSize(digest: Digest, sizeBytes: number): BrokkrError {
  return invalidArgument(
    "data",
    `Blob ${formatDigest(digest)} was read with ${sizeBytes} bytes; it changed after its digest was taken`,
  );
}

/** Sends a blob whole, as a stream. */
export async function sendStream(
  context: ClientContext,
  blob: UploadBlob,
  options: TransferOptions,
  progress: OnSent,
): Promise<number> {
  const { digest } = blob;
  let reported = 0;
  await retrying(context, options.signal, async () => {
    using room = context.compression?.takeRoom();
    const codec = room && await context.compression?.forStreams();
    // A new id each time: an interrupted upload's own may still be in use by the server.
    const name = formatUploadName(context.instance, randomHex(context.random, 16), digest, codec?.name);
    let sent = 0;
    const source = new WriteSource(name, blob, codec, (bytes) => {
      sent += bytes;
      if (sent <= reported) return;
      progress(0, sent - reported, 0);
      reported = sent;
    });
    let committedSize: number;
    try {
      ({ committedSize } = await context.channel.clientStream(
        RawByteStream.write,
        source.requests(),
        options,
      ));
    } catch (error) {
      // What went wrong here says more than the cancellation that it caused.
      throw source.failure ?? error;
    }
    if (committedSize !== source.sentBytes && committedSize !== digest.sizeBytes && committedSize !== -1) {
      throw new BrokkrError(
        Code.UNAVAILABLE,
        `The server took ${committedSize} bytes of blob ${formatDigest(digest)}`,
      );
    }
  });
  progress(1, digest.sizeBytes - reported, 0);
  return 0;
}

class WriteSource {
  failure: unknown;
  /** Bytes that were sent, compressed or not. */
  sentBytes = 0;
  readonly #name: string;
  readonly #blob: UploadBlob;
  readonly #codec: Codec | undefined;
  readonly #onSent: (bytes: number) => void;

  constructor(
    name: string,
    blob: UploadBlob,
    codec: Codec | undefined,
    onSent: (bytes: number) => void,
  ) {
    this.#codec = codec;
    this.#name = name;
    this.#blob = blob;
    this.#onSent = onSent;
  }

  async *requests(): AsyncGenerator<Partial<WriteRequest>, void, undefined> {
    const { sizeBytes } = this.#blob.digest;
    try {
      if (this.#codec === undefined) {
        for await (const piece of this.#pieces()) {
          yield this.#message(piece, this.sentBytes + piece.length === sizeBytes);
        }
        return;
      }
      // One piece is held back, as only the end of the stream shows which is the last.
      let held: Uint8Array | undefined;
      for await (const piece of this.#codec.compress(this.#pieces(), sizeBytes)) {
        if (held !== undefined) yield this.#message(held, false);
        held = piece;
      }
      if (held !== undefined) yield this.#message(held, true);
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  #message(data: Uint8Array, finishWrite: boolean): Partial<WriteRequest> {
    const writeOffset = this.sentBytes;
    this.sentBytes += data.length;
    return { resourceName: writeOffset === 0 ? this.#name : "", writeOffset, finishWrite, data };
  }

  /** The blob in pieces that fit a message; throws when there are more or fewer bytes than its digest says. */
  async *#pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    const { digest, data } = this.#blob;
    let offset = 0;
    for await (const chunk of typeof data === "function" ? data() : [data]) {
      if (offset + chunk.length > digest.sizeBytes) throw otherSize(digest, offset + chunk.length);
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES) {
        const piece = chunk.subarray(at, at + CHUNK_BYTES);
        yield piece;
        offset += piece.length;
        this.#onSent(piece.length);
      }
    }
    if (offset !== digest.sizeBytes) throw otherSize(digest, offset);
  }
}
