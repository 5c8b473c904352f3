/**
 * One round of the scrubber: reads all that a store holds, and has what is damaged dealt with.
 *
 * First the segments, record by record, then the files, by name, then whether the file of every blob is there. Only what
 * the catalog locates where it lies counts: garbage may be what it likes. A segment whose records cannot all be found is
 * compared with the catalog, since damage may have taken the names with it.
 *
 * @module
 */

import {
  BrokkrError,
  type ByteBudget,
  type ByteLease,
  Code,
  type Logger,
  Slices,
  throwIfAborted,
} from "@brokkr/common";
import {
  type Digest,
  DIGEST_FUNCTIONS,
  type DigestFunction,
  digestFunctionByValue,
  type HashHex,
} from "../digest.ts";
import type { DamagedBlob } from "../store_keeper.ts";
import { contentFault, type Fault, lookAtFile, lookAtRecord, recordFault } from "./_look.ts";
import type { Mender, Outcome } from "./_mender.ts";
import type { Pace } from "./_pace.ts";
import { type Record, RecordKind } from "./_record.ts";
import type { Recovered } from "./_recover.ts";
import { SEGMENT_HEADER_BYTES, segmentName } from "./_segment_header.ts";
import type { SegmentInfo, SegmentLog } from "./_segment_log.ts";
import { WALK_BYTES, walkSegment } from "./_segment_walk.ts";
import { type FileLayer, hasCode, type StoreFile } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT } from "./membership_table.ts";

/** Damaged places of one segment that are kept apart; beyond, they are taken for one. */
const MAX_RANGES = 4096;
/** Blobs taken out of the catalog at once to be looked at one by one. */
const BATCH = 4096;
/** What looking whether a file is there counts for, in bytes. */
const LOOK_BYTES = 4096;
/** Blobs that the disk cannot read, one after the other, after which it is the disk that is given up and no blob. */
const MAX_UNREADABLE = 64;

/** Where a round is: everything up to and with this was looked at. */
export interface ScrubPosition {
  /** Segments up to this number; all of them once files are looked at. */
  readonly segment: number;
  /** Files up to this one, `<fn>/<2 hex>/<hash>`; "" before the first. */
  readonly file: string;
}

/** What a round works with. */
export interface ScrubRoundOptions {
  readonly state: Pick<Recovered, "catalog" | "blobs" | "salt">;
  readonly segments: Pick<SegmentLog, "segments" | "read">;
  readonly mender: Mender;
  readonly files: FileLayer;
  /** The store's directory. */
  readonly dir: string;
  readonly budget: ByteBudget;
  readonly log: Logger;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** Where to begin. */
  readonly from: ScrubPosition;
  /** Called with the bytes of each piece that is read. */
  readonly onBytes: (bytes: number) => void;
  /** Called for each blob that is right. */
  readonly onBlob: () => void;
  /** Called for each that is not. */
  readonly onDamaged: (damaged: DamagedBlob) => void;
  /** Called when a segment or a file is done. */
  readonly onPosition: (position: ScrubPosition) => void;
}

/** Number that stands for all segments. */
export const ALL_SEGMENTS = 0xffffffff;

/** One round. */
export class ScrubRound {
  readonly #options: ScrubRoundOptions;
  /** Blobs that the disk could not read since one that it could. They are not condemned before it can read again. */
  #unreadable: Digest[] = [];

  constructor(options: ScrubRoundOptions) {
    this.#options = options;
  }

  /**
   * Goes on to the end.
   *
   * @throws {BrokkrError} UNAVAILABLE when the disk can read nothing any more; what the signal was aborted with.
   */
  async run(): Promise<void> {
    const { state, from, segments, onPosition } = this.#options;
    await state.catalog.loaded;
    if (from.file === "" && from.segment < ALL_SEGMENTS) {
      using _lease = await this.#memory();
      const window = new Uint8Array(WALK_BYTES);
      for (const { id } of segments.segments) {
        if (id <= from.segment) continue;
        await this.#segment(id, window);
        onPosition({ segment: id, file: "" });
      }
    }
    await this.#files(from.file);
    await this.#lostFiles();
    await this.#judgeUnreadable();
  }

