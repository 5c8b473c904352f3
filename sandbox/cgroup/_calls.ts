/**
 * Calls on control group file systems. They go through the C library: on a group's small files that measures a fifth
 * faster than Deno's own synchronous calls, and directories opened once spare the kernel long paths.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { check, cString, libc, type PathLike, pathText } from "../_libc.ts";
import { currentArch } from "../arch.ts";
import { errnoOf, SyscallError } from "../errno.ts";
import { getdents64, openat } from "../file_calls.ts";
import { close, read, writeAll } from "../libc.ts";
import { AT_REMOVEDIR, O_CLOEXEC, O_RDONLY, O_WRONLY } from "../linux.ts";

const LOCK_EX_NB = 2 | 4;
const EWOULDBLOCK = errnoOf("EAGAIN");
const ESRCH = errnoOf("ESRCH");
/** No file of a group is anywhere near this long; the list of its processes may be the longest. */
const MAX_FILE_BYTES = 16 << 20;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const scratch = new Uint8Array(16 * 1024);
const scratchView = new DataView(scratch.buffer);

/** mkdirat(2) with mode 0755; false when there is something of that name. */
export function makeGroup(dirFd: number, name: PathLike): boolean {
  // SAFETY: the name ends with a NUL and lives until the call returns.
  const result = libc().c.mkdirat(dirFd, cString(name), 0o755);
  if (result === 0) return true;
  const errno = libc().errno();
  if (errno === errnoOf("EEXIST")) return false;
  throw new SyscallError("mkdirat", errno, pathText(name));
}

/** Removes the group `name` in `dirFd`; false when it is still in use. One that is not there counts as removed. */
export function removeGroup(dirFd: number, name: PathLike): boolean {
  // SAFETY: the name ends with a NUL and lives until the call returns.
  if (libc().c.unlinkat(dirFd, cString(name), AT_REMOVEDIR) === 0) return true;
  const errno = libc().errno();
  if (errno === errnoOf("ENOENT")) return true;
  if (errno === errnoOf("EBUSY")) return false;
  throw new SyscallError("unlinkat", errno, pathText(name));
}

/** Opens a directory. */
export function openDirectory(dirFd: number, name: PathLike): number {
  return openat(dirFd, name, O_RDONLY | O_CLOEXEC | currentArch().O_DIRECTORY);
}

/** Takes the lock on an open directory that its process keeps until it dies; false when another holds it. */
export function tryLock(fd: number): boolean {
  if (libc().c.flock(fd, LOCK_EX_NB) === 0) return true;
  if (libc().errno() === EWOULDBLOCK) return false;
  throw new SyscallError("flock", libc().errno(), `descriptor ${fd}`);
}

/** Whether the file at `path` has an extended attribute that says "1". */
export function hasTrueAttribute(path: string, name: string): boolean {
  const value = new Uint8Array(8);
  // SAFETY: both names end with a NUL, and the kernel writes at most the 8 bytes of `value`; all outlive the call.
  const length = libc().c.getxattr(cString(path), cString(name), value, BigInt(value.length));
  return length === 1 && value[0] === 0x31;
}

/** Writes `text` into a file of a group with one write(2), as the kernel wants it. */
export function writeFile(dirFd: number, path: string, text: string): void {
  const fd = openat(dirFd, path, O_WRONLY | O_CLOEXEC);
  try {
    writeAll(fd, encoder.encode(text));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new SyscallError("write", error.errno, `${path} (${text})`);
  } finally {
    close(fd);
  }
}

/** The error number with which writing failed, or 0. */
export function tryWriteFile(dirFd: number, path: string, text: string): number {
  return errnoWhere(() => writeFile(dirFd, path, text));
}

/** The text of a file of a group, or undefined when there is no such file. */
export function readFile(dirFd: number, path: string): string | undefined {
  let fd: number;
  try {
    fd = openat(dirFd, path, O_RDONLY | O_CLOEXEC);
  } catch (error) {
    if (error instanceof SyscallError && error.errnoName === "ENOENT") return undefined;
    throw error;
  }
  try {
    let text = "";
    for (;;) {
      const n = read(fd, scratch);
      if (n === 0) return text;
      text += decoder.decode(scratch.subarray(0, n));
      if (text.length > MAX_FILE_BYTES) {
        throw new BrokkrError(Code.RESOURCE_EXHAUSTED, `${path} holds more than ${MAX_FILE_BYTES} bytes`);
      }
    }
  } finally {
    close(fd);
  }
}

/** Opens `path` for a process that will join by writing "0" to it. */
export function openForJoining(dirFd: number, path: string): number {
  return openat(dirFd, path, O_WRONLY | O_CLOEXEC);
}

/** Names of the groups in an open directory. */
export function groupsIn(dirFd: number): string[] {
  const DT_DIR = 4;
  const found: string[] = [];
  // A descriptor of its own: reading moves its position.
  const fd = openDirectory(dirFd, ".");
  try {
    for (;;) {
      const n = getdents64(fd, scratch);
      if (n === 0) return found;
      for (let at = 0; at < n;) {
        const length = scratchView.getUint16(at + 16, true);
        const end = scratch.indexOf(0, at + 19);
        const name = decoder.decode(scratch.subarray(at + 19, end));
        if (scratch[at + 18] === DT_DIR && name !== "." && name !== "..") found.push(name);
        at += length;
      }
    }
  } finally {
    close(fd);
  }
}

/** pidfd_open(2); undefined when there is no such process. */
export function pidfdOpen(pid: number): number | undefined {
  const fd = libc().c.pidfd_open(currentArch().syscalls.pidfd_open, pid, 0);
  if (fd < 0 && libc().errno() === ESRCH) return undefined;
  return check(fd, "pidfd_open", `process ${pid}`);
}

/** pidfd_send_signal(2); a process that has gone is no error. */
export function pidfdKill(fd: number, signal: number): void {
  // SAFETY: the null siginfo is a valid argument: the kernel fills in what kill(2) would.
  const result = libc().c.pidfd_send_signal(currentArch().syscalls.pidfd_send_signal, fd, signal, 0n, 0);
  if (result < 0 && libc().errno() !== ESRCH) check(result, "pidfd_send_signal");
}

/** Blocks this thread. Only for the start and the end of a worker, when there is something to wait for. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The error number of the system call that failed in `fn`, or 0. */
export function errnoWhere(fn: () => void): number {
  try {
    fn();
    return 0;
  } catch (error) {
    if (error instanceof SyscallError) return error.errno;
    throw error;
  }
}
