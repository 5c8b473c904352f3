/**
 * The program of one action in a sandbox, which a child of the zygote goes on in.
 *
 * - outer: enters the slot's user namespace and the template's mount namespace, makes all the others with its child,
 *   waits for that, and tells the worker.
 * - init, the PID 1: joins the control groups, mounts what is the action's own, hands a descriptor of the merged input
 *   root to the worker, makes the action, gives up all privileges, reaps. When it goes, everything goes.
 * - action: standard streams, limits, no privileges, no way to get any, the filter, the program.
 *
 * Descriptors come in the order of {@linkcode PASSED}, then one for each control group to join. Parameters: `result`
 * (its descriptor), `token`, `overlay`, `memory`, `disk`, `cwd`, `argv`, `env`, `umask`, `filter`, `executable_N` and
 * `rlimit_NAME`, as the shape needs them.
 *
 * @module
 */

import type { Arch } from "./arch.ts";
import type { RlimitName } from "./action_program.ts";
import {
  cloneInto,
  detach,
  dieWithParent,
  dropCapabilities,
  enter,
  failure,
  makeDirectory,
  mapResult,
  mount,
  recordFault,
  waitForAction,
} from "./_program_parts.ts";
import { errnoOf } from "./errno.ts";
import * as linux from "./linux.ts";
import { type DataRef, fieldOf, named, param, type Program, ProgramBuilder } from "./program.ts";
import { RESULT } from "./result_page.ts";
import { INIT_NAME, SANDBOX_NAME, type SandboxNetwork, WORK_PATH } from "./sandbox_options.ts";
import { HOST_PATH, joinUser } from "./template_program.ts";
import { FIRST_PASSED, PASSED_ADDRESS, ZYGOTE_SOCKET } from "./zygote_program.ts";

/** Descriptors of an action's program, by what they are. */
export const PASSED = {
  program: FIRST_PASSED,
  result: FIRST_PASSED + 1,
  stdout: FIRST_PASSED + 2,
  stderr: FIRST_PASSED + 3,
  stdin: FIRST_PASSED + 4,
  user: FIRST_PASSED + 5,
  mounts: FIRST_PASSED + 6,
  /** The first control group's. */
  groups: FIRST_PASSED + 7,
} as const;

/** What changes the program. */
export interface SandboxShape {
  /** Whether the worker is root. */
  readonly root: boolean;
  /** Whether anything lies beneath what the action writes. */
  readonly layered: boolean;
  /** Where it writes. */
  readonly writable: "memory" | "disk";
  /** Its network. */
  readonly network: SandboxNetwork;
  /** Control groups to join. */
  readonly groups: number;
  /** How many names are tried for its program. */
  readonly executables: number;
  /** Resource limits to set. */
  readonly rlimits: readonly RlimitName[];
  /** Whether addresses are randomized. */
  readonly aslr: boolean;
  /** Whether rdtsc works. */
  readonly rdtsc: boolean;
  /** Highest capability the kernel knows. */
  readonly lastCapability: number;
}

/** Where a template has the worker's layers. */
export const LOWERS_PATH = `${HOST_PATH}/lowers`;
/** Where a template has the worker's directories for disk layers. */
export const DISK_PATH = `${HOST_PATH}/disk`;
/** Where an action's writable layer is while it is set up. */
export const SCRATCH_PATH = `${HOST_PATH}/scratch`;
/** Where a template has the host's resolver settings, for actions that may use its network. */
export const RESOLVER_PATH = `${HOST_PATH}/resolv.conf`;
/** Where a template has the host's table of names. */
export const HOSTS_PATH = `${HOST_PATH}/hosts`;

const NAMESPACES = {
  CLONE_NEWNS: linux.CLONE_NEWNS,
  CLONE_NEWPID: linux.CLONE_NEWPID,
  CLONE_NEWIPC: linux.CLONE_NEWIPC,
  CLONE_NEWUTS: linux.CLONE_NEWUTS,
} as const;

