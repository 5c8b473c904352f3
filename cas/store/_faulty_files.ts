/**
 * A file layer for tests: counts operations and makes chosen ones fail.
 *
 * @module
 */

import type { FileEntry, FileLayer, OpenMode, StoreFile } from "./file_layer.ts";

/** An operation of a file layer. */
export type FileOperation =
  | "open"
  | "read"
  | "write"
  | "syncData"
  | "truncate"
  | "makeDirectory"
  | "rename"
  | "remove"
  | "list"
  | "touch"
  | "syncDirectory"
  /** Of a file or the disk; only looks. */
  | "size"
  /** A commit of the index. */
  | "commit";

/**
 * What happens instead of an operation: an error with this code; for a write, fewer bytes written, or some and then
 * ENOSPC; or it is done and an error is said all the same.
 */
export type Fault = "ENOSPC" | "EIO" | "EROFS" | "EMFILE" | "short" | "partial" | "late";

/** An error as the system would give it. */
export function systemError(code: string, operation: string): Error {
  return Object.assign(new Error(`${code}: injected, ${operation}`), { code });
}

/** Passes operations on to another layer, unless they are to fail. */
export class FaultyFiles implements FileLayer {
  readonly #inner: FileLayer;
  /** How often each operation was called. */
  readonly counts = new Map<FileOperation, number>();
  /** Decides on each operation: undefined lets it be. */
  fault: (operation: FileOperation, path: string, count: number) => Fault | undefined = () => undefined;

  /** Over `inner`. */
  constructor(inner: FileLayer) {
    this.#inner = inner;
  }

  /** How often `operation` was called. */
  count(operation: FileOperation): number {
    return this.counts.get(operation) ?? 0;
  }

  /** Counts an operation; what is to happen instead of it. */
  #next(operation: FileOperation, path: string): Fault | undefined {
    const count = this.count(operation) + 1;
    this.counts.set(operation, count);
    return this.fault(operation, path, count);
  }

  /** Does an operation unless it is to fail. */
  async #run<T>(operation: FileOperation, path: string, act: () => Promise<T>): Promise<T> {
    const fault = this.#next(operation, path);
    if (fault === undefined || fault === "short") return await act();
    if (fault === "late") await act();
    throw systemError(fault === "late" || fault === "partial" ? "EIO" : fault, `${operation} ${path}`);
  }

  async #write(file: StoreFile, path: string, buffer: Uint8Array, position: number): Promise<number> {
    const fault = this.#next("write", path);
    if (fault === undefined) return await file.write(buffer, position);
    const half = buffer.subarray(0, Math.ceil(buffer.length / 2));
    if (fault === "short") return await file.write(half, position);
    if (fault === "partial") await file.write(half, position);
    if (fault === "late") await file.write(buffer, position);
    throw systemError(fault === "partial" ? "ENOSPC" : fault === "late" ? "EIO" : fault, `write ${path}`);
  }

  open(path: string, mode: OpenMode): Promise<StoreFile> {
    return this.#run("open", path, async () => {
      const file = await this.#inner.open(path, mode);
      return {
        readSync: (buffer, position) => {
          const fault = this.#next("read", path);
          if (fault !== undefined && fault !== "short") throw systemError(fault, `read ${path}`);
          return file.readSync(buffer, position);
        },
        read: (buffer, position) => this.#run("read", path, () => file.read(buffer, position)),
        write: (buffer, position) => this.#write(file, path, buffer, position),
        syncData: () => this.#run("syncData", path, () => file.syncData()),
        truncate: (sizeBytes) => this.#run("truncate", path, () => file.truncate(sizeBytes)),
        size: () => file.size(),
        close: () => file.close(),
      };
    });
  }

  makeDirectory(path: string): Promise<boolean> {
    return this.#run("makeDirectory", path, () => this.#inner.makeDirectory(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run("rename", to, () => this.#inner.rename(from, to));
  }

  remove(path: string): Promise<boolean> {
    return this.#run("remove", path, () => this.#inner.remove(path));
  }

  removeTree(path: string): Promise<void> {
    return this.#run("remove", path, () => this.#inner.removeTree(path));
  }

  list(path: string): Promise<FileEntry[]> {
    return this.#run("list", path, () => this.#inner.list(path));
  }

  size(path: string): Promise<number | undefined> {
    return this.#inner.size(path);
  }

  modifiedMs(path: string): Promise<number | undefined> {
    return this.#inner.modifiedMs(path);
  }

  touch(path: string, wallMs: number): Promise<void> {
    return this.#run("touch", path, () => this.#inner.touch(path, wallMs));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#run("syncDirectory", path, () => this.#inner.syncDirectory(path));
  }

  freeBytes(path: string): Promise<number> {
    return this.#inner.freeBytes(path);
  }
}
