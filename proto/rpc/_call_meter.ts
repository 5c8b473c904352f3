/**
 * The metrics of one method.
 *
 * @module
 */

import { codeName, type Labels, type Metrics } from "@brokkr/common";

/** Upper bounds in seconds: cache hits take less than a millisecond, executions minutes. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600];

/** Counts calls of one method. */
export interface CallMeter {
  /** A call came in. */
  began(): void;
  /** It ended with `code` after `ms` milliseconds. */
  ended(code: number, ms: number): void;
}

/** Makes meters that record through `metrics`. */
export function callMeters(metrics: Metrics): (path: string) => CallMeter {
  const duration = metrics.histogram(
    "brokkr_rpc_duration_seconds",
    "Time of a call from its headers to its status",
    ["method", "code"],
    BUCKETS,
  );
  const inflight = metrics.gauge("brokkr_rpc_inflight", "Calls under way", ["method"]);
  const errors = metrics.counter("brokkr_errors_total", "Calls that failed", ["method", "code"]);
  return (path) => {
    const method = path.slice(1);
    const own: Labels = { method };
    const byCode: Labels[] = Array.from({ length: 17 }, (_, code) => ({ method, code: codeName(code) }));
    return {
      began: () => inflight.add(1, own),
      ended(code, ms) {
        inflight.add(-1, own);
        duration.observe(ms / 1000, byCode[code]);
        if (code !== 0) errors.add(byCode[code]);
      },
    };
  };
}
