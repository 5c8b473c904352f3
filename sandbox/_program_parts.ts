/**
 * What programs of system calls have in common.
 *
 * @module
 */

import { FAULT_BYTES } from "./interpreter.ts";
import * as linux from "./linux.ts";
import { FAULT, fieldOf, type Named, named, type Operand, param, type ProgramBuilder } from "./program.ts";
import { faultOffset, RESULT, RESULT_BYTES, type Role } from "./result_page.ts";

/** Real-time signals included: parents have been seen to hand down even those ignored. */
const SIGNAL_COUNT = 64;
const SIGSET_BYTES = 8;

/** What follows runs in a process of this role; its errors go to that role's handler. */
export function enter(builder: ProgramBuilder, role: Role): void {
  builder.role = role;
  builder.errorHandler = `${role}_failed`;
}

/** Where a role's errors go: the fault record into the result page, and out. */
export function failure(builder: ProgramBuilder, role: Role): void {
  recordFault(builder, role);
  builder.label(`${role}_exit`);
  builder.call("exit_group", [127]);
}

/** The handler of a role's errors, up to where the fault is recorded. */
export function recordFault(builder: ProgramBuilder, role: Role): void {
  builder.label(`${role}_failed`);
  builder.call("pwrite64", [param("result"), FAULT, FAULT_BYTES, faultOffset(role)], { onError: "next" });
}

/** Maps the page that is shared with the host. */
export function mapResult(builder: ProgramBuilder): void {
  builder.call("mmap", [
    RESULT.page,
    RESULT_BYTES,
    named(linux.PROT_READ | linux.PROT_WRITE, "PROT_READ|PROT_WRITE"),
    named(linux.MAP_SHARED | linux.MAP_FIXED_NOREPLACE, "MAP_SHARED|MAP_FIXED_NOREPLACE"),
    param("result"),
    0,
  ], { name: "mmap result" });
}

/** Dies with its parent. */
export function dieWithParent(builder: ProgramBuilder): void {
  builder.call("prctl", [
    named(linux.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"),
    named(linux.SIGKILL, "SIGKILL"),
  ], { name: "prctl PR_SET_PDEATHSIG" });
}

/** A child that goes on at the label of its role; the kernel stores its id before it runs. */
export function cloneInto(
  builder: ProgramBuilder,
  role: Role,
  pid: Named,
  options: { readonly waitLabel?: string; readonly namespaces?: Named } = {},
): void {
  const { waitLabel, namespaces } = options;
  const flags = namespaces === undefined ? "" : `|${namespaces.text}`;
  builder.call("clone", [
    named(
      linux.SIGCHLD + linux.CLONE_PARENT_SETTID + (namespaces?.value ?? 0),
      `SIGCHLD|CLONE_PARENT_SETTID${flags}`,
    ),
    0,
    pid,
    0,
    0,
  ], {
    name: `clone ${role}`,
    onEqual: { value: 0, goto: role },
    store: waitLabel === undefined ? undefined : fieldOf(waitLabel, "equals"),
  });
}

/** Reaps whatever ends until it is the action. */
export function waitForAction(builder: ProgramBuilder): void {
  builder.label("wait_action");
  builder.call("wait4", [-1, RESULT.status, 0, RESULT.rusage], {
    name: "wait4 action",
    // The value is stored here by clone.
    onEqual: { value: -1, goto: "action_ended" },
    next: "wait_action",
  });
  builder.label("action_ended");
  builder.call("getpid", [], { store: RESULT.finished });
}

/** Nothing blocked, nothing ignored: both would survive execve, and a host may ignore SIGPIPE or SIGHUP. */
export function defaultSignals(builder: ProgramBuilder): void {
  const defaults = builder.room(32, "SIG_DFL");
  for (let signal = 1; signal <= SIGNAL_COUNT; signal++) {
    if (signal === linux.SIGKILL || signal === linux.SIGSTOP) continue;
    setSignal(builder, signal, defaults);
  }
  const empty = builder.room(SIGSET_BYTES, "[]");
  builder.call("rt_sigprocmask", [named(linux.SIG_SETMASK, "SIG_SETMASK"), empty, 0, SIGSET_BYTES]);
}

/** Sets what a signal does, to a struct sigaction of the kernel's. */
export function setSignal(builder: ProgramBuilder, signal: number, action: Operand): void {
  builder.call("rt_sigaction", [signal, action, 0, SIGSET_BYTES], { name: `rt_sigaction ${signal}` });
}

/** mount(2). */
export function mount(
  builder: ProgramBuilder,
  what: {
    readonly source?: Operand;
    readonly target: Operand;
    readonly type?: string;
    readonly data?: Operand;
  },
  flags: readonly (keyof typeof MOUNT_FLAGS)[],
  name: string,
): void {
  const value = flags.reduce((sum, flag) => sum | MOUNT_FLAGS[flag], 0);
  const type = what.type === undefined ? 0 : builder.string(what.type);
  builder.call("mount", [
    what.source ?? (type === 0 ? builder.string("none") : type),
    what.target,
    type,
    named(value, flags.join("|") || "0"),
    what.data ?? 0,
  ], { name });
}

const MOUNT_FLAGS = {
  MS_RDONLY: linux.MS_RDONLY,
  MS_NOSUID: linux.MS_NOSUID,
  MS_NODEV: linux.MS_NODEV,
  MS_NOEXEC: linux.MS_NOEXEC,
  MS_REMOUNT: linux.MS_REMOUNT,
  MS_BIND: linux.MS_BIND,
  MS_REC: linux.MS_REC,
  MS_PRIVATE: linux.MS_PRIVATE,
} as const;

/** Makes a directory with exactly this mode: umask is 0 by then. */
export function makeDirectory(builder: ProgramBuilder, path: string, mode: number): void {
  builder.call("mkdirat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(path),
    named(mode, `0${mode.toString(8)}`),
  ], { name: `mkdir ${path}` });
}

/** umount2(2) with MNT_DETACH. */
export function detach(builder: ProgramBuilder, path: string): void {
  builder.call("umount2", [builder.string(path), named(linux.MNT_DETACH, "MNT_DETACH")], {
    name: `umount ${path}`,
  });
}

/** Gives up every capability: permitted, effective and inheritable; the others are empty by then. */
export function dropCapabilities(builder: ProgramBuilder): void {
  const header = builder.bytes(
    new Uint8Array(new Uint32Array([linux.LINUX_CAPABILITY_VERSION_3, 0]).buffer),
    "[version 3, self]",
  );
  builder.call("capset", [header, builder.bytes(new Uint8Array(24), "none")], { name: "capset none" });
}
