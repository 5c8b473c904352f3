/**
 * Starts actions: one program of system calls, one process tree, one report for each.
 *
 * The program is an ELF image in a memfd, made and started here without any compiled helper. All that could leak a
 * descriptor into another child happens synchronously.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, type Clock, Code, systemClock } from "@brokkr/common";
import { actionProgram, type ActionProgramOptions, type TreeMode } from "./action_program.ts";
import { currentArch } from "./arch.ts";
import { openPath } from "./file_calls.ts";
import {
  DEFAULT_OUTPUT_LIMIT_BYTES,
  type LaunchOptions,
  launchParameters,
  type OutputTarget,
  type Rlimit,
  rlimitNames,
} from "./launch_options.ts";
import {
  close,
  duplicate,
  ftruncate,
  getrlimit,
  memfdCreate,
  pipe2,
  setCloseOnExec,
  writeAll,
} from "./libc.ts";
import { MFD_CLOEXEC, O_APPEND, O_CLOEXEC, O_CREAT, O_NONBLOCK, O_WRONLY } from "./linux.ts";
import type { ParameterValue, Program } from "./program.ts";
import { RESULT_BYTES } from "./result_page.ts";
import { ActionTree, type ExitReport, type RunningProcess } from "./runner_process.ts";

/** What holds the processes of an action together on this machine. */
export interface LauncherProbe {
  /** How: see {@linkcode TreeMode}. Neither isolates anything. */
  readonly mode: TreeMode;
  /** Whether the PID namespace needs a user namespace around it. */
  readonly userNamespace: boolean;
  /** Why it is not a PID namespace, if it is not. */
  readonly reason?: string;
}

/** How to open a {@linkcode Launcher}. */
export interface LauncherOptions {
  /** The clock for watching and killing; the machine's by default. */
  readonly clock?: Clock;
  /** Use this way and no other. */
  readonly mode?: TreeMode;
  /** With a PID namespace, whether to make a user namespace around it; found out by default. */
  readonly userNamespace?: boolean;
}

/** Most open files an action may have unless the options say otherwise. */
const DEFAULT_NOFILE = 65_536;

type Variant = Pick<LauncherProbe, "mode" | "userNamespace">;

