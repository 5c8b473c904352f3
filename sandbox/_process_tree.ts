/**
 * Finding and ending the processes below another one through /proc. Needed only where there are no PID namespaces.
 *
 * @module
 */

import { currentArch } from "./arch.ts";
import { errnoOf, SyscallError } from "./errno.ts";
import { getdents64, openPath } from "./file_calls.ts";
import { close, kill, read } from "./libc.ts";
import { O_CLOEXEC, O_RDONLY, SIGKILL, SIGSTOP } from "./linux.ts";

const decoder = new TextDecoder();
const scratch = new Uint8Array(64 * 1024);
const scratchView = new DataView(scratch.buffer);
const GONE: ReadonlySet<number> = new Set([errnoOf("ENOENT"), errnoOf("ESRCH")]);
/** Rounds of stopping before the killing starts; each finds what the round before let slip. */
const FREEZE_ROUNDS = 8;

/** Runs `fn`, or gives undefined when the process it looks at has gone. */
function unlessGone<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch (error) {
    if (error instanceof SyscallError && GONE.has(error.errno)) return undefined;
    throw error;
  }
}

function readText(path: string): string | undefined {
  return unlessGone(() => {
    const fd = openPath(path, O_RDONLY | O_CLOEXEC);
    try {
      let text = "";
      for (;;) {
        const n = read(fd, scratch);
        if (n === 0) return text;
        text += decoder.decode(scratch.subarray(0, n));
      }
    } finally {
      close(fd);
    }
  });
}

function numericNames(path: string): number[] {
  return unlessGone(() => {
    const found: number[] = [];
    const fd = openPath(path, O_RDONLY | O_CLOEXEC | currentArch().O_DIRECTORY);
    try {
      for (;;) {
        const n = getdents64(fd, scratch);
        if (n === 0) return found;
        for (let at = 0; at < n; at += scratchView.getUint16(at + 16, true)) {
          let value = 0;
          let cursor = at + 19;
          while (scratch[cursor] >= 0x30 && scratch[cursor] <= 0x39) {
            value = value * 10 + scratch[cursor++] - 0x30;
          }
          if (scratch[cursor] === 0 && value > 0) found.push(value);
        }
      }
    } finally {
      close(fd);
    }
  }) ?? [];
}

/** What /proc says of a process. */
export interface ProcessState {
  /** One letter: `Z` is dead but not reaped, `T` stopped. */
  readonly state: string;
  /** Its parent. */
  readonly parent: number;
  /** Its session. */
  readonly session: number;
}

/** State of a process, or undefined when there is none. */
export function processState(pid: number): ProcessState | undefined {
  const text = readText(`/proc/${pid}/stat`);
  // The name, in parentheses, may hold anything, including parentheses.
  const rest = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  if (rest === undefined || rest.length < 4) return undefined;
  return { state: rest[0], parent: Number(rest[1]), session: Number(rest[3]) };
}

/** Whether a process is there and not merely waiting to be reaped. */
export function isAlive(pid: number): boolean {
  return !isDead(processState(pid));
}

function isDead(process: ProcessState | undefined): boolean {
  return process === undefined || process.state === "Z" || process.state === "X";
}

/** The living processes of a session. */
export function sessionMembers(session: number): number[] {
  return numericNames("/proc").filter((pid) => {
    const process = processState(pid);
    return process?.session === session && !isDead(process);
  });
}

let childrenFiles: boolean | undefined;

function childrenOf(pid: number): number[] {
  return numericNames(`/proc/${pid}/task`).flatMap((thread) =>
    (readText(`/proc/${pid}/task/${thread}/children`) ?? "").split(" ").filter(Boolean).map(Number)
  );
}

function childrenByScan(): (pid: number) => number[] {
  const children = new Map<number, number[]>();
  for (const pid of numericNames("/proc")) {
    const parent = processState(pid)?.parent;
    if (parent === undefined) continue;
    const list = children.get(parent);
    if (list === undefined) children.set(parent, [pid]);
    else list.push(pid);
  }
  return (pid) => children.get(pid) ?? [];
}

/** All processes below `root`, dead ones that nobody reaped included, `root` not. */
export function descendants(root: number): number[] {
  // The children files are there with CONFIG_PROC_CHILDREN; without it every process is looked at.
  childrenFiles ??= readText("/proc/thread-self/children") !== undefined;
  const children = childrenFiles ? childrenOf : childrenByScan();
  const found = new Set<number>();
  const queue = [root];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    for (const child of children(pid)) {
      if (found.has(child) || child === root) continue;
      found.add(child);
      queue.push(child);
    }
  }
  return [...found];
}

/**
 * One pass against everything below `root`: stops what it finds until nothing new appears, so that nothing forks
 * away, then kills it. How many it found. A pass may miss a process; the caller repeats until none is left.
 */
export function killDescendants(root: number): number {
  const stopped = new Set<number>();
  for (let round = 0; round < FREEZE_ROUNDS; round++) {
    const fresh = descendants(root).filter((pid) => !stopped.has(pid));
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      stopped.add(pid);
      signal(pid, SIGSTOP);
    }
  }
  for (const pid of stopped) signal(pid, SIGKILL);
  return stopped.size;
}

/** Signals a process; one that has gone or changed its user away is passed over. */
function signal(pid: number, number: number): void {
  try {
    kill(pid, number);
  } catch (error) {
    if (!(error instanceof SyscallError && error.errnoName === "EPERM")) throw error;
  }
}
