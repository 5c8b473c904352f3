/**
 * What every member knows: errors, ids, time, randomness, scopes, budgets, logs, metrics, spans, health.
 *
 * @module
 */

export * from "./async.ts";
export * from "./byte_budget.ts";
export * from "./clock.ts";
export * from "./data_dir.ts";
export * from "./errors.ts";
export * from "./health.ts";
export * from "./ids.ts";
export * from "./log.ts";
export * from "./metrics.ts";
export * from "./random.ts";
export * from "./recent.ts";
export * from "./scope.ts";
export * from "./slices.ts";
export * from "./trace.ts";
