/**
 * Uploading a large blob by those of its chunks that the store lacks.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { ChunkingFunction, ContentAddressableStorage as Cas } from "@brokkr/proto";
import type { CheckedFastCdcParams } from "@brokkr/wasm";
import { type Digest, digestKey, formatDigest } from "../digest.ts";
import { type Chunking, maxChunks } from "./_chunking.ts";
import { type ChunkWindow, cutWindows } from "./_cutter.ts";
import { askMissing } from "./_find_missing.ts";
import { isTransient, retrying } from "./_retry.ts";
import { otherSize, sendAll, sendStream } from "./_upload.ts";
import type { ClientContext, TransferOptions, UploadBlob } from "./types.ts";

/** What came of an upload by chunks. */
export type ChunkedUpload =
  /** The blob is there; so many of its bytes were there before. */
  | { readonly kind: "sent"; readonly sharedBytes: number }
  /** It has to be sent whole. If that works where chunks did not, the server is to be spared them if `refused`. */
  | { readonly kind: "whole"; readonly refused: boolean };

/** How long a splice may take in any case, in milliseconds: the server reads and verifies the whole blob. */
const SPLICE_MS = 60_000;
/** And how fast the server reads at least, in bytes per millisecond. */
const SPLICE_BYTES_PER_MS = 20_000;

/** A failure of what is uploaded, and not of the way it is. */
class SourceFailure extends Error {}

/** Told how far it is: bytes of the blob that are in the store, and how many of them did not have to be sent. */
export type OnChunks = (bytes: number, sharedBytes: number) => void;

/**
 * Sends what the store lacks of a blob, then has it put together there. The source is read once, and once more if chunks
 * that were there have gone meanwhile.
 *
 * @throws {BrokkrError} what the source, the store or `options.signal` failed with where sending it whole would fail, too.
 */
export async function sendChunked(
  context: ClientContext,
  chunking: Chunking,
  params: CheckedFastCdcParams,
  blob: UploadBlob,
  options: TransferOptions,
  onChunks: OnChunks,
): Promise<ChunkedUpload> {
  try {
    for (let attempt = 1;; attempt++) {
      const upload = new Upload(context, chunking, params, blob, options, onChunks);
      const chunks = await upload.run();
      if (chunks === undefined) return { kind: "whole", refused: false };
      try {
        await splice(context, blob.digest, chunks, options);
      } catch (error) {
        // Evicted between question and splice, or sent by another transfer that failed.
        if (codeOf(error) === Code.NOT_FOUND && attempt === 1) continue;
        // It is there, divided in another way.
        if (codeOf(error) !== Code.ALREADY_EXISTS) throw error;
      }
      return { kind: "sent", sharedBytes: upload.sharedBytes };
    }
  } catch (error) {
    if (error instanceof SourceFailure) throw error.cause;
    if (options.signal?.aborted || isTransient(error) || !(error instanceof BrokkrError)) throw error;
    if (error.code === Code.UNIMPLEMENTED) await chunking.refuseSplice();
    return { kind: "whole", refused: error.code !== Code.NOT_FOUND };
  }
}

function codeOf(error: unknown): Code | undefined {
  return error instanceof BrokkrError ? error.code : undefined;
}

async function splice(
  context: ClientContext,
  digest: Digest,
  chunks: readonly Digest[],
  options: TransferOptions,
): Promise<void> {
  const { channel, instance, fn } = context;
  const { blobDigest } = await retrying(context, options.signal, () =>
    channel.unary(Cas.spliceBlob, {
      instanceName: instance,
      blobDigest: wire(digest),
      chunkDigests: chunks.map(wire),
      digestFunction: fn.value,
      chunkingFunction: ChunkingFunction.FAST_CDC_2020,
    }, { timeoutMs: SPLICE_MS + digest.sizeBytes / SPLICE_BYTES_PER_MS, ...options }));
  if (blobDigest === undefined || blobDigest.hash === digest.hash) return;
  throw new BrokkrError(
    Code.UNIMPLEMENTED,
    `The server made blob ${blobDigest.hash} of the chunks of ${formatDigest(digest)}`,
  );
}

function wire({ hash, sizeBytes }: Digest): { hash: string; sizeBytes: number } {
  return { hash, sizeBytes };
}

