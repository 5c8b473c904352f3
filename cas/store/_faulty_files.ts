/**
 * A file layer for tests: counts operations and makes chosen ones fail.
 *
 * @module
 */

import type { FileLayer, OpenMode, StoreFile } from "./file_layer.ts";

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
  | "syncDirectory";

/** What happens instead of an operation: an error with this code, or, for a write, fewer bytes written. */
export type Fault = "ENOSPC" | "EIO" | "EROFS" | "EMFILE" | "short";

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

  /** Counts, and throws what is to be thrown; true asks for a short write. */
  check(operation: FileOperation, path: string): boolean {
    const count = this.count(operation) + 1;
    this.counts.set(operation, count);
    const fault = this.fault(operation, path, count);
    if (fault === undefined) return false;
    if (fault === "short") return true;
    throw systemError(fault, `${operation} ${path}`);
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    this.check("open", path);
    const file = await this.#inner.open(path, mode);
    return {
      readSync: (buffer, position) => {
        this.check("read", path);
        return file.readSync(buffer, position);
      },
      read: async (buffer, position) => {
        this.check("read", path);
        return await file.read(buffer, position);
      },
      write: async (buffer, position) => {
        const short = this.check("write", path);
        return await file.write(short ? buffer.subarray(0, Math.ceil(buffer.length / 2)) : buffer, position);
      },
      syncData: async () => {
        this.check("syncData", path);
        await file.syncData();
      },
      truncate: async (sizeBytes) => {
        this.check("truncate", path);
        await file.truncate(sizeBytes);
      },
      size: () => file.size(),
      close: () => file.close(),
    };
  }

  async makeDirectory(path: string): Promise<boolean> {
    this.check("makeDirectory", path);
    return await this.#inner.makeDirectory(path);
  }

  async makeDirectories(path: string): Promise<void> {
    this.check("makeDirectory", path);
    await this.#inner.makeDirectories(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.check("rename", to);
    await this.#inner.rename(from, to);
  }

  async remove(path: string): Promise<boolean> {
    this.check("remove", path);
    return await this.#inner.remove(path);
  }

  async removeTree(path: string): Promise<void> {
    this.check("remove", path);
    await this.#inner.removeTree(path);
  }

  async list(path: string) {
    this.check("list", path);
    return await this.#inner.list(path);
  }

  size(path: string): Promise<number | undefined> {
    return this.#inner.size(path);
  }

  modifiedMs(path: string): Promise<number | undefined> {
    return this.#inner.modifiedMs(path);
  }

  async touch(path: string, wallMs: number): Promise<void> {
    this.check("touch", path);
    await this.#inner.touch(path, wallMs);
  }

  async syncDirectory(path: string): Promise<void> {
    this.check("syncDirectory", path);
    await this.#inner.syncDirectory(path);
  }

  freeBytes(path: string): Promise<number> {
    return this.#inner.freeBytes(path);
  }
}
