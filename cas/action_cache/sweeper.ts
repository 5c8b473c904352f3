/**
 * Sweeps the action cache in the background: every hour, since results expire, and soon after blobs went, since results
 * that named them are of no use any more.
 *
 * @module
 */

import { type Clock, type Logger, noLog, systemClock, type TimerHandle } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import type { KeptBlobStore } from "../store_keeper.ts";
import type { ActionCache } from "./action_cache.ts";

/** How an {@linkcode ActionCacheSweeper} is set up. */
export interface ActionCacheSweeperOptions {
  /** What is swept. */
  readonly cache: ActionCache;
  /** Increases whenever blobs went, see {@linkcode departuresOf}; none ever do by default. */
  readonly departures?: () => number;
  /** Time; the system's by default. */
  readonly clock?: Clock;
  /** Where it tells of what it dropped. */
  readonly log?: Logger;
  /** How long after a sweep there is another, in milliseconds; an hour by default. */
  readonly intervalMs?: number;
  /** How often it looks whether blobs went, in milliseconds; a minute by default. */
  readonly lookMs?: number;
  /** Share of the time that a sweep works; a quarter by default. */
  readonly share?: number;
}

const DEFAULT_INTERVAL_MS = 3_600_000;
const DEFAULT_LOOK_MS = 60_000;
const DEFAULT_SHARE = 0.25;
/** Looks before the first sweep: what starts has better things to do. */
const FIRST_LOOKS = 5;
/** After a sweep there is none for so many times as long as it took, however many blobs go. */
const REST = 10;

/** Sweeps until it is disposed of. */
export class ActionCacheSweeper implements AsyncDisposable {
  readonly #cache: ActionCache;
  readonly #departures: () => number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #intervalMs: number;
  readonly #lookMs: number;
  readonly #share: number;
  readonly #stop = new AbortController();
  #timer: TimerHandle;
  #running: Promise<void> | undefined;
  #seen: number;
  #dueMs: number;
  #earliestMs: number;

  /** A sweeper that has begun. */
  constructor(options: ActionCacheSweeperOptions) {
    this.#cache = options.cache;
    this.#departures = options.departures ?? (() => 0);
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? noLog;
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS;
    this.#lookMs = options.lookMs ?? DEFAULT_LOOK_MS;
    this.#share = options.share ?? DEFAULT_SHARE;
    this.#seen = this.#departures();
    const nowMs = this.#clock.monotonicMs();
    this.#dueMs = nowMs + Math.min(this.#intervalMs, FIRST_LOOKS * this.#lookMs);
    this.#earliestMs = nowMs;
    this.#timer = this.#arm();
  }

  /** Resolves when no sweep is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Ends it, and a sweep that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#timer.cancel();
    await this.#running;
  }

  #arm(): TimerHandle {
    return this.#clock.setTimer(this.#lookMs, () => {
      this.#look();
      this.#timer = this.#arm();
    });
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#running !== undefined || nowMs < this.#earliestMs) return;
    if (nowMs < this.#dueMs && this.#departures() === this.#seen) return;
    this.#running = this.#sweep(nowMs).finally(() => this.#running = undefined);
  }

  async #sweep(startMs: number): Promise<void> {
    // Before it looks: what goes meanwhile calls for another sweep.
    this.#seen = this.#departures();
    try {
      const { signal } = this.#stop;
      const swept = await this.#cache.sweep({ signal, share: this.#share });
      if (swept.expired + swept.incomplete + swept.damaged > 0) {
        this.#log.info("Action results were dropped", { ...swept });
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#log.warn("The action cache could not be swept; it will be tried again", { error });
    }
    const endMs = this.#clock.monotonicMs();
    this.#dueMs = endMs + this.#intervalMs;
    this.#earliestMs = endMs + Math.max(this.#lookMs, REST * (endMs - startMs));
  }
}

/** A number that increases whenever blobs of this store went; always 0 for stores that do not tell. */
export function departuresOf(store: BlobStore): number {
  const { keeper, departures } = store as Partial<KeptBlobStore> & { readonly departures?: number };
  return keeper?.departures ?? departures ?? 0;
}
