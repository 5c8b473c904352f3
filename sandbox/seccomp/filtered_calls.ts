/**
 * The calls whose arguments decide. Numbers are those of the kernel's headers, the same on x86_64 and aarch64.
 *
 * @module
 */

import type { Group, SeccompOptions } from "./policy_types.ts";
import { IOCTLS_ALLOWED, IOCTLS_REFUSED } from "./ioctls.ts";
import { ARCH_PRCTLS_ALLOWED, PRCTLS_ALLOWED, PRCTLS_REFUSED } from "./prctls.ts";

/** CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NAMESPACE_FLAGS = 0x7e020080;
/** The kernel takes the low four bits of a socket's type as the type; the rest are flags. */
const SOCKET_TYPE = 0xf;
const FILE_TYPE = 0xf000;

const INET = { AF_INET: 2, AF_INET6: 10 };

const PLAIN_FILES = { "none (a regular file)": 0, S_IFREG: 0x8000, S_IFIFO: 0x1000, S_IFSOCK: 0xc000 };

function processes(options: SeccompOptions): Group {
  return {
    title: "Processes",
    rules: [
      {
        calls: ["clone"],
        cases: [{
          when: [{ arg: 0, mask: NAMESPACE_FLAGS, is: { "no new namespace": 0 } }],
          action: "allow",
        }],
        action: "EPERM",
        reason:
          "Processes and threads are made with it, and so would be namespaces, which open much of the kernel",
      },
      {
        calls: ["prctl"],
        cases: [
          { when: [{ arg: 0, is: PRCTLS_ALLOWED }], action: "allow" },
          {
            when: [{ arg: 0, is: PRCTLS_REFUSED }],
            action: "EPERM",
            reason: "Loosens what the sandbox or the kernel has set",
          },
        ],
        action: "EINVAL",
        reason: "A hundred calls in one: programs need those that name, limit or ask about themselves",
      },
      {
        calls: ["arch_prctl"],
        cases: [{ when: [{ arg: 0, is: ARCH_PRCTLS_ALLOWED }], action: "allow" }],
        action: "EINVAL",
        reason: "Thread-local storage, shadow stacks, and the processor's larger registers",
      },
      {
        calls: ["personality"],
        cases: [{
          when: [{
            arg: 0,
            is: {
              PER_LINUX: 0,
              ...(options.aslr === false ? { ADDR_NO_RANDOMIZE: 0x40000 } : {}),
              "0xffffffff (asks)": 0xffffffff,
            },
          }],
          action: "allow",
        }],
        action: "EPERM",
        reason:
          "Other personalities switch off protections of memory, or are other systems' with old code behind",
      },
      {
        calls: ["seccomp"],
        cases: [
          {
            when: [{
              arg: 0,
              is: { SECCOMP_SET_MODE_STRICT: 0, SECCOMP_GET_ACTION_AVAIL: 2, SECCOMP_GET_NOTIF_SIZES: 3 },
            }],
            action: "allow",
          },
          {
            when: [
              { arg: 0, is: { SECCOMP_SET_MODE_FILTER: 1 } },
              { arg: 1, mask: ~0x15 >>> 0, is: { "no flag but TSYNC, SPEC_ALLOW and TSYNC_ESRCH": 0 } },
            ],
            action: "allow",
          },
          {
            when: [
              { arg: 0, is: { SECCOMP_SET_MODE_FILTER: 1 } },
              { arg: 1, mask: 8, is: { SECCOMP_FILTER_FLAG_NEW_LISTENER: 8 } },
            ],
            action: "EPERM",
            reason: "A listener holds other processes' calls up and answers for the kernel",
          },
        ],
        action: "EINVAL",
        reason: "file and other programs confine themselves further; a filter can only take away",
      },
      {
        calls: ["sched_setscheduler"],
        cases: [{
          when: [{
            arg: 1,
            mask: ~0x40000000 >>> 0, // SCHED_RESET_ON_FORK
            is: { SCHED_OTHER: 0, SCHED_BATCH: 3, SCHED_IDLE: 5 },
          }],
          action: "allow",
        }],
        action: "EPERM",
        reason: "Real-time programs starve everything else on the machine",
      },
      { calls: ["sched_setparam"], action: "allow", reason: "Outside real time it sets nothing" },
      {
        calls: ["ioprio_get"],
        action: "allow",
        reason: "ionice shows the priority of reads and writes",
      },
      {
        calls: ["ioprio_set"],
        cases: [{
          when: [{
            arg: 2,
            is: {
              ...{ none: 0, "best effort 4": 0x4004, "best effort 5": 0x4005, "best effort 6": 0x4006 },
              ...{ "best effort 7": 0x4007, idle: 0x6000, "idle 4": 0x6004, "idle 7": 0x6007 },
            },
          }],
          action: "allow",
        }],
        action: "EPERM",
        reason: "ionice may lower the priority of reads and writes, not raise it over other actions'",
      },
    ],
  };
}

