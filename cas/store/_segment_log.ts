/**
 * The segment log: small blobs and tombstones, appended to files and synced in groups.
 *
 * What comes while a group is being written and synced gathers in the next one, so that the more is under way, the
 * fewer syncs each blob costs. A record is acknowledged after the sync of its group and no earlier. When a write fails,
 * what it left is cut off again and the segment goes on. When a sync fails, nobody knows what of it is on disk and the
 * kernel forgets the failure, so the segment is given up: cut to what was synced before, and a new one begun.
 *
 * @module
 */

import { BrokkrError, ByteBudget, type Clock, Code, type Logger } from "@brokkr/common";
import type { Digest } from "../digest.ts";
import type { FileLayer, StoreFile } from "./file_layer.ts";
import { readFully, writeAll } from "./file_layer.ts";
import { Group } from "./_group.ts";
import { type Record, recordBytes } from "./_record.ts";
import { HandleCache } from "./_handles.ts";
import { storeError } from "./_store_error.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentName } from "./_segment_header.ts";

/** A place in the log: everything before it was seen. */
export interface LogPosition {
  /** Segment number. */
  readonly segment: number;
  /** Offset in it. */
  readonly offset: number;
}

/** A record that is durable now. */
export interface Committed {
  /** What it holds; `data` is not to be used any more. */
  readonly record: Record;
  /** Its segment. */
  readonly segment: number;
  /** Its offset there. */
  readonly offset: number;
  /** Its length on disk. */
  readonly length: number;
}

/** A segment as found on disk. */
export interface SegmentInfo {
  /** Its number. */
  readonly id: number;
  /** Where its good records end. */
  sizeBytes: number;
}

/** What the log is made with. */
export interface SegmentLogOptions {
  readonly files: FileLayer;
  /** Directory of the segments; it exists. */
  readonly dir: string;
  readonly salt: Uint8Array;
  readonly segmentBytes: number;
  readonly groupBytes: number;
  /** Most bytes that wait for a group. */
  readonly pendingBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called for each group as soon as it is durable, before its writers hear of it. */
  readonly onCommitted: (records: readonly Committed[], position: LogPosition) => void;
  /** Called with the size of each group and how long its write and sync took. */
  readonly onGroup?: (records: number, bytes: number, syncMs: number) => void;
  /** Segments found on disk, in order of their numbers. */
  readonly segments: readonly SegmentInfo[];
}

/** The segment that is appended to. */
interface Active {
  readonly info: SegmentInfo;
  readonly file: StoreFile;
  /** Where the segment before it ends, as long as its header does not say so. */
  previousEnd?: number;
}

/** Reads of at most so many bytes are made on the spot when the file is open: the page cache is faster than a thread. */
const SYNC_READ_BYTES = 64 << 10;
/** Group buffers kept for the next group. */
const SPARE_BUFFERS = 2;

