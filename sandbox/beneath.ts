/**
 * Reading a tree that somebody hostile made: nothing outside its root is ever reached, no symbolic link is followed, no
 * FIFO or device can block or be touched, and names are bytes.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, resourceExhausted, Slices } from "@brokkr/common";
import { DIRENT_BUFFER_BYTES, parseEntries } from "./_dirents.ts";
import { type PathLike, pathText } from "./_libc.ts";
import { currentArch } from "./arch.ts";
import { SyscallError } from "./errno.ts";
import {
  type FileStat,
  type FileType,
  getdents64,
  openat2,
  openPath,
  readlinkat,
  statx,
} from "./file_calls.ts";
import { close, pread } from "./libc.ts";
import {
  O_CLOEXEC,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "./linux.ts";

/** An entry of a directory. */
export interface DirectoryEntry {
  /** The name as the kernel has it. */
  readonly nameBytes: Uint8Array<ArrayBuffer>;
  /** The name as text, or undefined when its bytes are not UTF-8. */
  readonly name: string | undefined;
  /** What it is; symbolic links are not followed. */
  readonly type: FileType;
}

/** Most entries of one directory {@linkcode Beneath.list} gives. */
export const MAX_DIRECTORY_ENTRIES = 1_000_000;
/** Size of the pieces of {@linkcode OpenFile.chunks}. */
export const CHUNK_BYTES = 1024 * 1024;

const RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const SLASH = 0x2f;
const DOT = 0x2e;

