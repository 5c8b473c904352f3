/**
 * Keeps a disk layer within its limit. No kernel interface that is everywhere limits a directory, so it is looked at: the
 * file system's free space, which costs nothing, says when it is worth while to add up what the layer holds.
 *
 * @module
 */

import { type Clock, Slices, type TimerHandle } from "@brokkr/common";
import * as fs from "node:fs/promises";

/** Time between two looks. */
const INTERVAL_MS = 250;
/** A layer is added up again once the file system has lost this share of the limit since. */
const STEP_SHARE = 1 / 16;

/** See the module. */
export class DiskWatch implements Disposable {
  readonly #clock: Clock;
  readonly #path: string;
  readonly #limit: DiskUse;
  readonly #onExceeded: () => void;
  #timer: TimerHandle | undefined;
  #last: DiskUse | undefined;
  #ended = false;
  #exceeded = false;

  /** Watches until disposed of; `onExceeded` is called once, if ever. */
  constructor(clock: Clock, path: string, limit: DiskUse, onExceeded: () => void) {
    this.#clock = clock;
    this.#path = path;
    this.#limit = limit;
    this.#onExceeded = onExceeded;
    void this.#look();
  }

  /** Whether the limit was exceeded. */
  get exceeded(): boolean {
    return this.#exceeded;
  }

  /** Looks once more, at the end. */
  async check(): Promise<void> {
    this.#exceeded ||= exceeds(await diskUse(this.#path), this.#limit);
  }

  async #look(): Promise<void> {
    try {
      const { bsize, bfree, ffree } = await fs.statfs(this.#path);
      const free = { bytes: bsize * bfree, inodes: ffree };
      const last = this.#last ??= free;
      const taken = { bytes: last.bytes - free.bytes, inodes: last.inodes - free.inodes };
      const step = { bytes: this.#limit.bytes * STEP_SHARE, inodes: this.#limit.inodes * STEP_SHARE };
      if (exceeds(taken, step)) {
        this.#last = free;
        if (exceeds(await diskUse(this.#path), this.#limit) && !this.#ended) {
          this.#exceeded = true;
          return this.#onExceeded();
        }
      }
    } catch {
      // What is being removed under the look is looked at again.
    }
    if (!this.#ended) this.#timer = this.#clock.setTimer(INTERVAL_MS, () => void this.#look());
  }

  /** Stops watching. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#timer?.cancel();
  }
}

/** Bytes and inodes. */
export interface DiskUse {
  /** Bytes. */
  readonly bytes: number;
  /** Files, directories and links. */
  readonly inodes: number;
}

function exceeds(use: DiskUse, limit: DiskUse): boolean {
  return use.bytes > limit.bytes || use.inodes > limit.inodes;
}

/** What a directory takes on disk, as du(1) counts it; links are not followed. */
export async function diskUse(path: string): Promise<DiskUse> {
  const slices = new Slices();
  const waiting = [path];
  const use = { bytes: 0, inodes: 0 };
  for (let directory; (directory = waiting.pop()) !== undefined;) {
    try {
      for await (const { name, isDirectory } of Deno.readDir(directory)) {
        const child = `${directory}/${name}`;
        use.bytes += (Deno.lstatSync(child).blocks ?? 0) * 512;
        use.inodes++;
        if (isDirectory) waiting.push(child);
        if (slices.spent) await slices.next();
      }
    } catch (error) {
      // Gone, or closed to everyone but its owner, who is the same user: then it holds nothing that could be seen.
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
        throw error;
      }
    }
  }
  return use;
}
