/**
 * Large blobs: files of their own, `blobs/<fn>/<2 hex>/<hash>`. A file gets its name only when it is verified and
 * synced, so a name is a promise.
 *
 * @module
 */

import { type Random, randomHex } from "@brokkr/common";
import { type DigestFunction, digestFunctionBySegment } from "../digest.ts";
import { type FileLayer, hasCode, type StoreFile } from "./file_layer.ts";

/** A file that has no name yet. */
export interface TemporaryFile {
  /** Where it is. */
  readonly path: string;
  /** The open file. */
  readonly file: StoreFile;
}

/** The files of a store. */
export class FileBlobs {
  readonly #files: FileLayer;
  readonly #dir: string;
  readonly #temporaryDir: string;
  readonly #random: Random;
  readonly #known = new Set<string>();
  /** Directories whose names were made durable, as far as an earlier process left them. */
  readonly #settled = new Set<string>();
  /** What must be durable before any file comes or goes. */
  #before: Promise<void> = Promise.resolve();
  #again: () => Promise<void> = () => Promise.resolve();

  /** Files beneath `dir`, temporary ones in `temporaryDir`; both exist. */
  constructor(files: FileLayer, dir: string, temporaryDir: string, random: Random) {
    this.#files = files;
    this.#dir = dir;
    this.#temporaryDir = temporaryDir;
    this.#random = random;
  }

  /**
   * Holds up all who give files names or take them away until this resolved; when it fails, who comes next tries `again`,
   * and fails when that does.
   */
  holdUntil(before: Promise<void>, again: () => Promise<void>): void {
    this.#before = before;
    this.#again = again;
    // Who comes later hears of it.
    before.catch(() => {});
  }

  async #ready(): Promise<void> {
    const before = this.#before;
    try {
      await before;
    } catch {
      if (this.#before === before) this.holdUntil(this.#again(), this.#again);
      await this.#before;
    }
  }

  /** Path of a blob's file. */
  path(fn: DigestFunction, hash: string): string {
    return `${this.#dir}/${fn.segment}/${hash.slice(0, 2)}/${hash}`;
  }

  /** A new temporary file. */
  async create(): Promise<TemporaryFile> {
    const path = `${this.#temporaryDir}/${randomHex(this.#random, 16)}`;
    return { path, file: await this.#files.open(path, "create") };
  }

  /** Gives a synced temporary file its name, durably. */
  async keep(temporaryPath: string, fn: DigestFunction, hash: string): Promise<void> {
    await this.#ready();
    let dir = await this.#directory(fn, hash);
    try {
      await this.#files.rename(temporaryPath, this.path(fn, hash));
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      // Someone removed the directory since it was made.
      this.#known.clear();
      dir = await this.#directory(fn, hash);
      await this.#files.rename(temporaryPath, this.path(fn, hash));
    }
    await this.#files.syncDirectory(dir);
  }

  /** Opens a blob's file. */
  open(fn: DigestFunction, hash: string): Promise<StoreFile> {
    return this.#files.open(this.path(fn, hash), "read");
  }

  /** Removes a blob's file, durably. */
  async remove(fn: DigestFunction, hash: string): Promise<void> {
    await this.#ready();
    const path = this.path(fn, hash);
    await this.#files.remove(path);
    await this.#files.syncDirectory(path.slice(0, path.lastIndexOf("/")));
  }

  /** Removes a blob's file; after a power cut it may be there again, whole. */
  async unlink(fn: DigestFunction, hash: string): Promise<void> {
    await this.#ready();
    await this.#files.remove(this.path(fn, hash));
  }

  /** Removes what unfinished writers left; returns how many files. */
  async clearTemporary(): Promise<number> {
    const entries = await this.#files.list(this.#temporaryDir);
    for (const entry of entries) await this.#files.remove(`${this.#temporaryDir}/${entry.name}`);
    return entries.length;
  }

  /** Size of a blob's file, undefined when there is none. A name that an earlier process gave is durable then. */
  async look(fn: DigestFunction, hash: string): Promise<number | undefined> {
    const sizeBytes = await this.#files.size(this.path(fn, hash));
    if (sizeBytes === undefined) return undefined;
    const top = `${this.#dir}/${fn.segment}`;
    for (const dir of [this.#dir, top, `${top}/${hash.slice(0, 2)}`]) await this.#settle(dir);
    return sizeBytes;
  }

  /** Finds every file that is a blob, by its name, which is durable then; ends early when `signal` aborts. */
  async scan(
    onFile: (fn: DigestFunction, hash: Uint8Array, sizeBytes: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#settle(this.#dir);
    for (const top of await this.#files.list(this.#dir)) {
      const fn = digestFunctionBySegment(top.name);
      if (fn === undefined || !top.isDirectory) continue;
      await this.#settle(`${this.#dir}/${top.name}`);
      for (const fan of await this.#files.list(`${this.#dir}/${top.name}`)) {
        if (signal?.aborted === true) return;
        if (!fan.isDirectory || !/^[0-9a-f]{2}$/.test(fan.name)) continue;
        await this.#scanDirectory(fn, fan.name, onFile);
      }
    }
  }

  async #settle(dir: string): Promise<void> {
    if (this.#settled.has(dir)) return;
    await this.#files.syncDirectory(dir);
    this.#settled.add(dir);
  }

  async #scanDirectory(
    fn: DigestFunction,
    fan: string,
    onFile: (fn: DigestFunction, hash: Uint8Array, sizeBytes: number) => void,
  ): Promise<void> {
    const dir = `${this.#dir}/${fn.segment}/${fan}`;
    // First, so that what is found is there after a power cut too.
    await this.#settle(dir);
    for (const { name } of await this.#files.list(dir)) {
      if (name.length !== fn.hashBytes * 2 || !/^[0-9a-f]+$/.test(name) || !name.startsWith(fan)) continue;
      const sizeBytes = await this.#files.size(`${dir}/${name}`);
      if (sizeBytes !== undefined) onFile(fn, Uint8Array.fromHex(name), sizeBytes);
    }
  }

  /** The directory of a blob's file, made durably if need be. */
  async #directory(fn: DigestFunction, hash: string): Promise<string> {
    const top = `${this.#dir}/${fn.segment}`;
    const dir = `${top}/${hash.slice(0, 2)}`;
    if (this.#known.has(dir)) return dir;
    await this.#files.makeDirectory(top);
    await this.#files.syncDirectory(this.#dir);
    await this.#files.makeDirectory(dir);
    await this.#files.syncDirectory(top);
    this.#known.add(dir);
    return dir;
  }
}
