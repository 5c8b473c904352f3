/**
 * The worker's own copies of input blobs: files under `<directory>/<fn>/<2 hex>/<hash>`, mode 0444, small ones in memory
 * too. A cache and no store: nothing is synced, what is lost is fetched again.
 *
 * @module
 */

import { BrokkrError, Code, type Logger, noLog, Slices, yieldToEventLoop } from "@brokkr/common";
import {
  type Digest,
  type DigestFunction,
  digestFunctionBySegment,
  digestKey,
  formatDigest,
} from "@brokkr/cas/client";
import { createFile, removeTree } from "@brokkr/sandbox";
import { type CacheEntry, newEntry } from "./cache_entry.ts";
import { INPUT_FILE_MODE, INPUT_MTIME_NS } from "./materializer.ts";
import { unshared } from "./_unshared.ts";

/** How a {@linkcode BlobCache} is set up. */
export interface BlobCacheOptions {
  /** Directory of its own. */
  readonly path: string;
  /** Most bytes on disk. What running actions hold may go beyond it until they let go. */
  readonly limitBytes: number;
  /** Most bytes in memory. */
  readonly memoryLimitBytes: number;
  /** Where it says what it dropped. */
  readonly log?: Logger;
  /** Names this boot of the machine; the kernel's by default. */
  readonly bootId?: string;
  /** Told when what is held takes more than `limitBytes`: whoever holds without need should let go. */
  readonly onCrowded?: () => void;
}

/** Blobs up to this size are kept in memory too: writing them from there is cheaper than copying a file. */
export const MEMORY_BLOB_BYTES = 64 * 1024;
/** Mode of a file from another boot that was not checked yet; the mode keeps that in mind over further restarts. */
const UNPROVEN_MODE = 0o400;
/** Bytes read at a time when a file is checked: hashing them takes about 0.25 ms. */
const CHECK_CHUNK_BYTES = 512 * 1024;

/** A blob cache on disk and in memory, least recently used first out. */
export class BlobCache {
  readonly #path: string;
  readonly #limitBytes: number;
  readonly #memoryLimitBytes: number;
  readonly #log: Logger;
  readonly #onCrowded: () => void;
  /** Least recently used first. */
  readonly #entries = new Map<string, CacheEntry>();
  /** Entries with content in memory, least recently used first. */
  readonly #inMemory = new Set<CacheEntry>();
  readonly #knownDirectories = new Set<string>();
  #bytes = 0;
  /** Of these, bytes of entries that are held. */
  #heldBytes = 0;
  #evicting = false;
  #memoryBytes = 0;
  #temporaryFiles = 0;

  private constructor(options: BlobCacheOptions) {
    this.#path = options.path;
    this.#limitBytes = options.limitBytes;
    this.#memoryLimitBytes = options.memoryLimitBytes;
    this.#log = options.log ?? noLog;
    this.#onCrowded = options.onCrowded ?? (() => {});
  }

  /**
   * Opens the cache and lists what it holds. After a crash of the machine files may hold anything, since nothing was
   * synced: entries from another boot are checked before they are used.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when the disk is full; INTERNAL when the directory cannot be used.
   */
  static async open(options: BlobCacheOptions): Promise<BlobCache> {
    const cache = new BlobCache(options);
    await Deno.mkdir(options.path, { recursive: true, mode: 0o700 });
    await removeTree(`${options.path}/tmp`);
    await Deno.mkdir(`${options.path}/tmp`, { mode: 0o700 });
    const bootId = options.bootId ?? (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim();
    const sameBoot = await readText(`${options.path}/BOOT_ID`) === bootId;
    await cache.#list(sameBoot);
    await Deno.writeTextFile(`${options.path}/BOOT_ID`, bootId);
    cache.#evict();
    return cache;
  }

  /** Bytes on disk. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  /** Bytes in memory. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Whether what is held takes more than the limit, so that dropping what is not held is not enough. */
  get crowded(): boolean {
    return this.#heldBytes > this.#limitBytes;
  }

  /** How many blobs it holds. */
  get size(): number {
    return this.#entries.size;
  }

  /** Most bytes on disk. */
  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** The entry of a blob, ready or loading, marked as used. */
  find(key: string): CacheEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (entry.memory !== undefined) {
      this.#inMemory.delete(entry);
      this.#inMemory.add(entry);
    }
    return entry;
  }

