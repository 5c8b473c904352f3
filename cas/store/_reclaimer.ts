/**
 * Takes segments and files away: the hands of the evictor.
 *
 * @module
 */

import { BrokkrError, Code, type Logger, Slices, throwIfAborted } from "@brokkr/common";
import type { Digest, DigestFunction, HashHex } from "../digest.ts";
import type { GoneReason } from "../store_keeper.ts";
import type { BlobReader } from "./_blob_reader.ts";
import type { EvictionLog } from "./_eviction_log.ts";
import type { EvictionRule, Tally } from "./_eviction_plan.ts";
import { type Record, recordBytes } from "./_record.ts";
import type { Recovered } from "./_recover.ts";
import { segmentName } from "./_segment_header.ts";
import type { SegmentInfo, SegmentLog } from "./_segment_log.ts";
import type { StoreTime } from "./_store_time.ts";
import { type BlobLocation, FILE_SEGMENT, type TableEntry } from "./membership_table.ts";

/** Blobs and bytes copied at a time: enough for groups worth syncing, few enough to keep readers waiting for no thread. */
const MOVE_BLOBS = 256;
const MOVE_BYTES = 2 << 20;
/** Files looked up at a time. */
const MAX_FILES = 20_000;
/** Records listed at a time that are to be copied: some 30 MB. */
const MAX_KEPT = 200_000;
/** Records that are put in order at a time lie within so many bytes of a segment. */
const ORDER_BYTES = 256 << 10;
/** Changes told to the index before it is asked to write them. */
const FLUSH_CHANGES = 50_000;

/** What a {@linkcode Reclaimer} works with. */
export interface ReclaimerOptions {
  readonly state: Recovered;
  readonly segments: SegmentLog;
  readonly reader: BlobReader;
  readonly gone: EvictionLog;
  readonly time: StoreTime;
  readonly log: Logger;
  /** Runs something when no other change of the blob is under way. */
  readonly alone: (digest: Digest, run: () => Promise<void>) => Promise<void>;
  /** Called when blobs went. */
  readonly onGone: () => void;
}

/** What was taken away. */
export interface Reclaimed {
  blobs: number;
  /** Theirs on disk. */
  bytes: number;
  freedBytes: number;
  copiedBytes: number;
  readonly broken: Tally;
}

/** Told of each blob that goes; says what is noted as the reason. */
export type Note = (
  blob: { readonly bytes: number; readonly usedS: number; readonly broken: boolean },
) => GoneReason;

interface Kept {
  readonly fn: DigestFunction;
  readonly hash: HashHex;
  readonly location: BlobLocation;
  readonly usedS: number;
}

/** What of a segment is to be copied, in stretches: millions put in order at once would hold up everything else. */
type Stretches = (Kept[] | undefined)[];

/** What a blob takes on disk. */
export function cost(fn: DigestFunction, { segment, sizeBytes, storedBytes }: BlobLocation): number {
  return segment === FILE_SEGMENT ? sizeBytes : recordBytes(fn.hashBytes, storedBytes);
}

/** Takes segments and files away. */
export class Reclaimer {
  readonly #options: ReclaimerOptions;

  constructor(options: ReclaimerOptions) {
    this.#options = options;
  }

