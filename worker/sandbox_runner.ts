/**
 * Running commands in the sandbox.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, systemClock } from "@brokkr/common";
import { humanSize } from "@brokkr/common/units";
import type { Init, SandboxTerms } from "@brokkr/proto";
import {
  type Controller,
  type FailedStep,
  MemoryOutput,
  type SandboxedProcess,
  type SandboxReport,
  type SandboxRequest,
  type WritableLayer,
} from "@brokkr/sandbox";
import { programCandidates, shownPath } from "./program_lookup.ts";
import {
  measured,
  pathOf,
  type PreparedCommand,
  type RunCommand,
  type Runner,
  type RunOutcome,
  type RunRequest,
  startError,
  watch,
} from "./runner.ts";
import { sandboxEnvironment } from "./sandbox_environment.ts";
import { type ActionSandbox, actionSandbox, type SandboxPolicy } from "./sandbox_policy.ts";

/** How a {@linkcode SandboxRunner} is set up. */
export interface SandboxRunnerOptions {
  /** Starts actions; it must outlive the runner. */
  readonly sandbox: { launch(request: SandboxRequest): SandboxedProcess };
  /** What actions get and may ask for. */
  readonly policy: SandboxPolicy;
  /** What there are control groups for: limits of others do not hold. */
  readonly controllers: ReadonlySet<Controller>;
  /** Time. */
  readonly clock?: Clock;
}

/** Directory of an action's writable layer on disk, in its scratch directory. */
const DISK_LAYER_NAME = "layer";
/** With fewer bytes a writable layer is full: what is written next need not fit. */
const FULL_BYTES = 64 * 1024;

/** Runs commands in sandboxes, on layers of inputs. */
export class SandboxRunner implements Runner {
  readonly isolation = "sandbox";
  readonly #options: SandboxRunnerOptions;

  /** See {@linkcode SandboxRunnerOptions}. */
  constructor(options: SandboxRunnerOptions) {
    this.#options = options;
  }

  /** See {@linkcode Runner.prepare}. */
  prepare(command: RunCommand): PreparedCommand {
    const { policy } = this.#options;
    const action = actionSandbox(policy, command.platform);
    const env = sandboxEnvironment(command.env, policy.allowPreload);
    const executables = programCandidates(command.argv[0], pathOf(command.env));
    return { run: (request) => this.#run({ ...command, env }, executables, action, request) };
  }

  async #run(
    command: RunCommand,
    executables: readonly string[],
    action: ActionSandbox,
    request: RunRequest,
  ): Promise<RunOutcome> {
    const { inputs, scratchPath } = request.root;
    if (!("lowers" in inputs)) {
      throw new BrokkrError(Code.INTERNAL, "The sandbox takes layers of inputs, not a directory");
    }
    const { network, limits, aslr, rdtsc } = action;
    using stdout = new MemoryOutput("stdout");
    using stderr = new MemoryOutput("stderr");
    const launch = () =>
      this.#options.sandbox.launch({
        ...(request.name === undefined ? {} : { name: request.name }),
        executables: padded(executables),
        argv: command.argv,
        env: command.env,
        cwd: command.workingDirectory,
        stdout,
        stderr,
        outputLimitBytes: request.outputLimitBytes,
        lowers: inputs.lowers,
        writable: writableLayer(action, scratchPath),
        network,
        limits,
        aslr,
        rdtsc,
        umask: 0o022,
      });
    const clock = this.#options.clock ?? systemClock;
    const { report, ...watched } = await watch(launch, request, clock, discard);
    try {
      if (stdout.sizeBytes > 0) await stdout.saveTo(request.stdoutPath);
      if (stderr.sizeBytes > 0) await stderr.saveTo(request.stderrPath);
      return { ...watched, ...this.#outcome(command, executables, action, report) };
    } catch (error) {
      discard(report);
      throw error;
    }
  }

  #outcome(
    command: RunCommand,
    executables: readonly string[],
    action: ActionSandbox,
    report: SandboxReport,
  ): Omit<RunOutcome, "timedOut" | "durationMs"> {
    const { failedStep, work, usage, outOfMemory, diskExceeded } = report;
    if (failedStep !== undefined) throw sandboxStartError(command, executables, failedStep);
    if (work === undefined) {
      throw new BrokkrError(
        Code.UNAVAILABLE,
        "The sandbox of the action ended before its files were laid out",
      );
    }
    const note = outOfMemory
      ? memoryNote(action)
      : diskExceeded
      ? `${report.killed ? "Killed: " : ""}${diskNote(action)}`
      : undefined;
    // What was written so fast that nobody saw it in time must not be a matter of luck.
    const cutOff = diskExceeded
      ? new BrokkrError(Code.FAILED_PRECONDITION, diskNote(action))
      : fullLayer(action, work.free);
    return {
      ...measured(report),
      rootPath: work.path,
      outOfMemory,
      ...(note === undefined ? {} : { note }),
      ...(cutOff === undefined ? {} : { cutOff }),
      ...(usage === undefined ? {} : { counted: usage }),
      terms: this.#terms(action, diskExceeded),
      [Symbol.dispose]: () => work[Symbol.dispose](),
    };
  }

  /** What the result tells of the sandbox: limits that nothing enforces are no limits. */
  #terms({ network, limits, writable, aslr, rdtsc }: ActionSandbox, exceeded: boolean): Init<SandboxTerms> {
    const { controllers } = this.#options;
    const { memoryBytes, pids, cpuMillis, ioReadBytesPerSecond, ioWriteBytesPerSecond } = limits;
    return {
      network,
      writableLayer: writable.kind,
      writableLayerBytes: writable.bytes,
      writableLayerInodes: writable.inodes,
      writableLayerExceeded: exceeded,
      ...(controllers.has("memory") ? { memoryLimitBytes: memoryBytes } : {}),
      ...(controllers.has("pids") ? { pidsLimit: pids } : {}),
      ...(controllers.has("cpu") && cpuMillis !== undefined ? { cpuLimitMillis: cpuMillis } : {}),
      ...(controllers.has("io") && ioReadBytesPerSecond !== undefined
        ? { ioReadLimitBytes: ioReadBytesPerSecond }
        : {}),
      ...(controllers.has("io") && ioWriteBytesPerSecond !== undefined
        ? { ioWriteLimitBytes: ioWriteBytesPerSecond }
        : {}),
      aslrOff: !aslr,
      rdtscOff: !rdtsc,
    };
  }
}

