/**
 * What lookups found to be done about results, done a little later and many at a time, so that no lookup waits for a
 * write: noting that a result was used, and looking again at one that could not be used.
 *
 * @module
 */

import { type Clock, mapLimit, Slices, type TimerHandle } from "@brokkr/common";
import type { Digest } from "../digest.ts";
import type { ResultOrigin } from "./_record.ts";

/** How long something waits for company, in milliseconds. */
const DELAY_MS = 5000;
/** Most that waits; what comes beyond is left to the next lookup, or to the sweeper. */
const MAX_WAITING = 10_000;
/** Writes at once; the store groups them. */
const PARALLEL = 64;

/** Something to be done about a result. */
export interface Chore {
  /** Where it lies. */
  readonly key: Uint8Array;
  /** It was used, or it cannot be used. */
  readonly kind: "used" | "unfit";
  /** Whose it is. */
  readonly origin: ResultOrigin;
  /** The action. */
  readonly action: Digest;
  /** When it came up, in seconds of wall time. */
  readonly atS: number;
}

/** The chores of one action cache. */
export class Upkeep implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #run: (chore: Chore) => Promise<unknown>;
  #waiting = new Map<string, Chore>();
  #running: Promise<void> = Promise.resolve();
  #timer: TimerHandle | undefined;
  #closed = false;

  /** Chores done by `run`; what it throws is forgotten, since they come up again. */
  constructor(clock: Clock, run: (chore: Chore) => Promise<unknown>) {
    this.#clock = clock;
    this.#run = run;
  }

  /** Takes a chore; false when there are too many. */
  add(chore: Chore): boolean {
    if (this.#closed || this.#waiting.size >= MAX_WAITING) return false;
    this.#waiting.set(chore.key.toHex(), chore);
    this.#timer ??= this.#clock.setTimer(DELAY_MS, () => {
      this.flush();
    });
    return true;
  }

  /** Whether a result waits to be noted as used. */
  used(key: Uint8Array): boolean {
    return this.#waiting.size > 0 && this.#waiting.get(key.toHex())?.kind === "used";
  }

  /** Does what waits; resolves when it is done, and never rejects. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const chores = [...this.#waiting.values()];
    if (chores.length === 0) return this.#running;
    this.#waiting = new Map();
    const slices = new Slices();
    const run = async (chore: Chore) => {
      while (slices.spent) await slices.next();
      await this.#run(chore).catch(() => {});
    };
    this.#running = this.#running.then(async () => {
      await mapLimit(chores, PARALLEL, run);
    });
    return this.#running;
  }

  /** Does what waits, and takes no more. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    return this.flush();
  }
}
