/**
 * What a result says of how it came about: who, when, how long, with what.
 *
 * @module
 */

import type { Clock } from "@brokkr/common";
import {
  type Duration,
  type ExecutedActionMetadata,
  type Init,
  type ResourceUsage,
  ResourceUsageCodec,
  type Timestamp,
} from "@brokkr/proto";
import type { RunOutcome } from "./runner.ts";

/** Type URL of {@linkcode ResourceUsage} in `auxiliary_metadata`. */
export const RESOURCE_USAGE_TYPE_URL = "type.googleapis.com/brokkr.v1.ResourceUsage";

/** Milliseconds as a Duration. */
export function durationOf(ms: number): Duration {
  const nanos = Math.round(Math.max(0, ms) * 1e6);
  const seconds = Math.floor(nanos / 1e9);
  return { seconds, nanos: nanos - seconds * 1e9 };
}

/** A Duration in milliseconds; 0 for an absent one. */
export function durationMs(duration: Duration | undefined): number {
  return duration === undefined ? 0 : duration.seconds * 1000 + duration.nanos / 1e6;
}

/** A moment, in milliseconds since 1970, as a Timestamp. */
export function timestampOf(wallMs: number): Timestamp {
  const seconds = Math.floor(wallMs / 1000);
  return { seconds, nanos: Math.min(999_999_999, Math.round((wallMs - seconds * 1000) * 1e6)) };
}

/** The steps of an action that have a beginning and an end in the metadata. */
export type Phase = "inputFetch" | "execution" | "outputUpload";

/** Notes when each step of one action began and ended. */
export class ActionTimes {
  readonly #clock: Clock;
  readonly #wallStartMs: number;
  readonly #monotonicStartMs: number;
  readonly #queuedMs: number;
  readonly #begun = new Map<Phase, number>();
  readonly #ended = new Map<Phase, number>();

  /** Starts now, for an action that waited `queuedMs` before. */
  constructor(clock: Clock, queuedMs: number) {
    this.#clock = clock;
    this.#wallStartMs = clock.wallMs();
    this.#monotonicStartMs = clock.monotonicMs();
    this.#queuedMs = queuedMs;
  }

  /** Notes that a step begins. */
  begin(phase: Phase): void {
    this.#begun.set(phase, this.#clock.monotonicMs());
  }

  /** Notes that a step has ended; how long it took, in milliseconds. */
  end(phase: Phase): number {
    const now = this.#clock.monotonicMs();
    this.#ended.set(phase, now);
    return now - (this.#begun.get(phase) ?? now);
  }

  /** How long a step took, in milliseconds; undefined when it has not ended. */
  spentMs(phase: Phase): number | undefined {
    const [from, to] = [this.#begun.get(phase), this.#ended.get(phase)];
    return from === undefined || to === undefined ? undefined : to - from;
  }

  /** Time since the start, in milliseconds. */
  elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#monotonicStartMs;
  }

  /** The timestamps; the worker's completion is now. Wall time is read once, so that they stay in order when it jumps. */
  timestamps(): Init<ExecutedActionMetadata> {
    const at = (ms: number | undefined) =>
      ms === undefined ? undefined : timestampOf(this.#wallStartMs + ms - this.#monotonicStartMs);
    return {
      queuedTimestamp: timestampOf(this.#wallStartMs - this.#queuedMs),
      workerStartTimestamp: timestampOf(this.#wallStartMs),
      workerCompletedTimestamp: at(this.#clock.monotonicMs()),
      inputFetchStartTimestamp: at(this.#begun.get("inputFetch")),
      inputFetchCompletedTimestamp: at(this.#ended.get("inputFetch")),
      executionStartTimestamp: at(this.#begun.get("execution")),
      executionCompletedTimestamp: at(this.#ended.get("execution")),
      outputUploadStartTimestamp: at(this.#begun.get("outputUpload")),
      outputUploadCompletedTimestamp: at(this.#ended.get("outputUpload")),
    };
  }
}

/** What a command used, as far as it was counted. */
export function resourceUsage(outcome: RunOutcome): Init<ResourceUsage> {
  const { counted, terms } = outcome;
  return {
    // Control groups count every process of it, also those that nobody waited for.
    cpuUser: durationOf(counted?.cpuUserMs ?? outcome.userMs),
    cpuSystem: durationOf(counted?.cpuSystemMs ?? outcome.systemMs),
    maxRssBytes: outcome.maxRssBytes,
    outOfMemory: outcome.outOfMemory,
    stdoutDroppedBytes: outcome.stdoutDroppedBytes,
    stderrDroppedBytes: outcome.stderrDroppedBytes,
    ...(counted === undefined ? {} : {
      memoryPeakBytes: counted.memoryPeakBytes,
      pidsPeak: counted.pidsPeak,
      ioReadBytes: counted.ioReadBytes,
      ioWriteBytes: counted.ioWriteBytes,
      cpuThrottled: counted.cpuThrottledMs === undefined ? undefined : durationOf(counted.cpuThrottledMs),
      pidsRefused: counted.pidsPeak === undefined ? undefined : counted.pidsRefused,
    }),
    ...(terms === undefined ? {} : { sandbox: terms }),
  };
}

/** The metadata of one result. */
export function executedActionMetadata(
  worker: string,
  times: ActionTimes,
  runMs: number | undefined,
  usage: Init<ResourceUsage>,
): Init<ExecutedActionMetadata> {
  return {
    worker,
    ...times.timestamps(),
    ...(runMs === undefined ? {} : { virtualExecutionDuration: durationOf(runMs) }),
    auxiliaryMetadata: [{ typeUrl: RESOURCE_USAGE_TYPE_URL, value: ResourceUsageCodec.encode(usage) }],
  };
}
