/**
 * Control groups: one interface over both versions.
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
  /** Descriptors that take "0" from the process that joins, one for each hierarchy; close-on-exec. */
  readonly joinFds: readonly number[];
  /** Closes them. */
  closeJoinFds(): void;
  /** What was counted so far. */
  usage(): CgroupUsage;
  /** Whether no process is in it. */
  isEmpty(): boolean;
  /** Kills what is in it. */
  kill(): void;
  /** Removes it. @throws {BrokkrError} when something is still in it. */
  remove(): void;
}

/** The groups of one worker. */
export interface Cgroups extends Disposable {
  /** Which version its controllers are of. */
  readonly version: "v1" | "v2";
  /** What it can limit and count. */
  readonly controllers: ReadonlySet<Controller>;
  /** What it cannot, what that means, and what mends it. */
  readonly missing: readonly {
    readonly controller: Controller;
    readonly consequence: string;
    readonly remedy: string;
  }[];
  /** Makes the groups of one action. */
  create(name: string, limits: CgroupLimits): ActionCgroup;
}
