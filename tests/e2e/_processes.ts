/**
 * The processes of this machine, and those that a test starts by hand.
 *
 * @module
 */

const ROOT = new URL("../../", import.meta.url);

/** How a process ended and what it said. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What to start. */
export interface Start {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Words before the command, such as `unshare -m`. */
  readonly before?: readonly string[];
}

/** The command line of `control`, `worker` or `cli`. */
export function commandLine(entry: "control" | "worker" | "cli", args: readonly string[]): string[] {
  const path = (name: string) => decodeURIComponent(new URL(name, ROOT).pathname);
  const flags = ["run", "-A", "--no-prompt", "--quiet", "--config", path("deno.json")];
  return [Deno.execPath(), ...flags, path(`${entry}/main.ts`), ...args];
}

/** This process's environment without what is Brokkr's, and without colours. */
export function plainEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("BROKKR_"));
  return { ...Object.fromEntries(own), NO_COLOR: "1", ...more };
}

/** Starts `control`, `worker` or `cli` (which is `brokk`). */
export function start(entry: "control" | "worker" | "cli", options: Start): Deno.ChildProcess {
  const [program, ...args] = [...(options.before ?? []), ...commandLine(entry, options.args ?? [])];
  return new Deno.Command(program, {
    args,
    env: plainEnvironment(options.env),
    clearEnv: true,
    cwd: options.cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs one of them to its end; it is killed when it takes longer than a minute, which nothing here should. */
export async function run(entry: "control" | "worker" | "cli", options: Start): Promise<Ended> {
  const child = start(entry, options);
  const killer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(killer);
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function readOrNothing(read: () => Promise<string>): Promise<string> {
  try {
    return await read();
  } catch {
    return ""; // it has ended meanwhile, or is another user's
  }
}

/** Processes that have `path` in their command line, environment or working directory: id and command line. */
export async function processesOf(
  path: string,
): Promise<{ readonly pid: number; readonly command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === Deno.pid) continue;
    const [command, environment, cwd] = await Promise.all([
      readOrNothing(() => Deno.readTextFile(`/proc/${pid}/cmdline`)),
      readOrNothing(() => Deno.readTextFile(`/proc/${pid}/environ`)),
      readOrNothing(() => Deno.readLink(`/proc/${pid}/cwd`)),
    ]);
    if ([command, environment, cwd].some((each) => each.includes(path))) {
      found.push({ pid, command: command.replaceAll("\0", " ").trim() });
    }
  }
  return found;
}

/** Waits until no process has to do with `path`; throws with what is left after `limitMs`. */
export async function noProcessOf(path: string, limitMs = 15_000): Promise<void> {
  const until = performance.now() + limitMs;
  for (;;) {
    const left = await processesOf(path);
    if (left.length === 0) return;
    if (performance.now() > until) throw new Error(`Still there: ${JSON.stringify(left)}`);
    // Processes of others end without telling us.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Everything below a directory, links not followed; nothing when it is not there. */
export async function everythingBelow(path: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      found.push(`${path}/${name}`);
      if (isDirectory) found.push(...await everythingBelow(`${path}/${name}`));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}
