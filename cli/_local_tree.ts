/**
 * Reads files and directories of this machine into a Merkle tree. Names and link targets that are not UTF-8 are refused
 * by name: a digest of anything else would be of another file.
 *
 * @module
 */

import {
  type Digest,
  type DigestFunction,
  digestKey,
  digestOf,
  type HashHex,
  type TreeBuilder,
} from "@brokkr/cas/client";
import { BrokkrError, Code, invalidArgument, mapLimit } from "@brokkr/common";

/** A blob that can be uploaded: its bytes, or the file that holds them. */
export interface BlobSource {
  /** Its digest. */
  readonly digest: Digest;
  /** Its bytes, when they are in memory. */
  readonly data?: Uint8Array;
  /** The file that holds them otherwise. */
  readonly path?: string;
}

/** Collects the blobs of a tree, each digest once. */
export class BlobSet {
  readonly #sources = new Map<string, BlobSource>();

  /** Adds a blob; the first source of a digest stays. */
  add(source: BlobSource): void {
    const key = digestKey(source.digest);
    if (!this.#sources.has(key)) this.#sources.set(key, source);
  }

  /** Adds a blob in memory and gives its digest. */
  addBytes(fn: DigestFunction, data: Uint8Array): Digest {
    const digest = digestOf(fn, data);
    this.add({ digest, data });
    return digest;
  }

  /** All of them. */
  sources(): readonly BlobSource[] {
    return [...this.#sources.values()];
  }

  /** The source of a digest. */
  get(digest: Digest): BlobSource | undefined {
    return this.#sources.get(digestKey(digest));
  }

  /** Whether a digest is among them. */
  has(digest: Digest): boolean {
    return this.#sources.has(digestKey(digest));
  }
}

/**
 * The bytes of a source, read anew on each call.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when the file has changed its size since it was hashed; a change of the bytes
 * alone shows in the store, which verifies what it is sent.
 */
export async function* readSource(source: BlobSource): AsyncGenerator<Uint8Array, void, undefined> {
  if (source.path === undefined) {
    if (source.data !== undefined) yield source.data;
    return;
  }
  using file = await openInput(source.path);
  let sizeBytes = 0;
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(1, source.digest.sizeBytes)));
  for (let got = await file.read(buffer); got !== null; got = await file.read(buffer)) {
    sizeBytes += got;
    if (sizeBytes > source.digest.sizeBytes) break;
    yield buffer.slice(0, got);
  }
  if (sizeBytes === source.digest.sizeBytes) return;
  throw new BrokkrError(
    Code.FAILED_PRECONDITION,
    `Input ${source.path} changed while it was uploaded; try again`,
  );
}

/** Files up to this size are read whole and stay in memory until they are uploaded. */
const SMALL_BYTES = 16 * 1024;
/** How much of small files may stay in memory; past this they are read again. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** Read and hashed at once: well below 5 ms. */
const CHUNK_BYTES = 1024 * 1024;
const FILES_AT_ONCE = 32;

interface FoundFile {
  readonly path: string;
  readonly destination: string;
  readonly executable: boolean;
}

/** Reads paths of this machine into a tree. */
export class LocalTreeReader {
  readonly #fn: DigestFunction;
  readonly #tree: TreeBuilder;
  readonly #blobs: BlobSet;
  readonly #found: FoundFile[] = [];
  readonly #signal: AbortSignal | undefined;
  #keptBytes = 0;

  /** Adds entries to `tree` and what they hold to `blobs`. */
  constructor(fn: DigestFunction, tree: TreeBuilder, blobs: BlobSet, signal?: AbortSignal) {
    this.#fn = fn;
    this.#tree = tree;
    this.#blobs = blobs;
    this.#signal = signal;
  }

  /**
   * Adds a file or a directory with all that is in it at `destination` (`""`: the root, for directories only). A path
   * that is itself a symbolic link is followed; links below it are kept as they are.
   *
   * @throws {BrokkrError} NOT_FOUND when there is no such path, INVALID_ARGUMENT for a name or target that is not
   * UTF-8 and for devices, sockets and pipes.
   */
  async add(path: string, destination: string): Promise<void> {
    const info = await statInput(path, true);
    if (info.isDirectory) await this.#addDirectory(path, destination);
    else if (info.isFile) this.#addFile(path, destination, info);
    else throw notAFile(path);
    await this.#hashFound();
  }

