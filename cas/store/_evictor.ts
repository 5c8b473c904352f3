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
import type { Collected } from "../store_keeper.ts";
import {
  type EvictionGoal,
  type EvictionMoment,
  type EvictionRule,
  EvictionSurvey,
  pinKind,
  PROMISED_SHARE,
  type Tally,
} from "./_eviction_plan.ts";
import { ALL_PROMISED, tooManyPins } from "./_no_room.ts";
import { AgeCount } from "./_age_count.ts";
import { cost, type Note, type Reclaimed, type Reclaimer } from "./_reclaimer.ts";
import type { Recovered } from "./_recover.ts";
import { SEGMENT_HEADER_BYTES } from "./_segment_header.ts";
import type { SegmentLog } from "./_segment_log.ts";
import type { StoreTime } from "./_store_time.ts";
import {
  chunks,
  freeable,
  freedShare,
  garbageOf,
  isWorthwhile,
  type Prospect,
  takeUntil,
  type Victim,
} from "./_victims.ts";
import type { FileLayer } from "./file_layer.ts";
import { FILE_SEGMENT } from "./membership_table.ts";

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
/** When too much would have to be copied, more blobs go: these shares of what else may. */
const MORE_SHARES = [1 / 16, 1 / 8, 1 / 4, 1 / 2];
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

  /** What the operator should know. */
  get warning(): string | undefined {
    return this.#warning;
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
   * Checks that `batch` can be pinned for longer than promises last.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when pins would take more than their share of the store.
   */
  async checkPins(batch: DigestBatch): Promise<void> {
    const { state: { catalog }, loaded } = this.#options;
    await loaded;
    await this.#goal();
    const moment = this.#moment();
    let bytes = await this.#pinnedBytes(moment.nowMs);
    const { fn, hashes } = batch;
    for (let i = 0; i < batch.length; i++) {
      const entry = catalog.entry(fn, hashes.subarray(i * fn.hashBytes, (i + 1) * fn.hashBytes));
      // A pin that is only renewed has been counted.
      if (entry === undefined || pinKind(entry.pinnedUntilMs, moment) === "hand") continue;
      bytes += cost(fn, entry);
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
      const survey = await this.#survey(this.#abort.signal);
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
    const work = this.#collect(targetBytes, dryRun, signal);
    this.#running = work.then(() => {}, () => {}).finally(() => {
      this.#running = undefined;
      this.#tell();
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
        await this.#compact(KEPT_GARBAGE_SHARE, MAX_GARBAGE_SHARE, this.#abort.signal);
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

  /** What must go, if anything must. */
  async #goal(): Promise<EvictionGoal | undefined> {
    const { usedBytes, pendingBytes, maxBytes, maxBlobs, headroomBytes, files, dir, state } = this.#options;
    let free = Infinity;
    try {
      if (headroomBytes > 0 || maxBytes === Infinity) free = await files.freeBytes(dir);
    } catch {
      // A disk that cannot say how full it is has no other limit than the store's.
    }
    const held = usedBytes();
    this.#limitBytes = Math.max(0, Math.min(maxBytes, held + free - headroomBytes));
    const used = held + pendingBytes();
    const { blobs } = state.catalog;
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
    const survey = await this.#survey(signal);
    let rule = survey.rule(goal);
    let prospect = await this.#prospect(rule, signal);
    // Blobs that go may be scattered among others that stay; then more of them go, so that less has to be copied.
    for (const more of MORE_SHARES) {
      if (isWorthwhile(prospect, goal.bytes) || rule.goes.blobs >= rule.evictable.blobs) break;
      rule = survey.rule({
        ...goal,
        bytes: goal.bytes + Math.max(0, rule.evictable.bytes - goal.bytes) * more,
        blobs: goal.blobs,
      });
      prospect = await this.#prospect(rule, signal);
    }
    prospect = await this.#withActive(prospect, goal, rule, signal);
    const done = await this.#execute(prospect, rule, goal, this.#note(reason, ages), signal);
    if (done.blobs > 0) {
      this.#retentionS = rule.retentionS;
      this.#evictedMs = this.#options.clock.monotonicMs();
    }
    if (done.broken.blobs > 0) {
      this.#complain(
        `Promises to clients take more than their share of the store (${survey.promised.bytes} of ${goal.limitBytes} ` +
          `bytes): ${done.broken.blobs} blobs went that somebody had been told to be there; raise cas_max_size`,
      );
    }
    return done;
  }

  /** When the other segments do not hold enough that may go, the one that is written is closed and goes too. */
  async #withActive(
    prospect: Prospect,
    goal: EvictionGoal,
    rule: EvictionRule,
    signal: AbortSignal,
  ): Promise<Prospect> {
    const { active } = prospect;
    if (active === undefined || freeable(prospect) >= goal.bytes && goal.blobs === 0) return prospect;
    const freed = active.info.sizeBytes - SEGMENT_HEADER_BYTES - active.keepBytes;
    if (freed <= 0) return prospect;
    await this.#options.segments.turn();
    return await this.#prospect(rule, signal);
  }

  #moment(): EvictionMoment {
    const { clock, time, promiseMs } = this.#options;
    return { nowS: time.now(), nowMs: clock.monotonicMs(), promiseMs };
  }

  async #survey(signal: AbortSignal): Promise<EvictionSurvey> {
    const { state } = this.#options;
    const survey = new EvictionSurvey(this.#moment());
    const slices = new Slices(signal);
    for (const part of state.catalog.parts()) {
      part((fn, entry) => survey.add(cost(fn, entry), entry.usedS, entry.pinnedUntilMs));
      if (slices.spent) await slices.next();
    }
    return survey;
  }

  async #prospect(rule: EvictionRule, signal: AbortSignal): Promise<Prospect> {
    const { segments, state } = this.#options;
    const infos = segments.segments;
    const victims = new Map<number, Victim>();
    for (const info of infos) victims.set(info.id, { info, keepBytes: 0, keepRecords: 0 });
    const files: Tally = { blobs: 0, bytes: 0 };
    const slices = new Slices(signal);
    for (const part of state.catalog.parts()) {
      part((fn, entry) => {
        const stays = rule.verdict(entry.usedS, entry.pinnedUntilMs) === "keep";
        if (entry.segment === FILE_SEGMENT) {
          if (stays) return;
          files.blobs++;
          files.bytes += entry.sizeBytes;
          return;
        }
        const victim = stays ? victims.get(entry.segment) : undefined;
        if (victim === undefined) return;
        victim.keepBytes += cost(fn, entry);
        victim.keepRecords++;
      });
      if (slices.spent) await slices.next();
    }
    const newest = infos.at(-1);
    const active = newest === undefined ? undefined : victims.get(newest.id);
    if (newest !== undefined) victims.delete(newest.id);
    const sorted = [...victims.values()].sort((a, b) => freedShare(b) - freedShare(a));
    return { victims: sorted, active, files };
  }

  async #execute(
    prospect: Prospect,
    rule: EvictionRule,
    goal: EvictionGoal,
    note: Note,
    signal: AbortSignal,
  ): Promise<Reclaimed> {
    const { reclaimer } = this.#options;
    // Files and segments give in proportion to what of them may go, so that neither keeps what is older than the other's.
    const all = freeable(prospect);
    const share = all === 0 ? 0 : Math.min(1, goal.bytes / all);
    const total: Reclaimed = noneReclaimed();
    const enough = () => total.freedBytes >= goal.bytes && total.blobs >= goal.blobs;
    const fileBytes = goal.blobs > 0 ? prospect.files.bytes : Math.ceil(prospect.files.bytes * share);
    if (fileBytes > 0) {
      add(total, await reclaimer.files(rule, fileBytes, note, signal));
      this.#tell();
    }
    for (const victims of chunks(prospect.victims)) {
      if (enough()) break;
      const needed = takeUntil(victims, goal.bytes - total.freedBytes, goal.blobs > total.blobs);
      add(
        total,
        await reclaimer.segments(
          needed.map(({ info }) => info),
          rule,
          note,
          signal,
          () => this.#tell(),
        ),
      );
    }
    if (!enough() && fileBytes < prospect.files.bytes) {
      const left = Math.max(goal.bytes - total.freedBytes, goal.blobs > total.blobs ? Infinity : 0);
      add(total, await reclaimer.files(rule, left, note, signal));
    }
    return total;
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

  /** Copies together what is left of segments that hold much garbage. */
  async #compact(keepShare: number, beginShare: number, signal: AbortSignal): Promise<Reclaimed> {
    const { segments, state: { catalog }, reclaimer } = this.#options;
    const total: Reclaimed = noneReclaimed();
    const candidates = segments.segments.slice(0, -1).map((info) => {
      const use = catalog.segmentUse(info.id);
      return { info, keepBytes: use.bytes, keepRecords: use.records };
    });
    let garbage = 0;
    let live = 0;
    for (const victim of candidates) {
      garbage += garbageOf(victim);
      live += victim.keepBytes;
    }
    if (garbage <= live * beginShare) return total;
    candidates.sort((a, b) => freedShare(b) - freedShare(a));
    const needed = takeUntil(candidates, garbage - live * keepShare, false)
      .filter((victim) => garbageOf(victim) > 0);
    for (const victims of chunks(needed)) {
      add(total, await reclaimer.segments(victims.map(({ info }) => info), undefined, undefined, signal));
    }
    return total;
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
    add(total, await this.#compact(0, 0, signal));
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
    const rule = (await this.#survey(signal)).rule(goal);
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

function noneReclaimed(): Reclaimed {
  return { blobs: 0, bytes: 0, freedBytes: 0, copiedBytes: 0, broken: { blobs: 0, bytes: 0 } };
}

function add(total: Reclaimed, more: Reclaimed): void {
  total.blobs += more.blobs;
  total.bytes += more.bytes;
  total.freedBytes += more.freedBytes;
  total.copiedBytes += more.copiedBytes;
  total.broken.blobs += more.broken.blobs;
  total.broken.bytes += more.broken.bytes;
}
