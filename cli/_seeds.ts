/**
 * Files that a download replaces: what their next version shares with them need not be fetched.
 *
 * @module
 */

import { ChunkIndex, type ChunkSource, type CutChunks, type Digest, digestKey } from "@brokkr/cas/client";

/** Of a blob at most such a part may lie in a file that is to help: a smaller file is not worth cutting. */
const LEAST_PART = 16;
/** Read at once. */
const READ_BYTES = 1 << 20;

/** Chunks of the files that blobs are about to replace. Each is cut when its blob is fetched, and only read. */
export class Seeds implements ChunkSource {
  readonly #pathsOf: (blob: Digest) => readonly string[];
  readonly #index = new ChunkIndex({ pathOf: (path) => path });
  /** The file that is to help, by blob. */
  readonly #seeds = new Map<string, string>();

  /** `pathsOf` tells which files a blob replaces; they need not be there. */
  constructor(pathsOf: (blob: Digest) => readonly string[]) {
    this.#pathsOf = pathsOf;
  }

  /** See {@linkcode ChunkSource.mayHelp}: whether there is a file of some size at one of the paths. */
  async mayHelp(blob: Digest): Promise<boolean> {
    for (const path of this.#pathsOf(blob)) {
      const info = await Deno.lstat(path).catch(() => undefined);
      if (info?.isFile !== true || info.size * LEAST_PART < blob.sizeBytes) continue;
      this.#seeds.set(digestKey(blob), path);
      return true;
    }
    return false;
  }

  /** See {@linkcode ChunkSource.prepare}. A file that cannot be read does not help, and does no harm. */
  async prepare(blob: Digest, cut: CutChunks, signal?: AbortSignal): Promise<void> {
    const path = this.#seeds.get(digestKey(blob));
    if (path === undefined) return;
    try {
      this.#index.add(path, await cut(readFile(path)));
    } catch (error) {
      if (signal?.aborted) throw error;
    }
  }

  /** See {@linkcode ChunkSource.has}. */
  has(chunk: Digest): boolean {
    return this.#index.has(chunk);
  }

  /** See {@linkcode ChunkSource.find}. */
  find(chunk: Digest): Promise<Uint8Array | undefined> {
    return this.#index.find(chunk);
  }

  /** See {@linkcode ChunkSource.reject}. */
  reject(chunk: Digest): void {
    this.#index.reject(chunk);
  }
}

async function* readFile(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(READ_BYTES);
  for (let got = await file.read(buffer); got !== null; got = await file.read(buffer)) {
    yield buffer.subarray(0, got);
  }
}
