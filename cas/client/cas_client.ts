/**
 * A client of the store and the action cache, for workers and the command line.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, systemClock } from "@brokkr/common";
import {
  ActionCache,
  type ActionResult,
  Capabilities,
  type Init,
  RawCas,
  type ServerCapabilities,
} from "@brokkr/proto";
import type { CallOptions } from "@brokkr/proto/rpc";
import type { ReadRange } from "../blob_store.ts";
import { type Digest, type DigestFunction, digestKey, formatDigest } from "../digest.ts";
import { checkInstanceName } from "../resource_name.ts";
import { statusError, unique, verify } from "./_batches.ts";
import type { ChunkedRead } from "./_chunked_download.ts";
import { Chunking } from "./_chunking.ts";
import { plainOf, WireCompression } from "./_compression.ts";
import { type BlobSink, collect, fetchBlobs, readBlob } from "./_download.ts";
import { askMissing } from "./_find_missing.ts";
import { retrying } from "./_retry.ts";
import { sendBlobs } from "./_send.ts";
import type {
  CasClientOptions,
  ClientContext,
  DownloadOptions,
  ReadOptions,
  TransferOptions,
  TransferStat,
  UploadBlob,
} from "./types.ts";

/** Most bytes of data in a batch call, as every server of REAPI takes. */
const MAX_BATCH_BYTES = 4_000_000;

/**
 * Moves blobs to and from a store: each once, small ones together, large ones as streams, several calls at once, and
 * again what failed for the moment. What comes back has been verified against its digest.
 */
export class CasClient {
  readonly #context: ClientContext;
  readonly #emptyHash: string;

