/**
 * The few file operations that the disk store is made of, so that a test can make any of them fail, and a simulation
 * can lose power.
 *
 * @module
 */

import * as fs from "node:fs";

/** An open file. Positions are the caller's: reads and writes share no cursor. */
export interface StoreFile {
  /** Reads into `buffer` from `position`, on the spot; for small reads that the page cache answers. */
  readSync(buffer: Uint8Array, position: number): number;
  /** Reads into `buffer` from `position`; resolves to the bytes read, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes `buffer` at `position`; resolves to the bytes written, which may be fewer. */
  write(buffer: Uint8Array, position: number): Promise<number>;
  /** Makes what was written durable, with the file's length. Fails with ENOENT when the file was removed meanwhile. */
  syncData(): Promise<void>;
  /** Cuts the file to `sizeBytes`. */
  truncate(sizeBytes: number): Promise<void>;
  /** The file's length. */
  size(): Promise<number>;
  /** Closes it; never fails. */
  close(): void;
}

/** An entry of a directory. */
export interface FileEntry {
  /** Its name. */
  readonly name: string;
  /** Whether it is a directory. */
  readonly isDirectory: boolean;
}

/** How a file is opened: to read, to read and write what is there, or to make a new one that must not be there. */
export type OpenMode = "read" | "update" | "create";

/** What the disk store needs of a file system. Errors carry the system's `code`, such as `ENOSPC`. */
export interface FileLayer {
  /** Opens a file. */
  open(path: string, mode: OpenMode): Promise<StoreFile>;
  /** Makes a directory; false when it is there already. */
  makeDirectory(path: string): Promise<boolean>;
  /** Renames a file, replacing what is there. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; false when there is none. */
  remove(path: string): Promise<boolean>;
  /** Removes a file, or a directory with all that is in it, if it is there. */
  removeTree(path: string): Promise<void>;
  /** Entries of a directory; none when it is not there. */
  list(path: string): Promise<FileEntry[]>;
  /** Length of a file in bytes, or undefined when there is none. */
  size(path: string): Promise<number | undefined>;
  /** When a file was last written, in milliseconds of wall time, or undefined when there is none. */
  modifiedMs(path: string): Promise<number | undefined>;
  /** Says that a file was last written at `wallMs`. */
  touch(path: string, wallMs: number): Promise<void>;
  /** Makes names made, renamed or removed in a directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Free bytes on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>;
}

/** Whether an error of the system carries `code`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}

type Callback<T> = (error: Error | null, value: T) => void;

function call<T>(start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    start((error, value) => error === null || error === undefined ? resolve(value) : reject(error))
  );
}

class SystemFile implements StoreFile {
  readonly #fd: number;
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Its number belongs to another file as soon as it is closed. */
  get #open(): number {
    if (!this.#closed) return this.#fd;
    throw Object.assign(new Error("EBADF: the file is closed"), { code: "EBADF" });
  }

  readSync(buffer: Uint8Array, position: number): number {
    return fs.readSync(this.#open, buffer, 0, buffer.length, position);
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return call((done) => fs.read(this.#open, buffer, 0, buffer.length, position, done));
  }

  write(buffer: Uint8Array, position: number): Promise<number> {
    return call((done) => fs.write(this.#open, buffer, 0, buffer.length, position, done));
  }

  async syncData(): Promise<void> {
    await call((done: Callback<void>) => fs.fdatasync(this.#open, (error) => done(error, undefined)));
    // Nobody will find again what is in a file without a name.
    if (fs.fstatSync(this.#open).nlink === 0) {
      throw Object.assign(new Error("ENOENT: the file was removed while it was written"), { code: "ENOENT" });
    }
  }

  truncate(sizeBytes: number): Promise<void> {
    return call((done: Callback<void>) =>
      fs.ftruncate(this.#open, sizeBytes, (error) => done(error, undefined))
    );
  }

  async size(): Promise<number> {
    const stat: fs.Stats = await call((done) => fs.fstat(this.#open, done));
    return stat.size;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      fs.closeSync(this.#fd);
    } catch {
      // What had to be durable was synced; closing can add nothing to that, and the descriptor is gone either way.
    }
  }
}

const FLAGS: Readonly<Record<OpenMode, string>> = { read: "r", update: "r+", create: "wx+" };

/** The file system of this machine. */
export const systemFiles: FileLayer = {
  async open(path, mode) {
    return new SystemFile(await call((done) => fs.open(path, FLAGS[mode], 0o600, done)));
  },
  async makeDirectory(path) {
    try {
      await Deno.mkdir(path, { mode: 0o700 });
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return false;
      throw error;
    }
  },
  rename: (from, to) => Deno.rename(from, to),
  async remove(path) {
    try {
      await Deno.remove(path);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  },
  async removeTree(path) {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
  async list(path) {
    const entries: FileEntry[] = [];
    try {
      for await (const entry of Deno.readDir(path)) {
        entries.push({ name: entry.name, isDirectory: entry.isDirectory });
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return entries;
  },
  async size(path) {
    try {
      return (await Deno.stat(path)).size;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
  async modifiedMs(path) {
    try {
      return (await Deno.stat(path)).mtime?.getTime();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
  touch: (path, wallMs) => Deno.utime(path, new Date(wallMs), new Date(wallMs)),
  async syncDirectory(path) {
    using directory = await Deno.open(path);
    await directory.sync();
  },
  async freeBytes(path) {
    const stat: fs.StatsFs = await call((done) => fs.statfs(path, done));
    return stat.bavail * stat.bsize;
  },
};

/** Writes all of `buffer` at `position`. */
export async function writeAll(file: StoreFile, buffer: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < buffer.length;) {
    const written = await file.write(buffer.subarray(done), position + done);
    if (written <= 0) throw new Error(`A write of ${buffer.length - done} bytes wrote none`);
    done += written;
  }
}

/** Reads until `buffer` is full or the file ends; resolves to the bytes read. */
export async function readFully(file: StoreFile, buffer: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < buffer.length) {
    const read = await file.read(buffer.subarray(done), position + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

/** Makes a directory and those above it, as far as they are not there, durably. */
export async function makeDirectories(files: FileLayer, path: string): Promise<void> {
  if (await files.size(path) !== undefined) return;
  const parent = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
  if (parent !== path) await makeDirectories(files, parent);
  await files.makeDirectory(path);
  // Each level by itself: that a directory is synced says nothing of its own name.
  await files.syncDirectory(parent);
}

/** A small file as text, or undefined when there is none. */
export async function readText(files: FileLayer, path: string, maxBytes = 4096): Promise<string | undefined> {
  const size = await files.size(path);
  if (size === undefined) return undefined;
  const file = await files.open(path, "read");
  try {
    const buffer = new Uint8Array(Math.min(size, maxBytes));
    return new TextDecoder().decode(buffer.subarray(0, await readFully(file, buffer, 0)));
  } finally {
    file.close();
  }
}

/** Writes a small file so that after a crash the old or the new one is there, whole. */
export async function replaceText(files: FileLayer, dir: string, name: string, text: string): Promise<void> {
  const temporary = `${dir}/.${name}.new`;
  await files.remove(temporary);
  const file = await files.open(temporary, "create");
  try {
    await writeAll(file, new TextEncoder().encode(text), 0);
    await file.syncData();
  } finally {
    file.close();
  }
  await files.rename(temporary, `${dir}/${name}`);
  await files.syncDirectory(dir);
}
