/**
 * The segments of a stopped store: header, every record, and what lies between records.
 *
 * @module
 */

import { digestFunctionByValue, type HashHex } from "../digest.ts";
import type { FsckContext } from "./_fsck_report.ts";
import { contentFault } from "./_look.ts";
import { encodeRecord, MAX_RECORD_DATA, type Record, recordBytes, RecordKind } from "./_record.ts";
import {
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  segmentHeaderFault,
  segmentIdOf,
  segmentName,
} from "./_segment_header.ts";
import { WALK_BYTES, walkSegment } from "./_segment_walk.ts";
import { systemCode } from "./_store_error.ts";
import { readFully, type StoreFile, writeAll } from "./file_layer.ts";

/** Good records without an entry in the index that are remembered, since a tombstone may speak of them later. */
const MAX_LOOSE = 200_000;
/** Damaged places that are kept apart; beyond, those of a segment are taken for one. */
const MAX_DAMAGE = 100_000;
/** Bytes of one damaged place that are set aside. */
const MAX_ASIDE_BYTES = 4 << 20;

interface Segment {
  readonly id: number;
  sizeBytes: number;
  /** Good records to which their entry points. */
  confirmed: number;
  /** Damaged places, in order: from, to. */
  readonly damage: Damage[];
}

interface Damage {
  readonly from: number;
  to: number;
  readonly problem: string;
  /** Whether bytes follow that are no record, up to the end of the newest segment: a write that was cut short. */
  readonly torn: boolean;
  /** The blob, where that is known. */
  digest?: string;
  /** Entries of the index that count on it. */
  live: number;
}

/** The damaged place, of those in order, in which something lies. */
function placeOf(damage: readonly Damage[], offset: number): Damage | undefined {
  let low = 0;
  let high = damage.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (damage[middle].to <= offset) low = middle + 1;
    else high = middle;
  }
  const found = damage.at(low);
  return found !== undefined && found.from <= offset ? found : undefined;
}

/** What was seen of the segments. */
export class SegmentCheck {
  readonly #context: FsckContext;
  readonly #segments = new Map<number, Segment>();
  /** Good records that no entry names: blob key to place. */
  readonly #loose = new Map<string, string>();
  #looseDropped = 0;
  #damage = 0;
  #readBytes = 0;
  #totalBytes = 0;

  constructor(context: FsckContext) {
    this.#context = context;
  }

  /** Length of a segment; undefined when there is none. */
  sizeOf(id: number): number | undefined {
    return this.#segments.get(id)?.sizeBytes;
  }

  /** Good records of a segment to which their entries point. */
  confirmed(id: number): number {
    return this.#segments.get(id)?.confirmed ?? 0;
  }

