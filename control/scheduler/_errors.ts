/**
 * Why a job failed or waits, in words and codes.
 *
 * @module
 */

import { BrokkrError, Code, unavailable } from "@brokkr/common";
import { explainMismatch } from "./platform.ts";
import type { Job } from "./_state.ts";
import type { WorkerSpec } from "./types.ts";

const RETRY_MS = 5000;

type Failed = Pick<Job<unknown>, "story" | "attempts" | "losses" | "faults">;

function story(job: Failed): string {
  return job.story.join("; ");
}

/**
 * The job took down too many workers. FAILED_PRECONDITION with a violation that is not MISSING: clients do not send it
 * again, which UNAVAILABLE, INTERNAL and ABORTED would make them do.
 */
export function lossesError(job: Failed): BrokkrError {
  const message = `The action was given up after ${job.losses} workers were lost while they ran it: ${
    story(job)
  }`;
  return new BrokkrError(Code.FAILED_PRECONDITION, message, {
    details: [{
      kind: "preconditionFailure",
      violations: job.story.map((description) => ({ type: "WORKER_LOST", subject: "action", description })),
    }],
  });
}

/** Workers could not do their part; that may pass. */
export function faultsError(job: Failed): BrokkrError {
  return unavailable(`No worker could run the action, after ${job.faults} faults: ${story(job)}`, RETRY_MS);
}

/** Leases were lost on the way, or of everything a bit. */
export function attemptsError(job: Failed): BrokkrError {
  return unavailable(`The action was tried ${job.attempts} times without an end: ${story(job)}`, RETRY_MS);
}

/** The workers, by what may be expected of them. */
interface Workers {
  /** Those that take leases. */
  specs(): readonly WorkerSpec[];
  /** Those that are connected and do not. */
  away(): readonly WorkerSpec[];
  /** Those that are not connected and may come back. */
  lost(): readonly WorkerSpec[];
}

/** Why a job that has no lease waits. */
export function explainWaiting(
  job: Pick<Job<unknown>, "platform" | "environments" | "state">,
  workers: Workers,
): string {
  const { platform, environments } = job;
  const matches = (among: readonly WorkerSpec[]) =>
    explainMismatch(platform, environments, among) === undefined;
  const mismatch = explainMismatch(platform, environments, workers.specs());
  if (mismatch !== undefined) {
    if (matches(workers.away())) return "Every worker that matches is drained or about to end";
    const refused = explainMismatch(platform, environments, workers.specs(), true) === undefined;
    if (matches(workers.lost()) || !refused) return mismatch;
  }
  return job.state === "delayed"
    ? "It is tried again soon after a worker's fault"
    : "All matching workers are busy";
}
