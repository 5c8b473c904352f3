/**
 * The worker's own directories for each running action.
 *
 * @module
 */

import { removeTree } from "@brokkr/sandbox";

/** One action's directory. Disposing of it removes all that is in it. */
export interface Scratch extends AsyncDisposable {
  /** Where it is. */
  readonly path: string;
}

const MAX_NAMES = 8;

/**
 * Directories `<path>/<number>`. Numbers are used again, lowest first, so that an action run twice mostly sees the same
 * path. Disposing of it removes them all.
 */
export class ScratchDirectories implements AsyncDisposable {
  readonly #path: string;
  /** Numbers in use. */
  readonly #taken = new Set<number>();
  /** Numbers whose directory is there and clean. */
  readonly #clean = new Set<number>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens its directory and removes what a process that was killed left there. */
  static async open(path: string): Promise<ScratchDirectories> {
    await removeTree(path);
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    return new ScratchDirectories(path);
  }

  /** An empty directory for an action. */
  take(): Scratch {
    let number = 0;
    while (this.#taken.has(number)) number++;
    this.#taken.add(number);
    const path = `${this.#path}/${number}`;
    let removed = false;
    const remove = async () => {
      if (removed) return;
      removed = true;
      // Its number stays taken when it cannot be removed: nothing may find another action's leavings.
      if (await empty(path)) this.#clean.add(number);
      else await removeTree(path);
      this.#taken.delete(number);
    };
    try {
      if (!this.#clean.delete(number)) Deno.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      this.#taken.delete(number);
      throw error;
    }
    return { path, [Symbol.asyncDispose]: remove };
  }

  /** Removes its directory. None may be in use. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#clean.clear();
    await removeTree(this.#path);
  }
}

/**
 * Makes a directory fit for the next action. Nothing in it stays: the files that took what an action printed were the
 * action's own, with extended attributes, times, bits of mode, room beyond their end, and whoever still has them open.
 * False when there is more than the worker put there, or the directory is gone.
 */
async function empty(path: string): Promise<boolean> {
  try {
    // All names of the worker's own are fewer; an action without a sandbox can have left any number of others.
    const entries = Deno.readDirSync(path)[Symbol.iterator]().take(MAX_NAMES).toArray();
    if (entries.length === MAX_NAMES) return false;
    for (const { name, isFile } of entries) {
      if (isFile) Deno.removeSync(`${path}/${name}`);
      else await removeTree(`${path}/${name}`);
    }
    return true;
  } catch {
    // An action without a sandbox can have done anything to it: then it is removed and made anew.
    return false;
  }
}
