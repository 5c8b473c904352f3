/**
 * Keeps a disk layer within its limit. No kernel interface that is everywhere limits a directory, so it is looked at: the
 * file system's free space, which costs nothing, says when it is worth while to add up what the layer holds.
 *
 * @module
 */

import type { Clock, TimerHandle } from "@brokkr/common";
import * as fs from "node:fs/promises";
import { type DiskUse, diskUse, exceeds } from "./_disk_use.ts";

/** Time between two looks. */
const INTERVAL_MS = 250;
/** A layer is added up again once the file system has lost this share of the limit since. */
const STEP_SHARE = 1 / 16;
/** And after this time anyway: while one writes, another may remove as much. */
const COUNT_INTERVAL_MS = 10_000;
/** Adding up may not take more than one part in so many of the time. */
const COUNT_REST = 100;
/**
 * What is open and has no name is not found by adding up. So when the file system has lost more than the limit since the
 * action began, and has no more left than this share of what it had then, the action is ended as well.
 */
const RESERVE_SHARE = 1 / 16;

/** See the module. */
export class DiskWatch implements Disposable {
  readonly #clock: Clock;
  readonly #path: string;
  readonly #limit: DiskUse;
  readonly #onExceeded: () => void;
  readonly #freeSpace: (path: string) => Promise<DiskUse>;
  #timer: TimerHandle | undefined;
  #start: DiskUse | undefined;
  /** The most there was since the layer was added up. */
  #most: DiskUse | undefined;
  #countAtMs: number;
  readonly #ending = new AbortController();
  #looking: Promise<void> | undefined;
  #exceeded = false;

  /** Watches until disposed of; `onExceeded` is called once, if ever. */
  constructor(
    clock: Clock,
    path: string,
    limit: DiskUse,
    onExceeded: () => void,
    freeSpace: (path: string) => Promise<DiskUse> = freeSpaceAt,
  ) {
    this.#clock = clock;
    this.#path = path;
    this.#limit = limit;
    this.#onExceeded = onExceeded;
    this.#freeSpace = freeSpace;
    this.#countAtMs = clock.monotonicMs() + COUNT_INTERVAL_MS;
    this.#looking = this.#look();
  }

  /** Whether the limit was exceeded. */
  get exceeded(): boolean {
    return this.#exceeded;
  }

  /** Looks for the last time: the directory is left alone from then on. */
  async check(): Promise<void> {
    this[Symbol.dispose]();
    await this.#looking;
    this.#exceeded ||= exceeds(await diskUse(this.#path, this.#limit), this.#limit);
  }

  async #look(): Promise<void> {
    try {
      const free = await this.#freeSpace(this.#path);
      this.#start ??= free;
      if ((this.#isCrowding(this.#start, free) || await this.#isTooMuch(free)) && !this.#hasEnded) {
        this.#exceeded = true;
        return this.#onExceeded();
      }
    } catch {
      // What is being removed under the look is looked at again.
    }
    if (this.#hasEnded) return;
    this.#timer = this.#clock.setTimer(INTERVAL_MS, () => {
      this.#looking = this.#look();
    });
  }

  /** Adds up, if it is worth while. */
  async #isTooMuch(free: DiskUse): Promise<boolean> {
    const { bytes, inodes } = this.#limit;
    const most = this.#most = {
      bytes: Math.max(this.#most?.bytes ?? 0, free.bytes),
      inodes: Math.max(this.#most?.inodes ?? 0, free.inodes),
    };
    const taken = { bytes: most.bytes - free.bytes, inodes: most.inodes - free.inodes };
    const step = { bytes: bytes * STEP_SHARE, inodes: inodes * STEP_SHARE };
    const startMs = this.#clock.monotonicMs();
    if (!exceeds(taken, step) && startMs < this.#countAtMs) return false;
    this.#most = free;
    const use = await diskUse(this.#path, this.#limit, this.#ending.signal);
    const endMs = this.#clock.monotonicMs();
    this.#countAtMs = endMs + Math.max(COUNT_INTERVAL_MS, (endMs - startMs) * COUNT_REST);
    return exceeds(use, this.#limit);
  }

  #isCrowding(start: DiskUse, free: DiskUse): boolean {
    return (["bytes", "inodes"] as const).some((what) =>
      start[what] - free[what] > this.#limit[what] && free[what] < start[what] * RESERVE_SHARE
    );
  }

  get #hasEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Stops watching. */
  [Symbol.dispose](): void {
    this.#ending.abort();
    this.#timer?.cancel();
  }
}

async function freeSpaceAt(path: string): Promise<DiskUse> {
  const { bsize, bfree, ffree } = await fs.statfs(path);
  return { bytes: bsize * bfree, inodes: ffree };
}
