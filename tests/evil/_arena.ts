/**
 * A grid with one worker that is attacked: a real control plane and a real worker process, as root, as a plain user, or
 * without any sandbox.
 *
 * @module
 */

import { digestOf, SHA256, treeSource, walkTree } from "@brokkr/cas/client";
import { TreeBuilder } from "@brokkr/cas";
import { codeName } from "@brokkr/common";
import { removeTree } from "@brokkr/sandbox";
import { type Command, type ExecuteResponse, type Init, ResourceUsageCodec } from "@brokkr/proto";
import type { Assault, Ran } from "./_attack.ts";
import { type DelegatedGroups, delegateGroups } from "./_groups.ts";
import { asPlainUser, contained, PLAIN_ID } from "./_machine.ts";
import { TestGrid } from "../e2e/_grid.ts";
import { Running } from "../faults/_running.ts";

/** Whose worker it is, or that it has no sandbox. */
export type Way = "root" | "plain user" | "no sandbox";

/** Files of an input root by path: contents; executable where the name ends with `*`; `{ symlink }`. */
export type Files = Readonly<Record<string, Uint8Array | string | { readonly symlink: string } | null>>;

/** Limits that actions have unless they ask for less. */
export const LIMITS = {
  memoryBytes: 256 * 2 ** 20,
  pids: 200,
  layerFiles: 5000,
  outputBytes: 2 ** 20,
} as const;

/** What attacks are told of the host. */
export type Facts = Readonly<Record<string, string>>;

/** A limit that control groups enforce. */
export type Limit = "memory" | "pids";

/** A place that is attacked. */
export interface Place {
  readonly way: Way;
  readonly grid: TestGrid;
  readonly worker: Running;
  /** The worker's data. */
  readonly dataDir: string;
  /** Control groups that the worker is in and may divide. */
  readonly groups: DelegatedGroups;
  /** Limits that hold: those for which there are control groups. */
  readonly limited: ReadonlySet<Limit>;
}

/** Slots have users of their own: no other worker on this machine may have the same. */
const UID_BASE = 1_910_000_000 + Deno.pid * 16;

function workerFlags(way: Way): string[] {
  const flags = ["--http-listen=", `--stdout-limit=${LIMITS.outputBytes}`];
  if (way === "no sandbox") return [...flags, "--no-sandbox"];
  return [
    ...flags,
    `--sandbox-memory=${LIMITS.memoryBytes}`,
    `--sandbox-pids=${LIMITS.pids}`,
    `--sandbox-layer-files=${LIMITS.layerFiles}`,
    "--sandbox-disk=64MiB",
    "--sandbox-networks=none,loopback",
    `--sandbox-uid-base=${UID_BASE}`,
  ];
}

/** Runs `use` with a grid in a directory of its own, removed at the end. */
export async function withPlace<T>(
  way: Way,
  secret: string,
  use: (place: Place) => Promise<T>,
): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-evil-" });
  try {
    // Only the worker's own part is closed, as it closes it itself: what keeps actions out must not be this test.
    await Deno.chmod(dir, 0o755);
    const home = `${dir}/worker`;
    await Deno.mkdir(`${home}/tmp`, { recursive: true });
    await using groups = await delegateGroups(
      `evil-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`,
      way === "plain user" ? PLAIN_ID : 0,
    );
    const as = way === "plain user" ? await asPlainUser(home) : way === "no sandbox" ? contained(home) : [];
    await using grid = await TestGrid.start({ dataDir: `${dir}/grid`, workers: 0 });
    const dataDir = `${home}/data`;
    await using worker = new Running("worker", {
      dir: home,
      before: [...groups.before, ...as, "env", `EVIL_SECRET=${secret}`],
      flags: [`--data-dir=${dataDir}`, `--control=${grid.grid.endpoint}`, "--slots=2", ...workerFlags(way)],
    });
    await worker.ready;
    const limited = way === "no sandbox" ? new Set<Limit>() : await limitsOf(grid);
    return await use({ way, grid, worker, dataDir, groups, limited });
  } finally {
    await removeTree(dir);
  }
}

/** Which limits hold, as the worker itself tells its clients: those that nothing enforces are left out. */
async function limitsOf(grid: TestGrid): Promise<Set<Limit>> {
  const { result } = await grid.run({ arguments: ["/bin/true"] }, { doNotCache: true });
  const usage = result?.executionMetadata?.auxiliaryMetadata[0];
  if (usage === undefined) throw new Error("The result tells nothing of its sandbox");
  const { sandbox, isolation } = ResourceUsageCodec.decode(usage.value);
  if (isolation !== "sandbox") throw new Error(`Nothing holds the actions: ${isolation}`);
  const limited = new Set<Limit>();
  if (sandbox?.memoryLimitBytes === LIMITS.memoryBytes) limited.add("memory");
  if (sandbox?.pidsLimit === LIMITS.pids) limited.add("pids");
  return limited;
}

