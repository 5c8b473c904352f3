/**
 * Removing a tree that an action left: read-only directories, deep nesting, any names; no link is followed.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { DIRENT_BUFFER_BYTES, parseEntries } from "./_dirents.ts";
import { currentArch } from "./arch.ts";
import { SyscallError } from "./errno.ts";
import { chmod, getdents64, openat, openPath, renameat, statx, unlinkat } from "./file_calls.ts";
import { close, fchmod } from "./libc.ts";
import { AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_NONBLOCK, O_PATH, O_RDONLY } from "./linux.ts";

/** Directories open at once; what is deeper is moved up to the top first. */
const MAX_OPEN_DIRECTORIES = 64;
/** How often a directory that is not empty after all is gone through again. */
const MAX_ATTEMPTS = 8;

interface Frame {
  readonly fd: number;
  readonly name: Uint8Array<ArrayBuffer>;
  readonly attempt: number;
  /** Directories in it that are still there. */
  readonly directories: Uint8Array<ArrayBuffer>[];
  scanned: boolean;
}

const encoder = new TextEncoder();

function hasErrno(error: unknown, ...names: string[]): error is SyscallError {
  return error instanceof SyscallError && names.includes(error.errnoName);
}

/**
 * Removes a file or a whole tree, in slices that let the event loop run. That nothing is there is fine. Directories the
 * owner made unreadable or read-only are made writable first; symbolic links are removed, never followed.
 *
 * @throws {SyscallError} when something cannot be removed, such as a mount point or another user's file.
 */
export async function removeTree(path: string): Promise<void> {
  const trimmed = path.replace(/\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  const parent = slash < 0 ? "." : trimmed.slice(0, slash) || "/";
  const name = encoder.encode(trimmed.slice(slash + 1));
  let parentFd: number;
  try {
    parentFd = openPath(parent, O_PATH | O_CLOEXEC | currentArch().O_DIRECTORY);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return;
    throw error;
  }
  try {
    if (statx(parentFd, name, AT_SYMLINK_NOFOLLOW, path).type === "directory") {
      await new Remover(parentFd).remove(name);
    } else {
      unlinkat(parentFd, name);
    }
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
  } finally {
    close(parentFd);
  }
}

class Remover {
  readonly #parentFd: number;
  readonly #stack: Frame[] = [];
  readonly #slices = new Slices();
  readonly #buffer = new Uint8Array(DIRENT_BUFFER_BYTES);
  #hoisted = 0;

  constructor(parentFd: number) {
    this.#parentFd = parentFd;
  }

  async remove(name: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      this.#enter(this.#parentFd, name, 0);
      for (let top = this.#stack.at(-1); top !== undefined; top = this.#stack.at(-1)) await this.#step(top);
    } finally {
      for (const frame of this.#stack) close(frame.fd);
    }
  }

  async #step(top: Frame): Promise<void> {
    if (!top.scanned) {
      top.scanned = true;
      await this.#scan(top);
    }
    const next = top.directories.pop();
    if (next !== undefined) {
      if (this.#stack.length >= MAX_OPEN_DIRECTORIES) this.#hoist(top, next);
      else this.#enter(top.fd, next, 0);
      return;
    }
    this.#stack.pop();
    close(top.fd);
    const parentFd = this.#stack.at(-1)?.fd ?? this.#parentFd;
    try {
      unlinkat(parentFd, top.name, AT_REMOVEDIR);
    } catch (error) {
      if (hasErrno(error, "ENOENT")) return;
      // Some file systems skip entries of a directory that shrinks while it is read.
      if (!hasErrno(error, "ENOTEMPTY", "EEXIST") || top.attempt >= MAX_ATTEMPTS) throw error;
      this.#enter(parentFd, top.name, top.attempt + 1);
    }
    if (this.#slices.spent) await this.#slices.next();
  }

  #enter(parentFd: number, name: Uint8Array<ArrayBuffer>, attempt: number): void {
    try {
      const fd = openDirectory(parentFd, name);
      this.#stack.push({ fd, name, attempt, directories: [], scanned: false });
    } catch (error) {
      if (!hasErrno(error, "ENOENT")) throw error;
    }
  }

  async #scan(frame: Frame): Promise<void> {
    for (;;) {
      const length = getdents64(frame.fd, this.#buffer);
      if (length === 0) return;
      // The entries are copies: another removal may use its own buffer meanwhile, and this one is read into again.
      for (const { nameBytes, type } of parseEntries(frame.fd, this.#buffer, length)) {
        if (type === "directory") frame.directories.push(nameBytes);
        else unlinkEntry(frame.fd, nameBytes);
        if (this.#slices.spent) await this.#slices.next();
      }
    }
  }

  /** Moves a directory that lies too deep to the top of the tree, where it waits its turn. */
  #hoist(from: Frame, name: Uint8Array<ArrayBuffer>): void {
    const top = this.#stack[0];
    // Moving a directory rewrites its "..", which needs write permission on it: opening sees to that.
    close(openDirectory(from.fd, name));
    for (;;) {
      const fresh = encoder.encode(`.brokkr-remove-${this.#hoisted++}`);
      try {
        renameat(from.fd, name, top.fd, fresh);
      } catch (error) {
        if (hasErrno(error, "EEXIST", "ENOTEMPTY", "ENOTDIR")) continue;
        throw error;
      }
      top.directories.push(fresh);
      return;
    }
  }
}

const OWNER_ALL = 0o700;

/** Opens a directory for reading and makes sure that its owner may change it. */
function openDirectory(parentFd: number, name: Uint8Array): number {
  const arch = currentArch();
  const flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | arch.O_DIRECTORY | arch.O_NOFOLLOW;
  let fd: number;
  try {
    fd = openat(parentFd, name, flags);
  } catch (error) {
    if (!hasErrno(error, "EACCES")) throw error;
    const handle = openat(parentFd, name, O_PATH | O_CLOEXEC | arch.O_DIRECTORY | arch.O_NOFOLLOW);
    try {
      // Through the handle, since chmod by name would follow a link that took the directory's place.
      chmod(`/proc/self/fd/${handle}`, OWNER_ALL);
    } finally {
      close(handle);
    }
    fd = openat(parentFd, name, flags);
  }
  try {
    if ((statx(fd, "").mode & OWNER_ALL) !== OWNER_ALL) fchmod(fd, OWNER_ALL);
  } catch (error) {
    // Another user's directory; whether that matters shows when something in it is to be removed.
    if (!hasErrno(error, "EPERM")) {
      close(fd);
      throw error;
    }
  }
  return fd;
}

function unlinkEntry(dirFd: number, name: Uint8Array): void {
  try {
    unlinkat(dirFd, name);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
  }
}
