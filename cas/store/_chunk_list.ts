/**
 * Lists of chunks, as they are stored in place of a blob. Little-endian:
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 1 | version, 1 |
 * | 1 | 1 | digest function of the chunks, REAPI's number |
 * | 2 | 2 | chunking function, REAPI's number; 0 when it was cut by other means |
 * | 4 | 4 | how many chunks |
 * | 8 | | for each its size (4 bytes), then for each its hash |
 *
 * Sizes and hashes lie apart, so that the hashes are what a {@linkcode DigestBatch} has.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument } from "@brokkr/common";
import type { ChunkList, DigestBatch } from "../blob_store.ts";
import {
  blobSubject,
  type Digest,
  type DigestFunction,
  digestFunctionByValue,
  formatDigest,
} from "../digest.ts";
import { digestAt } from "../digest_batch.ts";
import { isEmptyAt } from "./_checks.ts";
import { MAX_RECORD_DATA } from "./_record.ts";

const VERSION = 1;
const HEADER_BYTES = 8;
const SIZE_BYTES = 4;
const MAX_CHUNKING = 0xffff;

/** Largest chunk that a list may name: each is a record of the segment log, never a file, nor a list itself. */
export const MAX_CHUNK_BYTES = MAX_RECORD_DATA;
/** Most chunks that a caller may name at once, whatever becomes of them. */
export const MAX_CHUNKS = 1 << 20;
/** Missing chunks that are named in an error. */
const MAX_NAMED = 100;
/** REAPI's number of the function that cuts blobs here. */
export const FAST_CDC_2020 = 1;

/** NOT_FOUND naming the chunks of a blob that are not there. */
export function missingChunksError(
  digest: Digest,
  chunks: DigestBatch,
  missing: ArrayLike<number>,
  cause?: BrokkrError,
): BrokkrError {
  const violations = Array.from(
    { length: Math.min(missing.length, MAX_NAMED) },
    (_, i) => ({ type: "MISSING", subject: blobSubject(digestAt(chunks, missing[i])), description: "" }),
  );
  return new BrokkrError(
    Code.NOT_FOUND,
    `Blob ${
      formatDigest(digest)
    } cannot be made: ${missing.length} of its ${chunks.length} chunks are missing, first ` +
      `${formatDigest(digestAt(chunks, missing[0]))}; upload them first`,
    { details: [{ kind: "preconditionFailure", violations }], cause },
  );
}

/** Bytes of a list of so many chunks. */
export function chunkListBytes(fn: DigestFunction, chunks: number): number {
  return HEADER_BYTES + chunks * (SIZE_BYTES + fn.hashBytes);
}

/** Whether a list can be kept as one record: what it lists is small enough, and so is it. */
export function isStorable({ chunks }: ChunkList): boolean {
  if (chunkListBytes(chunks.fn, chunks.length) > MAX_RECORD_DATA) return false;
  for (let i = 0; i < chunks.length; i++) {
    if (!(chunks.sizes[i] > 0 && chunks.sizes[i] <= MAX_CHUNK_BYTES)) return false;
  }
  return true;
}

/** Writes a list that {@linkcode isStorable}. */
export function encodeChunkList({ chunks, chunking }: ChunkList): Uint8Array {
  const { fn, length, hashes, sizes } = chunks;
  const bytes = new Uint8Array(chunkListBytes(fn, length));
  const view = new DataView(bytes.buffer);
  bytes[0] = VERSION;
  bytes[1] = fn.value;
  view.setUint16(2, chunking, true);
  view.setUint32(4, length, true);
  for (let i = 0; i < length; i++) view.setUint32(HEADER_BYTES + i * SIZE_BYTES, sizes[i], true);
  bytes.set(hashes.subarray(0, length * fn.hashBytes), HEADER_BYTES + length * SIZE_BYTES);
  return bytes;
}

/** What is wrong with the list that stands for a blob, in words, or the list. */
export function decodeChunkList(
  bytes: Uint8Array,
  { fn, sizeBytes }: Pick<Digest, "fn" | "sizeBytes">,
): ChunkList | string {
  if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION) return "its list of chunks is none";
  if (digestFunctionByValue(bytes[1]) !== fn) return "its list names chunks of another digest function";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint32(4, true);
  if (bytes.length !== chunkListBytes(fn, length)) {
    return "its list of chunks has another length than it says";
  }
  const sizes = new Float64Array(length);
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const size = view.getUint32(HEADER_BYTES + i * SIZE_BYTES, true);
    if (size === 0 || size > MAX_CHUNK_BYTES) return `its list names a chunk of ${size} bytes`;
    sum += sizes[i] = size;
  }
  if (sum !== sizeBytes) return `its chunks have ${sum} bytes together instead of ${sizeBytes}`;
  // A copy: a batch begins on a boundary, and keeps no more alive than it needs.
  const hashes = bytes.slice(HEADER_BYTES + length * SIZE_BYTES);
  return { chunks: { fn, length, hashes, sizes }, chunking: view.getUint16(2, true) };
}

/**
 * Checks that a list can be the blob's at all; chunks of no bytes, which add nothing, are left out of what is returned.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when it cannot.
 */
export function checkChunkList(digest: Digest, list: ChunkList): ChunkList {
  const { chunks, chunking } = list;
  const { fn, length, sizes } = chunks;
  const blob = formatDigest(digest);
  const refuse = (why: string) => invalidArgument("chunk_digests", `Blob ${blob} cannot be made: ${why}`);
  if (fn !== digest.fn) {
    throw refuse(`its chunks have ${fn.name} digests, but it has a ${digest.fn.name} digest`);
  }
  if (length > MAX_CHUNKS) throw refuse(`it would have ${length} chunks; at most ${MAX_CHUNKS} are taken`);
  if (!Number.isInteger(chunking) || chunking < 0 || chunking > MAX_CHUNKING) {
    throw refuse(`chunking function ${chunking} is none`);
  }
  let sum = 0;
  let empty = 0;
  for (let i = 0; i < length; i++) {
    if (!Number.isSafeInteger(sizes[i]) || sizes[i] < 0) {
      throw refuse(`a chunk cannot have ${sizes[i]} bytes`);
    }
    if (sizes[i] === 0) {
      if (!isEmptyAt(chunks, i)) throw refuse("a chunk of no bytes has another hash than no bytes have");
      empty++;
    }
    sum += sizes[i];
  }
  if (sum !== digest.sizeBytes) {
    throw refuse(`its chunks have ${sum} bytes together instead of ${digest.sizeBytes}`);
  }
  return empty === 0 ? list : { chunks: withoutEmpty(chunks, length - empty), chunking };
}

function withoutEmpty({ fn, length, hashes, sizes }: DigestBatch, left: number): DigestBatch {
  const { hashBytes } = fn;
  const kept = { fn, length: left, hashes: new Uint8Array(left * hashBytes), sizes: new Float64Array(left) };
  let to = 0;
  for (let i = 0; i < length; i++) {
    if (sizes[i] === 0) continue;
    kept.hashes.set(hashes.subarray(i * hashBytes, (i + 1) * hashBytes), to * hashBytes);
    kept.sizes[to++] = sizes[i];
  }
  return kept;
}

/** Whether two lists name the same chunks in the same order. */
export function sameChunks(a: DigestBatch, b: DigestBatch): boolean {
  if (a.fn !== b.fn || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a.sizes[i] !== b.sizes[i]) return false;
  const bytes = a.length * a.fn.hashBytes;
  for (let i = 0; i < bytes; i++) if (a.hashes[i] !== b.hashes[i]) return false;
  return true;
}
