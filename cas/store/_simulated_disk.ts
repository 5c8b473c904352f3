/**
 * A file layer in memory that can lose power.
 *
 * What a file holds is durable after a sync of the file, and what it is called after a sync of its directory, neither by
 * the other. At a cut every unsynced write, length, new name, rename and removal is kept or lost, in order or not (see
 * `_simulated_file.ts`). That is more than the file systems do that one knows, and no more than POSIX allows.
 *
 * @module
 */

import type { Random } from "@brokkr/common";
import { type Fault, type FileOperation, systemError } from "./_faulty_files.ts";
import { type Node, partsOf, SimulatedDirectory, survivors } from "./_simulated_directory.ts";
import { SimulatedFile, type Survival } from "./_simulated_file.ts";
import type { FileEntry, FileLayer, OpenMode, StoreFile } from "./file_layer.ts";

/** Runs the operations of a disk, each in one piece, when it likes. One that is never run hangs, as in a dead process. */
export type Execute = <T>(operation: FileOperation, path: string, run: () => T) => Promise<T>;

/** What a {@linkcode SimulatedDisk} is made with. */
export interface SimulatedDiskOptions {
  readonly random: Random;
  /** Runs operations; at once by default. */
  readonly execute?: Execute;
  /** Decides on each operation: undefined lets it be. */
  readonly fault?: (operation: FileOperation, path: string) => Fault | undefined;
  /** Told of each file that was removed. */
  readonly onRemoved?: (path: string) => void;
  /** Wall time in milliseconds. */
  readonly wallMs?: () => number;
  /** How much fits; no limit by default. */
  readonly capacityBytes?: number;
}

/** A disk with a directory tree. */
export class SimulatedDisk implements FileLayer {
  readonly #options: SimulatedDiskOptions;
  readonly #execute: Execute;
  readonly #root: SimulatedDirectory;
  #sequence = 0;
  #usedBytes = 0;

  /** An empty disk, or one with what another has left. */
  constructor(options: SimulatedDiskOptions, root = new SimulatedDirectory()) {
    this.#options = options;
    this.#execute = options.execute ?? ((_operation, _path, run) => Promise.resolve().then(run));
    this.#root = root;
    this.#usedBytes = bytesOf(root, new Set());
  }

