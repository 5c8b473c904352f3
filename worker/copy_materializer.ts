/**
 * Lays out inputs as files of the action's own, without help from the kernel's namespaces: written from memory or copied
 * (shared extents where the file system can). Never links, since an action could write through them into the cache.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code, Slices, throwIfAborted } from "@brokkr/common";
import { createFile, setMtime } from "@brokkr/sandbox";
import { unshared } from "./_unshared.ts";
import {
  INPUT_DIRECTORY_MODE,
  INPUT_EXECUTABLE_MODE,
  INPUT_FILE_MODE,
  INPUT_MTIME_NS,
  type InputBlobs,
  type InputDirectory,
  type InputFile,
  type InputTree,
  type MaterializedRoot,
  type Materializer,
  type MaterializeRequest,
  treeNodes,
} from "./materializer.ts";
import { ScratchDirectories } from "./scratch.ts";

/** Files from here on are copied by another thread: shorter copies take less time than handing them over. */
const COPY_ASIDE_BYTES = 256 * 1024;
/** Copies that other threads work on at once. */
const COPIES_ASIDE = 4;

/** What to lay out. */
interface LayoutRequest {
  readonly tree: InputTree;
  readonly blobs: InputBlobs;
  readonly extraDirectories: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** State of one input root being laid out. */
class Layout {
  readonly #request: LayoutRequest;
  readonly #slices: Slices;
  readonly #aside: { readonly file: InputFile; readonly path: string }[] = [];
  /** Directories in the order made; their times are set in reverse, once nothing more is put into them. */
  readonly #made: string[] = [];

  constructor(request: LayoutRequest) {
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

/** A {@linkcode Materializer} that writes and copies files. Disposing of it removes its directory. */
export class CopyMaterializer implements Materializer, AsyncDisposable {
  readonly #scratch: ScratchDirectories;

  private constructor(scratch: ScratchDirectories) {
    this.#scratch = scratch;
  }

  /** Opens its directory and removes what a process that was killed left there. */
  static async open(options: CopyMaterializerOptions): Promise<CopyMaterializer> {
    return new CopyMaterializer(await ScratchDirectories.open(options.path));
  }

  /** See {@linkcode Materializer.materialize}. */
  async materialize(request: MaterializeRequest): Promise<MaterializedRoot> {
    const { resolve, signal } = request;
    using inputs = await resolve();
    const extraDirectories = await request.extraDirectories(treeNodes(inputs.tree));
    const scratch = this.#scratch.take();
    const rootPath = `${scratch.path}/root`;
    try {
      Deno.mkdirSync(rootPath, { mode: INPUT_DIRECTORY_MODE });
      await new Layout({ ...inputs, extraDirectories, signal }).run(rootPath);
    } catch (error) {
      await scratch[Symbol.asyncDispose]();
      throw asBrokkrError(error);
    }
    return {
      inputs: { rootPath },
      scratchPath: scratch.path,
      [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
    };
  }

  /** Removes its directory. No input root may be in use. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#scratch[Symbol.asyncDispose]();
  }
}
