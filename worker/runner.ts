/**
 * Running a command: the interface, and the implementation on the sandbox's launcher.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, sleep, systemClock } from "@brokkr/common";
import type { Init, SandboxTerms } from "@brokkr/proto";
import type { CgroupUsage, ExitReport, FailedStep, Launcher } from "@brokkr/sandbox";
import type { MaterializedRoot } from "./materializer.ts";
import { findProgram } from "./program_lookup.ts";

/** A command, as far as it can be judged before its inputs are there. */
export interface RunCommand {
  /** argv; the first is also what is looked for. */
  readonly argv: readonly string[];
  /** The environment variables that it sets. */
  readonly env: readonly (readonly [string, string])[];
  /** Working directory relative to the input root; `""` for the root itself. */
  readonly workingDirectory: string;
  /** Platform properties that it asks for. */
  readonly platform: readonly { readonly name: string; readonly value: string }[];
}

/** How and where to run it. */
export interface RunRequest {
  /** What lists of what runs on this machine call it. */
  readonly name?: string;
  /** Its inputs. They must be of the kind that the runner can run on. */
  readonly root: MaterializedRoot;
  /** File that takes standard output; made unless it is there, and then empty. */
  readonly stdoutPath: string;
  /** File that takes standard error; made unless it is there, and then empty. */
  readonly stderrPath: string;
  /** Most bytes kept of each of them. */
  readonly outputLimitBytes: number;
  /** How long it may run. */
  readonly timeoutMs: number;
  /** Kills it. */
  readonly signal?: AbortSignal | undefined;
}

/** How a command ended. By then every process it started is gone. Disposing of it lets go of what it left. */
export interface RunOutcome extends Disposable {
  /** 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** Path of the input root with what it left, until the outcome is disposed of. */
  readonly rootPath: string;
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
  /** Whether the kernel killed it for memory. */
  readonly outOfMemory: boolean;
  /** What a person should be told beside the exit code, such as what it was killed for. */
  readonly note?: string;
  /** Why what it wrote may be cut off though it says that it succeeded. */
  readonly cutOff?: BrokkrError;
  /** What control groups counted. */
  readonly counted?: CgroupUsage;
  /** What it got of the sandbox. */
  readonly terms?: Init<SandboxTerms>;
}

/** A command that was found to be one that can be run. */
export interface PreparedCommand {
  /**
   * Runs it until all of it has ended.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when there is no such program or it cannot be executed; CANCELLED when the
   * signal aborted; UNAVAILABLE when the machine could not start or stop it.
   */
  run(request: RunRequest): Promise<RunOutcome>;
}

/** Runs commands. */
export interface Runner {
  /** What isolates them from this machine and one another, such as `none`. */
  readonly isolation: string;
  /**
   * Judges a command, before anything is fetched for it.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT or FAILED_PRECONDITION for what it may not ask for.
   */
  prepare(command: RunCommand): PreparedCommand;
}

/** Longest delay that timers can take, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How often a program is tried again that some process still has open for writing. */
const BUSY_RETRIES = 5;
/** Pause before such a try, in milliseconds. */
const BUSY_PAUSE_MS = 5;

/** Runs commands with the sandbox's launcher: own session, whole tree killed at the end, nothing else isolated. */
export class LauncherRunner implements Runner {
  readonly isolation = "none";
  readonly #launcher: Launcher;
  readonly #clock: Clock;

  /** Runs with `launcher`, which must outlive it. */
  constructor(launcher: Launcher, clock: Clock = systemClock) {
    this.#launcher = launcher;
    this.#clock = clock;
  }

