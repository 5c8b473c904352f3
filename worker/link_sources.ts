/**
 * Files that input layers are made of by hard links, beside those of the blob cache: executable ones, empty ones, and
 * further ones of the same content.
 *
 * @module
 */

import { createFile, setMtime } from "@brokkr/sandbox";
import { unshared } from "./_unshared.ts";
import { INPUT_EXECUTABLE_MODE, INPUT_FILE_MODE, INPUT_MTIME_NS, type InputFile } from "./materializer.ts";

/** Where the content of an input file comes from. */
export interface InputContent {
  /** The content of a small blob that is in memory; undefined when it is only on disk. */
  bytes(key: string): Uint8Array | undefined;
  /** The cached file that holds a blob. */
  path(key: string): string;
}

/** A file to link from. It stays while a layer holds it. */
export interface LinkSource {
  /** What it is found by. */
  readonly id: string;
  /** Where it is. */
  readonly path: string;
  /** Its size. */
  readonly sizeBytes: number;
  /** Layers that hold it. */
  holders: number;
}

/** Files from here on are copied by another thread: shorter copies take less time than handing them over. */
const COPY_ASIDE_BYTES = 256 * 1024;

/** Writes an input file with the mode and time that all inputs have. */
export async function writeInput(path: string, file: InputFile, content: InputContent): Promise<void> {
  const mode = file.executable ? INPUT_EXECUTABLE_MODE : INPUT_FILE_MODE;
  const bytes = content.bytes(file.key);
  if (bytes !== undefined) return createFile(path, unshared(bytes), { mode, mtimeNs: INPUT_MTIME_NS });
  const from = content.path(file.key);
  if (file.digest.sizeBytes >= COPY_ASIDE_BYTES) await Deno.copyFile(from, path);
  else Deno.copyFileSync(from, path);
  // A copy has the mode of the cached file.
  if (mode !== INPUT_FILE_MODE) Deno.chmodSync(path, mode);
  setMtime(path, INPUT_MTIME_NS);
}

/** Owns such files, in a directory of its own. */
export class LinkSources {
  readonly #path: string;
  readonly #sources = new Map<string, LinkSource>();
  #sizeBytes = 0;
  #named = 0;

  /** Keeps them in `path`, an empty directory. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Bytes of all of them. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** A file that is there, held. */
  find(id: string): LinkSource | undefined {
    const source = this.#sources.get(id);
    if (source !== undefined) source.holders++;
    return source;
  }

  /** Writes a file, unless another layer does so meanwhile; held. */
  async make(id: string, file: InputFile, content: InputContent): Promise<LinkSource> {
    const path = `${this.#path}/${++this.#named}`;
    try {
      await writeInput(path, file, content);
    } catch (error) {
      removeFile(path);
      throw error;
    }
    const other = this.find(id);
    if (other !== undefined) {
      removeFile(path);
      return other;
    }
    const source = { id, path, sizeBytes: file.digest.sizeBytes, holders: 1 };
    this.#sources.set(id, source);
    this.#sizeBytes += source.sizeBytes;
    return source;
  }

  /** Has no more links made of a file that has as many as its file system takes, and lets go of it. */
  retire(source: LinkSource): void {
    if (this.#sources.get(source.id) === source) this.#sources.delete(source.id);
    this.release(source);
  }

  /** Lets go of a file; it is removed with the last one that held it. */
  release(source: LinkSource): void {
    if (--source.holders > 0) return;
    if (this.#sources.get(source.id) === source) this.#sources.delete(source.id);
    this.#sizeBytes -= source.sizeBytes;
    removeFile(source.path);
  }
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
