/**
 * What a sandbox is opened with, what is run in it, and what is told of how that ended.
 *
 * @module
 */

import type { Clock, Logger } from "@brokkr/common";
import type { RlimitName } from "./action_program.ts";
import type { CgroupLimits, Cgroups, CgroupUsage } from "./cgroup/mod.ts";
import type { OutputTarget, Rlimit } from "./launch_options.ts";
import type { ExitReport, RunningProcess } from "./runner_process.ts";

/** User and group id that every action sees as its own, whatever they are on the host. */
export const SANDBOX_ID = 1000;
/** Name of that user and group, and of the machine. */
export const SANDBOX_NAME = "brokkr";
/** Name of a sandbox's PID 1, by which running ones are found; 15 bytes at most. */
export const INIT_NAME = "brokkr-init";
/** Where the input root is, seen from inside. */
export const WORK_PATH = "/work";
/** First of the host's user and group ids that slots run as when the worker is root. */
export const DEFAULT_UID_BASE = 1_900_000_000;

/** Something of the host's that actions see, read-only. */
export interface Bind {
  /** Absolute path on the host. What is not there is left out. */
  readonly source: string;
  /** Absolute path inside; the same by default. */
  readonly target?: string;
}

/** How a {@linkcode Sandbox} is opened. */
export interface SandboxOptions {
  /** How many actions run at once. As root each slot has a host user id of its own. */
  readonly slots: number;
  /** Directory of the host under which all layers of input roots are; it and they belong to the worker's user. */
  readonly lowersPath: string;
  /** Directory under which disk layers are made; none by default. It belongs to the worker's user. */
  readonly diskPath?: string;
  /** What actions see of the host's files; {@linkcode defaultBinds} by default. */
  readonly binds?: readonly Bind[];
  /** As root: host user and group id of the first slot; {@linkcode DEFAULT_UID_BASE} by default. */
  readonly uidBase?: number;
  /** Control groups to run actions in; without them nothing but the layers' sizes and rlimits is limited. */
  readonly cgroups?: Cgroups;
  /** The clock for watching and killing; the machine's by default. */
  readonly clock?: Clock;
  /** Where it says what it found. */
  readonly log?: Logger;
}

/** Which network an action has: none at all, only a loopback device of its own, or the host's. */
export type SandboxNetwork = "none" | "loopback" | "host";

/**
 * Where what the action writes is kept: in memory, charged to it, or in a directory of the host's disk. The disk's
 * directory must be empty, below {@linkcode SandboxOptions.diskPath}, and nobody else's; its limit is looked after a few
 * times a second, not enforced by the kernel.
 */
export type WritableLayer =
  | { readonly kind: "memory"; readonly bytes: number; readonly inodes: number }
  | { readonly kind: "disk"; readonly path: string; readonly bytes: number; readonly inodes: number };

/** What to run. */
export interface SandboxRequest {
  /** What lists of running sandboxes call it: its control group is named after it. */
  readonly name?: string;
  /** Tried in this order until one can be executed, as seen from inside; relative ones are relative to `cwd`. */
  readonly executables: readonly string[];
  /** The arguments, argv[0] as given. */
  readonly argv: readonly string[];
  /** The whole environment, in this order. */
  readonly env: readonly (readonly [string, string])[];
  /** Working directory, relative to {@linkcode WORK_PATH}; `""` for that itself. */
  readonly cwd: string;
  /** Standard output. */
  readonly stdout: OutputTarget;
  /** Standard error. */
  readonly stderr: OutputTarget;
  /** Standard input; /dev/null by default. */
  readonly stdin?: { readonly fd: number };
  /** How much of each of stdout and stderr is kept; 256 MiB by default. */
  readonly outputLimitBytes?: number;
  /**
   * Directories below {@linkcode SandboxOptions.lowersPath} that lie read-only beneath {@linkcode WORK_PATH}, the
   * uppermost first; none for an empty root. They must not change while an action runs.
   */
  readonly lowers: readonly string[];
  /** Where what is written goes: into the input root, /tmp and /dev/shm, which share its limit. */
  readonly writable: WritableLayer;
  /** The network; none by default. */
  readonly network?: SandboxNetwork;
  /** Limits of its control groups. */
  readonly limits?: CgroupLimits;
  /** Resource limits, no higher than this process's own; by default no core files and at most 65,536 open files. */
  readonly rlimits?: Readonly<Partial<Record<RlimitName, Rlimit>>>;
  /** Whether addresses are randomized; true by default. */
  readonly aslr?: boolean;
  /** Whether rdtsc may be executed; true by default. Without it most programs that read a clock die. */
  readonly rdtsc?: boolean;
  /** File mode creation mask; 0o022 by default. */
  readonly umask?: number;
}

/** The merged input root after the action: its inputs with what it wrote. */
export interface WorkRoot extends Disposable {
  /** A path of this process under which it can be read until it is disposed of. */
  readonly path: string;
  /** Bytes and inodes that the writable layer has left; a full one has cut something off. */
  readonly free: { readonly bytes: number; readonly inodes: number };
}

/** How an action in a sandbox ended. */
export interface SandboxReport extends ExitReport {
  /** What is left of its files; absent when they were never laid out. Whoever has the report disposes of it. */
  readonly work?: WorkRoot;
  /** What its control groups counted; absent without them. */
  readonly usage?: CgroupUsage;
  /** Whether the kernel killed something of it for memory; the exit code is 137 then. */
  readonly outOfMemory: boolean;
  /** Whether it was killed because its disk layer outgrew its limit. */
  readonly diskExceeded: boolean;
}

/** An action that runs in a sandbox. */
export interface SandboxedProcess extends RunningProcess {
  /** How it ended; resolves when the whole tree is gone and its control groups are empty. */
  readonly done: Promise<SandboxReport>;
}
