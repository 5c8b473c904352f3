/**
 * One action in its sandbox while it runs, and how it ended.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, type Clock, Code, type TimerHandle } from "@brokkr/common";
import type { ActionCgroup, CgroupUsage } from "./cgroup/mod.ts";
import { DiskWatch } from "./_disk_watch.ts";
import { isAlive } from "./_process_tree.ts";
import { SyscallError } from "./errno.ts";
import { close, kill } from "./libc.ts";
import { SIGKILL } from "./linux.ts";
import { freeSpace } from "./mount_calls.ts";
import { OutputWatch } from "./output_watch.ts";
import type { ParameterValue, Program } from "./program.ts";
import { readResultPage, type ResultPage } from "./result_page.ts";
import { pause, stepOf } from "./runner_process.ts";
import type { SandboxedProcess, SandboxReport, WorkRoot, WritableLayer } from "./sandbox_options.ts";
import type { ZygoteClient } from "./zygote.ts";

/** A tree that is not gone this long after it was killed is reported as surviving. */
const KILL_LIMIT_MS = 30_000;
/** How much longer it is waited for when what might have been in the way was killed as well. */
const LAST_LIMIT_MS = 1000;
/** How often it is looked whether the outer process is still there, which nobody but the host's operator kills. */
const LOOK_MS = 1000;

/** Looks in a row without a process that could be the outer one, after which there will be none. */
const MAX_MISSED = 3;

/** What a {@linkcode SandboxTree} takes over. */
export interface SandboxTreeParts {
  readonly clock: Clock;
  readonly program: Program;
  readonly values: Readonly<Record<string, ParameterValue>>;
  /** Descriptors this tree owns and closes. */
  readonly resultFd: number;
  readonly stdoutFd: number;
  readonly stderrFd: number;
  readonly outputLimitBytes: number;
  readonly writable: WritableLayer;
  /** Its control groups, which it removes. */
  readonly cgroup: ActionCgroup | undefined;
  /** Called when all of it is gone, before anybody hears of it. */
  readonly onGone: () => void;
}

/** A program that a zygote was given. */
export interface HandedOver {
  /** Whether its first process may still begin, if it has not. */
  mayBegin(): boolean;
  /** Takes what its processes have sent: while that waits for long, others cannot send. */
  drain(): void;
  /** Nothing more is to be heard of it. */
  forget(): void;
  /** Ends whoever was to begin it: it does not react. */
  abandon(): void;
}

/** See the module. */
export class SandboxTree implements SandboxedProcess, ZygoteClient {
  readonly done: Promise<SandboxReport>;
  readonly #parts: SandboxTreeParts;
  readonly #watch: OutputWatch;
  readonly #diskWatch: DiskWatch | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #hasEnded = false;
  #over = false;
  #killed = false;
  #gaveUp = false;
  #killTimer: TimerHandle | undefined;
  #workFd: number | undefined;
  #look: TimerHandle | undefined;
  #handed: HandedOver | undefined;
  /** Looks in a row that found no process that could be its first. */
  #missed = 0;