  /** See {@linkcode Runner.prepare}. It takes any command; platform properties are for sandboxes. */
  prepare(command: RunCommand): PreparedCommand {
    return { run: (request) => this.#run(command, request) };
  }

  async #run(command: RunCommand, request: RunRequest): Promise<RunOutcome> {
    const { argv, env, workingDirectory } = command;
    const { inputs } = request.root;
    if (!("rootPath" in inputs)) {
      throw new BrokkrError(Code.INTERNAL, "Layers of inputs can only be run on in a sandbox");
    }
    const { rootPath } = inputs;
    const cwd = workingDirectory === "" ? rootPath : `${rootPath}/${workingDirectory}`;
    const executable = findProgram(argv[0], pathOf(env), cwd);
    const launch = () =>
      this.#launcher.launch({
        executable,
        argv,
        env,
        cwd,
        stdout: { path: request.stdoutPath },
        stderr: { path: request.stderrPath },
        outputLimitBytes: request.outputLimitBytes,
        umask: 0o022,
      });
    for (let attempt = 0;; attempt++) {
      const { report, ...watched } = await watch(launch, request, this.#clock);
      const failed = report.failedStep;
      if (failed === undefined) {
        return { ...measured(report), ...watched, rootPath, outOfMemory: false, [Symbol.dispose]: () => {} };
      }
      // A process forked between the writing and the closing of the file holds it open until its own execve.
      if (failed.isExec && failed.errnoName === "ETXTBSY" && attempt < BUSY_RETRIES) {
        await sleep(this.#clock, BUSY_PAUSE_MS, request.signal);
        continue;
      }
      throw startError(argv[0], executable, failed);
    }
  }
}

/** The PATH that a command sets. */
export function pathOf(env: RunCommand["env"]): string | undefined {
  return env.find(([name]) => name === "PATH")?.[1];
}

/** What every way of running reports alike. */
export function measured(
  report: ExitReport,
): Pick<
  RunOutcome,
  | "exitCode"
  | "outputOverflow"
  | "stdoutDroppedBytes"
  | "stderrDroppedBytes"
  | "userMs"
  | "systemMs"
  | "maxRssBytes"
> {
  const { exitCode, outputOverflow, stdoutDroppedBytes, stderrDroppedBytes, userMs, systemMs, maxRssBytes } =
    report;
  return { exitCode, outputOverflow, stdoutDroppedBytes, stderrDroppedBytes, userMs, systemMs, maxRssBytes };
}

/** A process that ran until it ended or its time was up. */
export interface Watched<Report extends ExitReport> {
  /** What it reported of its end. */
  readonly report: Report;
  /** Whether it was killed since its time was up. */
  readonly timedOut: boolean;
  /** From its start to its end. */
  readonly durationMs: number;
}

/**
 * Starts a process and sees to its end.
 *
 * @throws {BrokkrError} CANCELLED when the signal aborted; UNAVAILABLE when some of it could not be killed. `discard` is
 * called then with what it had reported.
 */
export async function watch<Report extends ExitReport>(
  launch: () => { readonly done: Promise<Report>; kill(): void },
  { signal, timeoutMs }: Pick<RunRequest, "signal" | "timeoutMs">,
  clock: Clock,
  discard: (report: Report) => void = () => {},
): Promise<Watched<Report>> {
  if (signal?.aborted) throw cancelledError(signal);
  const startedMs = clock.monotonicMs();
  const running = launch();
  let timedOut = false;
  const kill = () => running.kill();
  const timer = clock.setTimer(Math.min(timeoutMs, MAX_TIMER_MS), () => {
    timedOut = true;
    kill();
  });
  signal?.addEventListener("abort", kill, { once: true });
  let report: Report;
  try {
    report = await running.done;
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", kill);
  }
  if (report.survivors > 0) {
    discard(report);
    throw new BrokkrError(
      Code.UNAVAILABLE,
      `${report.survivors} processes of the action could not be killed`,
    );
  }
  if (signal?.aborted) {
    discard(report);
    throw cancelledError(signal);
  }
  // It may have ended by itself in the moment its time was up.
  return { report, timedOut: timedOut && report.killed, durationMs: clock.monotonicMs() - startedMs };
}

function cancelledError(signal: AbortSignal): BrokkrError {
  return new BrokkrError(Code.CANCELLED, "The action was cancelled", { cause: signal.reason });
}

/**
 * What a command that could not be started is answered with. INVALID_ARGUMENT and not FAILED_PRECONDITION, which clients
 * take for missing inputs and answer by uploading and trying again; and no exit code 127, since no program ran.
 */
export function startError(name: string, executable: string, failed: FailedStep): BrokkrError {
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
