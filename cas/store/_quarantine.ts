/**
 * Where damaged bytes are set aside: `quarantine/`, each as a `.bin` with a `.json` beside it that says what it should
 * have been. Nothing reads them but people, so they are bounded, the oldest go first, and nothing waits for them to be
 * on disk.
 *
 * @module
 */

import { type Clock, type Logger, type Random, randomHex } from "@brokkr/common";
import { type FileLayer, writeAll } from "./file_layer.ts";

/** Most bytes that are set aside by default. */
const MAX_BYTES = 256 << 20;
/** Most entries by default. */
const MAX_ENTRIES = 1000;
/** Left free on the disk: what is damaged must not take the room of what is not. */
const HEADROOM_BYTES = 64 << 20;
/** Bytes counted for the text beside each. */
const NOTE_BYTES = 1024;

const NAME = /^(\d{15}-[0-9a-f]{8})\.(?:bin|json)$/;

/** What is said of something set aside. */
export interface QuarantineNote {
  /** The blob, `hash/size`, where that is known. */
  readonly digest?: string;
  /** Where it lay: the path in the store, and the offset in a segment. */
  readonly where: string;
  /** What should have been there. */
  readonly expected: string;
  /** What was there. */
  readonly found: string;
}

/** What a {@linkcode Quarantine} is made of. */
export interface QuarantineOptions {
  readonly files: FileLayer;
  /** Its directory, made when needed. */
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Most bytes kept; 256 MiB by default. */
  readonly maxBytes?: number;
  /** Most entries kept; 1,000 by default. */
  readonly maxEntries?: number;
}

interface Entry {
  readonly name: string;
  readonly bytes: number;
}

/** The quarantine of one store. */
export class Quarantine {
  readonly #options: QuarantineOptions;
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  /** Oldest first; undefined before the directory was looked at. */
  #entries: Entry[] | undefined;
  #bytes = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Over a directory that need not be there. */
  constructor(options: QuarantineOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#maxEntries = options.maxEntries ?? MAX_ENTRIES;
  }

  /** Sets bytes aside; undefined when they could not be read. Resolves to the path, or undefined when it cannot. */
  keepBytes(note: QuarantineNote, bytes: Uint8Array | undefined): Promise<string | undefined> {
    return this.#inTurn(() =>
      this.#keep(note, bytes?.length ?? 0, async (path) => {
        if (bytes === undefined) return;
        const file = await this.#options.files.open(path, "create");
        try {
          await writeAll(file, bytes, 0);
        } finally {
          file.close();
        }
      })
    );
  }

  /**
   * Sets a file aside by giving it another name. One that cannot be set aside is removed: it is damaged, and takes room.
   * Resolves to the path, or undefined when it is gone.
   */
  keepFile(note: QuarantineNote, from: string): Promise<string | undefined> {
    const { files, log } = this.#options;
    return this.#inTurn(async () => {
      const size = await files.size(from);
      if (size === undefined) return undefined;
      const kept = await this.#keep(note, size, (path) => files.rename(from, path));
      if (kept !== undefined) return kept;
      try {
        await files.remove(from);
        log.warn("A damaged file was removed instead of set aside", { path: from, sizeBytes: size });
      } catch (error) {
        log.error("Cannot remove a damaged file", { path: from, error });
      }
      return undefined;
    });
  }

  /** One after the other, so that the bounds hold. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const next = this.#last.then(run, run);
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #keep(
    note: QuarantineNote,
    bytes: number,
    put: (path: string) => Promise<void>,
  ): Promise<string | undefined> {
    const { files, dir, clock, random, log } = this.#options;
    const wallMs = clock.wallMs();
    const name = `${String(Math.round(wallMs)).padStart(15, "0")}-${randomHex(random, 4)}`;
    try {
      if (bytes > this.#maxBytes) return undefined;
      await files.makeDirectory(dir);
      const entries = this.#entries ??= await this.#list();
      if (await files.freeBytes(dir) < HEADROOM_BYTES) return undefined;
      await this.#trim(entries, bytes + NOTE_BYTES);
      await this.#writeNote(`${dir}/${name}.json`, { ...note, at: new Date(wallMs).toISOString(), bytes });
      await put(`${dir}/${name}.bin`);
      entries.push({ name, bytes: bytes + NOTE_BYTES });
      this.#bytes += bytes + NOTE_BYTES;
      return `${dir}/${name}.bin`;
    } catch (error) {
      log.warn("Cannot set damaged bytes aside", { where: note.where, error });
      await this.#remove(name);
      return undefined;
    }
  }

  async #writeNote(path: string, note: unknown): Promise<void> {
    const file = await this.#options.files.open(path, "create");
    try {
      await writeAll(file, new TextEncoder().encode(JSON.stringify(note, undefined, 2) + "\n"), 0);
    } finally {
      file.close();
    }
  }

  /** Makes room for `more` bytes in one more entry. */
  async #trim(entries: Entry[], more: number): Promise<void> {
    while (
      entries.length > 0 &&
      (entries.length >= this.#maxEntries || this.#bytes + more > this.#maxBytes + NOTE_BYTES)
    ) {
      const [oldest] = entries.splice(0, 1);
      this.#bytes -= oldest.bytes;
      await this.#remove(oldest.name);
    }
  }

  async #remove(name: string): Promise<void> {
    const { files, dir, log } = this.#options;
    try {
      await files.remove(`${dir}/${name}.bin`);
      await files.remove(`${dir}/${name}.json`);
    } catch (error) {
      log.warn("Cannot remove what was set aside", { path: `${dir}/${name}`, error });
    }
  }

  /** What an earlier process set aside, oldest first. */
  async #list(): Promise<Entry[]> {
    const { files, dir } = this.#options;
    const found = new Set<string>();
    for (const { name } of await files.list(dir)) {
      const match = NAME.exec(name);
      if (match !== null) found.add(match[1]);
    }
    const entries: Entry[] = [];
    for (const name of [...found].sort()) {
      const bytes = (await files.size(`${dir}/${name}.bin`) ?? 0) + NOTE_BYTES;
      entries.push({ name, bytes });
      this.#bytes += bytes;
    }
    return entries;
  }
}
