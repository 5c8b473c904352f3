/**
 * What an action left behind, and bringing it here: everything is fetched and verified in a staging directory inside
 * the destination first, then moved into place by renaming.
 *
 * @module
 */

import {
  type CasClient,
  type Digest,
  digestKey,
  formatDigest,
  joinPath,
  parseDigest,
  splitPath,
  type TransferProgress,
  treeSource,
  walkTree,
} from "@brokkr/cas/client";
import {
  BrokkrError,
  Code,
  invalidArgument,
  mapLimit,
  type Random,
  randomHex,
  throwIfAborted,
} from "@brokkr/common";
import type { ActionResult } from "@brokkr/proto";
import { Seeds } from "./_seeds.ts";

/** A file that an action made. */
export interface OutputFile {
  /** Says which kind it is. */
  readonly kind: "file";
  /** Relative to the working directory. */
  readonly path: string;
  /** Its content. */
  readonly digest: Digest;
  /** Whether it may be executed. */
  readonly executable: boolean;
}

/** A directory that an action made. */
export interface OutputDirectory {
  /** Says which kind it is. */
  readonly kind: "directory";
  /** Relative to the working directory; `""` is that directory itself. */
  readonly path: string;
  /** Digest of its Tree message, or else of its Directory. */
  readonly digest: Digest;
  /** What `digest` names. */
  readonly form: "tree" | "directory";
}

/** A symbolic link that an action made. */
export interface OutputSymlink {
  /** Says which kind it is. */
  readonly kind: "symlink";
  /** Relative to the working directory. */
  readonly path: string;
  /** Where it leads. */
  readonly target: string;
}

/** What an action left at one path. */
export type Output = OutputFile | OutputDirectory | OutputSymlink;

/** The outputs that a result names, files first. */
export function outputsOf(result: ActionResult, functionValue: number): readonly Output[] {
  const outputs = new Map<string, Output>();
  for (const { path, digest, isExecutable } of result.outputFiles) {
    outputs.set(path, {
      kind: "file",
      path,
      digest: parseDigest(digest, functionValue),
      executable: isExecutable,
    });
  }
  for (const { path, treeDigest, rootDirectoryDigest } of result.outputDirectories) {
    const form = treeDigest === undefined ? "directory" : "tree";
    outputs.set(path, {
      kind: "directory",
      path,
      digest: parseDigest(treeDigest ?? rootDirectoryDigest, functionValue),
      form,
    });
  }
  const { outputSymlinks, outputFileSymlinks, outputDirectorySymlinks } = result;
  for (const { path, target } of [...outputSymlinks, ...outputFileSymlinks, ...outputDirectorySymlinks]) {
    outputs.set(path, { kind: "symlink", path, target });
  }
  return [...outputs.values()];
}

/** Options of a download. */
export interface DownloadOptions {
  /** Stops it; nothing is left half done. */
  readonly signal?: AbortSignal;
  /** Told now and then how far it is. */
  readonly onProgress?: (progress: TransferProgress) => void;
}

/** What a download brought. */
export interface DownloadResult {
  /** Files written. */
  readonly files: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Bytes that did not have to be fetched, since files that were replaced had them. */
  readonly sharedBytes: number;
}

interface Target {
  readonly path: string;
  readonly executable: boolean;
}

/** Everything to write, by path below the destination. */
class Plan {
  readonly directories: string[] = [];
  readonly symlinks: { readonly path: string; readonly target: string }[] = [];
  readonly files = new Map<string, { readonly digest: Digest; readonly targets: Target[] }>();

  file(path: string, digest: Digest, executable: boolean): void {
    const key = digestKey(digest);
    const known = this.files.get(key);
    if (known === undefined) this.files.set(key, { digest, targets: [{ path, executable }] });
    else known.targets.push({ path, executable });
  }

  get digests(): readonly Digest[] {
    return [...this.files.values()].map(({ digest }) => digest);
  }
}

async function planDirectory(
  plan: Plan,
  cas: CasClient,
  output: OutputDirectory,
  signal?: AbortSignal,
): Promise<void> {
  const source = output.form === "tree" ? treeSource(await cas.get(output.digest, { signal }), cas.fn) : {
    rootDigest: output.digest,
    fetch: (digests: readonly Digest[]) => fetchDirectories(cas, digests, signal),
  };
  for await (const { path, content } of walkTree(source.rootDigest, source.fetch, { signal })) {
    const at = path === "" ? output.path : joinPath(output.path, path);
    plan.directories.push(at);
    for (const file of content?.files ?? []) plan.file(joinPath(at, file.name), file.digest, file.executable);
    for (const link of content?.symlinks ?? []) {
      plan.symlinks.push({ path: joinPath(at, link.name), target: link.target });
    }
  }
}

/** Directory messages from the store, in the order asked for; undefined for one that is not there. */
export async function fetchDirectories(
  cas: CasClient,
  digests: readonly Digest[],
  signal?: AbortSignal,
): Promise<(Uint8Array | undefined)[]> {
  const found = new Map<string, Uint8Array>();
  const missing = new Set((await cas.findMissing(digests, { signal })).map(digestKey));
  const there = digests.filter((digest) => !missing.has(digestKey(digest)));
  await cas.getMany(there, (digest, data) => void found.set(digestKey(digest), data.slice()), { signal });
  return digests.map((digest) => found.get(digestKey(digest)));
}

