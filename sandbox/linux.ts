/**
 * Constants of the Linux interface that are the same on every architecture. Names are the kernel's.
 *
 * @module
 */

/** open(2) */
export const O_RDONLY = 0;
/** open(2) */
export const O_WRONLY = 1;
/** open(2) */
export const O_RDWR = 2;
/** open(2) */
export const O_CREAT = 0o100;
/** open(2) */
export const O_EXCL = 0o200;
/** open(2) */
export const O_APPEND = 0o2000;
/** open(2) */
export const O_NONBLOCK = 0o4000;
/** open(2) */
export const O_CLOEXEC = 0o2000000;
/** open(2) */
export const O_PATH = 0o10000000;

/** The directory descriptor that means the current directory. */
export const AT_FDCWD = -100;
/** Act on a symbolic link itself. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** unlinkat(2): remove a directory. */
export const AT_REMOVEDIR = 0x200;
/** An empty path means the descriptor itself. */
export const AT_EMPTY_PATH = 0x1000;

/** close_range(2): not now, but at execve (kernel 5.11). */
export const CLOSE_RANGE_CLOEXEC = 4;

/** openat2(2): no crossing of /proc's magic links. */
export const RESOLVE_NO_MAGICLINKS = 0x02;
/** openat2(2): no symbolic link anywhere. */
export const RESOLVE_NO_SYMLINKS = 0x04;
/** openat2(2): nothing outside the directory. */
export const RESOLVE_BENEATH = 0x08;

/** memfd_create(2) */
export const MFD_CLOEXEC = 1;
/** memfd_create(2): may be executed (kernel 6.3). */
export const MFD_EXEC = 0x10;

/** memfd_create(2): may be sealed. */
export const MFD_ALLOW_SEALING = 2;
/** fcntl(2) */
export const F_ADD_SEALS = 1033;
/** {@linkcode F_ADD_SEALS}: neither sealed further, nor shrunk, grown or written. */
export const F_SEAL_ALL = 0xf;

/** fcntl(2) */
export const F_DUPFD = 0;
/** fcntl(2) */
export const F_SETFD = 2;
/** fcntl(2) */
export const FD_CLOEXEC = 1;
/** fcntl(2): locks a part of a file, or says EAGAIN. The lock is the process's, and goes with it. */
export const F_SETLK = 6;
/** {@linkcode F_SETLK}: nobody else may have it. */
export const F_WRLCK = 1;

/** prctl(2): the signal this process gets when its parent dies. */
export const PR_SET_PDEATHSIG = 1;
/** prctl(2): whether others of the same user may look into this process. */
export const PR_SET_DUMPABLE = 4;
/** prctl(2): what ps shows of this process. */
export const PR_SET_NAME = 15;
export const PR_SET_SECUREBITS = 28;
/** Capabilities stay when user ids change. */
export const SECBIT_NO_SETUID_FIXUP = 4;
/** prctl(2): takes a capability out of the bounding set. */
export const PR_CAPBSET_DROP = 24;
/** prctl(2): whether the time stamp counter may be read. */
export const PR_SET_TSC = 26;
/** {@linkcode PR_SET_TSC}: reading it is a fault. */
export const PR_TSC_SIGSEGV = 2;
/** prctl(2): execve gives no more privileges. */
export const PR_SET_NO_NEW_PRIVS = 38;
/** prctl(2): the ambient capability set. */
export const PR_CAP_AMBIENT = 47;
/** {@linkcode PR_CAP_AMBIENT}: empties it. */
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** seccomp(2): installs a filter. */
export const SECCOMP_SET_MODE_FILTER = 1;
/** capset(2): the version with 64 bits. */
export const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
/** personality(2): the same addresses in every run. */
export const ADDR_NO_RANDOMIZE = 0x0040000;

/** socket(2) */
export const AF_UNIX = 1;
/** socket(2) */
export const AF_INET = 2;
/** socket(2) */
export const SOCK_DGRAM = 2;
/** socket(2) */
export const SOCK_SEQPACKET = 5;
/** socket(2) */
export const SOCK_CLOEXEC = 0o2000000;
/** sendmsg(2) */
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_SNDBUFFORCE = 32;
/** sendmsg(2): descriptors. */
export const SCM_RIGHTS = 1;
/** recvmsg(2): do not wait. */
export const MSG_DONTWAIT = 0x40;
/** sendmsg(2): no SIGPIPE. */
export const MSG_NOSIGNAL = 0x4000;
/** recvmsg(2): received descriptors are closed by execve. */
export const MSG_CMSG_CLOEXEC = 0x40000000;
/** ioctl(2): sets a network device's flags. */
export const SIOCSIFFLAGS = 0x8914;
/** {@linkcode SIOCSIFFLAGS}: the device is up. */
export const IFF_UP = 1;

