/**
 * Where a worker's groups go in a version 2 hierarchy, and how controllers get there.
 *
 * A group with processes of its own cannot hand controllers on ("no internal processes", cgroup-v2.rst of the kernel).
 * In a group that was delegated to it the worker therefore first moves itself into a leaf; actions become its
 * neighbours:
 *
 * ```text
 * <own group, delegated>      hands controllers on; nobody is in it
 * `-- brokkr-NAME             hands them on, too; locked
 *     |-- worker              this process and its helpers
 *     `-- action-ID           one action
 * ```
 *
 * As root with a group that nobody delegated, `brokkr-NAME` lies at the top, and the worker stays where it is.
 *
 * @module
 */

import { errnoName, errnoOf, SyscallError } from "../errno.ts";
import { AT_FDCWD } from "../linux.ts";
import { hasTrueAttribute, makeGroup, readFile, tryWriteFile, writeFile } from "./_calls.ts";
import { waitFor } from "./group_tree.ts";
import { type Ground, groundAt, type Home, LEAF, leaveHome, PREFIX, slotName, takeHome } from "./home.ts";
import type { Cause } from "./missing.ts";
import { parseMemberships, pathAt, type Place } from "./proc_files.ts";
import { parsePids } from "./stat_text.ts";
import type { Controller } from "./types.ts";

/** All of them. */
export const CONTROLLERS: readonly Controller[] = ["cpu", "memory", "pids", "io"];
/** How long other workers that start in the same group at the same time get to move out of it. */
const SETTLE_MS = 300;

/** How many groups are tried, of which others that start at the same time may hold some. */
const STEP_ASIDE_SLOTS = 8;

/** Where the groups of a worker go. */
export interface V2Ground extends Ground {
  /** Whether the worker must move itself into a leaf for its base to hand controllers on. */
  readonly leaf: boolean;
}

/** What decides where the groups go. */
export interface V2Facts {
  /** The hierarchy. */
  readonly place: Place;
  /** Whether this process is root. */
  readonly root: boolean;
  /** Whether its own group says that it was delegated. */
  readonly delegated: boolean;
  /** Whether what is mounted is the very root of the hierarchy, which may have processes and hand controllers on. */
  readonly trueRoot: boolean;
}

/** Decides where the groups go. Pure. */
export function chooseV2Ground({ place, root, delegated, trueRoot }: V2Facts): V2Ground {
  const inLeaf = leafBase(place.ownPath);
  // Another worker, or the command that started this one, has moved it: its base is ours, and we are out of the way.
  if (inLeaf !== undefined) return { ...groundAt(place, inLeaf), leaf: false };
  if (place.ownPath === "/") return { ...groundAt(place, "/"), leaf: !trueRoot };
  if (root && !delegated && trueRoot) return { ...groundAt(place, "/"), leaf: false };
  return { ...groundAt(place, place.ownPath), leaf: true };
}

/** The base, when `path` is the leaf of a worker. */
export function leafBase(path: string): string | undefined {
  const match = /^(.*)\/([^/]+)\/([^/]+)$/.exec(path);
  if (match === null || match[3] !== LEAF || !match[2].startsWith(PREFIX)) return undefined;
  return match[1] === "" ? "/" : match[1];
}

/** Looks the facts up and decides. */
export function v2GroundOf(place: Place): V2Ground {
  const own = pathAt(place, place.ownPath);
  const delegated = ["trusted.delegate", "user.delegate"].some((name) => hasTrueAttribute(own, name));
  return chooseV2Ground({
    place,
    root: Deno.uid() === 0,
    delegated,
    trueRoot: readFile(AT_FDCWD, `${place.mountPoint}/cgroup.type`) === undefined,
  });
}

/** Words in a file of a group. */
function wordsOf(dirFd: number, file: string): string[] {
  return (readFile(dirFd, file) ?? "").split(/\s+/).filter((word) => word !== "");
}

/** What a home has in the end, why it lacks the rest, and how to undo it. */
export interface Enabled {
  /** What can be limited and counted. */
  readonly controllers: ReadonlySet<Controller>;
  /** Why others cannot. */
  readonly causes: ReadonlyMap<Controller, Cause>;
  /** Moves this process back to where it was, as far as that can be done. */
  undo(): void;
}

/** Brings all controllers that can be had to the groups below `home`. */
export function enableControllers(home: Home, ground: V2Ground): Enabled {
  const causes = new Map<Controller, Cause>();
  const offered = wordsOf(home.baseFd, "cgroup.controllers");
  const wanted = CONTROLLERS.filter((name) => offered.includes(name));
  for (const name of CONTROLLERS) {
    if (!offered.includes(name)) causes.set(name, notOffered(ground));
  }
  const before = wordsOf(home.baseFd, "cgroup.subtree_control");
  const lacking = wanted.filter((name) => !before.includes(name));
  let undo = () => {};
  if (lacking.length > 0) {
    const move = ground.leaf ? moveIntoLeaf(home) : {};
    if (move.cause !== undefined) {
      for (const name of lacking) causes.set(name, move.cause);
    } else {
      handOn(home.baseFd, ground.basePath, lacking, causes);
      if (ground.leaf) undo = () => moveBack(home, lacking);
    }
  }
  const here = wanted.filter((name) => !causes.has(name));
  handOn(home.fd, `${ground.basePath}/${home.name}`, here, causes);
  return { controllers: new Set(here.filter((name) => !causes.has(name))), causes, undo };
}

