/**
 * Killing and removing groups, whatever is in them.
 *
 * @module
 */

import { errnoOf, SyscallError } from "../errno.ts";
import { close } from "../libc.ts";
import { SIGKILL } from "../linux.ts";
import {
  groupsIn,
  openDirectory,
  pause,
  pidfdKill,
  pidfdOpen,
  readFile,
  removeGroup,
  tryWriteFile,
} from "./_calls.ts";
import { parseFlat, parsePids } from "./stat_text.ts";

/** Rounds of finding processes and killing them. Each finds those that were born in the round before. */
const KILL_ROUNDS = 64;
/** How long a v1 freezer may take to hold still what it was told to, looked at a millisecond apart. */
const FREEZE_LOOKS = 50;
/** Killed processes that are gone no sooner are stuck in the kernel, on a dead disk for example. */
const DEATH_MS = 5000;

/** Whether no process is in the group `name` in `dirFd`. A group that is gone is empty. */
export function isGroupEmpty(dirFd: number, name: string, version: "v1" | "v2"): boolean {
  // With version 2 this tells of groups beneath, too, and of processes whose first thread has ended.
  if (version === "v2") return parseFlat(readFile(dirFd, `${name}/cgroup.events`)).get("populated") !== 1;
  return (readFile(dirFd, `${name}/cgroup.procs`) ?? "") === "";
}

/** Kills all processes in the group `name` in `dirFd`. */
export function killGroup(dirFd: number, name: string, version: "v1" | "v2"): void {
  // One write does it since Linux 5.14; forks in the meantime do not escape.
  if (version === "v2" && tryWriteFile(dirFd, `${name}/cgroup.kill`, "1") === 0) return;
  killOneByOne(dirFd, name, version);
}

/** Kills all processes in a group without the kernel's help: first keeps them from forking, then kills each. */
export function killOneByOne(dirFd: number, name: string, version: "v1" | "v2"): void {
  const procs = `${name}/cgroup.procs`;
  // With no process allowed every fork fails, and nothing can escape. Not there: the rounds must do.
  tryWriteFile(dirFd, `${name}/pids.max`, "0");
  if (version === "v2") tryWriteFile(dirFd, `${name}/cgroup.freeze`, "1");
  const frozen = version === "v1" && freezeV1(dirFd, name);
  const signalled = new Set<number>();
  for (let round = 0; round < KILL_ROUNDS; round++) {
    const pids = parsePids(readFile(dirFd, procs)).filter((pid) => !signalled.has(pid));
    if (pids.length === 0) break;
    const handles = pids.flatMap((pid) => {
      const fd = pidfdOpen(pid);
      return fd === undefined ? [] : [{ pid, fd }];
    });
    try {
      // A number read may have become another's before it was opened; one that is still listed has not.
      const still = new Set(parsePids(readFile(dirFd, procs)));
      for (const { pid, fd } of handles) {
        if (!still.has(pid)) continue;
        pidfdKill(fd, SIGKILL);
        signalled.add(pid);
      }
    } finally {
      for (const { fd } of handles) close(fd);
    }
    // In a frozen v1 group nobody dies before the thaw, and nobody is born.
    if (frozen) break;
  }
  if (frozen) tryWriteFile(dirFd, `${name}/freezer.state`, "THAWED");
  if (version === "v2") tryWriteFile(dirFd, `${name}/cgroup.freeze`, "0");
}

function freezeV1(dirFd: number, name: string): boolean {
  if (tryWriteFile(dirFd, `${name}/freezer.state`, "FROZEN") !== 0) return false;
  for (let look = 0; look < FREEZE_LOOKS; look++) {
    if (readFile(dirFd, `${name}/freezer.state`)?.trim() === "FROZEN") break;
    pause(1);
  }
  return true;
}

/** Runs `attempt` again and again until it is true or `limitMs` are over. Blocks. */
export function waitFor(attempt: () => boolean, limitMs: number): boolean {
  const endMs = performance.now() + limitMs;
  for (let waitMs = 1;; waitMs = Math.min(waitMs * 2, 20)) {
    if (attempt()) return true;
    if (performance.now() >= endMs) return false;
    pause(waitMs);
  }
}

/**
 * Kills and removes the group `name` in `dirFd` with all beneath it; false when something in it does not die. Blocks
 * until the processes are gone.
 */
export function destroyGroup(dirFd: number, name: string, version: "v1" | "v2"): boolean {
  killGroup(dirFd, name, version);
  let fd: number;
  try {
    fd = openDirectory(dirFd, name);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === errnoOf("ENOENT")) return true;
    throw error;
  }
  try {
    for (const child of groupsIn(fd)) if (!destroyGroup(fd, child, version)) return false;
  } finally {
    close(fd);
  }
  return waitFor(() => {
    if (removeGroup(dirFd, name)) return true;
    if (!isGroupEmpty(dirFd, name, version)) killGroup(dirFd, name, version);
    return false;
  }, DEATH_MS);
}
