/**
 * ContentAddressableStorage: FindMissingBlobs, BatchUpdateBlobs, BatchReadBlobs; GetTree, SplitBlob and SpliceBlob are in files
 * of their own.
 *
 * @module
 */

import { type ByteLease, Code, invalidArgument, type Scope, Slices } from "@brokkr/common";
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsResponse,
  Compressor,
  type Init,
  type MissingSelection,
  type PackedFindMissing,
  RawCas,
} from "@brokkr/proto";
import {
  type CallContext,
  MAX_BATCH_TOTAL_BYTES,
  MAX_SEND_MESSAGE_BYTES,
  type Route,
  unary,
} from "@brokkr/proto/rpc/server";
import { SLICE_DIGESTS } from "../_slices.ts";
import { acquireSoon } from "../compression/mod.ts";
import { bestCompressor, type BlobCompressor } from "../compressors.ts";
import { type Digest, parseDigest, resolveDigestFunction } from "../digest.ts";
import {
  batchBytes,
  BatchUnpacker,
  compressEntries,
  compressorBytes,
  decompressedBytes,
} from "./_compressed_batch.ts";
import { chunkRoutes } from "./chunk_service.ts";
import { distinctBytes, FitCheck } from "./_fits.ts";
import { functionOf, packDigests } from "./_pack.ts";
import { getTreeRoute } from "./get_tree.ts";
import { blobStatus, type CasCounters, casCounters, type CasServiceOptions, OK_STATUS } from "./_shared.ts";

/** What an entry of a batch's response takes beside its data and hash, generously. */
const ENTRY_OVERHEAD_BYTES = 64;

/** Routes of the ContentAddressableStorage service. What is not among them answers UNIMPLEMENTED. */
export function casRoutes(options: CasServiceOptions): Route[] {
  const service = new CasService(options);
  return [
    unary(RawCas.findMissingBlobs, "read", (request, context) => service.findMissing(request, context)),
    unary(RawCas.batchUpdateBlobs, "write", (request, context) => service.batchUpdate(request, context)),
    unary(RawCas.batchReadBlobs, "read", (request, context) => service.batchRead(request, context)),
    getTreeRoute(options),
    ...chunkRoutes(options),
  ];
}

class CasService {
  readonly #options: CasServiceOptions;
  readonly #count: CasCounters;

  constructor(options: CasServiceOptions) {
    this.#options = options;
    this.#count = casCounters(options.metrics);
  }

  findMissing(
    request: PackedFindMissing,
    context: CallContext,
  ): MissingSelection | Promise<MissingSelection> {
    const scope = context.scope(request.instanceName);
    const { digests } = request;
    const fn = functionOf(digests, request.digestFunction);
    if (digests.count > SLICE_DIGESTS) return this.#findSliced(scope, request, context);
    const batch = packDigests(digests, fn, 0, digests.count);
    const missing = this.#options.store.missing(scope, batch);
    const answer = (found: Uint32Array): MissingSelection => {
      if (found.length > 0) {
        const fit = new FitCheck(this.#options.store);
        fit.add(batch, found);
        fit.check(() => distinctBytes(batch), context);
      }
      this.#countFound(digests.count, found.length);
      return { digests, missing: found };
    };
    return missing instanceof Promise ? missing.then(answer) : answer(missing);
  }

  async #findSliced(
    scope: Scope,
    { digests, digestFunction }: PackedFindMissing,
    context: CallContext,
  ): Promise<MissingSelection> {
    const fn = functionOf(digests, digestFunction);
    const missing: number[] = [];
    const fit = new FitCheck(this.#options.store);
    const slices = new Slices();
    for (let from = 0; from < digests.count; from += SLICE_DIGESTS) {
      if (slices.spent) await slices.next();
      context.signal.throwIfAborted();
      const to = Math.min(digests.count, from + SLICE_DIGESTS);
      const batch = packDigests(digests, fn, from, to);
      const found = await this.#options.store.missing(scope, batch);
      for (const index of found) missing.push(from + index);
      fit.add(batch, found);
    }
    fit.check(() => distinctBytes(packDigests(digests, fn, 0, digests.count)), context);
    this.#countFound(digests.count, missing.length);
    return { digests, missing };
  }

  #countFound(asked: number, missing: number): void {
    this.#count.hits("FindMissingBlobs", asked - missing);
    this.#count.misses("FindMissingBlobs", missing);
  }

