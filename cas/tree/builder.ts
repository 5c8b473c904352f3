/**
 * Building a Merkle tree from paths.
 *
 * @module
 */

import { invalidArgument, resourceExhausted } from "@brokkr/common";
import { WireWriter } from "@brokkr/proto";
import { type Digest, type DigestFunction, digestKey, digestOf } from "../digest.ts";
import { encodeDirectory, type FileEntry, type NodeProperties, type SymlinkEntry } from "./directory.ts";
import { compareUtf8, splitPath, targetProblem } from "./names.ts";

/** A blob with its digest. */
export interface DigestedBlob {
  /** Its digest. */
  readonly digest: Digest;
  /** Its bytes. */
  readonly data: Uint8Array;
}

/** A tree as the store keeps it. */
export interface BuiltTree {
  /** Digest of the root's Directory. */
  readonly rootDigest: Digest;
  /** Every Directory once, parents before children, the root first. */
  readonly directories: readonly DigestedBlob[];
}

interface BuilderNode {
  readonly files: Map<string, FileEntry>;
  readonly symlinks: Map<string, SymlinkEntry>;
  readonly directories: Map<string, BuilderNode>;
  nodeProperties: NodeProperties | undefined;
}

function emptyNode(): BuilderNode {
  return { files: new Map(), symlinks: new Map(), directories: new Map(), nodeProperties: undefined };
}

/** How a {@linkcode TreeBuilder} is limited. */
export interface TreeBuilderOptions {
  /** Most entries taken; 1,000,000 by default. */
  readonly maxEntries?: number;
}

/**
 * Collects files, symbolic links and directories by path and makes the Directory messages of their tree. What it builds
 * is canonical: the same paths in any order give the same digests.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { digestOf, SHA256, TreeBuilder } from "@brokkr/cas";
 * const tree = new TreeBuilder();
 * tree.addFile("src/main.c", digestOf(SHA256, new Uint8Array(3)));
 * tree.addSymlink("main.c", "src/main.c");
 * tree.addDirectory("out");
 * assertEquals(tree.build(SHA256).directories.length, 3);
 * ```
 */
export class TreeBuilder {
  readonly #root = emptyNode();
  readonly #maxEntries: number;
  #entries = 0;

  /** An empty tree. */
  constructor(options: TreeBuilderOptions = {}) {
    this.#maxEntries = options.maxEntries ?? 1_000_000;
  }

  /** How many files, links and directories it holds, without the root. */
  get entries(): number {
    return this.#entries;
  }

  /**
   * Adds a file and the directories it lies in.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when the path is unfit or taken.
   */
  addFile(path: string, digest: Digest, executable = false, nodeProperties?: NodeProperties): void {
    const { parent, name } = this.#place(path);
    parent.files.set(
      name,
      nodeProperties === undefined
        ? { name, digest, executable }
        : { name, digest, executable, nodeProperties },
    );
    this.#count();
  }

  /**
   * Adds a symbolic link and the directories it lies in. `target` is kept as it is.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when the path is unfit or taken, or the target is unfit.
   */
  addSymlink(path: string, target: string, nodeProperties?: NodeProperties): void {
    const problem = targetProblem(target);
    if (problem !== undefined) {
      throw invalidArgument(
        "path",
        `Symbolic link ${JSON.stringify(path.slice(0, 200))} cannot be added: ${problem}`,
      );
    }
    const { parent, name } = this.#place(path);
    parent.symlinks.set(
      name,
      nodeProperties === undefined ? { name, target } : { name, target, nodeProperties },
    );
    this.#count();
  }

  /**
   * Adds a directory, which may stay empty; harmless when it is there. `""` is the root.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when the path is unfit or taken by something else.
   */
  addDirectory(path: string, nodeProperties?: NodeProperties): void {
    const node = this.#directory(splitPath(path), path);
    if (nodeProperties !== undefined) node.nodeProperties = nodeProperties;
  }

  /**
   * The Directory messages of the tree and the digest of its root.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when a file's digest is of another function: what reads the tree knows one.
   */
  build(fn: DigestFunction): BuiltTree {
    const seen = new Set<string>();
    const finished: DigestedBlob[] = [];
    const visit = (node: BuilderNode): Digest => {
      const directories = [];
      // In order of names, so that the order of directories in a Tree does not depend on the order of calls.
      const names = [...node.directories].sort((a, b) => compareUtf8(a[0], b[0]));
      for (const [name, child] of names) directories.push({ name, digest: visit(child) });
      for (const { name, digest } of node.files.values()) if (digest.fn !== fn) throw mixed(name, digest, fn);
      const data = encodeDirectory({
        files: [...node.files.values()],
        directories,
        symlinks: [...node.symlinks.values()],
        ...(node.nodeProperties === undefined ? {} : { nodeProperties: node.nodeProperties }),
      });
      const digest = digestOf(fn, data);
      const key = digestKey(digest);
      if (!seen.has(key)) {
        seen.add(key);
        finished.push({ digest, data });
      }
      return digest;
    };
    const rootDigest = visit(this.#root);
    // Every directory finished after those below it, so that backwards parents come before children.
    return { rootDigest, directories: finished.reverse() };
  }

  /**
   * The REAPI Tree message: the root, then every other directory once, parents before children
   * (`is_topologically_sorted` holds).
   */
  buildTree(fn: DigestFunction): DigestedBlob & { readonly built: BuiltTree } {
    const built = this.build(fn);
    const data = encodeTree(built.directories.map((directory) => directory.data));
    return { digest: digestOf(fn, data), data, built };
  }

  #place(path: string): { parent: BuilderNode; name: string } {
    const names = splitPath(path);
    const name = names.pop();
    if (name === undefined) {
      throw invalidArgument("path", "A path is empty; only a directory can be the root of a tree");
    }
    const parent = this.#directory(names, path);
    if (parent.files.has(name) || parent.symlinks.has(name) || parent.directories.has(name)) {
      throw invalidArgument("path", `Path ${JSON.stringify(path.slice(0, 200))} is taken already`);
    }
    return { parent, name };
  }

  #directory(names: readonly string[], path: string): BuilderNode {
    let node = this.#root;
    for (const name of names) {
      let child = node.directories.get(name);
      if (child === undefined) {
        if (node.files.has(name) || node.symlinks.has(name)) {
          throw invalidArgument(
            "path",
            `Path ${JSON.stringify(path.slice(0, 200))} needs a directory where ${
              JSON.stringify(name)
            } is none`,
          );
        }
        child = emptyNode();
        node.directories.set(name, child);
        this.#count();
      }
      node = child;
    }
    return node;
  }

  #count(): void {
    if (++this.#entries > this.#maxEntries) {
      throw resourceExhausted(`A tree may have at most ${this.#maxEntries} entries`, 60_000);
    }
  }
}

/** A Tree message from Directory messages, the root first. */
export function encodeTree(directories: readonly Uint8Array[]): Uint8Array {
  const writer = new WireWriter(directories.reduce((sum, each) => sum + each.length + 6, 16));
  directories.forEach((directory, index) => {
    writer.header(index === 0 ? 1 : 2, directory.length);
    writer.raw(directory);
  });
  return writer.finish();
}

function mixed(name: string, digest: Digest, fn: DigestFunction): Error {
  return invalidArgument(
    "digest",
    `File ${JSON.stringify(name.slice(0, 200))} has a ${digest.fn.name} digest in a tree of ${fn.name}; ` +
      "all digests of an action are of one function",
  );
}
