/**
 * `brokk sandbox run`: one command in the sandbox, with this process's own standard streams.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { humanDuration, humanSize } from "@brokkr/common/units";
import {
  type Bind,
  type CgroupLimits,
  type Cgroups,
  defaultBinds,
  openCgroups,
  removeTree,
  Sandbox,
  type SandboxedProcess,
  type SandboxReport,
  type SandboxRequest,
  type WritableLayer,
} from "@brokkr/sandbox";
import { parseVariable } from "./commands/run.ts";
import { usageError } from "./commands/_shared.ts";
import { ExitError, printError } from "./_exit.ts";
import { copyOut } from "./_sandbox_outputs.ts";
import { writeErr } from "./_terminal.ts";

/** What the command's flags say. */
export interface SandboxRunFlags {
  readonly input: string | false;
  readonly output?: readonly string[];
  readonly outputDir: string;
  readonly env?: readonly string[];
  readonly chdir: string;
  readonly timeout?: number;
  readonly memory?: number;
  readonly cpu?: number;
  readonly pids: number;
  readonly network: "none" | "loopback" | "host";
  readonly writable: "memory" | "disk";
  readonly disk?: number;
  readonly bind?: readonly string[];
  readonly aslr: boolean;
  readonly stats?: boolean;
}

const TIMEOUT_EXIT = 124;
const SANDBOX_EXIT = 125;
const NOT_EXECUTABLE_EXIT = 126;
const NOT_FOUND_EXIT = 127;

/** As on Debian; what is not there is passed over. */
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";
/** What makes results the same everywhere, as workers set it. */
const FIXED: Readonly<Record<string, string>> = {
  PATH: DEFAULT_PATH,
  TZ: "UTC",
  LANG: "C.UTF-8",
  SOURCE_DATE_EPOCH: "946684800",
};
/** A layer in memory takes at most this part of the machine's when nothing else is said. */
const LAYER_PART = 4;
const LAYER_INODES = 1_000_000;
/** A layer on disk when nothing else is said. */
const DISK_BYTES = 10 * 1024 ** 3;
/** Nothing is cut off: standard output is the caller's own. */
const NO_LIMIT = 2 ** 50;

/** The environment: what flags say, and what is fixed where they do not. */
export function environmentOf(flags: readonly string[]): readonly (readonly [string, string])[] {
  const given = new Map(flags.map((text) => parseVariable(text, (name) => Deno.env.get(name))));
  const locale = [...given.keys()].some((name) => name.startsWith("LC_"));
  for (const [name, value] of Object.entries(FIXED)) {
    if (!given.has(name) && !(name === "LANG" && locale)) given.set(name, value);
  }
  return [...given];
}

/** Where a program may be, in the order in which it is tried. */
export function candidates(name: string, path: string): readonly string[] {
  if (name.includes("/")) return [name];
  return [...new Set(path.split(":"))].map((entry) => `${entry === "" ? "." : entry}/${name}`);
}

/** `PATH[:INSIDE]` as a bind. */
export function parseBind(text: string): Bind {
  const at = text.indexOf(":/");
  const source = at < 0 ? text : text.slice(0, at);
  const target = at < 0 ? undefined : text.slice(at + 1);
  if (!source.startsWith("/")) throw usageError(`--bind needs an absolute path, not ${JSON.stringify(text)}`);
  return target === undefined ? { source } : { source, target };
}

