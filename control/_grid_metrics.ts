/**
 * What the control plane measures.
 *
 * @module
 */

import { codeName, type Metrics } from "@brokkr/common";
import type { ExecuteEnd } from "./operation_record.ts";
import type { SchedulerStat } from "./scheduler/mod.ts";

const SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000];

/** Instruments of the grid. */
export class GridMetrics {
  readonly leased: (queuedForMs: number) => void;
  readonly finished: (end: ExecuteEnd, totalMs: number) => void;
  readonly lookup: (hit: boolean) => void;
  readonly refused: () => void;
  readonly lost: () => void;
  #hits = 0;
  #executed = 0;

  constructor(metrics: Metrics) {
    const queued = metrics.histogram(
      "brokkr_job_queue_seconds",
      "Time from the submission of a job to each of its leases",
      [],
      SECONDS,
    );
    const total = metrics.histogram(
      "brokkr_operation_seconds",
      "Time from Execute to the end of its operation",
      ["cached"],
      SECONDS,
    );
    const finished = metrics.counter(
      "brokkr_operations_total",
      "Operations finished, by the status of their response",
      ["code", "cached"],
    );
    const refused = metrics.counter(
      "brokkr_operations_refused_total",
      "Operations refused for load or shutdown",
    );
    const lost = metrics.counter("brokkr_leases_lost_total", "Leases that ended without a result");
    this.leased = (queuedForMs) => queued.observe(queuedForMs / 1000);
    this.finished = (end, totalMs) => {
      const cached = String(end.cached);
      if (!end.cached) this.#executed++;
      finished.add({ code: codeName(end.code), cached });
      total.observe(totalMs / 1000, { cached });
    };
    this.lookup = (hit) => {
      if (hit) this.#hits++;
    };
    this.refused = () => refused.add();
    this.lost = () => lost.add();
  }

  /** Operations answered from the cache. */
  get hits(): number {
    return this.#hits;
  }

  /** Operations that were finished otherwise. */
  get executed(): number {
    return this.#executed;
  }
}

/** Gauges that are read from the scheduler when somebody looks. */
export function gridGauges(metrics: Metrics, stat: () => SchedulerStat): void {
  metrics.gauge("brokkr_jobs_running", "Actions that a worker has", [], () => stat().running);
  metrics.gauge("brokkr_jobs_queued", "Actions that wait for a worker", [], () => stat().queued);
  metrics.gauge("brokkr_workers", "Connected workers", [], () => stat().workers);
  metrics.gauge("brokkr_worker_slots", "Slots of all connected workers", [], () => stat().slots);
  metrics.gauge("brokkr_worker_capacity_utilization", "Share of all slots in use", [], () => {
    const { slots, slotsUsed } = stat();
    return slots === 0 ? 0 : Math.min(1, slotsUsed / slots);
  });
}
