/**
 * What a directory takes on disk. The directory is an action's, which may still be at work in it, and may not want to be
 * counted: names of any bytes, trees of any depth, directories closed to everyone, links in place of directories.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { DIRENT_BUFFER_BYTES, parseEntries } from "./_dirents.ts";
import { currentArch } from "./arch.ts";
import { SyscallError } from "./errno.ts";
import { chmod, type FileStat, getdents64, openat, openPath, statx } from "./file_calls.ts";
import { close, fchmod } from "./libc.ts";
import { AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_NONBLOCK, O_PATH, O_RDONLY } from "./linux.ts";

/** Bytes and inodes. */
export interface DiskUse {
  /** Bytes. */
  readonly bytes: number;
  /** Files, directories and links; several hard links to one file are one. */
  readonly inodes: number;
}

/** Of a tree that is made so that it cannot be counted. */
const UNCOUNTABLE: DiskUse = { bytes: Infinity, inodes: Infinity };
/** Directories open at once. Only such count as have several below them: a chain of any length takes one. */
const MAX_OPEN_DIRECTORIES = 128;
/** What the owner of a directory needs to look into it. */
const OWNER_LIST = 0o500;

/** Whether `use` is more than `limit`. */
export function exceeds(use: DiskUse, limit: DiskUse): boolean {
  return use.bytes > limit.bytes || use.inodes > limit.inodes;
}

/**
 * What a directory takes on disk, as du(1) counts it: blocks, each file once, no link followed. Directories that are
 * closed to their owner, who is this process's user, are opened for as long as they are looked at.
 *
 * @param limit counting ends once there is more than this.
 * @param signal ends it, too; what was opened is closed again.
 * @returns Infinity for a tree that is made so that it cannot be counted.
 */
export async function diskUse(
  path: string,
  limit: DiskUse = UNCOUNTABLE,
  signal?: AbortSignal,
): Promise<DiskUse> {
  using count = new Count(limit, signal);
  return await count.run(path);
}

interface Frame {
  readonly fd: number;
  /** The mode it had, where it had to be opened. */
  readonly closedMode: number | undefined;
  /** Directories in it that were not looked at yet. */
  readonly directories: Uint8Array<ArrayBuffer>[];
}

class Count implements Disposable {
  readonly #limit: DiskUse;
  readonly #slices: Slices;
  readonly #buffer = new Uint8Array(DIRENT_BUFFER_BYTES);
  readonly #open: Frame[] = [];
  /** Inodes with several links, which are all on one file system. */
  readonly #linked = new Set<bigint>();
  #bytes = 0;
  #inodes = 0;

  constructor(limit: DiskUse, signal: AbortSignal | undefined) {
    this.#limit = limit;
    this.#slices = new Slices(signal);
  }

  async run(path: string): Promise<DiskUse> {
    try {
      const flags = O_RDONLY | O_CLOEXEC | currentArch().O_DIRECTORY;
      await this.#scan({ fd: openPath(path, flags), closedMode: undefined, directories: [] });
      for (let top = this.#open.at(-1); top !== undefined; top = this.#open.at(-1)) {
        if (exceeds(this.#use, this.#limit)) break;
        const name = top.directories.pop();
        const frame = name === undefined ? undefined : enter(top.fd, name);
        if (top.directories.length === 0) leave(this.#open.pop());
        if (frame !== undefined) await this.#scan(frame);
        if (this.#slices.spent) await this.#slices.next();
        if (this.#open.length > MAX_OPEN_DIRECTORIES) return UNCOUNTABLE;
      }
      return this.#use;
    } catch (error) {
      if (hasErrno(error, "ENOENT")) return this.#use;
      // Somebody closes directories as fast as they are opened here.
      if (hasErrno(error, "EACCES")) return UNCOUNTABLE;
      throw error;
    }
  }

  get #use(): DiskUse {
    return { bytes: this.#bytes, inodes: this.#inodes };
  }

  async #scan(frame: Frame): Promise<void> {
    this.#open.push(frame);
    for (let length; (length = getdents64(frame.fd, this.#buffer)) > 0;) {
      for (const { nameBytes, type } of parseEntries(frame.fd, this.#buffer, length)) {
        this.#add(frame.fd, nameBytes);
        if (type === "directory") frame.directories.push(nameBytes);
        if (this.#slices.spent) await this.#slices.next();
      }
      if (exceeds(this.#use, this.#limit)) return;
    }
  }

  #add(dirFd: number, name: Uint8Array): void {
    let stat: FileStat;
    try {
      stat = statx(dirFd, name, AT_SYMLINK_NOFOLLOW);
    } catch (error) {
      if (hasErrno(error, "ENOENT")) return;
      throw error;
    }
    if (stat.nlink > 1 && stat.type !== "directory") {
      if (this.#linked.has(stat.ino)) return;
      this.#linked.add(stat.ino);
    }
    this.#bytes += stat.allocatedBytes;
    this.#inodes++;
  }

  [Symbol.dispose](): void {
    for (const frame of this.#open) leave(frame);
  }
}

/** Opens a directory; undefined when it has gone, or something else is in its place. */
function enter(parentFd: number, name: Uint8Array): Frame | undefined {
  const { O_DIRECTORY, O_NOFOLLOW } = currentArch();
  const flags = O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW;
  let handle: number | undefined;
  try {
    handle = openat(parentFd, name, O_PATH | flags);
    const { mode } = statx(handle, "");
    // To root nothing is closed.
    const closed = (mode & OWNER_LIST) !== OWNER_LIST && Deno.uid() !== 0;
    // By name it would follow a link that took the directory's place.
    if (closed) chmod(`/proc/self/fd/${handle}`, mode | OWNER_LIST);
    const fd = openat(handle, ".", O_RDONLY | O_NONBLOCK | flags);
    return { fd, closedMode: closed ? mode : undefined, directories: [] };
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  } finally {
    if (handle !== undefined) close(handle);
  }
}

function leave(frame: Frame | undefined): void {
  if (frame === undefined) return;
  try {
    if (frame.closedMode !== undefined) fchmod(frame.fd, frame.closedMode);
  } finally {
    close(frame.fd);
  }
}

function hasErrno(error: unknown, ...names: string[]): boolean {
  return error instanceof SyscallError && names.includes(error.errnoName);
}