  /** A new entry that waits for its content; there must be none with that key. */
  begin(digest: Digest): CacheEntry {
    const key = digestKey(digest);
    if (this.#entries.has(key)) throw new BrokkrError(Code.INTERNAL, `Blob ${key} is already cached`);
    const entry = newEntry(digest, this.#pathOf(digest.fn, digest.hash));
    this.#entries.set(key, entry);
    return entry;
  }

  /** Keeps the content of an entry. The bytes are copied, so that they may be a view into a message. */
  fill(entry: CacheEntry, content: Uint8Array): void {
    const temporary = this.temporaryPath();
    try {
      createFile(temporary, unshared(content), { mode: INPUT_FILE_MODE, mtimeNs: INPUT_MTIME_NS });
      this.adopt(entry, temporary);
    } catch (error) {
      // On a full disk half a file would make it fuller with every try.
      removeFile(temporary);
      throw error;
    }
    if (entry.ready && content.length <= MEMORY_BLOB_BYTES) this.#remember(entry, content);
  }

  /** Takes a finished temporary file, which has the entry's content, as its file. */
  adopt(entry: CacheEntry, temporary: string): void {
    // Dropped while it was on its way: nobody wants it, and its name may belong to another by now.
    if (this.#entries.get(entry.key) !== entry) return removeFile(temporary);
    this.#makeDirectory(entry.digest);
    Deno.renameSync(temporary, entry.path);
    this.#becomeReady(entry);
  }

  /** A path for a temporary file on the cache's file system; left ones are removed when the cache is opened. */
  temporaryPath(): string {
    return `${this.#path}/tmp/${++this.#temporaryFiles}`;
  }

  /** Holds an entry: it stays until it is let go as often as it was held. */
  pin(entry: CacheEntry): void {
    if (entry.pins++ === 0 && entry.ready) this.#heldBytes += entry.digest.sizeBytes;
  }

  /** Lets go of an entry. */
  unpin(entry: CacheEntry): void {
    this.unpinAll([entry]);
  }

  /** Lets go of entries, then makes room if there is too little: not after each of them. */
  unpinAll(entries: Iterable<CacheEntry>): void {
    for (const entry of entries) {
      if (entry.pins <= 0) throw new BrokkrError(Code.INTERNAL, `Blob ${entry.key} was let go too often`);
      if (--entry.pins > 0) continue;
      if (entry.ready) this.#heldBytes -= entry.digest.sizeBytes;
      else entry.onAbandoned?.();
    }
    this.#evict();
  }

  /** Forgets an entry that could not be loaded, or whose content proved wrong, and removes its file. */
  drop(entry: CacheEntry): void {
    if (this.#entries.get(entry.key) !== entry) return;
    this.#entries.delete(entry.key);
    this.#forget(entry);
    if (!entry.ready) return;
    entry.ready = false;
    this.#bytes -= entry.digest.sizeBytes;
    if (entry.pins > 0) this.#heldBytes -= entry.digest.sizeBytes;
    removeFile(entry.path);
  }

  /** The content of a ready entry, read from disk unless it is in memory. */
  async read(entry: CacheEntry): Promise<Uint8Array> {
    const content = entry.memory ?? await Deno.readFile(entry.path);
    if (content.length !== entry.digest.sizeBytes) {
      throw new BrokkrError(
        Code.DATA_LOSS,
        `Cached blob ${
          formatDigest(entry.digest)
        } has ${content.length} bytes; was the worker's cache changed by hand`,
      );
    }
    if (entry.memory === undefined && content.length <= MEMORY_BLOB_BYTES) this.#remember(entry, content);
    return content;
  }

  /** Whether the file of an entry from another boot has its digest; such an entry is proven from then on. */
  async prove(entry: CacheEntry): Promise<boolean> {
    const hasher = entry.digest.fn.hasher(entry.digest.sizeBytes);
    try {
      using file = await Deno.open(entry.path);
      const buffer = new Uint8Array(Math.min(CHECK_CHUNK_BYTES, entry.digest.sizeBytes + 1));
      for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) {
        hasher.update(buffer.subarray(0, n));
      }
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
    entry.proven = hasher.digestHex() === entry.digest.hash;
    if (entry.proven) await Deno.chmod(entry.path, INPUT_FILE_MODE);
    return entry.proven;
  }

  #becomeReady(entry: CacheEntry): void {
    entry.ready = true;
    entry.proven = true;
    entry.onAbandoned = undefined;
    this.#bytes += entry.digest.sizeBytes;
    if (entry.pins > 0) this.#heldBytes += entry.digest.sizeBytes;
    this.#evict();
  }

  #remember(entry: CacheEntry, content: Uint8Array): void {
    if (entry.memory !== undefined) return;
    entry.memory = content.slice();
    this.#inMemory.add(entry);
    this.#memoryBytes += content.length;
    for (const oldest of this.#inMemory) {
      if (this.#memoryBytes <= this.#memoryLimitBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(entry: CacheEntry): void {
    if (entry.memory === undefined) return;
    this.#memoryBytes -= entry.memory.length;
    entry.memory = undefined;
    this.#inMemory.delete(entry);
  }

  /** Makes room: at once as far as one slice goes, the rest while others have their turns. */
  #evict(): void {
    if (this.crowded) this.#onCrowded();
    if (this.#evicting || this.#evictSlice()) return;
    this.#evicting = true;
    void this.#evictRest();
  }

  async #evictRest(): Promise<void> {
    do await yieldToEventLoop(); while (!this.#evictSlice());
    this.#evicting = false;
  }

  /** Drops the oldest entries that nobody holds; false when the slice was over before there was room. */
  #evictSlice(): boolean {
    if (this.#bytes <= this.#limitBytes || this.#bytes <= this.#heldBytes) return true;
    const slice = new Slices();
    for (const entry of this.#entries.values()) {
      if (entry.pins > 0 || !entry.ready) continue;
      try {
        this.drop(entry);
      } catch (error) {
        this.#log.error("A file of the input cache cannot be removed", { path: entry.path, error });
      }
      if (this.#bytes <= this.#limitBytes) return true;
      // Looked at only here, so that each slice gets on by one entry at least.
      if (slice.spent) return false;
    }
    return true;
  }

  #pathOf(fn: DigestFunction, hash: string): string {
    return `${this.#path}/${fn.segment}/${hash.slice(0, 2)}/${hash}`;
  }

  #makeDirectory(digest: Digest): void {
    const directory = `${this.#path}/${digest.fn.segment}/${digest.hash.slice(0, 2)}`;
    if (this.#knownDirectories.has(directory)) return;
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#knownDirectories.add(directory);
  }

  async #list(sameBoot: boolean): Promise<void> {
    const slices = new Slices();
    const found: { readonly entry: CacheEntry; readonly since: number }[] = [];
    let strangers = 0;
    for await (const { path, fn, name } of this.#files()) {
      const stat = Deno.lstatSync(path);
      const fits = fn !== undefined && stat.isFile && /^[0-9a-f]+$/.test(name) &&
        name.length === fn.hashBytes * 2 && path === this.#pathOf(fn, name);
      if (fits) {
        const proven = sameBoot && ((stat.mode ?? 0) & 0o777) === INPUT_FILE_MODE;
        if (!proven) Deno.chmodSync(path, UNPROVEN_MODE);
        const digest = { fn, hash: name as Digest["hash"], sizeBytes: stat.size };
        const entry: CacheEntry = { ...newEntry(digest, path), ready: true, proven };
        found.push({ entry, since: stat.ctime?.getTime() ?? 0 });
      } else {
        strangers++;
        await removeTree(path);
      }
      if (slices.spent) await slices.next();
    }
    found.sort((a, b) => a.since - b.since);
    for (const { entry } of found) {
      this.#entries.set(entry.key, entry);
      this.#bytes += entry.digest.sizeBytes;
    }
    if (strangers > 0) {
      this.#log.warn("Removed files that do not belong into the input cache", { files: strangers });
    }
  }

  async *#files(): AsyncGenerator<{ path: string; fn: DigestFunction | undefined; name: string }> {
    for await (const fnEntry of Deno.readDir(this.#path)) {
      if (!fnEntry.isDirectory || fnEntry.name === "tmp") continue;
      const fn = digestFunctionBySegment(fnEntry.name);
      for await (const prefix of Deno.readDir(`${this.#path}/${fnEntry.name}`)) {
        const directory = `${this.#path}/${fnEntry.name}/${prefix.name}`;
        if (!prefix.isDirectory) {
          yield { path: directory, fn: undefined, name: prefix.name };
          continue;
        }
        this.#knownDirectories.add(directory);
        for await (const { name } of Deno.readDir(directory)) {
          yield { path: `${directory}/${name}`, fn, name };
        }
      }
    }
  }
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
