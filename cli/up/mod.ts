/**
 * A whole grid on this machine: a control plane and workers as supervised processes over one data directory.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code, invalidArgument } from "@brokkr/common";
import { formatHostPort, parseHostPort } from "@brokkr/common/units";
import { awakeClock } from "../_clock.ts";
import { type ProcessEnd, type ProcessSpec, SupervisedProcess } from "./supervised_process.ts";

export { type ProcessEnd, type ProcessSpec, type Ready, SupervisedProcess } from "./supervised_process.ts";

/** What {@linkcode startGrid} is given. */
export interface StartGridOptions {
  /** Holds `control/` and `worker/`; without it a temporary directory, removed at the end. */
  readonly dataDir?: string;
  /** gRPC address; any free port of loopback by default. */
  readonly listen?: string;
  /** Address of health and metrics; any free port of loopback by default, `""` for none. */
  readonly httpListen?: string;
  /** Address of the HTTP cache; none by default. */
  readonly httpCacheListen?: string;
  /** Actions at once on each worker; one for each processor by default. */
  readonly slots?: number;
  /** How many workers; 1 by default. */
  readonly workers?: number;
  /** More flags of `brokkr-control`, such as `--lease-ttl=2s`. */
  readonly controlFlags?: readonly string[];
  /** More flags of `brokkr-worker`: of all, or of each by its number, from 0. */
  readonly workerFlags?: readonly string[] | ((worker: number) => readonly string[]);
  /** Takes BROKKR_* variables and `./brokkr.toml` into account; a grid for tests does not. */
  readonly useConfiguration?: boolean;
  /** Whether the control plane speaks TLS, as its flags or configuration say. */
  readonly tls?: boolean;
  /** How long each process gets to end, in milliseconds, before it is killed; 20 s by default. */
  readonly stopGraceMs?: number;
  /** Told each line that a process logs. */
  readonly onLog?: (process: string, line: string) => void;
  /** Told that a process died and is started again. */
  readonly onDeath?: (message: string) => void;
}

/** Where the processes' entry points lie. */
const ROOT = new URL("../../", import.meta.url);
/** Time to be ready: the first start on a machine may download packages. */
const READY_TIMEOUT_MS = 300_000;
const STOP_GRACE_MS = 20_000;

function environment(useConfiguration: boolean): Record<string, string> {
  const env = Deno.env.toObject();
  if (useConfiguration) return env;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("BROKKR_")));
}

/** The command that runs a process: an entry point under deno, or this very program when it was compiled. */
function commandOf(
  role: "control" | "worker",
): { readonly program: string; readonly args: readonly string[] } {
  if (Deno.build.standalone) return { program: Deno.execPath(), args: [`__${role}`] };
  const path = (name: string) => decodeURIComponent(new URL(name, ROOT).pathname);
  return {
    program: Deno.execPath(),
    args: ["run", "-A", "--no-prompt", "--quiet", "--config", path("deno.json"), path(`${role}/main.ts`)],
  };
}

/** An address as one dials it: what listens on all addresses is reached by loopback. */
function dialed(address: unknown): string {
  const { value } = parseHostPort(typeof address === "string" ? address : "");
  if (value === undefined) {
    throw new BrokkrError(
      Code.INTERNAL,
      `The control process did not say where it listens: ${String(address)}`,
    );
  }
  const host = value.host === "0.0.0.0" ? "127.0.0.1" : value.host === "::" ? "::1" : value.host;
  return formatHostPort({ host, port: value.port });
}

/** A running grid. Made by {@linkcode startGrid}. */
export class Grid implements AsyncDisposable {
  /** Where clients and workers reach it, such as `grpc://127.0.0.1:41234`. */
  readonly endpoint: string;
  /** Where health and metrics are, such as `http://127.0.0.1:41235`; `""` for none. */
  readonly httpUrl: string;
  /** Where the HTTP cache is, such as `http://127.0.0.1:41236`; `""` for none. */
  readonly httpCacheUrl: string;
  /** Directory of all its state. */
  readonly dataDir: string;
  /** The control plane's process. */
  readonly control: SupervisedProcess;
  /** The workers' processes. */
  readonly workers: readonly SupervisedProcess[];
  readonly #removeDataDir: boolean;
  #stopped: Promise<ProcessEnd[]> | undefined;

  /** @internal */
  constructor(parts: {
    readonly endpoint: string;
    readonly httpUrl: string;
    readonly httpCacheUrl: string;
    readonly dataDir: string;
    readonly control: SupervisedProcess;
    readonly workers: readonly SupervisedProcess[];
    readonly removeDataDir: boolean;
  }) {
    this.endpoint = parts.endpoint;
    this.httpUrl = parts.httpUrl;
    this.httpCacheUrl = parts.httpCacheUrl;
    this.dataDir = parts.dataDir;
    this.control = parts.control;
    this.workers = parts.workers;
    this.#removeDataDir = parts.removeDataDir;
  }

  /** Ids of all its processes that run now. */
  get pids(): readonly number[] {
    return [this.control, ...this.workers].map(({ pid }) => pid).filter((pid) => pid !== undefined);
  }

