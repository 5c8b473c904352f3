/**
 * The program that runs one action in a process tree that can be ended as a whole.
 *
 * With a PID namespace: the outer process makes the namespaces, its child is their PID 1, that one's child becomes
 * the action. When PID 1 goes, for whatever reason, the kernel ends everything in the namespace. The namespaces are a
 * container of lifetime only: the action sees the host's files and network, and nothing here isolates it.
 *
 * As subreaper: the outer process's child becomes the action, and orphans below come to the outer process, which
 * stays until none is left; the host finds and kills them through /proc.
 *
 * Parameters: `result`, `stdout`, `stderr` (descriptors), `alive` (read end of a pipe whose only writer is the host),
 * `aroundLow`, `aroundHigh` (the descriptors beside `result`), `cwd`, `executable`, `argv`, `env`, `umask`, and
 * `stdin` and `rlimit_...` where the options ask for them, `uidMap` and `gidMap` with a user namespace.
 *
 * @module
 */

import type { Arch } from "./arch.ts";
import { errnoOf } from "./errno.ts";
import * as linux from "./linux.ts";
import { fieldOf, named, param, type Program, ProgramBuilder } from "./program.ts";
import { cloneInto, defaultSignals, enter, failure, mapResult, waitForAction } from "./_program_parts.ts";
import { RESULT, type Role } from "./result_page.ts";

/** How the processes of an action are held together. */
export type TreeMode = "pid-namespace" | "subreaper";

/** A resource limit's name. */
export type RlimitName =
  | "cpu"
  | "fsize"
  | "data"
  | "stack"
  | "core"
  | "nproc"
  | "nofile"
  | "memlock"
  | "as"
  | "sigpending"
  | "msgqueue"
  | "nice"
  | "rtprio";

/** What changes the program's shape. */
export interface ActionProgramOptions {
  /** How the tree is held together. */
  readonly mode: TreeMode;
  /** Make a user namespace first, as a host without CAP_SYS_ADMIN must. */
  readonly userNamespace: boolean;
  /** Whether standard input is the file `$stdin` and not what the host gave (/dev/null). */
  readonly stdinFile: boolean;
  /** Resource limits to set. */
  readonly rlimits: readonly RlimitName[];
  /** Exit with 0 where the action would be executed: to find out whether the rest works. */
  readonly probe: boolean;
}

const AGAIN = -errnoOf("EAGAIN");
const NO_CHILD = -errnoOf("ECHILD");

/** Builds the program. */
export function actionProgram(arch: Arch, options: ActionProgramOptions): Program {
  const builder = new ProgramBuilder(arch);
  outer(builder, options);
  if (options.mode === "pid-namespace") init(builder);
  action(builder, options);
  return builder.build();
}

/**
 * Die with the parent. Asking for the signal comes first, then looking whether the host was gone already: with the
 * host dead the pipe is at its end, with the host alive it is only empty.
 */
function dieWithParent(builder: ProgramBuilder, role: Role): void {
  builder.call("prctl", [
    named(linux.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"),
    named(linux.SIGKILL, "SIGKILL"),
  ]);
  const byte = builder.room(8, "byte");
  builder.call("read", [param("alive"), byte, 1], {
    onEqual: { value: AGAIN, goto: `${role}_alive` },
    next: `${role}_exit`,
    onError: `${role}_exit`,
  });
  builder.label(`${role}_alive`);
}

function writeFile(builder: ProgramBuilder, path: string, content: "setgroups" | "uidMap" | "gidMap"): void {
  const write = `write_${content}`;
  builder.call("openat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(path),
    named(linux.O_WRONLY | linux.O_CLOEXEC, "O_WRONLY|O_CLOEXEC"),
  ], { name: `open ${path}`, store: fieldOf(write, 0) });
  builder.label(write);
  const text = content === "setgroups" ? builder.string("deny") : param(content);
  const size = content === "setgroups" ? 4 : param(`${content}Bytes`);
  builder.call("write", [0, text, size], { name: `write ${path}` });
}

