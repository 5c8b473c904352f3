/**
 * Finds out what an input root consists of: its directories, fetched level by level and remembered decoded, and the
 * contents of its files.
 *
 * @module
 */

import { type BrokkrError, invalidArgument, Slices, throwIfAborted } from "@brokkr/common";
import {
  type Digest,
  digestKey,
  type DirectoryContent,
  missingBlobsError,
  parseDirectory,
  utf8Length,
} from "@brokkr/cas/client";
import type { BlobSource, HeldInputs, InputFetcher } from "./input_fetcher.ts";
import type { InputBlobs, InputDirectory, ResolvedInputs } from "./materializer.ts";

/** How an {@linkcode InputResolver} is limited. */
export interface InputResolverOptions {
  /** Most files, directories and links of an input root, counting each place; 1,000,000 by default. */
  readonly maxNodes?: number;
  /** Most directories below one another; 256 by default. */
  readonly maxDepth?: number;
  /** Most bytes of one Directory message; 64 MiB by default. */
  readonly maxDirectoryBytes?: number;
  /** Most bytes of Directory messages remembered decoded; 32 MiB by default. */
  readonly rememberedBytes?: number;
}

interface Remembered {
  readonly directory: InputDirectory;
  readonly sizeBytes: number;
}

/** Longest path among the inputs, in bytes: Linux takes 4095, of which the worker's own directory needs some. */
const MAX_INPUT_PATH_BYTES = 3583;

const EMPTY_DIRECTORY: InputDirectory = { files: [], directories: [], symlinks: [] };

/** Resolves input roots through an {@linkcode InputFetcher}. */
export class InputResolver {
  readonly #fetcher: InputFetcher;
  readonly #maxNodes: number;
  readonly #maxDepth: number;
  readonly #maxDirectoryBytes: number;
  readonly #rememberedLimit: number;
  /** Decoded directories by key, least recently used first. */
  readonly #remembered = new Map<string, Remembered>();
  #rememberedBytes = 0;

  /** Fetches through `fetcher`. */
  constructor(fetcher: InputFetcher, options: InputResolverOptions = {}) {
    this.#fetcher = fetcher;
    this.#maxNodes = options.maxNodes ?? 1_000_000;
    this.#maxDepth = options.maxDepth ?? 256;
    this.#maxDirectoryBytes = options.maxDirectoryBytes ?? 64 * 1024 * 1024;
    this.#rememberedLimit = options.rememberedBytes ?? 32 * 1024 * 1024;
  }

