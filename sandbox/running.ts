/**
 * Finds the sandboxes that run on this machine, of whatever worker, by what /proc says of their PID 1.
 *
 * @module
 */

import { INIT_NAME } from "./sandbox_options.ts";

/** A sandbox that runs. */
export interface RunningSandbox {
  /** Process id, on the host, of its PID 1. */
  readonly initPid: number;
  /** Process id, on the host, of the action; absent while there is none. */
  readonly actionPid?: number;
  /** Process id of the worker, or of `brokk sandbox run`. */
  readonly workerPid: number;
  /** The host's user id of the worker. */
  readonly workerUid: number;
  /**
   * Name of its control group, which for a grid's action is its operation's with a number behind; empty where it has no
   * group of its own.
   */
  readonly name: string;
  /** How long it runs. */
  readonly ageMs: number;
  /** The action's program and arguments. */
  readonly argv: readonly string[];
}

/** What is read of a process. */
interface Process {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  readonly uid: number;
  /** Its id in each of the namespaces it is in, the host's first. */
  readonly ids: readonly number[];
}

/** Reads /proc/PID/status. */
export function parseStatus(pid: number, text: string): Process | undefined {
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(text)?.[1];
  const numbers = (name: string) =>
    (field(name) ?? "").split(/\s+/).filter((part) => part !== "").map(Number);
  const [parent] = numbers("PPid");
  const [uid] = numbers("Uid");
  if (parent === undefined || uid === undefined) return undefined;
  return { pid, name: field("Name") ?? "", parent, uid, ids: numbers("NSpid") };
}

/** When a process began, in clock ticks since the machine did: field 22 of /proc/PID/stat. */
export function startTicks(stat: string): number {
  // The name before is in parentheses, and may hold some itself.
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
}

/** Clock ticks in a second: USER_HZ, which is the same for every program on the architectures supported. */
const TICKS_PER_SECOND = 100;

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined; // it has ended, or may not be looked at: for a list both mean that it is not there
  }
}

/**
 * Name of the group that /proc/PID/cgroup shows, given what it shows of the worker: the last part of the longest path that
 * is not the worker's own. Empty when there is none.
 */
export function groupName(text: string, workers: string): string {
  const own = new Set(workers.split("\n"));
  const paths = text.split("\n").filter((line) => !own.has(line)).map((line) =>
    line.split(":").slice(2).join(":")
  );
  const longest = paths.reduce((best, path) => path.length > best.length ? path : best, "");
  return longest.slice(longest.lastIndexOf("/") + 1).replace(/^action-/, "");
}

/** How a list shows the processes of a host. */
interface Table {
  readonly byPid: ReadonlyMap<number, Process>;
  readonly children: ReadonlyMap<number, readonly number[]>;
}

function processes(): Table {
  const byPid = new Map<number, Process>();
  const children = new Map<number, number[]>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = read(`/proc/${name}/status`);
    const found = status === undefined ? undefined : parseStatus(Number(name), status);
    if (found === undefined) continue;
    byPid.set(found.pid, found);
    const siblings = children.get(found.parent);
    if (siblings === undefined) children.set(found.parent, [found.pid]);
    else siblings.push(found.pid);
  }
  return { byPid, children };
}

function isInit({ name, ids }: Process): boolean {
  return name === INIT_NAME && ids.length > 1 && ids.at(-1) === 1;
}

/** The child that began first: orphans that PID 1 took in came later. */
function firstChild(pids: readonly number[]): number | undefined {
  const started = pids.flatMap((pid) => {
    const stat = read(`/proc/${pid}/stat`);
    return stat === undefined ? [] : [{ pid, ticks: startTicks(stat) }];
  });
  return started.sort((a, b) => a.ticks - b.ticks || a.pid - b.pid)[0]?.pid;
}

function describe(init: Process, { byPid, children }: Table): RunningSandbox {
  const actionPid = firstChild(children.get(init.pid) ?? []);
  // PID 1 is the child of a child of the zygote, which is the worker's.
  const zygote = byPid.get(byPid.get(init.parent)?.parent ?? 0);
  const worker = byPid.get(zygote?.parent ?? 0);
  const uptime = Number((read("/proc/uptime") ?? "0").split(" ")[0]);
  const stat = read(`/proc/${init.pid}/stat`);
  const begun = stat === undefined ? uptime : startTicks(stat) / TICKS_PER_SECOND;
  const command = actionPid === undefined ? undefined : read(`/proc/${actionPid}/cmdline`);
  return {
    initPid: init.pid,
    ...(actionPid === undefined ? {} : { actionPid }),
    workerPid: worker?.pid ?? 0,
    workerUid: worker?.uid ?? init.uid,
    name: groupName(read(`/proc/${init.pid}/cgroup`) ?? "", read(`/proc/${worker?.pid ?? 0}/cgroup`) ?? ""),
    ageMs: Math.max(0, Math.round((uptime - begun) * 1000)),
    argv: command === undefined || command === "" ? [] : command.replace(/\0$/, "").split("\0"),
  };
}

/**
 * The sandboxes that run on this machine and that this user may see, the oldest first. Whoever may start processes can
 * make one look like a sandbox: this is for people to read.
 */
export function runningSandboxes(): readonly RunningSandbox[] {
  const table = processes();
  return [...table.byPid.values()].filter(isInit).map((init) => describe(init, table))
    .sort((a, b) => b.ageMs - a.ageMs || a.initPid - b.initPid);
}
