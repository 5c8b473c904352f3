/**
 * Brings waiting jobs and free slots together.
 *
 * @module
 */

import type { Fleet } from "./_fleet.ts";
import type { Group, Queues } from "./_queues.ts";
import { freeSlots, type Job, type WorkerState } from "./_state.ts";

/**
 * Between steps no free slot has a job that could fill it, so only what changed in a step has to be looked at: workers
 * that got a free slot (the fleet notes them), queues that got a job, and everything when the fleet itself changed.
 */
export class Dispatcher<P> {
  readonly #fleet: Fleet<P>;
  readonly #queues: Queues<P>;
  readonly #needWorkers = new Set<Group<P>>();
  #everyWorkerNeedsJobs = false;

  constructor(fleet: Fleet<P>, queues: Queues<P>) {
    this.#fleet = fleet;
    this.#queues = queues;
  }

  /** A queue got a job. */
  needsWorker(group: Group<P>): void {
    this.#needWorkers.add(group);
  }

  /** A worker came, went, or takes other leases than before. */
  fleetChanged(): void {
    this.#queues.fleetChanged();
    this.#everyWorkerNeedsJobs = true;
  }

  /** Fills the slots that can be filled. */
  dispatch(nowMs: number): void {
    const { workers: all, needJobs } = this.#fleet;
    for (const worker of this.#everyWorkerNeedsJobs ? all.values() : needJobs) {
      while (this.#queues.size > 0 && freeSlots(worker) > 0) {
        const job = this.#queues.bestFor(worker);
        if (job === undefined) break;
        this.#grant(job, worker, nowMs);
      }
    }
    for (const group of this.#needWorkers) {
      for (let job = group.queue.peek(); job !== undefined; job = group.queue.peek()) {
        const worker = this.#queues.leastLoaded(group);
        if (worker === undefined) break;
        this.#grant(job, worker, nowMs);
      }
    }
    this.#everyWorkerNeedsJobs = false;
    needJobs.clear();
    this.#needWorkers.clear();
  }

  #grant(job: Job<P>, worker: WorkerState<P>, nowMs: number): void {
    this.#queues.remove(job);
    this.#fleet.grant(job, worker, nowMs);
  }
}
