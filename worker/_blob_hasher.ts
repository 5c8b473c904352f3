/**
 * Hashes the files of an action and remembers how to upload them: small contents in memory, the rest by reading again.
 *
 * @module
 */

import { BrokkrError, type ByteBudget, type ByteLease, Code, Slices, throwIfAborted } from "@brokkr/common";
import { type Digest, type DigestFunction, digestKey, type UploadBlob } from "@brokkr/cas/client";
import { type Beneath, type FileStat, type OpenFile, SyscallError } from "@brokkr/sandbox";

/** Files up to this size are read whole. Reading and hashing one stays below a slice of the event loop. */
const WHOLE_FILE_BYTES = 1024 * 1024;
/** Bytes of files that are hashed together, at least one file: some two milliseconds of work. */
const GROUP_BYTES = 1024 * 1024;
/** And how many files. */
const GROUP_FILES = 256;
/** Pieces in which longer ones are hashed. */
const CHUNK_BYTES = 1024 * 1024;
/** Contents of one action kept in memory for the upload that follows; past it files are read a second time. */
const KEPT_BYTES = 8 * 1024 * 1024;
/** Largest file that is taken: what control takes unless told otherwise. A sparse file says any size for nothing. */
export const MAX_FILE_BYTES = 16 * 1024 ** 3;

/**
 * What the files of one action may have together beyond this many times what they take on their file system. Holes and
 * further links cost an action nothing and whoever hashes and keeps them all the more; a file system that compresses
 * makes files of text smaller by less than that.
 */
const MOST_TIMES = 8;
/** And so much in any case. */
const MOST_UNBACKED_BYTES = 1024 ** 3;

/** A file that was hashed. */
export interface HashedFile {
  /** Its content. */
  readonly digest: Digest;
  /** Whether it may be executed. */
  readonly executable: boolean;
}

/** A file that was read and waits to be hashed with others. */
interface SmallFile {
  readonly index: number;
  readonly path: string;
  readonly data: Uint8Array;
  readonly executable: boolean;
}

/** Hashes files beneath one root. Disposing of it forgets their contents. */
export class BlobHasher implements Disposable {
  readonly #root: Beneath;
  readonly #fn: DigestFunction;
  readonly #signal: AbortSignal | undefined;
  readonly #blobs = new Map<string, UploadBlob>();
  readonly #slices: Slices;
  readonly #budget: ByteBudget | undefined;
  readonly #leases: ByteLease[] = [];
  #keptBytes = 0;
  #sizeBytes = 0;
  #allocatedBytes = 0;
  /** Files with several links, by device and inode. */
  readonly #linked = new Set<string>();

  constructor(root: Beneath, fn: DigestFunction, signal?: AbortSignal, budget?: ByteBudget) {
    this.#root = root;
    this.#fn = fn;
    this.#signal = signal;
    this.#slices = new Slices(signal);
    this.#budget = budget;
  }

