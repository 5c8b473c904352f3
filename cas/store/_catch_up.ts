/**
 * Reading a segment again after a start: what is whole counts, and is made durable; a torn tail is cut off.
 *
 * @module
 */

import type { Logger } from "@brokkr/common";
import type { Record } from "./_record.ts";
import { replaySegment } from "./_replay.ts";
import { SEGMENT_HEADER_BYTES, segmentName } from "./_segment_header.ts";
import type { SegmentInfo } from "./_segment_log.ts";
import { type FileLayer, readFully, type StoreFile, writeAll } from "./file_layer.ts";

/** Whether the segment at a place among all has a successor that holds something, and so says where it ends. */
export function isSealed(segments: readonly SegmentInfo[], at: number): boolean {
  return at + 1 < segments.length && segments[at + 1].sizeBytes > SEGMENT_HEADER_BYTES;
}

/** How a segment is read again. */
export interface CatchUpOptions {
  readonly path: string;
  readonly files: FileLayer;
  readonly log: Logger;
  readonly salt: Uint8Array;
  readonly info: SegmentInfo;
  readonly start: number;
  /** Whether it may have a torn tail, which is cut off. */
  readonly isLast: boolean;
  /** Whether all of it up to its size is known to have been synced. */
  readonly isSealed: boolean;
  readonly onRecord: (record: Record, offset: number, length: number) => void;
  readonly signal?: AbortSignal;
}

/** Bytes written again at a time. */
const AGAIN_BYTES = 1 << 20;

/**
 * Writes what was read over itself. After a failed sync the page cache shows what is not on the disk and takes it for
 * written, so that a sync alone would promise what is not there. A segment whose successor holds anything needs none of it:
 * that one's header says where it ends.
 */
async function writeAgain(
  { start, info, path, log, signal }: CatchUpOptions,
  file: StoreFile,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(AGAIN_BYTES, info.sizeBytes - start));
  try {
    for (let at = start; at < info.sizeBytes && signal?.aborted !== true;) {
      const read = await readFully(
        file,
        buffer.subarray(0, Math.min(buffer.length, info.sizeBytes - at)),
        at,
      );
      if (read === 0) return;
      await writeAll(file, buffer.subarray(0, read), at);
      at += read;
    }
  } catch (error) {
    // A full disk that copies on write, for one; what the disk has of it is told by the records themselves.
    log.warn("Cannot write the end of the log again", { path, error });
  }
}

/** Reads a segment from `start`, cuts a torn tail, and makes what was read durable; where its good records end. */
export async function catchUpSegment(options: CatchUpOptions): Promise<number> {
  const { path, files, log, salt, info, start, isLast, isSealed, onRecord, signal } = options;
  if (start >= info.sizeBytes) return info.sizeBytes;
  const file = await files.open(path, isLast || !isSealed ? "update" : "read");
  try {
    // First of all: a killed process may have left records that are in the page cache only.
    if (!isSealed) await writeAgain(options, file);
    await file.syncData();
    const seen = await replaySegment(file, start, info.sizeBytes, salt, onRecord, signal);
    if (signal?.aborted === true) return info.sizeBytes;
    const tornBytes = info.sizeBytes - seen.endBytes;
    if (tornBytes > 0 || seen.skippedBytes > 0) {
      const { skippedBytes } = seen;
      log.warn("A segment has damaged bytes", { segment: segmentName(info.id), tornBytes, skippedBytes });
    }
    if (isLast && tornBytes > 0) {
      await file.truncate(seen.endBytes);
      await file.syncData();
      info.sizeBytes = seen.endBytes;
    }
    return info.sizeBytes;
  } finally {
    file.close();
  }
}
