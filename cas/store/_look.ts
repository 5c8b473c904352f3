/**
 * Looking at a stored blob to see whether it is what it was.
 *
 * @module
 */

import { Slices, throwIfAborted } from "@brokkr/common";
import type { Digest, DigestFunction, Hasher } from "../digest.ts";
import { decodeChunkList } from "./_chunk_list.ts";
import { unpackInTurn } from "./_codec.ts";
import { decodeRecord, type Record, recordBytes, RecordCodec, RecordKind } from "./_record.ts";
import type { SegmentLog } from "./_segment_log.ts";
import { systemCode } from "./_store_error.ts";
import { type FileLayer, readFully, type StoreFile } from "./file_layer.ts";
import type { BlobLocation } from "./membership_table.ts";

/** Bytes hashed between two looks at the time: well below a millisecond. */
const HASH_STEP_BYTES = 256 << 10;
/** Bytes of a file read at a time. */
const FILE_STEP_BYTES = 256 << 10;

/** What is wrong with a blob. */
export interface Fault {
  /** In words, as the end of "it is damaged: ". */
  readonly problem: string;
  /** Whether there is nothing where it should lie. */
  readonly gone: boolean;
  /** Whether the disk said that it cannot be read. */
  readonly unreadable: boolean;
  /** Whether its record is whole, and would be taken for good by who does not look at its hash. */
  readonly plausible: boolean;
  /** What was there, where that is a record. */
  readonly bytes?: Uint8Array;
}

/** How far a look goes: to the record and its checksum, to the blob that it holds, or to what that hashes to. */
export type Depth = "record" | "blob" | "hash";

/** A record that is right, and what it holds as it was before it was compressed, unless only the record was looked at. */
export interface Sight {
  readonly record: Record;
  readonly data: Uint8Array;
  readonly fault?: undefined;
}

/** What a look at a record found: it, or what is wrong. */
export type Look = Sight | { readonly record?: undefined; readonly fault: Fault };

/** A fault of bytes that are there. */
function wrong(problem: string, bytes?: Uint8Array, plausible = false): Fault {
  return { problem, gone: false, unreadable: false, plausible, ...(bytes === undefined ? {} : { bytes }) };
}

/** What the system says of a blob that cannot be read, as a fault of it; undefined when it is no word on the blob. */
export function faultOf(error: unknown): Fault | undefined {
  const code = systemCode(error);
  if (code === "ENOENT") return { problem: "it is gone", gone: true, unreadable: false, plausible: false };
  if (code !== "EIO") return undefined;
  return { problem: "the disk cannot read it (EIO)", gone: false, unreadable: true, plausible: false };
}

/** What is wrong with a record that should hold this blob, apart from what its data hashes to. */
export function recordFault(record: Record | "more" | "bad", digest: Digest): string | undefined {
  if (record === "more") return "its record is cut short";
  if (record === "bad") return "its record's checksum is wrong";
  if (record.kind !== RecordKind.BLOB) return "a tombstone lies in its place";
  if (record.fnValue !== digest.fn.value || record.hash.toHex() !== digest.hash) {
    return `another blob lies in its place, ${record.hash.toHex()}/${record.sizeBytes}`;
  }
  if (record.sizeBytes !== digest.sizeBytes) return `its record is of a blob of ${record.sizeBytes} bytes`;
  if (record.codec === RecordCodec.PLAIN && record.data.length !== digest.sizeBytes) {
    return `its record has ${record.data.length} bytes instead of ${digest.sizeBytes}`;
  }
  return undefined;
}

