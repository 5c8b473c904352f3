/**
 * What a worker runs actions in: the sandbox, or nothing.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, type Clock, Code, type Logger } from "@brokkr/common";
import type { SandboxGrant } from "@brokkr/common/sandbox_properties";
import {
  type Bind,
  type Cgroups,
  checkHost,
  defaultBinds,
  type Finding,
  Launcher,
  openCgroups,
  Sandbox,
} from "@brokkr/sandbox";
import { logSandbox } from "./_isolation_log.ts";
import type { BlobCache } from "./blob_cache.ts";
import { CopyMaterializer } from "./copy_materializer.ts";
import { LayerMaterializer } from "./layer_materializer.ts";
import { LayerStore } from "./layers.ts";
import { sandboxMachine } from "./machine.ts";
import type { Materializer } from "./materializer.ts";
import { LauncherRunner, type Runner } from "./runner.ts";
import {
  DEFAULT_SANDBOX_SETTINGS,
  sandboxGrants,
  sandboxPolicy,
  type SandboxSettings,
} from "./sandbox_policy.ts";
import { SandboxRunner } from "./sandbox_runner.ts";

/** Environment of results that came about in the sandbox. Part of the key of cached results. */
export const SANDBOX_ENVIRONMENT = "sandbox-1";
/** Environment of results that came about with nothing between the action and the machine. */
export const UNSANDBOXED_ENVIRONMENT = "unsandboxed-1";

/** How actions are isolated. */
export interface WorkerSandboxOptions {
  /** What actions get and may ask for; {@linkcode DEFAULT_SANDBOX_SETTINGS} where nothing is said. */
  readonly settings?: Partial<SandboxSettings>;
  /** What they see of this machine's files: `/path`, `/path:/inside`, or `default`, which it is by default. */
  readonly binds?: readonly string[];
  /** Where the worker is root: this machine's user and group id of the first slot. */
  readonly uidBase?: number;
}

/** What the isolation of a worker is made with. */
export interface IsolationOptions {
  /** The sandbox, or none. */
  readonly sandbox: WorkerSandboxOptions | false;
  /** The worker's name. */
  readonly workerId: string;
  /** The worker's data directory. */
  readonly dataDir: string;
  /** Actions at once. */
  readonly slots: number;
  /** Platform properties that the operator named. */
  readonly platform: Readonly<Record<string, readonly string[]>>;
  /** Opens the blob cache; what it is given is told when held blobs leave no room. */
  readonly openCache: (onCrowded: () => void) => Promise<BlobCache>;
  /** Most bytes that layers take beside the cache. */
  readonly layerBytes: number;
  /** Told whether an input root lay ready. */
  readonly onLookup?: (ready: boolean) => void;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Logger;
}

/** What a worker runs actions with. Disposing of it ends what runs, and removes what belongs to single actions. */
export interface Isolation extends AsyncDisposable {
  /** {@linkcode SANDBOX_ENVIRONMENT} or {@linkcode UNSANDBOXED_ENVIRONMENT}. */
  readonly environment: string;
  /** Holds inputs' contents. */
  readonly cache: BlobCache;
  /** Lays out inputs, in the form that {@linkcode Isolation.runner} takes. */
  readonly materializer: Materializer;
  /** Runs commands. */
  readonly runner: Runner;
  /** Ready-made inputs. */
  readonly layers?: LayerStore;
  /** What actions may ask for. */
  readonly grants: readonly SandboxGrant[];
}

/**
 * Opens the isolation.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when this machine does not allow the sandbox, naming the step and the ways out.
 */
