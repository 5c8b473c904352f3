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
import { BrokkrError, Code, invalidArgument, mapLimit, Slices } from "@brokkr/common";
import { DiskPace } from "./_disk_pace.ts";
import { inputError, openInput, statEntry, statInput } from "./_input_files.ts";
import {
  type FoundFile,
  GROUPED_BYTES,
  groupsOf,
  readSmall,
  readSmallLater,
  roomOf,
} from "./_small_files.ts";

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
/** Reads paths of this machine into a tree. */
export class LocalTreeReader {
  readonly #fn: DigestFunction;
  readonly #tree: TreeBuilder;
  readonly #blobs: BlobSet;
  readonly #found: FoundFile[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #slices: Slices;
  readonly #pace: DiskPace;
  #keptBytes = 0;

  /** Adds entries to `tree` and what they hold to `blobs`. */
  constructor(
    fn: DigestFunction,
    tree: TreeBuilder,
    blobs: BlobSet,
    signal?: AbortSignal,
    pace: DiskPace = new DiskPace(),
  ) {
    this.#fn = fn;
    this.#tree = tree;
    this.#blobs = blobs;
    this.#signal = signal;
    this.#slices = new Slices(signal);
    this.#pace = pace;
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
      const info = this.#pace.slow ? await statInput(child, false) : this.#pace.timed(() => statEntry(child));
      if (this.#slices.spent) await this.#slices.next();
      if (info.isSymlink) this.#tree.addSymlink(at, await readTarget(child));
      else if (info.isDirectory) await this.#addDirectory(child, at);
      else if (info.isFile) this.#addFile(child, at, info);
      else throw notAFile(child);
    }
  }

  #addFile(path: string, destination: string, info: Deno.FileInfo): void {
    this.#found.push({
      path,
      destination,
      sizeBytes: info.size,
      executable: ((info.mode ?? 0) & 0o100) !== 0,
    });
  }

  async #hashFound(): Promise<void> {
    const found = this.#found.splice(0);
    const digests = new Map<FoundFile, Digest>();
    const alone = found.filter(({ sizeBytes }) => sizeBytes > GROUPED_BYTES);
    const groups = groupsOf(found);
    const buffer = new Uint8Array(Math.max(0, ...groups.map(roomOf)));
    for (const group of groups) alone.push(...await this.#hashGroup(group, buffer, digests));
    await mapLimit(alone, FILES_AT_ONCE, async (file) => {
      this.#signal?.throwIfAborted();
      digests.set(file, await this.#hashFile(file.path));
    });
    for (const file of found) {
      const digest = digests.get(file);
      if (digest === undefined) throw new BrokkrError(Code.INTERNAL, `Input ${file.path} was not hashed`);
      this.#tree.addFile(file.destination, digest, file.executable);
    }
  }

  /** Reads small files into one buffer and hashes them together; gives those that have grown meanwhile. */
  async #hashGroup(
    group: readonly FoundFile[],
    buffer: Uint8Array,
    digests: Map<FoundFile, Digest>,
  ): Promise<FoundFile[]> {
    this.#signal?.throwIfAborted();
    let end = 0;
    // A byte more than a file has shows that it is all of it.
    const rooms = group.map(({ sizeBytes }) => buffer.subarray(end, end += sizeBytes + 1));
    const read: (Uint8Array | undefined)[] = [];
    for (let i = 0; i < group.length && !this.#pace.slow; i++) {
      read.push(this.#pace.timed(() => readSmall(group[i].path, rooms[i])));
      if (this.#slices.spent) await this.#slices.next();
    }
    const rest = group.slice(read.length);
    const started = read.length;
    read.push(
      ...await mapLimit(rest, FILES_AT_ONCE, ({ path }, i) => readSmallLater(path, rooms[started + i])),
    );
    const whole = group.map((file, i) => ({ file, data: read[i] })).filter(hasData);
    const hashes = this.#fn.hashBatch(whole.map(({ data }) => data));
    whole.forEach(({ file, data }, i) => {
      const digest: Digest = { fn: this.#fn, hash: hashes[i] as HashHex, sizeBytes: data.length };
      digests.set(file, digest);
      this.#addSmall(file.path, digest, data);
    });
    return group.filter((_, i) => read[i] === undefined);
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
    this.#addSmall(path, digest, data);
    return digest;
  }

  /** Adds a blob whose bytes are in a buffer that will be used again. */
  #addSmall(path: string, digest: Digest, data: Uint8Array): void {
    if (this.#blobs.has(digest)) return;
    if (data.length <= SMALL_BYTES && this.#keptBytes + data.length <= MAX_KEPT_BYTES) {
      this.#keptBytes += data.length;
      this.#blobs.add({ digest, data: data.slice() });
    } else this.#blobs.add({ digest, path });
  }
}

function hasData(read: { readonly file: FoundFile; readonly data: Uint8Array | undefined }): read is {
  readonly file: FoundFile;
  readonly data: Uint8Array;
} {
  return read.data !== undefined;
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
    if (!(error instanceof Deno.errors.InvalidData)) throw inputError(path, error);
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