/** 2000-01-01T00:00:00Z, twice: the times of the input root itself. */
const ROOT_TIMES = [946_684_800, 0, 946_684_800, 0];

/** Builds the program. */
export function sandboxProgram(arch: Arch, shape: SandboxShape): Program {
  const builder = new ProgramBuilder(arch);
  outer(builder, shape);
  init(builder, arch, shape);
  action(builder, shape);
  return builder.buildMapped(PASSED_ADDRESS);
}

function outer(builder: ProgramBuilder, shape: SandboxShape): void {
  enter(builder, "outer");
  builder.call("getppid", [], { store: fieldOf("outer_parent", "equals") });
  mapResult(builder);
  builder.call("getpid", [], { store: RESULT.outerPid });
  // The zygote ignores it, and would leave nothing to wait for.
  const defaults = builder.room(32, "SIG_DFL");
  builder.call("rt_sigaction", [linux.SIGCHLD, defaults, 0, 8], { name: "rt_sigaction SIGCHLD" });
  joinUser(builder, shape.root, PASSED.user);
  // For a moment its parent could go without anything coming of it.
  builder.label("outer_parent");
  builder.call("getppid", [], { onEqual: { value: 0, goto: "outer_mounts" }, next: "outer_exit" });
  builder.label("outer_mounts");
  builder.call("setns", [PASSED.mounts, named(linux.CLONE_NEWNS, "CLONE_NEWNS")], { name: "setns mounts" });
  const names = Object.keys(NAMESPACES);
  let flags = Object.values(NAMESPACES).reduce((sum, flag) => sum + flag, 0);
  if (shape.network !== "host") {
    names.push("CLONE_NEWNET");
    flags += linux.CLONE_NEWNET;
  }
  const lock = builder.words([linux.F_WRLCK, 0, 1, 0], "[F_WRLCK 0..1]");
  builder.call("fcntl", [PASSED.result, named(linux.F_SETLK, "F_SETLK"), lock], { name: "fcntl lock" });
  cloneInto(builder, "init", RESULT.initPid, { namespaces: named(flags, names.join("|")) });
  dropCapabilities(builder);
  noNewPrivileges(builder);
  builder.call("wait4", [-1, 0, 0, 0], { name: "wait4 init", store: RESULT.initReaped });
  builder.label("outer_tell");
  builder.call("write", [1, param("token"), 8], { name: "write token", onError: "next" });
  builder.label("outer_exit");
  builder.call("exit_group", [0]);
  recordFault(builder, "outer");
  builder.call("write", [1, param("token"), 8], { name: "write token", onError: "next" });
  builder.call("exit_group", [127]);
}