  /** Memory for the walk through segments; where the budget is smaller than that, it is taken beside it. */
  async #memory(): Promise<ByteLease | undefined> {
    const { budget, signal } = this.#options;
    return budget.limitBytes < 4 * WALK_BYTES ? undefined : await budget.acquire(WALK_BYTES, signal);
  }

  async #read(bytes: number): Promise<void> {
    await this.#options.pace.take(bytes);
    this.#options.onBytes(bytes);
  }

  async #segment(id: number, window: Uint8Array): Promise<void> {
    const { segments, files, dir, state, signal } = this.#options;
    const info = segments.segments.find((segment) => segment.id === id);
    // Evicted since the round began.
    if (info === undefined) return;
    const end = info.sizeBytes;
    const isLast = segments.segments.at(-1)?.id === id;
    let file: StoreFile | undefined;
    try {
      file = await files.open(`${dir}/segments/${segmentName(id)}`, "read");
    } catch (error) {
      if (!hasCode(error, "ENOENT") && !hasCode(error, "EIO")) throw error;
    }
    const ranges: [number, number][] = file === undefined ? [[0, end]] : [];
    let seen = 0;
    try {
      if (file !== undefined) {
        await walkSegment({
          file,
          start: SEGMENT_HEADER_BYTES,
          end,
          salt: state.salt,
          window,
          signal,
          onRead: (bytes) => this.#read(bytes),
          onRecord: async (record, offset) => {
            if (await this.#record(record, id, offset)) seen++;
          },
          onDamage: (offset, length) => {
            if (ranges.length < MAX_RANGES) ranges.push([offset, offset + length]);
            else ranges[ranges.length - 1][1] = offset + length;
          },
        });
      }
    } finally {
      file?.close();
    }
    await this.#compare({ id, sizeBytes: end }, isLast, seen, ranges);
  }

  /** Looks at a record; whether it is where the catalog says that its blob lies. */
  async #record(record: Record, segment: number, offset: number): Promise<boolean> {
    const { catalog } = this.#options.state;
    const fn = digestFunctionByValue(record.fnValue);
    if (record.kind !== RecordKind.BLOB || fn === undefined || fn.hashBytes !== record.hash.length) {
      return false;
    }
    const location = catalog.findRaw(fn, record.hash);
    if (location === undefined || location.segment !== segment || location.offset !== offset) return false;
    const digest = { fn, hash: record.hash.toHex() as HashHex, sizeBytes: location.sizeBytes };
    const right = recordFault(record, digest) === undefined &&
      await contentFault(record, fn, digest.hash, this.#options.signal) === undefined;
    if (right) await this.#good();
    else await this.#judgeRecord(digest, location, 1);
    return true;
  }

  /** Looks one by one at the blobs of a segment that the walk through it did not meet. */
  async #compare(
    info: SegmentInfo,
    isLast: boolean,
    seen: number,
    ranges: [number, number][],
  ): Promise<void> {
    const { catalog } = this.#options.state;
    const damaged = ({ segment, offset }: BlobLocation) =>
      segment === info.id && ranges.some(([from, to]) => offset >= from && offset < to);
    const hidden = ranges.length === 0 ? 0 : await this.#each(damaged, (digest) => this.#suspect(digest));
    // What an entry of the catalog says may be wrong, too. The last segment grows meanwhile.
    if (isLast || seen + hidden >= catalog.segmentUse(info.id).records) return;
    await this.#each(
      ({ segment, offset }) => segment === info.id && offset < info.sizeBytes,
      (digest) => this.#suspect(digest),
    );
  }

  /** Does something with each blob of the catalog that is wanted; returns how many there were. */
  async #each(
    wanted: (location: BlobLocation) => boolean,
    run: (digest: Digest) => Promise<void>,
  ): Promise<number> {
    const slices = new Slices(this.#options.signal);
    let count = 0;
    let batch: Digest[] = [];
    const flush = async () => {
      const some = batch;
      batch = [];
      count += some.length;
      for (const digest of some) await run(digest);
    };
    for (const part of this.#options.state.catalog.parts()) {
      part((fn, entry) => {
        if (wanted(entry)) {
          batch.push({ fn, hash: entry.hash.toHex() as HashHex, sizeBytes: entry.sizeBytes });
        }
      });
      if (batch.length >= BATCH) await flush();
      if (slices.spent) await slices.next();
    }
    await flush();
    return count;
  }

  async #suspect(digest: Digest): Promise<void> {
    const location = this.#options.state.catalog.locate(digest);
    if (location !== undefined && location.segment !== FILE_SEGMENT) {
      await this.#judgeRecord(digest, location, 2);
    }
  }

  /** Reads a record again, once or twice, and has its blob condemned when it is wrong every time. */
  async #judgeRecord(digest: Digest, location: BlobLocation, times: 1 | 2, spares = true): Promise<void> {
    const { segments, state, mender } = this.#options;
    let fault: Fault | undefined;
    for (let i = 0; i < times; i++) {
      ({ fault } = await lookAtRecord(segments, state.salt, digest, location, "hash"));
      if (fault === undefined) return await this.#good();
    }
    if (fault === undefined || (spares && this.#spare(digest, fault))) return;
    await this.#damaged(digest, location, fault, mender.condemn(digest, location, fault));
  }

  async #damaged(
    digest: Digest,
    location: BlobLocation,
    { problem }: Fault,
    outcome: Promise<Outcome> | undefined,
  ): Promise<void> {
    const { mender, onDamaged } = this.#options;
    // It moved meanwhile, or was deleted.
    if (outcome === undefined) return;
    onDamaged({ digest, where: mender.where(digest, location), problem, outcome: await outcome });
  }

  async #good(): Promise<void> {
    this.#options.onBlob();
    if (this.#unreadable.length > 0) await this.#judgeUnreadable();
  }

  /** The disk reads: what it could not read before is the blobs' fault. */
  async #judgeUnreadable(): Promise<void> {
    const digests = this.#unreadable;
    this.#unreadable = [];
    for (const digest of digests) {
      const location = this.#options.state.catalog.locate(digest);
      if (location?.segment === FILE_SEGMENT) await this.#judgeFile(digest, location, false);
      else if (location !== undefined) await this.#judgeRecord(digest, location, 1, false);
    }
  }

  /** Whether a blob is not condemned yet, since it may be the disk that fails. */
  #spare(digest: Digest, { unreadable }: Fault): boolean {
    if (!unreadable) return false;
    this.#unreadable.push(digest);
    if (this.#unreadable.length > MAX_UNREADABLE) {
      throw new BrokkrError(
        Code.UNAVAILABLE,
        `The disk of ${this.#options.dir} can read none of ${MAX_UNREADABLE} blobs in a row, which is no fault of theirs: ` +
          "look into the kernel's log",
      );
    }
    return true;
  }

  async #files(after: string): Promise<void> {
    const { dir, onPosition } = this.#options;
    for (const fn of [...DIGEST_FUNCTIONS].sort((a, b) => a.segment < b.segment ? -1 : 1)) {
      for (const fan of await this.#names(`${dir}/blobs/${fn.segment}`, 2)) {
        if (`${fn.segment}/${fan}/~` <= after) continue;
        for (const name of await this.#names(`${dir}/blobs/${fn.segment}/${fan}`, 2 * fn.hashBytes)) {
          const at = `${fn.segment}/${fan}/${name}`;
          if (at <= after) continue;
          await this.#file(fn, name as HashHex);
          onPosition({ segment: ALL_SEGMENTS, file: at });
        }
      }
    }
  }

  /** Names of so many hex digits in a directory, sorted. */
  async #names(dir: string, length: number): Promise<string[]> {
    const entries = await this.#options.files.list(dir);
    return entries.map(({ name }) => name).filter((name) =>
      name.length === length && /^[0-9a-f]+$/.test(name)
    ).sort();
  }

  async #file(fn: DigestFunction, hash: HashHex): Promise<void> {
    const { state, files, signal } = this.#options;
    const location = state.catalog.find(fn, hash);
    if (location?.segment !== FILE_SEGMENT) return;
    const digest = { fn, hash, sizeBytes: location.sizeBytes };
    const path = state.blobs.path(fn, hash);
    const onPiece = (bytes: number) => this.#read(bytes);
    const { fault } = await lookAtFile({ files, path, digest, onPiece, signal });
    if (fault === undefined) await this.#good();
    else await this.#judgeFile(digest, location);
  }

  async #judgeFile(digest: Digest, location: BlobLocation, spares = true): Promise<void> {
    const judged = await this.#options.mender.judgeFile(
      digest,
      (fault) => spares && this.#spare(digest, fault),
    );
    if (judged === undefined) return;
    if (judged.fault === undefined) await this.#good();
    else await this.#damaged(digest, location, judged.fault, judged.outcome);
  }

  /** Looks whether the file of every blob that is one is there. */
  async #lostFiles(): Promise<void> {
    const { files, state, signal, pace } = this.#options;
    await this.#each(({ segment }) => segment === FILE_SEGMENT, async (digest) => {
      throwIfAborted(signal);
      await pace.take(LOOK_BYTES);
      if (await files.size(state.blobs.path(digest.fn, digest.hash)) !== undefined) return;
      const location = state.catalog.locate(digest);
      if (location?.segment === FILE_SEGMENT) await this.#judgeFile(digest, location);
    });
  }
}
