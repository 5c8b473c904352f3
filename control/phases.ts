/**
 * Where an action's time went.
 *
 * @module
 */

import type { ExecutedActionMetadata, Init, Phase } from "@brokkr/proto";
import type { OperationRecord } from "./operation_record.ts";
import { durationOf, timestampMs } from "./_times.ts";

type Moment = keyof ExecutedActionMetadata;

/** Steps of a worker: what comes before it, its name, and the timestamps at both ends. */
const WORKER_STEPS: readonly (readonly [string, string, Moment, Moment])[] = [
  ["begin", "fetch inputs", "inputFetchStartTimestamp", "inputFetchCompletedTimestamp"],
  ["set up", "execute", "executionStartTimestamp", "executionCompletedTimestamp"],
  ["tear down", "upload outputs", "outputUploadStartTimestamp", "outputUploadCompletedTimestamp"],
];

/** What phases are told from. */
export type PhasedRecord = Pick<OperationRecord, "createdMs" | "finishedMs" | "steps" | "end">;

/**
 * The steps of an operation, each from where the one before it ended, and `total` last, which is their sum.
 *
 * What happened on the worker is told by the worker's clock, of which only differences are used: its first moment is laid
 * on the moment when control heard that it began. An operation that joined an action which was running already has a
 * part of it only; the worker's last moment is then laid on the operation's end.
 */
export function actionPhases(
  record: PhasedRecord,
  metadata: ExecutedActionMetadata | undefined,
  nowMs: number,
): Init<Phase>[] {
  const { createdMs, steps, end } = record;
  const endMs = Math.max(record.finishedMs ?? nowMs, createdMs);
  const line = new TimeLine(createdMs, endMs);
  steps.forEach(({ kind, startMs, worker }, i) => {
    line.goTo(startMs);
    const toMs = steps[i + 1]?.startMs ?? endMs;
    const last = i === steps.length - 1;
    if (kind !== "on worker") line.add(i > 1 ? `${kind} again` : kind, toMs, i === 0);
    else if (!last) line.add(`in vain on ${worker}`, toMs);
    else if (metadata === undefined || end?.cached) line.add("on worker", toMs);
    else addWorkerSteps(line, metadata, startMs, toMs);
  });
  return line.phases();
}

function addWorkerSteps(line: TimeLine, metadata: ExecutedActionMetadata, fromMs: number, toMs: number) {
  const workerFromMs = momentOf(metadata, "workerStartTimestamp");
  const workerToMs = momentOf(metadata, "workerCompletedTimestamp") ??
    WORKER_STEPS.map(([, , , to]) => momentOf(metadata, to)).findLast((ms) => ms !== undefined);
  if (workerFromMs === undefined || workerToMs === undefined) return line.add("on worker", toMs);
  const beyondMs = Math.max(0, workerToMs - workerFromMs - (toMs - fromMs));
  const here = (workerMs: number) => fromMs - beyondMs + workerMs - workerFromMs;
  for (const [before, name, from, to] of WORKER_STEPS) {
    const stepFromMs = momentOf(metadata, from);
    const stepToMs = momentOf(metadata, to);
    if (stepFromMs === undefined || stepToMs === undefined) continue;
    line.add(before, here(stepFromMs));
    line.add(name, here(stepToMs), true);
  }
  line.add("clean up", here(workerToMs));
  line.add("report", toMs);
}

function momentOf(metadata: ExecutedActionMetadata, field: Moment): number | undefined {
  const value = metadata[field];
  return typeof value === "object" && "nanos" in value ? timestampMs(value) : undefined;
}

/** Phases one after the other, in whole microseconds, so that they add up; what others claim is clipped to what was. */
class TimeLine {
  readonly #originMs: number;
  readonly #endUs: number;
  readonly #phases: Init<Phase>[] = [];
  #atUs = 0;

  constructor(originMs: number, endMs: number) {
    this.#originMs = originMs;
    this.#endUs = Math.round((endMs - originMs) * 1000);
  }

  /** Fills up to `ms`, should a step have begun later than the one before it ended. */
  goTo(ms: number): void {
    if (this.#clip(ms) > this.#atUs) this.add("between", ms);
  }

  /** What went on until `toMs`; nothing if that took no time, unless it `always` shows. */
  add(name: string, toMs: number, always = false): void {
    const toUs = this.#clip(toMs);
    if (toUs === this.#atUs && !always) return;
    this.#phases.push({
      name,
      start: durationOf(this.#atUs / 1000),
      duration: durationOf((toUs - this.#atUs) / 1000),
    });
    this.#atUs = toUs;
  }

  phases(): Init<Phase>[] {
    return [...this.#phases, {
      name: "total",
      start: durationOf(0),
      duration: durationOf(this.#endUs / 1000),
    }];
  }

  #clip(ms: number): number {
    const us = Math.round((ms - this.#originMs) * 1000);
    return Math.min(Math.max(us, this.#atUs), this.#endUs);
  }
}