  /** Ends workers, then control, and removes a temporary data directory. Harmless when repeated. Tells how each ended. */
  stop(): Promise<ProcessEnd[]> {
    return this.#stopped ??= stopAll(
      this.workers,
      this.control,
      this.#removeDataDir ? this.dataDir : undefined,
    );
  }

  /** Kills every process at once, for those who cannot wait. Call {@linkcode Grid.stop} before, or it is restarted. */
  kill(): void {
    for (const each of [...this.workers, this.control]) each.kill("SIGKILL");
  }

  /** Same as {@linkcode Grid.stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function stopAll(
  workers: readonly SupervisedProcess[],
  control: SupervisedProcess,
  temporary: string | undefined,
): Promise<ProcessEnd[]> {
  const ends = await Promise.all(workers.map((worker) => worker.stop()));
  ends.push(await control.stop());
  if (temporary !== undefined) {
    // The worker's cache holds read-only directories, which Deno.remove cannot empty.
    const { removeTree } = await import("@brokkr/sandbox");
    await removeTree(temporary);
  }
  return ends;
}

/**
 * Starts a control plane and its workers as processes of their own and waits until they serve. Processes that die are
 * started again. When this process ends without {@linkcode Grid.stop}, even by SIGKILL, they end too.
 *
 * @throws {BrokkrError} UNAVAILABLE with a process's last lines when it cannot serve.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connectGrid } from "@brokkr/cli";
 * import { startGrid } from "@brokkr/cli/up";
 *
 * await using grid = await startGrid({ slots: 2 });
 * await using client = connectGrid(grid.endpoint);
 * assertEquals((await client.workers()).map((worker) => worker.slots), [2]);
 * ```
 */
export async function startGrid(options: StartGridOptions = {}): Promise<Grid> {
  const { workers: count = 1, listen = "127.0.0.1:0", httpListen = "127.0.0.1:0" } = options;
  if (!(Number.isInteger(count) && count >= 0 && count <= 64)) {
    throw invalidArgument("workers", `A grid on one machine has 0 to 64 workers, not ${count}`);
  }
  const temporary = options.dataDir === undefined;
  const dataDir = options.dataDir ?? await Deno.makeTempDir({ prefix: "brokkr-grid-" });
  await makeDataDir(dataDir);
  const started: SupervisedProcess[] = [];
  const start = async (spec: ProcessSpec) => {
    const process = new SupervisedProcess(spec);
    started.push(process);
    return { process, ready: await process.start() };
  };
  const base = (name: string) => baseSpec(name, dataDir, options);
  try {
    let address = { listen, httpListen, httpCacheListen: options.httpCacheListen ?? "" };
    const control = await start({
      ...base("control"),
      args: () => [
        ...commandOf("control").args,
        `--data-dir=${dataDir}/control`,
        `--listen=${address.listen}`,
        `--http-listen=${address.httpListen}`,
        `--http-cache-listen=${address.httpCacheListen}`,
        ...(options.controlFlags ?? []),
      ],
    });
    const { grpc, http, httpCache } = control.ready;
    // Started again, it must be where clients and workers know it to be.
    address = {
      listen: String(grpc),
      httpListen: typeof http === "string" ? http : "",
      httpCacheListen: typeof httpCache === "string" ? httpCache : "",
    };
    const endpoint = `${options.tls ? "grpcs" : "grpc"}://${dialed(grpc)}`;
    const names = Array.from({ length: count }, (_, index) => index === 0 ? "worker" : `worker-${index + 1}`);
    const { workerFlags = [] } = options;
    const flagsOf = typeof workerFlags === "function" ? workerFlags : () => workerFlags;
    const workers = await Promise.all(names.map((name, index) =>
      start({
        ...base(name),
        args: () => [
          ...commandOf("worker").args,
          `--data-dir=${dataDir}/${name}`,
          `--control=${endpoint}`,
          ...(options.slots === undefined ? [] : [`--slots=${options.slots}`]),
          ...flagsOf(index),
        ],
      })
    ));
    const httpUrl = address.httpListen === "" ? "" : `http://${dialed(address.httpListen)}`;
    const httpCacheUrl = address.httpCacheListen === ""
      ? ""
      : `${options.tls ? "https" : "http"}://${dialed(address.httpCacheListen)}`;
    return new Grid({
      endpoint,
      httpUrl,
      httpCacheUrl,
      dataDir,
      control: control.process,
      workers: workers.map(({ process }) => process),
      removeDataDir: temporary,
    });
  } catch (error) {
    const [control, ...workers] = started;
    if (control !== undefined) await stopAll(workers, control, temporary ? dataDir : undefined);
    throw error;
  }
}

async function makeDataDir(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new BrokkrError(
      Code.PERMISSION_DENIED,
      `Cannot use ${path} as a data directory: ${
        asBrokkrError(error).message
      }; name one that this user may write`,
      { cause: error },
    );
  }
}

function baseSpec(name: string, dataDir: string, options: StartGridOptions): Omit<ProcessSpec, "args"> {
  return {
    name,
    program: commandOf("control").program,
    env: environment(options.useConfiguration ?? false),
    // A grid for tests runs where no brokkr.toml lies.
    cwd: options.useConfiguration ? Deno.cwd() : dataDir,
    stopGraceMs: options.stopGraceMs ?? STOP_GRACE_MS,
    readyTimeoutMs: READY_TIMEOUT_MS,
    onLine: (line) => options.onLog?.(name, line),
    onDeath: options.onDeath,
    clock: awakeClock,
  };
}