  /** Bytes of all files that have a name. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The same disk after the process that used it was killed: what was written is there, durable or not. */
  afterKill(options: SimulatedDiskOptions): SimulatedDisk {
    return new SimulatedDisk(options, this.#root);
  }

  /** What a power cut leaves. This disk stays as it is, so that several cuts can be tried. */
  afterCut(options: SimulatedDiskOptions, survival: Survival): SimulatedDisk {
    const { random } = options;
    // Half of the mixed cuts keep what was done to names up to some moment, as a journal does.
    const journal = random.next() < 0.5 ? Math.floor(random.next() * (this.#sequence + 2)) : undefined;
    const known = new Map<Node, Node>();
    const copy = (node: Node): Node => {
      const done = known.get(node);
      if (done !== undefined) return done;
      if (node instanceof SimulatedFile) {
        const left = node.afterCut(random, survival);
        known.set(node, left);
        return left;
      }
      const left = new SimulatedDirectory();
      known.set(node, left);
      for (const [name, child] of survivors(node, random, survival, journal)) {
        const there = copy(child);
        if (there instanceof SimulatedFile) there.links++;
        left.entries.set(name, there);
      }
      left.durable = new Map(left.entries);
      return left;
    };
    return new SimulatedDisk(options, copy(this.#root) as SimulatedDirectory);
  }

  /** The file of this name, to look at it from outside. */
  fileAt(path: string): SimulatedFile | undefined {
    const node = this.#find(path);
    return node instanceof SimulatedFile ? node : undefined;
  }

  /** Makes an empty file and the directories above it, at once; one that is there stays. Nothing of it is durable. */
  makeFile(path: string): SimulatedFile {
    const { directory, name } = this.#parent(path, true);
    const there = directory.entries.get(name);
    if (there instanceof SimulatedFile) return there;
    const file = new SimulatedFile();
    this.#setName(directory, name, file);
    return file;
  }

  /** Makes a directory and those above it, durably and at once: they were there before. */
  makeOld(path: string): void {
    const parts = partsOf(path);
    let directory = this.#root;
    for (const part of parts) {
      const next = directory.entries.get(part) ?? new SimulatedDirectory();
      if (next instanceof SimulatedFile) throw systemError("ENOTDIR", path);
      directory.entries.set(part, next);
      directory.durable.set(part, next);
      directory = next;
    }
  }

  /** Takes a tree away, durably and at once, as a mistaken hand would. */
  vanish(path: string): void {
    const { directory, name } = this.#parent(path);
    this.#removeNode(directory, name);
    directory.durable.delete(name);
    directory.changes = directory.changes.filter((change) => change.name !== name);
  }

  /** The page cache drops what is clean. */
  dropPages(): void {
    const visit = (node: Node): void => {
      if (node instanceof SimulatedFile) node.dropPages();
      else for (const child of node.entries.values()) visit(child);
    };
    visit(this.#root);
  }

  open(path: string, mode: OpenMode): Promise<StoreFile> {
    return this.#do("open", path, () => {
      const { directory, name } = this.#parent(path);
      const there = directory.entries.get(name);
      if (there instanceof SimulatedDirectory) throw systemError("EISDIR", `open ${path}`);
      if (mode === "create") {
        if (there !== undefined) throw systemError("EEXIST", `open ${path}`);
        const file = new SimulatedFile();
        file.modifiedMs = this.#wallMs();
        this.#setName(directory, name, file);
        return this.#handle(path, file);
      }
      if (there === undefined) throw systemError("ENOENT", `open ${path}`);
      return this.#handle(path, there);
    });
  }

  makeDirectory(path: string): Promise<boolean> {
    return this.#do("makeDirectory", path, () => {
      const { directory, name } = this.#parent(path);
      if (directory.entries.has(name)) return false;
      this.#setName(directory, name, new SimulatedDirectory());
      return true;
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do("rename", to, () => {
      const source = this.#parent(from);
      const target = this.#parent(to);
      const node = source.directory.entries.get(source.name);
      if (node === undefined) throw systemError("ENOENT", `rename ${from}`);
      this.#setName(target.directory, target.name, node);
      this.#setName(source.directory, source.name, undefined);
    });
  }

  remove(path: string): Promise<boolean> {
    return this.#do("remove", path, () => {
      const parent = this.#parentIfThere(path);
      const node = parent?.directory.entries.get(parent.name);
      if (parent === undefined || node === undefined) return false;
      if (node instanceof SimulatedDirectory && node.entries.size > 0) {
        throw systemError("ENOTEMPTY", `remove ${path}`);
      }
      this.#setName(parent.directory, parent.name, undefined);
      this.#options.onRemoved?.(path);
      return true;
    });
  }

  removeTree(path: string): Promise<void> {
    return this.#do("remove", path, () => {
      const parent = this.#parentIfThere(path);
      if (parent !== undefined) this.#removeNode(parent.directory, parent.name);
    });
  }

