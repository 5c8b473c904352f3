/**
 * The calls that are never made, whatever their arguments: with EPERM what administers the machine or attacks it, and
 * with ENOSYS what programs try and do without, so that they take the way they have for older kernels. A call that no
 * rule names, as a newer kernel may have, fails with ENOSYS too.
 *
 * @module
 */

import type { CallName, Group, Refusal, Rule } from "./policy_types.ts";

function refuse(action: Refusal, reason: string, calls: readonly CallName[]): Rule {
  return { calls, action, reason };
}

/** Calls that are never made. */
export const REFUSED_CALLS: readonly Group[] = [
  {
    title: "What administers the machine",
    rules: [
      refuse("EPERM", "Changes what files are where: the sandbox's own layout", [
        ...["mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount"] as const,
        ...["fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"] as const,
      ]),
      refuse(
        "EPERM",
        "Leaves the sandbox's namespaces or makes new ones, in which much more of the kernel is open",
        [
          ...["unshare", "setns"] as const,
        ],
      ),
      refuse("EPERM", "Replaces or extends the kernel", [
        ...[
          "kexec_load",
          "kexec_file_load",
          "init_module",
          "finit_module",
          "delete_module",
          "reboot",
        ] as const,
      ]),
      refuse("EPERM", "Sets clocks", ["settimeofday", "clock_settime", "clock_adjtime", "adjtimex"]),
      refuse("EPERM", "Names the machine, which is the same for every action", [
        "sethostname",
        "setdomainname",
      ]),
      refuse("EPERM", "Quotas, swap, accounting and terminals of the machine", [
        ...["quotactl", "quotactl_fd", "swapon", "swapoff", "acct", "vhangup"] as const,
      ]),
      refuse("EPERM", "Groups beside one's own", ["setgroups"]),
    ],
  },
  {
    title: "What attacks it",
    rules: [
      refuse("EPERM", "Looks into other processes or steers them", [
        ...["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"] as const,
      ]),
      refuse("EPERM", "Runs programs in the kernel or reads its counters", ["bpf", "perf_event_open"]),
      refuse("EPERM", "The kernel's keyrings are shared by all of one user id", [
        ...["add_key", "request_key", "keyctl"] as const,
      ]),
      refuse("EPERM", "Opens files by number, past the directories that hide them", [
        ...["name_to_handle_at", "open_by_handle_at"] as const,
      ]),
      refuse("EPERM", "Holds the kernel up in the middle of a call, which makes its races easy to win", [
        "userfaultfd",
      ]),
      refuse("EPERM", "Gives pages to a pipe that stay the giver's; the source of many holes", ["vmsplice"]),
      refuse("EPERM", "Watches or stops what others do with files", ["fanotify_init", "fanotify_mark"]),
      refuse("EPERM", "The kernel's messages are the host's", ["syslog", "lookup_dcookie"]),
      refuse("EPERM", "The processor's ports", ["iopl", "ioperm"]),
    ],
  },
  {
    title: "What programs try and do without",
    rules: [
      refuse(
        "ENOSYS",
        "Its flags are in memory, where no filter sees them; the C library goes on with clone",
        [
          "clone3",
        ],
      ),
      refuse("ENOSYS", "Makes calls that no filter sees; node and others go on with threads and epoll", [
        ...["io_uring_setup", "io_uring_enter", "io_uring_register"] as const,
      ]),
      refuse("ENOSYS", "All processes of the machine share one small number of these; databases do without", [
        ...["io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents"] as const,
      ]),
      refuse(
        "ENOSYS",
        "Placement on memory nodes is the operator's; numactl's library takes it as having one node",
        [
          ...["get_mempolicy", "set_mempolicy", "mbind", "set_mempolicy_home_node"] as const,
          ...["migrate_pages", "move_pages"] as const,
        ],
      ),
      refuse(
        "ENOSYS",
        "Takes more than one word of settings from memory; chrt and others have the older calls",
        [
          "sched_setattr",
        ],
      ),
      refuse(
        "ENOSYS",
        "A sandbox of the program's own making, which does without where the kernel has none",
        [
          ...["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"] as const,
        ],
      ),
      refuse("ENOSYS", "Memory that neither the host nor a limit of swap can see", ["memfd_secret"]),
      refuse("ENOSYS", "Meant for a manager of other processes", ["process_madvise", "process_mrelease"]),
      refuse("ENOSYS", "Tells what of the host's files is in memory, and so what others have read", [
        "cachestat",
      ]),
      refuse("ENOSYS", "Newer kinds of futex, which nothing needs that has the old one", [
        ...["futex_waitv", "futex_wake", "futex_wait", "futex_requeue"] as const,
      ]),
      refuse("ENOSYS", "Newer ways to what older calls do", [
        ...["setxattrat", "getxattrat", "listxattrat", "removexattrat"] as const,
        ...["file_getattr", "file_setattr", "statmount", "listmount"] as const,
      ]),
      refuse("ENOSYS", "Security modules are the host's", [
        ...["lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules"] as const,
      ]),
      refuse("ENOSYS", "Addresses of other threads' locks, for debuggers", ["get_robust_list"]),
    ],
  },
  {
    title: "What has no use any more",
    rules: [
      refuse("ENOSYS", "Segments of 16-bit programs; the source of many holes", ["modify_ldt"]),
      refuse("ENOSYS", "Superseded, and slow or dangerous", [
        ...["remap_file_pages", "uselib", "ustat", "sysfs", "_sysctl"] as const,
      ]),
      refuse("ENOSYS", "The kernel does not have them, or not any more", [
        ...["set_thread_area", "get_thread_area", "epoll_ctl_old", "epoll_wait_old", "nfsservctl"] as const,
        ...["create_module", "get_kernel_syms", "query_module", "getpmsg", "putpmsg"] as const,
        ...["afs_syscall", "tuxcall", "security", "vserver"] as const,
      ]),
    ],
  },
];
