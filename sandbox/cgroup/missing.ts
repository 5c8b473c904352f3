/**
 * What it means that a controller is missing, and what mends it, in words for the person who runs the worker.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import type { Controller, MissingController } from "./types.ts";

/** Why a controller cannot be had. */
export type Cause =
  /** No hierarchy offers it at all. */
  | { readonly kind: "absent" }
  /** The group above does not hand it on to ours. */
  | { readonly kind: "not-delegated"; readonly path: string }
  /** Other processes are in the group that would hand it on. */
  | { readonly kind: "busy"; readonly path: string; readonly processes: readonly string[] }
  /** No permission to make groups. */
  | { readonly kind: "denied"; readonly path: string; readonly version: "v1" | "v2"; readonly error: string }
  /** It is there, and there is no disk whose rates it could limit. */
  | { readonly kind: "no-disk"; readonly reason: string }
  /** Something else. */
  | { readonly kind: "other"; readonly reason: string };

const CONSEQUENCES: Readonly<Record<Controller, string>> = {
  cpu:
    "How much of the processors an action uses is counted but not limited: one busy action slows all others",
  memory:
    "The memory of actions is neither limited nor counted: one that takes too much can take the worker, " +
    "or any other program of this machine, down with it",
  pids:
    "The number of processes of an action is neither limited nor counted: one that starts processes without " +
    "end leaves none for anything else",
  io: "What actions read from and write to disks is neither limited nor counted",
};

/** The kernel's name where it differs from ours. */
const V1_CONTROLLER: Readonly<Record<Controller, string>> = {
  cpu: "cpu",
  memory: "memory",
  pids: "pids",
  io: "blkio",
};

const OWN_SCOPE =
  "start it in a group of its own with `systemd-run --user --scope -p Delegate=yes brokk worker ...`, " +
  "or as a service whose unit has `Delegate=yes`";

/** Most processes that a message names. */
const SHOWN = 5;

function listed(processes: readonly string[]): string {
  const rest = processes.length - SHOWN;
  return processes.slice(0, SHOWN).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

function remedyFor(controller: Controller, cause: Cause): string {
  switch (cause.kind) {
    case "absent":
      return `The kernel offers no ${V1_CONTROLLER[controller]} controller here. Mount the control groups ` +
        `(cgroup2 on /sys/fs/cgroup), and see that the kernel's command line does not have ` +
        `cgroup_disable=${controller} (some boards need cgroup_enable=${controller})`;
    case "not-delegated":
      return `The control group ${cause.path} was not given the ${controller} controller. With systemd: ` +
        "`systemctl edit user@.service` as root, add the lines `[Service]` and `Delegate=cpu io memory pids`, and log " +
        "in again; for a service, write `Delegate=yes` into its unit; in a container, ask its runtime for it";
    case "busy":
      return `The control group ${cause.path} has other processes in it (${
        listed(cause.processes)
      }), and one with ` +
        `processes cannot hand controllers on to the groups of actions. Let the worker be alone: ${OWN_SCOPE}`;
    case "denied":
      return deniedRemedy(cause);
    case "no-disk":
      return cause.reason;
    case "other":
      return cause.reason;
  }
}

function deniedRemedy({ path, version, error }: Extract<Cause, { kind: "denied" }>): string {
  const what = `The worker may not make control groups in ${path} (${error}). `;
  if (error === "EROFS") {
    return what +
      "It is mounted read-only, as containers have it: start the container with a private, writable " +
      "hierarchy, such as `podman run --cgroups=split` or `docker run --privileged --cgroupns=private`";
  }
  if (version === "v2") return `${what}As a user without root, ${OWN_SCOPE}`;
  return what +
    "Control groups of version 1 are root's alone: run the worker as root, or boot the machine with " +
    "version 2 (`systemd.unified_cgroup_hierarchy=1` on the kernel's command line)";
}

/** The words for a controller that is missing. */
export function missingController(controller: Controller, cause: Cause): MissingController {
  const consequence = cause.kind === "no-disk"
    ? "What actions read from and write to disks is counted but not limited"
    : CONSEQUENCES[controller];
  return { controller, consequence, remedy: remedyFor(controller, cause) };
}

/** There are no control groups to work with at all: nothing can be made, not even to count. */
export class CgroupsUnavailable extends BrokkrError {
  /** All controllers, with what that means and what mends it. */
  readonly missing: readonly MissingController[];

  /** Makes the error. */
  constructor(missing: readonly MissingController[], problems: readonly string[]) {
    const remedies = new Set(missing.map(({ remedy }) => remedy));
    const why = [...problems, ...remedies].slice(0, 3).join(". ");
    super(Code.FAILED_PRECONDITION, `No control groups can be used here: ${why}`);
    this.missing = missing;
  }
}
