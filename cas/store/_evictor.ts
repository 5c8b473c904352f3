/**
 * Makes room in a disk store: whole segments go, and what of them is to stay is copied to the log's end; files go one by
 * one. Which blobs go says `_eviction_plan.ts`. All of it in slices, beside readers and writers.
 *
 * A segment's file is removed only when copies of all that stays are on the disk. Nothing else needs to be durable: after a
 * crash the index may still name what went, which is dropped since its segment is not there, or the segment is still there
 * and its blobs with it.
 *
 * @module
 */

import {
  type Clock,
  type Logger,
  type Metrics,
  Slices,
  throwIfAborted,
  type TimerHandle,
} from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import { digestKey, type HashHex } from "../digest.ts";
import type { Collected } from "../store_keeper.ts";
import { type EvictionGoal, pinKind, PROMISED_SHARE, type Tally } from "./_eviction_plan.ts";
import { ALL_PROMISED, tooManyPins } from "./_no_room.ts";
import { AgeCount } from "./_age_count.ts";
import { add, Clearing, noneReclaimed } from "./_clearing.ts";
import { cost, type Note, type Reclaimed, type Reclaimer } from "./_reclaimer.ts";
import type { Recovered } from "./_recover.ts";
import type { SegmentLog } from "./_segment_log.ts";
import type { StoreTime } from "./_store_time.ts";
import type { FileLayer } from "./file_layer.ts";

/** Eviction begins above this share of a limit, */
export const HIGH_SHARE = 0.95;
/** and ends below this one. */
const LOW_SHARE = 0.9;
const HIGH_BLOBS_SHARE = 0.98;
const LOW_BLOBS_SHARE = 0.95;
/** Garbage is collected when it is more than this share of what segments hold, */
const MAX_GARBAGE_SHARE = 0.12;
/** until it is this one. */
const KEPT_GARBAGE_SHARE = 0.05;
/** How often it is looked whether there is something to do that nobody told of, such as a disk that others fill. */
const LOOK_MS = 30_000;
/** How long it rests when it could free nothing. */
const REST_MS = 2_000;
/** How often the same complaint is logged at most. */
const COMPLAIN_MS = 60_000;
/** How long what happened is worth telling of, in milliseconds. */
const RECENT_MS = 600_000;

/** How long a count of pins holds, in milliseconds. */
const COUNTED_MS = 2_000;

/** What an {@linkcode Evictor} works with. */
export interface EvictorOptions {
  readonly state: Recovered;
  readonly segments: SegmentLog;
  readonly reclaimer: Reclaimer;
  readonly files: FileLayer;
  readonly dir: string;
  readonly clock: Clock;
  readonly time: StoreTime;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly maxBytes: number;
  readonly maxBlobs: number;
  readonly headroomBytes: number;
  readonly promiseMs: number;
  /** What the store takes on disk now. */
  readonly usedBytes: () => number;
  /** What is about to be taken. */
  readonly pendingBytes: () => number;
  /** Blobs that are about to come. */
  readonly pendingBlobs: () => number;
  /** Resolves when the catalog knows all there is. */
  readonly loaded: Promise<void>;
}

/** Sums since the start. */
export interface EvictionTotals {
  readonly evicted: Readonly<Tally>;
  readonly broken: Readonly<Tally>;
  /** Seconds since the last use of the most recently used that went last. */
  readonly retentionS: number | undefined;
}

