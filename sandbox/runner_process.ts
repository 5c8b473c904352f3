/**
 * One action's process tree while it runs, and how it ended.
 *
 * @module
 */

import { asBrokkrError, type Clock, type TimerHandle } from "@brokkr/common";
import type { TreeMode } from "./action_program.ts";
import { isAlive, killDescendants, processState, sessionMembers } from "./_process_tree.ts";
import { errnoName } from "./errno.ts";
import { close, kill } from "./libc.ts";
import { SIGCONT, SIGKILL, SIGSTOP } from "./linux.ts";
import { OutputWatch } from "./output_watch.ts";
import type { ParameterValue, Program } from "./program.ts";
import { type Fault, readResultPage, type ResultPage, type Role } from "./result_page.ts";

/** A tree that is not gone this long after it was killed is reported as surviving. */
const KILL_LIMIT_MS = 30_000;
const SWEEP_FAST_ROUNDS = 20;

/** A step of the launch that failed, so that the action did not run. */
export interface FailedStep {
  /** What was tried, such as `execve /bin/foo`. */
  readonly name: string;
  /** The kernel's error number. */
  readonly errno: number;
  /** Its name, such as `ENOENT`. */
  readonly errnoName: string;
  /** The process that tried. */
  readonly role: Role;
  /** Whether it is the action's program itself that could not be executed. */
  readonly isExec: boolean;
  /** All of it for a person, such as `Sandbox step 'execve /bin/foo' failed: ENOENT`. */
  readonly message: string;
}

/** How an action ended. */
export interface ExitReport {
  /** The exit code as it is; 128+n when ended by signal n; 127 when a step failed. */
  readonly exitCode: number;
  /** The signal that ended it. */
  readonly signal?: number;
  /** User CPU time of the action and the children it waited for. */
  readonly userMs: number;
  /** System CPU time of the same. */
  readonly systemMs: number;
  /** Largest resident set among the same. */
  readonly maxRssBytes: number;
  /** The step that failed, if the action's program was never entered. */
  readonly failedStep?: FailedStep;
  /** Whether the tree was killed before the action ended by itself. */
  readonly killed: boolean;
  /** Bytes of stdout beyond the limit, which were dropped. */
  readonly stdoutDroppedBytes: number;
  /** Bytes of stderr beyond the limit, which were dropped. */
  readonly stderrDroppedBytes: number;
  /** Whether it was killed for writing far more to stdout or stderr than the limit. */
  readonly outputOverflow: boolean;
  /** Processes that could not be ended; 0 unless the kernel holds them (state D). */
  readonly survivors: number;
}

/** A tree that runs. */
export interface RunningProcess {
  /** The outer process, the root of the tree. */
  readonly pid: number;
  /** How the action ended; resolves when the whole tree is gone. */
  readonly done: Promise<ExitReport>;
  /** Ends the whole tree at once; harmless when it has ended. */
  kill(): void;
}

/** What {@linkcode ActionTree} takes over. */
export interface ActionTreeParts {
  readonly clock: Clock;
  readonly mode: TreeMode;
  readonly program: Program;
  readonly values: Readonly<Record<string, ParameterValue>>;
  readonly child: Deno.ChildProcess;
  /** Descriptors this tree owns and closes. */
  readonly resultFd: number;
  readonly stdoutFd: number;
  readonly stderrFd: number;
  readonly outputLimitBytes: number;
}

/** The {@linkcode RunningProcess} of an action program. */
export class ActionTree implements RunningProcess {
  readonly pid: number;
  readonly done: Promise<ExitReport>;
  readonly #parts: ActionTreeParts;
  readonly #watch: OutputWatch;
  #ended = false;
  #killed = false;
  #sweeping: Promise<void> | undefined;
  #killLimit: TimerHandle | undefined;

  /** Takes over a spawned program. */
  constructor(parts: ActionTreeParts) {
    this.#parts = parts;
    this.pid = parts.child.pid;
    const outputs = [{ fd: parts.stdoutFd }, { fd: parts.stderrFd }];
    this.#watch = new OutputWatch(parts.clock, outputs, parts.outputLimitBytes, () => this.kill());
    this.done = this.#run();
  }