  list(path: string): Promise<FileEntry[]> {
    return this.#do("list", path, () => {
      const node = this.#find(path);
      if (!(node instanceof SimulatedDirectory)) return [];
      const names = [...node.entries].map(([name, child]) => ({
        name,
        isDirectory: child instanceof SimulatedDirectory,
      }));
      // In no order that one could rely on, but the same for the same seed.
      return this.#options.random.next() < 0.5 ? names : names.reverse();
    });
  }

  size(path: string): Promise<number | undefined> {
    return this.#do("size", path, () => {
      const node = this.#find(path);
      return node instanceof SimulatedFile
        ? node.length
        : node === undefined
        ? undefined
        : SimulatedDisk.#DIR_BYTES;
    });
  }

  modifiedMs(path: string): Promise<number | undefined> {
    return this.#do("size", path, () => {
      const node = this.#find(path);
      return node instanceof SimulatedFile ? node.modifiedMs : undefined;
    });
  }

  touch(path: string, wallMs: number): Promise<void> {
    return this.#do("touch", path, () => {
      const node = this.#find(path);
      if (!(node instanceof SimulatedFile)) throw systemError("ENOENT", `touch ${path}`);
      node.modifiedMs = wallMs;
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#do("syncDirectory", path, () => {
      const node = this.#find(path);
      if (!(node instanceof SimulatedDirectory)) throw systemError("ENOENT", `open ${path}`);
      node.durable = new Map(node.entries);
      node.changes = [];
    });
  }

  freeBytes(path: string): Promise<number> {
    return this.#do("size", path, () => Math.max(0, this.#capacityBytes - this.#usedBytes));
  }

  static readonly #DIR_BYTES = 4096;

  get #capacityBytes(): number {
    return this.#options.capacityBytes ?? 2 ** 40;
  }

  #wallMs(): number {
    return this.#options.wallMs?.() ?? 0;
  }

  /** Runs an operation, unless it is to fail; `"late"` does it and fails all the same. */
  #do<T>(operation: FileOperation, path: string, run: (fault?: Fault) => T): Promise<T> {
    return this.#execute(operation, path, () => {
      const fault = this.#options.fault?.(operation, path);
      if (fault === undefined) return run();
      if (operation === "write" && (fault === "short" || fault === "partial")) return run(fault);
      if (operation === "syncData") return run(fault);
      if (fault === "short") return run();
      if (fault === "late") run();
      throw systemError(fault === "late" || fault === "partial" ? "EIO" : fault, `${operation} ${path}`);
    });
  }

  #handle(path: string, file: SimulatedFile): StoreFile {
    let closed = false;
    const check = () => {
      if (closed) throw systemError("EBADF", `use ${path}`);
    };
    return {
      readSync: (buffer, position) => {
        check();
        return file.read(buffer, position);
      },
      read: (buffer, position) =>
        this.#do("read", path, () => {
          check();
          return file.read(buffer, position);
        }),
      write: (buffer, position) =>
        this.#do("write", path, (fault) => {
          check();
          return this.#write(path, file, buffer, position, fault);
        }),
      syncData: () =>
        this.#do("syncData", path, (fault) => {
          check();
          if (fault !== undefined) {
            file.failSync(this.#options.random);
            throw systemError("EIO", `syncData ${path}`);
          }
          file.sync();
          if (file.links === 0) throw systemError("ENOENT", `syncData ${path}`);
        }),
      truncate: (sizeBytes) =>
        this.#do("truncate", path, () => {
          check();
          this.#resized(file, () => file.truncate(sizeBytes));
        }),
      size: () => this.#do("size", path, () => file.length),
      close: () => void (closed = true),
    };
  }

  #write(path: string, file: SimulatedFile, bytes: Uint8Array, position: number, fault?: Fault): number {
    const grows = Math.max(0, position + bytes.length - file.length);
    const over = Math.max(0, this.#usedBytes + grows - this.#capacityBytes);
    let fits = Math.max(0, bytes.length - over);
    if (fault !== undefined) fits = Math.min(fits, Math.ceil(bytes.length * this.#options.random.next()));
    file.modifiedMs = this.#wallMs();
    if (fits > 0) this.#resized(file, () => file.write(bytes.subarray(0, fits), position));
    if (fault === "partial" || fits === 0) throw systemError("ENOSPC", `write ${path}`);
    return fits;
  }

  #resized(file: SimulatedFile, change: () => void): void {
    const before = file.length;
    change();
    if (file.links > 0) this.#usedBytes += file.length - before;
  }

  #setName(directory: SimulatedDirectory, name: string, node: Node | undefined): void {
    const before = directory.entries.get(name);
    if (before instanceof SimulatedFile && --before.links === 0) this.#usedBytes -= before.length;
    if (node === undefined) directory.entries.delete(name);
    else directory.entries.set(name, node);
    if (node instanceof SimulatedFile && node.links++ === 0) this.#usedBytes += node.length;
    directory.changes.push({ sequence: this.#sequence++, name, node });
  }

  #removeNode(directory: SimulatedDirectory, name: string): void {
    const node = directory.entries.get(name);
    if (node === undefined) return;
    if (node instanceof SimulatedDirectory) {
      for (const child of [...node.entries.keys()]) this.#removeNode(node, child);
    }
    this.#setName(directory, name, undefined);
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of partsOf(path)) {
      if (!(node instanceof SimulatedDirectory)) return undefined;
      node = node.entries.get(part);
    }
    return node;
  }

  #parentIfThere(path: string): { directory: SimulatedDirectory; name: string } | undefined {
    const parts = partsOf(path);
    const name = parts.pop();
    const directory = this.#find(parts.join("/"));
    if (name === undefined || !(directory instanceof SimulatedDirectory)) return undefined;
    return { directory, name };
  }

  #parent(path: string, make = false): { directory: SimulatedDirectory; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    let directory = this.#root;
    for (const part of parts) {
      let next = directory.entries.get(part);
      if (next === undefined && make) this.#setName(directory, part, next = new SimulatedDirectory());
      if (next === undefined) throw systemError("ENOENT", path);
      if (next instanceof SimulatedFile) throw systemError("ENOTDIR", path);
      directory = next;
    }
    if (name === undefined) throw systemError("EISDIR", path);
    return { directory, name };
  }
}

function bytesOf(node: Node, seen: Set<Node>): number {
  if (seen.has(node)) return 0;
  seen.add(node);
  if (node instanceof SimulatedFile) return node.length;
  let bytes = 0;
  for (const child of node.entries.values()) bytes += bytesOf(child, seen);
  return bytes;
}