  /**
   * Everything an input root needs, held in the cache until the result is disposed of.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming every blob that is missing (of what lies below a missing directory
   * nothing can be known); INVALID_ARGUMENT for a malformed tree.
   */
  async resolve(root: Digest, source: BlobSource, signal?: AbortSignal): Promise<ResolvedInputs> {
    if (root.sizeBytes === 0) return emptyInputs(digestKey(root));
    const missing: Digest[] = [];
    const directories = new Map<string, InputDirectory>();
    const fetched = await this.#load(root, directories, missing, source, signal);
    const nodeCount = countNodes(digestKey(root), directories, this.#maxNodes, this.#maxDepth);
    const files = await distinctFiles(directories, signal);
    const held = await this.#fetcher.hold(files, source, signal);
    missing.push(...held.missing);
    if (missing.length > 0) {
      held[Symbol.dispose]();
      throw missingBlobsError(
        `${missing.length} input blob${missing.length === 1 ? " is" : "s are"} missing`,
        missing,
      );
    }
    return {
      tree: { rootKey: digestKey(root), directories, nodeCount },
      blobs: held,
      wantedBlobs: directories.size + files.length,
      fetchedBlobs: fetched.blobs + held.fetchedBlobs,
      fetchedBytes: fetched.bytes + held.fetchedBytes,
      [Symbol.dispose]: () => held[Symbol.dispose](),
    };
  }

  /** Loads every directory below `root`, one level at a time. */
  async #load(
    root: Digest,
    directories: Map<string, InputDirectory>,
    missing: Digest[],
    source: BlobSource,
    signal: AbortSignal | undefined,
  ): Promise<{ blobs: number; bytes: number }> {
    const slices = new Slices(signal);
    const fetched = { blobs: 0, bytes: 0 };
    const seen = new Set<string>();
    let level = new Map<string, { readonly digest: Digest; readonly path: string }>([
      [digestKey(root), { digest: root, path: "" }],
    ]);
    for (let depth = 0; level.size > 0; depth++) {
      if (depth > this.#maxDepth) {
        throw tooMuch(`more than ${this.#maxDepth} directories below one another`);
      }
      throwIfAborted(signal);
      const wanted: { readonly digest: Digest; readonly path: string; readonly key: string }[] = [];
      for (const [key, { digest, path }] of level) {
        seen.add(key);
        const known = this.#recall(key);
        if (known !== undefined) directories.set(key, known);
        else wanted.push({ digest, path, key });
      }
      if (wanted.length > 0) {
        using held = await this.#fetcher.hold(wanted.map((each) => each.digest), source, signal);
        fetched.blobs += held.fetchedBlobs;
        fetched.bytes += held.fetchedBytes;
        missing.push(...held.missing);
        const absent = new Set(held.missing.map(digestKey));
        for (const each of wanted) {
          if (!absent.has(each.key)) directories.set(each.key, await this.#decode(each, held));
          if (slices.spent) await slices.next();
        }
      }
      const next = new Map<string, { readonly digest: Digest; readonly path: string }>();
      for (const [key, { path }] of level) {
        for (const child of directories.get(key)?.directories ?? []) {
          if (seen.has(child.key) || next.has(child.key)) continue;
          next.set(child.key, {
            digest: child.digest,
            path: path === "" ? child.name : `${path}/${child.name}`,
          });
        }
      }
      level = next;
    }
    return fetched;
  }

  async #decode(
    wanted: { readonly digest: Digest; readonly path: string; readonly key: string },
    held: HeldInputs,
  ): Promise<InputDirectory> {
    const { digest, path, key } = wanted;
    if (digest.sizeBytes > this.#maxDirectoryBytes) {
      throw invalidArgument(
        "input_root_digest",
        `Directory ${
          JSON.stringify(path)
        } has ${digest.sizeBytes} bytes; at most ${this.#maxDirectoryBytes} are allowed`,
      );
    }
    const directory = withKeys(parseDirectory(await held.read(key), digest.fn, path));
    longestName(directory); // measured now, in the caller's slices, and not for all directories in one go
    this.#remember(key, { directory, sizeBytes: digest.sizeBytes });
    return directory;
  }

  #recall(key: string): InputDirectory | undefined {
    const known = this.#remembered.get(key);
    if (known === undefined) return undefined;
    this.#remembered.delete(key);
    this.#remembered.set(key, known);
    return known.directory;
  }

  #remember(key: string, value: Remembered): void {
    if (this.#remembered.has(key)) return;
    this.#remembered.set(key, value);
    this.#rememberedBytes += value.sizeBytes;
    for (const [oldest, { sizeBytes }] of this.#remembered) {
      if (this.#rememberedBytes <= this.#rememberedLimit) break;
      this.#remembered.delete(oldest);
      this.#rememberedBytes -= sizeBytes;
    }
  }
}

function withKeys(content: DirectoryContent): InputDirectory {
  return {
    files: content.files.map(({ name, digest, executable }) => ({
      name,
      digest,
      executable,
      key: digestKey(digest),
    })),
    directories: content.directories.map(({ name, digest }) => ({ name, digest, key: digestKey(digest) })),
    symlinks: content.symlinks.map(({ name, target }) => ({ name, target })),
  };
}

