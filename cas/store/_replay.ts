/**
 * Reading a segment without an index.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Slices } from "@brokkr/common";
import type { StoreFile } from "./file_layer.ts";
import { readFully } from "./file_layer.ts";
import { RECORD_ALIGN } from "./membership_table.ts";
import { decodeRecord, MAGIC_BYTES, MAX_RECORD_BYTES, type Record, recordBytes } from "./_record.ts";

/** Bytes read at a time; more than the longest record. */
const WINDOW_BYTES = 4 * MAX_RECORD_BYTES;
/** Records handed over between two looks at the time. */
const STEP = 16;

/** What a replay saw. */
export interface Replayed {
  /** Where the last good record ends. */
  readonly endBytes: number;
  /** Good records. */
  readonly records: number;
  /** Damaged bytes between good records. */
  readonly skippedBytes: number;
}

/**
 * Reads the records of a segment from `start` to `end` and hands each to `onRecord` (its arrays are views, valid during
 * the call). Damaged bytes are skipped up to the next good record; those after the last are the torn tail, which lies
 * from `endBytes` on. Ends early when `signal` aborts.
 */
export async function replaySegment(
  file: StoreFile,
  start: number,
  end: number,
  salt: Uint8Array,
  onRecord: (record: Record, offset: number, length: number) => void,
  signal?: AbortSignal,
): Promise<Replayed> {
  const window = new Uint8Array(Math.min(WINDOW_BYTES, Math.max(0, end - start)));
  let records = 0;
  let skippedBytes = 0;
  let goodEnd = start;
  const slices = new Slices();
  for (let base = start; base < end;) {
    const read = await readFully(file, window.subarray(0, Math.min(window.length, end - base)), base);
    const bytes = window.subarray(0, read);
    const last = base + read >= end || read === 0;
    let at = 0;
    while (at < bytes.length) {
      const record = decodeRecord(bytes, at, salt);
      if (typeof record !== "string") {
        const length = recordBytes(record.hash.length, record.data.length);
        skippedBytes += base + at - goodEnd;
        onRecord(record, base + at, length);
        at += length;
        goodEnd = base + at;
        if (++records % STEP === 0 && slices.spent) {
          await slices.next();
          if (signal?.aborted === true) return { endBytes: goodEnd, records, skippedBytes };
        }
      } else if (record === "more" && !last && at > 0) {
        break;
      } else {
        at = nextMagic(bytes, at + RECORD_ALIGN, last);
      }
    }
    if (last) break;
    base += Math.max(at, RECORD_ALIGN);
  }
  return { endBytes: goodEnd, records, skippedBytes };
}

/** The next place at or after `from` where a record may begin; near the end of `bytes` when none is seen. */
export function nextMagic(bytes: Uint8Array, from: number, last: boolean): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = from; at < bytes.length;) {
    const found = view.indexOf(MAGIC_BYTES, at);
    if (found < 0) break;
    if (found % RECORD_ALIGN === 0) return found;
    at = found + 1;
  }
  return last ? bytes.length : Math.max(from, bytes.length - (bytes.length % RECORD_ALIGN));
}
