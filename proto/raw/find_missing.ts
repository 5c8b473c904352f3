/**
 * FindMissingBlobs without an object or a string for each digest: a build asks about tens of thousands at once.
 *
 * @module
 */

import { plain } from "../codec.ts";
import { readText, textSize, varintSize } from "./wire.ts";
import { WireReader } from "./wire_reader.ts";
import { WireWriter } from "./wire_writer.ts";

const REQUEST = "build.bazel.remote.execution.v2.FindMissingBlobsRequest";
const RESPONSE = "build.bazel.remote.execution.v2.FindMissingBlobsResponse";

/** `blob_digests` in the request and `missing_blob_digests` in the response have the same number. */
const DIGESTS_TAG = 0x12;
const INSTANCE_TAG = 0x0a;
const FUNCTION_TAG = 0x18;
const HASH_TAG = 0x0a;
const SIZE_TAG = 0x10;

/** A Digest of SHA-256 takes this many bytes or more; what the first guess at a count rests on. */
const USUAL_DIGEST_BYTES = 68;

/**
 * Digests as they lie in a message. Digest `i` is the bytes from `start[i]` to `end[i]`, its hash is the text from
 * `hashStart[i]` of `hashLength[i]` bytes (not looked at yet: whoever uses it checks that it is hexadecimal), and its
 * size is `size[i]`.
 */
export interface PackedDigests {
  /** The message. */
  readonly bytes: Uint8Array;
  /** How many digests there are. */
  readonly count: number;
  /** Where each Digest message begins. */
  readonly start: Uint32Array;
  /** Where it ends. */
  readonly end: Uint32Array;
  /** Where the text of its hash begins. */
  readonly hashStart: Uint32Array;
  /** Length of that text; 0 when there is none. */
  readonly hashLength: Uint32Array;
  /** `size_bytes`; negative sizes are passed on as they came. */
  readonly size: Float64Array;
}

/** A decoded FindMissingBlobsRequest. */
export interface PackedFindMissing {
  /** Instance that is asked. */
  readonly instanceName: string;
  /** What made the hashes, or UNKNOWN. */
  readonly digestFunction: number;
  /** What is asked about. */
  readonly digests: PackedDigests;
}

/** A FindMissingBlobsRequest to be sent. */
export interface FindMissingInit {
  /** Instance to ask. */
  readonly instanceName?: string;
  /** What made the hashes. */
  readonly digestFunction?: number;
  /** What to ask about. */
  readonly digests: Iterable<{ readonly hash: string; readonly sizeBytes: number }>;
}

/** The answer to a request: which of its digests are missing. */
export interface MissingSelection {
  /** Digests of the request. */
  readonly digests: PackedDigests;
  /** Indices of those that are missing. */
  readonly missing: ArrayLike<number>;
}

/** Typed arrays that grow together. */
class DigestTable {
  count = 0;
  #capacity: number;
  #start: Uint32Array;
  #end: Uint32Array;
  #hashStart: Uint32Array;
  #hashLength: Uint32Array;
  #size: Float64Array;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#start = new Uint32Array(capacity);
    this.#end = new Uint32Array(capacity);
    this.#hashStart = new Uint32Array(capacity);
    this.#hashLength = new Uint32Array(capacity);
    this.#size = new Float64Array(capacity);
  }

  add(start: number, end: number, hashStart: number, hashLength: number, size: number): void {
    const i = this.count;
    if (i === this.#capacity) this.#grow();
    this.count = i + 1;
    this.#start[i] = start;
    this.#end[i] = end;
    this.#hashStart[i] = hashStart;
    this.#hashLength[i] = hashLength;
    this.#size[i] = size;
  }

  #grow(): void {
    const capacity = this.#capacity * 2;
    const grow = (old: Uint32Array) => {
      const next = new Uint32Array(capacity);
      next.set(old);
      return next;
    };
    this.#start = grow(this.#start);
    this.#end = grow(this.#end);
    this.#hashStart = grow(this.#hashStart);
    this.#hashLength = grow(this.#hashLength);
    const size = new Float64Array(capacity);
    size.set(this.#size);
    this.#size = size;
    this.#capacity = capacity;
  }

  finish(bytes: Uint8Array): PackedDigests {
    const n = this.count;
    return {
      bytes,
      count: n,
      start: this.#start.subarray(0, n),
      end: this.#end.subarray(0, n),
      hashStart: this.#hashStart.subarray(0, n),
      hashLength: this.#hashLength.subarray(0, n),
      size: this.#size.subarray(0, n),
    };
  }
}

