/**
 * System calls on paths and directories, through the C library. Names are bytes where the kernel has bytes. Each throws
 * a {@linkcode SyscallError} that names the call, what it was applied to, and the error.
 *
 * @module
 */

import { check, cString, EINTR, libc, type PathLike, pathText } from "./_libc.ts";
import { currentArch } from "./arch.ts";
import { errnoOf, SyscallError } from "./errno.ts";
import { AT_EMPTY_PATH, AT_FDCWD, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, STATX_BASIC_STATS } from "./linux.ts";

const EAGAIN = errnoOf("EAGAIN");
const OPENAT2_HINTS: ReadonlyMap<number, string> = new Map([
  [errnoOf("ENOSYS"), "Linux 5.6 or later is needed"],
  [errnoOf("ELOOP"), "a symbolic link is on the way, and none is followed"],
  [errnoOf("EXDEV"), "the path leads out of its root"],
]);

/** openat(2). */
export function openat(dirFd: number, path: PathLike, flags: number, mode = 0): number {
  const name = cString(path);
  for (;;) {
    // SAFETY: `name` ends with a NUL and lives until the call returns.
    const fd = libc().c.openat(dirFd, name, flags, mode);
    if (fd >= 0 || libc().errno() !== EINTR) return check(fd, "openat", path);
  }
}

/** open(2): {@linkcode openat} from the current directory. */
export function openPath(path: PathLike, flags: number, mode = 0): number {
  return openat(AT_FDCWD, path, flags, mode);
}

const openHow = new BigUint64Array(3);
const openHowBytes = new Uint8Array(openHow.buffer);

/**
 * openat2(2) with the given RESOLVE flags; a race with a rename outside is tried again a few times.
 *
 * @throws {SyscallError} also when the kernel is older than 5.6.
 */
export function openat2(
  dirFd: number,
  path: PathLike,
  flags: number,
  resolve: number,
  shownPath: PathLike = path,
): number {
  const name = cString(path);
  const number = currentArch().syscalls.openat2;
  const { c, errno } = libc();
  for (let attempt = 0;; attempt++) {
    openHow[0] = BigInt(flags);
    openHow[1] = 0n;
    openHow[2] = BigInt(resolve);
    // SAFETY: `name` ends with a NUL, `openHow` is a struct open_how of 24 bytes; both live through the call.
    const fd = c.openat2(number, dirFd, name, openHowBytes, 24n);
    if (fd >= 0) return fd;
    const error = errno();
    if ((error === EAGAIN || error === EINTR) && attempt < 16) continue;
    throw new SyscallError("openat2", error, pathText(shownPath), OPENAT2_HINTS.get(error));
  }
}

/** chmod(2); follows symbolic links. */
export function chmod(path: PathLike, mode: number): void {
  // SAFETY: the path ends with a NUL and lives until the call returns.
  check(libc().c.chmod(cString(path), mode), "chmod", path);
}

/** unlinkat(2). */
export function unlinkat(dirFd: number, name: PathLike, flags = 0): void {
  // SAFETY: the name ends with a NUL and lives until the call returns.
  check(libc().c.unlinkat(dirFd, cString(name), flags), "unlinkat", name);
}

/** linkat(2): a hard link `to` for the file `from`; a symbolic link at `from` is linked itself. */
export function linkat(fromFd: number, from: PathLike, toFd: number, to: PathLike): void {
  // SAFETY: both names end with a NUL and live until the call returns.
  check(libc().c.linkat(fromFd, cString(from), toFd, cString(to), 0), "linkat", from);
}

/** renameat(2). */
export function renameat(fromFd: number, from: PathLike, toFd: number, to: PathLike): void {
  // SAFETY: both names end with a NUL and live until the call returns.
  check(libc().c.renameat(fromFd, cString(from), toFd, cString(to)), "renameat", from);
}

/** readlinkat(2), as bytes: the target of the link `name` in `dirFd`, or of `dirFd` itself for `""`. */
export function readlinkat(
  dirFd: number,
  name: PathLike,
  shownPath: PathLike = name,
): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(4097);
  // SAFETY: the kernel writes at most buffer.length bytes into `buffer`, which outlives the call.
  const n = libc().c.readlinkat(dirFd, cString(name), buffer, BigInt(buffer.length));
  return buffer.slice(0, check(n, "readlinkat", shownPath));
}

