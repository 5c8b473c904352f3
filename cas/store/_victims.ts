/**
 * Which segments go: those of which least has to be copied.
 *
 * @module
 */

import type { Tally } from "./_eviction_plan.ts";
import { SEGMENT_HEADER_BYTES } from "./_segment_header.ts";
import type { SegmentInfo } from "./_segment_log.ts";

/** Bytes that may be copied for each that is freed, as long as more blobs may go instead. */
const MAX_COPIED = 2;
/** Bytes copied before it is looked again what is most urgent. */
const MAX_CHUNK_BYTES = 256 << 20;

/** Share of a segment that must be freed to make copying the rest worth it. */
const MIN_FREED_SHARE = 1 / 32;

/** A segment and what would be left of it. */
export interface Victim {
  readonly info: Readonly<SegmentInfo>;
  /** Bytes of records that stay. */
  keepBytes: number;
  keepRecords: number;
}

/** What a rule comes to, segment by segment. */
export interface Prospect {
  readonly victims: readonly Victim[];
  readonly active: Victim | undefined;
  /** Files that go. */
  readonly files: Tally;
}

/** Bytes of a segment that are no record in use. */
export function garbageOf({ info, keepBytes }: Victim): number {
  return Math.max(0, info.sizeBytes - SEGMENT_HEADER_BYTES - keepBytes);
}

/** What share of a segment is freed when it goes. */
export function freedShare({ info, keepBytes }: Victim): number {
  return (info.sizeBytes - keepBytes) / info.sizeBytes;
}

/** Bytes that segments would free. */
export function freedBy(victims: readonly Victim[]): number {
  return victims.reduce((bytes, { info, keepBytes }) => bytes + info.sizeBytes - keepBytes, 0);
}

/** Bytes that files and segments would free. */
export function freeable({ victims, files }: Prospect): number {
  return files.bytes + freedBy(victims);
}

/** Whether something of a segment goes; where only `bytes` count, enough of it. */
export function gives(victim: Victim, bytesOnly: boolean): boolean {
  return garbageOf(victim) > 0 && (!bytesOnly || freedShare(victim) >= MIN_FREED_SHARE);
}

/** Whether so much can be freed without copying too much for it. */
export function isWorthwhile({ victims, active, files }: Prospect, bytes: number): boolean {
  const all = active === undefined
    ? victims
    : [...victims, active].sort((a, b) => freedShare(b) - freedShare(a));
  let freed = files.bytes;
  let copied = 0;
  for (const { info, keepBytes } of all) {
    if (freed >= bytes) break;
    freed += info.sizeBytes - keepBytes;
    copied += keepBytes;
  }
  return copied <= bytes * MAX_COPIED;
}

/** The first of `victims` that free so much together. */
export function takeUntil(victims: readonly Victim[], bytes: number, all: boolean): Victim[] {
  const taken: Victim[] = [];
  let freed = 0;
  for (const victim of victims) {
    if (freed >= bytes && !all) break;
    taken.push(victim);
    freed += victim.info.sizeBytes - victim.keepBytes;
  }
  return taken;
}

/** Victims in groups of which one look at the catalog finds what stays, in bounded memory. */
export function* chunks(victims: readonly Victim[]): Generator<Victim[]> {
  let group: Victim[] = [];
  let records = 0;
  let bytes = 0;
  for (const victim of victims) {
    const full = records + victim.keepRecords > 50_000 || bytes + victim.keepBytes > MAX_CHUNK_BYTES;
    if (group.length > 0 && (full || group.length >= 64)) {
      yield group;
      group = [];
      records = 0;
      bytes = 0;
    }
    group.push(victim);
    records += victim.keepRecords;
    bytes += victim.keepBytes;
  }
  if (group.length > 0) yield group;
}
