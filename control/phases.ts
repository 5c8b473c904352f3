/**
 * Where an action's time went.
 *
 * @module
 */

import type { ExecutedActionMetadata, Init, Phase } from "@brokkr/proto";
import type { OperationRecord } from "./operation_record.ts";
import { durationOf, timestampMs } from "./_times.ts";

/** Steps of a worker: name, and the timestamps at both ends. */
const WORKER_STEPS:
  readonly (readonly [string, keyof ExecutedActionMetadata, keyof ExecutedActionMetadata])[] = [
    ["fetch inputs", "inputFetchStartTimestamp", "inputFetchCompletedTimestamp"],
    ["execute", "executionStartTimestamp", "executionCompletedTimestamp"],
    ["upload outputs", "outputUploadStartTimestamp", "outputUploadCompletedTimestamp"],
  ];

/**
 * The steps of an operation in the order they began, `total` last. What happened on the worker is told by the worker's
 * clock, of which only differences are used: its first moment is laid on the moment when control heard that it began.
 */
export function actionPhases(
  record: Pick<OperationRecord, "createdMs" | "queuedMs" | "executingMs" | "finishedMs" | "end">,
  metadata: ExecutedActionMetadata | undefined,
  nowMs: number,
): Init<Phase>[] {
  const { createdMs, queuedMs, executingMs, finishedMs } = record;
  const endMs = finishedMs ?? nowMs;
  const phases: Init<Phase>[] = [];
  const add = (name: string, fromMs: number, toMs: number) =>
    phases.push({ name, start: durationOf(fromMs - createdMs), duration: durationOf(toMs - fromMs) });
  add("cache check", createdMs, queuedMs ?? endMs);
  if (queuedMs !== undefined) add("queued", queuedMs, executingMs ?? endMs);
  const workerStartMs = timestampMs(metadata?.workerStartTimestamp);
  if (
    metadata !== undefined && workerStartMs !== undefined && executingMs !== undefined && !record.end?.cached
  ) {
    for (const [name, from, to] of WORKER_STEPS) {
      const fromMs = stepMs(metadata, from);
      const toMs = stepMs(metadata, to);
      if (fromMs === undefined || toMs === undefined) continue;
      add(name, executingMs + fromMs - workerStartMs, executingMs + toMs - workerStartMs);
    }
  } else if (executingMs !== undefined) {
    add("on worker", executingMs, endMs);
  }
  add("total", createdMs, endMs);
  return phases;
}

function stepMs(metadata: ExecutedActionMetadata, field: keyof ExecutedActionMetadata): number | undefined {
  const value = metadata[field];
  return typeof value === "object" && "nanos" in value ? timestampMs(value) : undefined;
}
