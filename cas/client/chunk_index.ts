/**
 * A bounded index of chunks that lie in local files.
 *
 * @module
 */

import { type Digest, digestKey } from "../digest.ts";

/** How a {@linkcode ChunkIndex} is set up. */
export interface ChunkIndexOptions {
  /** Where the file of this name is now; undefined when it has gone. */
  readonly pathOf: (name: string) => string | undefined;
  /** Most chunks it remembers; 50,000 by default, which take some 10 MB. */
  readonly maxChunks?: number;
}

interface IndexedFile {
  readonly name: string;
  readonly keys: readonly string[];
}

interface Place {
  readonly file: IndexedFile;
  readonly offset: number;
}

/**
 * Remembers where chunks lie in files, of which it forgets the oldest first. Files may change or go: whoever takes a chunk
 * verifies it, as {@linkcode CasClient} does, and says when it is another.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ChunkIndex, digestOf, SHA256 } from "@brokkr/cas/client";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "onetwo");
 * const [one, two] = ["one", "two"].map((text) => digestOf(SHA256, new TextEncoder().encode(text)));
 * const index = new ChunkIndex({ pathOf: () => path });
 * index.add("numbers", [one, two]);
 * assertEquals(new TextDecoder().decode(await index.find(two)), "two");
 * await Deno.remove(path);
 * assertEquals(await index.find(two), undefined);
 * ```
 */
export class ChunkIndex {
  readonly #pathOf: (name: string) => string | undefined;
  readonly #maxChunks: number;
  readonly #files = new Map<string, IndexedFile>();
  readonly #places = new Map<string, Place>();

  /** An empty index. */
  constructor(options: ChunkIndexOptions) {
    this.#pathOf = options.pathOf;
    this.#maxChunks = options.maxChunks ?? 50_000;
  }

  /** How many chunks it remembers. */
  get size(): number {
    return this.#places.size;
  }

  /** Remembers how the file of this name is divided. One with more chunks than all may have is left out. */
  add(name: string, chunks: readonly Digest[]): void {
    this.forget(name);
    if (chunks.length === 0 || chunks.length > this.#maxChunks) return;
    const file: IndexedFile = { name, keys: chunks.map(digestKey) };
    this.#files.set(name, file);
    let offset = 0;
    chunks.forEach(({ sizeBytes }, index) => {
      // The newest file with a chunk is the one that stays longest.
      this.#places.set(file.keys[index], { file, offset });
      offset += sizeBytes;
    });
    for (const oldest of this.#files.keys()) {
      if (this.#places.size <= this.#maxChunks) break;
      this.forget(oldest);
    }
  }

  /** Forgets the chunks of a file. */
  forget(name: string): void {
    const file = this.#files.get(name);
    if (file === undefined) return;
    this.#files.delete(name);
    for (const key of file.keys) if (this.#places.get(key)?.file === file) this.#places.delete(key);
  }

  /** Whether it remembers a chunk. */
  has(chunk: Digest): boolean {
    return this.#places.has(digestKey(chunk));
  }

  /** The bytes where a chunk lay, not verified; undefined when there are none. */
  async find(chunk: Digest): Promise<Uint8Array | undefined> {
    const place = this.#places.get(digestKey(chunk));
    if (place === undefined) return undefined;
    const { file: { name }, offset } = place;
    const path = this.#pathOf(name);
    const data = path === undefined ? undefined : await readAt(path, offset, chunk.sizeBytes);
    if (data === undefined) this.forget(name);
    return data;
  }

  /** Forgets the file of a chunk that proved to be another. */
  reject(chunk: Digest): void {
    const place = this.#places.get(digestKey(chunk));
    if (place !== undefined) this.forget(place.file.name);
  }
}

/** So many bytes from an offset of a file; undefined when it has fewer or cannot be read: it is fetched then. */
async function readAt(path: string, offset: number, length: number): Promise<Uint8Array | undefined> {
  try {
    using file = await Deno.open(path);
    await file.seek(offset, Deno.SeekMode.Start);
    const data = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const n = await file.read(data.subarray(at));
      if (n === null) return undefined;
      at += n;
    }
    return data;
  } catch {
    return undefined;
  }
}
