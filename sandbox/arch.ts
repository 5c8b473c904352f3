/**
 * What differs between the processor architectures: call numbers, a few flags, the interpreter's code.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { AARCH64 } from "./syscalls_aarch64.ts";
import { X86_64 } from "./syscalls_x86_64.ts";

/** The system calls programs and wrappers use. */
export type SyscallName =
  | "capset"
  | "chdir"
  | "clone"
  | "clone3"
  | "close"
  | "close_range"
  | "dup3"
  | "execve"
  | "exit_group"
  | "fchdir"
  | "fchmod"
  | "fchmodat"
  | "fcntl"
  | "fstatfs"
  | "ftruncate"
  | "getdents64"
  | "getpgid"
  | "getpid"
  | "getppid"
  | "ioctl"
  | "kill"
  | "memfd_create"
  | "mkdirat"
  | "mknodat"
  | "mmap"
  | "mount"
  | "mount_setattr"
  | "move_mount"
  | "open_tree"
  | "openat"
  | "openat2"
  | "personality"
  | "pidfd_open"
  | "pidfd_send_signal"
  | "pivot_root"
  | "ppoll"
  | "prctl"
  | "pread64"
  | "prlimit64"
  | "pwrite64"
  | "read"
  | "readlinkat"
  | "recvmsg"
  | "renameat2"
  | "rt_sigaction"
  | "rt_sigprocmask"
  | "seccomp"
  | "sendmsg"
  | "setdomainname"
  | "setgroups"
  | "sethostname"
  | "setns"
  | "setpgid"
  | "setresgid"
  | "setresuid"
  | "setsid"
  | "socket"
  | "socketpair"
  | "statx"
  | "symlinkat"
  | "umask"
  | "umount2"
  | "unlinkat"
  | "unshare"
  | "utimensat"
  | "wait4"
  | "write";

/** One architecture's Linux. */
export interface Arch {
  /** The name, as Deno and the kernel have it. */
  readonly name: "x86_64" | "aarch64";
  /** `e_machine` of an ELF header. */
  readonly elfMachine: number;
  /** Call numbers. */
  readonly syscalls: Readonly<Record<SyscallName, number>>;
  /** open(2): refuse what is no directory. */
  readonly O_DIRECTORY: number;
  /** open(2): do not follow a last component that is a symbolic link. */
  readonly O_NOFOLLOW: number;
}

/**
 * The architecture this process runs on.
 *
 * @throws {BrokkrError} UNIMPLEMENTED on any other than Linux on x86_64 or aarch64.
 */
export function currentArch(): Arch {
  if (Deno.build.os === "linux") {
    if (Deno.build.arch === "x86_64") return X86_64;
    if (Deno.build.arch === "aarch64") return AARCH64;
  }
  throw new BrokkrError(
    Code.UNIMPLEMENTED,
    `The sandbox needs Linux on x86_64 or aarch64, and this is ${Deno.build.os} on ${Deno.build.arch}`,
  );
}