/** Evicts and compacts. */
export class Evictor {
  readonly #options: EvictorOptions;
  readonly #clearing: Clearing;
  readonly #evicted: Tally = { blobs: 0, bytes: 0 };
  readonly #broken: Tally = { blobs: 0, bytes: 0 };
  #retentionS: number | undefined;
  #shortfall: string | undefined;
  #pinned = { bytes: 0, atMs: -Infinity };
  #warning: string | undefined;
  #warnedMs = -Infinity;
  /** When there was something to say last, and when something went. */
  #warningMs = -Infinity;
  #evictedMs = -Infinity;
  #restUntilMs = -Infinity;
  #running: Promise<void> | undefined;
  #again = false;
  #timer: TimerHandle | undefined;
  #progress = Promise.withResolvers<void>();
  #limitBytes: number;
  readonly #abort = new AbortController();

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#clearing = new Clearing({ ...options, onFreed: () => this.#tell() });
    this.#limitBytes = options.maxBytes;
    const { metrics } = options;
    metrics.counter(
      "brokkr_cas_evicted_total",
      "Blobs evicted to make room",
      [],
      () => this.#evicted.blobs,
    );
    metrics.counter("brokkr_cas_evicted_bytes_total", "Their bytes on disk", [], () => this.#evicted.bytes);
    metrics.counter(
      "brokkr_cas_promises_broken_total",
      "Evicted blobs that a client had been told to be there: the store is too small",
      [],
      () => this.#broken.blobs,
    );
    metrics.gauge(
      "brokkr_cas_retention_seconds",
      "How long what was evicted last had not been used; 0 before anything was",
      [],
      () => this.#retentionS ?? 0,
    );
    this.#schedule();
    // Loading that fails is told to who asks for blobs.
    options.loaded.then(() => this.#fitLimits(), () => {});
  }

  /** Sums. */
  get totals(): EvictionTotals {
    return { evicted: this.#evicted, broken: this.#broken, retentionS: this.#retentionS };
  }

  /** See {@linkcode EvictionTotals.retentionS}; infinite before anything went. */
  get retentionS(): number {
    return this.#retentionS ?? Infinity;
  }

  /** The same, undefined unless something went in the last minutes. */
  get recentRetentionS(): number | undefined {
    return this.#isRecent(this.#evictedMs) ? this.#retentionS : undefined;
  }

  /** What the operator should know now. */
  get recentWarning(): string | undefined {
    return this.#isRecent(this.#warningMs) ? this.#warning : undefined;
  }

  /** Why no more can be freed; undefined while it can. */
  get shortfall(): string | undefined {
    return this.#shortfall;
  }

  /** Bytes above which writers are slowed down. */
  get highBytes(): number {
    return this.#limitBytes * HIGH_SHARE;
  }

  /** Says that there may be something to do. */
  wake(): void {
    if (this.#abort.signal.aborted) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    if (this.#options.clock.monotonicMs() < this.#restUntilMs) return;
    this.#again = false;
    // What was so when it looked last need not be so now: who asks meanwhile waits for the answer.
    this.#shortfall = undefined;
    this.#running = this.#run()
      .catch((error) => {
        if (this.#abort.signal.aborted) return;
        this.#shortfall = `it could not be made smaller: ${error instanceof Error ? error.message : error}`;
        this.#options.log.error("Cannot make room in the blob store", { error });
        this.#restUntilMs = this.#options.clock.monotonicMs() + REST_MS;
      })
      .finally(() => {
        this.#running = undefined;
        this.#tell();
        if (this.#again) this.wake();
      });
  }

  /** Says that what was under way has been stored, so that it may go: no rest any longer. */
  retry(): void {
    this.#restUntilMs = -Infinity;
  }

  /** Resolves when something was freed, or nothing could be. */
  progress(): Promise<void> {
    return this.#progress.promise;
  }

  /**
   * Checks that all of `batches` can be pinned for longer than promises last.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when pins would take more than their share of the store.
   */
  async checkPins(batches: readonly DigestBatch[]): Promise<void> {
    const { state: { catalog }, loaded } = this.#options;
    await loaded;
    await this.#goal();
    const moment = this.#clearing.moment();
    let bytes = await this.#pinnedBytes(moment.nowMs);
    const slices = new Slices();
    // Chunks may be in many lists, and in one many times.
    const counted = new Set<string>();
    for (const { fn, hashes, length } of batches) {
      for (let i = 0; i < length; i++) {
        const entry = catalog.entry(fn, hashes.subarray(i * fn.hashBytes, (i + 1) * fn.hashBytes));
        // A pin that is only renewed has been counted.
        if (entry === undefined || pinKind(entry.pinnedUntilMs, moment) === "hand") continue;
        const key = digestKey({ fn, hash: entry.hash.toHex() as HashHex });
        if (counted.has(key)) continue;
        counted.add(key);
        bytes += cost(fn, entry);
        if (slices.spent) await slices.next();
      }
      if (slices.spent) await slices.next();
    }
    const shareBytes = Math.floor(this.#limitBytes * PROMISED_SHARE);
    if (bytes <= shareBytes) {
      this.#pinned = { bytes, atMs: this.#pinned.atMs };
      return;
    }
    throw tooManyPins(bytes, shareBytes, this.#limitBytes);
  }

  /** What is pinned by hand, or is about to be: many pins come in batches, and are not all counted for each of them. */
  async #pinnedBytes(nowMs: number): Promise<number> {
    if (nowMs - this.#pinned.atMs > COUNTED_MS) {
      const survey = await this.#clearing.survey(this.#abort.signal);
      this.#pinned = { bytes: survey.pinned.bytes, atMs: nowMs };
    }
    return this.#pinned.bytes;
  }

  /** Frees garbage, and what `targetBytes` asks for. */
  async collect(
    options: { readonly targetBytes?: number; readonly dryRun?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<Collected> {
    const { targetBytes, dryRun = false, signal } = options;
    await this.#options.loaded;
    // One at a time with what runs by itself.
    while (this.#running !== undefined) await this.#running;
    throwIfAborted(this.#abort.signal);
    const work = this.#collect(targetBytes, dryRun, signal);
    this.#running = work.then(() => {}, () => {}).finally(() => {
      this.#running = undefined;
      this.#tell();
      if (this.#again) this.wake();
    });
    return await work;
  }

  /** Ends; what is under way is given up. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#timer?.cancel();
    await this.#running;
    this.#tell();
  }

  /** The limits may be lower than when the store was closed. */
  #fitLimits(): void {
    const { usedBytes, maxBytes, maxBlobs, state: { catalog } } = this.#options;
    if (usedBytes() > maxBytes * HIGH_SHARE || catalog.blobs > maxBlobs * HIGH_BLOBS_SHARE) this.wake();
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(LOOK_MS, () => {
      this.wake();
      if (!this.#abort.signal.aborted) this.#schedule();
    });
  }

  #tell(): void {
    const { resolve } = this.#progress;
    this.#progress = Promise.withResolvers<void>();
    resolve();
  }

  async #run(): Promise<void> {
    await this.#options.loaded;
    for (;;) {
      throwIfAborted(this.#abort.signal);
      const goal = await this.#goal();
      if (goal === undefined) {
        this.#shortfall = undefined;
        const { signal } = this.#abort;
        await this.#clearing.compact(
          KEPT_GARBAGE_SHARE,
          MAX_GARBAGE_SHARE,
          signal,
          () => this.#giveWay(signal),
        );
        return;
      }
      const before = this.#options.usedBytes();
      const done = await this.#evict(goal, "evicted", this.#abort.signal);
      if (done.blobs > 0 || this.#options.usedBytes() < before) {
        this.#shortfall = undefined;
        continue;
      }
      this.#shortfall = ALL_PROMISED;
      this.#complain(`The store is too small: ${this.#shortfall}; raise cas_max_size`);
      this.#restUntilMs = this.#options.clock.monotonicMs() + REST_MS;
      return;
    }
  }

  /** Writers who wait for room come before garbage. */
  async #giveWay(signal: AbortSignal): Promise<void> {
    if (!this.#again) return;
    this.#again = false;
    const goal = await this.#goal();
    if (goal === undefined) return;
    await this.#evict(goal, "evicted", signal);
    this.#tell();
  }

  /** What must go, if anything must. */
  async #goal(): Promise<EvictionGoal | undefined> {
    const { usedBytes, maxBytes, maxBlobs, headroomBytes, files, dir, state } = this.#options;
    let free = Infinity;
    try {
      if (headroomBytes > 0 || maxBytes === Infinity) free = await files.freeBytes(dir);
    } catch {
      // A disk that cannot say how full it is has no other limit than the store's.
    }
    const held = usedBytes();
    this.#limitBytes = Math.max(0, Math.min(maxBytes, held + free - headroomBytes));
    const used = held + this.#options.pendingBytes();
    const blobs = state.catalog.blobs + this.#options.pendingBlobs();
    const tooLarge = used > this.#limitBytes * HIGH_SHARE;
    const tooMany = blobs > maxBlobs * HIGH_BLOBS_SHARE;
    if (!tooLarge && !tooMany) return undefined;
    return {
      bytes: tooLarge ? Math.ceil(used - this.#limitBytes * LOW_SHARE) : 0,
      blobs: tooMany ? Math.ceil(blobs - maxBlobs * LOW_BLOBS_SHARE) : 0,
      limitBytes: this.#limitBytes,
    };
  }

  async #evict(
    goal: EvictionGoal,
    reason: "evicted" | "collected",
    signal: AbortSignal,
    ages?: AgeCount,
  ): Promise<Reclaimed> {
    const { done, retentionS, promised } = await this.#clearing.evict(goal, this.#note(reason, ages), signal);
    if (done.blobs > 0) {
      this.#retentionS = retentionS;
      this.#evictedMs = this.#options.clock.monotonicMs();
    }
    if (done.broken.blobs > 0) {
      this.#complain(
        `Promises to clients take more than their share of the store (${promised.bytes} of ${goal.limitBytes} ` +
          `bytes): ${done.broken.blobs} blobs went that somebody had been told to be there; raise cas_max_size`,
      );
    }
    return done;
  }

  #note(reason: "evicted" | "collected", ages: AgeCount | undefined): Note {
    return (blob) => {
      ages?.add(blob.usedS, blob.bytes);
      this.#evicted.blobs++;
      this.#evicted.bytes += blob.bytes;
      if (!blob.broken) return reason;
      this.#broken.blobs++;
      this.#broken.bytes += blob.bytes;
      return "promise broken" as const;
    };
  }

  async #collect(
    targetBytes: number | undefined,
    dryRun: boolean,
    caller: AbortSignal | undefined,
  ): Promise<Collected> {
    const { usedBytes } = this.#options;
    const signal = caller === undefined ? this.#abort.signal : AbortSignal.any([caller, this.#abort.signal]);
    const before = usedBytes();
    if (dryRun) return await this.#dryRun(targetBytes, signal);
    const total: Reclaimed = noneReclaimed();
    add(total, await this.#clearing.compact(0, 0, signal, () => this.#giveWay(signal)));
    const ages = new AgeCount(this.#options.time.now());
    let shortfall: string | undefined;
    while (targetBytes !== undefined && usedBytes() > targetBytes) {
      const goal = { bytes: usedBytes() - targetBytes, blobs: 0, limitBytes: this.#limitBytes };
      const done = await this.#evict(goal, "collected", signal, ages);
      add(total, done);
      if (done.blobs > 0 || done.freedBytes > 0) continue;
      shortfall = "The rest was promised to clients lately, is pinned, or is being written";
      break;
    }
    const diskBytes = usedBytes();
    const { blobs, bytes, copiedBytes } = total;
    const freedBytes = Math.max(0, before - diskBytes);
    return { blobs, bytes, copiedBytes, freedBytes, diskBytes, shortfall, ages: ages.classes };
  }

  async #dryRun(targetBytes: number | undefined, signal: AbortSignal): Promise<Collected> {
    const { usedBytes, segments, state: { catalog } } = this.#options;
    const before = usedBytes();
    let garbage = 0;
    for (const info of segments.segments.slice(0, -1)) {
      garbage += info.sizeBytes - catalog.segmentUse(info.id).bytes;
    }
    const wanted = targetBytes === undefined ? 0 : Math.max(0, before - garbage - targetBytes);
    const goal = { bytes: wanted, blobs: 0, limitBytes: this.#limitBytes };
    const rule = (await this.#clearing.survey(signal)).rule(goal);
    const { verdict } = rule;
    const ages = new AgeCount(this.#options.time.now());
    const goes = { blobs: 0, bytes: 0 };
    const slices = new Slices(signal);
    for (const part of wanted === 0 ? [] : catalog.parts()) {
      part((fn, entry) => {
        const bytes = cost(fn, entry);
        if (verdict(entry.usedS, entry.pinnedUntilMs) === "keep") return;
        goes.blobs++;
        goes.bytes += bytes;
        ages.add(entry.usedS, bytes);
      });
      if (slices.spent) await slices.next();
    }
    const freedBytes = garbage + goes.bytes;
    return {
      blobs: goes.blobs,
      bytes: goes.bytes,
      freedBytes,
      copiedBytes: 0,
      diskBytes: before - freedBytes,
      shortfall: wanted === 0 || rule.enough
        ? undefined
        : "The rest was promised to clients lately, is pinned, or is being written",
      ages: ages.classes,
    };
  }

  #isRecent(ms: number): boolean {
    return this.#options.clock.monotonicMs() - ms < RECENT_MS;
  }

  #complain(warning: string): void {
    this.#warning = warning;
    const nowMs = this.#options.clock.monotonicMs();
    this.#warningMs = nowMs;
    if (nowMs - this.#warnedMs < COMPLAIN_MS) return;
    this.#warnedMs = nowMs;
    this.#options.log.warn(warning, { dir: this.#options.dir });
  }
}