function discard(report: SandboxReport): void {
  report.work?.[Symbol.dispose]();
}

function writableLayer({ writable }: ActionSandbox, scratchPath: string): WritableLayer {
  const { kind, bytes, inodes } = writable;
  if (kind === "memory") return { kind, bytes, inodes };
  const path = `${scratchPath}/${DISK_LAYER_NAME}`;
  Deno.mkdirSync(path, { mode: 0o755 });
  return { kind, path, bytes, inodes };
}

/**
 * Repeats the last name until there is a power of two of them. The sandbox makes a program for each number of names, and
 * keeps it: clients choose how many directories a PATH has.
 */
function padded(executables: readonly string[]): string[] {
  const padding = 2 ** Math.ceil(Math.log2(executables.length)) - executables.length;
  return [...executables, ...new Array<string>(padding).fill(executables[executables.length - 1])];
}

function memoryNote({ limits }: ActionSandbox): string {
  return `Out of memory: the action was killed at its limit of ${
    humanSize(limits.memoryBytes)
  }, in which files ` +
    "that it keeps in memory count too. Ask for more with the platform property memory, as far as the operator allows " +
    "by worker.sandbox_max_memory";
}

function diskNote({ writable: { bytes, inodes } }: ActionSandbox): string {
  return `What it wrote outgrew its writable layer of ${
    humanSize(bytes)
  }, or of ${inodes} files, on disk, or ` +
    "nearly filled the disk. Ask for more with the platform property disk, as far as the operator allows by worker.sandbox_max_disk";
}

/**
 * What is said of an action whose writable layer is full at its end: it need not have noticed that its last writes failed.
 * It would fail alike anywhere, so that it is no worker's fault, and no code that clients try again.
 */
function fullLayer(
  { writable }: ActionSandbox,
  free: { readonly bytes: number; readonly inodes: number },
): BrokkrError | undefined {
  const noBytes = free.bytes < FULL_BYTES;
  if (!noBytes && free.inodes >= 1) return undefined;
  const { kind, bytes, inodes } = writable;
  const what = noBytes
    ? `${humanSize(bytes)} ${kind === "disk" ? "on disk" : "in memory"}`
    : `${inodes} files, directories and links`;
  const remedy = !noBytes
    ? "have the operator raise worker.sandbox_layer_files"
    : kind === "disk"
    ? "ask for more with the platform property disk, as far as the operator allows by worker.sandbox_max_disk"
    : "ask for the platform property writable-layer=disk or for more memory, or have the operator raise " +
      "worker.sandbox_layer_size";
  return new BrokkrError(
    Code.FAILED_PRECONDITION,
    `The action filled its writable layer of ${what}, so that what it wrote may be cut off: ${remedy}`,
  );
}

/** Errors of execve after which a program may still be found further along PATH. */
const NOT_HERE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR"]);

function sandboxStartError(
  { argv: [name], env }: RunCommand,
  executables: readonly string[],
  failed: FailedStep,
): BrokkrError {
  const at = executables.length === 1 ? executables[0] : failed.name.replace(/^execve /, "");
  if (!failed.isExec || !NOT_HERE.has(failed.errnoName)) return startError(name, at, failed);
  const outside = executables.find(isProgramOutside);
  if (outside !== undefined) {
    return new BrokkrError(
      Code.INVALID_ARGUMENT,
      `Program ${
        JSON.stringify(name)
      } is at ${outside} on the worker's machine, but in the sandbox it, or the interpreter ` +
        "that its first line names, is not; the operator can show more to actions by worker.sandbox_binds, or it can be " +
        "made an input",
    );
  }
  if (name.includes("/")) return startError(name, name, failed);
  return new BrokkrError(
    Code.INVALID_ARGUMENT,
    `Program ${JSON.stringify(name)} was not found in PATH ${
      shownPath(pathOf(env))
    }, as the sandbox has it, or is not executable there`,
  );
}

/**
 * Whether the host has a program there that everybody may execute. Of other files nothing is told, not even that they are
 * there: whoever asks is a client.
 */
function isProgramOutside(path: string): boolean {
  if (!path.startsWith("/")) return false;
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o005) === 0o005;
  } catch {
    return false; // not there, or not to be reached
  }
}
