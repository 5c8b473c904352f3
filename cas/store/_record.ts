/**
 * Records of the segment log. A record says by itself what it holds, so that a segment can be read without an index.
 * Little-endian:
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 4 | magic `BKR1` |
 * | 4 | 1 | version, 1 |
 * | 5 | 1 | kind: 1 blob, 2 tombstone (the blob was deleted) |
 * | 6 | 1 | digest function, REAPI's number |
 * | 7 | 1 | codec of the data: 0 as it is, 1 one zstd frame, 2 a list of chunks |
 * | 8 | 1 | hash length in bytes |
 * | 12 | 4 | data length as stored |
 * | 16 | 8 | size of the blob |
 * | 24 | 8 | salt of the store |
 * | 32 | 4 | CRC-32 (IEEE) of bytes 0-31, hash and data |
 * | 40 | | hash, data, zeros up to a multiple of 8 |
 *
 * The salt is random and never leaves the store: when a damaged segment is searched for the next record, bytes that a
 * client uploaded cannot pass for one.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { type BlobLocation, FILE_SEGMENT, RECORD_ALIGN } from "./membership_table.ts";

/** Bytes before the hash. */
export const HEADER_BYTES = 40;
/** Bytes of a store's salt. */
export const SALT_BYTES = 8;
/** Where a record has it. */
export const SALT_AT = 24;
/** Largest data of a record. */
export const MAX_RECORD_DATA = 1 << 20;
/** Most bytes of a record. */
export const MAX_RECORD_BYTES = HEADER_BYTES + 64 + MAX_RECORD_DATA + RECORD_ALIGN;
/** `BKR1`, the first bytes of every record. */
export const MAGIC_BYTES: Uint8Array = Uint8Array.of(0x42, 0x4b, 0x52, 0x31);

const MAGIC = 0x31524b42;
const VERSION = 1;
const TWO_32 = 2 ** 32;

/** What a record is. */
export const RecordKind = { BLOB: 1, TOMBSTONE: 2 } as const;
/** One of {@linkcode RecordKind}'s numbers. */
export type RecordKind = typeof RecordKind[keyof typeof RecordKind];

/** In what form a record has the blob. */
export const RecordCodec = { PLAIN: 0, ZSTD: 1, CHUNKS: 2 } as const;
/** One of {@linkcode RecordCodec}'s numbers. */
export type RecordCodec = typeof RecordCodec[keyof typeof RecordCodec];

/** What a record holds. */
export interface Record {
  /** Blob or tombstone. */
  readonly kind: RecordKind;
  /** REAPI's number of the digest function. */
  readonly fnValue: number;
  /** Raw hash. */
  readonly hash: Uint8Array;
  /** Size of the blob. */
  readonly sizeBytes: number;
  /** The form of the data; as they are by default. */
  readonly codec?: RecordCodec;
  /** Its bytes in that form; none in a tombstone. */
  readonly data: Uint8Array;
  /** When the blob was used last, in seconds of store time, where that is not now. Not written. */
  readonly usedS?: number;
}

/** Where the blob of a record lies that begins at `offset` of a segment. */
export function locationOf(record: Record, segment: number, offset: number): BlobLocation {
  return { segment, offset, sizeBytes: record.sizeBytes, storedBytes: record.data.length };
}

/** Whether what lies there is a list of chunks: a blob that is too large for a record, and yet no file. */
export function isListed({ segment, sizeBytes }: Pick<BlobLocation, "segment" | "sizeBytes">): boolean {
  return segment !== FILE_SEGMENT && sizeBytes > MAX_RECORD_DATA;
}

/** Length of a record on disk. */
export function recordBytes(hashBytes: number, dataBytes: number): number {
  const bytes = HEADER_BYTES + hashBytes + dataBytes;
  return bytes + (-bytes & (RECORD_ALIGN - 1));
}

/** Writes a record into `into` at `at`, which must have room and begin at a multiple of 8; returns its length. */
export function encodeRecord(into: Uint8Array, at: number, record: Record, salt: Uint8Array): number {
  const { hash, data, sizeBytes } = record;
  const view = new DataView(into.buffer, into.byteOffset + at, HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint32(
    4,
    VERSION | (record.kind << 8) | (record.fnValue << 16) | ((record.codec ?? 0) << 24),
    true,
  );
  view.setUint32(8, hash.length, true);
  view.setUint32(12, data.length, true);
  view.setUint32(16, sizeBytes >>> 0, true);
  view.setUint32(20, Math.floor(sizeBytes / TWO_32), true);
  into.set(salt, at + SALT_AT);
  view.setUint32(36, 0, true);
  into.set(hash, at + HEADER_BYTES);
  into.set(data, at + HEADER_BYTES + hash.length);
  const end = HEADER_BYTES + hash.length + data.length;
  const length = recordBytes(hash.length, data.length);
  into.fill(0, at + end, at + length);
  view.setUint32(32, checksum(into, at, end), true);
  return length;
}

function checksum(bytes: Uint8Array, at: number, end: number): number {
  return crc32(bytes.subarray(at + HEADER_BYTES, at + end), crc32(bytes.subarray(at, at + 32)));
}

/**
 * The record at `at` of `bytes`; `"more"` when it may go on beyond their end, `"bad"` when it is none or damaged. The
 * arrays it holds are views.
 */
export function decodeRecord(bytes: Uint8Array, at: number, salt: Uint8Array): Record | "more" | "bad" {
  if (bytes.length - at < HEADER_BYTES) return "more";
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC || bytes[at + 4] !== VERSION) return "bad";
  const kind = bytes[at + 5];
  const hashBytes = view.getUint32(8, true);
  const dataBytes = view.getUint32(12, true);
  if (kind !== RecordKind.BLOB && kind !== RecordKind.TOMBSTONE) return "bad";
  const codec = bytes[at + 7];
  if (codec !== RecordCodec.PLAIN && codec !== RecordCodec.ZSTD && codec !== RecordCodec.CHUNKS) return "bad";
  if (hashBytes > 64 || dataBytes > MAX_RECORD_DATA) return "bad";
  for (let i = 0; i < SALT_BYTES; i++) if (bytes[at + SALT_AT + i] !== salt[i]) return "bad";
  const end = HEADER_BYTES + hashBytes + dataBytes;
  if (bytes.length - at < recordBytes(hashBytes, dataBytes)) return "more";
  if (view.getUint32(32, true) !== checksum(bytes, at, end)) return "bad";
  return {
    kind,
    fnValue: bytes[at + 6],
    hash: bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + hashBytes),
    sizeBytes: view.getUint32(16, true) + view.getUint32(20, true) * TWO_32,
    codec,
    data: bytes.subarray(at + HEADER_BYTES + hashBytes, at + end),
  };
}
