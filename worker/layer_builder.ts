/**
 * Fills the directories of input layers: a whole input root as hard links to cached files, or directories alone.
 *
 * @module
 */

import { BrokkrError, Code, Slices } from "@brokkr/common";
import { linkFile, setMtime, SyscallError } from "@brokkr/sandbox";
import type { BuiltLayer } from "./layers.ts";
import { type LinkSource, type LinkSources, writeInput } from "./link_sources.ts";
import {
  INPUT_DIRECTORY_MODE,
  INPUT_MTIME_NS,
  type InputBlobs,
  type InputDirectory,
  type InputFile,
  type InputTree,
} from "./materializer.ts";

/** What a directory takes on most file systems: one block. */
const DIRECTORY_BYTES = 4096;

/** Makes a hard link, as {@linkcode linkFile} does. */
export type LinkCall = (from: string, to: string) => void;

/** What layers of whole input roots are made from. */
export interface RootLayerParts {
  /** What to lay out. */
  readonly tree: InputTree;
  /** Contents of its files. */
  readonly blobs: InputBlobs;
  /** Files to link from beside the cached ones. */
  readonly sources: LinkSources;
  /** Makes a link. */
  readonly link?: LinkCall;
}

/**
 * Fills the empty directory `path` with an input root. Every file is a hard link to an inode that no action may write:
 * a cached one, or one of {@linkcode LinkSources}. No inode comes twice in a layer: tools that keep hard links would make
 * one file of equal ones, and an action that then writes to its copy would change the other. Where links cannot be made
 * files are copied.
 *
 * On success `parts.blobs` must be no longer used: what the layer needs of them is held by the layer.
 */
export function buildRootLayer(
  path: string,
  parts: RootLayerParts,
  signal?: AbortSignal,
): Promise<BuiltLayer> {
  return new RootLayout(parts, signal).run(path);
}

class RootLayout {
  readonly #parts: RootLayerParts;
  readonly #slices: Slices;
  /** How often each form of a blob came so far. */
  readonly #seen = new Map<string, number>();
  /** Blobs whose cached file was linked: the cache must go on counting them. */
  readonly #linked = new Set<string>();
  readonly #held: LinkSource[] = [];
  readonly #directories: string[] = [];
  #nodes = 0;
  #copiedBytes = 0;

  constructor(parts: RootLayerParts, signal: AbortSignal | undefined) {
    this.#parts = parts;
    this.#slices = new Slices(signal);
  }

  async run(path: string): Promise<BuiltLayer> {
    const { tree, blobs, sources } = this.#parts;
    try {
      this.#directories.push(path);
      await this.#fill(path, tree.rootKey);
      await setTimes(this.#directories, this.#slices);
    } catch (error) {
      for (const source of this.#held) sources.release(source);
      throw error;
    }
    const hold = blobs.keep(this.#linked);
    return {
      nodes: this.#nodes + this.#directories.length,
      bytes: this.#copiedBytes + DIRECTORY_BYTES * this.#directories.length,
      release: () => {
        for (const source of this.#held.splice(0)) sources.release(source);
        hold[Symbol.dispose]();
      },
    };
  }

  /** Fills a directory. Recursion is as deep as the tree, which its resolver has bounded. */
  async #fill(path: string, key: string): Promise<void> {
    const directory = this.#directory(key);
    this.#nodes += directory.files.length + directory.symlinks.length;
    for (const file of directory.files) {
      const aside = this.#file(`${path}/${file.name}`, file);
      if (aside !== undefined) await aside;
      if (this.#slices.spent) await this.#slices.next();
    }
    for (const { name, target } of directory.symlinks) {
      Deno.symlinkSync(target, `${path}/${name}`);
      setMtime(`${path}/${name}`, INPUT_MTIME_NS);
      if (this.#slices.spent) await this.#slices.next();
    }
    for (const child of directory.directories) {
      const childPath = `${path}/${child.name}`;
      Deno.mkdirSync(childPath, { mode: INPUT_DIRECTORY_MODE });
      this.#directories.push(childPath);
      await this.#fill(childPath, child.key);
    }
  }

  #directory(key: string): InputDirectory {
    const directory = this.#parts.tree.directories.get(key);
    if (directory === undefined) {
      throw new BrokkrError(Code.INTERNAL, `Input directory ${key} was not resolved`);
    }
    return directory;
  }

  /** Lays out a file; what it returns must be awaited, if anything. */
  #file(path: string, file: InputFile): Promise<void> | undefined {
    const form = file.executable ? `${file.key}*` : file.key;
    const ordinal = this.#seen.get(form) ?? 0;
    this.#seen.set(form, ordinal + 1);
    // The empty blob has no file in the cache, and the cached one is not executable.
    if (ordinal === 0 && !file.executable && file.digest.sizeBytes > 0) {
      if (this.#link(this.#parts.blobs.path(file.key), path) === "linked") {
        this.#linked.add(file.key);
        return undefined;
      }
    }
    const id = `${form}${ordinal}`;
    const source = this.#parts.sources.find(id);
    if (source !== undefined) {
      this.#held.push(source);
      if (this.#link(source.path, path) === "linked") return undefined;
    }
    return this.#newSource(path, file, id, source);
  }

  /** Lays out a file of which there is no file to link from, or one that takes no more links. */
  async #newSource(path: string, file: InputFile, id: string, used: LinkSource | undefined): Promise<void> {
    const { sources, blobs } = this.#parts;
    if (used !== undefined) {
      this.#held.pop();
      sources.retire(used);
    }
    const source = await sources.make(id, file, blobs);
    this.#held.push(source);
    if (this.#link(source.path, path) === "linked") return;
    this.#held.pop();
    sources.retire(source);
    await writeInput(path, file, blobs);
    this.#copiedBytes += file.digest.sizeBytes;
  }

  #link(from: string, to: string): "linked" | "impossible" {
    const link = this.#parts.link ?? linkFile;
    try {
      link(from, to);
      return "linked";
    } catch (error) {
      if (error instanceof SyscallError && UNLINKABLE.has(error.errnoName)) return "impossible";
      throw error;
    }
  }
}

/** Links used up (65,000 on ext4), another file system, one without links. */
const UNLINKABLE: ReadonlySet<string> = new Set(["EMLINK", "EXDEV", "EPERM", "EOPNOTSUPP"]);

/**
 * Fills the empty directory `path` with directories, their parents included.
 *
 * @param directories relative, parents before children.
 */
export async function buildDirectoryLayer(
  path: string,
  directories: readonly string[],
  signal?: AbortSignal,
): Promise<BuiltLayer> {
  const slices = new Slices(signal);
  const made = new Set([path]);
  for (const directory of directories) {
    let at = path;
    for (const name of directory.split("/")) {
      at += `/${name}`;
      if (made.has(at)) continue;
      Deno.mkdirSync(at, { mode: INPUT_DIRECTORY_MODE });
      made.add(at);
    }
    if (slices.spent) await slices.next();
  }
  await setTimes([...made], slices);
  return { nodes: made.size, bytes: DIRECTORY_BYTES * made.size, release: () => {} };
}

/** Sets the times of directories, given parents first, once nothing more is put into them. */
async function setTimes(directories: readonly string[], slices: Slices): Promise<void> {
  for (let i = directories.length - 1; i >= 0; i--) {
    setMtime(directories[i], INPUT_MTIME_NS);
    if (slices.spent) await slices.next();
  }
}