  /** Whether a record that begins there is damaged. */
  isDamaged(id: number, offset: number): boolean {
    return placeOf(this.#segments.get(id)?.damage ?? [], offset) !== undefined;
  }

  /** Notes that the index counts on a blob there, in case that is damaged; whether it is. */
  claim(id: number, offset: number, digest: string): boolean {
    const damage = placeOf(this.#segments.get(id)?.damage ?? [], offset);
    if (damage === undefined) return false;
    damage.digest ??= digest;
    damage.live++;
    return true;
  }

  /** Reads all segments. */
  async read(): Promise<void> {
    const { files, dir, found, repair, quarantine } = this.#context;
    const segments: Segment[] = [];
    for (const { name, isDirectory } of await files.list(`${dir}/segments`)) {
      const id = isDirectory ? undefined : segmentIdOf(name);
      const path = `${dir}/segments/${name}`;
      if (id !== undefined) {
        segments.push({ id, sizeBytes: await files.size(path) ?? 0, confirmed: 0, damage: [] });
        continue;
      }
      const note = { where: `segments/${name}`, expected: "a segment", found: "a stray file" };
      const repaired = repair && !isDirectory
        ? await quarantine.keepFile(note, path) ?? "removed"
        : undefined;
      const problem = "it is no segment, and nothing of the store";
      found.add({
        area: "segments",
        level: "problem",
        where: note.where,
        problem,
        ...(repaired === undefined ? {} : { repaired: `set aside: ${repaired}` }),
      });
    }
    segments.sort((a, b) => a.id - b.id);
    this.#totalBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const window = new Uint8Array(WALK_BYTES);
    for (const segment of segments) {
      this.#segments.set(segment.id, segment);
      await this.#read(segment, segment === segments.at(-1), window);
    }
  }

  async #read(segment: Segment, isLast: boolean, window: Uint8Array): Promise<void> {
    const { files, dir, found, repair } = this.#context;
    const where = `segments/${segmentName(segment.id)}`;
    if (segment.sizeBytes < SEGMENT_HEADER_BYTES) {
      const problem = `it has ${segment.sizeBytes} bytes: its making was cut short`;
      found.add({ area: "segments", level: "note", where, problem });
      segment.sizeBytes = 0;
      if (repair) await files.remove(`${dir}/${where}`);
      return;
    }
    found.counts.segments++;
    const file = await files.open(`${dir}/${where}`, repair ? "update" : "read");
    try {
      await this.#header(segment, file, where);
      await this.#walk(segment, isLast, file, window);
    } finally {
      file.close();
    }
  }

  async #header({ id }: Segment, file: StoreFile, where: string): Promise<void> {
    const { found, repair } = this.#context;
    const header = new Uint8Array(SEGMENT_HEADER_BYTES);
    await readFully(file, header, 0);
    const fault = segmentHeaderFault(header, id);
    if (fault === undefined) return;
    if (repair) {
      await writeAll(file, encodeSegmentHeader(id), 0);
      await file.syncData();
    }
    found.add({
      area: "segments",
      level: "problem",
      where: `${where} at 0`,
      problem: `its header is damaged: ${fault}`,
      ...(repair ? { repaired: "written again" } : {}),
    });
  }

  async #walk(segment: Segment, isLast: boolean, file: StoreFile, window: Uint8Array): Promise<void> {
    const { salt, onProgress, signal } = this.#context;
    await walkSegment({
      file,
      start: SEGMENT_HEADER_BYTES,
      end: segment.sizeBytes,
      salt,
      window,
      onRead: (bytes) => {
        this.#readBytes += bytes;
        onProgress({ area: "segments", done: this.#readBytes, total: this.#totalBytes, unit: "bytes" });
        return Promise.resolve();
      },
      onRecord: (record, offset, length) => this.#record(segment, record, offset, length),
      onDamage: (offset, length) => {
        const torn = isLast && offset + length === segment.sizeBytes;
        const problem = `${length} bytes are no record`;
        this.#damaged(segment, { from: offset, to: offset + length, problem, torn, live: 0 });
      },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #damaged(segment: Segment, damage: Damage): void {
    const last = segment.damage.at(-1);
    if (++this.#damage > MAX_DAMAGE && last !== undefined) last.to = damage.to;
    else segment.damage.push(damage);
  }

  async #record(segment: Segment, record: Record, offset: number, length: number): Promise<void> {
    const { index, found, signal } = this.#context;
    const fn = digestFunctionByValue(record.fnValue);
    if (fn === undefined || fn.hashBytes !== record.hash.length) return;
    const hash = record.hash.toHex() as HashHex;
    const key = `${record.fnValue}:${hash}`;
    if (record.kind === RecordKind.TOMBSTONE) {
      this.#loose.delete(key);
      return;
    }
    const digest = `${hash}/${record.sizeBytes}`;
    const problem = await contentFault(record, fn, hash, signal);
    if (problem !== undefined) {
      this.#damaged(segment, {
        from: offset,
        to: offset + length,
        problem,
        torn: false,
        digest,
        live: 0,
      });
      return;
    }
    found.counts.records++;
    found.counts.recordBytes += length;
    const location = index?.find(record.fnValue, record.hash);
    if (
      location?.segment === segment.id && location.offset === offset &&
      location.sizeBytes === record.sizeBytes
    ) {
      segment.confirmed++;
      this.#loose.delete(key);
    } else if (index !== undefined && location === undefined && this.#isKnown(segment.id, offset)) {
      if (this.#loose.size < MAX_LOOSE) {
        this.#loose.set(key, `${segmentName(segment.id)} at ${offset} (${digest})`);
      } else this.#looseDropped++;
    }
  }

  /** Whether the index should know of a record there. */
  #isKnown(segment: number, offset: number): boolean {
    const position = this.#context.index?.position;
    if (position === undefined) return false;
    return segment < position.segment || (segment === position.segment && offset < position.offset);
  }

