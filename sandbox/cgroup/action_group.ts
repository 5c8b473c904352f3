/**
 * The groups of one action, one in each hierarchy.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { errnoOf, SyscallError } from "../errno.ts";
import { close } from "../libc.ts";
import { makeGroup, openForJoining, readFile, removeGroup, tryWriteFile } from "./_calls.ts";
import { isGroupEmpty, killGroup } from "./group_tree.ts";
import type { Home } from "./home.ts";
import { type LimitWrite, mergeUsage, v1Usage, v1Writes, v2Usage, v2Writes } from "./limit_files.ts";
import type { DeviceNumber } from "./stat_text.ts";
import type { ActionCgroup, CgroupLimits, CgroupUsage, Controller } from "./types.ts";

const ENOENT = errnoOf("ENOENT");

/** What is the same for all actions of a worker. */
export interface ActionGroupContext {
  /** The worker's groups, version 2 first. */
  readonly homes: readonly Home[];
  /** What is limited and counted with version 2. */
  readonly v2Controllers: ReadonlySet<Controller>;
  /** Disks whose rates are limited. */
  readonly disks: readonly DeviceNumber[];
}

/** Writes one limit. @throws {SyscallError} when the kernel refuses it. */
export function applyWrite(dirFd: number, group: string, write: LimitWrite): void {
  const errno = tryWriteFile(dirFd, `${group}/${write.file}`, write.value);
  if (errno === 0 || write.tolerated?.includes(errno)) return;
  if (errno === ENOENT && write.otherwise !== undefined) return applyWrite(dirFd, group, write.otherwise);
  throw new SyscallError("write", errno, `${group}/${write.file}`, `it was given ${write.value}`);
}

function writesFor(home: Home, context: ActionGroupContext, limits: CgroupLimits): LimitWrite[] {
  return home.version === "v2"
    ? v2Writes(context.v2Controllers, limits, context.disks)
    : v1Writes(home.controllers, limits, context.disks);
}

/** Whether an action with these limits has any use for a hierarchy. Each one costs a group to make and to join. */
function isOfUse(home: Home, limits: CgroupLimits): boolean {
  // The processor's v1 controller counts nothing but what its limit held back.
  const onlyCpu = home.version === "v1" && home.controllers.every((name) => name === "cpu");
  return !onlyCpu || limits.cpuMillis !== undefined;
}

/** The groups of one action. */
export class ActionGroup implements ActionCgroup {
  readonly #name: string;
  readonly #context: ActionGroupContext;
  readonly #homes: Home[];
  readonly #onRemoved: () => void;
  #joinFds: readonly number[] = [];

  /** Makes them; on failure nothing is left. `name` is that of the group in each hierarchy. */
  constructor(name: string, limits: CgroupLimits, context: ActionGroupContext, onRemoved: () => void) {
    this.#name = name;
    this.#context = context;
    this.#homes = [];
    this.#onRemoved = onRemoved;
    const fds: number[] = [];
    this.#joinFds = fds;
    try {
      for (const home of context.homes) {
        if (!isOfUse(home, limits)) continue;
        if (!makeGroup(home.fd, name)) {
          throw new BrokkrError(Code.ALREADY_EXISTS, `There is a control group ${home.name}/${name} already`);
        }
        this.#homes.push(home);
        for (const write of writesFor(home, context, limits)) applyWrite(home.fd, name, write);
        fds.push(openForJoining(home.fd, `${name}/cgroup.procs`));
      }
    } catch (error) {
      this.closeJoinFds();
      for (const home of this.#homes) removeGroup(home.fd, name);
      throw error;
    }
  }

  /** @inheritdoc */
  get joinFds(): readonly number[] {
    return this.#joinFds;
  }

  /** @inheritdoc */
  closeJoinFds(): void {
    const fds = this.#joinFds;
    this.#joinFds = [];
    for (const fd of fds) close(fd);
  }

  /** @inheritdoc */
  usage(): CgroupUsage {
    return mergeUsage(this.#homes.map((home) => {
      const read = (file: string) => readFile(home.fd, `${this.#name}/${file}`);
      return home.version === "v2"
        ? v2Usage(this.#context.v2Controllers, read)
        : v1Usage(home.controllers, read);
    }));
  }

  /** @inheritdoc */
  isEmpty(): boolean {
    const [first] = this.#homes;
    return first === undefined || isGroupEmpty(first.fd, this.#name, first.version);
  }

  /** @inheritdoc */
  kill(): void {
    for (const home of this.#homes) {
      killGroup(home.fd, this.#name, home.version);
      // The kernel's own way leaves nobody who could be in another hierarchy only.
      if (home.version === "v2") return;
    }
  }

  /** @inheritdoc */
  remove(): void {
    this.closeJoinFds();
    if (this.#homes.length === 0) return;
    // The first is the one that tells whether it is empty: last, for as long as it is there it can be asked.
    for (const home of this.#homes.toReversed()) {
      if (!removeGroup(home.fd, this.#name)) {
        throw new BrokkrError(
          Code.FAILED_PRECONDITION,
          `The control group ${home.name}/${this.#name} cannot be removed while processes are in it; kill it and ` +
            "wait until it is empty",
        );
      }
      this.#homes.pop();
    }
    this.#onRemoved();
  }
}