  /**
   * A client over `options.channel`, which stays the caller's to close.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT for malformed options.
   */
  constructor(options: CasClientOptions) {
    checkInstanceName(options.instance);
    const { parallel = 8, clock = systemClock, maxBatchBytes = 2_000_000, attempts = 4 } = options;
    if (!(maxBatchBytes >= 1024 && maxBatchBytes <= MAX_BATCH_BYTES)) {
      throw invalidArgument(
        "maxBatchBytes",
        `A batch may have 1024 to ${MAX_BATCH_BYTES} bytes, not ${maxBatchBytes}`,
      );
    }
    if (!(parallel >= 1 && attempts >= 1)) {
      throw invalidArgument(
        "parallel",
        `At least 1 call and 1 attempt are needed, not ${parallel} and ${attempts}`,
      );
    }
    this.#context = {
      channel: options.channel,
      instance: options.instance,
      fn: options.fn,
      random: options.random,
      clock,
      parallel,
      attempts,
      maxBatchBytes,
      compression: options.compression === "auto"
        ? new WireCompression(() => this.capabilities())
        : undefined,
      chunking: options.chunking === "off" ? undefined : new Chunking(() => this.capabilities(), clock),
      chunks: options.chunks,
    };
    this.#emptyHash = options.fn.hash(new Uint8Array());
  }

  /** REAPI instance name. */
  get instance(): string {
    return this.#context.instance;
  }

  /** Function of all digests. */
  get fn(): DigestFunction {
    return this.#context.fn;
  }

  /** What the server can do. */
  async capabilities(options: CallOptions = {}): Promise<ServerCapabilities> {
    const { channel, instance } = this.#context;
    return await channel.unary(Capabilities.getCapabilities, { instanceName: instance }, options);
  }

  /** Those of `digests` that the store lacks, each once, in their order. */
  async findMissing(digests: readonly Digest[], options: CallOptions = {}): Promise<Digest[]> {
    const asked = unique(digests.map((digest) => ({ digest })), this.fn).filter(({ digest }) =>
      !this.#isEmpty(digest)
    );
    return await askMissing(this.#context, asked.map(({ digest }) => digest), options);
  }

  /**
   * Uploads those of `blobs` that the store lacks.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when data do not have the digest they are given with.
   */
  async upload(blobs: readonly UploadBlob[], options: TransferOptions = {}): Promise<TransferStat> {
    const all = unique(blobs, this.fn);
    const missing = new Set(
      (await this.findMissing(all.map(({ digest }) => digest), options)).map(digestKey),
    );
    const send = all.filter(({ digest }) => missing.has(digestKey(digest)));
    return await this.#send(all, send, options);
  }

  /** Uploads `blobs` without asking first whether the store has them. */
  async uploadKnownMissing(
    blobs: readonly UploadBlob[],
    options: TransferOptions = {},
  ): Promise<TransferStat> {
    const all = unique(blobs, this.fn);
    return await this.#send(all, all.filter(({ digest }) => !this.#isEmpty(digest)), options);
  }

  /**
   * A whole blob in memory.
   *
   * @throws {BrokkrError} NOT_FOUND; DATA_LOSS when what came does not have this digest.
   */
  async get(digest: Digest, options: CallOptions = {}): Promise<Uint8Array> {
    if (this.#isEmpty(digest)) return new Uint8Array();
    const { channel, instance, fn, maxBatchBytes } = this.#context;
    if (digest.sizeBytes > maxBatchBytes / 2) {
      return await collect(digest, this.#readWhole(digest, options));
    }
    using room = this.#context.compression?.takeRoom();
    const codec = room && await this.#context.compression?.forStreams();
    const request = {
      instanceName: instance,
      digests: [digest],
      digestFunction: fn.value,
      acceptableCompressors: codec === undefined ? [] : [codec.value],
    };
    return await retrying(this.#context, options.signal, async () => {
      const { responses } = await channel.unary(RawCas.batchReadBlobs, request, options);
      const entry = responses[0];
      if (entry === undefined) {
        throw new BrokkrError(
          Code.UNAVAILABLE,
          `The server's answer leaves out blob ${formatDigest(digest)}`,
        );
      }
      const error = statusError(entry.status, digest);
      if (error !== undefined) throw error;
      const data = await plainOf(codec, digest, entry);
      verify(digest, data);
      return data;
    });
  }

  /**
   * Fetches blobs, each once, in any order. `onBlob` is given views into whole messages: to keep little of much, copy.
   * A blob that is not there does not keep the others from coming.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming every missing blob; DATA_LOSS when one does not have its digest.
   */
  async getMany(
    digests: readonly Digest[],
    onBlob: BlobSink,
    options: DownloadOptions = {},
  ): Promise<TransferStat> {
    const all = unique(digests.map((digest) => ({ digest })), this.fn).map(({ digest }) => digest);
    const fetch = all.filter((digest) => !this.#isEmpty(digest));
    for (const digest of all) if (this.#isEmpty(digest)) await onBlob(digest, new Uint8Array());
    const sharedBytes = await fetchBlobs(
      this.#context,
      fetch,
      onBlob,
      options,
      (digest, call, onShared) => this.#readWhole(digest, { ...call, chunks: options.chunks }, onShared),
    );
    return {
      blobs: fetch.length,
      bytes: sum(fetch) - sharedBytes,
      sharedBytes,
      skippedBlobs: all.length - fetch.length,
      skippedBytes: 0,
    };
  }

  /**
   * Reads a blob or a part of it as a stream. A whole blob is verified: the error comes at the end, so do not trust what
   * came before it.
   *
   * @throws {BrokkrError} NOT_FOUND, OUT_OF_RANGE, or DATA_LOSS, while iterating.
   */
  read(digest: Digest, range: ReadRange = {}, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    const { offset = 0, limit = Infinity } = range;
    if (offset === 0 && limit >= digest.sizeBytes) return this.#readWhole(digest, options);
    return readBlob(this.#context, digest, range, options);
  }

  /** Reads a whole blob, by chunks if it is large and some may be at hand. */
  #readWhole(
    digest: Digest,
    { chunks = this.#context.chunks, ...options }: ReadOptions,
    onShared?: (bytes: number) => void,
  ): AsyncIterable<Uint8Array> {
    const { chunking, maxBatchBytes } = this.#context;
    if (chunking === undefined || chunks === undefined || digest.sizeBytes <= maxBatchBytes / 2) {
      return readBlob(this.#context, digest, {}, options);
    }
    return readInChunks(this.#context, { chunking, source: chunks, onShared }, digest, options);
  }

  /** The cached result of an action, or undefined. `inline` asks for standard output and error in it when small. */
  async getActionResult(
    actionDigest: Digest,
    options: CallOptions & { readonly inline?: boolean } = {},
  ): Promise<ActionResult | undefined> {
    const { channel, instance, fn } = this.#context;
    try {
      return await channel.unary(ActionCache.getActionResult, {
        instanceName: instance,
        actionDigest,
        digestFunction: fn.value,
        inlineStdout: options.inline ?? false,
        inlineStderr: options.inline ?? false,
      }, options);
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) return undefined;
      throw error;
    }
  }

  /**
   * Puts a result into the action cache; every blob it names must have been uploaded.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming the blobs that are missing.
   */
  async updateActionResult(
    actionDigest: Digest,
    actionResult: Init<ActionResult>,
    options: CallOptions = {},
  ): Promise<ActionResult> {
    const { channel, instance, fn } = this.#context;
    return await channel.unary(ActionCache.updateActionResult, {
      instanceName: instance,
      actionDigest,
      actionResult,
      digestFunction: fn.value,
    }, options);
  }

  async #send(
    all: readonly UploadBlob[],
    send: readonly UploadBlob[],
    options: TransferOptions,
  ): Promise<TransferStat> {
    const sharedBytes = await sendBlobs(this.#context, send, options);
    const bytes = sum(send.map(({ digest }) => digest));
    return {
      blobs: send.length,
      bytes: bytes - sharedBytes,
      sharedBytes,
      skippedBlobs: all.length - send.length,
      skippedBytes: sum(all.map(({ digest }) => digest)) - bytes,
    };
  }

  #isEmpty(digest: Digest): boolean {
    return digest.sizeBytes === 0 && digest.hash === this.#emptyHash;
  }
}

function sum(digests: readonly Digest[]): number {
  return digests.reduce((total, digest) => total + digest.sizeBytes, 0);
}

/** Reads by chunks. Most commands do not, and start sooner when what does it is not loaded. */
async function* readInChunks(
  context: ClientContext,
  read: ChunkedRead,
  digest: Digest,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { readChunked } = await import("./_chunked_download.ts");
  yield* readChunked(context, read, digest, options);
}