/**
 * Decodes a FindMissingBlobsRequest.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeFindMissing(message: Uint8Array): PackedFindMissing {
  const bytes = plain(message);
  const reader = new WireReader(bytes, REQUEST);
  const table = tableFor(bytes);
  let instanceName = "";
  let digestFunction = 0;
  while (!reader.done) {
    if (addPlainDigest(reader, table)) continue;
    const tag = reader.tag();
    if (tag === DIGESTS_TAG) addDigest(reader, table);
    else if (tag === INSTANCE_TAG) instanceName = reader.string();
    else if (tag === FUNCTION_TAG) digestFunction = reader.int32();
    else reader.skip(tag);
  }
  return { instanceName, digestFunction, digests: table.finish(bytes) };
}

/**
 * Decodes a FindMissingBlobsResponse.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeFindMissingResponse(message: Uint8Array): PackedDigests {
  const bytes = plain(message);
  const reader = new WireReader(bytes, RESPONSE);
  const table = tableFor(bytes);
  while (!reader.done) {
    if (addPlainDigest(reader, table)) continue;
    const tag = reader.tag();
    if (tag === DIGESTS_TAG) addDigest(reader, table);
    else reader.skip(tag);
  }
  return table.finish(bytes);
}

function tableFor(bytes: Uint8Array): DigestTable {
  return new DigestTable(Math.ceil(bytes.length / USUAL_DIGEST_BYTES) + 1);
}

/** Reads one digest if it is written as nearly all are: hash, then size, each of its numbers short. */
function addPlainDigest(reader: WireReader, table: DigestTable): boolean {
  const { bytes, pos, end } = reader;
  if (end - pos < 4 || bytes[pos] !== DIGESTS_TAG || bytes[pos + 2] !== HASH_TAG) return false;
  const stop = pos + 2 + bytes[pos + 1];
  const hashLength = bytes[pos + 3];
  const hashStart = pos + 4;
  let at = hashStart + hashLength;
  if (bytes[pos + 1] > 127 || hashLength > 127 || stop > end || at > stop) return false;
  let size = 0;
  if (at < stop) {
    if (bytes[at++] !== SIZE_TAG || at === stop || stop - at > 4) return false;
    for (let shift = 0; at < stop; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 127) << shift;
      // The size must end with the digest, neither before nor after.
      if ((byte < 128) !== (at === stop)) return false;
    }
  }
  table.add(pos + 2, stop, hashStart, hashLength, size);
  reader.pos = stop;
  return true;
}

/** Reads one digest whose tag has been read, however it is written. */
function addDigest(reader: WireReader, table: DigestTable): void {
  const outer = reader.enter();
  const start = reader.pos;
  let hashStart = start;
  let hashLength = 0;
  let size = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === HASH_TAG) {
      const text = reader.view();
      hashLength = text.length;
      hashStart = reader.pos - hashLength;
      // A hash that another one follows would never be looked at.
      if (!isText(text)) throw reader.fault("a hash is not UTF-8");
    } else if (tag === SIZE_TAG) size = reader.int64();
    else reader.skip(tag);
  }
  table.add(start, reader.end, hashStart, hashLength, size);
  reader.leave(outer);
}

function isText(bytes: Uint8Array): boolean {
  try {
    readText(bytes, 0, bytes.length);
    return true;
  } catch {
    return false;
  }
}

/**
 * Encodes a FindMissingBlobsResponse: the chosen digests' bytes, copied as they came.
 */
