/**
 * Interrupted uploads of the disk store: files `uploads/<hash of the upload's name>` with the bytes so far, and nothing
 * else. An upload of a large blob is written there from its first byte, so that what a killed process has taken is there
 * when the next one looks. A small blob is gathered in memory and gets a file only when it is interrupted.
 *
 * @module
 */

import {
  type BrokkrError,
  type ByteBudget,
  type Clock,
  type Logger,
  mapLimit,
  Semaphore,
  Slices,
} from "@brokkr/common";
import * as nodeCrypto from "node:crypto";
import type { UploadId, UploadLimits, UploadStore, UploadWriter } from "../blob_store.ts";
import { type Digest, formatDigest, type Hasher } from "../digest.ts";
import type { TemporaryFile } from "./_file_blobs.ts";
import { InheritedWriter } from "./_inherited_writer.ts";
import { readPieces, ReadRoom } from "./_file_reader.ts";
import { KeptUploads, uploadKey } from "./_kept_uploads.ts";
import { MAX_RECORD_DATA } from "./_record.ts";
import type { LargeBeginning } from "./_writers.ts";
import { type FileLayer, readFully, writeAll } from "./file_layer.ts";

/** Where a large upload's bytes go, and what happens to them when it is left. */
export interface LargeSource {
  /** Makes the file. */
  readonly create: () => Promise<TemporaryFile>;
  /** Keeps a synced file for later. */
  readonly leave: (path: string, writtenBytes: number, hasher: Hasher) => void;
  /** Called once, when the writer has ended. */
  readonly ended: () => void;
  /** What is in the file already. */
  readonly beginning?: LargeBeginning;
}

/** What {@linkcode DiskUploads} needs of its store. */
export interface DiskUploadsOptions {
  readonly files: FileLayer;
  /** Directory of the files; it exists. */
  readonly dir: string;
  readonly limits: Required<UploadLimits>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly budget: ByteBudget;
  /** A writer of a blob that goes to the segment log. */
  readonly small: (
    digest: Digest,
    leave: (data: Uint8Array) => Promise<void>,
    signal?: AbortSignal,
  ) => Promise<UploadWriter>;
  /** A writer of a blob that becomes a file. */
  readonly large: (digest: Digest, source: LargeSource, signal?: AbortSignal) => Promise<UploadWriter>;
  /** Makes an error of the system one that says what failed. */
  readonly failure: (what: string, error: unknown) => BrokkrError;
}

interface Found {
  readonly name: string;
  readonly bytes: number;
  readonly ageMs: number;
}

interface Kept {
  readonly bytes: number;
  /** Has taken the bytes, unless another process did. */
  readonly hasher?: Hasher;
  /** Whether another process wrote it, so that nobody knows how the bytes came to be there. */
  readonly inherited: boolean;
}

/** Small uploads that are written at once when they are left. */
const LEAVE_AT_ONCE = 8;

/** Files looked at or removed at once when the store is opened. */
const SCAN_AT_ONCE = 16;

const NAME = /^[0-9a-f]{64}$/;

/** The uploads of one disk store. */
export class DiskUploads implements UploadStore {
  readonly #options: DiskUploadsOptions;
  /** By file name. */
  readonly #kept: KeptUploads<Kept>;
  /** Removals under way, by file name: a new file of the same name waits for them. */
  readonly #removing = new Map<string, Promise<void>>();
  /** Small uploads that are being left. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #lanes = new Semaphore(LEAVE_AT_ONCE);
  /** Bytes that were in the files of uploads that go on now. */
  #resumedBytes = 0;

  constructor(options: DiskUploadsOptions) {
    this.#options = options;
    this.#kept = new KeptUploads(options.limits, options.clock, (name) => void this.#remove(name));
  }

  /** Bytes on disk that nothing else counts. */
  get diskBytes(): number {
    return this.#kept.bytes + this.#resumedBytes;
  }

