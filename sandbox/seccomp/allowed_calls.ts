/**
 * The calls that are made whatever their arguments, by what programs need them for. What all of them have in common:
 * they reach nothing but the process itself, its own descendants, files it has a name or a descriptor for, and what
 * its namespaces and control groups already bound.
 *
 * @module
 */

import type { CallName, Group, Rule } from "./policy_types.ts";

function allow(reason: string, calls: readonly CallName[]): Rule {
  return { calls, action: "allow", reason };
}

/** Calls that are made whatever their arguments. */
export const ALLOWED_CALLS: readonly Group[] = [
  {
    title: "Reading and writing through descriptors",
    rules: [
      allow("Every program reads and writes", [
        ...["read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev"] as const,
        ...["preadv2", "pwritev2", "lseek", "close", "close_range", "dup", "dup2", "dup3", "fcntl"] as const,
      ]),
      allow("cp, cat, tar, install and Go copy inside the kernel", [
        ...["copy_file_range", "sendfile", "splice", "tee"] as const,
      ]),
      allow("Linkers and archivers size their output, readers say how they will read", [
        ...["ftruncate", "truncate", "fadvise64", "readahead"] as const,
      ]),
      allow(
        "Databases and package tools sync their own files; the cost is bounded by the layer they are on",
        [
          ...["fsync", "fdatasync", "sync_file_range"] as const,
        ],
      ),
      allow("Shells connect commands", ["pipe", "pipe2"]),
      allow("Build tools lock their caches", ["flock"]),
    ],
  },
  {
    title: "Files and directories",
    rules: [
      allow("Every program opens files; openat2 can only narrow what openat finds", [
        ...["open", "openat", "openat2", "creat"] as const,
      ]),
      allow("Looking at files", [
        ...["stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"] as const,
        ...["readlink", "readlinkat", "getdents", "getdents64", "statfs", "fstatfs"] as const,
      ]),
      allow("Making, naming and removing them", [
        ...["mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "link", "linkat", "symlink"] as const,
        ...["symlinkat", "rename", "renameat"] as const,
      ]),
      allow("install, tar and cp set modes and times; set-id bits mean nothing without new privileges", [
        ...["chmod", "fchmod", "fchmodat", "fchmodat2", "umask", "utime", "utimes", "futimesat"] as const,
        "utimensat",
      ]),
      allow("tar, cp and install set owners; the kernel allows nothing but the action's own", [
        ...["chown", "fchown", "lchown", "fchownat"] as const,
      ]),
      allow(
        "cp --preserve, tar --xattrs and ls read and write attributes; those that mean power need capabilities",
        [
          ...["getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr"] as const,
          ...["setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"] as const,
        ],
      ),
      allow("Shells and make change directories", ["chdir", "fchdir", "getcwd"]),
      allow("Watchers of files (node, tail, build servers)", [
        ...["inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch"] as const,
      ]),
    ],
  },
  {
    title: "Memory",
    rules: [
      allow("Allocators, loaders and garbage collectors; what they take is charged to the action", [
        ...["brk", "munmap", "mremap", "mprotect", "msync", "mincore"] as const,
      ]),
      allow("Cryptographic libraries keep keys out of swap, up to the resource limit", [
        ...["mlock", "mlock2", "mlockall", "munlock", "munlockall"] as const,
      ]),
      allow("V8 and the JVM protect compiled code with keys; a key only takes access away", [
        ...["pkey_alloc", "pkey_free", "pkey_mprotect"] as const,
      ]),
      allow("The C library makes shadow stacks and seals its mappings where the processor and kernel can", [
        ...["map_shadow_stack", "mseal"] as const,
      ]),
    ],
  },
  {
    title: "Processes and threads",
    rules: [
      allow("Compiler drivers, make and shells start programs", [
        ...["fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid"] as const,
      ]),
      allow("Threads: their locks, stacks and per-processor data", [
        ...["futex", "set_robust_list", "set_tid_address", "rseq", "membarrier", "gettid"] as const,
      ]),
      allow("Who one is", [
        ...["getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid"] as const,
        ...["getgroups", "capget"] as const,
      ]),
      allow("Changing to an id one already has, or giving capabilities up, as ssh, tar and test suites do", [
        ...[
          "setuid",
          "setgid",
          "setreuid",
          "setregid",
          "setresuid",
          "setresgid",
          "setfsuid",
          "setfsgid",
        ] as const,
        "capset",
      ]),
      allow("Shells make jobs", ["setpgid", "getpgid", "getpgrp", "setsid", "getsid"]),
      allow("Limits, niceness and use: a process can only lower what it has", [
        ...[
          "getrlimit",
          "setrlimit",
          "prlimit64",
          "getpriority",
          "setpriority",
          "getrusage",
          "times",
        ] as const,
      ]),
      allow("Runtimes count processors and pin threads to those the action may use", [
        ...["sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "getcpu"] as const,
        ...[
          "sched_getscheduler",
          "sched_getattr",
          "sched_get_priority_max",
          "sched_get_priority_min",
        ] as const,
        "sched_rr_get_interval",
      ]),
      allow(
        "Python, Go and systemd wait for processes by descriptor; it reaches none outside the namespace",
        [
          ...["pidfd_open", "pidfd_send_signal"] as const,
        ],
      ),
      allow("The kernel's own way back from an operator's probe; from anywhere else it ends the caller", [
        ...["uretprobe", "uprobe"] as const,
      ]),
    ],
  },
  {
    title: "Signals, time and waiting",
    rules: [
      allow("Signals to oneself and to processes of the same namespace", [
        ...["rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend"] as const,
        ...["rt_sigtimedwait", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sigaltstack", "signalfd"] as const,
        ...["signalfd4", "kill", "tkill", "tgkill", "pause", "restart_syscall"] as const,
      ]),
      allow("Reading clocks", ["time", "gettimeofday", "clock_gettime", "clock_getres"]),
      allow("Sleeping and being woken", [
        ...["nanosleep", "clock_nanosleep", "alarm", "getitimer", "setitimer", "timer_create"] as const,
        ...["timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete", "timerfd_create"] as const,
        ...["timerfd_settime", "timerfd_gettime"] as const,
      ]),
      allow("Event loops (node, Java, Go, Python)", [
        ...["select", "pselect6", "poll", "ppoll", "epoll_create", "epoll_create1", "epoll_ctl"] as const,
        ...["epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2"] as const,
      ]),
    ],
  },
  {
    title: "Sockets and messages",
    rules: [
      allow("Using a socket that socket or socketpair gave; the network namespace says what it reaches", [
        ...["bind", "listen", "accept", "accept4", "connect", "shutdown", "getsockname"] as const,
        ...["getpeername", "getsockopt", "setsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg"] as const,
        ...["sendmmsg", "recvmmsg"] as const,
      ]),
      allow(
        "Messages, semaphores and shared memory of the action's own IPC namespace (fakeroot, databases)",
        [
          ...["msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop", "semctl"] as const,
          ...["shmat", "shmdt", "shmctl", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive"] as const,
          ...["mq_notify", "mq_getsetattr"] as const,
        ],
      ),
    ],
  },
  {
    title: "The machine",
    rules: [
      allow("Names and sizes of the machine, as configure scripts and runtimes ask", ["uname", "sysinfo"]),
      allow("Random numbers", ["getrandom"]),
    ],
  },
];