  /**
   * Removes segments, none of them the newest. What `rule` lets go goes; what stays is copied. Without a rule everything
   * stays.
   */
  async segments(
    infos: readonly Readonly<SegmentInfo>[],
    rule: EvictionRule | undefined,
    note: Note | undefined,
    signal: AbortSignal,
    onFreed?: () => void,
  ): Promise<Reclaimed> {
    const done: Reclaimed = {
      blobs: 0,
      bytes: 0,
      freedBytes: 0,
      copiedBytes: 0,
      broken: { blobs: 0, bytes: 0 },
    };
    const copied = new Map<number, number>(infos.map(({ id }) => [id, 0]));
    for (let left = infos; left.length > 0;) {
      const kept = new Map<number, Stretches>(left.map(({ id }) => [id, []]));
      const cut = await this.#sort(kept, rule, note, done, signal);
      for (const info of left) {
        throwIfAborted(signal);
        const copiedBytes = await this.#moveAll(inOrder(kept.get(info.id) ?? []), signal);
        done.copiedBytes += copiedBytes;
        const sum = (copied.get(info.id) ?? 0) + copiedBytes;
        copied.set(info.id, sum);
        if (cut.has(info.id) || !await this.#remove(info)) continue;
        done.freedBytes += info.sizeBytes - sum;
        onFreed?.();
      }
      left = left.filter(({ id }) => cut.has(id));
    }
    return done;
  }

  /** Removes files that `rule` lets go, those unused for longest first, until `bytes` are freed. */
  async files(rule: EvictionRule, bytes: number, note: Note, signal: AbortSignal): Promise<Reclaimed> {
    const { state: { catalog } } = this.#options;
    const done: Reclaimed = {
      blobs: 0,
      bytes: 0,
      freedBytes: 0,
      copiedBytes: 0,
      broken: { blobs: 0, bytes: 0 },
    };
    const found: { readonly digest: Digest; readonly usedS: number }[] = [];
    const slices = new Slices(signal);
    for (const part of catalog.parts()) {
      part((fn, entry) => {
        if (entry.segment !== FILE_SEGMENT || found.length >= MAX_FILES) return;
        if (rule.verdict(entry.usedS, entry.pinnedUntilMs) === "keep") return;
        const hash = entry.hash.toHex() as HashHex;
        found.push({ digest: { fn, hash, sizeBytes: entry.sizeBytes }, usedS: entry.usedS });
      });
      if (slices.spent) await slices.next();
    }
    found.sort((a, b) => a.usedS - b.usedS);
    for (const { digest } of found) {
      if (done.freedBytes >= bytes) break;
      throwIfAborted(signal);
      await this.#removeFile(digest, rule, note, done);
    }
    if (done.blobs > 0) this.#options.onGone();
    return done;
  }

  /** Finds what lies in the segments: drops what goes, lists what stays. Returns the segments of which not all is listed. */
  async #sort(
    kept: Map<number, Stretches>,
    rule: EvictionRule | undefined,
    note: Note | undefined,
    done: Reclaimed,
    signal: AbortSignal,
  ): Promise<Set<number>> {
    const { state: { catalog, index } } = this.#options;
    const slices = new Slices(signal);
    const cut = new Set<number>();
    let changes = 0;
    let listed = 0;
    for (const part of catalog.parts()) {
      part((fn, entry) => {
        const staying = kept.get(entry.segment);
        if (staying === undefined) return false;
        const verdict = rule?.verdict(entry.usedS, entry.pinnedUntilMs) ?? "keep";
        if (verdict === "keep" || note === undefined) {
          const { segment, offset, sizeBytes, storedBytes, usedS } = entry;
          if (listed++ >= MAX_KEPT) {
            cut.add(segment);
            return false;
          }
          const hash = entry.hash.toHex() as HashHex;
          const stretch = staying[Math.floor(offset / ORDER_BYTES)] ??= [];
          stretch.push({ fn, hash, location: { segment, offset, sizeBytes, storedBytes }, usedS });
          return false;
        }
        changes++;
        this.#forget(fn, entry, verdict === "break", note, done);
        return true;
      });
      if (changes >= FLUSH_CHANGES) {
        changes = 0;
        await index.flush();
        await this.#options.gone.flush();
      }
      if (slices.spent) await slices.next();
    }
    if (done.blobs > 0) {
      await this.#options.gone.flush();
      this.#options.onGone();
    }
    return cut;
  }