  /** Every blob seen, each once. */
  get blobs(): UploadBlob[] {
    return [...this.#blobs.values()];
  }

  /** Lets others run if the slice is over. */
  rest(): Promise<void> | undefined {
    return this.#slices.spent ? this.#slices.next() : undefined;
  }

  /** Adds a blob that is in memory. */
  add(blob: UploadBlob): void {
    const key = digestKey(blob.digest);
    if (!this.#blobs.has(key)) this.#blobs.set(key, blob);
  }

  /** Hashes a regular file. */
  async file(path: string): Promise<HashedFile> {
    const [hashed] = await this.files([path]);
    return hashed;
  }

  /** Hashes regular files, small ones many at a time. */
  async files(paths: readonly string[]): Promise<HashedFile[]> {
    const hashed = new Array<HashedFile>(paths.length);
    let group: SmallFile[] = [];
    let groupBytes = 0;
    const flush = () => {
      const hashes = this.#fn.hashBatch(group.map(({ data }) => data));
      group.forEach(({ index, path, data, executable }, i) => {
        const digest: Digest = { fn: this.#fn, hash: hashes[i] as Digest["hash"], sizeBytes: data.length };
        this.#addFile(path, digest, data);
        hashed[index] = { digest, executable };
      });
      group = [];
      groupBytes = 0;
    };
    for (const [index, path] of paths.entries()) {
      throwIfAborted(this.#signal);
      using file = this.#openFile(path);
      // Any of the three bits: the owner's alone would make the result depend on who runs the worker.
      const executable = (file.mode & 0o111) !== 0;
      if (file.sizeBytes > WHOLE_FILE_BYTES) {
        hashed[index] = { digest: await this.#largeFile(path, file), executable };
        continue;
      }
      const data = wholeOf(file);
      if (groupBytes + data.length > GROUP_BYTES || group.length === GROUP_FILES) flush();
      group.push({ index, path, data, executable });
      groupBytes += data.length;
      await this.rest();
    }
    flush();
    return hashed;
  }

  /** Opens a regular file that may be kept. */
  #openFile(path: string): OpenFile {
    const file = this.#open(path);
    try {
      // To root nothing is closed: the result must not depend on who runs the worker.
      if ((file.mode & OWNER_READ) === 0) throw unreadable(path);
      if (file.sizeBytes > MAX_FILE_BYTES) {
        throw new BrokkrError(
          Code.FAILED_PRECONDITION,
          `Output ${path} has ${file.sizeBytes} bytes; a file of at most ${MAX_FILE_BYTES} can be kept`,
        );
      }
      this.#refuseUnbacked(path, file.stat);
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #addFile(path: string, digest: Digest, data: Uint8Array): void {
    this.add({ digest, data: this.#keep(data.length) ? data : () => this.#reread(path) });
  }

  async #largeFile(path: string, file: OpenFile): Promise<Digest> {
    const hasher = this.#fn.hasher(file.stat.sizeBytes);
    let sizeBytes = 0;
    for await (const chunk of file.chunks(CHUNK_BYTES)) {
      throwIfAborted(this.#signal);
      hasher.update(chunk);
      sizeBytes += chunk.length;
    }
    const digest: Digest = { fn: this.#fn, hash: hasher.digestHex() as Digest["hash"], sizeBytes };
    this.add({ digest, data: () => this.#reread(path) });
    return digest;
  }

  /** Refuses a file with which an action would give far more to read than it ever wrote. */
  #refuseUnbacked(path: string, { sizeBytes, allocatedBytes, nlink, dev, ino }: FileStat): void {
    this.#sizeBytes += sizeBytes;
    const inode = nlink > 1 ? `${dev}:${ino}` : undefined;
    if (inode === undefined || !this.#linked.has(inode)) this.#allocatedBytes += allocatedBytes;
    if (inode !== undefined) this.#linked.add(inode);
    if (this.#sizeBytes <= MOST_UNBACKED_BYTES + MOST_TIMES * this.#allocatedBytes) return;
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `With output ${path} the outputs have ${this.#sizeBytes} bytes and take ${this.#allocatedBytes}: files that are ` +
        `mostly holes, or many links of one, are kept up to ${MOST_TIMES} times what they take and 1 GiB`,
    );
  }

  #open(path: string): OpenFile {
    try {
      return this.#root.openFile(path);
    } catch (error) {
      if (error instanceof SyscallError && error.errnoName === "EACCES") throw unreadable(path, error);
      throw error;
    }
  }

  #keep(bytes: number): boolean {
    if (this.#keptBytes + bytes > KEPT_BYTES) return false;
    if (this.#budget !== undefined) {
      const lease = this.#budget.tryAcquire(bytes);
      if (lease === undefined) return false;
      this.#leases.push(lease);
    }
    this.#keptBytes += bytes;
    return true;
  }

  [Symbol.dispose](): void {
    this.#blobs.clear();
    for (const lease of this.#leases.splice(0)) lease.release();
  }

  async *#reread(path: string): AsyncGenerator<Uint8Array> {
    using file = this.#root.openFile(path);
    yield* file.chunks(CHUNK_BYTES);
  }
}

/** All of a small file. */
function wholeOf(file: OpenFile): Uint8Array {
  const content = new Uint8Array(file.sizeBytes);
  let length = 0;
  for (let n = -1; n !== 0 && length < content.length; length += n) {
    n = file.read(content.subarray(length), length);
  }
  // Nothing writes any more; should the file be shorter than it said, the bytes read are what is uploaded.
  return content.subarray(0, length);
}

/** Bit of a file's mode by which its owner may read it. */
const OWNER_READ = 0o400;

function unreadable(path: string, cause?: unknown): BrokkrError {
  return new BrokkrError(
    Code.FAILED_PRECONDITION,
    `Output ${
      JSON.stringify(path)
    } may not be read: its mode, or that of a directory above it, denies it to its owner`,
    { cause },
  );
}
