/**
 * Calls that no action needs, each of them the way out of some sandbox.
 *
 * @module
 */

import type { Probes } from "../_attack.ts";
import { all } from "./_all.ts";

/** The attacks. */
export const KERNEL: readonly Probes[] = [
  {
    name: "keys",
    why: "keyrings know no namespaces: keys are shared with everybody of that user (CVE-2016-0728)",
    probes: {
      ...all("add_key keyctl.join keyctl.id", ["EPERM", "OK"]),
      request_key: ["EPERM", "ENOKEY"],
    },
  },
  {
    name: "bpf",
    why: "programs for the kernel: CVE-2021-3490 and a dozen of its like",
    probes: { map: ["EPERM", "OK"], program: ["EPERM", "E2BIG|EINVAL"] },
  },
  {
    name: "perf",
    why: "CVE-2013-2094; and it watches others",
    probes: { open: ["EPERM", "OK|ENOENT|EACCES"] },
  },
  {
    name: "io_uring",
    why: "makes calls that no filter sees; CVE-2022-29582 and many more",
    probes: {
      setup: ["ENOSYS", "OK|EPERM"],
      enter: ["ENOSYS", "EBADF|EPERM|EOPNOTSUPP"],
      register: ["ENOSYS", "EINVAL|EBADF|EPERM"],
    },
  },
  {
    name: "userfaultfd",
    why: "holds the kernel still in the middle of a copy, which turns races into certainties",
    probes: { call: ["EPERM", "OK"], device: "ENOENT" },
  },
  {
    name: "file_handles",
    why: "the shocker: a guessed handle opens any file of a file system, whatever is mounted of it",
    probes: { open: ["EPERM", "OK|ESTALE|EOPNOTSUPP"] },
  },
  {
    name: "kernel_code",
    why: "another kernel, or more of this one",
    probes: {
      kexec_load: ["EPERM", "EINVAL"],
      kexec_file_load: ["EPERM", "EINVAL|EBADF"],
      init_module: ["EPERM", "ENOEXEC|EINVAL"],
      finit_module: ["EPERM", "EBADF"],
      delete_module: ["EPERM", "ENOENT"],
    },
  },
  {
    name: "personality",
    why: "turns off what makes holes hard to use, for setuid programs too",
    probes: {
      ...all("no_randomize read_implies_exec mmap_page_zero linux32", ["EPERM", "OK"]),
      query: "OK",
    },
  },
  {
    name: "terminals",
    why:
      "CVE-2017-5226: typing into the terminal of who started it; CVE-2019-10063: the same with high bits set",
    probes: {
      ...all("tiocsti tiocsti.high tioclinux tioccons", ["EPERM", "ENOTTY"]),
      tiocsctty: "ENOTTY",
      tty: "ENOENT|ENXIO",
      console: "ENOENT",
    },
  },
  {
    name: "clocks",
    why: "time is the whole machine's",
    probes: {
      ...all("clock_settime adjtimex clock_adjtime", ["EPERM", "EINVAL"]),
      settimeofday: ["EPERM", "OK"],
      rtc: "ENOENT",
    },
  },
  {
    name: "machine",
    why: "calls that set the whole machine, or tell of it",
    probes: {
      reboot: ["EPERM", "EINVAL"],
      ...all("swapon swapoff acct quotactl", ["EPERM", "ENOENT"]),
      ...all("syslog syslog.read vhangup fanotify kcmp", ["EPERM", "OK"]),
      ...all("lookup_dcookie nfsservctl uselib", "ENOSYS"),
      ...all("iopl ioperm", ["EPERM", "OK"]),
      ...all("move_pages sysfs modify_ldt", ["ENOSYS", "OK"]),
      ...all("migrate_pages ustat", ["ENOSYS", "EINVAL"]),
    },
  },
  {
    name: "tracing",
    why: "who may trace a process is that process",
    probes: all("traceme attach seize readv writev", ["EPERM", "OK|EFAULT"]),
  },
  {
    name: "tracing_init",
    why: "PID 1 was the host's root when it began",
    probes: { ...all("attach seize readv getfd", "EPERM"), madvise: "ENOSYS|EPERM" },
  },
  {
    name: "filters",
    why: "whoever listens to a filter answers the calls of others",
    probes: { listener: ["EPERM", "OK"], strict: "EINVAL|EPERM", sizes: "OK|EPERM" },
  },
  {
    name: "entry32",
    why: "the 32-bit entry has other numbers: a filter by number alone lets mount through as something else",
    only: "x86_64",
    probes: { int80: ["SIGSYS", "OK|SIGSEGV"], far_jump: ["SIGSYS|SIGKILL", "SIGSEGV"] },
  },
  {
    name: "x32",
    why: "the third set of numbers",
    only: "x86_64",
    probes: all("getpid ptrace execve mount", "ENOSYS"),
  },
  { name: "unknown_calls", why: "what the next kernel brings", probes: all("600 1023 minus", "ENOSYS") },
];