  /** Finds what the process before this one left, drops what is too old or too much, and removes what is no upload. */
  async load(): Promise<void> {
    const { files, dir, limits, log, clock } = this.#options;
    const nowMs = clock.wallMs();
    const found: Found[] = [];
    const dropped: string[] = [];
    const entries = (await files.list(dir)).filter((entry) => !entry.isDirectory);
    await mapLimit(entries, SCAN_AT_ONCE, async ({ name }) => {
      const one = NAME.test(name) ? await this.#look(name, nowMs) : undefined;
      if (one === undefined) dropped.push(name);
      else found.push(one);
    });
    found.sort((a, b) => a.ageMs - b.ageMs);
    let keptBytes = 0;
    let count = 0;
    // Here and not one by one as they are added: there may be very many.
    for (const { bytes } of found) {
      keptBytes += bytes;
      if (count === limits.maxKept || keptBytes > limits.maxKeptBytes) break;
      count++;
    }
    dropped.push(...found.slice(count).map(({ name }) => name));
    await mapLimit(dropped, SCAN_AT_ONCE, (name) => this.#remove(name));
    for (const { name, bytes, ageMs } of found.slice(0, count).reverse()) {
      this.#kept.add(name, { bytes, inherited: true }, bytes, ageMs);
    }
    if (found.length > 0) log.info("Found interrupted uploads", this.stat());
  }

  /** What is to be known of a file; undefined when it is not to be kept. */
  async #look(name: string, nowMs: number): Promise<Found | undefined> {
    const { files, limits } = this.#options;
    const path = this.#path(name);
    const bytes = await files.size(path) ?? 0;
    const modifiedMs = await files.modifiedMs(path);
    if (bytes === 0 || bytes > limits.maxKeptBytes) return undefined;
    if (modifiedMs === undefined || nowMs - modifiedMs >= limits.keepMs) return undefined;
    // Where the clock was set back, a file is as old as this look, or it would never grow old.
    if (modifiedMs > nowMs) await files.touch(path, nowMs);
    return { name, bytes, ageMs: Math.max(0, nowMs - modifiedMs) };
  }

