/**
 * Keeps an action's stdout and stderr from filling the disk. They are files, so that no pipe can block anybody; a file
 * has no limit of its own (RLIMIT_FSIZE would limit the action's outputs too), so their size is looked at now and
 * then, and what is beyond the limit is cut off and counted. The first bytes are the ones kept. The files are opened
 * with O_APPEND: after the cut a writer goes on at the new end and leaves no hole.
 *
 * @module
 */

import type { Clock, TimerHandle } from "@brokkr/common";
import { statx } from "./file_calls.ts";
import { ftruncate } from "./libc.ts";

/** Time between two looks. */
export const WATCH_INTERVAL_MS = 50;
/** An action that was cut off by this many times the limit is a runaway, and ended. */
export const RUNAWAY_FACTOR = 16;

/** One output. */
export interface WatchedOutput {
  /** A descriptor open for writing; what is no regular file is left alone. */
  readonly fd: number;
}

/** See the module. */
export class OutputWatch implements Disposable {
  readonly #clock: Clock;
  readonly #limitBytes: number;
  readonly #onRunaway: () => void;
  readonly #outputs: { readonly fd: number; droppedBytes: number }[];
  #timer: TimerHandle | undefined;
  #runaway = false;
  #failure: unknown;

  /** Watches `outputs` until disposed of; `onRunaway` is called once, if ever. */
  constructor(clock: Clock, outputs: readonly WatchedOutput[], limitBytes: number, onRunaway: () => void) {
    this.#clock = clock;
    this.#limitBytes = limitBytes;
    this.#onRunaway = onRunaway;
    this.#outputs = outputs.filter(({ fd }) => statx(fd, "").type === "file")
      .map(({ fd }) => ({ fd, droppedBytes: 0 }));
    this.#schedule();
  }

  /** Whether the action had to be ended for writing on and on. */
  get runaway(): boolean {
    return this.#runaway;
  }

  /** Bytes cut off the output with this descriptor so far. */
  droppedBytes(fd: number): number {
    return this.#outputs.find((output) => output.fd === fd)?.droppedBytes ?? 0;
  }

  /** Looks once and cuts. @throws {SyscallError} when that fails, or has failed before. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const output of this.#outputs) {
      const sizeBytes = statx(output.fd, "").sizeBytes;
      if (sizeBytes <= this.#limitBytes) continue;
      ftruncate(output.fd, this.#limitBytes);
      output.droppedBytes += sizeBytes - this.#limitBytes;
      if (!this.#runaway && output.droppedBytes > this.#limitBytes * RUNAWAY_FACTOR) {
        this.#runaway = true;
        this.#onRunaway();
      }
    }
  }

  #schedule(): void {
    if (this.#outputs.length === 0) return;
    this.#timer = this.#clock.setTimer(WATCH_INTERVAL_MS, () => {
      try {
        this.check();
      } catch (error) {
        // Unwatched output could fill the disk: end the action, and say so when it is asked how it went.
        this.#failure = error;
        return this.#onRunaway();
      }
      this.#schedule();
    });
  }

  /** Stops watching. */
  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
