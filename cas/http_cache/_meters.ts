/**
 * What the HTTP cache counts.
 *
 * @module
 */

import { type Metrics, noMetrics } from "@brokkr/common";
import { type CasCounters, casCounters } from "../services/_shared.ts";

/** How a request ended. */
export type Outcome =
  | "hit"
  | "miss"
  | "stored"
  | "present"
  | "refused"
  | "full"
  | "unavailable"
  | "failed"
  | "gone"
  | "other";

/** Upper bounds in seconds. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600];
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT"]);

/** The instruments. */
export interface Meters {
  /** Of blobs, as the other services count them. */
  readonly cas: CasCounters;
  /** A request came in. */
  began(): void;
  /** It ended. */
  ended(method: string, cache: string, outcome: Outcome, ms: number): void;
  /** How many connections there are. */
  connections(count: number): void;
}

/** Instruments of `metrics`. */
export function httpCacheMeters(metrics: Metrics = noMetrics): Meters {
  const requests = metrics.counter(
    "brokkr_http_cache_requests_total",
    "Requests to the HTTP cache that have ended",
    ["method", "cache", "outcome"],
  );
  const duration = metrics.histogram(
    "brokkr_http_cache_duration_seconds",
    "Time of a request to the HTTP cache from its headers to the end of the answer",
    ["method", "cache"],
    BUCKETS,
  );
  const inflight = metrics.gauge("brokkr_http_cache_inflight", "Requests to the HTTP cache under way");
  const connections = metrics.gauge("brokkr_http_cache_connections", "Connections to the HTTP cache");
  return {
    cas: casCounters(metrics),
    began: () => inflight.add(1),
    ended(method, cache, outcome, ms) {
      // Clients choose the method's name, and must not choose how many series there are.
      const labels = { method: METHODS.has(method) ? method : "other", cache };
      inflight.add(-1);
      duration.observe(ms / 1000, labels);
      requests.add({ ...labels, outcome });
    },
    connections: (count) => connections.set(count),
  };
}