/** One pass over a blob. */
class Upload {
  sharedBytes = 0;
  readonly #context: ClientContext;
  readonly #chunking: Chunking;
  readonly #params: CheckedFastCdcParams;
  readonly #blob: UploadBlob;
  readonly #options: TransferOptions;
  readonly #onChunks: OnChunks;
  readonly #chunks: Digest[] = [];
  /** Keys of chunks that were seen. */
  readonly #seen = new Set<string>();
  #doneBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    context: ClientContext,
    chunking: Chunking,
    params: CheckedFastCdcParams,
    blob: UploadBlob,
    options: TransferOptions,
    onChunks: OnChunks,
  ) {
    this.#context = context;
    this.#chunking = chunking;
    this.#params = params;
    this.#blob = blob;
    this.#options = options;
    this.#onChunks = onChunks;
  }

  /** Sends the chunks that the store lacks; all of them in order, or undefined when there are too many for a list. */
  async run(): Promise<Digest[] | undefined> {
    const { digest } = this.#blob;
    const most = maxChunks(digest.fn);
    const sends: Promise<void>[] = [];
    let sizeBytes = 0;
    try {
      const windows = cutWindows(this.#source(), {
        params: this.#params,
        fn: digest.fn,
        room: this.#chunking.room,
        signal: this.#options.signal,
      });
      for await (const window of windows) {
        for (const chunk of window.chunks) {
          this.#chunks.push(chunk.digest);
          sizeBytes += chunk.digest.sizeBytes;
        }
        sends.push(this.#send(window));
        if (sizeBytes > digest.sizeBytes) break;
        if (this.#failure !== undefined || this.#chunks.length > most) break;
      }
    } finally {
      await Promise.all(sends);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#chunks.length > most) return undefined;
    if (sizeBytes !== digest.sizeBytes) throw sourceFailure(otherSize(digest, sizeBytes));
    return this.#chunks;
  }

  #source(): Uint8Array | AsyncIterable<Uint8Array> {
    const { data } = this.#blob;
    return data instanceof Uint8Array ? data : marked(data);
  }

  /** Sends what the store lacks of a window; a failure is kept for later. */
  async #send(window: ChunkWindow): Promise<void> {
    using _lease = window.lease;
    try {
      const sentBytes = await this.#sendMissing(window);
      const allBytes = window.chunks.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
      this.sharedBytes += allBytes - sentBytes;
      this.#doneBytes += allBytes;
      this.#onChunks(this.#doneBytes, this.sharedBytes);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  async #sendMissing({ chunks }: ChunkWindow): Promise<number> {
    const fresh = chunks.filter(({ digest }) => {
      const key = digestKey(digest);
      return !this.#seen.has(key) && this.#seen.add(key);
    });
    if (fresh.length === 0) return 0;
    const { sending } = this.#chunking;
    const own: UploadBlob[] = [];
    const others: Promise<void>[] = [];
    for (const chunk of fresh) {
      const other = sending.get(digestKey(chunk.digest));
      if (other === undefined) own.push(chunk);
      else others.push(other);
    }
    const sent = this.#sendOwn(own);
    // Whoever waits for them finds out by the splice whether they came.
    const over = sent.then(() => {}, () => {});
    for (const { digest } of own) sending.set(digestKey(digest), over);
    const forget = over.then(() => {
      for (const { digest } of own) sending.delete(digestKey(digest));
    });
    await Promise.all([sent, forget, ...others]);
    return await sent;
  }

  /** Sends those of some chunks, which nobody else sends now, that the store lacks; how many bytes that were. */
  async #sendOwn(chunks: readonly UploadBlob[]): Promise<number> {
    if (chunks.length === 0) return 0;
    const { onProgress: _, ...options } = this.#options;
    const missing = await retrying(
      this.#context,
      options.signal,
      () => askMissing(this.#context, chunks.map(({ digest }) => digest), options),
    );
    const keys = new Set(missing.map(digestKey));
    const lacking = chunks.filter(({ digest }) => keys.has(digestKey(digest)));
    await sendAll(this.#context, lacking, options, sendStream);
    return missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }
}

/** The bytes of a source whose failures are told from those of the store. */
async function* marked(data: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* data();
  } catch (error) {
    throw sourceFailure(error);
  }
}

function sourceFailure(cause: unknown): SourceFailure {
  return new SourceFailure("The source of an upload failed", { cause });
}
