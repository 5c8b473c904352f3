/**
 * Opening a worker's control groups on whatever this machine has.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { SyscallError } from "../errno.ts";
import { AT_FDCWD } from "../linux.ts";
import { readFile } from "./_calls.ts";
import { ActionGroup, type ActionGroupContext } from "./action_group.ts";
import { diskOf } from "./disks.ts";
import { waitFor } from "./group_tree.ts";
import {
  type Ground,
  groundAt,
  type Home,
  leaveHome,
  purge,
  purgeBeside,
  slotName,
  stemOf,
  takeHome,
} from "./home.ts";
import { type Cause, CgroupsUnavailable, missingController } from "./missing.ts";
import { findPlaces, parseCgroupMounts, parseMemberships, type Place, type Places } from "./proc_files.ts";
import type { DeviceNumber } from "./stat_text.ts";
import type { ActionCgroup, CgroupLimits, Cgroups, Controller, MissingController } from "./types.ts";
import {
  CONTROLLERS,
  enableControllers,
  type Enabled,
  stepAsideIn,
  type V2Ground,
  v2GroundOf,
} from "./v2_home.ts";

/** How many workers of one name can live in one group at the same time. */
const MAX_SLOTS = 64;
/** How long killed actions get to die when the groups are disposed of. */
const DEATH_MS = 2000;
const ACTION_NAME = /^[A-Za-z0-9_-]{1,100}$/;

/** How control groups are opened. */
export interface CgroupsOptions {
  /** Name of the worker. Groups that a dead worker of the same name left are killed and removed. */
  readonly name: string;
  /** Paths whose disks the limits of reading and writing are for; none are limited without. */
  readonly ioPaths?: readonly string[];
}

/** What v1 calls them. */
const V1_NAME = { cpu: "cpu", memory: "memory", pids: "pids", io: "blkio" } as const;

function findOwnPlaces(): Places {
  const memberships = readFile(AT_FDCWD, "/proc/self/cgroup");
  const mountinfo = readFile(AT_FDCWD, "/proc/self/mountinfo");
  // Without control groups in the kernel there is no such file.
  if (memberships === undefined || mountinfo === undefined) {
    return { places: [], problems: ["This kernel has no control groups, or /proc is not mounted"] };
  }
  return findPlaces(parseMemberships(memberships), parseCgroupMounts(mountinfo));
}

/** The hierarchies of version 1 that are worth a group for each action, given what version 2 does already. */
export function usefulV1(places: readonly Place[], withV2: boolean): Place[] {
  const rank = ({ controllers }: Place) => controllers.includes("pids") ? 0 : 1;
  // The one that can forbid new processes first: killing begins with it.
  const v1 = places.filter(({ version }) => version === "v1").sort((a, b) => rank(a) - rank(b));
  const havePids = v1.some(({ controllers }) => controllers.includes("pids"));
  return v1.filter(({ controllers }) =>
    controllers.some((name) => {
      // Version 2 counts the processor's time by itself.
      if (name === "cpuacct") return !withV2;
      // Needed only to hold still what is to be killed. Version 2 kills at once, and without a process to spare
      // nothing escapes.
      if (name === "freezer") return !withV2 && !havePids;
      return true;
    })
  );
}

/** What was taken of the grounds that there are. */
interface Taken {
  readonly homes: readonly Home[];
  readonly denied: readonly { readonly ground: Ground; readonly error: SyscallError }[];
}

/** Takes the group `name` on every ground; undefined when any of them is another's. */
function takeAll(grounds: readonly Ground[], name: string): Taken | undefined {
  const homes: Home[] = [];
  const denied: { ground: Ground; error: SyscallError }[] = [];
  let complete = false;
  try {
    for (const ground of grounds) {
      try {
        const home = takeHome(ground, name);
        if (home === undefined) return undefined;
        homes.push(home);
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        denied.push({ ground, error });
      }
    }
    // What an earlier worker left and cannot be killed stays; a number further on is free of it.
    complete = homes.every(({ fd, version }) => purge(fd, version));
    return complete ? { homes, denied } : undefined;
  } finally {
    if (!complete) homes.forEach(leaveHome);
  }
}

function takeSlot(grounds: readonly Ground[], stem: string): Taken {
  for (let slot = 0; slot < MAX_SLOTS; slot++) {
    const taken = takeAll(grounds, slotName(stem, slot));
    if (taken === undefined) continue;
    for (const home of taken.homes) purgeBeside(home, stem);
    return taken;
  }
  throw new BrokkrError(
    Code.RESOURCE_EXHAUSTED,
    `All ${MAX_SLOTS} control groups ${stem}, ${stem}.1, ... are held by living workers of that name`,
  );
}

/** Disks of the paths, or why there are none. */
function findDisks(paths: readonly string[]): { readonly disks: DeviceNumber[]; readonly cause?: Cause } {
  const disks = new Map<string, DeviceNumber>();
  const without: string[] = [];
  for (const path of paths) {
    const disk = diskOf(path);
    if (disk === undefined) without.push(path);
    else disks.set(`${disk.major}:${disk.minor}`, disk);
  }
  if (disks.size > 0 || paths.length === 0) return { disks: [...disks.values()] };
  const reason =
    `${without.join(", ")} is on no disk of this machine whose rate could be limited (a memory, network ` +
    "or stacked file system); put the worker's data on one";
  return { disks: [], cause: { kind: "no-disk", reason } };
}

/** The v2 ground and v1 grounds that this machine has. */
function groundsOf(places: readonly Place[]): { readonly v2?: V2Ground; readonly all: readonly Ground[] } {
  const v2Place = places.find(({ version }) => version === "v2");
  const v2 = v2Place === undefined ? undefined : v2GroundOf(v2Place);
  return { v2, all: v2 === undefined ? v1Grounds(places, false) : [v2, ...v1Grounds(places, true)] };
}

