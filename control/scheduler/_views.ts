/**
 * What the scheduler shows of itself: counts, workers, operations, and why things wait.
 *
 * @module
 */

import { explainWaiting } from "./_errors.ts";
import type { Fleet } from "./_fleet.ts";
import type { JobTable } from "./_jobs.ts";
import type { OperationTable } from "./_operations.ts";
import type { Job, WorkerState } from "./_state.ts";
import type { OperationView, SchedulerStat, WorkerView } from "./types.ts";

/** Counts of everything. */
export function statOf<P>(fleet: Fleet<P>, jobs: JobTable<P>, operations: OperationTable<P>): SchedulerStat {
  let workers = 0, slots = 0, slotsUsed = 0;
  for (const worker of fleet.workers.values()) {
    slotsUsed += worker.slotsHeld;
    if (!worker.connected) continue;
    workers++;
    slots += worker.spec.slots;
  }
  const { waiting: queued, settling, all } = jobs;
  return {
    queued,
    running: all.size - queued - settling,
    settling,
    operations: operations.unfinished,
    finished: operations.finished,
    workers,
    slots,
    slotsUsed,
  };
}

/** A worker as others may see it. */
export function workerView<P>(worker: WorkerState<P>, nowMs: number): WorkerView {
  return {
    spec: worker.spec,
    connected: worker.connected,
    drained: worker.drained,
    leaving: worker.leaving,
    slotsUsed: worker.slotsHeld + worker.strays.size,
    leases: [...worker.leases].map((lease) => lease.id),
    silentMs: Math.max(0, nowMs - worker.lastHeardMs),
    completed: worker.completed,
  };
}

/** An unfinished operation, by its job, as others may see it. */
export function operationView<P>(job: Job<P>, fleet: Fleet<P>): OperationView {
  const waits = job.state === "queued" || job.state === "delayed";
  return {
    stage: job.executing ? "executing" : "queued",
    worker: job.lease?.worker.spec.id,
    attempts: job.attempts,
    story: [...job.story],
    waitingFor: waits ? explainWaiting(job, fleet) : undefined,
  };
}

/** For each platform that jobs wait for and nobody offers: how many jobs, and why. */
export function unmatched<P>(
  { queues }: JobTable<P>,
  fleet: Fleet<P>,
): { readonly jobs: number; readonly why: string }[] {
  const list: { jobs: number; why: string }[] = [];
  for (const group of queues.groups()) {
    const first = group.queue.peek();
    if (first === undefined || queues.candidates(group).length > 0) continue;
    list.push({ jobs: group.queue.size, why: explainWaiting(first, fleet) });
  }
  return list;
}
