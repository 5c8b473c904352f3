/**
 * What a worker measures.
 *
 * @module
 */

import type { Metrics } from "@brokkr/common";
import { type Init, type LeaseResult, LeaseResult_Outcome as Outcome } from "@brokkr/proto";
import type { BlobCache } from "./blob_cache.ts";
import type { LayerStore } from "./layers.ts";
import type { RunOutcome } from "./runner.ts";

/** The instruments, as callbacks for the parts that know. */
export interface WorkerInstruments {
  readonly running: (running: number) => void;
  readonly result: (result: Init<LeaseResult>) => void;
  readonly phase: (phase: string, ms: number) => void;
  readonly fetched: (wanted: number, blobs: number, bytes: number) => void;
  readonly lookedUp: (ready: boolean) => void;
  readonly ran: (outcome: RunOutcome) => void;
}

/** What the gauges show; parts that a worker does not have count nothing. */
export interface WorkerStores {
  cache?: BlobCache;
  layers?: LayerStore | undefined;
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

const MEMORY_BUCKETS = [24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 36].map((bits) => 2 ** bits);

/** Makes the instruments. The stores may be filled in later. */
export function workerMetrics(metrics: Metrics, slots: number, stores: WorkerStores): WorkerInstruments {
  const running = metrics.gauge("brokkr_worker_jobs_running", "Actions that run now");
  const utilization = metrics.gauge(
    "brokkr_worker_capacity_utilization",
    "Share of the slots in use, 0 to 1",
  );
  const gauge = (name: string, help: string, value: () => number | undefined) =>
    metrics.gauge(`brokkr_worker_${name}`, help, [], () => value() ?? 0);
  gauge("cache_bytes", "Bytes of the input cache on disk", () => stores.cache?.sizeBytes);
  gauge("cache_blobs", "Blobs in the input cache", () => stores.cache?.size);
  gauge("layers", "Input roots and the like that lie ready", () => stores.layers?.size);
  gauge(
    "layer_nodes",
    "Files, directories and links of input roots that lie ready",
    () => stores.layers?.nodes,
  );
  gauge(
    "layer_bytes",
    "Bytes on disk that ready input roots take beside the input cache",
    () => stores.layers?.sizeBytes,
  );
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
  const layerLookups = metrics.counter(
    "brokkr_worker_layer_lookups_total",
    "Input roots looked up, by whether they lay ready",
    ["result"],
  );
  const ran = usageInstruments(metrics);
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
    lookedUp: (ready) => layerLookups.add({ result: ready ? "hit" : "miss" }),
    ran,
  };
}

/** What actions used. Without control groups only processor time is known. */
function usageInstruments(metrics: Metrics): WorkerInstruments["ran"] {
  const cpu = metrics.counter("brokkr_worker_action_cpu_seconds_total", "Processor time of actions", [
    "mode",
  ]);
  const throttled = metrics.counter(
    "brokkr_worker_action_throttled_seconds_total",
    "Time in which actions were held back by their limit of processor time",
  );
  const io = metrics.counter(
    "brokkr_worker_action_io_bytes_total",
    "Bytes that actions read from and wrote to disks",
    ["direction"],
  );
  const memory = metrics.histogram(
    "brokkr_worker_action_memory_peak_bytes",
    "Most memory of an action at one time",
    [],
    MEMORY_BUCKETS,
  );
  const kills = metrics.counter("brokkr_worker_action_kills_total", "Actions that were killed, by reason", [
    "reason",
  ]);
  return (outcome) => {
    const { counted, timedOut, outOfMemory, outputOverflow, terms } = outcome;
    cpu.add({ mode: "user" }, (counted?.cpuUserMs ?? outcome.userMs) / 1000);
    cpu.add({ mode: "system" }, (counted?.cpuSystemMs ?? outcome.systemMs) / 1000);
    if (counted?.cpuThrottledMs) throttled.add({}, counted.cpuThrottledMs / 1000);
    if (counted?.ioReadBytes) io.add({ direction: "read" }, counted.ioReadBytes);
    if (counted?.ioWriteBytes) io.add({ direction: "write" }, counted.ioWriteBytes);
    if (counted?.memoryPeakBytes !== undefined) memory.observe(counted.memoryPeakBytes, {});
    if (timedOut) kills.add({ reason: "timeout" });
    if (outOfMemory) kills.add({ reason: "memory" });
    if (outputOverflow) kills.add({ reason: "output" });
    if (terms?.writableLayerExceeded) kills.add({ reason: "disk" });
  };
}
