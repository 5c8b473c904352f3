/**
 * The grid's store, as a person uses it.
 *
 * @module
 */

import {
  type CasClient,
  type Digest,
  type DigestFunction,
  digestKey,
  type HashHex,
  joinPath,
  parseDigestText,
  type TransferProgress,
  type TransferStat,
  walkTree,
} from "@brokkr/cas/client";
import { systemRandom } from "@brokkr/common";
import { requireFunction } from "./_digest_function.ts";
import { buildInputs, type Input } from "./_inputs.ts";
import { readSource } from "./_local_tree.ts";
import { Seeds } from "./_seeds.ts";
import { downloadInto, type DownloadResult, fetchDirectories } from "./_outputs.ts";

/** Options of a transfer. */
export interface CacheOptions {
  /** Stops it. */
  readonly signal?: AbortSignal;
  /** Told how far it is. */
  readonly onProgress?: (progress: TransferProgress) => void;
}

/** Options of {@linkcode Cache.read}. */
export interface CacheReadOptions extends CacheOptions {
  /** A file of this machine which may hold an older version of the blob: what they share is not fetched. */
  readonly replaces?: string;
}

/** What {@linkcode Cache.put} came to. */
export interface PutResult extends TransferStat {
  /** Digest of the file, or of the root's Directory. */
  readonly digest: Digest;
  /** What it names. */
  readonly kind: "file" | "directory";
}

/** One entry of a tree. */
export interface CacheEntry {
  /** Path below the root. */
  readonly path: string;
  /** What it is. */
  readonly kind: "file" | "directory" | "symlink";
  /** Content of a file, or Directory message of a directory. */
  readonly digest?: Digest;
  /** Whether a file may be executed. */
  readonly executable?: boolean;
  /** Where a link leads. */
  readonly target?: string;
}

/** Whether the store holds a blob. */
export interface CacheStat {
  /** Its digest. */
  readonly digest: Digest;
  /** Whether it is there. */
  readonly present: boolean;
}

/** Puts into the grid's store and gets from it. Digests may be written as `hash/size` or `fn:hash/size`. */
export class Cache {
  readonly #fn: DigestFunction;
  readonly #open: (fn: DigestFunction) => Promise<CasClient>;

  /** @internal */
  constructor(fn: DigestFunction, open: (fn: DigestFunction) => Promise<CasClient>) {
    this.#fn = fn;
    this.#open = open;
  }

  /**
   * Uploads a file, or a directory with all that is in it.
   *
   * @throws {BrokkrError} NOT_FOUND for a path that does not exist, INVALID_ARGUMENT for names that cannot be.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { connectGrid } from "@brokkr/cli";
   * import { startGrid } from "@brokkr/cli/up";
   *
   * await using grid = await startGrid();
   * await using client = connectGrid(grid.endpoint);
   * const path = await Deno.makeTempFile();
   * await Deno.writeTextFile(path, "kept");
   * const { digest } = await client.cache.put(path);
   * assertEquals(await client.cache.get(digest), new TextEncoder().encode("kept"));
   * await Deno.remove(path);
   * ```
   */
  async put(path: string, options: CacheOptions = {}): Promise<PutResult> {
    const cas = await this.#open(this.#fn);
    await requireFunction(cas);
    const isDirectory = await isDirectoryAt(path);
    const input: Input = { from: path, to: isDirectory ? "" : "file" };
    const { rootDigest, tree, blobs } = await buildInputs([input], cas.fn, options.signal);
    const roots = new Set(isDirectory ? [] : tree.directories.map(({ digest }) => digest.hash));
    const sources = blobs.sources().filter(({ digest }) => !roots.has(digest.hash));
    const stat = await cas.upload(
      sources.map((source) => ({ digest: source.digest, data: source.data ?? (() => readSource(source)) })),
      options,
    );
    const digest = isDirectory ? rootDigest : sources[0]?.digest ?? emptyDigest(cas);
    return { ...stat, digest, kind: isDirectory ? "directory" : "file" };
  }

  /**
   * A whole blob in memory.
   *
   * @throws {BrokkrError} NOT_FOUND when the store does not hold it.
   */
  async get(digest: Digest | string, options: CacheOptions = {}): Promise<Uint8Array> {
    const named = this.#digest(digest);
    return await (await this.#open(named.fn)).get(named, { signal: options.signal });
  }

  /**
   * A blob as a stream. It is verified: the error comes at the end, so do not trust what came before it.
   *
   * @throws {BrokkrError} NOT_FOUND when the store does not hold it, while iterating.
   */
  async *read(
    digest: Digest | string,
    options: CacheReadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const named = this.#digest(digest);
    const { signal, replaces } = options;
    const chunks = replaces === undefined ? undefined : new Seeds(() => [replaces]);
    yield* (await this.#open(named.fn)).read(named, {}, { signal, chunks });
  }

  /**
   * Fetches a directory with all that is in it into `destination`, as {@linkcode Client.download} does.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming what the store does not hold.
   */
  async getTree(
    digest: Digest | string,
    destination: string,
    options: CacheOptions = {},
  ): Promise<DownloadResult> {
    const root = { kind: "directory", path: "", digest: this.#digest(digest), form: "directory" } as const;
    const cas = await this.#open(root.digest.fn);
    return await downloadInto(destination, [root], cas, systemRandom, options);
  }

  /**
   * Lists a directory with all that is in it, parents before what is in them.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming directories that the store does not hold, INVALID_ARGUMENT for a
   * blob that is no directory.
   */
  async *tree(
    digest: Digest | string,
    options: CacheOptions = {},
  ): AsyncGenerator<CacheEntry, void, undefined> {
    const root = this.#digest(digest);
    const cas = await this.#open(root.fn);
    const fetch = (digests: readonly Digest[]) => fetchDirectories(cas, digests, options.signal);
    for await (const { path, content } of walkTree(root, fetch, { signal: options.signal })) {
      const { directories = [], files = [], symlinks = [] } = content ?? {};
      for (const { name, digest } of directories) {
        yield { path: joinPath(path, name), kind: "directory", digest };
      }
      for (const { name, digest, executable } of files) {
        yield { path: joinPath(path, name), kind: "file", digest, executable };
      }
      for (const { name, target } of symlinks) yield { path: joinPath(path, name), kind: "symlink", target };
    }
  }

  /** Which of some blobs the store holds. */
  async stat(
    digests: readonly (Digest | string)[],
    options: CacheOptions = {},
  ): Promise<readonly CacheStat[]> {
    const asked = digests.map((digest) => this.#digest(digest));
    const missing = new Set<string>();
    for (const fn of new Set(asked.map(({ fn }) => fn))) {
      const cas = await this.#open(fn);
      const ofFunction = asked.filter((digest) => digest.fn === fn);
      const found = await cas.findMissing(ofFunction, { signal: options.signal });
      for (const digest of found) missing.add(digestKey(digest));
    }
    return asked.map((digest) => ({ digest, present: !missing.has(digestKey(digest)) }));
  }

  #digest(digest: Digest | string): Digest {
    return typeof digest === "string" ? parseDigestText(digest, this.#fn) : digest;
  }
}

async function isDirectoryAt(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false; // building the tree says what is wrong with it
  }
}

function emptyDigest(cas: CasClient): Digest {
  return { fn: cas.fn, hash: cas.fn.hash(new Uint8Array()) as HashHex, sizeBytes: 0 };
}
