/**
 * What a process and those it started hold of the machine: for showing that nothing is left.
 *
 * @module
 */

/** A process as /proc/PID/stat shows it. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** One letter; `Z` has ended and waits to be asked for. */
  readonly state: string;
}

/** Every process of the machine. */
export function processes(): Map<number, Process> {
  const found = new Map<number, Process>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const process = processAt(Number(name));
    if (process !== undefined) found.set(process.pid, process);
  }
  return found;
}

/** One process, if it is there. */
export function processAt(pid: number): Process | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined; // it has gone
  }
  const open = stat.indexOf("(");
  const close = stat.lastIndexOf(")");
  const [state, parent] = stat.slice(close + 2).split(" ");
  return { pid, parent: Number(parent), name: stat.slice(open + 1, close), state };
}

/** All below `root`, those that ended and were not asked for included. */
export function descendants(root: number): Process[] {
  const children = new Map<number, Process[]>();
  for (const process of processes().values()) {
    const siblings = children.get(process.parent);
    if (siblings === undefined) children.set(process.parent, [process]);
    else siblings.push(process);
  }
  const found: Process[] = [];
  const queue = [root];
  for (let pid; (pid = queue.pop()) !== undefined;) {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      queue.push(child.pid);
    }
  }
  return found;
}

/** How many descriptors a process has; -1 when it has gone. */
export function descriptors(pid: number): number {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  } catch {
    return -1;
  }
}

/** What the descriptors of a process are, for saying which one stayed. */
export function descriptorNames(pid: number): string[] {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
      } catch {
        return "gone";
      }
    }).sort();
  } catch {
    return [];
  }
}

/** The mounts that a process sees. */
export function mounts(pid: number): string[] {
  return Deno.readTextFileSync(`/proc/${pid}/mountinfo`).trim().split("\n").sort();
}

/** Resident memory, in bytes, without what is shared with files. */
export function anonymousBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Control groups whose name holds `part`, with all below them. */
export function controlGroups(part: string): string[] {
  const found: string[] = [];
  const look = (path: string, inside: boolean, depth: number) => {
    let entries: Deno.DirEntry[];
    try {
      entries = [...Deno.readDirSync(path)];
    } catch {
      return; // gone in the meantime, or not for this user
    }
    for (const { name, isDirectory } of entries) {
      if (!isDirectory) continue;
      const own = inside || name.includes(part);
      if (own) found.push(`${path}/${name}`);
      if (depth < 6) look(`${path}/${name}`, own, depth + 1);
    }
  };
  look("/sys/fs/cgroup", false, 0);
  return found.sort();
}

const LIBC = {
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const SIGKILL = 9;

let libc: Deno.DynamicLibrary<typeof LIBC> | undefined;

function calls(): Deno.DynamicLibrary<typeof LIBC>["symbols"] {
  libc ??= Deno.dlopen("libc.so.6", LIBC);
  return libc.symbols;
}

/** From now on every orphan below this process becomes its child, so that none can hide. */
export function adoptOrphans(): void {
  if (calls().prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) !== 0) throw new Error("prctl failed");
}

/** Asks for the ends of adopted children that have ended; those in `own` have somebody else who does. */
export function reapOrphans(own: ReadonlySet<number>): void {
  for (const { pid, parent, state } of processes().values()) {
    if (parent !== Deno.pid || state !== "Z" || own.has(pid)) continue;
    // SAFETY: the kernel writes one int, and there is room for it.
    calls().waitpid(pid, new Uint8Array(4), WNOHANG);
  }
}

/** Sends SIGKILL. Whether there was somebody to send it to. */
export function kill9(pid: number): boolean {
  return calls().kill(pid, SIGKILL) === 0;
}

/** Looks again and again until `problem` finds none; what it found last when time is up. */
export async function settled(
  problem: () => string | undefined,
  limitMs = 60_000,
): Promise<string | undefined> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    const found = problem();
    if (found === undefined || performance.now() > endMs) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Numbers that look random and come again with the same seed (xorshift32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed >>> 0) || 1;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    this.#state >>>= 0;
    return this.#state / 2 ** 32;
  }

  /** One of these. */
  of<T>(values: readonly T[]): T {
    return values[Math.floor(this.next() * values.length)];
  }
}
