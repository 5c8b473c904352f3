/**
 * What a worker measures.
 *
 * @module
 */

import type { Metrics } from "@brokkr/common";
import { type Init, type LeaseResult, LeaseResult_Outcome as Outcome } from "@brokkr/proto";
import type { BlobCache } from "./blob_cache.ts";

/** The instruments, as callbacks for the parts that know. */
export interface WorkerInstruments {
  readonly running: (running: number) => void;
  readonly result: (result: Init<LeaseResult>) => void;
  readonly phase: (phase: string, ms: number) => void;
  readonly fetched: (wanted: number, blobs: number, bytes: number) => void;
}

const PHASE_BUCKETS = [
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  30,
  60,
  300,
  1800,
];

/** Makes the instruments. */
export function workerMetrics(metrics: Metrics, slots: number, cache: BlobCache): WorkerInstruments {
  const running = metrics.gauge("brokkr_worker_jobs_running", "Actions that run now");
  const utilization = metrics.gauge(
    "brokkr_worker_capacity_utilization",
    "Share of the slots in use, 0 to 1",
  );
  metrics.gauge("brokkr_worker_cache_bytes", "Bytes of the input cache on disk", [], () => cache.sizeBytes);
  metrics.gauge("brokkr_worker_cache_blobs", "Blobs in the input cache", [], () => cache.size);
  const results = metrics.counter("brokkr_worker_results_total", "Actions that ended, by outcome", [
    "outcome",
  ]);
  const phases = metrics.histogram(
    "brokkr_worker_action_phase_seconds",
    "Time of each step of an action",
    ["phase"],
    PHASE_BUCKETS,
  );
  const lookups = metrics.counter("brokkr_worker_cache_lookups_total", "Input blobs looked up, by result", [
    "result",
  ]);
  const fetchedBytes = metrics.counter("brokkr_worker_input_fetched_bytes_total", "Bytes of inputs fetched");
  const names = new Map(
    Object.entries(Outcome).map(([name, value]) => [value as number, name.toLowerCase()]),
  );
  return {
    running(count) {
      running.set(count);
      utilization.set(count / slots);
    },
    result: ({ outcome }) => results.add({ outcome: names.get(outcome ?? 0) ?? "unknown" }),
    phase: (phase, ms) => phases.observe(ms / 1000, { phase }),
    fetched(wanted, blobs, bytes) {
      if (wanted > blobs) lookups.add({ result: "hit" }, wanted - blobs);
      if (blobs > 0) lookups.add({ result: "miss" }, blobs);
      if (bytes > 0) fetchedBytes.add({}, bytes);
    },
  };
}
