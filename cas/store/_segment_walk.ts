/**
 * Going through a segment record by record, past what is damaged and what cannot be read.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { decodeRecord, MAX_RECORD_BYTES, type Record, recordBytes } from "./_record.ts";
import { nextMagic } from "./_replay.ts";
import { systemCode } from "./_store_error.ts";
import { readFully, type StoreFile } from "./file_layer.ts";
import { RECORD_ALIGN } from "./membership_table.ts";

/** Memory that a walk needs: the longest record, and more than a little besides. */
export const WALK_BYTES = MAX_RECORD_BYTES + (512 << 10);
/** What cannot be read in one go is read in pieces of this many bytes. */
const PIECE_BYTES = 64 << 10;

/** How a segment is walked through. */
export interface WalkOptions {
  readonly file: StoreFile;
  /** Where to begin: at a record. */
  readonly start: number;
  /** Where records end. */
  readonly end: number;
  readonly salt: Uint8Array;
  /** At least {@linkcode WALK_BYTES}. */
  readonly window: Uint8Array;
  /** Waits until so many bytes may be read. */
  readonly onRead?: (bytes: number) => Promise<void>;
  /** A good record. Its arrays are views into the window, valid until what this returns resolves. */
  readonly onRecord: (record: Record, offset: number, length: number) => Promise<void> | void;
  /** Bytes that are no good record, all that lie between two. */
  readonly onDamage: (offset: number, length: number) => Promise<void> | void;
  readonly signal?: AbortSignal;
}

/** Walks through records from `start` to `end`. */
export async function walkSegment(options: WalkOptions): Promise<void> {
  const { file, end, salt, window, onRead, onRecord, onDamage, signal } = options;
  const slices = new Slices(signal);
  let base = options.start;
  let held = 0;
  let damagedFrom = -1;
  while (base < end) {
    const wanted = Math.min(window.length - held, end - base - held);
    await onRead?.(wanted);
    const read = await readTolerantly(file, window.subarray(held, held + wanted), base + held);
    const bytes = window.subarray(0, held + read);
    const last = read < wanted || base + bytes.length >= end;
    let at = 0;
    while (at < bytes.length) {
      const record = decodeRecord(bytes, at, salt);
      if (typeof record !== "string") {
        if (damagedFrom >= 0) await onDamage(damagedFrom, base + at - damagedFrom);
        damagedFrom = -1;
        const length = recordBytes(record.hash.length, record.data.length);
        await onRecord(record, base + at, length);
        at += length;
      } else if (record === "more" && !last && at > 0) {
        break;
      } else {
        if (damagedFrom < 0) damagedFrom = base + at;
        at = nextMagic(bytes, at + RECORD_ALIGN, last);
      }
      if (slices.spent) await slices.next();
    }
    if (last) {
      if (damagedFrom < 0 && base + at < end) damagedFrom = base + at;
      break;
    }
    held = bytes.length - at;
    window.copyWithin(0, at, bytes.length);
    base += at;
  }
  if (damagedFrom >= 0) await onDamage(damagedFrom, end - damagedFrom);
}

/** Reads until `buffer` is full or the file ends. What the disk cannot read, asked twice, is zeros, which are no record. */
async function readTolerantly(file: StoreFile, buffer: Uint8Array, position: number): Promise<number> {
  try {
    return await readFully(file, buffer, position);
  } catch (error) {
    if (systemCode(error) !== "EIO") throw error;
  }
  for (let at = 0; at < buffer.length; at += PIECE_BYTES) {
    const piece = buffer.subarray(at, at + PIECE_BYTES);
    try {
      const read = await readFully(file, piece, position + at);
      if (read < piece.length) return at + read;
    } catch (error) {
      if (systemCode(error) !== "EIO") throw error;
      piece.fill(0);
    }
  }
  return buffer.length;
}
