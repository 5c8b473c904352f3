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
  readonly #limitBytes: number;
  readonly #onExceeded: () => void;
  #timer: TimerHandle | undefined;
  #lastFree = Infinity;
  #ended = false;
  #exceeded = false;

  /** Watches until disposed of; `onExceeded` is called once, if ever. */
  constructor(clock: Clock, path: string, limitBytes: number, onExceeded: () => void) {
    this.#clock = clock;
    this.#path = path;
    this.#limitBytes = limitBytes;
    this.#onExceeded = onExceeded;
    void this.#look();
  }

  /** Whether the limit was exceeded. */
  get exceeded(): boolean {
    return this.#exceeded;
  }

  /** Looks once more, at the end. */
  async check(): Promise<void> {
    if (!this.#exceeded && await diskUsage(this.#path) > this.#limitBytes) this.#exceeded = true;
  }

  async #look(): Promise<void> {
    try {
      const { bsize, bfree } = await fs.statfs(this.#path);
      const free = bsize * bfree;
      if (this.#lastFree === Infinity) this.#lastFree = free;
      if (this.#lastFree - free > this.#limitBytes * STEP_SHARE) {
        const used = await diskUsage(this.#path);
        this.#lastFree = free;
        if (used > this.#limitBytes && !this.#ended) {
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

/** Bytes that a directory takes on disk, as du(1) counts them; links are not followed. */
export async function diskUsage(path: string): Promise<number> {
  const slices = new Slices();
  const waiting = [path];
  let bytes = 0;
  for (let directory; (directory = waiting.pop()) !== undefined;) {
    try {
      for await (const { name, isDirectory } of Deno.readDir(directory)) {
        const child = `${directory}/${name}`;
        bytes += (Deno.lstatSync(child).blocks ?? 0) * 512;
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
  return bytes;
}
