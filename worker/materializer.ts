/**
 * What lays out an action's inputs: the interface, and what it is given.
 *
 * @module
 */

import type { Digest } from "@brokkr/cas/client";

/** A file among the inputs. */
export interface InputFile {
  /** Its name in its directory. */
  readonly name: string;
  /** Its content. */
  readonly digest: Digest;
  /** {@linkcode digestKey} of the content. */
  readonly key: string;
  /** Whether it may be executed. */
  readonly executable: boolean;
}

/** A directory among the inputs. */
export interface InputSubdirectory {
  /** Its name in its parent. */
  readonly name: string;
  /** The Directory message that says what is in it. */
  readonly digest: Digest;
  /** {@linkcode digestKey} of that message. */
  readonly key: string;
}

/** A symbolic link among the inputs; it is made as given and never followed. */
export interface InputSymlink {
  /** Its name in its directory. */
  readonly name: string;
  /** Where it points: relative or absolute, there or not. */
  readonly target: string;
}

/** A decoded Directory whose names were found to be sound and distinct. */
export interface InputDirectory {
  /** Files. */
  readonly files: readonly InputFile[];
  /** Directories. */
  readonly directories: readonly InputSubdirectory[];
  /** Symbolic links. */
  readonly symlinks: readonly InputSymlink[];
}

/** A whole input root: directories by key, each there. One directory may stand in many places. */
export interface InputTree {
  /** Key of the root in {@linkcode InputTree.directories}. */
  readonly rootKey: string;
  /** Every directory that can be reached from the root. */
  readonly directories: ReadonlyMap<string, InputDirectory>;
  /** Files, directories and links to lay out, counting each place. */
  readonly nodeCount: number;
}

/** Contents of input files, held in the worker's cache until it is disposed of. */
export interface InputBlobs extends Disposable {
  /** The content of a small blob that is in memory; undefined when it is only on disk. */
  bytes(key: string): Uint8Array | undefined;
  /** The cached file that holds a blob. Read only: never linked into an action's reach. */
  path(key: string): string;
  /**
   * Ends the use of all of them, and holds only those with these keys until what it returns is disposed of. That
   * takes a word of memory for each.
   */
  keep(keys: ReadonlySet<string>): Disposable;
}

/** An input root with everything at hand. Disposing of it lets the cache forget the contents. */
export interface ResolvedInputs extends Disposable {
  /** What to lay out. */
  readonly tree: InputTree;
  /** Contents of its files. */
  readonly blobs: InputBlobs;
  /** Distinct blobs that were needed, directories included. */
  readonly wantedBlobs: number;
  /** Blobs that had to be fetched. */
  readonly fetchedBlobs: number;
  /** Their bytes. */
  readonly fetchedBytes: number;
}

/** What may stand at a path of an input root. */
export type InputNodeKind = "file" | "link" | "directory";

/**
 * What stands at a path of an input root, relative to it; undefined for nothing. To be asked of a path only when it
 * answered `directory` for the one above.
 */
export type InputNodes = (path: string) => InputNodeKind | undefined;

/** What to lay out. */
export interface MaterializeRequest {
  /** The input root. */
  readonly root: Digest;
  /**
   * Finds out what it consists of, and holds the contents. Not called where the root lies ready; whoever calls it disposes
   * of the result.
   */
  readonly resolve: () => Promise<ResolvedInputs>;
  /**
   * Directories to make besides, relative to the root, parents before children; none of them stands in the root, and no
   * file or link of it is in their way.
   */
  readonly extraDirectories: (nodes: InputNodes) => Promise<readonly string[]>;
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * An input root: a directory of the action's own, or directories that lie read-only beneath one another and what the
 * action writes, the uppermost first.
 */
export type InputPlace = { readonly rootPath: string } | { readonly lowers: readonly string[] };

/** An input root as it lies there. Disposing of it removes all that the action left. */
export interface MaterializedRoot extends AsyncDisposable {
  /** Where the inputs are. */
  readonly inputs: InputPlace;
  /** Absolute path of a directory beside it for the worker's own files of this action, such as captured output. */
  readonly scratchPath: string;
}

/**
 * Lays out input roots. What an action writes stays in its own root: no file of the worker's cache can be changed
 * through it.
 */
export interface Materializer {
  /**
   * Lays out one input root. What was begun is removed again when it fails.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when the disk is full; CANCELLED when the signal aborts.
   */
  materialize(request: MaterializeRequest): Promise<MaterializedRoot>;
}

/**
 * Modification time of every input, in nanoseconds since 1970: 2000-01-01T00:00:00Z. It must be the same always, or the
 * same action could have two results. Not 1970, which tools take for "unknown" and zip archives (from 1980 on) cannot
 * hold.
 */
export const INPUT_MTIME_NS = 946_684_800_000_000_000n;
/** Mode of an input file. Nobody may write it: an action that changes its inputs would differ from run to run. */
export const INPUT_FILE_MODE = 0o444;
/** Mode of an executable input file. */
export const INPUT_EXECUTABLE_MODE = 0o555;
/** Mode of a directory: actions write their outputs beside their inputs. */
export const INPUT_DIRECTORY_MODE = 0o755;

/** Looks up nodes in a resolved tree. */
export function treeNodes(tree: InputTree): InputNodes {
  const keys = new Map([["", tree.rootKey]]);
  return (path) => {
    const slash = path.lastIndexOf("/");
    const key = keys.get(slash < 0 ? "" : path.slice(0, slash));
    const directory = key === undefined ? undefined : tree.directories.get(key);
    const node = directory === undefined ? undefined : indexOf(directory).get(path.slice(slash + 1));
    if (node?.kind === "directory") keys.set(path, node.key);
    return node?.kind;
  };
}

type IndexedNode = { readonly kind: "file" | "link" } | { readonly kind: "directory"; readonly key: string };

/** Names of directories that were asked about; they are shared by many actions and never change. */
const indexes = new WeakMap<InputDirectory, ReadonlyMap<string, IndexedNode>>();

function indexOf(directory: InputDirectory): ReadonlyMap<string, IndexedNode> {
  const known = indexes.get(directory);
  if (known !== undefined) return known;
  const index = new Map<string, IndexedNode>();
  for (const { name } of directory.files) index.set(name, { kind: "file" });
  for (const { name } of directory.symlinks) index.set(name, { kind: "link" });
  for (const { name, key } of directory.directories) index.set(name, { kind: "directory", key });
  indexes.set(directory, index);
  return index;
}