function outer(builder: ProgramBuilder, options: ActionProgramOptions): void {
  enter(builder, "outer");
  if (options.mode === "pid-namespace") {
    const user = options.userNamespace ? linux.CLONE_NEWUSER : 0;
    const flags = `CLONE_NEWNS|CLONE_NEWPID${options.userNamespace ? "|CLONE_NEWUSER" : ""}`;
    builder.call("unshare", [named(linux.CLONE_NEWNS + linux.CLONE_NEWPID + user, flags)], {
      name: `unshare ${flags}`,
    });
  }
  // After unshare, which with a user namespace changes credentials, and those may clear the signal.
  dieWithParent(builder, "outer");
  builder.call("setsid", [], { onError: "next" });
  mapResult(builder);
  if (options.mode === "pid-namespace") {
    if (options.userNamespace) {
      writeFile(builder, "/proc/self/setgroups", "setgroups");
      writeFile(builder, "/proc/self/uid_map", "uidMap");
      writeFile(builder, "/proc/self/gid_map", "gidMap");
    }
    cloneInto(builder, "init", RESULT.initPid);
    builder.call("wait4", [-1, 0, 0, 0], { name: "wait4 init", store: RESULT.initReaped });
    builder.call("exit_group", [0]);
  } else {
    builder.call("prctl", [named(linux.PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER"), 1], {
      name: "prctl PR_SET_CHILD_SUBREAPER",
    });
    cloneInto(builder, "action", RESULT.actionPid, { waitLabel: "wait_action" });
    waitForAction(builder);
    // The host reads this descriptor to its end, and then ends what the action left behind.
    builder.call("close", [1]);
    builder.label("drain");
    builder.call("wait4", [-1, 0, 0, 0], {
      name: "wait4 leftovers",
      onEqual: { value: NO_CHILD, goto: "drained" },
      next: "drain",
    });
    builder.label("drained");
    builder.call("exit_group", [0]);
  }
  failure(builder, "outer");
}

function init(builder: ProgramBuilder): void {
  enter(builder, "init");
  builder.label("init");
  dieWithParent(builder, "init");
  builder.call("mount", [
    builder.string("none"),
    builder.string("/"),
    0,
    named(linux.MS_REC | linux.MS_SLAVE, "MS_REC|MS_SLAVE"),
    0,
  ], { name: "mount / as slave" });
  const proc = builder.string("proc");
  builder.call("mount", [
    proc,
    builder.string("/proc"),
    proc,
    named(linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, "MS_NOSUID|MS_NODEV|MS_NOEXEC"),
    0,
  ], { name: "mount /proc" });
  cloneInto(builder, "action", RESULT.actionPid, { waitLabel: "wait_action" });
  waitForAction(builder);
  builder.call("exit_group", [0]);
  failure(builder, "init");
}

function action(builder: ProgramBuilder, options: ActionProgramOptions): void {
  enter(builder, "action");
  builder.label("action");
  dieWithParent(builder, "action");
  builder.call("setsid", []);
  if (options.stdinFile) {
    builder.call("openat", [
      named(linux.AT_FDCWD, "AT_FDCWD"),
      param("stdin"),
      named(linux.O_RDONLY | linux.O_CLOEXEC, "O_RDONLY|O_CLOEXEC"),
    ], { name: "open $stdin", store: fieldOf("dup_stdin", 0) });
    builder.label("dup_stdin");
    builder.call("dup3", [0, 0, 0], { name: "dup3 stdin" });
  }
  builder.call("dup3", [param("stdout"), 1, 0], { name: "dup3 stdout" });
  builder.call("dup3", [param("stderr"), 2, 0], { name: "dup3 stderr" });
  // Everything but the result descriptor, which execve closes: the flag that would do it in one call needs 5.11.
  builder.call("close_range", [3, param("aroundLow"), 0], { onError: "next" });
  builder.call("close_range", [param("aroundHigh"), named(0xffffffff, "~0"), 0]);
  builder.call("fcntl", [
    param("result"),
    named(linux.F_SETFD, "F_SETFD"),
    named(linux.FD_CLOEXEC, "FD_CLOEXEC"),
  ]);
  builder.call("chdir", [param("cwd")], { name: "chdir $cwd" });
  builder.call("umask", [param("umask")]);
  defaultSignals(builder);
  for (const name of options.rlimits) {
    builder.call("prlimit64", [
      0,
      named(linux.RLIMIT[name], `RLIMIT_${name.toUpperCase()}`),
      param(`rlimit_${name}`),
      0,
    ], { name: `prlimit64 ${name}` });
  }
  if (options.probe) {
    builder.call("exit_group", [0]);
  } else {
    builder.call("execve", [param("executable"), param("argv"), param("env")], {
      name: "execve $executable",
      next: "action_failed",
    });
  }
  failure(builder, "action");
}
