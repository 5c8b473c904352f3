/**
 * Fetching a large blob by those of its chunks that are not at hand.
 *
 * @module
 */

import { BrokkrError, Code, Slices, throwIfAborted } from "@brokkr/common";
import { ChunkingFunction, ContentAddressableStorage as Cas } from "@brokkr/proto";
import type { CallOptions } from "@brokkr/proto/rpc";
import { type CheckedFastCdcParams, MOST_MAX_BYTES } from "@brokkr/wasm";
import { type Digest, digestKey, makeDigest } from "../digest.ts";
import { wrongHash } from "./_batches.ts";
import { type Chunking, maxChunks } from "./_chunking.ts";
import type { ChunkSource } from "./chunk_source.ts";
import { cutDigests, Cutter, hashInSlices, windowBytes } from "./_cutter.ts";
import { fetchChunks, readBlob, readRest } from "./_download.ts";
import type { ClientContext } from "./types.ts";

/** Bytes of chunks that are fetched or found together. */
const GROUP_BYTES = 1 << 20;
/** Groups under way at once: what the reader has not yet taken stays in memory. */
const GROUPS_AHEAD = 4;
/** Bytes of those groups, but for the last, which may be one large chunk. */
const BYTES_AHEAD = GROUPS_AHEAD * GROUP_BYTES;
/** Chunks of a list that are looked at in one go. */
const PARSED_CHUNKS = 1024;
/** Of a blob at least such a part must be at hand, or reading it as one stream is faster. */
const LEAST_PART = 16;
/** How long a split may take in any case, in milliseconds: the server may divide the blob only now. */
const SPLIT_MS = 60_000;
/** And how fast the server does that at least, in bytes per millisecond. */
const SPLIT_BYTES_PER_MS = 20_000;

/** How a blob is fetched by chunks. */
export interface ChunkedRead {
  readonly chunking: Chunking;
  readonly source: ChunkSource;
  /** Told of bytes that did not have to be fetched. */
  readonly onShared?: (bytes: number) => void;
}

/**
 * Reads a whole blob, taking from `source` the chunks that it has. Each chunk is verified, and the whole at the end as in
 * any read: what was yielded before is not to be trusted until the end is reached. Whatever goes wrong with the chunks
 * makes it go on as a plain read.
 */
export async function* readChunked(
  context: ClientContext,
  { chunking, source, onShared }: ChunkedRead,
  digest: Digest,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const params = await chunking.forDownload(digest.fn, digest.sizeBytes);
  if (params === undefined) return yield* readBlob(context, digest, {}, options);
  const chunks = await source.mayHelp(digest)
    ? await usefulChunks(context, chunking, source, digest, params, options)
    : undefined;
  if (chunks === undefined) return yield* readAndLearn(context, chunking, source, params, digest, options);
  const hasher = digest.fn.hasher(digest.sizeBytes);
  let offset = 0;
  let failed = false;
  const assembly = new Assembly(context, source, chunks, options);
  try {
    for await (const data of assembly.read()) {
      hasher.update(data);
      offset += data.length;
      yield data;
      throwIfAborted(options.signal);
    }
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof BrokkrError)) throw error;
    failed = true;
  }
  onShared?.(assembly.foundBytes);
  if (failed) yield* readRest(context, digest, offset, digest.sizeBytes, hasher, options);
  const hash = hasher.digestHex();
  if (hash !== digest.hash) {
    // Each chunk was what it is called: the list is not of this blob.
    await chunking.refuseSplit();
    throw wrongHash(digest, hash);
  }
  if (!failed) source.learn?.(digest, chunks);
}

/** The chunks of a blob if enough of them are at hand. */
async function usefulChunks(
  context: ClientContext,
  chunking: Chunking,
  source: ChunkSource,
  digest: Digest,
  params: CheckedFastCdcParams,
  options: CallOptions,
): Promise<readonly Digest[] | undefined> {
  const chunks = await split(context, chunking, digest, options);
  if (chunks === undefined) return undefined;
  await source.prepare?.(
    digest,
    (bytes) => cutDigests(bytes, params, digest.fn, options.signal),
    options.signal,
  );
  let atHand = 0;
  for (const chunk of chunks) if (source.has(chunk)) atHand += chunk.sizeBytes;
  return atHand * LEAST_PART >= digest.sizeBytes ? chunks : undefined;
}

/** How the server divides a blob; undefined when it does not say, or says what cannot be. */
async function split(
  { channel, instance, fn }: ClientContext,
  chunking: Chunking,
  digest: Digest,
  options: CallOptions,
): Promise<readonly Digest[] | undefined> {
  try {
    const { chunkDigests } = await channel.unary(Cas.splitBlob, {
      instanceName: instance,
      blobDigest: { hash: digest.hash, sizeBytes: digest.sizeBytes },
      digestFunction: fn.value,
      chunkingFunction: ChunkingFunction.FAST_CDC_2020,
    }, { timeoutMs: SPLIT_MS + digest.sizeBytes / SPLIT_BYTES_PER_MS, ...options });
    if (chunkDigests.length > maxChunks(fn)) return undefined;
    const chunks: Digest[] = [];
    let allBytes = 0;
    const slices = new Slices(options.signal);
    for (const { hash, sizeBytes } of chunkDigests) {
      if (chunks.length % PARSED_CHUNKS === 0 && slices.spent) await slices.next();
      // An empty chunk makes nothing but work.
      if (sizeBytes === 0 || sizeBytes > MOST_MAX_BYTES) return undefined;
      chunks.push(makeDigest(fn, hash, sizeBytes));
      allBytes += sizeBytes;
    }
    return allBytes === digest.sizeBytes ? chunks : undefined;
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof BrokkrError)) throw error;
    if (error.code === Code.UNIMPLEMENTED) await chunking.refuseSplit();
    return undefined;
  }
}

