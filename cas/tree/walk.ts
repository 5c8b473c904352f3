/**
 * Walking Merkle trees, wherever their directories come from.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, throwIfAborted } from "@brokkr/common";
import { WireReader } from "@brokkr/proto";
import {
  type Digest,
  type DigestFunction,
  digestKey,
  digestOf,
  formatDigest,
  missingBlobsError,
} from "../digest.ts";
import { type DirectoryContent, parseDirectory } from "./directory.ts";
import { MAX_PATH_BYTES } from "./names.ts";

/** How far a walk goes. A tree is a graph in disguise: a few kilobytes can name more paths than there are atoms. */
export interface TreeLimits {
  /** Most directories below each other; 1,000 by default. */
  readonly maxDepth?: number;
  /** Most entries on all paths together; 1,000,000 by default. */
  readonly maxEntries?: number;
}

/** Options of {@linkcode walkTree}. */
export interface WalkOptions extends TreeLimits {
  /** Directories it says true to are yielded without `content`, and nothing below them is fetched. */
  readonly skip?: (digest: Digest, path: string) => boolean;
  /** Stops the walk. */
  readonly signal?: AbortSignal;
}

/** One directory on a walk. */
export interface WalkedDirectory {
  /** Path below the root; `""` for the root itself. */
  readonly path: string;
  /** Digest of its Directory message. */
  readonly digest: Digest;
  /** What it holds; undefined when skipped. */
  readonly content: DirectoryContent | undefined;
}

/** Gets Directory messages, in the order asked for; undefined for one that is not there. */
export type DirectoryFetch = (
  digests: readonly Digest[],
) => readonly (Uint8Array | undefined)[] | Promise<readonly (Uint8Array | undefined)[]>;

/**
 * Walks a tree level by level, parents before children. The directories of a level are fetched in one call, each once
 * however often it occurs.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION naming every directory of a level that is missing; INVALID_ARGUMENT for
 * malformed directories and trees beyond the limits.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { digestOf, SHA256, TreeBuilder, treeSource, walkTree } from "@brokkr/cas";
 * const builder = new TreeBuilder();
 * builder.addFile("a/b/c", digestOf(SHA256, new Uint8Array(3)));
 * const source = treeSource(builder.buildTree(SHA256).data, SHA256);
 * const paths = [];
 * for await (const { path } of walkTree(source.rootDigest, source.fetch)) paths.push(path);
 * assertEquals(paths, ["", "a", "a/b"]);
 * ```
 */
export async function* walkTree(
  root: Digest,
  fetch: DirectoryFetch,
  options: WalkOptions = {},
): AsyncGenerator<WalkedDirectory, void, undefined> {
  const { maxDepth = 1000, maxEntries = 1_000_000, skip, signal } = options;
  const parsed = new Map<string, DirectoryContent>();
  let entries = 0;
  let level: { path: string; digest: Digest }[] = [{ path: "", digest: root }];
  for (let depth = 0; level.length > 0; depth++) {
    throwIfAborted(signal);
    if (depth > maxDepth) throw tooLarge(`more than ${maxDepth} directories below each other`);
    const wanted = skip === undefined ? level : level.filter((each) => !skip(each.digest, each.path));
    await loadLevel(wanted, fetch, parsed);
    const kept = skip === undefined ? undefined : new Set(wanted);
    const next: { path: string; digest: Digest }[] = [];
    for (const each of level) {
      if (kept !== undefined && !kept.has(each)) {
        yield { ...each, content: undefined };
        continue;
      }
      const content = parsed.get(digestKey(each.digest));
      if (content === undefined) throw new BrokkrError(Code.INTERNAL, "A directory that was loaded is gone");
      entries += content.files.length + content.directories.length + content.symlinks.length;
      if (entries > maxEntries) throw tooLarge(`more than ${maxEntries} entries`);
      for (const child of content.directories) {
        next.push({ path: joinPath(each.path, child.name), digest: child.digest });
      }
      yield { path: each.path, digest: each.digest, content };
    }
    level = next;
  }
}

async function loadLevel(
  level: readonly { readonly path: string; readonly digest: Digest }[],
  fetch: DirectoryFetch,
  parsed: Map<string, DirectoryContent>,
): Promise<void> {
  const wanted = new Map<string, { path: string; digest: Digest }>();
  for (const each of level) {
    const key = digestKey(each.digest);
    if (!parsed.has(key)) wanted.set(key, each);
  }
  if (wanted.size === 0) return;
  const list = [...wanted.values()];
  const found = await fetch(list.map((each) => each.digest));
  const missing: Digest[] = [];
  list.forEach(({ path, digest }, index) => {
    const bytes = found[index];
    if (bytes === undefined) missing.push(digest);
    else parsed.set(digestKey(digest), parseDirectory(bytes, digest.fn, path));
  });
  if (missing.length > 0) {
    throw missingBlobsError(
      `${missing.length} directories of a tree are missing, first ${formatDigest(missing[0])}`,
      missing,
    );
  }
}

function tooLarge(why: string): BrokkrError {
  return invalidArgument("directory", `The tree has ${why}, which is the limit`);
}

/**
 * `path` and `name` joined.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when no system call could take the result.
 */
export function joinPath(path: string, name: string): string {
  if (path === "") return name;
  const joined = `${path}/${name}`;
  if (joined.length > MAX_PATH_BYTES) {
    throw invalidArgument("directory", `A path of the tree has more than ${MAX_PATH_BYTES} bytes`);
  }
  return joined;
}

/** A Tree message taken apart. */
export interface TreeSource {
  /** Digest of the root. */
  readonly rootDigest: Digest;
  /** Every Directory of it, the root first, as they came. */
  readonly directories: readonly Uint8Array[];
  /** Gets directories out of it, for {@linkcode walkTree}. */
  readonly fetch: (digests: readonly Digest[]) => readonly (Uint8Array | undefined)[];
}

/**
 * Takes apart the bytes of a Tree message. The directories are views into them.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when they are malformed.
 */
export function treeSource(bytes: Uint8Array, fn: DigestFunction): TreeSource {
  const directories = splitTree(bytes);
  const byKey = new Map<string, Uint8Array>();
  let rootDigest: Digest | undefined;
  for (const directory of directories) {
    const digest = digestOf(fn, directory);
    rootDigest ??= digest;
    byKey.set(digestKey(digest), directory);
  }
  return {
    rootDigest: rootDigest ?? digestOf(fn, new Uint8Array()),
    directories,
    fetch: (digests) => digests.map((digest) => byKey.get(digestKey(digest))),
  };
}

/**
 * The Directory messages in a Tree message, the root first, as views.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function splitTree(bytes: Uint8Array): Uint8Array[] {
  const reader = new WireReader(bytes, "a Tree");
  let root: Uint8Array = new Uint8Array();
  const children: Uint8Array[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) root = reader.view();
    else if (tag === 0x12) children.push(reader.view());
    else reader.skip(tag);
  }
  return [root, ...children];
}
