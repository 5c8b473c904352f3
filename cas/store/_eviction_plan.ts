/**
 * What is evicted: a survey of all blobs by age comes to a rule that says of each whether it goes. Pure, so that it can be
 * held against a simple reference.
 *
 * Blobs that nobody was promised go first, those unused for longest before others. What was promised (somebody was told
 * that it is there) stays, as long as promises take no more than their share of the store; of what is beyond that the
 * oldest count as if they had not been promised. But never what was promised within a build's length: when that leaves
 * nothing to evict the store is too small for what is done with it, and refusing to take more is more honest than taking
 * away from a build what it was told to be there. What is pinned by hand always stays.
 *
 * @module
 */

/** Share of the store that promises may take. */
export const PROMISED_SHARE = 0.7;
/** Promises younger than this are always kept, in seconds. */
export const BUILD_SECONDS = 600;
/** Pins that end later than a promise could are pins by hand; ticks of pins are coarse, hence the slack. */
const HAND_SLACK_MS = 60_000;

const EXACT_AGES = 256;
const STEP_BITS = 7;
const BUCKETS = EXACT_AGES + ((32 - 8) << STEP_BITS);

/** What a rule is to achieve. */
export interface EvictionGoal {
  /** Bytes on disk that must go. */
  readonly bytes: number;
  /** Blobs that must go. */
  readonly blobs: number;
  /** What the store may take, of which promises may take their share. */
  readonly limitBytes: number;
}

/** Now, and how long promises last. */
export interface EvictionMoment {
  /** In seconds of store time. */
  readonly nowS: number;
  /** In milliseconds on the clock of pins. */
  readonly nowMs: number;
  /** How long a promise lasts, in milliseconds. */
  readonly promiseMs: number;
}

/** What a rule says of a blob: it stays, it goes, or it goes although it was promised. */
export type Verdict = "keep" | "evict" | "break";

/** Blobs and their bytes on disk. */
export interface Tally {
  blobs: number;
  bytes: number;
}

/** Which blobs go. */
export interface EvictionRule {
  /** What becomes of a blob that was used last at `usedS` and is pinned until `pinnedUntilMs`. */
  readonly verdict: (usedS: number, pinnedUntilMs: number) => Verdict;
  /** What the rule lets go. */
  readonly goes: Readonly<Tally>;
  /** Of that, what had been promised. */
  readonly broken: Readonly<Tally>;
  /** Whether that is enough. */
  readonly enough: boolean;
  /** All that could go at all. */
  readonly evictable: Readonly<Tally>;
  /** Seconds since the last use of the most recently used that goes. */
  readonly retentionS: number;
}

/** The number of an age in seconds among ages: exact while young, then with a precision of one in 128. */
export function ageBucket(ageS: number): number {
  if (ageS < EXACT_AGES) return Math.max(0, ageS);
  const exponent = 31 - Math.clz32(ageS);
  const step = (ageS >>> (exponent - STEP_BITS)) & ((1 << STEP_BITS) - 1);
  return EXACT_AGES + ((exponent - 8) << STEP_BITS) + step;
}

/** The youngest age in seconds of a bucket. */
export function bucketAge(bucket: number): number {
  if (bucket < EXACT_AGES) return bucket;
  const exponent = 8 + ((bucket - EXACT_AGES) >>> STEP_BITS);
  const step = (bucket - EXACT_AGES) & ((1 << STEP_BITS) - 1);
  return (2 ** exponent) + step * 2 ** (exponent - STEP_BITS);
}

/** Whether a pin is one by hand, a promise, or over. */
export function pinKind(
  pinnedUntilMs: number,
  { nowMs, promiseMs }: EvictionMoment,
): "hand" | "promise" | "none" {
  if (pinnedUntilMs <= nowMs) return "none";
  return pinnedUntilMs - nowMs > promiseMs + HAND_SLACK_MS ? "hand" : "promise";
}

class Histogram {
  readonly bytes = new Float64Array(BUCKETS);
  readonly blobs = new Float64Array(BUCKETS);
  readonly total: Tally = { blobs: 0, bytes: 0 };

  add(bucket: number, bytes: number): void {
    this.bytes[bucket] += bytes;
    this.blobs[bucket]++;
    this.total.bytes += bytes;
    this.total.blobs++;
  }
}

/** Counts blobs by age, then makes rules. */
export class EvictionSurvey {
  readonly #moment: EvictionMoment;
  readonly #free = new Histogram();
  readonly #promised = new Histogram();
  readonly #hand: Tally = { blobs: 0, bytes: 0 };

  /** An empty survey. */
  constructor(moment: EvictionMoment) {
    this.#moment = moment;
  }

  /** What was promised. */
  get promised(): Readonly<Tally> {
    return this.#promised.total;
  }

  /** What was pinned by hand. */
  get pinned(): Readonly<Tally> {
    return this.#hand;
  }

  /** Counts a blob that takes `bytes` on disk. */
  add(bytes: number, usedS: number, pinnedUntilMs: number): void {
    const kind = pinKind(pinnedUntilMs, this.#moment);
    if (kind === "hand") {
      this.#hand.bytes += bytes;
      this.#hand.blobs++;
      return;
    }
    const bucket = ageBucket(this.#moment.nowS - usedS);
    (kind === "none" ? this.#free : this.#promised).add(bucket, bytes);
  }

  /** The rule that lets go what was unused for longest, as much as the goal needs, or all that may go. */
  rule(goal: EvictionGoal): EvictionRule {
    const moment = this.#moment;
    const demoted = this.#demoted(goal);
    const evictable = { ...this.#free.total };
    for (let bucket = demoted; bucket < BUCKETS; bucket++) {
      evictable.bytes += this.#promised.bytes[bucket];
      evictable.blobs += this.#promised.blobs[bucket];
    }
    const goes: Tally = { blobs: 0, bytes: 0 };
    const broken: Tally = { blobs: 0, bytes: 0 };
    let cutoff = BUCKETS;
    while (cutoff > 0 && (goes.bytes < goal.bytes || goes.blobs < goal.blobs)) {
      cutoff--;
      goes.bytes += this.#free.bytes[cutoff];
      goes.blobs += this.#free.blobs[cutoff];
      if (cutoff < demoted) continue;
      broken.bytes += this.#promised.bytes[cutoff];
      broken.blobs += this.#promised.blobs[cutoff];
      goes.bytes += this.#promised.bytes[cutoff];
      goes.blobs += this.#promised.blobs[cutoff];
    }
    const verdict = (usedS: number, pinnedUntilMs: number): Verdict => {
      const bucket = ageBucket(moment.nowS - usedS);
      if (bucket < cutoff) return "keep";
      const kind = pinKind(pinnedUntilMs, moment);
      if (kind === "none") return "evict";
      return kind === "promise" && bucket >= demoted ? "break" : "keep";
    };
    const enough = goes.bytes >= goal.bytes && goes.blobs >= goal.blobs;
    return {
      verdict,
      goes,
      broken,
      enough,
      evictable,
      retentionS: bucketAge(Math.min(cutoff, BUCKETS - 1)),
    };
  }

  /** From which bucket on promises count as if they had not been made. */
  #demoted({ limitBytes }: EvictionGoal): number {
    let left = this.#promised.total.bytes;
    const share = limitBytes * PROMISED_SHARE - this.#hand.bytes;
    const youngest = ageBucket(BUILD_SECONDS);
    let bucket = BUCKETS;
    while (left > share && bucket - 1 > youngest) left -= this.#promised.bytes[--bucket];
    return bucket;
  }
}
