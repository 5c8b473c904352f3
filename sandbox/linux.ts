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

/** fcntl(2) */
export const F_DUPFD = 0;
/** fcntl(2) */
export const F_SETFD = 2;
/** fcntl(2) */
export const FD_CLOEXEC = 1;

/** prctl(2): the signal this process gets when its parent dies. */
export const PR_SET_PDEATHSIG = 1;
/** prctl(2): orphans below become this process's children. */
export const PR_SET_CHILD_SUBREAPER = 36;

/** clone(2): store the child's id in the parent's memory before the child runs. */
export const CLONE_PARENT_SETTID = 0x00100000;
/** unshare(2): mount namespace. */
export const CLONE_NEWNS = 0x00020000;
/** unshare(2): user namespace. */
export const CLONE_NEWUSER = 0x10000000;
/** unshare(2): process id namespace, for children. */
export const CLONE_NEWPID = 0x20000000;

/** mount(2) */
export const MS_NOSUID = 2;
/** mount(2) */
export const MS_NODEV = 4;
/** mount(2) */
export const MS_NOEXEC = 8;
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
  stack: 3,
  core: 4,
  nproc: 6,
  nofile: 7,
  as: 9,
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