async function inputOf(flags: SandboxRunFlags, empty: string): Promise<string> {
  if (flags.input === false) return empty;
  let path: string;
  try {
    path = await Deno.realPath(flags.input);
    if (!(await Deno.stat(path)).isDirectory) throw new Error("it is no directory");
  } catch (error) {
    throw new BrokkrError(
      Code.INVALID_ARGUMENT,
      `--input ${flags.input} cannot be used: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
  if (path === "/") throw usageError("--input / would show the command this whole machine; name a directory");
  return path;
}

function limitsOf(flags: SandboxRunFlags): CgroupLimits {
  return {
    pids: flags.pids,
    ...(flags.memory === undefined ? {} : { memoryBytes: flags.memory }),
    ...(flags.cpu === undefined ? {} : { cpuMillis: flags.cpu }),
  };
}

function layerOf(flags: SandboxRunFlags, diskPath: string): WritableLayer {
  if (flags.writable === "disk") {
    return { kind: "disk", path: diskPath, bytes: flags.disk ?? DISK_BYTES, inodes: LAYER_INODES };
  }
  const memory = Math.min(Deno.systemMemoryInfo().total, flags.memory ?? Infinity);
  return { kind: "memory", bytes: flags.disk ?? Math.floor(memory / LAYER_PART), inodes: LAYER_INODES };
}

/** The control groups, or undefined with a word about what cannot be held to. */
async function groups(flags: SandboxRunFlags): Promise<Cgroups | undefined> {
  const asked = [
    ...(flags.memory === undefined ? [] : ["memory"] as const),
    ...(flags.cpu === undefined ? [] : ["cpu"] as const),
  ];
  const warn = (what: string, why: string) =>
    writeErr(`brokk: ${what} is not limited here: ${why}; "brokk doctor" says what mends that\n`);
  try {
    const cgroups = openCgroups({ name: `brokk-${Deno.pid}` });
    for (const name of asked) {
      if (!cgroups.controllers.has(name)) await warn(`--${name}`, "there is no controller for it");
    }
    return cgroups;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    for (const name of asked) await warn(`--${name}`, why);
    return undefined;
  }
}

/** Ends the command when this process is told to end, or time is up. */
class Ending implements Disposable {
  #process: SandboxedProcess | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #handlers = new Map<Deno.Signal, () => void>();
  /** The exit code when the command did not end by itself. */
  exitCode: number | undefined;

  constructor() {
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
      const handler = () => this.#end(code);
      this.#handlers.set(signal, handler);
      Deno.addSignalListener(signal, handler);
    }
  }

  watch(process: SandboxedProcess, timeoutMs: number | undefined): void {
    this.#process = process;
    if (this.exitCode !== undefined) process.kill();
    else if (timeoutMs !== undefined) this.#timer = setTimeout(() => this.#end(TIMEOUT_EXIT), timeoutMs);
  }

  #end(code: number): void {
    this.exitCode ??= code;
    this.#process?.kill();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const [signal, handler] of this.#handlers) Deno.removeSignalListener(signal, handler);
  }
}

function statistics(report: SandboxReport, wallMs: number): string {
  const { usage } = report;
  const parts = [
    `wall ${humanDuration(wallMs)}`,
    `user ${humanDuration(usage?.cpuUserMs ?? report.userMs)}`,
    `system ${humanDuration(usage?.cpuSystemMs ?? report.systemMs)}`,
    `memory ${humanSize(usage?.memoryPeakBytes ?? report.maxRssBytes)}`,
  ];
  if (usage?.pidsPeak !== undefined) parts.push(`processes ${usage.pidsPeak}`);
  if (usage?.ioReadBytes !== undefined) parts.push(`read ${humanSize(usage.ioReadBytes)}`);
  if (usage?.ioWriteBytes !== undefined) parts.push(`written ${humanSize(usage.ioWriteBytes)}`);
  if (usage?.cpuThrottledMs !== undefined) parts.push(`held back ${humanDuration(usage.cpuThrottledMs)}`);
  return `[brokk] ${parts.join(", ")}\n`;
}

async function exitCodeOf(report: SandboxReport, ending: Ending): Promise<number> {
  const { failedStep } = report;
  if (ending.exitCode !== undefined) {
    if (ending.exitCode === TIMEOUT_EXIT) await writeErr("brokk: The command ran into its timeout\n");
    return ending.exitCode;
  }
  if (failedStep !== undefined) {
    await writeErr(`brokk: ${failedStep.message}\n`);
    if (!failedStep.isExec) return SANDBOX_EXIT;
    return failedStep.errnoName === "ENOENT" ? NOT_FOUND_EXIT : NOT_EXECUTABLE_EXIT;
  }
  if (report.outOfMemory) await writeErr("brokk: The command took more memory than it may\n");
  if (report.diskExceeded) await writeErr("brokk: The command wrote more than it may\n");
  return report.exitCode;
}

function requestOf(
  argv: readonly string[],
  flags: SandboxRunFlags,
  places: { readonly input: string; readonly disk: string },
): SandboxRequest {
  const env = environmentOf(flags.env ?? []);
  const path = env.find(([name]) => name === "PATH")?.[1] ?? DEFAULT_PATH;
  return {
    executables: candidates(argv[0], path),
    argv,
    env,
    cwd: flags.chdir.replace(/^(?:\.?\/)+|\/+$|^\.$/g, ""),
    stdin: { fd: 0 },
    stdout: { fd: 1 },
    stderr: { fd: 2 },
    outputLimitBytes: NO_LIMIT,
    lowers: [places.input],
    writable: layerOf(flags, places.disk),
    network: flags.network,
    limits: limitsOf(flags),
    aslr: flags.aslr,
  };
}

/** Runs the command and ends with its exit code. */
export async function sandboxRun(argv: readonly string[], flags: SandboxRunFlags): Promise<void> {
  const scratch = await Deno.makeTempDir({ prefix: "brokk-sandbox-" });
  let exitCode = SANDBOX_EXIT;
  try {
    const places = { input: `${scratch}/empty`, disk: `${scratch}/disk` };
    await Deno.mkdir(places.input);
    await Deno.mkdir(places.disk);
    const input = await inputOf(flags, places.input);
    exitCode = await within(argv, flags, { input, disk: places.disk });
  } catch (error) {
    if (error instanceof BrokkrError && error.code === Code.INVALID_ARGUMENT) throw error;
    await printError(error);
  } finally {
    await removeTree(scratch);
  }
  if (exitCode !== 0) throw new ExitError(exitCode);
}

async function within(
  argv: readonly string[],
  flags: SandboxRunFlags,
  places: { readonly input: string; readonly disk: string },
): Promise<number> {
  // Parsed first: what is wrong with a flag is said before anything is set up.
  const request = requestOf(argv, flags, places);
  const binds = [...defaultBinds(), ...(flags.bind ?? []).map(parseBind)];
  using ending = new Ending();
  using cgroups = await groups(flags);
  await using sandbox = await Sandbox.open({
    slots: 1,
    lowersPath: places.input,
    diskPath: places.disk,
    binds,
    ...(cgroups === undefined ? {} : { cgroups }),
  });
  const startMs = performance.now();
  const process = sandbox.launch(request);
  ending.watch(process, flags.timeout);
  const report = await process.done;
  const wallMs = performance.now() - startMs;
  using work = report.work;
  if (report.failedStep === undefined && work !== undefined) {
    await copyOut(work.path, flags.output ?? [], flags.outputDir);
  }
  const exitCode = await exitCodeOf(report, ending);
  if (flags.stats) await writeErr(statistics(report, wallMs));
  return exitCode;
}