/** The segment log. */
export class SegmentLog {
  readonly #options: SegmentLogOptions;
  readonly #segments = new Map<number, SegmentInfo>();
  readonly #handles: HandleCache;
  readonly #pending: ByteBudget;
  readonly #groups: Group[] = [];
  readonly #spare: Uint8Array[] = [];
  #active: Active | undefined;
  #lastId: number;
  /** Bytes of all segments but the last, which alone grows; undefined when it is to be summed up again. */
  #restBytes: number | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  /** A log over the segments found; the last of them goes on when `active` is its open file. */
  constructor(options: SegmentLogOptions) {
    this.#options = options;
    this.#pending = new ByteBudget(options.pendingBytes);
    this.#handles = new HandleCache(
      (id) => options.files.open(`${options.dir}/${segmentName(id)}`, "read"),
      256,
    );
    this.#lastId = 0;
    for (const info of options.segments) {
      this.#segments.set(info.id, info);
      this.#lastId = Math.max(this.#lastId, info.id);
    }
  }

  /** Goes on appending to the newest segment, if it has room and was found whole. */
  async resume(): Promise<void> {
    const info = this.#segments.get(this.#lastId);
    if (info === undefined || info.sizeBytes < SEGMENT_HEADER_BYTES) return;
    const file = await this.#options.files.open(`${this.#options.dir}/${segmentName(info.id)}`, "update");
    this.#active = { info, file };
  }

  /** How many segments there are. */
  get segmentCount(): number {
    return this.#segments.size;
  }

  /** File names of the segments. */
  get segmentNames(): string[] {
    return [...this.#segments.keys()].map(segmentName);
  }

  /** Bytes of all segments. */
  get diskBytes(): number {
    if (this.#restBytes === undefined) {
      this.#restBytes = 0;
      for (const { id, sizeBytes } of this.#segments.values()) {
        if (id !== this.#lastId) this.#restBytes += sizeBytes;
      }
    }
    return this.#restBytes + (this.#segments.get(this.#lastId)?.sizeBytes ?? 0);
  }

  /** Where the next record goes, at the earliest. */
  get position(): LogPosition {
    const info = this.#active?.info ?? this.#segments.get(this.#lastId);
    return info === undefined ? { segment: 0, offset: 0 } : { segment: info.id, offset: info.sizeBytes };
  }

  /**
   * Appends what `make` returns when there is room for `dataBytes` of data in memory; resolves when it is durable.
   * `make` is called in the turn in which its data is copied; undefined means that nothing is to be appended any more.
   * With a digest the copy is compared with that before it is written.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when the disk is full; UNAVAILABLE when it fails; INVALID_ARGUMENT when the
   * data has another digest.
   */
  async append(
    hashBytes: number,
    dataBytes: number,
    make: () => Record | undefined,
    digest?: Digest,
  ): Promise<void> {
    const length = recordBytes(hashBytes, dataBytes);
    using _share = await this.#pending.acquire(length);
    if (this.#closed) throw new BrokkrError(Code.UNAVAILABLE, "The store is closed");
    const record = make();
    if (record === undefined) return;
    let group = this.#groups.at(-1);
    if (group === undefined || group.turns || group.used + length > group.buffer.length) {
      group = new Group(this.#buffer(length));
      this.#groups.push(group);
    }
    const pending = group.add(record, this.#options.salt, digest);
    this.#running ??= this.#run();
    try {
      await group.done.promise;
    } catch (error) {
      throw pending.error ?? error;
    }
    if (pending.error !== undefined) throw pending.error;
  }

  /** The segments there are, oldest first; the last of them may still grow. */
  get segments(): readonly Readonly<SegmentInfo>[] {
    return [...this.#segments.values()].sort((a, b) => a.id - b.id);
  }

  /** Begins another segment, so that all there were before have others after them. */
  async turn(): Promise<void> {
    if (this.#closed) throw new BrokkrError(Code.UNAVAILABLE, "The store is closed");
    const group = new Group(new Uint8Array(0), true);
    this.#groups.push(group);
    this.#running ??= this.#run();
    await group.done.promise;
  }

  /**
   * Removes a segment. Never the newest: its number would be given again, and what an index says of it would be taken for
   * something else.
   */
  async remove(id: number): Promise<void> {
    if (id >= this.#lastId || id === this.#active?.info.id) {
      throw new BrokkrError(Code.INTERNAL, `Segment ${segmentName(id)} is the newest and cannot be removed`);
    }
    await this.#cutForGood(id - 1);
    const info = this.#segments.get(id);
    if (info === undefined) return;
    // First, so that nobody who looks whether all segments are there misses one that is meant to go.
    this.#segments.delete(id);
    this.#restBytes = undefined;
    this.#handles.drop(id);
    try {
      await this.#options.files.remove(`${this.#options.dir}/${segmentName(id)}`);
    } catch (error) {
      this.#segments.set(id, info);
      this.#restBytes = undefined;
      throw error;
    }
    // Once more: who was about to read may have opened it meanwhile, and its bytes would stay on the disk for that.
    this.#handles.drop(id);
  }

  /** The bytes of `length` at a place in the log, which may be fewer at the end of a file; read into `buffer` if it is given. */
  async read(
    segment: number,
    offset: number,
    length: number,
    buffer: Uint8Array = new Uint8Array(length),
  ): Promise<Uint8Array> {
    const active = this.#active;
    const file = active?.info.id === segment ? active.file : this.#handles.peek(segment);
    if (file !== undefined && length <= SYNC_READ_BYTES) {
      const read = file.readSync(buffer, offset);
      if (read === length) return buffer;
    }
    return buffer.subarray(0, await this.#handles.use(segment, (open) => readFully(open, buffer, offset)));
  }

  /** Waits for what is under way and closes. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#running !== undefined) await this.#running;
    this.#active?.file.close();
    this.#active = undefined;
    this.#handles.close();
  }

  #buffer(length: number): Uint8Array {
    if (length > this.#options.groupBytes) return new Uint8Array(length);
    return this.#spare.pop() ?? new Uint8Array(this.#options.groupBytes);
  }

  async #run(): Promise<void> {
    // A turn, so that all who call in this one share the first sync too.
    await Promise.resolve();
    for (;;) {
      const group = this.#groups.shift();
      if (group === undefined) {
        // In the same breath: a record that comes after this look must begin another run.
        this.#running = undefined;
        return;
      }
      try {
        if (group.turns) await this.#beginSegment();
        else await this.#commit(group);
        group.done.resolve();
      } catch (error) {
        group.done.reject(error);
      }
      if (group.buffer.length === this.#options.groupBytes && this.#spare.length < SPARE_BUFFERS) {
        this.#spare.push(group.buffer);
      }
    }
  }

  async #commit(group: Group): Promise<void> {
    group.seal();
    if (group.used === 0) return;
    const active = await this.#segmentFor(group.used);
    await this.#seal(active);
    const { info, file } = active;
    const start = info.sizeBytes;
    const startedMs = this.#options.clock.monotonicMs();
    try {
      await writeAll(file, group.buffer.subarray(0, group.used), start);
    } catch (error) {
      await this.#cut(info, file, start);
      throw this.#failure("write", info, error);
    }
    try {
      await file.syncData();
    } catch (error) {
      await this.#abandon(info, file, start);
      throw this.#failure("sync", info, error);
    }
    const elapsedMs = this.#options.clock.monotonicMs() - startedMs;
    info.sizeBytes = start + group.used;
    this.#options.onGroup?.(group.entries.length, group.used, elapsedMs);
    this.#options.onCommitted(
      group.entries.map(({ record, at, length }) => ({
        record,
        length,
        segment: info.id,
        offset: start + at,
      })),
      { segment: info.id, offset: info.sizeBytes },
    );
  }

  /** The segment that takes the next `length` bytes. */
  async #segmentFor(length: number): Promise<Active> {
    const active = this.#active;
    if (active !== undefined) {
      const empty = active.info.sizeBytes <= SEGMENT_HEADER_BYTES;
      if (empty || active.info.sizeBytes + length <= this.#options.segmentBytes) return active;
    }
    return await this.#beginSegment();
  }

  /** The next segment takes the place of the active one. */
  async #beginSegment(): Promise<Active> {
    const next = await this.#createSegment();
    this.#active?.file.close();
    return this.#active = next;
  }

  /**
   * Says in a new segment's header where the one before it ends: what a failed sync left behind that is taken back. Only
   * now that the new one is there for good, since the one before goes on when it could not be made.
   */
  async #seal(active: Active): Promise<void> {
    const { info, file, previousEnd } = active;
    if (previousEnd === undefined) return;
    try {
      await writeAll(file, encodeSegmentHeader(info.id, previousEnd), 0);
      await file.syncData();
    } catch (error) {
      throw this.#failure("begin", info, error);
    }
    active.previousEnd = undefined;
  }

  async #createSegment(): Promise<Active> {
    const { files, dir } = this.#options;
    const id = this.#lastId + 1;
    const path = `${dir}/${segmentName(id)}`;
    let file: StoreFile | undefined;
    try {
      // One of this number is what a failed attempt left.
      await files.remove(path);
      file = await files.open(path, "create");
      await writeAll(file, encodeSegmentHeader(id), 0);
      await file.syncData();
      await files.syncDirectory(dir);
    } catch (error) {
      file?.close();
      await files.remove(path).catch((cause) =>
        this.#options.log.warn("Cannot remove a segment that was not made", { path, cause })
      );
      throw this.#failure("create", { id, sizeBytes: 0 }, error);
    }
    const previousEnd = this.#segments.get(this.#lastId)?.sizeBytes;
    this.#lastId = id;
    this.#restBytes = undefined;
    const info = { id, sizeBytes: SEGMENT_HEADER_BYTES };
    this.#segments.set(id, info);
    return { info, file, previousEnd };
  }

  /** Cuts a segment where it ends, durably: its successor says where that is, and is about to go. */
  async #cutForGood(id: number): Promise<void> {
    const info = this.#segments.get(id);
    if (info === undefined) return;
    const file = await this.#options.files.open(`${this.#options.dir}/${segmentName(id)}`, "update");
    try {
      await file.truncate(info.sizeBytes);
      await file.syncData();
    } finally {
      file.close();
    }
  }

  /** Takes away what a failed write left; if that fails too, the segment is given up. */
  async #cut(info: SegmentInfo, file: StoreFile, sizeBytes: number): Promise<void> {
    try {
      await file.truncate(sizeBytes);
    } catch (error) {
      this.#options.log.error("Cannot cut a segment after a failed write; beginning another", {
        segment: segmentName(info.id),
        error,
      });
      this.#leave(file);
    }
  }

  /** Gives up a segment whose sync failed. */
  async #abandon(info: SegmentInfo, file: StoreFile, sizeBytes: number): Promise<void> {
    this.#options.log.error("A sync failed: nothing of that group is kept, and its segment is given up", {
      segment: segmentName(info.id),
    });
    await this.#cut(info, file, sizeBytes);
    this.#leave(file);
  }

  #leave(file: StoreFile): void {
    if (this.#active?.file !== file) return;
    this.#active = undefined;
    file.close();
  }

  #failure(what: string, info: SegmentInfo, error: unknown): BrokkrError {
    return storeError(
      `${what} segment ${segmentName(info.id)}`,
      this.#options.dir,
      error,
      "; nothing was kept",
    );
  }
}
