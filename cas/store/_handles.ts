/**
 * A bounded set of open files.
 *
 * @module
 */

import type { StoreFile } from "./file_layer.ts";

interface Handle {
  readonly file: StoreFile;
  users: number;
}

/** Files opened by number when needed; the one unused longest is closed when there are too many. */
export class HandleCache {
  readonly #open: (id: number) => Promise<StoreFile>;
  readonly #limit: number;
  readonly #handles = new Map<number, Handle>();
  readonly #opening = new Map<number, Promise<Handle>>();
  #closed = false;

  /** Keeps up to `limit` files open, more only while more are in use at once. */
  constructor(open: (id: number) => Promise<StoreFile>, limit: number) {
    this.#open = open;
    this.#limit = limit;
  }

  /** The file if it is open, for use on the spot. */
  peek(id: number): StoreFile | undefined {
    return this.#handles.get(id)?.file;
  }

  /** Runs `run` on the file, opening it if need be. */
  async use<T>(id: number, run: (file: StoreFile) => Promise<T>): Promise<T> {
    const handle = this.#handles.get(id) ?? await this.#start(id);
    handle.users++;
    // The newest in use stand last.
    if (this.#handles.get(id) === handle) {
      this.#handles.delete(id);
      this.#handles.set(id, handle);
    }
    try {
      return await run(handle.file);
    } finally {
      handle.users--;
      if (this.#handles.get(id) !== handle && handle.users === 0) handle.file.close();
      this.#trim();
    }
  }

  /** Forgets a file that is being removed; it is closed when its use ends, also one that is being opened. */
  drop(id: number): void {
    this.#opening.delete(id);
    const handle = this.#handles.get(id);
    this.#handles.delete(id);
    if (handle?.users === 0) handle.file.close();
  }

  /** Closes what is not in use, and the rest when its use ends. */
  close(): void {
    this.#closed = true;
    for (const handle of this.#handles.values()) if (handle.users === 0) handle.file.close();
    this.#handles.clear();
  }

  #start(id: number): Promise<Handle> {
    let opening = this.#opening.get(id);
    if (opening === undefined) {
      const begun: Promise<Handle> = this.#open(id).then((file) => {
        const handle = { file, users: 0 };
        if (!this.#closed && this.#opening.get(id) === begun) this.#handles.set(id, handle);
        return handle;
      }).finally(() => {
        if (this.#opening.get(id) === begun) this.#opening.delete(id);
      });
      this.#opening.set(id, opening = begun);
    }
    return opening;
  }

  #trim(): void {
    if (this.#handles.size <= this.#limit) return;
    for (const [id, handle] of this.#handles) {
      if (handle.users > 0) continue;
      this.#handles.delete(id);
      handle.file.close();
      if (this.#handles.size <= this.#limit) return;
    }
  }
}