export function encodeFindMissingResponse({ digests, missing }: MissingSelection): Uint8Array {
  const { bytes, start, end } = digests;
  let total = 0;
  for (let k = 0; k < missing.length; k++) {
    const length = end[missing[k]] - start[missing[k]];
    total += 1 + varintSize(length) + length;
  }
  const writer = new WireWriter(total);
  let k = 0;
  while (k < missing.length) {
    const from = headerStart(digests, missing[k]);
    if (from < 0) {
      writer.header(2, end[missing[k]] - start[missing[k]]);
      writer.raw(bytes.subarray(start[missing[k]], end[missing[k]]));
      k++;
      continue;
    }
    // Neighbours are copied together, headers and all.
    let to = end[missing[k++]];
    while (k < missing.length && headerStart(digests, missing[k]) === to) to = end[missing[k++]];
    writer.raw(bytes.subarray(from, to));
  }
  return writer.finish();
}

/** Where the tag before a digest is, if it has one byte and so has the length; otherwise -1. */
function headerStart({ bytes, start, end }: PackedDigests, i: number): number {
  const body = start[i];
  const length = end[i] - body;
  if (body < 2 || length > 127) return -1;
  return bytes[body - 1] === length && bytes[body - 2] === DIGESTS_TAG ? body - 2 : -1;
}

/** Encodes a FindMissingBlobsRequest. */
export function encodeFindMissing(
  { instanceName = "", digestFunction = 0, digests }: FindMissingInit,
): Uint8Array {
  const all = Array.isArray(digests) ? digests : [...digests];
  const writer = new WireWriter(instanceName.length + 16 + all.length * 80);
  writer.stringField(1, instanceName);
  for (const { hash, sizeBytes } of all) writeDigest(writer, 2, hash, sizeBytes);
  writer.intField(3, digestFunction);
  return writer.finish();
}

/** Bytes that a Digest message takes, without tag and length. */
export function digestSize(hash: string, sizeBytes: number): number {
  const hashSize = textSize(hash);
  const hashPart = hashSize === 0 ? 0 : 1 + varintSize(hashSize) + hashSize;
  if (sizeBytes === 0) return hashPart;
  return hashPart + 1 + (sizeBytes < 0 ? 10 : varintSize(sizeBytes));
}

/** Writes a Digest as a field. */
export function writeDigest(writer: WireWriter, field: number, hash: string, sizeBytes: number): void {
  if (writePlainDigest(writer, field, hash, sizeBytes)) return;
  writer.header(field, digestSize(hash, sizeBytes));
  writer.stringField(1, hash);
  writer.intField(2, sizeBytes);
}

/** Writes the digest that nearly all are: a short hash of ASCII, a size below 2^28, and no number of two bytes. */
function writePlainDigest(writer: WireWriter, field: number, hash: string, sizeBytes: number): boolean {
  const length = hash.length;
  if (length === 0 || length > 100 || field > 15 || sizeBytes < 0 || sizeBytes > 0xfffffff) return false;
  if ((sizeBytes | 0) !== sizeBytes) return false;
  writer.reserve(length + 9);
  const { bytes, pos: start } = writer;
  let pos = start + 4;
  for (let i = 0; i < length; i++) {
    const unit = hash.charCodeAt(i);
    if (unit > 127) return false;
    bytes[pos++] = unit;
  }
  if (sizeBytes > 0) {
    bytes[pos++] = SIZE_TAG;
    let rest = sizeBytes;
    for (; rest > 127; rest >>>= 7) bytes[pos++] = rest & 127 | 128;
    bytes[pos++] = rest;
  }
  bytes[start] = field << 3 | 2;
  bytes[start + 1] = pos - start - 2;
  bytes[start + 2] = HASH_TAG;
  bytes[start + 3] = length;
  writer.pos = pos;
  return true;
}

/** Encodes a FindMissingBlobsResponse from digests at hand, for servers that did not decode the request this way. */
export function encodeMissingDigests(
  digests: Iterable<{ readonly hash: string; readonly sizeBytes: number }>,
): Uint8Array {
  const writer = new WireWriter(1024);
  for (const { hash, sizeBytes } of digests) writeDigest(writer, 2, hash, sizeBytes);
  return writer.finish();
}

/** The text of a packed digest's hash. @throws {TypeError} When it is not UTF-8. */
export function packedHash({ bytes, hashStart, hashLength }: PackedDigests, i: number): string {
  return readText(bytes, hashStart[i], hashStart[i] + hashLength[i]);
}
