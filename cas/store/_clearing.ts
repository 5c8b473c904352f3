/**
 * Frees what a rule lets go: looks through the catalog, chooses segments and files, has them taken away.
 *
 * @module
 */

import { type Clock, Slices } from "@brokkr/common";
import {
  type EvictionGoal,
  type EvictionMoment,
  type EvictionRule,
  EvictionSurvey,
  type Tally,
} from "./_eviction_plan.ts";
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
  gives,
  isWorthwhile,
  type Prospect,
  takeUntil,
  type Victim,
} from "./_victims.ts";
import { FILE_SEGMENT } from "./membership_table.ts";

/** When too much would have to be copied, more blobs go: these shares of what else may. */
const MORE_SHARES = [1 / 16, 1 / 8, 1 / 4, 1 / 2];

/** What a {@linkcode Clearing} works with. */
export interface ClearingOptions {
  readonly state: Recovered;
  readonly segments: SegmentLog;
  readonly reclaimer: Reclaimer;
  readonly clock: Clock;
  readonly time: StoreTime;
  readonly promiseMs: number;
  /** Called whenever something was freed. */
  readonly onFreed: () => void;
}

/** What an eviction came to. */
export interface Cleared {
  readonly done: Reclaimed;
  /** Seconds since the last use of the most recently used that went. */
  readonly retentionS: number;
  /** What had been promised before. */
  readonly promised: Readonly<Tally>;
}

/** Frees room in one store. */
export class Clearing {
  readonly #options: ClearingOptions;

  constructor(options: ClearingOptions) {
    this.#options = options;
  }

  /** Now, for rules. */
  moment(): EvictionMoment {
    const { clock, time, promiseMs } = this.#options;
    return { nowS: time.now(), nowMs: clock.monotonicMs(), promiseMs };
  }

  /** Looks at every blob. */
  async survey(signal: AbortSignal): Promise<EvictionSurvey> {
    const { state } = this.#options;
    const survey = new EvictionSurvey(this.moment());
    const slices = new Slices(signal);
    for (const part of state.catalog.parts()) {
      part((fn, entry) => survey.add(cost(fn, entry), entry.usedS, entry.pinnedUntilMs));
      if (slices.spent) await slices.next();
    }
    return survey;
  }

  /** Evicts what was unused for longest until the goal is reached, or nothing more may go. */
  async evict(goal: EvictionGoal, note: Note, signal: AbortSignal): Promise<Cleared> {
    const survey = await this.survey(signal);
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
    const done = await this.#execute(prospect, rule, goal, note, signal);
    return { done, retentionS: rule.retentionS, promised: survey.promised };
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
    const { reclaimer, onFreed } = this.#options;
    // Files and segments give in proportion to what of them may go, so that neither keeps what is older than the other's.
    const all = freeable(prospect);
    const share = all === 0 ? 0 : Math.min(1, goal.bytes / all);
    const total: Reclaimed = noneReclaimed();
    const enough = () => total.freedBytes >= goal.bytes && total.blobs >= goal.blobs;
    const fileBytes = goal.blobs > 0 ? prospect.files.bytes : Math.ceil(prospect.files.bytes * share);
    if (fileBytes > 0) {
      add(total, await reclaimer.files(rule, fileBytes, note, signal));
      onFreed();
    }
    // What was promised may be nearly all there is: then nothing is copied for the sake of what hardly makes room.
    const giving = prospect.victims.filter((victim) => gives(victim, goal.blobs === 0));
    for (const victims of chunks(giving)) {
      if (enough()) break;
      const needed = takeUntil(victims, goal.bytes - total.freedBytes, goal.blobs > total.blobs);
      add(
        total,
        await reclaimer.segments(
          needed.map(({ info }) => info),
          rule,
          note,
          signal,
          onFreed,
        ),
      );
    }
    if (!enough() && fileBytes < prospect.files.bytes) {
      const left = Math.max(goal.bytes - total.freedBytes, goal.blobs > total.blobs ? Infinity : 0);
      add(total, await reclaimer.files(rule, left, note, signal));
    }
    return total;
  }

  /** Copies together what is left of segments that hold much garbage. */
  async compact(
    keepShare: number,
    beginShare: number,
    signal: AbortSignal,
    between: () => Promise<void>,
  ): Promise<Reclaimed> {
    const { segments, state: { catalog }, reclaimer, onFreed } = this.#options;
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
      await between();
      const there = new Set(segments.segments.map(({ id }) => id));
      const infos = victims.map(({ info }) => info).filter(({ id }) => there.has(id));
      add(total, await reclaimer.segments(infos, undefined, undefined, signal, onFreed));
    }
    return total;
  }
}

/** Nothing. */
export function noneReclaimed(): Reclaimed {
  return { blobs: 0, bytes: 0, freedBytes: 0, copiedBytes: 0, broken: { blobs: 0, bytes: 0 } };
}

/** Adds up. */
export function add(total: Reclaimed, more: Reclaimed): void {
  total.blobs += more.blobs;
  total.bytes += more.bytes;
  total.freedBytes += more.freedBytes;
  total.copiedBytes += more.copiedBytes;
  total.broken.blobs += more.broken.blobs;
  total.broken.bytes += more.broken.bytes;
}