  /** See {@linkcode RunningProcess.kill}. */
  kill(): void {
    if (this.#ended || this.#killed) return;
    const page = readResultPage(this.#parts.resultFd);
    if (!page.finished) this.#killed = true;
    if (this.#parts.mode === "subreaper") {
      void this.#sweep().catch(() => this.#killOuter());
      return;
    }
    if (page.initPid === 0) this.#killOuter();
    else if (!page.initReaped) kill(page.initPid, SIGKILL);
    this.#killLimit = this.#parts.clock.setTimer(KILL_LIMIT_MS, () => this.#killOuter());
  }

  #killOuter(): void {
    if (!this.#ended) kill(this.pid, SIGKILL);
  }

  async #run(): Promise<ExitReport> {
    const { child, mode, resultFd } = this.#parts;
    try {
      const swept = mode === "subreaper" ? this.#sweepLeftovers() : undefined;
      const [status] = await Promise.all([child.status.finally(() => this.#ended = true), swept]);
      const page = readResultPage(resultFd);
      const survivors = await this.#confirmGone(page, status);
      this.#watch.check();
      return this.#report(page, survivors);
    } catch (error) {
      throw asBrokkrError(error);
    } finally {
      this.#ended = true;
      this.#killLimit?.cancel();
      this.#watch[Symbol.dispose]();
      close(resultFd);
      close(this.#parts.stdoutFd);
      close(this.#parts.stderrFd);
    }
  }

  /** When the action has ended, the outer process closes its stdout and waits for what is left: end that. */
  async #sweepLeftovers(): Promise<void> {
    try {
      for await (const _ of this.#parts.child.stdout) { /* nothing is ever written */ }
    } finally {
      // Mostly nothing is left and it is gone at once; then there is no process by its id to look below.
      await pause(1, this.#parts.child.status);
      await this.#sweep();
    }
  }

  /** Kills below the outer process until that one has nothing left to wait for, and exits. */
  #sweep(): Promise<void> {
    return this.#sweeping ??= this.#sweepOnce();
  }

  async #sweepOnce(): Promise<void> {
    const { clock, child, resultFd } = this.#parts;
    const startMs = clock.monotonicMs();
    for (let round = 0; !this.#ended; round++) {
      if (clock.monotonicMs() - startMs > KILL_LIMIT_MS) return this.#killOuter();
      try {
        if (readResultPage(resultFd).actionPid === 0 && await this.#endUnstarted()) return;
        killDescendants(this.pid);
      } catch (error) {
        // Out of descriptors, say: that passes, and giving up at once would leave processes behind.
        if (clock.monotonicMs() - startMs > KILL_LIMIT_MS) throw error;
      }
      await pause(round < SWEEP_FAST_ROUNDS ? 1 : 20, child.status);
    }
  }

  /**
   * Ends the outer process if it has not made the action's process yet. It is stopped first: between a look and the
   * kill it could make one, which would live on.
   */
  async #endUnstarted(): Promise<boolean> {
    const { resultFd } = this.#parts;
    kill(this.pid, SIGSTOP);
    for (;;) {
      const state = processState(this.pid)?.state;
      if (state === undefined || "TtZX".includes(state) || this.#ended) break;
      await pause(1);
    }
    if (this.#ended) return true;
    const started = readResultPage(resultFd).actionPid !== 0;
    kill(this.pid, started ? SIGCONT : SIGKILL);
    return !started;
  }

  /**
   * Where the outer process was ended from outside, makes sure that what it had started is gone. Without a PID
   * namespace that is the action's session; daemons that left it can no longer be told from others.
   */
  async #confirmGone(page: ResultPage, status: Deno.CommandStatus): Promise<number> {
    const { clock, mode } = this.#parts;
    let left: () => number[];
    if (mode === "pid-namespace") {
      if (page.initPid === 0 || page.initReaped) return 0;
      left = () => isAlive(page.initPid) ? [page.initPid] : [];
    } else {
      if (page.actionPid === 0 || status.signal === null) return 0;
      left = () => sessionMembers(page.actionPid);
    }
    const startMs = clock.monotonicMs();
    for (let pids = left(); pids.length > 0; pids = left()) {
      if (clock.monotonicMs() - startMs > KILL_LIMIT_MS) return pids.length;
      for (const pid of pids) kill(pid, SIGKILL);
      await pause(1);
    }
    return 0;
  }

  #report(page: ResultPage, survivors: number): ExitReport {
    const failedStep = stepOf(this.#parts.program, this.#parts.values, page.faults[0]);
    const base = {
      userMs: page.userMs,
      systemMs: page.systemMs,
      maxRssBytes: page.maxRssBytes,
      killed: this.#killed,
      stdoutDroppedBytes: this.#watch.droppedBytes(this.#parts.stdoutFd),
      stderrDroppedBytes: this.#watch.droppedBytes(this.#parts.stderrFd),
      outputOverflow: this.#watch.runaway,
      survivors,
    };
    if (failedStep !== undefined) return { ...base, exitCode: 127, failedStep };
    // Without a status somebody ended the tree from outside: with SIGKILL, there is no other way.
    const status = page.finished ? page.status : SIGKILL;
    const signal = status & 0x7f;
    if (signal !== 0) return { ...base, exitCode: 128 + signal, signal };
    return { ...base, exitCode: (status >>> 8) & 0xff };
  }
}

/** What a fault record says, or undefined for none. */
export function stepOf(
  program: Program,
  values: Readonly<Record<string, ParameterValue>>,
  fault: Fault | undefined,
): FailedStep | undefined {
  if (fault === undefined) return undefined;
  const op = program.opAt(fault.address);
  const name = op === undefined ? "unknown" : op.name.replace(/\$(\w+)/g, (text, key: string) => {
    const value = values[key];
    return typeof value === "string" ? value : text;
  });
  const reason = errnoName(fault.errno);
  return {
    name,
    errno: fault.errno,
    errnoName: reason,
    role: fault.role,
    isExec: op?.syscall === "execve",
    message: `Sandbox step '${name}' failed: ${reason}`,
  };
}

/**
 * Gives the kernel time, until `ended` at most. Not the injected clock's time, which the kernel knows nothing of; and
 * unlike that clock's timers this one keeps the host from exiting before the tree is gone.
 */
export async function pause(ms: number, ended?: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  ended?.then(() => resolve(), () => resolve());
  await promise;
  clearTimeout(timer);
}
