/**
 * Mount system calls and what goes with them, through the C library.
 *
 * @module
 */

import { check, cString, libc } from "./_libc.ts";
import { currentArch } from "./arch.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  MOUNT_ATTR_IDMAP,
  O_CLOEXEC,
  OPEN_TREE_CLONE,
} from "./linux.ts";

/**
 * open_tree(2): a copy of what is mounted at `path` and below, mounted nowhere. Needs CAP_SYS_ADMIN.
 *
 * @returns its descriptor, close-on-exec.
 */
export function copyTree(path: string): number {
  const name = cString(path);
  const flags = OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC;
  // SAFETY: `name` ends with a NUL and lives until the call returns.
  return check(
    libc().c.open_tree(currentArch().syscalls.open_tree, AT_FDCWD, name, flags),
    "open_tree",
    path,
  );
}

/**
 * mount_setattr(2) on a copied tree and all below it.
 *
 * @param attributes MOUNT_ATTR flags to set.
 * @param userFd a user namespace; where given, the tree's owners are shown as it maps them.
 */
export function restrictTree(treeFd: number, attributes: number, path: string, userFd?: number): void {
  const set = BigInt(attributes | (userFd === undefined ? 0 : MOUNT_ATTR_IDMAP));
  const attr = new BigUint64Array([set, 0n, 0n, BigInt(userFd ?? 0)]);
  const empty = cString("");
  const number = currentArch().syscalls.mount_setattr;
  // SAFETY: `empty` ends with a NUL, `attr` is a struct mount_attr of 32 bytes; both live through the call.
  const result = libc().c.mount_setattr(
    number,
    treeFd,
    empty,
    AT_EMPTY_PATH | AT_RECURSIVE,
    new Uint8Array(attr.buffer),
    32n,
  );
  check(result, "mount_setattr", path);
}

/** What a file system has left for an ordinary user. */
export interface FreeSpace {
  /** Bytes. */
  readonly bytes: number;
  /** Inodes; Infinity where it does not count them. */
  readonly inodes: number;
}

/** fstatfs(2). */
export function freeSpace(fd: number): FreeSpace {
  const buffer = new BigUint64Array(15);
  // SAFETY: the kernel writes a struct statfs, 120 bytes on the architectures supported.
  check(libc().c.fstatfs(fd, new Uint8Array(buffer.buffer)), "fstatfs");
  const [, blockBytes, , , available, files, freeFiles] = buffer;
  return { bytes: Number(blockBytes * available), inodes: files === 0n ? Infinity : Number(freeFiles) };
}
