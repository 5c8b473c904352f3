/**
 * An open store directory: blobs are put, read and dropped here. See `disk_store.ts` for who opens it, and opens it again
 * when it is lost.
 *
 * @module
 */

import { BrokkrError, Code, type Scope, scopeOf, throwIfAborted, unavailable } from "@brokkr/common";
import type {
  BlobStoreStat,
  BlobWriter,
  ChunkList,
  DigestBatch,
  MissingOptions,
  ReadRange,
  UploadStore,
} from "../blob_store.ts";
import {
  type Digest,
  type DigestFunction,
  digestFunctionByValue,
  digestKey,
  formatDigest,
  type HashHex,
} from "../digest.ts";
import {
  checkBatch,
  checkHash,
  checkSize,
  emptyHash,
  isEmptyBlob,
  noSuchBlob,
  resolveRange,
} from "./_checks.ts";
import { menderOf } from "./_bit_rot.ts";
import { BlobReader } from "./_blob_reader.ts";
import { packChecked } from "./_codec.ts";
import { missingInSlices } from "../_slices.ts";
import { DiskUploads } from "./_disk_uploads.ts";
import { ListedBlobs } from "./_listed_blobs.ts";
import type { Mender } from "./_mender.ts";
import { isListed, locationOf, MAX_RECORD_DATA, recordBytes, RecordCodec, RecordKind } from "./_record.ts";
import { Room } from "./_room.ts";
import { markClean, recover, type Recovered } from "./_recover.ts";
import { type Committed, type LogPosition, SegmentLog } from "./_segment_log.ts";
import { WriterDesk } from "./_writer_desk.ts";
import { missingPart } from "./_presence.ts";
import { Scrubber } from "./_scrubber.ts";
import { Packer } from "./_packer.ts";
import { Splicer } from "./_splicer.ts";
import { storeError } from "./_store_error.ts";
import { sweepFiles } from "./_sweep.ts";
import type { SettledOptions } from "./disk_store_options.ts";
import { EvictionLog } from "./_eviction_log.ts";
import { Evictor } from "./_evictor.ts";
import { DiskKeeper } from "./_keeper.ts";
import { Reclaimer } from "./_reclaimer.ts";
import type { GoneReason, KeptBlobStore, StoreKeeper } from "../store_keeper.ts";
import { FILE_SEGMENT, type Touch } from "./membership_table.ts";
import { StoreTime } from "./_store_time.ts";

/** Most bytes of one group. */
const GROUP_BYTES = 4 << 20;
/** Most bytes of puts that wait for their group. */
const PENDING_BYTES = 64 << 20;
/** Largest blob that {@linkcode BlobStore.get} hands out in one piece. */
const MAX_GET_BYTES = 512 << 20;

/** Share of what the store may take, above which nothing is stored that can be done without. */
const PLENTY_SHARE = 0.9;

/** Opens the directory `dir`, making it when it is new. */
export async function openDiskCore(dir: string, options: SettledOptions): Promise<DiskCore> {
  try {
    const recovered = await recover({ dir, ...options });
    const core = new DiskCore(dir, recovered, options);
    try {
      await core.start();
      return core;
    } catch (error) {
      await core.abandon();
      throw error;
    }
  } catch (error) {
    throw storeError("open the blob store", dir, error);
  }
}