/**
 * Starts actions; open one for a process and keep it. It needs `--allow-all`: the files it touches are in /proc.
 *
 * An action has a session of its own, default signals, stdin, stdout and stderr and no other descriptor, and nothing
 * of its tree outlives {@linkcode RunningProcess.done}, or, with PID namespaces, this process. Launch from the main
 * thread: what an action is tied to is the thread that started it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Launcher } from "@brokkr/sandbox";
 * const dir = await Deno.makeTempDir();
 * using launcher = await Launcher.open();
 * const running = launcher.launch({
 *   executable: "/bin/sh",
 *   argv: ["sh", "-c", "echo $GREETING; exit 3"],
 *   env: { GREETING: "hello" },
 *   cwd: dir,
 *   stdout: { path: `${dir}/stdout` },
 *   stderr: { path: `${dir}/stderr` },
 * });
 * const { exitCode } = await running.done;
 * assertEquals(exitCode, 3);
 * assertEquals(await Deno.readTextFile(`${dir}/stdout`), "hello\n");
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export class Launcher implements Disposable {
  readonly #clock: Clock;
  readonly #alive: { readonly readFd: number; readonly writeFd: number };
  readonly #programs = new Map<string, Program>();
  readonly #nofile: Rlimit;
  #probe: LauncherProbe = { mode: "subreaper", userNamespace: false };
  #closed = false;

  private constructor(clock: Clock) {
    this.#clock = clock;
    this.#alive = pipe2(O_CLOEXEC | O_NONBLOCK);
    this.#nofile = defaultNofile();
  }

  /**
   * Finds out how this machine can hold a process tree together, by trying.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION when no way works, saying which step failed.
   */
  static async open(options: LauncherOptions = {}): Promise<Launcher> {
    const launcher = new Launcher(options.clock ?? systemClock);
    const reasons: string[] = [];
    for (const variant of variants(options)) {
      const reason = await launcher.#try(variant).catch((error) => asBrokkrError(error).message);
      if (reason === undefined) {
        launcher.#probe = reasons.length === 0 || variant.mode === "pid-namespace"
          ? variant
          : { ...variant, reason: reasons.join("; ") };
        return launcher;
      }
      reasons.push(reason);
    }
    launcher[Symbol.dispose]();
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `No action can be started on this machine: ${reasons.join("; ")}`,
    );
  }

  /** What was found. */
  get probe(): LauncherProbe {
    return this.#probe;
  }

  /**
   * Starts an action. What the action itself does, a missing program included, is told by the report.
   *
   * @throws {BrokkrError} when nothing could be started: bad options, no descriptors left, an output that cannot be
   * opened.
   */
  launch(options: LaunchOptions): RunningProcess {
    const core: Rlimit = { soft: 0, hard: 0 };
    const rlimits = {
      core,
      nofile: this.#nofile,
      ...options.rlimits,
    };
    return this.#start({ ...options, rlimits }, this.#probe, false);
  }

  /** Why `variant` does not work, or undefined if it does. */
  async #try(variant: Variant): Promise<string | undefined> {
    const target: OutputTarget = { path: "/dev/null" };
    const nothing = { executable: "/", argv: [""], env: {}, cwd: "/", stdout: target, stderr: target };
    const report: ExitReport = await this.#start(nothing, variant, true).done;
    if (report.exitCode === 0) return undefined;
    return report.failedStep?.message ?? `The program of a probe ended with ${report.exitCode}`;
  }

  #program(shape: ActionProgramOptions): Program {
    const key = JSON.stringify(shape);
    let program = this.#programs.get(key);
    if (program === undefined) this.#programs.set(key, program = actionProgram(currentArch(), shape));
    return program;
  }

  #start(options: LaunchOptions, variant: Variant, probe: boolean): ActionTree {
    if (this.#closed) throw new BrokkrError(Code.FAILED_PRECONDITION, "The launcher is closed");
    const values = launchParameters(options);
    const program = this.#program({
      mode: variant.mode,
      userNamespace: variant.userNamespace,
      stdinFile: options.stdin !== undefined,
      rlimits: rlimitNames(options.rlimits ?? {}),
      probe,
    });
    const fds: number[] = [];
    const own = (fd: number) => (fds.push(fd), fd);
    try {
      const resultFd = own(memfdCreate("brokkr-result", 0));
      ftruncate(resultFd, RESULT_BYTES);
      const stdoutFd = own(openOutput(options.stdout));
      const stderrFd = own(openOutput(options.stderr));
      Object.assign(values, descriptorValues(resultFd, stdoutFd, stderrFd, this.#alive.readFd));
      if (variant.userNamespace) Object.assign(values, idMaps());
      const child = this.#spawn(program, values, variant.mode);
      for (const fd of fds) setCloseOnExec(fd, true);
      return new ActionTree({
        clock: this.#clock,
        mode: variant.mode,
        program,
        values,
        child,
        resultFd,
        stdoutFd,
        stderrFd,
        outputLimitBytes: options.outputLimitBytes ?? DEFAULT_OUTPUT_LIMIT_BYTES,
      });
    } catch (error) {
      for (const fd of fds) close(fd);
      throw error;
    }
  }

  #spawn(program: Program, values: Record<string, ParameterValue>, mode: TreeMode): Deno.ChildProcess {
    const image = program.image(values);
    const imageFd = memfdCreate("brokkr", MFD_CLOEXEC, true);
    try {
      writeAll(imageFd, image);
      setCloseOnExec(this.#alive.readFd, false);
      return new Deno.Command(`/proc/self/fd/${imageFd}`, {
        clearEnv: true,
        stdin: "null",
        stdout: mode === "subreaper" ? "piped" : "null",
        stderr: "null",
      }).spawn();
    } catch (error) {
      if (error instanceof BrokkrError) throw error;
      throw new BrokkrError(
        Code.UNAVAILABLE,
        `The program of an action could not be started (${error instanceof Error ? error.message : error})`,
        { cause: error },
      );
    } finally {
      setCloseOnExec(this.#alive.readFd, true);
      close(imageFd);
    }
  }

  /** Closes what it holds. Call it when the last action is done; with this process gone, so are its actions. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#alive.readFd);
    close(this.#alive.writeFd);
  }
}

/** Finds out how this machine can hold a process tree together. See {@linkcode Launcher.open}. */
export async function probeLauncher(options: LauncherOptions = {}): Promise<LauncherProbe> {
  using launcher = await Launcher.open(options);
  return launcher.probe;
}

function variants(options: LauncherOptions): Variant[] {
  const all: Variant[] = [
    { mode: "pid-namespace", userNamespace: false },
    { mode: "pid-namespace", userNamespace: true },
    { mode: "subreaper", userNamespace: false },
  ];
  return all.filter(({ mode, userNamespace }) =>
    (options.mode === undefined || options.mode === mode) &&
    (mode === "subreaper" || options.userNamespace === undefined || options.userNamespace === userNamespace)
  );
}

function descriptorValues(result: number, stdout: number, stderr: number, alive: number) {
  return { result, aroundLow: result - 1, aroundHigh: result + 1, stdout, stderr, alive };
}

/** This process's user and group as they are, and no others. */
function idMaps(): Record<string, ParameterValue> {
  const uidMap = `${Deno.uid()} ${Deno.uid()} 1`;
  const gidMap = `${Deno.gid()} ${Deno.gid()} 1`;
  return { uidMap, uidMapBytes: uidMap.length, gidMap, gidMapBytes: gidMap.length };
}

/** A descriptor that a child inherits. */
function openOutput(target: OutputTarget): number {
  if ("fd" in target) return duplicate(target.fd, 3);
  return outputFile(target.path);
}

/** Opens a file for output: made unless it is there, appended to, never through a link. */
export function outputFile(path: string, flags = 0): number {
  return openPath(path, O_WRONLY | O_CREAT | O_APPEND | currentArch().O_NOFOLLOW | flags, 0o600);
}

/** Deno raises its own limit to the hard one, and programs that close every possible descriptor would feel it. */
export function defaultNofile(): Rlimit {
  const hard = getrlimit("nofile").hard;
  return { soft: Math.min(hard, DEFAULT_NOFILE), hard };
}
