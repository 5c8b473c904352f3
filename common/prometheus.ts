/**
 * {@linkcode Metrics} on prom-client, for servers.
 *
 * @module
 */

import * as prom from "prom-client";
import type { Labels, Metrics } from "./metrics.ts";

/** Instruments that Prometheus can scrape. */
export interface PrometheusMetrics extends Metrics {
  /** The exposition text and its content type. */
  expose(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Makes a registry of its own, so that two servers in one process do not mix. */
export function prometheusMetrics(): PrometheusMetrics {
  const registry = new prom.Registry();
  const known = new Map<string, { readonly kind: string; readonly made: unknown }>();
  const once = <T>(kind: string, name: string, make: () => T): T => {
    const before = known.get(name);
    if (before !== undefined && before.kind !== kind) {
      throw new Error(`${name} is a ${before.kind} and cannot be a ${kind}, too`);
    }
    // Of one kind, so of one type.
    if (before !== undefined) return before.made as T;
    const made = make();
    known.set(name, { kind, made });
    return made;
  };
  return {
    counter: (name, help, labelNames = [], read) =>
      once("counter", name, () => {
        const counter = new prom.Counter({
          name,
          help,
          labelNames: [...labelNames],
          registers: [registry],
          ...(read === undefined ? {} : {
            collect() {
              this.reset();
              this.inc(Math.max(0, read()));
            },
          }),
        });
        return { add: (labels: Labels = {}, value = 1) => counter.inc(labels, value) };
      }),
    gauge: (name, help, labelNames = [], read) =>
      once("gauge", name, () => {
        const gauge = new prom.Gauge({
          name,
          help,
          labelNames: [...labelNames],
          registers: [registry],
          ...(read === undefined ? {} : {
            collect() {
              this.set(read());
            },
          }),
        });
        return {
          set: (value: number, labels: Labels = {}) => gauge.set(labels, value),
          add: (value: number, labels: Labels = {}) => gauge.inc(labels, value),
        };
      }),
    histogram: (name, help, labelNames = [], buckets) =>
      once("histogram", name, () => {
        const histogram = new prom.Histogram({
          name,
          help,
          labelNames: [...labelNames],
          registers: [registry],
          ...(buckets === undefined ? {} : { buckets: [...buckets] }),
        });
        return { observe: (value: number, labels: Labels = {}) => histogram.observe(labels, value) };
      }),
    async expose() {
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}
