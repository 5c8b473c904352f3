/**
 * System calls on descriptors and processes, through the C library. Each throws a {@linkcode SyscallError} that names
 * the call, what it was applied to, and the error.
 *
 * @module
 */

import { check, cString, EINTR, libc, MAX_IO_BYTES } from "./_libc.ts";
import { errnoOf, SyscallError } from "./errno.ts";
import { F_DUPFD, F_SETFD, FD_CLOEXEC, MFD_EXEC, RLIMIT } from "./linux.ts";

const EINVAL = errnoOf("EINVAL");

function capped(buffer: Uint8Array): number {
  return Math.min(buffer.length, MAX_IO_BYTES);
}

/** close(2). Errors other than EBADF say nothing a caller could act on, and EBADF is a bug: it throws. */
export function close(fd: number): void {
  const { c, errno } = libc();
  if (c.close(fd) === 0) return;
  const error = errno();
  if (error === errnoOf("EBADF")) throw new SyscallError("close", error, `descriptor ${fd}`);
}

/** read(2). */
export function read(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  for (;;) {
    // SAFETY: the kernel writes at most `capped(buffer)` bytes into `buffer`, which outlives the call.
    const n = libc().c.read(fd, buffer, BigInt(capped(buffer)));
    if (n >= 0 || libc().errno() !== EINTR) return check(n, "read");
  }
}

/** pread(2). */
export function pread(fd: number, buffer: Uint8Array<ArrayBuffer>, offset: number): number {
  for (;;) {
    // SAFETY: the kernel writes at most `capped(buffer)` bytes into `buffer`, which outlives the call.
    const n = libc().c.pread(fd, buffer, BigInt(capped(buffer)), BigInt(offset));
    if (n >= 0 || libc().errno() !== EINTR) return check(n, "pread");
  }
}

/** write(2) until all is written. */
export function writeAll(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  let rest = bytes;
  while (rest.length > 0) {
    // SAFETY: the kernel reads at most `capped(rest)` bytes of `rest`, which outlives the call.
    const n = libc().c.write(fd, rest, BigInt(capped(rest)));
    if (n < 0 && libc().errno() === EINTR) continue;
    rest = rest.subarray(check(n, "write"));
  }
}

/** pwrite(2), one call; how many bytes went out. */
export function pwrite(fd: number, bytes: Uint8Array<ArrayBuffer>, offset: number): number {
  // SAFETY: the kernel reads at most `capped(bytes)` bytes of `bytes`, which outlives the call.
  return check(libc().c.pwrite(fd, bytes, BigInt(capped(bytes)), BigInt(offset)), "pwrite");
}

/** ftruncate(2). */
export function ftruncate(fd: number, sizeBytes: number): void {
  check(libc().c.ftruncate(fd, BigInt(sizeBytes)), "ftruncate");
}

let memfdExecKnown: boolean | undefined;

/**
 * memfd_create(2). `executable` asks for a file that may be run where the kernel distinguishes (6.3 and later).
 */
export function memfdCreate(name: string, flags: number, executable = false): number {
  const label = cString(name);
  if (executable && memfdExecKnown !== false) {
    // SAFETY: `label` ends with a NUL and lives until the call returns.
    const fd = libc().c.memfd_create(label, flags | MFD_EXEC);
    if (fd >= 0 || libc().errno() !== EINVAL) {
      memfdExecKnown = true;
      return check(fd, "memfd_create");
    }
    memfdExecKnown = false;
  }
  // SAFETY: as above.
  return check(libc().c.memfd_create(label, flags), "memfd_create");
}

/** pipe2(2). */
export function pipe2(flags: number): { readonly readFd: number; readonly writeFd: number } {
  const pair = new Int32Array(2);
  // SAFETY: the kernel writes two ints, and `pair` holds two.
  check(libc().c.pipe2(new Uint8Array(pair.buffer), flags), "pipe2");
  return { readFd: pair[0], writeFd: pair[1] };
}

/** Sets or clears close-on-exec. */
export function setCloseOnExec(fd: number, on: boolean): void {
  check(libc().c.fcntl(fd, F_SETFD, on ? BigInt(FD_CLOEXEC) : 0n), "fcntl");
}

/** kill(2); false when there is no such process. */
export function kill(pid: number, signal: number): boolean {
  const { c, errno } = libc();
  if (c.kill(pid, signal) === 0) return true;
  if (errno() === errnoOf("ESRCH")) return false;
  throw new SyscallError("kill", errno(), `process ${pid}`);
}

/** prctl(2) with number arguments. */
export function prctl(option: number, a = 0, b = 0, c = 0, d = 0): number {
  return check(libc().c.prctl(option, BigInt(a), BigInt(b), BigInt(c), BigInt(d)), "prctl");
}

/** umask(2); the mask before. It is the whole process's: set it once, at start. */
export function umask(mask: number): number {
  return libc().c.umask(mask);
}

/** fchmod(2). */
export function fchmod(fd: number, mode: number): void {
  check(libc().c.fchmod(fd, mode), "fchmod");
}

/** A copy of `fd`, at least `lowest`, that children inherit. */
export function duplicate(fd: number, lowest: number): number {
  return check(libc().c.fcntl(fd, F_DUPFD, BigInt(lowest)), "fcntl", `descriptor ${fd}`);
}

/** This process's soft and hard limit of a resource; what is unlimited is Infinity. */
export function getrlimit(resource: keyof typeof RLIMIT): { readonly soft: number; readonly hard: number } {
  const pair = new BigUint64Array(2);
  // SAFETY: the kernel writes a struct rlimit, two 64-bit numbers on the architectures supported.
  check(libc().c.getrlimit(RLIMIT[resource], new Uint8Array(pair.buffer)), "getrlimit");
  const number = (value: bigint) => value === 0xffff_ffff_ffff_ffffn ? Infinity : Number(value);
  return { soft: number(pair[0]), hard: number(pair[1]) };
}