  async keptBytes(id: UploadId): Promise<number> {
    const name = nameOf(id);
    const kept = this.#kept.get(name);
    if (kept === undefined) return 0;
    if (kept.bytes > id.digest.sizeBytes) {
      // Someone else made it longer than the blob is.
      this.#drop(name);
      return 0;
    }
    let sizeBytes: number | undefined;
    try {
      sizeBytes = await this.#options.files.size(this.#path(name));
    } catch (error) {
      throw this.#failure(id, error);
    }
    if (sizeBytes === kept.bytes) return kept.bytes;
    // Someone else cut or removed the file.
    if (this.#kept.get(name) === kept) this.#drop(name);
    return 0;
  }

  async begin(id: UploadId, signal?: AbortSignal): Promise<UploadWriter> {
    const name = nameOf(id);
    this.#drop(name);
    await this.#removing.get(name);
    return await this.#open(id, name, signal);
  }

  async resume(id: UploadId, offset: number, signal?: AbortSignal): Promise<UploadWriter | undefined> {
    const name = nameOf(id);
    if (offset === 0 || await this.keptBytes(id) !== offset) return undefined;
    const kept = this.#kept.take(name);
    if (kept === undefined) return undefined;
    this.#resumedBytes += kept.bytes;
    try {
      const writer = id.digest.sizeBytes <= MAX_RECORD_DATA
        ? await this.#resumeSmall(id, name, kept, signal)
        : await this.#resumeLarge(id, name, kept, signal);
      return kept.inherited ? new InheritedWriter(id, writer) : writer;
    } catch (error) {
      this.#resumedBytes -= kept.bytes;
      // It can still go on, from another call.
      this.#kept.add(name, kept, kept.bytes);
      throw this.#failure(id, error);
    }
  }

  stat(): { readonly kept: number; readonly keptBytes: number } {
    return { kept: this.#kept.count, keptBytes: this.#kept.bytes };
  }

  /** Makes room by dropping the oldest; false when there is none. */
  async dropOldest(): Promise<boolean> {
    if (!this.#kept.dropOldest()) return false;
    await this.settled();
    return true;
  }

  /** Waits for removals under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#removing.values());
  }

  /** Ends; what is kept stays for the next who opens the store. */
  async close(): Promise<void> {
    await Promise.all(this.#leaving);
    this.#kept.close();
    await this.settled();
  }

  #path(name: string): string {
    return `${this.#options.dir}/${name}`;
  }

  #failure(id: UploadId, error: unknown): BrokkrError {
    return this.#options.failure(`go on with the upload of blob ${formatDigest(id.digest)}`, error);
  }

  #open(id: UploadId, name: string, signal?: AbortSignal): Promise<UploadWriter> {
    const { small, large } = this.#options;
    return id.digest.sizeBytes <= MAX_RECORD_DATA
      ? small(id.digest, (data) => this.#leaveSmall(name, data), signal)
      : large(id.digest, this.#source(name, false), signal);
  }

  /** A new file, which is kept when it is left. */
  #source(name: string, inherited: boolean): LargeSource {
    const { files } = this.#options;
    const path = this.#path(name);
    return {
      create: async () => {
        // What a removal that failed has left.
        await files.remove(path);
        return { path, file: await files.open(path, "create") };
      },
      leave: (_path, bytes, hasher) => this.#kept.add(name, { bytes, hasher, inherited }, bytes),
      ended: () => {},
    };
  }

  async #resumeSmall(id: UploadId, name: string, kept: Kept, signal?: AbortSignal): Promise<UploadWriter> {
    const { files } = this.#options;
    const writer = await this.#open(id, name, signal);
    try {
      const file = await files.open(this.#path(name), "read");
      try {
        const data = new Uint8Array(kept.bytes);
        await readFully(file, data, 0);
        await writer.write(data);
      } finally {
        file.close();
      }
    } catch (error) {
      await writer.abort();
      throw error;
    }
    // From here on it is in memory, and gets another file when it is interrupted again.
    await this.#remove(name);
    this.#resumedBytes -= kept.bytes;
    return writer;
  }

  async #resumeLarge(id: UploadId, name: string, kept: Kept, signal?: AbortSignal): Promise<UploadWriter> {
    const { files, large } = this.#options;
    const path = this.#path(name);
    const hasher = kept.hasher ?? await this.#rehash(id.digest, path, kept.bytes, signal);
    const file = await files.open(path, "update");
    try {
      return await large(id.digest, {
        ...this.#source(name, kept.inherited),
        ended: () => this.#resumedBytes -= kept.bytes,
        beginning: { temporary: { path, file }, writtenBytes: kept.bytes, hasher },
      }, signal);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** A hasher that has taken the first bytes of a file. */
  async #rehash(digest: Digest, path: string, bytes: number, signal?: AbortSignal): Promise<Hasher> {
    const { files, budget } = this.#options;
    using room = await ReadRoom.take(budget, bytes, signal);
    const file = await files.open(path, "read");
    try {
      const hasher = digest.fn.hasher();
      const slices = new Slices(signal);
      for await (const piece of readPieces(file, 0, bytes, room, signal)) {
        hasher.update(piece);
        if (slices.spent) await slices.next();
      }
      return hasher;
    } finally {
      file.close();
    }
  }

  /** A connection that breaks may leave ten thousand at once; more than are kept at all are not written. */
  async #leaveSmall(name: string, data: Uint8Array): Promise<void> {
    if (this.#kept.closed || this.#leaving.size >= this.#options.limits.maxKept) return;
    const leaving = this.#writeSmall(name, data).finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    await leaving;
  }

  async #writeSmall(name: string, data: Uint8Array): Promise<void> {
    const { files, log } = this.#options;
    const path = this.#path(name);
    using _lane = await this.#lanes.acquire();
    try {
      await this.#removing.get(name);
      await files.remove(path);
      const file = await files.open(path, "create");
      try {
        await writeAll(file, data, 0);
        await file.syncData();
      } finally {
        file.close();
      }
      this.#kept.add(name, { bytes: data.length, inherited: false }, data.length);
    } catch (error) {
      log.warn("Cannot keep an interrupted upload", { path, error });
      await this.#remove(name);
    }
  }

  #drop(name: string): void {
    if (this.#kept.take(name) !== undefined) void this.#remove(name);
  }

  /** Removes a file; what fails is logged, and tried again when the store is opened. */
  #remove(name: string): Promise<void> {
    const { files, log } = this.#options;
    const path = this.#path(name);
    const removal = files.remove(path)
      .then(() => undefined, (error) => log.warn("Cannot remove an interrupted upload", { path, error }))
      .finally(() => {
        if (this.#removing.get(name) === removal) this.#removing.delete(name);
      });
    this.#removing.set(name, removal);
    return removal;
  }
}

/** The name hides what clients make up, however long and strange it is. */
function nameOf(id: UploadId): string {
  return nodeCrypto.hash("sha256", uploadKey(id), "hex");
}