function init(builder: ProgramBuilder, arch: Arch, shape: SandboxShape): void {
  enter(builder, "init");
  builder.label("init");
  dieWithParent(builder);
  // The outer process is in another namespace, where it cannot be asked for; its lock shows whether it had gone before,
  // so that nothing would come.
  const lock = builder.words([linux.F_WRLCK, 0, 1, 0], "[F_WRLCK 0..1]");
  builder.call("fcntl", [PASSED.result, named(linux.F_SETLK, "F_SETLK"), lock], {
    name: "fcntl lock of outer",
    onEqual: { value: -errnoOf("EAGAIN"), goto: "init_dependent" },
    next: "init_exit",
  });
  builder.label("init_dependent");
  // Nothing inside may look into it: its memory, its descriptors, what it was started from.
  builder.call("prctl", [named(linux.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), 0], {
    name: "prctl PR_SET_DUMPABLE",
  });
  // Who looks for running sandboxes knows them by this.
  builder.call("prctl", [named(linux.PR_SET_NAME, "PR_SET_NAME"), builder.string(INIT_NAME)], {
    name: "prctl PR_SET_NAME",
  });
  const zero = builder.string("0");
  for (let group = 0; group < shape.groups; group++) {
    builder.call("write", [PASSED.groups + group, zero, 1], { name: `join control group ${group}` });
  }
  // Only now: the group joined is what the namespace shows as its root.
  builder.call("unshare", [named(linux.CLONE_NEWCGROUP, "CLONE_NEWCGROUP")], {
    name: "unshare CLONE_NEWCGROUP",
  });
  builder.call("sethostname", [builder.string(SANDBOX_NAME), SANDBOX_NAME.length]);
  builder.call("setdomainname", [builder.string("localdomain"), "localdomain".length]);
  if (shape.network === "loopback") loopback(builder);
  mounts(builder, shape);
  handOver(builder, arch);
  // The layers, and all that a template keeps for this set-up.
  detach(builder, HOST_PATH);
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
  cloneInto(builder, "action", RESULT.actionPid, { waitLabel: "wait_action" });
  dropCapabilities(builder);
  noNewPrivileges(builder);
  builder.call("close_range", [0, PASSED.result - 1, 0]);
  builder.call("close_range", [PASSED.result + 1, named(0xffffffff, "~0"), 0]);
  waitForAction(builder);
  builder.call("exit_group", [0]);
  failure(builder, "init");
}

/** The loopback device is there in every network namespace; it only has to be switched on. */
function loopback(builder: ProgramBuilder): void {
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode("lo"));
  request[16] = linux.IFF_UP;
  builder.call("socket", [
    named(linux.AF_INET, "AF_INET"),
    named(linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC"),
    0,
  ], { store: fieldOf("lo_up", 0) });
  builder.label("lo_up");
  builder.call("ioctl", [
    0,
    named(linux.SIOCSIFFLAGS, "SIOCSIFFLAGS"),
    builder.bytes(request, "{lo, IFF_UP}"),
  ], {
    name: "ioctl SIOCSIFFLAGS lo",
  });
}

function mounts(builder: ProgramBuilder, shape: SandboxShape): void {
  mount(
    builder,
    { type: "proc", target: builder.string("/proc"), data: builder.string("hidepid=2") },
    ["MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC"],
    "mount /proc",
  );
  const scratch = builder.string(SCRATCH_PATH);
  if (shape.writable === "memory") {
    mount(
      builder,
      { type: "tmpfs", target: scratch, data: param("memory") },
      ["MS_NOSUID", "MS_NODEV"],
      "mount writable layer ($memory)",
    );
  } else {
    mount(builder, { source: param("disk"), target: scratch }, ["MS_BIND"], "bind writable layer $disk");
  }
  makeDirectory(builder, `${SCRATCH_PATH}/upper`, 0o755);
  makeDirectory(builder, `${SCRATCH_PATH}/tmp`, 0o1777);
  makeDirectory(builder, `${SCRATCH_PATH}/shm`, 0o1777);
  builder.call("utimensat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(`${SCRATCH_PATH}/upper`),
    builder.words(ROOT_TIMES, "2000-01-01"),
    0,
  ], { name: "utimensat upper" });
  const work = builder.string(WORK_PATH);
  if (shape.layered) {
    makeDirectory(builder, `${SCRATCH_PATH}/overlay`, 0o700);
    mount(
      builder,
      { type: "overlay", target: work, data: param("overlay") },
      ["MS_NOSUID", "MS_NODEV"],
      `mount overlay on ${WORK_PATH} ($overlay)`,
    );
  } else bind(builder, `${SCRATCH_PATH}/upper`, WORK_PATH);
  bind(builder, `${SCRATCH_PATH}/tmp`, "/tmp");
  bind(builder, `${SCRATCH_PATH}/shm`, "/dev/shm");
  if (shape.network === "host") {
    // There may be none: then names are not resolved.
    bind(builder, RESOLVER_PATH, "/etc/resolv.conf", "next");
    bind(builder, HOSTS_PATH, "/etc/hosts", "next");
  }
}

