/**
 * The index of a stopped store: read as it is, and compared with segments and files.
 *
 * @module
 */

import { Slices, throwIfAborted } from "@brokkr/common";
import { type DigestFunction, digestFunctionByValue, formatDigest, type HashHex } from "../digest.ts";
import { LmdbEnv } from "../metadata/lmdb_env.ts";
import type { FsckContext } from "./_fsck_report.ts";
import type { SegmentCheck } from "./_fsck_segments.ts";
import { recordFault } from "./_look.ts";
import { decodeRecord, recordBytes } from "./_record.ts";
import { segmentName } from "./_segment_header.ts";
import { decodeValue } from "./_index_queue.ts";
import type { LogPosition } from "./_segment_log.ts";
import { readFully, type StoreFile } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT } from "./membership_table.ts";

const ID_KEY = Uint8Array.of(0, 1);
const POSITION_KEY = Uint8Array.of(0, 2);
const BLOB = 1;

/** An entry of the index, or why it is none. */
export interface IndexEntry {
  readonly fn: DigestFunction | undefined;
  readonly hash: HashHex;
  readonly location: BlobLocation | undefined;
}

/** Reads the index. */
export class BlobIndexReader implements AsyncDisposable {
  readonly #env: LmdbEnv;
  /** The id of its store. */
  readonly id: string | undefined;
  /** Everything before this place of the log is in it. */
  readonly position: LogPosition | undefined;

  private constructor(env: LmdbEnv) {
    this.#env = env;
    const id = env.get(ID_KEY);
    this.id = id === undefined ? undefined : new TextDecoder().decode(id);
    const position = env.get(POSITION_KEY);
    if (position === undefined || position.length < 12) return;
    const view = new DataView(position.buffer, position.byteOffset, position.length);
    this.position = { segment: view.getUint32(0, true), offset: view.getFloat64(4, true) };
  }

  /**
   * Opens the index in `dir`.
   *
   * @throws {BrokkrError} DATA_LOSS when it is damaged.
   */
  static open(dir: string): BlobIndexReader {
    return new BlobIndexReader(LmdbEnv.open(dir));
  }

  /** Where a blob lies. */
  find(fnValue: number, hash: Uint8Array): BlobLocation | undefined {
    const key = new Uint8Array(hash.length + 2);
    key[0] = BLOB;
    key[1] = fnValue;
    key.set(hash, 2);
    const value = this.#env.get(key);
    return value === undefined ? undefined : decodeValue(value)?.location;
  }

