/**
 * The program that joins a running sandbox: its namespaces, its control groups where that is possible, its user, its
 * filter, none of the host's privileges; then a program of one's own in it.
 *
 * - outer: joins, makes a child (only children are in a PID namespace that was joined), waits, hands the terminal back.
 * - action: takes the terminal, gives up what is left, becomes the program.
 *
 * Parameters: `process` (a pidfd of a process in the sandbox), `result` (a descriptor for status and faults), `group_N`
 * (descriptors of control groups to join), `filter`, `filterLength`, `cwd`, `argv`, `env`, `executable_N`.
 *
 * @module
 */

import { defaultSignals, dieWithParent, dropCapabilities } from "./_program_parts.ts";
import type { Arch } from "./arch.ts";
import { errnoOf } from "./errno.ts";
import { FAULT_BYTES } from "./interpreter.ts";
import * as linux from "./linux.ts";
import { FAULT, fieldOf, named, param, type Program, ProgramBuilder } from "./program.ts";
import { SANDBOX_ID } from "./sandbox_options.ts";

/** Namespaces that may be joined, by their names in /proc/PID/ns. */
export const NAMESPACES = {
  user: linux.CLONE_NEWUSER,
  mnt: linux.CLONE_NEWNS,
  pid: linux.CLONE_NEWPID,
  net: linux.CLONE_NEWNET,
  ipc: linux.CLONE_NEWIPC,
  uts: linux.CLONE_NEWUTS,
  cgroup: linux.CLONE_NEWCGROUP,
} as const;

/** One of them. */
export type NamespaceName = keyof typeof NAMESPACES;

/** What changes the program. */
export interface EnterShape {
  /** Namespaces to join: those that are not this process's own. */
  readonly namespaces: readonly NamespaceName[];
  /** How many control groups to join. */
  readonly groups: number;
  /** How many names are tried for the program. */
  readonly executables: number;
  /** Whether standard input is a terminal, which the program is to have to itself. */
  readonly terminal: boolean;
  /** Highest capability the kernel knows. */
  readonly lastCapability: number;
}

/** Where the result descriptor has what. */
export const ENTER_RESULT = { fault: 0, status: 16, bytes: 24 } as const;

const TIOCSPGRP = 0x5410;
const NO_ENTRY = -errnoOf("ENOENT");
const ALL = named(0xffffffff, "~0");

/** Builds the program. */
export function enterProgram(arch: Arch, shape: EnterShape): Program {
  const builder = new ProgramBuilder(arch);
  builder.role = "outer";
  builder.errorHandler = "failed";
  outer(builder, shape);
  builder.role = "action";
  action(builder, shape);
  builder.label("failed");
  builder.call("pwrite64", [param("result"), FAULT, FAULT_BYTES, ENTER_RESULT.fault], { onError: "next" });
  builder.call("exit_group", [127]);
  return builder.build();
}

function outer(builder: ProgramBuilder, shape: EnterShape): void {
  // A stopped or ended waiter would leave the sandbox waiting for it; and who has not the terminal may not pass it on.
  blockSignals(builder);
  dieWithParent(builder);
  builder.call("prctl", [named(linux.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), 0], {
    name: "prctl PR_SET_DUMPABLE",
  });
  const zero = builder.string("0");
  for (let group = 0; group < shape.groups; group++) {
    builder.call("write", [param(`group_${group}`), zero, 1], {
      name: "join control group",
      onError: "next",
    });
  }
  // Where it is not allowed there are none to drop.
  builder.call("setgroups", [0, 0], { onError: "next" });
  const flags = shape.namespaces.reduce((sum, name) => sum + NAMESPACES[name], 0);
  builder.call("setns", [param("process"), named(flags, shape.namespaces.join("|"))], {
    name: `setns ${shape.namespaces.join(", ")}`,
  });
  builder.call("setresgid", [SANDBOX_ID, SANDBOX_ID, SANDBOX_ID]);
  builder.call("setresuid", [SANDBOX_ID, SANDBOX_ID, SANDBOX_ID]);
  // Other credentials clear both.
  dieWithParent(builder);
  builder.call("prctl", [named(linux.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), 0], {
    name: "prctl PR_SET_DUMPABLE",
  });
  builder.call("clone", [named(linux.SIGCHLD, "SIGCHLD"), 0, 0, 0, 0], {
    name: "clone action",
    onEqual: { value: 0, goto: "action" },
    store: fieldOf("wait", 0),
  });
  builder.label("wait");
  const status = builder.room(8, "status");
  builder.call("wait4", [0, status, 0, 0]);
  if (shape.terminal) {
    const group = builder.room(8, "group");
    builder.call("getpgid", [0], { store: group });
    foreground(builder, group);
  }
  builder.call("pwrite64", [param("result"), status, 4, ENTER_RESULT.status]);
  builder.call("exit_group", [0]);
}

/** Makes a process group the terminal's; where that is not ours there is nothing to give. */
function foreground(builder: ProgramBuilder, group: ReturnType<ProgramBuilder["room"]>): void {
  builder.call("ioctl", [0, named(TIOCSPGRP, "TIOCSPGRP"), group], { onError: "next" });
}

function blockSignals(builder: ProgramBuilder): void {
  const all = builder.bytes(new Uint8Array(8).fill(0xff), "all");
  builder.call("rt_sigprocmask", [named(linux.SIG_SETMASK, "SIG_SETMASK"), all, 0, 8]);
}

function action(builder: ProgramBuilder, shape: EnterShape): void {
  builder.label("action");
  dieWithParent(builder);
  if (shape.terminal) {
    const group = builder.room(8, "group");
    builder.call("setpgid", [0, 0], { onError: "next" });
    builder.call("getpid", [], { store: group });
    foreground(builder, group);
  }
  // Only the result stays, for what may still fail; execve closes it.
  builder.call("close_range", [3, param("belowResult"), 0], { onError: "next" });
  builder.call("close_range", [param("aboveResult"), ALL, 0]);
  builder.call("fcntl", [
    param("result"),
    named(linux.F_SETFD, "F_SETFD"),
    named(linux.FD_CLOEXEC, "FD_CLOEXEC"),
  ]);
  builder.call("chdir", [param("cwd")], { name: "chdir $cwd" });
  builder.call("umask", [0o022]);
  for (let capability = 0; capability <= shape.lastCapability; capability++) {
    builder.call("prctl", [named(linux.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"), capability], {
      name: `prctl PR_CAPBSET_DROP ${capability}`,
    });
  }
  builder.call("prctl", [
    named(linux.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"),
    named(linux.PR_CAP_AMBIENT_CLEAR_ALL, "PR_CAP_AMBIENT_CLEAR_ALL"),
    0,
    0,
    0,
  ], { name: "prctl PR_CAP_AMBIENT_CLEAR_ALL" });
  dropCapabilities(builder);
  builder.call("prctl", [named(linux.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0], {
    name: "prctl PR_SET_NO_NEW_PRIVS",
  });
  defaultSignals(builder);
  const filter = builder.words([param("filterLength"), param("filter")], "filter");
  builder.call("seccomp", [named(linux.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"), 0, filter]);
  for (let index = 0; index < shape.executables; index++) {
    if (index > 0) builder.label(`execve_${index}`);
    builder.call("execve", [param(`executable_${index}`), param("argv"), param("env")], {
      name: `execve $executable_${index}`,
      next: "failed",
      ...(index + 1 < shape.executables ? { onEqual: { value: NO_ENTRY, goto: `execve_${index + 1}` } } : {}),
    });
  }
}