function notOffered(ground: V2Ground): Cause {
  const topmost = readFile(AT_FDCWD, `${ground.basePath}/cgroup.type`) === undefined;
  return topmost ? { kind: "absent" } : { kind: "not-delegated", path: ground.basePath };
}

/** Moves this process into the leaf below its home. */
function moveIntoLeaf(home: Home): { readonly cause?: Cause } {
  try {
    makeGroup(home.fd, LEAF);
    writeFile(home.fd, `${LEAF}/cgroup.procs`, "0");
    return {};
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return { cause: { kind: "denied", path: home.basePath, version: "v2", error: error.errnoName } };
  }
}

/** Moves this process back into its base, which for that must not hand on what only this worker made it hand on. */
function moveBack(home: Home, enabled: readonly Controller[]): void {
  for (const name of enabled) tryWriteFile(home.fd, "cgroup.subtree_control", `-${name}`);
  const own = parseMemberships(readFile(AT_FDCWD, "/proc/self/cgroup") ?? "").find(({ unified }) => unified);
  // Somebody else has moved it since: not ours to move any more.
  if (own === undefined || !own.path.endsWith(`/${home.name}/${LEAF}`)) return;
  // Refused while other workers are here. Then this one stays in its leaf to its end.
  for (const name of enabled) {
    if (tryWriteFile(home.baseFd, "cgroup.subtree_control", `-${name}`) !== 0) break;
  }
  if (tryWriteFile(home.baseFd, "cgroup.procs", "0") === 0) return;
  for (const name of enabled) tryWriteFile(home.baseFd, "cgroup.subtree_control", `+${name}`);
}

/** Makes a group hand on controllers, and notes why it does not. */
function handOn(
  dirFd: number,
  path: string,
  controllers: readonly Controller[],
  causes: Map<Controller, Cause>,
): void {
  let patienceMs = SETTLE_MS;
  for (const name of controllers) {
    let errno = 0;
    waitFor(() => {
      errno = tryWriteFile(dirFd, "cgroup.subtree_control", `+${name}`);
      return errno !== errnoOf("EBUSY");
    }, patienceMs);
    patienceMs = 0;
    if (errno !== 0) causes.set(name, whyNot(dirFd, path, name, errno));
  }
}

function whyNot(dirFd: number, path: string, controller: Controller, errno: number): Cause {
  const processes = errno === errnoOf("EBUSY") ? processesIn(dirFd) : [];
  if (processes.length > 0) return { kind: "busy", path, processes };
  if (errno === errnoOf("EACCES") || errno === errnoOf("EPERM") || errno === errnoOf("EROFS")) {
    return { kind: "denied", path, version: "v2", error: errnoName(errno) };
  }
  return {
    kind: "other",
    reason: `The control group ${path} does not hand the ${controller} controller on (${errnoName(errno)})`,
  };
}

/** The processes in a group, as a person would look for them: command and number. */
function processesIn(dirFd: number): string[] {
  const pids = (readFile(dirFd, "cgroup.procs") ?? "").split("\n").filter((line) => line !== "");
  const visible = parsePids(pids.join("\n")).map((pid) => {
    const command = commandOf(pid);
    return command === undefined ? `process ${pid}` : `${command} ${pid}`;
  });
  return pids.length > visible.length
    ? [...visible, `${pids.length - visible.length} of another PID namespace`]
    : visible;
}

function commandOf(pid: number): string | undefined {
  try {
    return readFile(AT_FDCWD, `/proc/${pid}/comm`)?.trim();
  } catch (error) {
    if (error instanceof SyscallError) return undefined; // it has just ended
    throw error;
  }
}

/**
 * Moves this process into a leaf of its own, when its group could hand controllers on if only it were not in it.
 * Whether it did.
 */
export function stepAsideIn(place: Place, stem: string): boolean {
  const ground = v2GroundOf(place);
  if (!ground.leaf) return false;
  for (let slot = 0; slot < STEP_ASIDE_SLOTS; slot++) {
    let home: Home | undefined;
    try {
      home = takeHome(ground, slotName(stem, slot));
    } catch (error) {
      if (error instanceof SyscallError) return false; // it may not: whoever opens groups there says so, and why
      throw error;
    }
    if (home === undefined) continue;
    try {
      return moveIntoLeaf(home).cause === undefined;
    } finally {
      // It is held only until somebody is in it: then nobody can remove it any more.
      leaveHome(home);
    }
  }
  return false;
}