  /** Tells of the damaged places, now that the index has said what it counts on, and repairs them. */
  async settle(): Promise<void> {
    const { index, found, clean } = this.#context;
    for (const segment of this.#segments.values()) {
      if (segment.damage.length > 0) await this.#mend(segment);
    }
    if (index === undefined) return;
    const loose = this.#loose.size + this.#looseDropped;
    if (loose === 0) return;
    if (clean) found.rebuild = true;
    const [example] = this.#loose.values();
    found.add({
      area: "index",
      level: clean ? "problem" : "note",
      where: "index",
      problem: `${loose} good records are not in it, such as ${example}`,
      ...(clean && this.#context.repair ? { repaired: "the index was made anew" } : {}),
    });
  }

  async #mend(segment: Segment): Promise<void> {
    const { files, dir, found, repair, index } = this.#context;
    const name = segmentName(segment.id);
    const file = await files.open(`${dir}/segments/${name}`, repair ? "update" : "read");
    try {
      for (const damage of segment.damage) {
        const { from, problem, torn, digest, live } = damage;
        // Without an index nobody knows what was there.
        const counts = live > 0 || (index === undefined && !torn);
        const repaired = repair ? await this.#fill(segment, file, damage) : undefined;
        const blobs = live > 1 ? ` (${live} blobs)` : "";
        const what = counts ? blobs : torn ? ": a write that was cut short" : ", and nothing counts on it";
        found.add({
          area: "segments",
          level: counts ? "problem" : "note",
          where: `segments/${name} at ${from}`,
          problem: `${problem}${what}`,
          ...(digest === undefined ? {} : { digest }),
          ...(repaired === undefined ? {} : { repaired }),
        });
        if (counts) found.rebuild = true;
      }
      if (repair) await file.syncData();
    } finally {
      file.close();
    }
  }

  /** Sets damaged bytes aside, and puts records in their place that say nothing; a torn tail is cut off. */
  async #fill(
    segment: Segment,
    file: StoreFile,
    { from, to, problem, torn, digest }: Damage,
  ): Promise<string | undefined> {
    const { quarantine, salt } = this.#context;
    const cut = torn || to >= segment.sizeBytes;
    // Shorter than any record, so nothing was lost there.
    if (!cut && to - from < recordBytes(0, 0)) return undefined;
    const bytes = new Uint8Array(Math.min(to - from, MAX_ASIDE_BYTES));
    let read = 0;
    try {
      read = await readFully(file, bytes, from);
    } catch (error) {
      // What the disk cannot read cannot be set aside.
      if (systemCode(error) !== "EIO") throw error;
    }
    const where = `segments/${segmentName(segment.id)} at ${from}`;
    const kept = await quarantine.keepBytes(
      { where, expected: "records", found: problem, ...(digest === undefined ? {} : { digest }) },
      bytes.subarray(0, read),
    );
    const aside = kept === undefined ? "not set aside" : "set aside";
    if (cut) {
      await file.truncate(from);
      segment.sizeBytes = from;
      return `cut off, ${aside}`;
    }
    for (let at = from; at < to;) {
      const left = to - at;
      const most = recordBytes(0, MAX_RECORD_DATA);
      // What is left must have room for a record of its own.
      const length = left <= most ? left : left - most >= recordBytes(0, 0) ? most : left - recordBytes(0, 0);
      await writeAll(file, filler(length, salt), at);
      at += length;
    }
    return `emptied, ${aside}`;
  }
}

/** A record of a length that says nothing: a tombstone of no digest function. */
function filler(length: number, salt: Uint8Array): Uint8Array {
  const record = new Uint8Array(length);
  const data = new Uint8Array(length - recordBytes(0, 0));
  const none = new Uint8Array(0);
  encodeRecord(record, 0, { kind: RecordKind.TOMBSTONE, fnValue: 0, hash: none, sizeBytes: 0, data }, salt);
  return record;
}