/** A store over an open directory. */
export class DiskCore implements KeptBlobStore {
  readonly #dir: string;
  readonly #options: SettledOptions;
  readonly #state: Recovered;
  readonly #log: SegmentLog;
  readonly #reader: BlobReader;
  readonly #lists: ListedBlobs;
  readonly #splicer: Splicer;
  /** Undefined where nothing is compressed. */
  readonly #packer: Packer | undefined;
  readonly #mender: Mender;
  readonly #scrubber: Scrubber;
  readonly #time: StoreTime;
  readonly #room: Room;
  readonly #gone: EvictionLog;
  readonly #evictor: Evictor;
  /** Looks after what is here. */
  readonly keeper: StoreKeeper;
  #departures = 0;
  readonly #desk: WriterDesk;
  /** Operations that change a blob, by its key: one at a time for each. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #uploads: DiskUploads;
  #sweeping = false;
  #operations = 0;
  #idle: (() => void) | undefined;
  #closed = false;

  constructor(dir: string, state: Recovered, options: SettledOptions) {
    this.#dir = dir;
    this.#state = state;
    this.#options = options;
    this.#time = new StoreTime(options.clock);
    this.#gone = new EvictionLog({ ...options, dir: `${dir}/evicted` });
    const { metrics } = options;
    state.catalog.onUse = (fn, hash, location, usedS) => state.index.touch(fn.value, hash, location, usedS);
    const groups = metrics.histogram(
      "brokkr_cas_sync_seconds",
      "How long writing and syncing a group of small blobs took",
      [],
      [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5],
    );
    const grouped = metrics.counter("brokkr_cas_grouped_records_total", "Records synced in groups");
    this.#log = new SegmentLog({
      files: options.files,
      dir: `${dir}/segments`,
      salt: state.salt,
      segmentBytes: options.segmentBytes,
      groupBytes: GROUP_BYTES,
      pendingBytes: PENDING_BYTES,
      clock: options.clock,
      log: options.log,
      segments: state.segments,
      onCommitted: (records, position) => this.#onCommitted(records, position),
      onGroup: (records, _bytes, syncMs) => {
        groups.observe(syncMs / 1000);
        grouped.add({}, records);
      },
    });
    this.#room = new Room({
      ...options,
      dir,
      usedBytes: () => this.#diskBytes,
      blobs: () => state.catalog.blobs,
      evictor: () => this.#evictor,
      checkOpen: () => this.#checkOpen(),
    });
    this.#desk = new WriterDesk({
      ...options,
      room: this.#room,
      checkOpen: () => this.#checkOpen(),
      makeRoom: () => this.#uploads.dropOldest(),
      create: () => state.blobs.create(),
      putSmall: (digest, data) => this.#putSmall(digest, data),
      keepFile: (digest, path) => this.#keepFile(digest, path),
      failure: (what, error) => this.#failure(what, error),
    });
    this.#uploads = new DiskUploads({
      ...options,
      dir: `${dir}/uploads`,
      limits: options.uploads,
      small: (digest, leave, signal) => this.#desk.small(digest, leave, signal),
      large: (digest, source, signal) => this.#desk.large(digest, source, signal),
      failure: (what, error) => this.#failure(what, error),
    });
    this.#mender = menderOf({
      ...options,
      dir,
      state,
      source: options.repairFrom,
      alone: (digest, run) => this.#alone(digest, run),
      drop: (digest) => {
        this.#reader.drop(digest);
        this.#noteGone(digest, "damaged");
      },
      bury: (digest) => this.#bury(digest),
      writer: (digest, signal) => this.#desk.open(digest, signal),
      onGone: () => this.#sweepSoon(),
    });
    this.#reader = new BlobReader({
      state,
      segments: this.#log,
      budget: options.budget,
      cacheBytes: options.cacheBytes,
      verifyReads: options.verifyReads,
      mender: this.#mender,
      failure: (what, error) => this.#failure(what, error),
    });
    this.#lists = new ListedBlobs({
      state,
      reader: this.#reader,
      budget: options.budget,
      settleAll: (batch) => this.#settleAll(batch),
      onBroken: (digest) => this.#noteGone(digest, "evicted"),
    });
    this.#splicer = this.#makeSplicer();
    this.#packer = options.compression === "off" ? undefined : this.#makePacker();
    const parts = { ...options, dir, state, segments: this.#log, gone: this.#gone, time: this.#time };
    const reclaimer = new Reclaimer({
      ...parts,
      reader: this.#reader,
      alone: (digest, run) => this.#alone(digest, run),
      onGone: () => this.#departures++,
    });
    this.#evictor = new Evictor({
      ...parts,
      reclaimer,
      usedBytes: () => this.#diskBytes,
      pendingBytes: () => this.#room.pendingBytes,
      pendingBlobs: () => this.#room.pendingBlobs,
      loaded: state.catalog.loaded,
    });
    this.#scrubber = new Scrubber({ ...parts, mender: this.#mender });
    this.keeper = new DiskKeeper({
      ...parts,
      scrubber: this.#scrubber,
      settled: options,
      evictor: this.#evictor,
      usedBytes: () => this.#diskBytes,
      departures: () => this.#departures,
    });
  }

  async start(): Promise<void> {
    await this.#uploads.load();
    if (this.#state.loading.tailKnown) await this.#log.resume();
    this.#scrubber.start();
  }

  get uploads(): UploadStore {
    return this.#uploads;
  }

  missing(
    _scope: Scope,
    batch: DigestBatch,
    options: MissingOptions = {},
  ): Uint32Array | Promise<Uint32Array> {
    this.#checkOpen();
    const { catalog } = this.#state;
    const look = () => {
      const touch = options.peek === true ? undefined : this.#touch(this.#options.promiseMs);
      return this.#lists.missing(batch, touch);
    };
    return catalog.isLoading ? this.#settleAll(batch).then(look) : look();
  }

  sizeOf(
    _scope: Scope,
    fn: DigestFunction,
    hash: string,
  ): number | undefined | Promise<number | undefined> {
    this.#checkOpen();
    const { catalog, loading } = this.#state;
    if (hash === emptyHash(fn).hex) return 0;
    const look = () => {
      const location = catalog.find(fn, hash);
      if (location === undefined || !isListed(location)) return location?.sizeBytes;
      const digest = { fn, hash: hash as HashHex, sizeBytes: location.sizeBytes };
      return this.#lists.find(digest).then((found) => found?.location.sizeBytes);
    };
    return catalog.isLoading ? loading.settle(fn, hash).then(look) : look();
  }

  async get(_scope: Scope, digest: Digest): Promise<Uint8Array> {
    this.#checkOpen();
    if (isEmptyBlob(digest)) return new Uint8Array(0);
    if (this.#state.catalog.isLoading) await this.#settle(digest);
    if (digest.sizeBytes <= MAX_RECORD_DATA) {
      const location = this.#reader.locate(digest, this.#touch());
      if (location.segment !== FILE_SEGMENT) return await this.#reader.readSmall(digest, location);
    }
    if (digest.sizeBytes > MAX_GET_BYTES) {
      if (await this.#lists.find(digest, this.#touch()) === undefined) throw noSuchBlob(digest);
      throw new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Blob ${formatDigest(digest)} is too large to be read in one piece; read it as a stream`,
      );
    }
    const whole = new Uint8Array(digest.sizeBytes);
    let at = 0;
    for await (const piece of this.#readLarge(digest, undefined)) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  async frame(_scope: Scope, digest: Digest): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    if (isEmptyBlob(digest)) return undefined;
    if (this.#state.catalog.isLoading) await this.#settle(digest);
    const location = this.#state.catalog.locate(digest, this.#touch());
    return location === undefined ? undefined : await this.#reader.readFrame(digest, location);
  }

  async *read(
    _scope: Scope,
    digest: Digest,
    range?: ReadRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    this.#checkOpen();
    throwIfAborted(signal);
    if (isEmptyBlob(digest)) {
      resolveRange(digest, range);
      return;
    }
    if (this.#state.catalog.isLoading) await this.#settle(digest);
    if (digest.sizeBytes > MAX_RECORD_DATA) return yield* this.#readLarge(digest, range, signal);
    const location = this.#reader.locate(digest, this.#touch());
    const { start, end } = resolveRange(digest, range);
    if (start === end) return;
    if (location.segment === FILE_SEGMENT) {
      yield* this.#reader.readLarge(digest, start, end, signal);
    } else {
      yield* this.#reader.readHeld(digest, location, start, end, signal);
    }
  }

  /** Pieces of a blob that is a file or a list of chunks. */
  async *#readLarge(
    digest: Digest,
    range: ReadRange | undefined,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for (let taken = false;;) {
      const found = await this.#lists.find(digest, this.#touch());
      if (found === undefined) throw noSuchBlob(digest);
      const { start, end } = resolveRange(digest, range);
      if (start === end) return;
      const { list } = found;
      const pieces = list === undefined
        ? this.#reader.readLarge(digest, start, end, signal)
        : this.#lists.read(digest, list, start, end, () => this.#touch(), signal);
      try {
        for await (const piece of pieces) {
          taken = true;
          yield piece;
        }
        return;
      } catch (error) {
        // Its file was cut into chunks after it was found and before it was opened.
        const isGone = error instanceof BrokkrError && error.code === Code.NOT_FOUND;
        const now = this.#state.catalog.locate(digest);
        if (taken || !isGone || list !== undefined || now === undefined || !isListed(now)) throw error;
      }
    }
  }

  async put(_scope: Scope, digest: Digest, data: Uint8Array): Promise<void> {
    this.#checkOpen();
    checkSize(digest, data.length);
    if (this.#state.catalog.isLoading) await this.#state.loading.settlePut(digest);
    if (data.length <= MAX_RECORD_DATA) {
      if (this.#state.catalog.locate(digest, this.#touch()) !== undefined) return;
      return await this.#putSmall(digest, data);
    }
    if (await this.#lists.findKept(digest, this.#touch()) !== undefined) return;
    await using writer = await this.#desk.open(digest);
    await writer.write(data);
    await writer.commit();
  }

  async writer(_scope: Scope, digest: Digest, signal?: AbortSignal): Promise<BlobWriter> {
    if (this.#state.catalog.isLoading) await this.#state.loading.settlePut(digest);
    return await this.#desk.open(digest, signal);
  }

  async pin(_scope: Scope, batch: DigestBatch, durationMs: number): Promise<void> {
    this.#checkOpen();
    checkBatch(batch);
    if (this.#state.catalog.isLoading) await this.#settleAll(batch);
    if (durationMs === 0) return this.#state.catalog.unpin(batch);
    // A promise is cheap and limited by the evictor; what is pinned for longer must fit beforehand.
    if (durationMs > this.#options.promiseMs) {
      const batches = [batch];
      for await (const chunks of this.#lists.chunksOf(batch)) batches.push(chunks);
      await this.#evictor.checkPins(batches);
      this.#checkOpen();
    }
    const touch = this.#touch(durationMs);
    // First of all: what is cut from now on hands its pin on to its chunks.
    this.#state.catalog.pin(batch, touch);
    for await (const chunks of this.#lists.chunksOf(batch)) this.#state.catalog.pin(chunks, touch);
  }

  async delete(_scope: Scope, digest: Digest): Promise<boolean> {
    this.#checkOpen();
    if (isEmptyBlob(digest)) return false;
    return await this.#alone(digest, async () => {
      if (this.#state.catalog.isLoading) await this.#settle(digest);
      const location = (await this.#lists.find(digest))?.location;
      if (location === undefined) return false;
      if (location.segment !== FILE_SEGMENT) {
        if (isListed(location)) await this.#removeUnseen(digest);
        await this.#bury(digest);
        this.#noteGone(digest, "deleted");
        this.#evictor.wake();
        return true;
      }
      this.#reader.drop(digest);
      try {
        await this.#state.blobs.remove(digest.fn, digest.hash);
      } catch (error) {
        throw this.#failure(`remove blob ${formatDigest(digest)}`, error);
      }
      // The log may hold a list of chunks for it from before it was a file.
      await this.#bury(digest);
      this.#noteGone(digest, "deleted");
      return true;
    });
  }

  async splice(
    _scope: Scope,
    digest: Digest,
    list: ChunkList,
    signal?: AbortSignal,
  ): Promise<"kept" | "known"> {
    this.#checkOpen();
    if (this.#state.catalog.isLoading) await this.#state.loading.settlePut(digest);
    return await this.#splicer.splice(digest, list, signal);
  }

  async split(_scope: Scope, digest: Digest, signal?: AbortSignal): Promise<ChunkList | undefined> {
    this.#checkOpen();
    return await this.#splicer.split(digest, signal);
  }

  /** Blobs held. */
  get blobs(): number {
    return this.#state.catalog.blobs;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#state.catalog.bytes;
  }

  /** Their bytes as they are kept. */
  get storedBytes(): number {
    return this.#state.catalog.storedBytes;
  }

  async stat(): Promise<BlobStoreStat> {
    const { catalog } = this.#state;
    let freeBytes: number;
    try {
      freeBytes = await this.#options.files.freeBytes(this.#dir);
    } catch (error) {
      throw this.#failure("see how much of the disk is free", error);
    }
    return {
      blobs: catalog.blobs,
      bytes: catalog.bytes,
      storedBytes: catalog.storedBytes,
      diskBytes: this.#diskBytes,
      segments: this.#log.segmentCount,
      files: catalog.files,
      freeBytes,
    };
  }

  /** What keeps it from answering everything, in words; undefined when nothing does. */
  get problem(): string | undefined {
    return this.#state.loading.problem;
  }

  /** Settles when it knows all there is, or never will. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#state.catalog.loaded]);
  }

  /** Settles when it knows all there is, and the index does. */
  async finished(): Promise<void> {
    await this.#state.loading.ended;
  }

  /** What is gone of the directory, in words; undefined when all that must be there is. */
  async missingPart(): Promise<string | undefined> {
    return this.#state.loading.fault ??
      await missingPart(this.#options.files, this.#dir, this.#state.id, () => this.#log.segmentNames);
  }

  /** Ends without a word to the directory, which is not ours any more. */
  async abandon(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#end();
      await this.#log.close();
    } finally {
      await this.#state.index.close();
    }
  }

  #noteGone(digest: Digest, reason: GoneReason): void {
    this.#departures++;
    this.#gone.add(digest.fn, Uint8Array.fromHex(digest.hash), digest.sizeBytes, reason, this.#time.now(), 0);
  }

  async #end(): Promise<void> {
    this.#closed = true;
    // At once, since the others wait for what is being loaded.
    await Promise.all([
      this.#scrubber.close(),
      this.#evictor.close(),
      this.#state.loading.close(),
      this.#packer?.close(),
    ]);
    await this.#gone.close();
    await this.#desk.end(
      unavailable(`The blob store in ${this.#dir} was closed while a blob was written; send it again`),
    );
    await this.#uploads.close();
    await this.#mender.close();
    if (this.#operations > 0) await new Promise<void>((resolve) => this.#idle = resolve);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    await this.#end();
    const end = this.#log.position;
    await this.#log.close();
    const { index } = this.#state;
    await index.flush();
    try {
      await markClean(this.#options, this.#dir, this.#state, end);
    } catch (error) {
      this.#options.log.warn("Cannot note a clean shutdown; the next start takes longer", { error });
    }
    await index.close();
  }

  get #diskBytes(): number {
    return this.#log.diskBytes + this.#state.catalog.fileBytes + this.#uploads.diskBytes +
      this.#state.loading.uncountedBytes;
  }

  /** A use now, with a pin for so long. */
  #touch(pinMs = 0): Touch {
    return {
      usedS: this.#time.now(),
      untilMs: pinMs === 0 ? 0 : this.#options.clock.monotonicMs() + pinMs,
    };
  }

  #checkOpen(): void {
    if (this.#closed) throw new BrokkrError(Code.UNAVAILABLE, `The blob store in ${this.#dir} is closed`);
  }

  async #settle(digest: Digest): Promise<void> {
    await this.#state.loading.settle(digest.fn, digest.hash, digest.sizeBytes);
    this.#checkOpen();
  }

  async #settleAll(batch: DigestBatch): Promise<void> {
    await this.#state.loading.settleAll(batch);
    this.#checkOpen();
  }

  /** Runs `run` when no other change of this blob is under way; closing waits for it. */
  async #alone<T>(digest: Digest, run: () => Promise<T>): Promise<T> {
    const key = digestKey(digest);
    this.#operations++;
    try {
      for (let other = this.#busy.get(key); other !== undefined; other = this.#busy.get(key)) await other;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#busy.set(key, promise);
      try {
        return await run();
      } finally {
        this.#busy.delete(key);
        resolve();
      }
    } finally {
      if (--this.#operations === 0) this.#idle?.();
    }
  }

  async #putSmall(digest: Digest, data: Uint8Array): Promise<void> {
    const { fn, sizeBytes } = digest;
    if (sizeBytes === 0) return checkHash(digest, fn.hash(data));
    await this.#alone(digest, async () => {
      if (this.#state.catalog.locate(digest, this.#touch()) !== undefined) return;
      const reserved = recordBytes(fn.hashBytes, sizeBytes);
      await this.#desk.reserve(digest, reserved);
      try {
        const frame = this.#options.compression === "zstd" ? await packChecked(digest, data) : undefined;
        const [codec, kept] = frame === undefined ? [RecordCodec.PLAIN, data] : [RecordCodec.ZSTD, frame];
        await this.#log.append(fn.hashBytes, kept.length, () => {
          const hash = Uint8Array.fromHex(digest.hash);
          return { kind: RecordKind.BLOB, fnValue: fn.value, hash, sizeBytes, codec, data: kept };
          // What was compressed is a copy that was compared; the log compares the other, where it is copied to.
        }, frame === undefined ? digest : undefined);
      } finally {
        this.#desk.release(reserved);
      }
    });
  }

  /**
   * Removes the file of a blob that is a list, if there is one: after a crash, or when it could not be removed. A start that
   * finds it would take it for the blob.
   */
  async #removeUnseen(digest: Digest): Promise<void> {
    const { blobs } = this.#state;
    const { fn, hash } = digest;
    try {
      if (await blobs.look(fn, hash) !== undefined) await blobs.remove(fn, hash);
    } catch (error) {
      throw this.#failure(`remove blob ${formatDigest(digest)}`, error);
    }
  }

  /** Appends a tombstone. */
  async #bury(digest: Digest): Promise<void> {
    const { fn, hash, sizeBytes } = digest;
    const record = {
      kind: RecordKind.TOMBSTONE,
      fnValue: fn.value,
      hash: Uint8Array.fromHex(hash),
      sizeBytes,
      data: new Uint8Array(0),
    };
    try {
      await this.#log.append(fn.hashBytes, 0, () => record);
    } catch (error) {
      // The record may be on the disk all the same, and be found after a crash: the blob must not be promised any more.
      this.#reader.drop(digest);
      throw error;
    }
  }

  /** Where one file is gone, others may be: all are looked for, once at a time. */
  #sweepSoon(): void {
    if (this.#closed || this.#sweeping) return;
    this.#sweeping = true;
    this.#operations++;
    sweepFiles({
      ...this.#options,
      state: this.#state,
      isClosed: () => this.#closed,
      alone: (digest, run) => this.#alone(digest, run),
      drop: (digest) => this.#reader.drop(digest),
    })
      .catch((error) => this.#options.log.warn("Cannot look for the files of all blobs", { error }))
      .finally(() => {
        this.#sweeping = false;
        if (--this.#operations === 0) this.#idle?.();
      });
  }

  /** Makes the records of a durable group visible. */
  #onCommitted(records: readonly Committed[], position: LogPosition): void {
    const { catalog, index } = this.#state;
    const nowS = this.#time.now();
    for (const { record, segment, offset } of records) {
      const fn = digestFunctionByValue(record.fnValue);
      if (fn === undefined) continue;
      if (record.kind === RecordKind.BLOB) {
        const location = locationOf(record, segment, offset);
        const usedS = record.usedS ?? nowS;
        catalog.set(fn, record.hash, location, usedS);
        index.put(record.fnValue, record.hash, location, usedS);
      } else {
        const before = catalog.delete(fn, record.hash);
        if (before !== undefined) this.#reader.forget(before);
        index.delete(record.fnValue, record.hash);
      }
    }
    index.advance(position);
  }

  async #keepFile(digest: Digest, path: string): Promise<void> {
    this.#checkOpen();
    await this.#alone(digest, async () => {
      const { blobs, catalog, index, loading } = this.#state;
      if (catalog.isLoading) await loading.settlePut(digest);
      if (await this.#lists.findKept(digest, this.#touch()) !== undefined) {
        return await this.#desk.discard(path);
      }
      await blobs.keep(path, digest.fn, digest.hash);
      const { sizeBytes } = digest;
      const location = { segment: FILE_SEGMENT, offset: 0, sizeBytes, storedBytes: sizeBytes };
      const hash = Uint8Array.fromHex(digest.hash);
      const usedS = this.#time.now();
      catalog.set(digest.fn, hash, location, usedS);
      index.put(digest.fn.value, hash, location, usedS);
      this.#packer?.offer(digest);
    });
  }

  #makeSplicer(): Splicer {
    const scope = scopeOf("");
    return new Splicer({
      ...this.#options,
      state: this.#state,
      segments: this.#log,
      lists: this.#lists,
      promise: () => this.#touch(this.#options.promiseMs),
      missing: async (chunks) => await missingInSlices(this, scope, chunks),
      read: (digest, signal) => this.read(scope, digest, undefined, signal),
      readVerified: (digest, signal) => this.#reader.readLarge(digest, 0, digest.sizeBytes, signal, true),
      put: (digest, data) => this.put(scope, digest, data),
      writer: (digest, signal) => this.#desk.open(digest, signal),
      alone: (digest, run) => this.#alone(digest, run),
      reserve: (digest, bytes) => this.#desk.reserve(digest, bytes),
      release: (bytes) => this.#desk.release(bytes),
    });
  }

  #makePacker(): Packer {
    const { catalog, blobs } = this.#state;
    return new Packer({
      ...this.#options,
      open: (digest) => blobs.open(digest.fn, digest.hash),
      isIdle: () => !catalog.isLoading && this.#operations === 0 && this.#room.pendingBlobs === 0,
      hasRoom: (bytes) => this.#hasPlenty(bytes),
      cut: (digest, options) => this.#splicer.cutFile(digest, options),
    });
  }

  /** Whether there is room for something that can be done without. */
  async #hasPlenty(bytes: number): Promise<boolean> {
    const { files, headroomBytes } = this.#options;
    if (this.#diskBytes + bytes > this.#evictor.highBytes * PLENTY_SHARE) return false;
    return await files.freeBytes(this.#dir) - headroomBytes > 2 * bytes;
  }

  #failure(what: string, error: unknown): BrokkrError {
    return storeError(what, this.#dir, error);
  }
}