/** What a record holds, as it was before it was compressed; what is wrong, in words, when it cannot be decompressed. */
async function plainData({ codec, data, sizeBytes }: Record): Promise<Uint8Array | string> {
  if (codec !== RecordCodec.ZSTD) return data;
  try {
    return await unpackInTurn(data, sizeBytes);
  } catch (error) {
    return `its compressed data ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What is wrong with the blob of a record whose checksum is right; undefined when nothing is. */
export async function contentFault(
  record: Record,
  fn: DigestFunction,
  hash: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (record.codec === RecordCodec.CHUNKS) {
    const list = decodeChunkList(record.data, { fn, sizeBytes: record.sizeBytes });
    return typeof list === "string" ? list : undefined;
  }
  const data = await plainData(record);
  if (typeof data === "string") return data;
  const actual = data.length <= HASH_STEP_BYTES
    ? fn.hash(data)
    : await hashInSlices(fn.hasher(), data, new Slices(signal));
  if (actual !== hash) return `its data has hash ${actual}`;
  return data.length === record.sizeBytes ? undefined : `it says that its blob has ${record.sizeBytes} bytes`;
}

/** The hash of bytes in memory, giving way in between when they are many. */
export async function hashInSlices(hasher: Hasher, data: Uint8Array, slices: Slices): Promise<string> {
  for (let at = 0; at < data.length; at += HASH_STEP_BYTES) {
    hasher.update(data.subarray(at, at + HASH_STEP_BYTES));
    if (slices.spent) await slices.next();
  }
  return hasher.digestHex();
}

/**
 * Reads the record of a blob and looks whether it is right, as deep as is asked for.
 *
 * @throws What the system says, where that is no word on the blob.
 */
export async function lookAtRecord(
  segments: Pick<SegmentLog, "read">,
  salt: Uint8Array,
  digest: Digest,
  location: BlobLocation,
  depth: Depth,
): Promise<Look> {
  let bytes: Uint8Array;
  try {
    const length = recordBytes(digest.fn.hashBytes, location.storedBytes);
    bytes = await segments.read(location.segment, location.offset, length);
  } catch (error) {
    const fault = faultOf(error);
    if (fault === undefined) throw error;
    return { fault };
  }
  const record = decodeRecord(bytes, 0, salt);
  const problem = recordFault(record, digest);
  if (typeof record === "string" || problem !== undefined) {
    return { fault: wrong(problem ?? "", bytes, typeof record !== "string") };
  }
  if (depth === "record") return { record, data: record.data };
  if (record.codec === RecordCodec.CHUNKS) {
    // Each chunk is looked at where it lies.
    const list = decodeChunkList(record.data, digest);
    return typeof list === "string" ? { fault: wrong(list, bytes, true) } : { record, data: record.data };
  }
  const data = await plainData(record);
  if (typeof data === "string") return { fault: wrong(data, bytes, true) };
  if (depth === "hash") {
    const hash = await hashInSlices(digest.fn.hasher(), data, new Slices());
    if (hash !== digest.hash) return { fault: wrong(`its data has hash ${hash}`, bytes, true) };
  }
  return { record, data };
}

/** How a file is looked at. */
export interface FileLookOptions {
  readonly files: FileLayer;
  readonly path: string;
  readonly digest: Digest;
  /** Hashes also a file that has another size: for who wants to know what it is. */
  readonly wholly?: boolean;
  /** Called with the bytes of each piece before it is read; waits for its turn. */
  readonly onPiece?: (bytes: number) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** What a look at a file found. */
export interface FileLook {
  /** What is wrong; undefined when nothing is. */
  readonly fault: Fault | undefined;
  /** What it hashes to, where it was read to the end. */
  readonly hash: string | undefined;
}

/**
 * Reads a blob's file and looks whether it has size and hash.
 *
 * @throws What the system says, where that is no word on the blob.
 */
export async function lookAtFile(options: FileLookOptions): Promise<FileLook> {
  let file: StoreFile;
  try {
    file = await options.files.open(options.path, "read");
  } catch (error) {
    const fault = faultOf(error);
    if (fault === undefined) throw error;
    return { fault, hash: undefined };
  }
  try {
    const { digest, wholly = false } = options;
    const size = await file.size();
    const sizeFault = size === digest.sizeBytes
      ? undefined
      : wrong(`its file has ${size} bytes instead of ${digest.sizeBytes}`);
    if (sizeFault !== undefined && !wholly) return { fault: sizeFault, hash: undefined };
    const hash = await hashFile(file, size, options);
    if (sizeFault !== undefined) return { fault: sizeFault, hash };
    return { fault: hash === digest.hash ? undefined : wrong(`its file has hash ${hash}`), hash };
  } catch (error) {
    const fault = faultOf(error);
    if (fault === undefined) throw error;
    return { fault, hash: undefined };
  } finally {
    file.close();
  }
}

async function hashFile(
  file: StoreFile,
  size: number,
  { digest, onPiece, signal }: FileLookOptions,
): Promise<string> {
  const hasher = digest.fn.hasher();
  const buffer = new Uint8Array(Math.min(FILE_STEP_BYTES, size));
  for (let at = 0; at < size;) {
    throwIfAborted(signal);
    const wanted = Math.min(buffer.length, size - at);
    await onPiece?.(wanted);
    const read = await readFully(file, buffer.subarray(0, wanted), at);
    if (read === 0) break;
    hasher.update(buffer.subarray(0, read));
    at += read;
  }
  return hasher.digestHex();
}