/** Puts a blob together from what is found and what is fetched, a few groups of chunks ahead of the reader. */
class Assembly {
  /** Bytes that did not have to be fetched. */
  foundBytes = 0;
  readonly #context: ClientContext;
  readonly #source: ChunkSource;
  readonly #groups: readonly (readonly Digest[])[];
  readonly #options: CallOptions;
  readonly #slices: Slices;

  constructor(context: ClientContext, source: ChunkSource, chunks: readonly Digest[], options: CallOptions) {
    this.#context = context;
    this.#source = source;
    this.#groups = grouped(chunks);
    this.#options = options;
    this.#slices = new Slices(options.signal);
  }

  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    const stop = new AbortController();
    const { signal } = this.#options;
    const options = {
      ...this.#options,
      signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
    };
    const ahead: Promise<readonly Uint8Array[]>[] = [];
    let next = 0;
    let aheadBytes = 0;
    const fill = () => {
      while (ahead.length < GROUPS_AHEAD && aheadBytes < BYTES_AHEAD && next < this.#groups.length) {
        const chunks = this.#groups[next++];
        aheadBytes += bytesOf(chunks);
        const group = this.#load(chunks, options);
        // Its failure counts when its turn comes, which may be never.
        group.catch(() => {});
        ahead.push(group);
      }
    };
    try {
      fill();
      for (let group = ahead.shift(); group !== undefined; group = ahead.shift()) {
        const parts = await group;
        for (const { length } of parts) aheadBytes -= length;
        fill();
        yield* parts;
      }
    } finally {
      stop.abort(new BrokkrError(Code.CANCELLED, "Nobody reads these chunks any more"));
      await Promise.allSettled(ahead);
    }
  }

  async #load(chunks: readonly Digest[], options: CallOptions): Promise<readonly Uint8Array[]> {
    const parts = new Map<string, Uint8Array>();
    const lacking = new Map<string, Digest>();
    for (const chunk of chunks) {
      const key = digestKey(chunk);
      if (parts.has(key) || lacking.has(chunk.hash)) continue;
      const data = await this.#find(chunk);
      if (data !== undefined) parts.set(key, data);
      else lacking.set(chunk.hash, chunk);
    }
    await fetchChunks(
      this.#context,
      [...lacking.values()],
      (digest, data) => void parts.set(digestKey(digest), data),
      options,
    );
    return chunks.map((chunk) => {
      const data = parts.get(digestKey(chunk));
      if (data?.length === chunk.sizeBytes) return data;
      throw new BrokkrError(Code.DATA_LOSS, `The server names chunk ${chunk.hash} with different sizes`);
    });
  }

  /** A chunk that is at hand, verified. */
  async #find(chunk: Digest): Promise<Uint8Array | undefined> {
    if (!this.#source.has(chunk)) return undefined;
    const data = await this.#source.find(chunk);
    if (data === undefined) return undefined;
    if (data.length !== chunk.sizeBytes || await hashInSlices(chunk.fn, data, this.#slices) !== chunk.hash) {
      this.#source.reject?.(chunk);
      return undefined;
    }
    this.foundBytes += data.length;
    return data;
  }
}

function bytesOf(chunks: readonly Digest[]): number {
  return chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function grouped(chunks: readonly Digest[]): Digest[][] {
  const groups: Digest[][] = [];
  let bytes = Infinity;
  for (const chunk of chunks) {
    if (bytes + chunk.sizeBytes > GROUP_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups[groups.length - 1].push(chunk);
    bytes += chunk.sizeBytes;
  }
  return groups;
}

/** A plain read that finds out on the way how the blob is divided, if anybody wants to know and there is memory for it. */
async function* readAndLearn(
  context: ClientContext,
  chunking: Chunking,
  source: ChunkSource,
  params: CheckedFastCdcParams,
  digest: Digest,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  // To wait for memory could be for ever, as streams may be read in any order.
  using lease = source.learn && chunking.room.tryAcquire(windowBytes(params));
  if (lease === undefined) return yield* readBlob(context, digest, {}, options);
  const cutter = new Cutter(params, digest.fn, options.signal);
  const chunks: Digest[] = [];
  const cut = async (end: boolean) => {
    for (const chunk of await cutter.cut({ end, fresh: false })) chunks.push(chunk.digest);
  };
  for await (const data of readBlob(context, digest, {}, options)) {
    for (let at = 0; at < data.length;) {
      at += cutter.take(data.subarray(at));
      if (cutter.full) await cut(false);
    }
    yield data;
  }
  await cut(true);
  source.learn?.(digest, chunks);
}
