/**
 * A worker's own group in one hierarchy, under which the groups of its actions lie.
 *
 * Its directory is locked with flock(2) for as long as its worker lives, and the kernel lets go of the lock however the
 * worker dies. So a group that is locked belongs to somebody alive and is left alone, and one that is not is a
 * leftover.
 *
 * @module
 */

import { statx } from "../file_calls.ts";
import { close } from "../libc.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../linux.ts";
import { errnoOf, SyscallError } from "../errno.ts";
import { groupsIn, makeGroup, openDirectory, removeGroup, tryLock } from "./_calls.ts";
import { destroyGroup, killGroup } from "./group_tree.ts";
import type { Place, V1Name } from "./proc_files.ts";
import { pathAt } from "./proc_files.ts";

/** Begins the name of every group that is ours. */
export const PREFIX = "brokkr-";
/** The group that a worker itself is in, where it must not be among those that hand controllers on. */
export const LEAF = "worker";

/** A hierarchy, and the group in it under which a worker may have its own. */
export interface Ground {
  /** Version of its interface. */
  readonly version: "v1" | "v2";
  /** Controllers by their v1 names; empty with v2. */
  readonly controllers: readonly V1Name[];
  /** The group under which ours are made, as a path of the file system. */
  readonly basePath: string;
}

/** A worker's group in one hierarchy. */
export interface Home extends Ground {
  /** The group above. */
  readonly baseFd: number;
  /** Its name there. */
  readonly name: string;
  /** The group itself; the lock hangs on it. */
  readonly fd: number;
}

/** The ground at a group of a place. */
export function groundAt(place: Place, groupPath: string): Ground {
  return { version: place.version, controllers: place.controllers, basePath: pathAt(place, groupPath) };
}

function sameDirectory(fd: number, baseFd: number, name: string): boolean {
  try {
    const [held, there] = [statx(fd, ""), statx(baseFd, name, AT_SYMLINK_NOFOLLOW)];
    return held.ino === there.ino && held.dev === there.dev;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === errnoOf("ENOENT")) return false;
    throw error;
  }
}

/** Opens and locks the group `name`; undefined when it is another's, or has just gone. */
function lockGroup(baseFd: number, name: string): number | undefined {
  let fd: number;
  try {
    fd = openDirectory(baseFd, name);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === errnoOf("ENOENT")) return undefined;
    throw error;
  }
  // Its owner may have removed it, and somebody made a new one, between opening and locking.
  if (tryLock(fd) && sameDirectory(fd, baseFd, name)) return fd;
  close(fd);
  return undefined;
}

/**
 * Makes and locks the group `name` on a ground, or takes over one that nobody holds; undefined when it is another's.
 *
 * @throws {SyscallError} when groups cannot be made there.
 */
export function takeHome(ground: Ground, name: string): Home | undefined {
  const baseFd = openDirectory(AT_FDCWD, ground.basePath);
  let fd: number | undefined;
  try {
    makeGroup(baseFd, name);
    fd = lockGroup(baseFd, name);
  } finally {
    if (fd === undefined) close(baseFd);
  }
  return fd === undefined ? undefined : { ...ground, baseFd, name, fd };
}

/** Gives a home back: removes it when it is empty, and lets go of the lock. */
export function leaveHome(home: Home): void {
  removeGroup(home.fd, LEAF);
  removeGroup(home.baseFd, home.name);
  close(home.fd);
  close(home.baseFd);
}

/**
 * Kills and removes all that an earlier worker left in a group that this process holds. The group that workers
 * themselves are in is only removed, if nobody is in it. False when something does not die.
 */
export function purge(fd: number, version: "v1" | "v2"): boolean {
  const actions = groupsIn(fd).filter((name) => name !== LEAF);
  // All at once, so that they die at the same time.
  for (const name of actions) killGroup(fd, name, version);
  return actions.every((name) => destroyGroup(fd, name, version));
}

/**
 * Removes what dead workers left beside a home. What those called `stem` left is killed; of others, who may come back
 * and look after it themselves, only what is empty goes.
 */
export function purgeBeside(home: Home, stem: string): void {
  for (const name of groupsIn(home.baseFd)) {
    if (name === home.name || !name.startsWith(PREFIX)) continue;
    const fd = lockGroup(home.baseFd, name);
    if (fd === undefined) continue;
    try {
      if (name === stem || isSlotOf(name, stem)) purge(fd, home.version);
      for (const child of groupsIn(fd)) removeGroup(fd, child);
      removeGroup(home.baseFd, name);
    } finally {
      close(fd);
    }
  }
}

function isSlotOf(name: string, stem: string): boolean {
  return name.startsWith(`${stem}.`) && /^\d+$/.test(name.slice(stem.length + 1));
}

/** Begin of the names of the groups of workers called `name`: what no file system or controller stumbles over. */
export function stemOf(name: string): string {
  return PREFIX + name.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64);
}

/** Name of the group of the `slot`th worker of that name that lives at the same time. */
export function slotName(stem: string, slot: number): string {
  return slot === 0 ? stem : `${stem}.${slot}`;
}
