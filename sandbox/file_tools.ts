/**
 * Small things for laying out input trees: exact modes and exact times.
 *
 * @module
 */

import { currentArch } from "./arch.ts";
import { futimens, linkat, openPath, utimensat } from "./file_calls.ts";
import { close, fchmod, writeAll } from "./libc.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from "./linux.ts";

/**
 * Sets access and modification time, in nanoseconds since 1970, of a file, a directory, or a symbolic link itself.
 *
 * @throws {SyscallError} such as ENOENT or EPERM.
 */
export function setMtime(path: string, mtimeNs: bigint): void {
  utimensat(AT_FDCWD, path, mtimeNs, AT_SYMLINK_NOFOLLOW);
}

/**
 * Makes a hard link.
 *
 * @throws {SyscallError} EMLINK when the file has as many links as its file system takes, EXDEV and EPERM where it cannot
 * be linked from there.
 */
export function linkFile(from: string, to: string): void {
  linkat(AT_FDCWD, from, AT_FDCWD, to);
}

/** What {@linkcode createFile} gives a file. */
export interface CreateFileOptions {
  /** Permission bits, exactly these whatever the umask is. */
  readonly mode: number;
  /** Access and modification time, nanoseconds since 1970; now by default. */
  readonly mtimeNs?: bigint;
}

/**
 * Makes a new file with this content, mode and time in one go. Synchronous: keep the content below a megabyte or so.
 *
 * @throws {SyscallError} EEXIST when something has that name, a dangling link included.
 */
export function createFile(path: string, content: Uint8Array<ArrayBuffer>, options: CreateFileOptions): void {
  const fd = openPath(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | currentArch().O_NOFOLLOW, 0o600);
  try {
    writeAll(fd, content);
    fchmod(fd, options.mode);
    if (options.mtimeNs !== undefined) futimens(fd, options.mtimeNs);
  } finally {
    close(fd);
  }
}
