/**
 * What must hold between the scheduler's tables, all of it.
 *
 * @module
 */

import { compareFencingTokens } from "@brokkr/common";
import { assert } from "../_assert.ts";
import type { Fleet } from "./_fleet.ts";
import type { JobTable } from "./_jobs.ts";
import type { Lease } from "./_state.ts";
import type { SchedulerLimits } from "./types.ts";

/** Throws INTERNAL for the first contradiction. */
export function checkInvariants<P>(limits: SchedulerLimits, fleet: Fleet<P>, jobs: JobTable<P>): void {
  checkJobs(limits, jobs);
  checkLeases(fleet, jobs);
  checkWorkers(limits, fleet);
}

function checkJobs<P>(limits: SchedulerLimits, table: JobTable<P>): void {
  const { all: jobs, twins, delayed, queues, settling, payloadBytes } = table;
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
  assert(count.queued === queues.size, "All queued jobs are counted");
  assert(count.delayed === delayed.size, "All delayed jobs are counted");
  assert(count.settling === settling, "All settling jobs are counted");
  assert(bytes === payloadBytes, "Payload bytes add up");
}

function checkLeases<P>({ leases, workers }: Fleet<P>, { all: jobs }: JobTable<P>): void {
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

function checkWorkers<P>(limits: SchedulerLimits, { workers, leases }: Fleet<P>): void {
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
