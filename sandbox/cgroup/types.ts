/**
 * What control groups are to the rest of the sandbox, whichever version the machine has.
 *
 * @module
 */

/** A controller that limits and counts. */
export type Controller = "cpu" | "memory" | "pids" | "io";

/** Limits of one action; what is absent is not limited. */
export interface CgroupLimits {
  /** Most memory, page cache and memory file systems included; there is no swap beyond it. */
  readonly memoryBytes?: number;
  /** Most processes and threads. */
  readonly pids?: number;
  /** Processor time per time, in thousandths of a processor: 1000 is one of them whole. */
  readonly cpuMillis?: number;
  /** Most bytes read from disks in a second. */
  readonly ioReadBytesPerSecond?: number;
  /** Most bytes written to disks in a second. */
  readonly ioWriteBytesPerSecond?: number;
}

/** What was counted. What no controller counted is absent. */
export interface CgroupUsage {
  /** Processor time in user mode. */
  readonly cpuUserMs?: number;
  /** Processor time in the kernel. */
  readonly cpuSystemMs?: number;
  /** Most memory at one time. */
  readonly memoryPeakBytes?: number;
  /** Most processes and threads at one time. */
  readonly pidsPeak?: number;
  /** Bytes read from disks. */
  readonly ioReadBytes?: number;
  /** Bytes written to disks. */
  readonly ioWriteBytes?: number;
  /** Time in which it wanted to run and was held back by its limit. */
  readonly cpuThrottledMs?: number;
  /** Processes killed for memory. */
  readonly oomKills: number;
  /** How often a process or thread was refused. */
  readonly pidsRefused: number;
}

/** The groups of one action. */
export interface ActionCgroup {
  /**
   * Descriptors that take "0" from the process that joins, one for each hierarchy; close-on-exec. They are to be
   * written in this order: the first alone tells {@linkcode ActionCgroup.isEmpty} and {@linkcode ActionCgroup.kill}.
   */
  readonly joinFds: readonly number[];
  /** Closes them. */
  closeJoinFds(): void;
  /** What was counted so far. Nothing, once it is removed. */
  usage(): CgroupUsage;
  /** Whether no process is in it. */
  isEmpty(): boolean;
  /** Kills what is in it, stopped processes too. The signals are sent when it returns; the deaths come after. */
  kill(): void;
  /** Removes it. @throws {BrokkrError} FAILED_PRECONDITION when something is still in it; it can be tried again. */
  remove(): void;
}

/** A controller that is not to be had. */
export interface MissingController {
  /** Which. */
  readonly controller: Controller;
  /** What that means for the machine and its actions: a sentence for a person. */
  readonly consequence: string;
  /** Why it is so and what would mend it: sentences for a person. */
  readonly remedy: string;
}

/** The groups of one worker. */
export interface Cgroups extends Disposable {
  /** Which version its controllers are of. */
  readonly version: "v1" | "v2";
  /** What it can limit and count. */
  readonly controllers: ReadonlySet<Controller>;
  /** What it cannot, what that means, and what mends it. */
  readonly missing: readonly MissingController[];
  /**
   * Makes the groups of one action. Limits of controllers that are missing are left out: look at `controllers` first
   * where one matters.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT for a name or limit that cannot be; ALREADY_EXISTS when there are groups of
   * that name.
   */
  create(name: string, limits: CgroupLimits): ActionCgroup;
}
