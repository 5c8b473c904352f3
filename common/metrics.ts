/**
 * What the code measures, without saying who collects it: a no-op by default, Prometheus in servers
 * (`@brokkr/common/prometheus`). Kept apart so that the command line does not load a metrics library to print a line.
 *
 * @module
 */

/** Label names and values of one sample. */
export type Labels = Readonly<Record<string, string>>;

/** A number that only grows. */
export interface Counter {
  /** Adds `value`, 1 by default. */
  add(labels?: Labels, value?: number): void;
}

/** A number that goes up and down. */
export interface Gauge {
  /** Sets it. */
  set(value: number, labels?: Labels): void;
  /** Adds to it. */
  add(value: number, labels?: Labels): void;
}

/** A distribution. */
export interface Histogram {
  /** Records one value. */
  observe(value: number, labels?: Labels): void;
}

/** Makes instruments; asking twice for one name gives the same instrument. */
export interface Metrics {
  /** A counter; names end in `_total`. With `read` it is sampled at collection. */
  counter(name: string, help: string, labelNames?: readonly string[], read?: () => number): Counter;
  /** A gauge; with `read` it is sampled at collection. */
  gauge(name: string, help: string, labelNames?: readonly string[], read?: () => number): Gauge;
  /** A histogram; `buckets` are upper bounds in the unit that the name ends in. */
  histogram(
    name: string,
    help: string,
    labelNames?: readonly string[],
    buckets?: readonly number[],
  ): Histogram;
}

const noop = { add: () => {}, set: () => {}, observe: () => {} };

/** Instruments that record nothing. */
export const noMetrics: Metrics = { counter: () => noop, gauge: () => noop, histogram: () => noop };