const SOCKETS: Group = {
  title: "Sockets",
  rules: [
    {
      calls: ["socket"],
      cases: [
        { when: [{ arg: 0, is: { AF_UNIX: 1 } }], action: "allow" },
        {
          when: [
            { arg: 0, is: INET },
            { arg: 1, mask: SOCKET_TYPE, is: { SOCK_STREAM: 1 } },
            { arg: 2, is: { default: 0, IPPROTO_TCP: 6 } },
          ],
          action: "allow",
        },
        {
          when: [
            { arg: 0, is: INET },
            { arg: 1, mask: SOCKET_TYPE, is: { SOCK_DGRAM: 2 } },
            { arg: 2, is: { default: 0, IPPROTO_UDP: 17 } },
          ],
          action: "allow",
        },
        {
          when: [
            { arg: 0, is: { AF_NETLINK: 16 } },
            { arg: 1, mask: SOCKET_TYPE, is: { SOCK_DGRAM: 2, SOCK_RAW: 3 } },
            { arg: 2, is: { NETLINK_ROUTE: 0 } },
          ],
          action: "allow",
          reason: "getifaddrs, which node, Java and Python call, lists the network's devices with it",
        },
        {
          when: [{ arg: 0, is: INET }, { arg: 1, mask: SOCKET_TYPE, is: { SOCK_RAW: 3 } }],
          action: "EPERM",
          reason: "Forges packets",
        },
        {
          when: [{ arg: 0, is: { AF_PACKET: 17 } }],
          action: "EPERM",
          reason: "Forges packets and reads others'",
        },
        {
          when: [{ arg: 0, is: { ...INET, AF_NETLINK: 16 } }],
          action: "EPROTONOSUPPORT",
          reason: "Rare protocols of a common family (ping, SCTP, MPTCP, UDP-Lite, audit, netfilter)",
        },
      ],
      action: "EAFNOSUPPORT",
      reason:
        "Local sockets, TCP and UDP; every other family is code of the kernel that builds have no use for",
    },
    {
      calls: ["socketpair"],
      cases: [{ when: [{ arg: 0, is: { AF_UNIX: 1 } }], action: "allow" }],
      action: "EAFNOSUPPORT",
      reason: "node, Python and shells connect processes with local sockets",
    },
  ],
};

/**
 * Room that is taken without writing: at once, however much, where nobody can look in between. What is taken beyond a
 * file's end is not bounded by RLIMIT_FSIZE either and changes no size, and standard output is a file of the host's.
 */
function fallocate(options: SeccompOptions): Group {
  const within = { "none (up to a limit of size)": 0, "PUNCH_HOLE|KEEP_SIZE": 3 };
  return {
    title: "Room on disk",
    rules: [{
      calls: ["fallocate"],
      ...(options.fallocate === false ? {} : {
        cases: [{ when: [{ arg: 1, is: within }], action: "allow" }],
      }),
      action: "EOPNOTSUPP",
      reason:
        "Linkers and databases size their output; a layer in memory has a limit, one on disk is only looked after",
    }],
  };
}

const FILES: Group = {
  title: "Files, devices and memory",
  rules: [
    {
      calls: ["ioctl"],
      cases: [
        { when: [{ arg: 1, is: IOCTLS_ALLOWED }], action: "allow" },
        {
          when: [{ arg: 1, is: IOCTLS_REFUSED }],
          action: "EPERM",
          reason:
            "Types into another's terminal, changes its driver, or marks files beyond what removing them undoes",
        },
      ],
      action: "ENOTTY",
      reason:
        "Terminals, waiting bytes, clones of files and questions about the network; each driver has more of them",
    },
    {
      calls: ["mknod"],
      cases: [{ when: [{ arg: 1, mask: FILE_TYPE, is: PLAIN_FILES }], action: "allow" }],
      action: "EPERM",
      reason: "FIFOs and sockets are files like others; devices are not, nor are an overlay's whiteouts",
    },
    {
      calls: ["mknodat"],
      cases: [{ when: [{ arg: 2, mask: FILE_TYPE, is: PLAIN_FILES }], action: "allow" }],
      action: "EPERM",
      reason: "FIFOs and sockets are files like others; devices are not, nor are an overlay's whiteouts",
    },
    {
      calls: ["renameat2"],
      cases: [{
        when: [{ arg: 4, mask: ~3 >>> 0, is: { "no flag but RENAME_NOREPLACE and RENAME_EXCHANGE": 0 } }],
        action: "allow",
      }],
      action: "EINVAL",
      reason: "mv and cargo rename; RENAME_WHITEOUT would leave an overlay's mark of removal",
    },
    {
      calls: ["sync", "syncfs"],
      action: "succeed",
      reason: "An action must not flush the host's disks, and nobody reads its files after a crash",
    },
    {
      calls: ["mmap"],
      cases: [{ when: [{ arg: 3, mask: 0x40000, is: { "not MAP_HUGETLB": 0 } }], action: "allow" }],
      action: "ENOMEM",
      reason:
        "Every program maps memory; pages set aside as huge are the operator's and no memory limit counts them",
    },
    {
      calls: ["madvise"],
      cases: [{
        when: [{ arg: 2, is: { MADV_MERGEABLE: 12 } }],
        action: "EINVAL",
        reason:
          "Pages that are merged with those of others tell, by the time it takes to write them, what others hold",
      }],
      action: "allow",
      reason: "Allocators and garbage collectors say what they need of their memory",
    },
    {
      calls: ["memfd_create"],
      cases: [{ when: [{ arg: 1, mask: 4, is: { "not MFD_HUGETLB": 0 } }], action: "allow" }],
      action: "ENOMEM",
      reason: "Files in memory are charged to the action; huge pages are not",
    },
    {
      calls: ["shmget"],
      cases: [{ when: [{ arg: 2, mask: 0o4000, is: { "not SHM_HUGETLB": 0 } }], action: "allow" }],
      action: "ENOMEM",
      reason: "Shared memory is charged to the action; huge pages are not",
    },
  ],
};

/** Calls whose arguments decide. */
export function filteredCalls(options: SeccompOptions): readonly Group[] {
  return [processes(options), SOCKETS, fallocate(options), FILES];
}