  async batchUpdate(
    request: BatchUpdateBlobsRequest,
    context: CallContext,
  ): Promise<Init<BatchUpdateBlobsResponse>> {
    const scope = context.scope(request.instanceName);
    const { requests, digestFunction } = request;
    if (digestFunction !== 0) resolveDigestFunction(digestFunction, 0);
    const total = requests.reduce((sum, each) => sum + batchBytes(each), 0);
    if (total > MAX_BATCH_TOTAL_BYTES) throw tooMuch("requests", total);
    const decompressed = decompressedBytes(requests);
    using _lease = decompressed === 0 ? undefined : await this.#room(decompressed, context);
    // All at once, so that one sync of the store serves them all; in slices, as each is hashed at its start.
    const started: Promise<{ code: number; message: string }>[] = [];
    const slices = new Slices();
    const unpacker = new BatchUnpacker(context.signal);
    for (const entry of requests) {
      if (slices.spent) await slices.next();
      started.push(this.#putOne(scope, entry, digestFunction, unpacker, context));
    }
    const statuses = await Promise.all(started);
    return { responses: requests.map((entry, i) => ({ digest: entry.digest, status: statuses[i] })) };
  }

  async #putOne(
    scope: Scope,
    entry: BatchUpdateBlobsRequest["requests"][number],
    digestFunction: number,
    unpacker: BatchUnpacker,
    context: CallContext,
  ): Promise<{ code: number; message: string }> {
    try {
      const digest = parseDigest(entry.digest, digestFunction, "requests.digest");
      checkBlobSize(digest, this.#options.maxBlobBytes);
      const plain = unpacker.plain(entry, digest);
      const data = plain instanceof Promise ? await plain : plain;
      await this.#options.store.put(scope, digest, data);
      this.#count.written("BatchUpdateBlobs", data.length);
      return OK_STATUS;
    } catch (error) {
      return blobStatus(error, context.log);
    }
  }

  async batchRead(
    request: BatchReadBlobsRequest,
    context: CallContext,
  ): Promise<Init<BatchReadBlobsResponse>> {
    const scope = context.scope(request.instanceName);
    const asked = request.digests.length * ENTRY_OVERHEAD_BYTES;
    if (asked > MAX_SEND_MESSAGE_BYTES) throw answerTooLarge(request.digests.length, asked);
    const digests = request.digests.map((digest) => parseDigest(digest, request.digestFunction, "digests"));
    const total = digests.reduce((sum, digest) => sum + digest.sizeBytes, 0);
    if (total > MAX_BATCH_TOTAL_BYTES) throw tooMuch("digests", total);
    const framed = digests.reduce((sum, digest) => sum + digest.hash.length + ENTRY_OVERHEAD_BYTES, total);
    if (framed > MAX_SEND_MESSAGE_BYTES) throw answerTooLarge(digests.length, framed);
    const packs = bestCompressor(request.acceptableCompressors);
    const codec = packs === undefined ? 0 : compressorBytes(packs, digests.map(({ sizeBytes }) => sizeBytes));
    using _lease = await this.#room(total + codec, context);
    // Small blobs are read on the spot, so that many of them are read in slices.
    const started: Promise<Init<BatchReadBlobsResponse["responses"][number]>>[] = [];
    const slices = new Slices();
    for (const digest of digests) {
      if (slices.spent) await slices.next();
      started.push(this.#getOne(scope, digest, packs, context));
    }
    const responses = await Promise.all(started);
    return {
      responses: packs === undefined ? responses : await compressEntries(packs, responses, context.signal),
    };
  }

  /** All that a batch needs, at once: its request holds a part of the budget already. */
  async #room(sizeBytes: number, { signal }: CallContext): Promise<ByteLease | undefined> {
    const { budget } = this.#options;
    return budget === undefined ? undefined : await acquireSoon(budget, sizeBytes, signal);
  }

  async #getOne(
    scope: Scope,
    digest: Digest,
    packs: BlobCompressor | undefined,
    context: CallContext,
  ): Promise<Init<BatchReadBlobsResponse["responses"][number]>> {
    const { store } = this.#options;
    const named = { hash: digest.hash, sizeBytes: digest.sizeBytes };
    try {
      const frame = packs === "zstd" ? await store.frame?.(scope, digest) : undefined;
      const data = frame ?? await store.get(scope, digest);
      this.#count.hits("BatchReadBlobs", 1);
      this.#count.read("BatchReadBlobs", digest.sizeBytes);
      const read = { digest: named, data, status: OK_STATUS };
      return frame === undefined ? read : { ...read, compressor: Compressor.ZSTD };
    } catch (error) {
      const status = blobStatus(error, context.log);
      if (status.code === Code.NOT_FOUND) this.#count.misses("BatchReadBlobs", 1);
      return { digest: named, status };
    }
  }
}

function answerTooLarge(blobs: number, sizeBytes: number): Error {
  return invalidArgument(
    "digests",
    `The answer for ${blobs} blobs may take ${sizeBytes} bytes; ask for at most ${MAX_SEND_MESSAGE_BYTES}, ` +
      `counting ${ENTRY_OVERHEAD_BYTES} and the hash for each blob`,
  );
}

function tooMuch(field: string, total: number): Error {
  return invalidArgument(
    field,
    `A batch may have ${MAX_BATCH_TOTAL_BYTES} bytes in all, not ${total}; send less at once, or use ByteStream`,
  );
}

/** Throws INVALID_ARGUMENT when a blob is larger than taken here. */
export function checkBlobSize(digest: Digest, maxBlobBytes: number | undefined): void {
  if (maxBlobBytes === undefined || digest.sizeBytes <= maxBlobBytes) return;
  throw invalidArgument(
    "digest.size_bytes",
    `A blob may have at most ${maxBlobBytes} bytes here, not ${digest.sizeBytes}`,
  );
}