/** Bytes as text, or undefined when they are not UTF-8. */
export function utf8OrUndefined(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** A regular file open for reading. */
export class OpenFile implements Disposable {
  /** Size when it was opened. */
  readonly sizeBytes: number;
  /** Permission bits (0o7777). */
  readonly mode: number;
  /** Last modification, nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** All that was known of it then. */
  readonly stat: FileStat;
  readonly #path: string;
  #fd: number;

  /** Takes over `fd`; see {@linkcode Beneath.openFile}. */
  constructor(fd: number, stat: FileStat, path: string) {
    this.#fd = fd;
    this.#path = path;
    this.stat = stat;
    this.sizeBytes = stat.sizeBytes;
    this.mode = stat.mode;
    this.mtimeNs = stat.mtimeNs;
  }

  /** Reads at `offset` into `buffer`; how many bytes, 0 at the end. */
  read(buffer: Uint8Array<ArrayBuffer>, offset: number): number {
    if (this.#fd < 0) throw new BrokkrError(Code.FAILED_PRECONDITION, `File ${this.#path} is closed`);
    return buffer.length === 0 ? 0 : pread(this.#fd, buffer, offset);
  }

  /**
   * The content in pieces, each with a buffer of its own. What it yields adds up to {@linkcode OpenFile.sizeBytes}.
   *
   * @throws {BrokkrError} DATA_LOSS when the file became shorter meanwhile.
   */
  async *chunks(chunkBytes: number = CHUNK_BYTES): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    if (!(chunkBytes >= 1)) {
      throw invalidArgument("chunkBytes", `A piece must have a byte, not ${chunkBytes}`);
    }
    const slices = new Slices();
    for (let offset = 0; offset < this.sizeBytes;) {
      const buffer = new Uint8Array(Math.min(chunkBytes, this.sizeBytes - offset));
      const n = this.read(buffer, offset);
      if (n === 0) {
        throw new BrokkrError(
          Code.DATA_LOSS,
          `File ${this.#path} ended after ${offset} of ${this.sizeBytes} bytes; something still writes to it`,
        );
      }
      yield n === buffer.length ? buffer : buffer.subarray(0, n);
      offset += n;
      if (slices.spent) await slices.next();
    }
  }

  /** Closes it; harmless when it is closed. */
  close(): void {
    if (this.#fd < 0) return;
    close(this.#fd);
    this.#fd = -1;
  }

  /** See {@linkcode OpenFile.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A directory, and nothing that is not below it. Paths are relative to it, `""` is the directory itself; an absolute
 * path, a `..`, a NUL and a symbolic link on the way are refused.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Beneath } from "@brokkr/sandbox";
 * const path = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${path}/hello`, "world");
 * {
 *   using root = Beneath.open(path);
 *   assertEquals((await root.list("")).map((entry) => entry.name), ["hello"]);
 *   assertEquals(root.stat("hello").sizeBytes, 5);
 *   assertEquals(root.tryStat("missing"), undefined);
 * }
 * await Deno.remove(path, { recursive: true });
 * ```
 */
export class Beneath implements Disposable {
  readonly #rootPath: string;
  #fd: number;

  private constructor(fd: number, rootPath: string) {
    this.#fd = fd;
    this.#rootPath = rootPath;
  }

  /**
   * Opens a directory, which itself may be reached through symbolic links.
   *
   * @throws {SyscallError} when it is not there or no directory.
   */
  static open(rootPath: string): Beneath {
    return new Beneath(openPath(rootPath, O_PATH | O_CLOEXEC | currentArch().O_DIRECTORY), rootPath);
  }

  #open(path: PathLike, flags: number): number {
    if (this.#fd < 0) {
      throw new BrokkrError(Code.FAILED_PRECONDITION, `Directory ${this.#rootPath} is closed`);
    }
    const bytes = typeof path === "string" ? encoder.encode(path) : path;
    checkRelative(bytes);
    const below = bytes.length === 0 ? "." : bytes;
    return openat2(this.#fd, below, flags | O_CLOEXEC, RESOLVE, this.#shown(path));
  }

  #shown(path: PathLike): string {
    return path.length === 0 ? this.#rootPath : `${this.#rootPath}/${pathText(path)}`;
  }

  /**
   * What is at `path`; a symbolic link there is the link itself.
   *
   * @throws {SyscallError} ENOENT, ENOTDIR, ELOOP (a link on the way) and others.
   */
  stat(path: PathLike): FileStat {
    const fd = this.#open(path, O_PATH | currentArch().O_NOFOLLOW);
    try {
      return statx(fd, "", 0, this.#shown(path));
    } finally {
      close(fd);
    }
  }

  /** What is at `path`, or undefined when nothing is. */
  tryStat(path: PathLike): FileStat | undefined {
    try {
      return this.stat(path);
    } catch (error) {
      if (error instanceof SyscallError && (error.errnoName === "ENOENT" || error.errnoName === "ENOTDIR")) {
        return undefined;
      }
      throw error;
    }
  }

  /**
   * What a directory holds, `.` and `..` left out, in the kernel's order.
   *
   * @throws {SyscallError} when it is no directory or cannot be read.
   * @throws {BrokkrError} RESOURCE_EXHAUSTED beyond {@linkcode MAX_DIRECTORY_ENTRIES}.
   */
  async list(path: PathLike): Promise<DirectoryEntry[]> {
    const arch = currentArch();
    const fd = this.#open(path, O_RDONLY | O_NONBLOCK | arch.O_DIRECTORY | arch.O_NOFOLLOW);
    try {
      const buffer = new Uint8Array(DIRENT_BUFFER_BYTES);
      const found: DirectoryEntry[] = [];
      const slices = new Slices();
      for (;;) {
        const length = getdents64(fd, buffer);
        if (length === 0) return found;
        for (const { nameBytes, type } of parseEntries(fd, buffer, length)) {
          found.push({ nameBytes, name: utf8OrUndefined(nameBytes), type });
        }
        if (found.length > MAX_DIRECTORY_ENTRIES) {
          throw resourceExhausted(
            `Directory ${this.#shown(path)} has more than the ${MAX_DIRECTORY_ENTRIES} entries allowed`,
            0,
          );
        }
        if (slices.spent) await slices.next();
      }
    } finally {
      close(fd);
    }
  }

  /**
   * The target of the symbolic link at `path`, as bytes.
   *
   * @throws {SyscallError} EINVAL when it is no symbolic link.
   */
  readLink(path: PathLike): Uint8Array<ArrayBuffer> {
    const fd = this.#open(path, O_PATH | currentArch().O_NOFOLLOW);
    try {
      if (statx(fd, "").type !== "symlink") throw this.#wrongType(path, "symbolic link");
      return readlinkat(fd, "", this.#shown(path));
    } finally {
      close(fd);
    }
  }

  /**
   * Opens a regular file for reading.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION when it is anything else; that is found out before it is opened, since
   * opening a device can do things.
   */
  openFile(path: PathLike): OpenFile {
    if (this.stat(path).type !== "file") throw this.#wrongType(path, "regular file");
    const fd = this.#open(path, O_RDONLY | O_NONBLOCK | currentArch().O_NOFOLLOW);
    try {
      const stat = statx(fd, "", 0, this.#shown(path));
      if (stat.type !== "file") throw this.#wrongType(path, "regular file");
      return new OpenFile(fd, stat, this.#shown(path));
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  #wrongType(path: PathLike, wanted: string): BrokkrError {
    return new BrokkrError(
      Code.FAILED_PRECONDITION,
      `${this.#shown(path)} is no ${wanted}; it is of type ${this.stat(path).type}`,
    );
  }

  /** Closes it; files opened from it stay open. */
  close(): void {
    if (this.#fd < 0) return;
    close(this.#fd);
    this.#fd = -1;
  }

  /** See {@linkcode Beneath.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function checkRelative(path: Uint8Array): void {
  if (path[0] === SLASH) {
    throw invalidArgument("path", `The path ${JSON.stringify(pathText(path))} must be relative to its root`);
  }
  for (let start = 0; start <= path.length;) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    if (end - start === 2 && path[start] === DOT && path[start + 1] === DOT) {
      throw invalidArgument("path", `The path ${JSON.stringify(pathText(path))} must not hold ".."`);
    }
    start = end + 1;
  }
}
