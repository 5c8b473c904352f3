/**
 * Collecting what an action left: the interface, and the implementation that reads beneath the action's root.
 *
 * @module
 */

import { BrokkrError, type ByteBudget, Code, throwIfAborted } from "@brokkr/common";
import {
  type Digest,
  type DigestFunction,
  type NodeProperties,
  TreeBuilder,
  type UploadBlob,
} from "@brokkr/cas/client";
import type { ActionResult, Init, OutputDirectory, OutputFile, OutputSymlink } from "@brokkr/proto";
import { Beneath, type FileStat, SyscallError, utf8OrUndefined } from "@brokkr/sandbox";
import { BlobHasher } from "./_blob_hasher.ts";
import { asRefusal } from "./_refusal.ts";
import type { CommandPlan, OutputRequest } from "./command_plan.ts";

/** What to collect. */
export interface CollectRequest {
  /** Absolute path of the action's input root. No process of the action lives any more. */
  readonly rootPath: string;
  /** Which outputs, and how they are reported. */
  readonly plan: CommandPlan;
  /** Function of the outputs' digests. */
  readonly fn: DigestFunction;
  /** Ends the work. */
  readonly signal?: AbortSignal;
}

/** Which fields of an ActionResult outputs fill. */
export type OutputFields = Pick<
  Init<ActionResult>,
  "outputFiles" | "outputDirectories" | "outputSymlinks" | "outputFileSymlinks" | "outputDirectorySymlinks"
>;

/** What was found. Disposing of it closes the root; blobs must have been uploaded by then. */
export interface CollectedOutputs extends Disposable {
  /** The outputs, as the result names them. An output that is not there is left out: that is no error. */
  readonly fields: OutputFields;
  /** Their contents. */
  readonly blobs: readonly UploadBlob[];
}

/** Collects outputs. */
export interface Collector {
  /**
   * Finds and hashes the outputs.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming an output of a kind that cannot be collected (device, socket, FIFO,
   * a name or link target that is not UTF-8, a file where a directory was declared or the other way round).
   */
  collect(request: CollectRequest): Promise<CollectedOutputs>;
}

/** Most files, directories and links in one output directory. */
const MAX_TREE_ENTRIES = 1_000_000;
const NANOS_PER_SECOND = 1_000_000_000n;
/** Bits of a directory's mode by which its owner may list it, and reach what is in it. */
const OWNER_LIST = 0o500;
/** Most directories below one another in an output directory. */
const MAX_TREE_DEPTH = 256;

interface Fields {
  readonly outputFiles: Init<OutputFile>[];
  readonly outputDirectories: Init<OutputDirectory>[];
  readonly outputSymlinks: Init<OutputSymlink>[];
  readonly outputFileSymlinks: Init<OutputSymlink>[];
  readonly outputDirectorySymlinks: Init<OutputSymlink>[];
}

/** State of one collection. */
class Collection {
  readonly fields: Fields = {
    outputFiles: [],
    outputDirectories: [],
    outputSymlinks: [],
    outputFileSymlinks: [],
    outputDirectorySymlinks: [],
  };
  readonly hasher: BlobHasher;
  readonly #root: Beneath;
  readonly #plan: CommandPlan;
  readonly #fn: DigestFunction;
  readonly #signal: AbortSignal | undefined;

  constructor(root: Beneath, request: CollectRequest, budget: ByteBudget | undefined) {
    this.#root = root;
    this.#plan = request.plan;
    this.#fn = request.fn;
    this.#signal = request.signal;
    this.hasher = new BlobHasher(root, request.fn, request.signal, budget);
  }

  async output(request: OutputRequest): Promise<void> {
    throwIfAborted(this.#signal);
    const stat = this.#stat(request);
    if (stat === undefined) return;
    const shown = JSON.stringify(request.path);
    switch (stat.type) {
      case "file":
        if (request.kind === "directory") throw refused(shown, "was declared as a directory and is a file");
        return await this.#file(request, stat);
      case "directory":
        if (request.kind === "file") throw refused(shown, "was declared as a file and is a directory");
        return await this.#directory(request);
      case "symlink":
        return this.#symlink(request, stat);
      default:
        throw refused(shown, "is a device, socket or FIFO, which cannot be collected");
    }
  }

  #stat({ path, rootPath }: OutputRequest): FileStat | undefined {
    try {
      return this.#root.tryStat(rootPath);
    } catch (error) {
      if (error instanceof SyscallError && (error.errnoName === "ELOOP" || error.errnoName === "EXDEV")) {
        throw refused(JSON.stringify(path), "lies behind a symbolic link, which is not followed");
      }
      throw error;
    }
  }

