/**
 * Resource limits of an action in a sandbox.
 *
 * @module
 */

import type { RlimitName } from "./action_program.ts";
import type { Controller } from "./cgroup/mod.ts";
import { defaultNofile } from "./launcher.ts";
import { DEFAULT_OUTPUT_LIMIT_BYTES, type Rlimit, rlimitNames } from "./launch_options.ts";
import { getrlimit } from "./libc.ts";
import type { SandboxRequest } from "./sandbox_options.ts";

/** The outer process and the PID 1, which are not the action's. */
const SETUP_PROCESSES = 2;
/** Linux's own defaults. */
const MEMLOCK_BYTES = 8 << 20;
const MSGQUEUE_BYTES = 819_200;
/** Enough for timers and child processes of a large build. */
const MAX_PENDING_SIGNALS = 16_384;
/** Part of this process's limit of open files that actions have. */
const NOFILE_SHARE = 3 / 4;
/** Larger than any file that can be left of an output whose size is looked at all the time. */
const MIN_FILE_BYTES = 1 << 30;

/**
 * Resource limits. Where no control group limits processes or memory they stand in as far as they can: processes are
 * counted for the slot's user namespace, memory for each process alone.
 */
export function limitsOf(
  { writable, limits = {}, outputLimitBytes = DEFAULT_OUTPUT_LIMIT_BYTES, rlimits }: SandboxRequest,
  controllers: ReadonlySet<Controller>,
): NonNullable<SandboxRequest["rlimits"]> {
  const both = (value: number): Rlimit => ({ soft: value, hard: value });
  const { pids, memoryBytes } = limits;
  const limitsAsked = {
    // Not 0: a host that pipes core dumps to a program of its own runs that for 0 too, and leaves it for 1 (core(5)).
    core: both(1),
    // Nothing handed down from how the worker was started; these are counted for each user, and the kernel's to pay.
    memlock: both(MEMLOCK_BYTES),
    msgqueue: both(MSGQUEUE_BYTES),
    nice: both(0),
    rtprio: both(0),
    sigpending: both(MAX_PENDING_SIGNALS),
    nofile: nofileLimit(),
    fsize: both(Math.max(writable.bytes, writable.kind === "disk" ? 0 : MIN_FILE_BYTES + outputLimitBytes)),
    ...(pids === undefined || controllers.has("pids") ? {} : { nproc: both(pids + SETUP_PROCESSES) }),
    ...(memoryBytes === undefined || controllers.has("memory") ? {} : { data: both(memoryBytes) }),
    ...rlimits,
  };
  return withinOwn(limitsAsked);
}

const ownLimits = new Map<RlimitName, Rlimit>();

/** What this process may hand down: raising a hard limit takes a privilege that not even every root has. */
function withinOwn(asked: NonNullable<SandboxRequest["rlimits"]>): NonNullable<SandboxRequest["rlimits"]> {
  const within: Partial<Record<RlimitName, Rlimit>> = {};
  for (const name of rlimitNames(asked)) {
    const limit = asked[name];
    if (limit === undefined) continue;
    let own = ownLimits.get(name);
    if (own === undefined) ownLimits.set(name, own = getrlimit(name));
    const hard = Math.min(limit.hard, own.hard);
    within[name] = { soft: Math.min(limit.soft, hard), hard };
  }
  return within;
}

/**
 * Less than this process may have. Without root an action is the same user, of whom the kernel counts the descriptors that
 * are on their way through sockets, and lets nobody send who may have fewer open: this process could start nothing then.
 */
function nofileLimit(): Rlimit {
  const { soft, hard } = defaultNofile();
  const most = Math.max(1, Math.floor(hard * NOFILE_SHARE));
  return { soft: Math.min(soft, most), hard: most };
}

/** The PID 1 counts too, and is not the action's. */
export function groupLimits({ limits = {} }: SandboxRequest): NonNullable<SandboxRequest["limits"]> {
  return limits.pids === undefined ? limits : { ...limits, pids: limits.pids + 1 };
}