function emptyInputs(rootKey: string): ResolvedInputs {
  const blobs: InputBlobs = {
    bytes: () => undefined,
    path: () => "/dev/null",
    keep: () => ({ [Symbol.dispose]: () => {} }),
    [Symbol.dispose]: () => {},
  };
  return {
    tree: { rootKey, directories: new Map([[rootKey, EMPTY_DIRECTORY]]), nodeCount: 0 },
    blobs,
    wantedBlobs: 0,
    fetchedBlobs: 0,
    fetchedBytes: 0,
    [Symbol.dispose]: () => {},
  };
}

/** Contents of all files, each once; both digests where one hash comes with two sizes. */
async function distinctFiles(
  directories: ReadonlyMap<string, InputDirectory>,
  signal: AbortSignal | undefined,
): Promise<Digest[]> {
  const slices = new Slices(signal);
  const files = new Map<string, Digest>();
  const others: Digest[] = [];
  for (const directory of directories.values()) {
    for (const { key, digest } of directory.files) {
      const known = files.get(key);
      if (known === undefined) files.set(key, digest);
      else if (known.sizeBytes !== digest.sizeBytes) others.push(digest);
    }
    if (slices.spent) await slices.next();
  }
  return [...files.values(), ...others];
}

/** Longest name of a file or link, in bytes, by directory: they are shared by many actions and never change. */
const longestNames = new WeakMap<InputDirectory, number>();

function longestName(directory: InputDirectory): number {
  let longest = longestNames.get(directory);
  if (longest !== undefined) return longest;
  longest = 0;
  for (const { name } of directory.files) longest = Math.max(longest, utf8Length(name));
  for (const { name } of directory.symlinks) longest = Math.max(longest, utf8Length(name));
  longestNames.set(directory, longest);
  return longest;
}

/** What one directory amounts to, with all below it. */
interface Extent {
  /** Files, directories and links, each as often as it stands there. */
  readonly nodes: number;
  /** Directories below one another. */
  readonly depth: number;
  /** Bytes of the longest path. */
  readonly pathBytes: number;
}

/**
 * Counts files, directories and links, each as often as it stands in the tree. A few small Directory messages that name
 * one another many times stand for more files than any disk holds.
 */
function countNodes(
  rootKey: string,
  directories: ReadonlyMap<string, InputDirectory>,
  maxNodes: number,
  maxDepth: number,
): number {
  const extents = new Map<string, Extent>();
  const measure = (key: string, above: number): Extent => {
    const known = extents.get(key);
    if (known !== undefined) return known;
    const directory = directories.get(key);
    if (directory === undefined || above > maxDepth) return { nodes: 0, depth: 0, pathBytes: 0 };
    let nodes = directory.files.length + directory.symlinks.length + directory.directories.length;
    let depth = 0;
    let pathBytes = longestName(directory);
    for (const { name, key: childKey } of directory.directories) {
      const child = measure(childKey, above + 1);
      nodes += child.nodes;
      depth = Math.max(depth, child.depth + 1);
      pathBytes = Math.max(pathBytes, utf8Length(name) + 1 + child.pathBytes);
    }
    const extent = { nodes, depth, pathBytes };
    extents.set(key, extent);
    return extent;
  };
  const { nodes, depth, pathBytes } = measure(rootKey, 0);
  if (depth > maxDepth) throw tooMuch(`more than ${maxDepth} directories below one another`);
  if (nodes > maxNodes) {
    throw tooMuch(`${nodes} files, directories and links; at most ${maxNodes} are allowed`);
  }
  if (pathBytes > MAX_INPUT_PATH_BYTES) {
    throw tooMuch(`a path of ${pathBytes} bytes; at most ${MAX_INPUT_PATH_BYTES} are allowed`);
  }
  return nodes;
}

function tooMuch(what: string): BrokkrError {
  return invalidArgument("input_root_digest", `The input root has ${what}`);
}