function bind(builder: ProgramBuilder, source: string, target: string, onError?: string): void {
  const flags = named(linux.MS_BIND, "MS_BIND");
  builder.call("mount", [builder.string(source), builder.string(target), 0, flags, 0], {
    name: `bind ${source} to ${target}`,
    ...(onError === undefined ? {} : { onError }),
  });
}

/** Sends a descriptor of the merged input root: the worker reads it when everything inside is gone. */
function handOver(builder: ProgramBuilder, arch: Arch): void {
  const root = builder.words([20, linux.SOL_SOCKET + linux.SCM_RIGHTS * 2 ** 32, 0], "[SCM_RIGHTS work]");
  const at: DataRef = { kind: "data", offset: root.offset + 16, text: "work" };
  builder.call("openat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(WORK_PATH),
    named(linux.O_RDONLY | linux.O_CLOEXEC | arch.O_DIRECTORY, "O_RDONLY|O_CLOEXEC|O_DIRECTORY"),
  ], { name: `open ${WORK_PATH}`, store: at });
  const iov = builder.words([param("token"), 8], "[token, 8]");
  const message = builder.words([0, 0, iov, 1, root, 24, 0], "message");
  builder.call("sendmsg", [ZYGOTE_SOCKET, message, named(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL")], {
    name: `sendmsg ${WORK_PATH}`,
  });
}

function noNewPrivileges(builder: ProgramBuilder): void {
  builder.call("prctl", [named(linux.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0], {
    name: "prctl PR_SET_NO_NEW_PRIVS",
  });
}

function action(builder: ProgramBuilder, shape: SandboxShape): void {
  enter(builder, "action");
  builder.label("action");
  dieWithParent(builder);
  builder.call("setsid", []);
  builder.call("dup3", [PASSED.stdin, 0, 0], { name: "dup3 stdin" });
  builder.call("dup3", [PASSED.stdout, 1, 0], { name: "dup3 stdout" });
  builder.call("dup3", [PASSED.stderr, 2, 0], { name: "dup3 stderr" });
  // They are close-on-exec from the start; this is for the one that somebody forgets.
  builder.call("close_range", [
    3,
    named(0xffffffff, "~0"),
    named(linux.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"),
  ]);
  builder.call("chdir", [param("cwd")], { name: "chdir $cwd" });
  builder.call("umask", [param("umask")]);
  for (const name of shape.rlimits) {
    builder.call("prlimit64", [
      0,
      named(linux.RLIMIT[name], `RLIMIT_${name.toUpperCase()}`),
      param(`rlimit_${name}`),
      0,
    ], { name: `prlimit64 ${name}` });
  }
  if (!shape.aslr) {
    builder.call("personality", [named(linux.ADDR_NO_RANDOMIZE, "ADDR_NO_RANDOMIZE")]);
  }
  if (!shape.rdtsc) {
    builder.call("prctl", [
      named(linux.PR_SET_TSC, "PR_SET_TSC"),
      named(linux.PR_TSC_SIGSEGV, "PR_TSC_SIGSEGV"),
    ], { name: "prctl PR_SET_TSC" });
  }
  dropCapabilities(builder);
  noNewPrivileges(builder);
  const filter = builder.words([param("filterLength"), param("filter")], "filter");
  builder.call("seccomp", [
    named(linux.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"),
    0,
    filter,
  ]);
  for (let index = 0; index < shape.executables; index++) {
    if (index > 0) builder.label(`execve_${index}`);
    builder.call("execve", [param(`executable_${index}`), param("argv"), param("env")], {
      name: `execve $executable_${index}`,
      next: "action_failed",
      // As execvp(3): whatever is in the way of one of them, a file for a directory among PATH say, the next may do.
      ...(index + 1 < shape.executables ? { onError: `execve_${index + 1}` } : {}),
    });
  }
  failure(builder, "action");
}
