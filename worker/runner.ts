/**
 * Running a command: the interface, and the implementation on the sandbox's launcher.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, sleep, systemClock } from "@brokkr/common";
import type { ExitReport, FailedStep, Launcher, RunningProcess } from "@brokkr/sandbox";
import { findProgram } from "./program_lookup.ts";

/** What to run. */
export interface RunRequest {
  /** argv; the first is also what is looked for. */
  readonly argv: readonly string[];
  /** The whole environment. */
  readonly env: readonly (readonly [string, string])[];
  /** Absolute path of the working directory. */
  readonly cwd: string;
  /** File that takes standard output; made unless it is there, and then empty. */
  readonly stdoutPath: string;
  /** File that takes standard error; made unless it is there, and then empty. */
  readonly stderrPath: string;
  /** Most bytes kept of each of them. */
  readonly outputLimitBytes: number;
  /** How long it may run. */
  readonly timeoutMs: number;
  /** Kills it. */
  readonly signal?: AbortSignal;
}

/** How a command ended. By then every process it started is gone. */
export interface RunOutcome {
  /** 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** Whether it was killed because its time was up. */
  readonly timedOut: boolean;
  /** Whether it was killed because it wrote far more than is kept. */
  readonly outputOverflow: boolean;
  /** Bytes of standard output that were not kept. */
  readonly stdoutDroppedBytes: number;
  /** Bytes of standard error that were not kept. */
  readonly stderrDroppedBytes: number;
  /** Processor time in user mode, in milliseconds. */
  readonly userMs: number;
  /** Processor time in the kernel, in milliseconds. */
  readonly systemMs: number;
  /** Largest resident set of any one process, in bytes. */
  readonly maxRssBytes: number;
  /** Time from start to end, in milliseconds. */
  readonly durationMs: number;
}

/** Runs commands. */
export interface Runner {
  /** What isolates them from this machine and one another, such as `none`. */
  readonly isolation: string;
  /**
   * Runs one command until all of it has ended.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when there is no such program or it cannot be executed; CANCELLED when the
   * signal aborted; UNAVAILABLE when the machine could not start or stop it.
   */
  run(request: RunRequest): Promise<RunOutcome>;
}

/** Longest delay that timers can take, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How often a program is tried again that some process still has open for writing. */
const BUSY_RETRIES = 5;
/** Pause before such a try, in milliseconds. */
const BUSY_PAUSE_MS = 5;

/** Runs commands with the sandbox's launcher: own session, whole tree killed at the end, nothing else isolated yet. */
export class LauncherRunner implements Runner {
  readonly isolation = "none";
  readonly #launcher: Launcher;
  readonly #clock: Clock;

  /** Runs with `launcher`, which must outlive it. */
  constructor(launcher: Launcher, clock: Clock = systemClock) {
    this.#launcher = launcher;
    this.#clock = clock;
  }

  /** See {@linkcode Runner.run}. */
  async run(request: RunRequest): Promise<RunOutcome> {
    const path = request.env.find(([name]) => name === "PATH")?.[1];
    const executable = findProgram(request.argv[0], path, request.cwd);
    for (let attempt = 0;; attempt++) {
      const outcome = await this.#attempt(request, executable);
      const failed = outcome.report.failedStep;
      if (failed === undefined) return outcome;
      // A process forked between the writing and the closing of the file holds it open until its own execve.
      if (failed.isExec && failed.errnoName === "ETXTBSY" && attempt < BUSY_RETRIES) {
        await sleep(this.#clock, BUSY_PAUSE_MS, request.signal);
        continue;
      }
      throw startError(request.argv[0], executable, failed);
    }
  }

  async #attempt(
    request: RunRequest,
    executable: string,
  ): Promise<RunOutcome & { readonly report: ExitReport }> {
    const { signal } = request;
    if (signal?.aborted) throw cancelledError(signal);
    const startedMs = this.#clock.monotonicMs();
    const running: RunningProcess = this.#launcher.launch({
      executable,
      argv: request.argv,
      env: request.env,
      cwd: request.cwd,
      stdout: { path: request.stdoutPath },
      stderr: { path: request.stderrPath },
      outputLimitBytes: request.outputLimitBytes,
      umask: 0o022,
    });
    let timedOut = false;
    const kill = () => running.kill();
    const timer = this.#clock.setTimer(Math.min(request.timeoutMs, MAX_TIMER_MS), () => {
      timedOut = true;
      kill();
    });
    signal?.addEventListener("abort", kill, { once: true });
    let report: ExitReport;
    try {
      report = await running.done;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", kill);
    }
    if (report.survivors > 0) {
      throw new BrokkrError(
        Code.UNAVAILABLE,
        `${report.survivors} processes of the action could not be killed`,
      );
    }
    if (signal?.aborted) throw cancelledError(signal);
    return {
      report,
      exitCode: report.exitCode,
      // It may have ended by itself in the moment its time was up.
      timedOut: timedOut && report.killed,
      outputOverflow: report.outputOverflow,
      stdoutDroppedBytes: report.stdoutDroppedBytes,
      stderrDroppedBytes: report.stderrDroppedBytes,
      userMs: report.userMs,
      systemMs: report.systemMs,
      maxRssBytes: report.maxRssBytes,
      durationMs: this.#clock.monotonicMs() - startedMs,
    };
  }
}

function cancelledError(signal: AbortSignal): BrokkrError {
  return new BrokkrError(Code.CANCELLED, "The action was cancelled", { cause: signal.reason });
}

/**
 * What a command that could not be started is answered with. INVALID_ARGUMENT and not FAILED_PRECONDITION, which clients
 * take for missing inputs and answer by uploading and trying again; and no exit code 127, since no program ran.
 */
function startError(name: string, executable: string, failed: FailedStep): BrokkrError {
  const shown = JSON.stringify(name);
  const at = executable === name ? "" : ` (found at ${executable})`;
  if (!failed.isExec) {
    const code = failed.role === "action" && failed.errnoName === "E2BIG"
      ? Code.INVALID_ARGUMENT
      : Code.UNAVAILABLE;
    return new BrokkrError(code, `The action could not be set up: ${failed.message}`);
  }
  switch (failed.errnoName) {
    case "ENOENT":
      return new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Program ${shown}${at} does not exist, or the interpreter that its first line names does not`,
      );
    case "EACCES":
    case "EPERM":
      return new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Program ${shown}${at} may not be executed; is it marked executable`,
      );
    case "ENOEXEC":
      return new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Program ${shown}${at} has no format this machine can execute; a script needs a first line such as #!/bin/sh`,
      );
    case "E2BIG":
      return new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Arguments and environment of ${shown} are larger than Linux allows`,
      );
    case "ENOTDIR":
    case "EISDIR":
    case "ELOOP":
    case "ENAMETOOLONG":
    case "ELIBBAD":
    case "EINVAL":
    case "ETXTBSY":
      return new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Program ${shown}${at} cannot be executed: ${failed.message}`,
      );
    default:
      return new BrokkrError(
        Code.UNAVAILABLE,
        `Program ${shown}${at} could not be started: ${failed.message}`,
      );
  }
}
