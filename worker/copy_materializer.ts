/**
 * Lays out inputs as files of the action's own, without help from the kernel's namespaces: written from memory or copied
 * (shared extents where the file system can). Never links, since an action could write through them into the cache.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code, Slices, throwIfAborted } from "@brokkr/common";
import { createFile, removeTree, setMtime } from "@brokkr/sandbox";
import { unshared } from "./_unshared.ts";
import {
  INPUT_DIRECTORY_MODE,
  INPUT_EXECUTABLE_MODE,
  INPUT_FILE_MODE,
  INPUT_MTIME_NS,
  type InputDirectory,
  type InputFile,
  type MaterializedRoot,
  type Materializer,
  type MaterializeRequest,
} from "./materializer.ts";

/** Files from here on are copied by another thread: shorter copies take less time than handing them over. */
const COPY_ASIDE_BYTES = 256 * 1024;
/** Copies that other threads work on at once. */
const COPIES_ASIDE = 4;

/** State of one input root being laid out. */
class Layout {
  readonly #request: MaterializeRequest;
  readonly #slices: Slices;
  readonly #aside: { readonly file: InputFile; readonly path: string }[] = [];
  /** Directories in the order made; their times are set in reverse, once nothing more is put into them. */
  readonly #made: string[] = [];

  constructor(request: MaterializeRequest) {
    this.#request = request;
    this.#slices = new Slices(request.signal);
  }

  async run(rootPath: string): Promise<void> {
    const { tree, extraDirectories } = this.#request;
    this.#made.push(rootPath);
    await this.#fill(rootPath, tree.rootKey);
    for (const path of extraDirectories) {
      Deno.mkdirSync(`${rootPath}/${path}`, { mode: INPUT_DIRECTORY_MODE });
      this.#made.push(`${rootPath}/${path}`);
    }
    if (this.#aside.length > 0) await this.#copyAside();
    for (let i = this.#made.length - 1; i >= 0; i--) {
      setMtime(this.#made[i], INPUT_MTIME_NS);
      if (this.#slices.spent) await this.#slices.next();
    }
  }

  /** Fills a directory. Recursion is as deep as the tree, which its resolver has bounded. */
  async #fill(path: string, key: string): Promise<void> {
    const directory = this.#directory(key);
    for (const file of directory.files) {
      this.#file(`${path}/${file.name}`, file);
      if (this.#slices.spent) await this.#slices.next();
    }
    for (const { name, target } of directory.symlinks) {
      Deno.symlinkSync(target, `${path}/${name}`);
      setMtime(`${path}/${name}`, INPUT_MTIME_NS);
      if (this.#slices.spent) await this.#slices.next();
    }
    for (const child of directory.directories) {
      const childPath = `${path}/${child.name}`;
      // Fails if anything is there already: nothing is ever written through a link of the tree.
      Deno.mkdirSync(childPath, { mode: INPUT_DIRECTORY_MODE });
      this.#made.push(childPath);
      await this.#fill(childPath, child.key);
    }
  }

  #directory(key: string): InputDirectory {
    const directory = this.#request.tree.directories.get(key);
    if (directory === undefined) {
      throw new BrokkrError(Code.INTERNAL, `Input directory ${key} was not resolved`);
    }
    return directory;
  }

  #file(path: string, file: InputFile): void {
    const mode = file.executable ? INPUT_EXECUTABLE_MODE : INPUT_FILE_MODE;
    const { blobs } = this.#request;
    const content = blobs.bytes(file.key);
    if (content !== undefined) return createFile(path, unshared(content), { mode, mtimeNs: INPUT_MTIME_NS });
    if (file.digest.sizeBytes >= COPY_ASIDE_BYTES) {
      this.#aside.push({ file, path });
      return;
    }
    Deno.copyFileSync(blobs.path(file.key), path);
    finishCopy(path, mode);
  }

  async #copyAside(): Promise<void> {
    const { blobs, signal } = this.#request;
    const waiting = this.#aside.values();
    let failure: unknown;
    const lane = async () => {
      for (const { file, path } of waiting) {
        if (failure !== undefined || signal?.aborted) return;
        try {
          await Deno.copyFile(blobs.path(file.key), path);
          finishCopy(path, file.executable ? INPUT_EXECUTABLE_MODE : INPUT_FILE_MODE);
        } catch (error) {
          failure = error;
        }
      }
    };
    await Promise.all(Array.from({ length: COPIES_ASIDE }, lane));
    if (failure !== undefined) throw failure;
    throwIfAborted(signal);
  }
}

function finishCopy(path: string, mode: number): void {
  // A copy has the mode of the cached file.
  if (mode !== INPUT_FILE_MODE) Deno.chmodSync(path, mode);
  setMtime(path, INPUT_MTIME_NS);
}

/** How a {@linkcode CopyMaterializer} is set up. */
export interface CopyMaterializerOptions {
  /**
   * Directory of its own; input roots become `<path>/<number>/root`. Numbers are used again, lowest first, so that an
   * action run twice mostly sees the same path.
   */
  readonly path: string;
}

/** Files of the worker's own that stay beside an input root when it is removed, emptied. */
const KEPT_FILES: ReadonlySet<string> = new Set(["stdout", "stderr"]);

/** A {@linkcode Materializer} that writes and copies files. Disposing of it removes its directory. */
export class CopyMaterializer implements Materializer, AsyncDisposable {
  readonly #path: string;
  /** Numbers in use. */
  readonly #taken = new Set<number>();
  /** Numbers whose scratch directory is there and clean. */
  readonly #clean = new Set<number>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens its directory and removes what a process that was killed left there. */
  static async open(options: CopyMaterializerOptions): Promise<CopyMaterializer> {
    await removeTree(options.path);
    await Deno.mkdir(options.path, { recursive: true, mode: 0o700 });
    return new CopyMaterializer(options.path);
  }

