/**
 * What must hold between the scheduler's tables, all of it.
 *
 * @module
 */

import { compareFencingTokens, type WorkerId } from "@brokkr/common";
import { assert } from "../_assert.ts";
import type { Job, Lease, WorkerState } from "./_state.ts";
import type { SchedulerLimits } from "./types.ts";

/** The tables. */
export interface Tables<P> {
  readonly limits: SchedulerLimits;
  readonly workers: ReadonlyMap<WorkerId, WorkerState<P>>;
  readonly leases: ReadonlyMap<string, Lease<P>>;
  readonly jobs: ReadonlySet<Job<P>>;
  readonly twins: ReadonlyMap<string, Job<P>>;
  readonly delayed: ReadonlySet<Job<P>>;
  readonly queued: number;
  readonly settling: number;
  readonly payloadBytes: number;
}

/** Throws INTERNAL for the first contradiction. */
export function checkInvariants<P>(tables: Tables<P>): void {
  checkJobs(tables);
  checkLeases(tables);
  checkWorkers(tables);
}

function checkJobs<P>({ jobs, twins, delayed, queued, settling, payloadBytes, limits }: Tables<P>): void {
  const count = { queued: 0, delayed: 0, leased: 0, settling: 0, ended: 0 };
  let bytes = 0;
  for (const job of jobs) {
    count[job.state]++;
    bytes += job.sizeBytes;
    assert((job.state === "queued") === (job.queueIndex >= 0), "A job is queued when it is in a queue");
    assert((job.state === "delayed") === delayed.has(job), "A job is delayed when it is in that table");
    const leased = job.state === "leased" || job.state === "settling";
    assert(leased === (job.lease !== undefined), "A job has a lease when it is leased or settling");
    assert(job.lease === undefined || job.lease.job === job, "A job's lease is for that job");
    assert(job.state === "settling" || job.operations.size > 0, "A job is for some operation");
    if (job.twinKey !== undefined) assert(twins.get(job.twinKey) === job, "A job can be found by its key");
    assert(job.attempts <= limits.maxAttempts, "Attempts are bounded");
  }
  for (const job of twins.values()) assert(jobs.has(job), "A twin is a job");
  assert(count.ended === 0, "What ended is in no table");
  assert(count.queued === queued, "All queued jobs are counted");
  assert(count.delayed === delayed.size, "All delayed jobs are counted");
  assert(count.settling === settling, "All settling jobs are counted");
  assert(bytes === payloadBytes, "Payload bytes add up");
}

function checkLeases<P>({ leases, workers, jobs }: Tables<P>): void {
  let newest: Lease<P> | undefined;
  for (const [id, lease] of leases) {
    assert(id === lease.id, "A lease is found by its id");
    assert(
      newest === undefined || compareFencingTokens(newest.token, lease.token) < 0,
      "Fencing tokens strictly increase",
    );
    newest = lease;
    assert(workers.get(lease.worker.spec.id) === lease.worker, "A lease's worker is known");
    assert(lease.worker.leases.has(lease), "A worker knows its leases");
    assert(
      (lease.state === "cancelling") === (lease.job === undefined),
      "A lease has a job unless it was cancelled",
    );
    if (lease.job !== undefined) {
      assert(jobs.has(lease.job) && lease.job.lease === lease, "A lease's job is known");
      assert((lease.state === "settling") === (lease.job.state === "settling"), "They settle together");
    }
  }
}

function checkWorkers<P>({ workers, leases, limits }: Tables<P>): void {
  assert(workers.size <= limits.maxWorkers, "Workers are bounded");
  for (const worker of workers.values()) {
    let held = 0;
    for (const lease of worker.leases) {
      assert(leases.get(lease.id) === lease, "A worker's leases are known");
      if (lease.state !== "settling") held++;
    }
    assert(held === worker.slotsHeld, "Held slots add up");
  }
}
