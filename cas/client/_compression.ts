/**
 * Compression on the client's side of the wire. The codec is loaded when it is first used, so that a client without
 * compression starts as fast as ever.
 *
 * @module
 */

import { BrokkrError, ByteBudget, type ByteLease, Code } from "@brokkr/common";
import { Compressor, type ServerCapabilities } from "@brokkr/proto";
import { bestCompressor, type BlobCompressor, COMPRESSOR_VALUES } from "../compressors.ts";
import { type Digest, formatDigest } from "../digest.ts";

/** Blobs smaller than this travel as they are. */
const LEAST_BYTES = 128;

type Codecs = typeof import("../compression/mod.ts");

/** A compressor that the server has, and what it is done with. */
export interface Codec {
  /** Its name in resource names. */
  readonly name: BlobCompressor;
  /** Its number in batches. */
  readonly value: Compressor;
  /** Compresses a stream of `sizeBytes`. */
  compress(source: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncIterable<Uint8Array>;
  /** Compresses what is there as a whole. */
  compressWhole(data: Uint8Array): Promise<Uint8Array>;
  /** Decompresses a stream to `sizeBytes`. */
  decompress(
    source: AsyncIterable<Uint8Array>,
    sizeBytes: number,
    signal: AbortSignal | undefined,
  ): AsyncIterable<Uint8Array>;
  /** Decompresses what is there as a whole to `sizeBytes`. */
  decompressWhole(data: Uint8Array, sizeBytes: number): Promise<Uint8Array>;
}

/** Named by a variable: what a literal names Deno reads before anything runs. */
const CODEC = "../compression/mod.ts" as string;

/** An entry of a batch, plain or compressed. */
export interface BatchEntry {
  readonly digest: Digest;
  readonly data: Uint8Array;
  readonly compressor: Compressor;
}

interface Offer {
  readonly streams: Codec | undefined;
  readonly batches: Codec | undefined;
}

/** What all codecs of a client may take at once, in bytes: seven decoders. */
const CODEC_BYTES = 64 << 20;
/** What the largest codec takes: a decoder with a window of 8 MiB, or of 16 MiB for brotli. */
const ONE_CODEC_BYTES = 9 << 20;
const ONE_BROTLI_BYTES = 20 << 20;

/** What a server takes and gives compressed; it is asked once. */
export class WireCompression {
  readonly #room = new ByteBudget(CODEC_BYTES);
  #oneBytes = ONE_CODEC_BYTES;
  readonly #ask: () => Promise<ServerCapabilities>;
  #offer: Promise<Offer> | undefined;

  /** Compression with a server that `ask` asks. */
  constructor(ask: () => Promise<ServerCapabilities>) {
    this.#ask = ask;
  }

  /**
   * Room for one codec, until it is disposed of; undefined when too many work. What would need one travels as it is then:
   * to wait for those of others could be for ever, as streams may be read in any order.
   */
  takeRoom(): ByteLease | undefined {
    return this.#room.tryAcquire(this.#oneBytes);
  }

  /** The codec for streams and for batches that are read, if the server has it. */
  async forStreams(): Promise<Codec | undefined> {
    return (await this.#offered()).streams;
  }

  /** The codec for batches that are written, if the server takes it. */
  async forBatches(): Promise<Codec | undefined> {
    return (await this.#offered()).batches;
  }

  #offered(): Promise<Offer> {
    return this.#offer ??= this.#load().catch(() => {
      // Who does not tell what it can do is sent plain data now, and asked again the next time.
      this.#offer = undefined;
      return { streams: undefined, batches: undefined };
    });
  }

  async #load(): Promise<Offer> {
    const [codecs, { cacheCapabilities }]: [Codecs, ServerCapabilities] = await Promise.all([
      import(CODEC),
      this.#ask(),
    ]);
    const best = (list: readonly Compressor[] | undefined) => {
      const compressor = bestCompressor(list);
      return compressor && codecOf(codecs, compressor);
    };
    const streams = best(cacheCapabilities?.supportedCompressors);
    if (streams?.name === "brotli") this.#oneBytes = ONE_BROTLI_BYTES;
    return { streams, batches: best(cacheCapabilities?.supportedBatchUpdateCompressors) };
  }
}

function codecOf(codecs: Codecs, compressor: BlobCompressor): Codec {
  // What comes wrong from a server is no mistake of this client's caller.
  const code = Code.DATA_LOSS;
  return {
    name: compressor,
    value: COMPRESSOR_VALUES[compressor],
    compress: (source, sizeBytes) => codecs.compress(source, { compressor, sizeBytes }),
    compressWhole: (data) => codecs.compressWhole(data, { compressor }),
    decompress: (source, sizeBytes, signal) =>
      codecs.decompress(source, { compressor, sizeBytes, code, signal }),
    decompressWhole: (data, sizeBytes) => codecs.decompressWhole(data, { compressor, sizeBytes, code }),
  };
}

/** Entries for a batch, compressed where that saves a sixteenth at least. */
export async function packEntries(
  codec: Codec | undefined,
  blobs: readonly { readonly digest: Digest; readonly data: Uint8Array }[],
): Promise<BatchEntry[]> {
  const entries: BatchEntry[] = [];
  for (const { digest, data } of blobs) {
    if (codec !== undefined && data.length >= LEAST_BYTES) {
      const packed = await codec.compressWhole(data);
      if (packed.length <= data.length - data.length / 16) {
        entries.push({ digest, data: packed, compressor: codec.value });
        continue;
      }
    }
    entries.push({ digest, data, compressor: Compressor.IDENTITY });
  }
  return entries;
}

/**
 * The blob in an entry that came; still to be verified.
 *
 * @throws {BrokkrError} DATA_LOSS when it came damaged, or compressed as nobody asked for.
 */
export function plainOf(
  codec: Codec | undefined,
  digest: Digest,
  entry: { readonly data: Uint8Array; readonly compressor: Compressor },
): Uint8Array | Promise<Uint8Array> {
  if (entry.compressor === Compressor.IDENTITY) return entry.data;
  if (entry.compressor === codec?.value) return codec.decompressWhole(entry.data, digest.sizeBytes);
  throw new BrokkrError(
    Code.DATA_LOSS,
    `Blob ${formatDigest(digest)} came with compressor ${entry.compressor}, which was not asked for`,
  );
}