/** Uploads an input root and gives its digest. */
export async function putTree({ grid }: Place, files: Files): Promise<{ hash: string; sizeBytes: number }> {
  const builder = new TreeBuilder();
  const blobs: Uint8Array[] = [];
  for (const [path, file] of Object.entries(files)) {
    if (file === null) builder.addDirectory(path);
    else if (typeof file === "object" && "symlink" in file) builder.addSymlink(path, file.symlink);
    else {
      const bytes = typeof file === "string" ? new TextEncoder().encode(file) : file;
      const executable = path.endsWith("*");
      blobs.push(bytes);
      builder.addFile(executable ? path.slice(0, -1) : path, digestOf(SHA256, bytes), executable);
    }
  }
  const { rootDigest, directories } = builder.build(SHA256);
  blobs.push(...directories.map(({ data }) => data));
  await grid.putAll(blobs);
  return { hash: rootDigest.hash, sizeBytes: rootDigest.sizeBytes };
}

/** What is run: an assault's part that matters for that. */
export type Launch = Pick<Assault, "attacks" | "command" | "files" | "properties" | "timeoutSeconds">;

/** Words of the command that runs attacks. */
function evil(attacks: readonly string[], facts: Facts): string[] {
  return ["./evil", ...Object.entries(facts).map(([name, value]) => `${name}=${value}`), ...attacks];
}

/** Begins an action; nothing of it is ever answered from a cache. */
export async function begin(place: Place, launch: Launch, facts: Facts, files: Files) {
  const inputRootDigest = await putTree(place, { ...files, ...launch.files });
  const properties = Object.entries(launch.properties ?? {}).map(([name, value]) => ({ name, value }));
  const command: Init<Command> = {
    arguments: evil(launch.attacks ?? [], facts),
    environmentVariables: [{ name: "PATH", value: "/usr/bin:/bin" }],
    ...launch.command,
  };
  const digest = await place.grid.action(command, {
    inputRootDigest,
    doNotCache: true,
    timeout: { seconds: launch.timeoutSeconds ?? 60, nanos: 0 },
    salt: crypto.getRandomValues(new Uint8Array(8)),
    platform: { properties: properties.sort((a, b) => a.name < b.name ? -1 : 1) },
  });
  return place.grid.execute(digest, { skipCacheLookup: true });
}

/** Runs an action to its end. */
export async function run(place: Place, launch: Launch, facts: Facts, files: Files): Promise<Ran> {
  const started = performance.now();
  const followed = await begin(place, launch, facts, files);
  return await told(place, await followed.response(), performance.now() - started);
}

/** What a response says. */
export async function told({ grid }: Place, response: ExecuteResponse, ms: number): Promise<Ran> {
  const { result } = response;
  const stdout = await grid.read(result?.stdoutDigest);
  const stderr = await grid.read(result?.stderrDigest);
  const usage = result?.executionMetadata?.auxiliaryMetadata[0];
  const outputs: string[] = [];
  for (const { path, digest, isExecutable } of result?.outputFiles ?? []) {
    outputs.push(`${path}${isExecutable ? "*" : ""}=${await grid.text(digest)}`);
  }
  for (const { path, target } of result?.outputSymlinks ?? []) outputs.push(`${path}->${target}`);
  for (const { path, treeDigest } of result?.outputDirectories ?? []) {
    outputs.push(`${path}/`, ...await listTree(grid, path, await grid.read(treeDigest)));
  }
  return {
    status: codeName(response.status?.code ?? 0),
    message: `${response.status?.message ?? ""}${response.message}`,
    exitCode: result?.exitCode ?? -1,
    outOfMemory: usage !== undefined && ResourceUsageCodec.decode(usage.value).outOfMemory,
    results: resultsIn(stdout),
    stdout,
    stderr,
    outputs: outputs.sort(),
    ms,
  };
}

async function listTree(grid: TestGrid, above: string, tree: Uint8Array): Promise<string[]> {
  const source = treeSource(tree, SHA256);
  const found: string[] = [];
  for await (const { path, content } of walkTree(source.rootDigest, source.fetch)) {
    const at = path === "" ? above : `${above}/${path}`;
    for (const { name, digest, executable } of content?.files ?? []) {
      found.push(`${at}/${name}${executable ? "*" : ""}=${await grid.text(digest)}`);
    }
    for (const { name, target } of content?.symlinks ?? []) found.push(`${at}/${name}->${target}`);
  }
  return found;
}

/** Lines of the program among whatever else was printed. */
function resultsIn(stdout: Uint8Array): Ran["results"] {
  return new TextDecoder().decode(stdout).split("\n").map((line) => line.split("\t")).filter((parts) =>
    parts.length === 3
  ).map(([attack, probe, result]) => [`${attack}.${probe}`, result] as const);
}

/** Asserts that the worker serves the next action within a bound that even a busy machine keeps. */
export async function assertServes(place: Place): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`No answer within a minute:\n${place.worker.lines.slice(-30).join("\n")}`));
  }, 60_000);
  try {
    await Promise.race([place.grid.assertGood(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
