/**
 * Compressed blobs in BatchUpdateBlobs and BatchReadBlobs.
 *
 * @module
 */

import { Code, invalidArgument } from "@brokkr/common";
import {
  type BatchReadBlobsResponse,
  type BatchUpdateBlobsRequest,
  Compressor,
  type Init,
} from "@brokkr/proto";
import { BLOB_COMPRESSORS, type BlobCompressor, COMPRESSOR_VALUES, compressorOf } from "../compressors.ts";
import { compressWhole, decoderBytes, decompressWhole, encoderBytes } from "../compression/mod.ts";
import type { Digest } from "../digest.ts";

/** The compressors of an entry, as a message names them. */
const SUPPORTED = ["IDENTITY (0)"].concat(
  BLOB_COMPRESSORS.map((name) => `${name.toUpperCase()} (${COMPRESSOR_VALUES[name]})`),
).join(", ");

type UpdateEntry = BatchUpdateBlobsRequest["requests"][number];
type ReadEntry = Init<BatchReadBlobsResponse["responses"][number]>;

/** Blobs smaller than this travel as they are: a frame and its field would take what is saved. */
const LEAST_BYTES = 128;

/**
 * Bytes of an entry that count against the limit of a batch: those of the blob, which the limit is about, and never
 * fewer than were sent.
 */
export function batchBytes(entry: UpdateEntry): number {
  if (compressorOf(entry.compressor) === undefined) return entry.data.length;
  // A malformed size is refused later, with its entry.
  const { sizeBytes = 0 } = entry.digest ?? {};
  return sizeBytes > entry.data.length ? sizeBytes : entry.data.length;
}

/**
 * Memory that decompressing a batch takes: the compressed entries once they are decompressed, and one decompressor, as
 * they take turns. Plain ones are part of the request.
 */
export function decompressedBytes(entries: readonly UpdateEntry[]): number {
  let blobs = 0;
  let decoder = 0;
  for (const entry of entries) {
    const compressor = compressorOf(entry.compressor);
    if (compressor === undefined) continue;
    blobs += batchBytes(entry);
    decoder = Math.max(decoder, decoderBytes(entry.digest?.sizeBytes ?? 0, compressor, entry.data));
  }
  return blobs + decoder;
}

/** Memory that compressing blobs of these sizes one after the other takes beside them. */
export function compressorBytes(compressor: BlobCompressor, sizes: Iterable<number>): number {
  let bytes = 0;
  for (const size of sizes) bytes = Math.max(bytes, encoderBytes(size, compressor));
  return bytes;
}

/** Gives the blobs of one batch, decompressing them one after the other, in slices. */
export class BatchUnpacker {
  readonly #signal: AbortSignal;
  #last: Promise<unknown> = Promise.resolve();

  /** An unpacker of one batch, whose caller has found room for {@linkcode decompressedBytes}. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * The blob in an entry.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT for an unknown compressor, or data that does not decompress to the blob's
   * size.
   */
  plain(entry: UpdateEntry, digest: Digest): Uint8Array | Promise<Uint8Array> {
    if (entry.compressor === Compressor.IDENTITY) return entry.data;
    const compressor = compressorOf(entry.compressor);
    if (compressor === undefined) {
      throw invalidArgument(
        "requests.compressor",
        `Compressor ${entry.compressor} is not supported; supported: ${SUPPORTED}`,
      );
    }
    const unpacked = this.#last.then(() => this.#unpack(entry.data, compressor, digest.sizeBytes));
    this.#last = unpacked.catch(() => undefined); // whoever asked for it hears of it
    return unpacked;
  }

  async #unpack(data: Uint8Array, compressor: BlobCompressor, sizeBytes: number): Promise<Uint8Array> {
    return await decompressWhole(data, { sizeBytes, compressor, signal: this.#signal });
  }
}

/**
 * Compresses what gets smaller by a sixteenth at least; the rest stays as it is, and so does what is compressed already.
 * The caller has found room for {@linkcode compressorBytes}.
 */
export async function compressEntries(
  compressor: BlobCompressor,
  entries: readonly ReadEntry[],
  signal: AbortSignal,
): Promise<ReadEntry[]> {
  const answers: ReadEntry[] = [];
  for (const entry of entries) {
    const { data } = entry;
    if (
      entry.compressor !== undefined || data === undefined || data.length < LEAST_BYTES ||
      (entry.status?.code ?? Code.OK) !== Code.OK
    ) {
      answers.push(entry);
      continue;
    }
    const packed = await compressWhole(data, { compressor, signal });
    answers.push(
      packed.length > data.length - data.length / 16
        ? entry
        : { ...entry, data: packed, compressor: COMPRESSOR_VALUES[compressor] },
    );
  }
  return answers;
}