function timespecs(mtimeNs: bigint): Uint8Array<ArrayBuffer> {
  const billion = 1_000_000_000n;
  const nanos = ((mtimeNs % billion) + billion) % billion;
  const seconds = (mtimeNs - nanos) / billion;
  return new Uint8Array(new BigInt64Array([seconds, nanos, seconds, nanos]).buffer);
}

/** utimensat(2): access and modification time of `name` in `dirFd`, in nanoseconds since 1970. */
export function utimensat(dirFd: number, name: PathLike, mtimeNs: bigint, flags = 0): void {
  // SAFETY: the name ends with a NUL, the times are two struct timespec of 16 bytes; both live through the call.
  check(libc().c.utimensat(dirFd, cString(name), timespecs(mtimeNs), flags), "utimensat", name);
}

/** futimens(3): access and modification time of an open file, in nanoseconds since 1970. */
export function futimens(fd: number, mtimeNs: bigint): void {
  // SAFETY: two struct timespec of 16 bytes that live through the call.
  check(libc().c.futimens(fd, timespecs(mtimeNs)), "futimens");
}

/** getdents64(2): fills `buffer` with raw entries; 0 at the end. */
export function getdents64(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  // SAFETY: the kernel writes at most buffer.length bytes into `buffer`, which outlives the call.
  return check(
    libc().c.getdents64(currentArch().syscalls.getdents64, fd, buffer, buffer.length),
    "getdents64",
  );
}

/** What a file is. `other` is a device, FIFO or socket. */
export type FileType = "file" | "directory" | "symlink" | "other";

/** A file's state. */
export interface FileStat {
  /** What it is. */
  readonly type: FileType;
  /** Its size. */
  readonly sizeBytes: number;
  /** What it takes on its file system: less than its size where it has holes. */
  readonly allocatedBytes: number;
  /** Permission bits (0o7777). */
  readonly mode: number;
  /** Last modification, nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Hard links. */
  readonly nlink: number;
  /** Owner. */
  readonly uid: number;
  /** Group. */
  readonly gid: number;
  /** Device the file lives on, as major << 32 | minor. */
  readonly dev: bigint;
  /** Inode number. */
  readonly ino: bigint;
}

/** The type in st_mode. */
export function typeOfMode(mode: number): FileType {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    default:
      return "other";
  }
}

/** Unit of stx_blocks, whatever the file system's own is. */
const STATX_BLOCK_BYTES = 512;
const statxBytes = new Uint8Array(256);
const statxView = new DataView(statxBytes.buffer);

/** statx(2) of `name` in `dirFd`, or of `dirFd` itself for `""`. */
export function statx(dirFd: number, name: PathLike, flags = 0, shownPath: PathLike = name): FileStat {
  const all = flags | (name.length === 0 ? AT_EMPTY_PATH : 0);
  const number = currentArch().syscalls.statx;
  // SAFETY: the name ends with a NUL, and the buffer is as large as struct statx (256 bytes); both outlive the call.
  const result = libc().c.statx(number, dirFd, cString(name), all, STATX_BASIC_STATS, statxBytes);
  check(result, "statx", shownPath);
  const mode = statxView.getUint16(28, true);
  return {
    type: typeOfMode(mode),
    sizeBytes: Number(statxView.getBigUint64(40, true)),
    allocatedBytes: Number(statxView.getBigUint64(48, true)) * STATX_BLOCK_BYTES,
    mode: mode & 0o7777,
    mtimeNs: statxView.getBigInt64(112, true) * 1_000_000_000n + BigInt(statxView.getUint32(120, true)),
    nlink: statxView.getUint32(16, true),
    uid: statxView.getUint32(20, true),
    gid: statxView.getUint32(24, true),
    dev: BigInt(statxView.getUint32(136, true)) << 32n | BigInt(statxView.getUint32(140, true)),
    ino: statxView.getBigUint64(32, true),
  };
}