  /** See {@linkcode Materializer.materialize}. */
  async materialize(request: MaterializeRequest): Promise<MaterializedRoot> {
    const number = this.#take();
    const scratchPath = `${this.#path}/${number}`;
    const rootPath = `${scratchPath}/root`;
    let removed = false;
    const remove = async () => {
      if (removed) return;
      removed = true;
      // Its number stays taken when it cannot be removed: nothing may find another action's leavings.
      await removeTree(rootPath);
      if (emptyScratch(scratchPath)) this.#clean.add(number);
      else await removeTree(scratchPath);
      this.#taken.delete(number);
    };
    try {
      if (!this.#clean.delete(number)) Deno.mkdirSync(scratchPath, { mode: 0o700 });
      Deno.mkdirSync(rootPath, { mode: INPUT_DIRECTORY_MODE });
      await new Layout(request).run(rootPath);
    } catch (error) {
      await remove();
      throw asBrokkrError(error);
    }
    return { rootPath, scratchPath, [Symbol.asyncDispose]: remove };
  }

  /** Removes its directory. No input root may be in use. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#clean.clear();
    await removeTree(this.#path);
  }

  #take(): number {
    let number = 0;
    while (this.#taken.has(number)) number++;
    this.#taken.add(number);
    return number;
  }
}

/**
 * Makes a scratch directory fit for the next action: making and removing inodes is the dear part of a short action, so
 * its output files are emptied and stay. False when something else is there, or something was put in their place.
 */
function emptyScratch(path: string): boolean {
  try {
    for (const { name, isFile } of Deno.readDirSync(path)) {
      if (!isFile || !KEPT_FILES.has(name)) return false;
      const stat = Deno.lstatSync(`${path}/${name}`);
      if (!stat.isFile || stat.nlink !== 1 || ((stat.mode ?? 0) & 0o777) !== 0o600) return false;
      if (stat.size > 0) Deno.truncateSync(`${path}/${name}`);
    }
    return true;
  } catch {
    // An action without a sandbox can have done anything to it: then it is removed and made anew.
    return false;
  }
}
