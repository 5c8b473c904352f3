/**
 * The table of operations: the unfinished ones, who of them nobody watches, and the finished ones that can still be
 * waited for.
 *
 * @module
 */

import type { OperationName } from "@brokkr/common";
import { assert } from "../_assert.ts";
import type { Job, Operation } from "./_state.ts";
import type { SchedulerLimits } from "./types.ts";

/** Operations by name, with their lifetimes. Both orders below are orders of insertion, so expiry looks at the front only. */
export class OperationTable<P> {
  readonly #limits: SchedulerLimits;
  readonly #all = new Map<OperationName, Operation<P>>();
  readonly #unwatched = new Set<Operation<P>>();
  readonly #finished = new Set<Operation<P>>();
  #finishedBytes = 0;
  #heldBytes = 0;

  constructor(limits: SchedulerLimits) {
    this.#limits = limits;
  }

  get unfinished(): number {
    return this.#all.size - this.#finished.size;
  }

  get finished(): number {
    return this.#finished.size;
  }

  /** What unfinished operations cost to hold, beside their jobs. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get(name: OperationName): Operation<P> | undefined {
    return this.#all.get(name);
  }

  /** A new operation with one watcher. */
  add(name: OperationName, job: Job<P> | undefined, heldBytes = 0): Operation<P> {
    assert(!this.#all.has(name), "An operation's name is used once");
    const times = { unwatchedAtMs: 0, finishedAtMs: 0 };
    const operation: Operation<P> = { name, job, watchers: 1, ...times, heldBytes, sizeBytes: 0 };
    this.#heldBytes += heldBytes;
    this.#all.set(name, operation);
    job?.operations.add(operation);
    return operation;
  }

  watch(operation: Operation<P>): void {
    operation.watchers++;
    this.#unwatched.delete(operation);
  }

  unwatch(operation: Operation<P>, nowMs: number): void {
    assert(operation.watchers > 0, "Only a watcher stops watching");
    operation.watchers--;
    if (operation.watchers > 0 || this.#finished.has(operation)) return;
    operation.unwatchedAtMs = nowMs;
    this.#unwatched.add(operation);
  }

  /** Marks an operation finished; returns the names that are pushed out of memory by it. */
  finish(operation: Operation<P>, sizeBytes: number, nowMs: number): OperationName[] {
    assert(!this.#finished.has(operation), "An operation finishes once");
    operation.job?.operations.delete(operation);
    operation.job = undefined;
    operation.finishedAtMs = nowMs;
    operation.sizeBytes = sizeBytes;
    this.#heldBytes -= operation.heldBytes;
    operation.heldBytes = 0;
    this.#unwatched.delete(operation);
    this.#finished.add(operation);
    this.#finishedBytes += sizeBytes;
    return this.#forgetBeyondLimits();
  }

  /** Notes what a finished operation costs; returns the names that are pushed out of memory by it. */
  resize(operation: Operation<P>, sizeBytes: number): OperationName[] {
    assert(this.#finished.has(operation), "Only a finished operation is resized");
    this.#finishedBytes += sizeBytes - operation.sizeBytes;
    operation.sizeBytes = sizeBytes;
    return this.#forgetBeyondLimits();
  }

  /** Names of finished operations whose time is over; they are forgotten. */
  expireFinished(nowMs: number): OperationName[] {
    return this.#forgetWhile((oldest) => oldest.finishedAtMs + this.#limits.finishedMs <= nowMs);
  }

  /** Operations that nobody has watched for too long. */
  longUnwatched(nowMs: number): Operation<P>[] {
    const due: Operation<P>[] = [];
    for (const operation of this.#unwatched) {
      if (operation.unwatchedAtMs + this.#limits.unwatchedMs > nowMs) break;
      due.push(operation);
    }
    return due;
  }

  check(): void {
    let finishedBytes = 0;
    let heldBytes = 0;
    for (const operation of this.#all.values()) {
      const finished = this.#finished.has(operation);
      assert(finished === (operation.job === undefined), "An operation has a job until it is finished");
      assert(operation.job?.operations.has(operation) ?? true, "A job knows its operations");
      assert(
        this.#unwatched.has(operation) === (!finished && operation.watchers === 0),
        "What is unfinished and has no watcher is in the table of such",
      );
      if (finished) finishedBytes += operation.sizeBytes;
      heldBytes += operation.heldBytes;
    }
    assert(heldBytes === this.#heldBytes, "Bytes of unfinished operations add up");
    assert(finishedBytes === this.#finishedBytes, "Bytes of finished operations add up");
    assert(this.#finished.size <= this.#limits.maxFinished, "Finished operations are bounded");
  }

  #forgetBeyondLimits(): OperationName[] {
    const { maxFinished, maxFinishedBytes } = this.#limits;
    return this.#forgetWhile(() =>
      this.#finished.size > maxFinished || this.#finishedBytes > maxFinishedBytes
    );
  }

  #forgetWhile(condition: (oldest: Operation<P>) => boolean): OperationName[] {
    const names: OperationName[] = [];
    for (const oldest of this.#finished) {
      if (!condition(oldest)) break;
      this.#finished.delete(oldest);
      this.#all.delete(oldest.name);
      this.#finishedBytes -= oldest.sizeBytes;
      names.push(oldest.name);
    }
    return names;
  }
}