function v1Grounds(places: readonly Place[], withV2: boolean): Ground[] {
  return usefulV1(places, withV2).map((place) => groundAt(place, place.ownPath));
}

/** Why each controller that nobody has is missing. */
function explain(
  has: ReadonlySet<Controller>,
  enabled: Enabled | undefined,
  denied: Taken["denied"],
): MissingController[] {
  return CONTROLLERS.filter((name) => !has.has(name)).map((name) => {
    const refusal = denied.find(({ ground }) => ground.controllers.includes(V1_NAME[name])) ??
      denied.find(({ ground }) => ground.version === "v2");
    const cause: Cause = refusal === undefined ? enabled?.causes.get(name) ?? { kind: "absent" } : {
      kind: "denied",
      path: refusal.ground.basePath,
      version: refusal.ground.version,
      error: refusal.error.errnoName,
    };
    return missingController(name, cause);
  });
}

/**
 * Opens the control groups of a worker: makes a group for it below this process's own, or takes over the one that a
 * dead worker of the same name left, kills what is still in it, and brings there what controllers can be had.
 *
 * With version 2 it may move this process into a group of its own: call it before any other process is started. Blocks
 * for some milliseconds, longer when there is something to be killed.
 *
 * Workers of the same name that live at the same time do not get in each other's way. For several workers below a
 * process that stays where they start, see {@linkcode stepAside}.
 *
 * @throws {CgroupsUnavailable} when no group can be made at all; it says why.
 */
export function openCgroups(options: CgroupsOptions): Cgroups {
  const { places, problems } = findOwnPlaces();
  const { v2, all } = groundsOf(places);
  const stem = stemOf(options.name);
  let taken = takeSlot(all, stem);
  if (v2 !== undefined && taken.homes.every(({ version }) => version === "v1")) {
    // Then version 1 has to do what version 2 would have.
    taken.homes.forEach(leaveHome);
    const again = takeSlot(v1Grounds(places, false), stem);
    taken = { homes: again.homes, denied: [...taken.denied, ...again.denied] };
  }
  const { homes, denied } = taken;
  const v2Home = homes.find(({ version }) => version === "v2");
  const enabled = v2Home !== undefined && v2 !== undefined ? enableControllers(v2Home, v2) : undefined;
  const controllers = new Set<Controller>(enabled?.controllers);
  const v1 = new Set(homes.flatMap((home) => home.controllers));
  for (const name of CONTROLLERS) if (v1.has(V1_NAME[name])) controllers.add(name);
  const missing = explain(controllers, enabled, denied);
  if (homes.length === 0) throw new CgroupsUnavailable(missing, problems);
  const { disks, cause } = findDisks(options.ioPaths ?? []);
  if (cause !== undefined && controllers.has("io")) missing.push(missingController("io", cause));
  return new WorkerCgroups({
    context: { homes, v2Controllers: enabled?.controllers ?? new Set(), disks },
    version: v1.size > 0 ? "v1" : "v2",
    controllers,
    missing,
    undo: () => enabled?.undo(),
  });
}

/**
 * Moves this process out of its control group when that was delegated to it, so that the group can hand controllers on
 * to the workers that this process starts. For a command that starts workers and stays; before it starts anything. Does
 * nothing where there is nothing to be gained. Whether it moved.
 */
export function stepAside(name: string): boolean {
  const place = findOwnPlaces().places.find(({ version }) => version === "v2");
  return place !== undefined && stepAsideIn(place, stemOf(name));
}

/** Throws unless all limits are whole numbers above 0. */
function checkLimits(limits: CgroupLimits): void {
  for (const [name, value] of Object.entries(limits)) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value <= 0)) {
      throw new BrokkrError(
        Code.INVALID_ARGUMENT,
        `A control group's ${name} must be a whole number above 0, and is ${value}`,
      );
    }
  }
}

interface WorkerCgroupsParts {
  readonly context: ActionGroupContext;
  readonly version: "v1" | "v2";
  readonly controllers: ReadonlySet<Controller>;
  readonly missing: readonly MissingController[];
  readonly undo: () => void;
}

class WorkerCgroups implements Cgroups {
  readonly version: "v1" | "v2";
  readonly controllers: ReadonlySet<Controller>;
  readonly missing: readonly MissingController[];
  readonly #parts: WorkerCgroupsParts;
  readonly #live = new Set<ActionGroup>();
  #disposed = false;

  constructor(parts: WorkerCgroupsParts) {
    this.#parts = parts;
    this.version = parts.version;
    this.controllers = parts.controllers;
    this.missing = parts.missing;
  }

  create(name: string, limits: CgroupLimits): ActionCgroup {
    if (this.#disposed) {
      throw new BrokkrError(Code.FAILED_PRECONDITION, "The worker's control groups are disposed of");
    }
    if (!ACTION_NAME.test(name)) {
      throw new BrokkrError(
        Code.INVALID_ARGUMENT,
        `The name of an action's control group must be 1 to 100 letters, digits, "_" or "-", and is ${
          JSON.stringify(name)
        }`,
      );
    }
    checkLimits(limits);
    const group: ActionGroup = new ActionGroup(
      `action-${name}`,
      limits,
      this.#parts.context,
      () => this.#live.delete(group),
    );
    this.#live.add(group);
    return group;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const left = [...this.#live];
    for (const group of left) group.kill();
    for (const group of left) {
      // What does not die keeps its groups; the next worker of this name looks after them.
      if (waitFor(() => group.isEmpty(), DEATH_MS)) group.remove();
      else group.closeJoinFds();
    }
    this.#parts.undo();
    this.#parts.context.homes.forEach(leaveHome);
  }
}