  /** Takes over what was handed to the zygote. */
  constructor(parts: SandboxTreeParts) {
    this.#parts = parts;
    const { clock, stdoutFd, stderrFd, outputLimitBytes, writable } = parts;
    this.#watch = new OutputWatch(
      clock,
      [{ fd: stdoutFd }, { fd: stderrFd }],
      outputLimitBytes,
      () => this.kill(),
    );
    if (writable.kind === "disk") {
      this.#diskWatch = new DiskWatch(clock, writable.path, writable, () => this.kill());
    }
    this.#lookLater();
    this.done = this.#run();
  }

  /** The outer process; 0 before it has begun. */
  get pid(): number {
    return this.#over ? 0 : this.#page().outerPid;
  }

  /** The PID 1 of the sandbox, in the host's numbering; 0 before there is one. */
  get initPid(): number {
    return this.#over ? 0 : this.#page().initPid;
  }

  /** Somebody has its program now. */
  handedOver(handed: HandedOver): void {
    this.#handed = handed;
  }

  /** See {@linkcode ZygoteClient.ended}. */
  ended(): void {
    this.#hasEnded = true;
    this.#ended.resolve();
  }

  /** See {@linkcode ZygoteClient.lost}. */
  lost(): void {
    this.ended();
  }

  /** See {@linkcode ZygoteClient.received}. */
  received(fd: number): void {
    if (this.#over || this.#workFd !== undefined) close(fd);
    else this.#workFd = fd;
  }

  /** See {@linkcode SandboxedProcess.kill}. */
  kill(): void {
    if (this.#over || this.#killed) return;
    if (!this.#page().finished) this.#killed = true;
    this.#killTimer ??= this.#parts.clock.setTimer(KILL_LIMIT_MS, () => this.#giveUp());
    void this.#killInit();
  }

  /** Nothing was heard of its end for long: the kernel holds a process of it, or somebody has stopped one. */
  #giveUp(): void {
    this.#gaveUp = true;
    // What has not begun yet must not begin once nobody waits for it any more.
    if (this.#page().outerPid === 0) this.#handed?.abandon();
    this.ended();
  }

  #page(): ResultPage {
    return readResultPage(this.#parts.resultFd);
  }

  /** The PID 1 may not be there yet: then it is waited for, since it will be. */
  async #killInit(): Promise<void> {
    for (let round = 0; !this.#hasEnded; round++) {
      const page = this.#page();
      if (page.initReaped || page.faults.length > 0) return;
      if (page.initPid !== 0) return killIfThere(page.initPid);
      await pause(round < 20 ? 1 : 20, this.#ended.promise);
    }
  }

  #lookLater(): void {
    this.#look = this.#parts.clock.setTimer(LOOK_MS, () => {
      const { outerPid } = this.#page();
      // Who is killed before it has written its number leaves nothing behind to know it by.
      this.#missed = outerPid !== 0 || this.#handed?.mayBegin() !== false ? 0 : this.#missed + 1;
      if (this.#missed === MAX_MISSED || outerPid !== 0 && !isAlive(outerPid)) return this.ended();
      this.#handed?.drain();
      this.#lookLater();
    });
  }

  async #run(): Promise<SandboxReport> {
    const { cgroup, resultFd, stdoutFd, stderrFd, onGone } = this.#parts;
    try {
      await this.#ended.promise;
      const survivors = await this.#confirmGone();
      this.#watch.check();
      await this.#diskWatch?.check();
      const usage = cgroup?.usage();
      const report = this.#report(this.#page(), survivors, usage);
      this.#workFd = undefined;
      return report;
    } catch (error) {
      throw asBrokkrError(error);
    } finally {
      this.#over = true;
      this.#handed?.forget();
      this.#look?.cancel();
      this.#killTimer?.cancel();
      this.#watch[Symbol.dispose]();
      this.#diskWatch?.[Symbol.dispose]();
      for (const fd of [resultFd, stdoutFd, stderrFd]) close(fd);
      if (this.#workFd !== undefined) close(this.#workFd);
      onGone();
    }
  }

  /** The kernel ends all of a PID namespace with its PID 1; this waits for the rare cases in which that takes time. */
  async #confirmGone(): Promise<number> {
    const { clock, cgroup } = this.#parts;
    const startMs = clock.monotonicMs();
    for (;;) {
      // Read anew: a first process that is about to die may have made a PID 1 in its last moment.
      const { outerPid, initPid, initReaped } = this.#page();
      const living = initReaped ? [] : [outerPid, initPid].filter((pid) => pid !== 0 && isAlive(pid));
      if (living.length === 0 && cgroup?.isEmpty() !== false) return 0;
      if (clock.monotonicMs() - startMs > (this.#gaveUp ? LAST_LIMIT_MS : KILL_LIMIT_MS)) return 1;
      living.forEach(killIfThere);
      if (living.length === 0) cgroup?.kill();
      await pause(1);
    }
  }

  #report(page: ResultPage, survivors: number, usage: CgroupUsage | undefined): SandboxReport {
    const { program, values, stdoutFd, stderrFd } = this.#parts;
    const failedStep = stepOf(program, values, page.faults[0]);
    const outOfMemory = (usage?.oomKills ?? 0) > 0;
    const base = {
      userMs: page.userMs,
      systemMs: page.systemMs,
      maxRssBytes: page.maxRssBytes,
      killed: this.#killed,
      stdoutDroppedBytes: this.#watch.droppedBytes(stdoutFd),
      stderrDroppedBytes: this.#watch.droppedBytes(stderrFd),
      outputOverflow: this.#watch.runaway,
      survivors,
      outOfMemory,
      diskExceeded: this.#diskWatch?.exceeded ?? false,
      ...(usage === undefined ? {} : { usage }),
      ...(this.#workFd === undefined ? {} : { work: workRoot(this.#workFd) }),
    };
    if (failedStep !== undefined) return { ...base, exitCode: 127, failedStep };
    if (page.outerPid === 0) {
      throw new BrokkrError(
        Code.UNAVAILABLE,
        "No process could be made for the action: the machine has too many, or no memory, or somebody killed it",
      );
    }
    // Without a status somebody ended the tree: with SIGKILL, there is no other way.
    const status = outOfMemory || !page.finished ? SIGKILL : page.status;
    const signal = status & 0x7f;
    if (signal !== 0) return { ...base, exitCode: 128 + signal, signal };
    return { ...base, exitCode: (status >>> 8) & 0xff };
  }
}

/** Kills a process, unless its number belongs to somebody else's by now. */
function killIfThere(pid: number): void {
  try {
    kill(pid, SIGKILL);
  } catch (error) {
    if (!(error instanceof SyscallError && error.errnoName === "EPERM")) throw error;
  }
}

function workRoot(fd: number): WorkRoot {
  let open = true;
  return {
    path: `/proc/self/fd/${fd}`,
    free: freeSpace(fd),
    [Symbol.dispose]: () => {
      if (!open) return;
      open = false;
      close(fd);
    },
  };
}