  /** All but the catalog forgets a blob that goes. */
  #forget(fn: DigestFunction, entry: TableEntry, broken: boolean, note: Note, done: Reclaimed): void {
    const { state: { index }, reader, gone, time } = this.#options;
    const { hash, sizeBytes, usedS } = entry;
    const bytes = cost(fn, entry);
    reader.forget(entry);
    index.delete(fn.value, hash);
    const reason = note({ bytes, usedS, broken });
    gone.add(fn, hash, sizeBytes, reason, time.now(), usedS);
    done.blobs++;
    done.bytes += bytes;
    if (!broken) return;
    done.broken.blobs++;
    done.broken.bytes += bytes;
  }

  async #moveAll(kept: Iterator<Kept>, signal: AbortSignal): Promise<number> {
    let copied = 0;
    for (;;) {
      throwIfAborted(signal);
      const batch: Kept[] = [];
      let bytes = 0;
      while (batch.length < MOVE_BLOBS && bytes < MOVE_BYTES) {
        const next = kept.next();
        if (next.done === true) break;
        bytes += next.value.location.storedBytes;
        batch.push(next.value);
      }
      if (batch.length === 0) return copied;
      const slices = new Slices(signal);
      const moves: Promise<number>[] = [];
      for (const one of batch) {
        moves.push(this.#move(one));
        if (slices.spent) await slices.next();
      }
      // All of them, also when one fails: nothing may go on behind the caller's back.
      for (const result of await Promise.allSettled(moves)) {
        if (result.status === "rejected") throw result.reason;
        copied += result.value;
      }
    }
  }

  /** Copies one record to the log's end, unless it is gone or elsewhere by now. */
  async #move({ fn, hash, location, usedS }: Kept): Promise<number> {
    const { state: { catalog }, segments, reader, alone } = this.#options;
    const { segment, offset, sizeBytes } = location;
    const digest: Digest = { fn, hash, sizeBytes };
    const raw = Uint8Array.fromHex(hash);
    const isThere = () => {
      const now = catalog.findRaw(fn, raw);
      return now?.segment === segment && now.offset === offset;
    };
    let copied = 0;
    await alone(digest, async () => {
      if (!isThere()) return;
      let record: Record;
      try {
        record = await reader.readRecord(digest, location);
      } catch (error) {
        // A damaged record does not come along: it was dropped, and said so.
        if (
          error instanceof BrokkrError && (error.code === Code.DATA_LOSS || error.code === Code.NOT_FOUND)
        ) return;
        throw error;
      }
      await segments.append(fn.hashBytes, record.data.length, () => {
        if (!isThere()) return undefined;
        copied = recordBytes(fn.hashBytes, record.data.length);
        return { ...record, usedS };
      });
    });
    return copied;
  }

  async #remove(info: Readonly<SegmentInfo>): Promise<boolean> {
    const { state: { catalog, index }, segments, log } = this.#options;
    // After a crash nobody would read there any more that blobs were deleted, which lie in segments that stay. Where the
    // index cannot be written, on a full disk say, room counts more.
    if (info.id >= index.position.segment) await index.flush();
    const left = catalog.segmentUse(info.id).records;
    if (left > 0) {
      log.warn("A segment stays since not all of it could be copied", {
        segment: segmentName(info.id),
        left,
      });
      return false;
    }
    await segments.remove(info.id);
    return true;
  }

  async #removeFile(digest: Digest, rule: EvictionRule, note: Note, done: Reclaimed): Promise<void> {
    const { state: { catalog, index, blobs }, reader, alone } = this.#options;
    const { fn } = digest;
    await alone(digest, async () => {
      const entry = catalog.entry(fn, Uint8Array.fromHex(digest.hash));
      if (entry === undefined || entry.segment !== FILE_SEGMENT) return;
      const verdict = rule.verdict(entry.usedS, entry.pinnedUntilMs);
      if (verdict === "keep") return;
      // First, so that nobody finds the file gone where the catalog says that it is there.
      reader.drop(digest);
      this.#forget(fn, entry, verdict === "break", note, done);
      try {
        await blobs.unlink(fn, digest.hash);
      } catch (error) {
        catalog.set(fn, entry.hash, entry, entry.usedS);
        index.put(fn.value, entry.hash, entry, entry.usedS);
        throw error;
      }
      done.freedBytes += entry.sizeBytes;
    });
  }
}

/** What is to be copied, as it lies in its segment. */
function* inOrder(stretches: Stretches): Generator<Kept, void, undefined> {
  for (const stretch of stretches) {
    // There is none where nothing stays.
    if (stretch !== undefined) yield* stretch.sort((a, b) => a.location.offset - b.location.offset);
  }
}