  async #file({ path, rootPath }: OutputRequest, stat: FileStat): Promise<void> {
    const { digest, executable } = await this.hasher.file(rootPath);
    this.fields.outputFiles.push({
      path,
      digest: wire(digest),
      isExecutable: executable,
      ...this.#wireProperties(stat),
    });
  }

  #symlink({ path, rootPath, kind }: OutputRequest, stat: FileStat): void {
    const link = { path, target: this.#target(rootPath, path), ...this.#wireProperties(stat) };
    const points = kind === "any" ? undefined : this.#pointsTo(rootPath, link.target);
    if (points !== undefined && points !== kind) {
      throw refused(JSON.stringify(path), `was declared as a ${kind} and is a symbolic link to a ${points}`);
    }
    if (kind === "any") this.fields.outputSymlinks.push(link);
    else if (kind === "file") this.fields.outputFileSymlinks.push(link);
    else this.fields.outputDirectorySymlinks.push(link);
  }

  /**
   * What a link points to, as far as it lies beneath the root and no other link is on the way. Whatever lies elsewhere, or
   * nowhere, is not looked at: the declared kind decides.
   */
  #pointsTo(rootPath: string, target: string): "file" | "directory" | undefined {
    if (target.startsWith("/")) return undefined;
    const names = rootPath.split("/").slice(0, -1);
    for (const name of target.split("/")) {
      if (name === "" || name === ".") continue;
      if (name !== "..") names.push(name);
      else if (names.pop() === undefined) return undefined;
    }
    try {
      const type = names.length === 0 ? "directory" : this.#root.tryStat(names.join("/"))?.type;
      return type === "file" || type === "directory" ? type : undefined;
    } catch {
      return undefined; // a link on the way, or a path that cannot be: it is reported as it is
    }
  }

  async #directory({ path, rootPath }: OutputRequest): Promise<void> {
    const tree = new TreeBuilder({ maxEntries: MAX_TREE_ENTRIES });
    tree.addDirectory("", this.#properties(rootPath));
    await this.#walk(tree, rootPath, "", path, 0);
    const { digest, data, built } = tree.buildTree(this.#fn);
    if (this.#plan.asTree) this.hasher.add({ digest, data });
    if (this.#plan.asDirectory) { for (const directory of built.directories) this.hasher.add(directory); }
    this.fields.outputDirectories.push({
      path,
      ...(this.#plan.asTree ? { treeDigest: wire(digest), isTopologicallySorted: true } : {}),
      ...(this.#plan.asDirectory ? { rootDirectoryDigest: wire(built.rootDigest) } : {}),
    });
  }

  /** Adds what lies in one directory. `above` is its path in the tree, `shown` its path as the client knows it. */
  async #walk(
    tree: TreeBuilder,
    rootPath: string,
    above: string,
    shown: string,
    depth: number,
  ): Promise<void> {
    if (depth > MAX_TREE_DEPTH) {
      throw refused(
        JSON.stringify(shown.slice(0, 200)),
        `has more than ${MAX_TREE_DEPTH} directories below one another`,
      );
    }
    // To root nothing is closed: the result must not depend on who runs the worker.
    if ((this.#root.stat(rootPath).mode & OWNER_LIST) !== OWNER_LIST) {
      throw refused(JSON.stringify(shown), "may not be read: its mode denies it to its owner");
    }
    const files: { readonly path: string; readonly child: string }[] = [];
    for (const { name, nameBytes, type } of await this.#root.list(rootPath)) {
      if (name === undefined) {
        throw refused(JSON.stringify(`${shown}/`) + escapeBytes(nameBytes), "has a name that is not UTF-8");
      }
      const childRoot = join(rootPath, name);
      const childShown = join(shown, name);
      const child = join(above, name);
      switch (type) {
        case "file":
          files.push({ path: childRoot, child });
          break;
        case "directory":
          tree.addDirectory(child, this.#properties(childRoot));
          await this.#walk(tree, childRoot, child, childShown, depth + 1);
          break;
        case "symlink":
          tree.addSymlink(child, this.#target(childRoot, childShown), this.#properties(childRoot));
          break;
        default:
          throw refused(JSON.stringify(childShown), "is a device, socket or FIFO, which cannot be collected");
      }
      await this.hasher.rest();
    }
    const hashed = await this.hasher.files(files.map(({ path }) => path));
    for (const [index, { path, child }] of files.entries()) {
      const { digest, executable } = hashed[index];
      tree.addFile(child, digest, executable, this.#properties(path));
      await this.hasher.rest();
    }
  }

  #target(rootPath: string, shown: string): string {
    const target = utf8OrUndefined(this.#root.readLink(rootPath));
    if (target === undefined) {
      throw refused(JSON.stringify(shown), "is a symbolic link whose target is not UTF-8");
    }
    return target;
  }

  #properties(rootPath: string): NodeProperties | undefined {
    if (!this.#plan.reportMtime && !this.#plan.reportUnixMode) return undefined;
    return this.#propertiesOf(this.#root.stat(rootPath));
  }

  #propertiesOf(stat: FileStat): NodeProperties {
    // A timestamp counts nanoseconds forward, before 1970 too; division of bigints rounds towards zero.
    const nanos = (stat.mtimeNs % NANOS_PER_SECOND + NANOS_PER_SECOND) % NANOS_PER_SECOND;
    const mtime = { seconds: Number((stat.mtimeNs - nanos) / NANOS_PER_SECOND), nanos: Number(nanos) };
    return {
      properties: [],
      ...(this.#plan.reportMtime ? { mtime } : {}),
      // Whoever lays an output out again must not make a program that runs as its owner of it.
      ...(this.#plan.reportUnixMode ? { unixMode: stat.mode & 0o777 } : {}),
    };
  }

  #wireProperties(stat: FileStat): Pick<Init<OutputFile>, "nodeProperties"> {
    if (!this.#plan.reportMtime && !this.#plan.reportUnixMode) return {};
    const { mtime, unixMode } = this.#propertiesOf(stat);
    return {
      nodeProperties: {
        ...(mtime === undefined ? {} : { mtime }),
        ...(unixMode === undefined ? {} : { unixMode: { value: unixMode } }),
      },
    };
  }
}

/** Reads outputs through {@linkcode Beneath}: nothing outside the root is reached, whatever links the action left. */
export class BeneathCollector implements Collector {
  readonly #budget: ByteBudget | undefined;

  /** Small contents are kept in memory between hashing and upload, as far as `budget` has room. */
  constructor(budget?: ByteBudget) {
    this.#budget = budget;
  }

  /** See {@linkcode Collector.collect}. */
  async collect(request: CollectRequest): Promise<CollectedOutputs> {
    const root = openRoot(request.rootPath);
    const collection = new Collection(root, request, this.#budget);
    try {
      for (const output of request.plan.outputs) {
        await collection.output(output);
        await collection.hasher.rest();
      }
      return {
        fields: collection.fields,
        blobs: collection.hasher.blobs,
        [Symbol.dispose]: () => {
          collection.hasher[Symbol.dispose]();
          root.close();
        },
      };
    } catch (error) {
      collection.hasher[Symbol.dispose]();
      root.close();
      throw asRefusal(error);
    }
  }
}

function openRoot(rootPath: string): Beneath {
  try {
    return Beneath.open(rootPath);
  } catch (error) {
    if (error instanceof SyscallError && (error.errnoName === "ENOENT" || error.errnoName === "ENOTDIR")) {
      throw new BrokkrError(Code.FAILED_PRECONDITION, "The action removed its own input root", {
        cause: error,
      });
    }
    throw error;
  }
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

function wire(digest: Digest): { hash: string; sizeBytes: number } {
  return { hash: digest.hash, sizeBytes: digest.sizeBytes };
}

function refused(shown: string, why: string): BrokkrError {
  return new BrokkrError(Code.FAILED_PRECONDITION, `Output ${shown} ${why}`);
}

/** Bytes as a person can read them. */
function escapeBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `"${text}"`;
}