/** prctl(2): orphans below become this process's children. */
export const PR_SET_CHILD_SUBREAPER = 36;

/** clone(2): store the child's id in the parent's memory before the child runs. */
export const CLONE_PARENT_SETTID = 0x00100000;
/** clone(2): control group namespace. */
export const CLONE_NEWCGROUP = 0x02000000;
/** clone(2): UTS namespace, which holds the host's name. */
export const CLONE_NEWUTS = 0x04000000;
/** clone(2): IPC namespace. */
export const CLONE_NEWIPC = 0x08000000;
/** clone(2): network namespace. */
export const CLONE_NEWNET = 0x40000000;
/** unshare(2): mount namespace. */
export const CLONE_NEWNS = 0x00020000;
/** unshare(2): user namespace. */
export const CLONE_NEWUSER = 0x10000000;
/** unshare(2): process id namespace, for children. */
export const CLONE_NEWPID = 0x20000000;

/** mount(2) */
export const MS_RDONLY = 1;
/** mount(2) */
export const MS_NOSUID = 2;
/** mount(2) */
export const MS_NODEV = 4;
/** mount(2) */
export const MS_NOEXEC = 8;
/** mount(2): change an existing mount. */
export const MS_REMOUNT = 0x20;
/** mount(2): show a tree in a second place, or with MS_REMOUNT change that place alone. */
export const MS_BIND = 0x1000;
/** mount(2): nothing passes between inside and outside. */
export const MS_PRIVATE = 0x40000;
/** umount2(2): take it out of sight now, end it when nobody uses it. */
export const MNT_DETACH = 2;

/** open_tree(2): a copy that is mounted nowhere. */
export const OPEN_TREE_CLONE = 1;
/** open_tree(2), mount_setattr(2): with all that is mounted below. */
export const AT_RECURSIVE = 0x8000;
/** move_mount(2): what to move is the descriptor. */
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
/** mount_setattr(2) */
export const MOUNT_ATTR_RDONLY = 0x1;
/** mount_setattr(2) */
export const MOUNT_ATTR_NOSUID = 0x2;
/** mount_setattr(2) */
export const MOUNT_ATTR_NODEV = 0x4;
/** mount_setattr(2) */
export const MOUNT_ATTR_NOEXEC = 0x8;
/** mount_setattr(2): show owners as a user namespace maps them. */
export const MOUNT_ATTR_IDMAP = 0x100000;

/** mount(2): the whole tree below. */
export const MS_REC = 0x4000;
/** mount(2): the outside is seen, the inside is not. */
export const MS_SLAVE = 0x80000;

/** mmap(2) */
export const PROT_READ = 1;
/** mmap(2) */
export const PROT_WRITE = 2;
/** mmap(2) */
export const MAP_SHARED = 1;
/** mmap(2) */
export const MAP_PRIVATE = 2;
/** mmap(2): no swap is set aside. */
export const MAP_NORESERVE = 0x4000;
/** mmap(2): at this address, and never over another mapping. */
export const MAP_FIXED_NOREPLACE = 0x100000;

/** Signal numbers. */
export const SIGKILL = 9;
/** Signal numbers. */
export const SIGCHLD = 17;
/** Signal numbers. */
export const SIGCONT = 18;
/** Signal numbers. */
export const SIGSTOP = 19;
/** rt_sigprocmask(2) */
export const SIG_SETMASK = 2;

/** Resources of prlimit(2), by number. */
export const RLIMIT = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
} as const;

/** statx(2): all of struct stat. */
export const STATX_BASIC_STATS = 0x7ff;
/** st_mode's type bits. */
export const S_IFMT = 0o170000;
/** st_mode: directory. */
export const S_IFDIR = 0o040000;
/** st_mode: regular file. */
export const S_IFREG = 0o100000;
/** st_mode: symbolic link. */
export const S_IFLNK = 0o120000;