export async function openIsolation(options: IsolationOptions): Promise<Isolation> {
  const stack = new AsyncDisposableStack();
  try {
    const { sandbox } = options;
    const parts = sandbox === false
      ? await openNone(options, stack)
      : await openSandbox(options, sandbox, stack);
    return { ...parts, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

type Parts = Omit<Isolation, typeof Symbol.asyncDispose>;

async function openNone(options: IsolationOptions, stack: AsyncDisposableStack): Promise<Parts> {
  options.log.warn(
    "NOTHING IS ISOLATED: actions run as this user, with full access to its files, to other actions and to the " +
      "network. Run only what you trust",
    { environment: UNSANDBOXED_ENVIRONMENT, uid: Deno.uid() },
  );
  const launcher = stack.use(await Launcher.open({ clock: options.clock }));
  const cache = await options.openCache(() => {});
  const materializer = stack.use(await CopyMaterializer.open({ path: `${options.dataDir}/work` }));
  const runner = new LauncherRunner(launcher, options.clock);
  return { environment: UNSANDBOXED_ENVIRONMENT, cache, materializer, runner, grants: [] };
}

async function openSandbox(
  options: IsolationOptions,
  { settings, binds, uidBase }: WorkerSandboxOptions,
  stack: AsyncDisposableStack,
): Promise<Parts> {
  const { clock, dataDir, slots, log, platform, onLookup } = options;
  // First of all: it may move this process, which processes that it has started would not follow.
  const { cgroups, tell } = openGroups(options);
  if (cgroups !== undefined) stack.use(cgroups);
  const layerPath = `${await Deno.realPath(dataDir)}/layers`;
  const workPath = `${await Deno.realPath(dataDir)}/work`;
  // Each looks at the other: blobs that layers hold crowd others out of the cache.
  const opened: { layers?: LayerStore } = {};
  const cache = await options.openCache(() => opened.layers?.trim());
  const layers = opened.layers = stack.use(
    await LayerStore.open({
      path: layerPath,
      maxBytes: options.layerBytes,
      crowded: () => cache.crowded,
      log,
    }),
  );
  const materializer = stack.use(
    await LayerMaterializer.open({ path: workPath, layers, ...(onLookup === undefined ? {} : { onLookup }) }),
  );
  const sandbox = stack.use(
    await Sandbox.open({
      slots,
      lowersPath: layerPath,
      diskPath: workPath,
      ...(binds === undefined ? {} : { binds: bindsOf(binds) }),
      ...(uidBase === undefined ? {} : { uidBase }),
      ...(cgroups === undefined ? {} : { cgroups }),
      clock,
      log,
    }).catch(async (error) => {
      throw await cannotIsolate(asBrokkrError(error), { dataDir, slots, uidBase });
    }),
  );
  tell();
  const machine = await sandboxMachine(dataDir, slots, platform);
  const policy = sandboxPolicy({ ...DEFAULT_SANDBOX_SETTINGS, ...settings }, machine);
  const { privileged } = sandbox;
  logSandbox(log, { environment: SANDBOX_ENVIRONMENT, privileged, slots, policy, cgroups });
  const runner = new SandboxRunner({
    sandbox,
    policy,
    controllers: cgroups?.controllers ?? new Set(),
    clock,
  });
  return {
    environment: SANDBOX_ENVIRONMENT,
    cache,
    materializer,
    runner,
    layers,
    grants: sandboxGrants(policy),
  };
}

/** Control groups, as far as there are any, and what tells the operator of what is missing. */
function openGroups({ workerId, dataDir, log }: IsolationOptions): { cgroups?: Cgroups; tell: () => void } {
  try {
    const cgroups = openCgroups({ name: workerId, ioPaths: [dataDir] });
    const tell = () => {
      for (const { controller, consequence, remedy } of cgroups.missing) {
        log.warn("Something of actions is not limited", { controller, consequence, remedy });
      }
    };
    return { cgroups, tell };
  } catch (thrown) {
    const error = asBrokkrError(thrown);
    if (error.code !== Code.FAILED_PRECONDITION) throw error;
    const what =
      "ACTIONS ARE ISOLATED BUT NOT LIMITED: each can take all of the machine's memory, processors and processes";
    return { tell: () => log.warn(what, { error }) };
  }
}

/** What the operator is told when the sandbox cannot be opened: what is amiss, and both ways out. */
async function cannotIsolate(
  error: BrokkrError,
  machine: { readonly dataDir: string; readonly slots: number; readonly uidBase?: number },
): Promise<BrokkrError> {
  // Settings that are wrong, or descriptors that ran out: the machine is not to blame.
  if (error.code === Code.INVALID_ARGUMENT || error.code === Code.RESOURCE_EXHAUSTED) return error;
  const findings = await checkHost(machine).catch((): Finding[] => []);
  const failed = findings.filter(({ level }) => level === "FAIL");
  if (failed.length === 0 && error.code !== Code.FAILED_PRECONDITION) return error;
  const amiss = failed.map(({ requirement, found, remedy }) =>
    `\n  ${requirement}: ${found}` + (remedy === undefined ? "" : `\n    Remedy: ${remedy}`)
  );
  return new BrokkrError(
    Code.FAILED_PRECONDITION,
    `This machine does not allow the sandbox: ${error.message}${
      amiss.join("")
    }\nEither mend that (\`brokk doctor\` tells ` +
      "more), or, where whoever runs actions is to be trusted with this user's files and the network, start the worker " +
      "with --no-sandbox (sandbox = false in [worker])",
    { cause: error },
  );
}

/**
 * What actions see, from the words of the configuration.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { bindsOf } from "@brokkr/worker";
 * assertEquals(bindsOf(["/opt/tools", "/opt/jdk-21:/opt/jdk"]), [
 *   { source: "/opt/tools" },
 *   { source: "/opt/jdk-21", target: "/opt/jdk" },
 * ]);
 * ```
 */
export function bindsOf(texts: readonly string[]): Bind[] {
  return texts.flatMap((text) => {
    if (text === "default") return defaultBinds();
    const [source, target] = text.split(":");
    return [target === undefined ? { source } : { source, target }];
  });
}
