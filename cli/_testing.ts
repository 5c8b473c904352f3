/**
 * Running `brokk` as a process, for tests.
 *
 * @module
 */

import { removeTree } from "@brokkr/sandbox";

/** What a run of `brokk` printed. */
export interface Printed {
  /** Exit code. */
  readonly code: number;
  /** Standard output as text. */
  readonly stdout: string;
  /** Standard error as text. */
  readonly stderr: string;
  /** Standard output as it came. */
  readonly stdoutBytes: Uint8Array;
}

/** How `brokk` is run. */
export interface BrokkOptions {
  /** Where it runs. */
  readonly cwd?: string;
  /** Variables beside PATH, HOME and Deno's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Its standard input; nothing by default. */
  readonly stdin?: "piped";
}

const MAIN = decodeURIComponent(new URL("./main.ts", import.meta.url).pathname);
const KEPT = ["PATH", "HOME", "DENO_DIR", "TMPDIR", "LD_LIBRARY_PATH"];
const decoder = new TextDecoder();

/** The command that runs `brokk` with `args`. */
export function brokkCommand(args: readonly string[], options: BrokkOptions = {}): Deno.Command {
  const env: Record<string, string> = {};
  for (const name of KEPT) {
    const value = Deno.env.get(name);
    if (value !== undefined) env[name] = value;
  }
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--quiet", MAIN, ...args],
    cwd: options.cwd,
    env: { ...env, ...options.env },
    clearEnv: true,
    stdin: options.stdin ?? "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs `brokk` to its end. */
export async function brokk(args: readonly string[], options: BrokkOptions = {}): Promise<Printed> {
  const { code, stdout, stderr } = await brokkCommand(args, options).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr), stdoutBytes: stdout };
}

/** Makes an empty directory for `use` and removes it afterwards. */
export async function inTempDir<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await Deno.makeTempDir({ prefix: "brokkr-cli-" });
  try {
    return await use(directory);
  } finally {
    await removeTree(directory); // a worker's cache in it holds directories that nobody may write
  }
}

/** Waits until something outside of this process has come true; it cannot be awaited. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!await holds()) {
    if (performance.now() > endMs) throw new Error(`Not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a process lives (a zombie does not). */
export async function lives(pid: number): Promise<boolean> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return false;
  }
}

/** Ids of the processes whose command line names `path`. */
export async function processesNaming(path: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    try {
      if ((await Deno.readTextFile(`/proc/${name}/cmdline`)).includes(path)) found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