  async #addDirectory(path: string, destination: string): Promise<void> {
    this.#signal?.throwIfAborted();
    this.#tree.addDirectory(destination);
    const names: string[] = [];
    for await (const entry of Deno.readDir(path)) names.push(entry.name);
    if (names.some(mayBeGarbled)) await refuseGarbledNames(path);
    for (const name of names) {
      const child = path.endsWith("/") ? path + name : `${path}/${name}`;
      const at = destination === "" ? name : `${destination}/${name}`;
      const info = await statInput(child, false);
      if (info.isSymlink) this.#tree.addSymlink(at, await readTarget(child));
      else if (info.isDirectory) await this.#addDirectory(child, at);
      else if (info.isFile) this.#addFile(child, at, info);
      else throw notAFile(child);
    }
  }

  #addFile(path: string, destination: string, info: Deno.FileInfo): void {
    this.#found.push({ path, destination, executable: ((info.mode ?? 0) & 0o100) !== 0 });
  }

  async #hashFound(): Promise<void> {
    const found = this.#found.splice(0);
    const digests = await mapLimit(found, FILES_AT_ONCE, (file) => {
      this.#signal?.throwIfAborted();
      return this.#hashFile(file.path);
    });
    found.forEach((file, index) => this.#tree.addFile(file.destination, digests[index], file.executable));
  }

  async #hashFile(path: string): Promise<Digest> {
    using file = await openInput(path);
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(1, (await file.stat()).size + 1)));
    let held = 0;
    // A first read that does not fill the buffer is a small file, most often; it is hashed in one go.
    for (let got: number | null = 0; held < buffer.length && got !== null;) {
      got = await file.read(buffer.subarray(held));
      held += got ?? 0;
      if (got === null) return this.#smallFile(path, buffer.subarray(0, held));
    }
    const hasher = this.#fn.hasher();
    let sizeBytes = 0;
    for (let got: number | null = held; got !== null; got = await file.read(buffer)) {
      this.#signal?.throwIfAborted();
      hasher.update(buffer.subarray(0, got));
      sizeBytes += got;
    }
    const digest: Digest = { fn: this.#fn, hash: hasher.digestHex() as HashHex, sizeBytes };
    this.#blobs.add({ digest, path });
    return digest;
  }

  #smallFile(path: string, data: Uint8Array): Digest {
    const digest = digestOf(this.#fn, data);
    if (data.length <= SMALL_BYTES && this.#keptBytes + data.length <= MAX_KEPT_BYTES) {
      if (!this.#blobs.has(digest)) this.#keptBytes += data.length;
      this.#blobs.add({ digest, data });
    } else this.#blobs.add({ digest, path });
    return digest;
  }
}

function describe(path: string, error: unknown): BrokkrError {
  if (error instanceof Deno.errors.NotFound) {
    return new BrokkrError(Code.NOT_FOUND, `Input ${path} does not exist`, { cause: error });
  }
  const reason = error instanceof Error
    ? error.message.replace(/: (stat|lstat|open) '.*$/, "")
    : String(error);
  return new BrokkrError(Code.INVALID_ARGUMENT, `Input ${path} cannot be read: ${reason}`, { cause: error });
}

async function statInput(path: string, follow: boolean): Promise<Deno.FileInfo> {
  try {
    return follow ? await Deno.stat(path) : await Deno.lstat(path);
  } catch (error) {
    throw describe(path, error);
  }
}

async function openInput(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    throw describe(path, error);
  }
}

function notAFile(path: string): BrokkrError {
  return invalidArgument(
    "",
    `Input ${path} is a device, a socket or a pipe; only files, directories and symbolic links can be inputs`,
  );
}

/** Deno puts U+FFFD where a name is not UTF-8; it may also stand in a name by right. */
function mayBeGarbled(text: string): boolean {
  return text.includes("\ufffd");
}

/** Shows bytes that are not UTF-8: what is printable ASCII as it is, the rest as `\xNN`. */
function showBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

/** Named by a variable: what a literal names Deno reads before anything runs. */
const SANDBOX = "@brokkr/sandbox" as string;

/** Looks at a directory's names as bytes, for which libc is needed: loaded only where a name looks garbled. */
async function refuseGarbledNames(path: string): Promise<void> {
  const { Beneath }: typeof import("@brokkr/sandbox") = await import(SANDBOX);
  using directory = Beneath.open(path);
  for (const { name, nameBytes } of await directory.list("")) {
    if (name !== undefined) continue;
    throw invalidArgument(
      "",
      `Input ${path}/${showBytes(nameBytes)} has a name that is not UTF-8; rename it or leave it out`,
    );
  }
}

async function readTarget(path: string): Promise<string> {
  try {
    return await Deno.readLink(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw describe(path, error);
  }
  const { Beneath }: typeof import("@brokkr/sandbox") = await import(SANDBOX);
  const at = path.lastIndexOf("/") + 1;
  using directory = Beneath.open(at === 0 ? "." : path.slice(0, at));
  const target = showBytes(directory.readLink(path.slice(at)));
  throw invalidArgument(
    "",
    `Input ${path} is a symbolic link to ${target}, which is not UTF-8; rename what it leads to`,
  );
}