/**
 * Fetches outputs into `destination`, which is made if need be. Every blob is verified before anything shows; files are
 * replaced by renaming; what else lies in an existing directory stays. Nothing is ever written outside of
 * `destination`: names are checked, and a symbolic link in the way is an error.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION naming blobs that the grid lost, or a path that is in the way;
 * INVALID_ARGUMENT for names that would leave the destination.
 */
export async function downloadInto(
  destination: string,
  outputs: readonly Output[],
  cas: CasClient,
  random: Random,
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  const plan = new Plan();
  for (const output of outputs) {
    checkOutputPath(output);
    if (output.kind === "file") plan.file(output.path, output.digest, output.executable);
    else if (output.kind === "symlink") plan.symlinks.push(output);
    else await planDirectory(plan, cas, output, options.signal);
  }
  await Deno.mkdir(destination, { recursive: true });
  const staging = joinLocal(destination, `.brokkr-${randomHex(random, 6)}.tmp`);
  await Deno.mkdir(staging, { mode: 0o700 });
  try {
    const seeds = new Seeds((digest) =>
      targetsOf(plan, digest).map(({ path }) => joinLocal(destination, path))
    );
    const result = await fill(staging, plan, cas, seeds, options);
    throwIfAborted(options.signal);
    await install(staging, destination, "");
    return result;
  } finally {
    await Deno.remove(staging, { recursive: true });
  }
}

function checkOutputPath(output: Output): void {
  if (splitPath(output.path).length === 0 && output.kind !== "directory") {
    throw invalidArgument("", "The grid named an output that has no path");
  }
}

function joinLocal(directory: string, path: string): string {
  return directory.endsWith("/") ? directory + path : `${directory}/${path}`;
}

/** Writes everything below `staging`, which nobody else knows of; links come last, so that nothing goes through them. */
async function fill(
  staging: string,
  plan: Plan,
  cas: CasClient,
  seeds: Seeds,
  options: DownloadOptions,
): Promise<DownloadResult> {
  const made = new Set<string>([""]);
  const directory = async (path: string) => {
    if (made.has(path)) return;
    made.add(path);
    await Deno.mkdir(joinLocal(staging, path), { recursive: true });
  };
  for (const path of plan.directories) await directory(path);
  const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
  for (const { targets } of plan.files.values()) {
    for (const { path } of targets) await directory(parentOf(path));
  }
  for (const { path } of plan.symlinks) await directory(parentOf(path));
  let files = 0;
  let bytes = 0;
  const done = async (digest: Digest) => {
    const targets = targetsOf(plan, digest);
    const [first, ...others] = targets;
    for (const target of others) {
      await Deno.copyFile(joinLocal(staging, first.path), joinLocal(staging, target.path));
      await Deno.chmod(joinLocal(staging, target.path), (target.executable ? 0o777 : 0o666) & ~Deno.umask());
    }
    files += targets.length;
    bytes += digest.sizeBytes * targets.length;
  };
  const create = (digest: Digest) => {
    const [first] = targetsOf(plan, digest);
    const mode = first.executable ? 0o777 : 0o666;
    return Deno.open(joinLocal(staging, first.path), { write: true, createNew: true, mode });
  };
  const { sharedBytes } = await cas.getMany(plan.digests, async (digest, data) => {
    using file = await create(digest);
    await writeAll(file, data);
    await done(digest);
  }, {
    signal: options.signal,
    onProgress: options.onProgress,
    chunks: seeds,
    onLarge: async (digest, chunks) => {
      using file = await create(digest);
      for await (const chunk of chunks) await writeAll(file, chunk);
      await done(digest);
    },
  });
  await mapLimit(plan.symlinks, 8, ({ path, target }) => Deno.symlink(target, joinLocal(staging, path)));
  return { files, bytes, sharedBytes };
}

function targetsOf(plan: Plan, digest: Digest): readonly Target[] {
  const entry = plan.files.get(digestKey(digest));
  if (entry === undefined) throw new BrokkrError(Code.INTERNAL, `Blob ${formatDigest(digest)} came unasked`);
  return entry.targets;
}

async function writeAll(file: Deno.FsFile, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await file.write(data.subarray(at));
}

async function lstatOrNone(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Moves what lies in `staging` into `destination`, merging directories; never through a link. */
async function install(staging: string, destination: string, at: string): Promise<void> {
  for await (const entry of Deno.readDir(joinLocal(staging, at))) {
    const path = joinPath(at, entry.name);
    const target = joinLocal(destination, path);
    const there = await lstatOrNone(target);
    if (there !== undefined && there.isDirectory !== entry.isDirectory) {
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        entry.isDirectory
          ? `${target} is in the way: the action made a directory of that name; remove it or choose another destination`
          : `${target} is in the way: it is a directory here, and the action made a file or a link of that name`,
      );
    }
    if (there !== undefined && entry.isDirectory) await install(staging, destination, path);
    else await Deno.rename(joinLocal(staging, path), target);
  }
}