  /** All entries, some at a time. */
  async *entries(): AsyncGenerator<IndexEntry[], void, undefined> {
    for await (const slice of this.#env.entries(Uint8Array.of(BLOB))) {
      yield slice.map(({ key, value }) => {
        const fn = digestFunctionByValue(key[1]);
        const right = fn !== undefined && key.length === fn.hashBytes + 2;
        return {
          fn: right ? fn : undefined,
          hash: key.subarray(2).toHex() as HashHex,
          location: decodeValue(value)?.location,
        };
      });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#env[Symbol.asyncDispose]();
  }
}

/** Compares every entry with what is where it points. */
export async function checkIndex(context: FsckContext, segments: SegmentCheck): Promise<void> {
  const { index, found, onProgress, signal } = context;
  if (index === undefined) return;
  const pointing = new Map<number, number>();
  for await (const slice of index.entries()) {
    throwIfAborted(signal);
    for (const entry of slice) {
      found.counts.entries++;
      const segment = await checkEntry(context, segments, entry);
      if (segment !== undefined) pointing.set(segment, (pointing.get(segment) ?? 0) + 1);
    }
    onProgress({ area: "index", done: found.counts.entries, total: undefined, unit: "entries" });
  }
  // Every good record that its entry points to was counted. Where more entries point, some of them point beside.
  const suspects = new Set<number>();
  for (const [segment, count] of pointing) {
    if (count !== segments.confirmed(segment)) suspects.add(segment);
  }
  if (suspects.size > 0) await checkRecords(context, segments, suspects);
}

/** Looks at an entry as far as that is cheap; the segment that it points to, if there is nothing against that. */
async function checkEntry(
  context: FsckContext,
  segments: SegmentCheck,
  { fn, hash, location }: IndexEntry,
): Promise<number | undefined> {
  const { files, dir, clean, found } = context;
  const digest = fn === undefined ? hash : formatDigest({ fn, hash, sizeBytes: location?.sizeBytes ?? 0 });
  const add = (problem: string, level: "problem" | "note" = "problem") => {
    if (fn !== undefined) found.lose(fn.value, hash);
    if (level === "problem") found.rebuild = true;
    found.add({ area: "index", level, where: "index", problem, digest, ...fixed(context, level) });
  };
  if (fn === undefined || location === undefined || !Number.isSafeInteger(location.sizeBytes)) {
    add("an entry is none: its key or value is malformed");
    return undefined;
  }
  // What was dropped just before a crash is dropped again when the store is opened.
  const gone = clean ? "problem" : "note";
  if (location.segment === FILE_SEGMENT) {
    // A file that was found damaged was told of, and may have been set aside.
    if (found.lost.has(`${fn.value}:${hash}`)) return undefined;
    const size = await files.size(`${dir}/blobs/${fn.segment}/${hash.slice(0, 2)}/${hash}`);
    if (size === undefined) add("its file is gone", gone);
    else if (size !== location.sizeBytes) add(`its file has ${size} bytes instead of ${location.sizeBytes}`);
    return undefined;
  }
  const end = segments.sizeOf(location.segment);
  const where = `${segmentName(location.segment)} at ${location.offset}`;
  if (end === undefined) add(`its segment is gone (${where})`, gone);
  else if (location.offset + recordBytes(fn.hashBytes, 0) > end) {
    add(`it lies beyond the end of its segment (${where})`);
  } else if (segments.claim(location.segment, location.offset, digest)) found.lose(fn.value, hash);
  else return location.segment;
  return undefined;
}

/** Looks at the record of every entry that points into one of these segments. */
async function checkRecords(
  context: FsckContext,
  segments: SegmentCheck,
  suspects: ReadonlySet<number>,
): Promise<void> {
  const { index, files, dir, salt, found, signal } = context;
  if (index === undefined) return;
  const slices = new Slices(signal);
  let open: { readonly id: number; readonly file: StoreFile } | undefined;
  try {
    for await (const slice of index.entries()) {
      for (const { fn, hash, location } of slice) {
        if (fn === undefined || location === undefined || !suspects.has(location.segment)) continue;
        const { segment, offset, sizeBytes, storedBytes } = location;
        const end = segments.sizeOf(segment) ?? 0;
        const length = recordBytes(fn.hashBytes, storedBytes);
        if (segments.isDamaged(segment, offset) || offset + recordBytes(fn.hashBytes, 0) > end) continue;
        if (open?.id !== segment) {
          open?.file.close();
          open = { id: segment, file: await files.open(`${dir}/segments/${segmentName(segment)}`, "read") };
        }
        const digest = { fn, hash, sizeBytes };
        // A size that is wrong may be any number.
        const bytes = new Uint8Array(Math.max(0, Math.min(length, end - offset)));
        const read = await readFully(open.file, bytes, offset);
        const problem = recordFault(decodeRecord(bytes.subarray(0, read), 0, salt), digest);
        if (problem !== undefined) {
          found.rebuild = true;
          found.add({
            area: "index",
            level: "problem",
            where: "index",
            digest: formatDigest(digest),
            problem: `its entry points to ${segmentName(segment)} at ${offset}, where ${problem}`,
            ...fixed(context, "problem"),
          });
        }
        if (slices.spent) await slices.next();
      }
    }
  } finally {
    open?.file.close();
  }
}

function fixed({ repair }: FsckContext, level: "problem" | "note"): { repaired?: string } {
  return repair && level === "problem" ? { repaired: "the index was made anew" } : {};
}
