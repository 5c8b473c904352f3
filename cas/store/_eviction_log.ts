/**
 * What went, when and why, so that somebody who misses a blob can be told. Two files of fixed entries take turns: when one
 * is full the other, older one is begun anew. Not synced: after a power cut the last seconds may be forgotten.
 *
 * An entry, little-endian: digest function (1 byte), reason (1), hash length (1), zero, gone (u32, seconds of store time),
 * used last (u32, 0 when not known), size (float64), CRC-32 of the rest (u32), hash (up to 64), zeros; 88 bytes.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Logger } from "@brokkr/common";
import { Slices } from "@brokkr/common";
import { type Digest, type DigestFunction, digestFunctionByValue, type HashHex } from "../digest.ts";
import type { GoneBlob, GoneReason } from "../store_keeper.ts";
import { wallOf } from "./_store_time.ts";
import { type FileLayer, readFully, type StoreFile, writeAll } from "./file_layer.ts";

const ENTRY_BYTES = 88;
const HASH_AT = 24;
/** Entries of one file: 32 MiB. */
const MAX_ENTRIES = Math.floor((32 << 20) / ENTRY_BYTES);
/** Entries read at a time. */
const READ_ENTRIES = 4096;
/** Entries that wait to be written; beyond, they are forgotten. */
const MAX_WAITING = 200_000;
const REASONS: readonly GoneReason[] = ["evicted", "promise broken", "deleted", "damaged", "collected"];
const NAMES = ["a.log", "b.log"] as const;

/** What the log is made of. */
export interface EvictionLogOptions {
  readonly files: FileLayer;
  /** Its directory, made when needed. */
  readonly dir: string;
  readonly log: Logger;
}

/** The log. */
export class EvictionLog {
  readonly #options: EvictionLogOptions;
  #waiting: Uint8Array[] = [];
  #waitingEntries = 0;
  #chunk = new Uint8Array(0);
  #used = 0;
  #current = 0;
  #file: StoreFile | undefined;
  #entries = 0;
  #writing: Promise<void> | undefined;
  #opened: Promise<void> | undefined;
  #closed = false;

  /** A log that opens its files when it has something to write or is asked. */
  constructor(options: EvictionLogOptions) {
    this.#options = options;
  }

  /** Notes that a blob went; written soon. */
  add(
    fn: DigestFunction,
    hash: Uint8Array,
    sizeBytes: number,
    reason: GoneReason,
    goneS: number,
    usedS: number,
  ): void {
    if (this.#waitingEntries >= MAX_WAITING || this.#closed) return;
    if (this.#used === this.#chunk.length) {
      if (this.#used > 0) this.#waiting.push(this.#chunk);
      this.#chunk = new Uint8Array(256 * ENTRY_BYTES);
      this.#used = 0;
    }
    const entry = this.#chunk.subarray(this.#used, this.#used + ENTRY_BYTES);
    this.#used += ENTRY_BYTES;
    this.#waitingEntries++;
    const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_BYTES);
    entry[0] = fn.value;
    entry[1] = REASONS.indexOf(reason);
    entry[2] = hash.length;
    view.setUint32(4, goneS, true);
    view.setUint32(8, usedS, true);
    view.setFloat64(12, sizeBytes, true);
    entry.set(hash, HASH_AT);
    view.setUint32(20, checksum(entry), true);
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.#waitingEntries === 0) return;
    this.#writing = this.#write()
      .catch((error) => this.#options.log.warn("Cannot write the log of evicted blobs", { error }))
      .finally(() => this.#writing = undefined);
    await this.#writing;
  }

  /** The latest entry of a blob. */
  async find(digest: Digest): Promise<GoneBlob | undefined> {
    await this.flush();
    await this.#open();
    const hash = Uint8Array.fromHex(digest.hash);
    for (const which of [this.#current, 1 - this.#current]) {
      const found = await this.#findIn(which, digest, hash);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** When the oldest blob went that is remembered, in milliseconds of wall time. */
  async oldestMs(): Promise<number | undefined> {
    await this.flush();
    await this.#open();
    for (const which of [1 - this.#current, this.#current]) {
      const file = await this.#reader(which);
      if (file === undefined) continue;
      try {
        const entry = new Uint8Array(ENTRY_BYTES);
        if (await readFully(file, entry, 0) < ENTRY_BYTES || !isWhole(entry)) continue;
        return wallOf(new DataView(entry.buffer).getUint32(4, true));
      } finally {
        file.close();
      }
    }
    return undefined;
  }

  /** Writes what waits and closes. */
  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    this.#file?.close();
    this.#file = undefined;
  }

  #path(which: number): string {
    return `${this.#options.dir}/${NAMES[which]}`;
  }

  #open(): Promise<void> {
    return this.#opened ??= this.#find().catch((error) => {
      // Of a full disk, say: it is tried again.
      this.#opened = undefined;
      throw error;
    });
  }

  /** Finds out which file is written: the one whose last entry is the later. */
  async #find(): Promise<void> {
    const { files, dir } = this.#options;
    await files.makeDirectory(dir);
    let latest = -1;
    for (const which of [0, 1]) {
      const size = await files.size(this.#path(which));
      if (size === undefined || size < ENTRY_BYTES) continue;
      const file = await files.open(this.#path(which), "read");
      try {
        const entries = Math.floor(size / ENTRY_BYTES);
        const entry = new Uint8Array(ENTRY_BYTES);
        await readFully(file, entry, (entries - 1) * ENTRY_BYTES);
        const goneS = isWhole(entry) ? new DataView(entry.buffer).getUint32(4, true) : 0;
        if (goneS < latest) continue;
        latest = goneS;
        this.#current = which;
        this.#entries = entries;
      } finally {
        file.close();
      }
    }
  }

  async #write(): Promise<void> {
    const chunks = this.#waiting;
    if (this.#used > 0) chunks.push(this.#chunk.subarray(0, this.#used));
    this.#waiting = [];
    this.#chunk = new Uint8Array(0);
    this.#used = 0;
    this.#waitingEntries = 0;
    await this.#open();
    for (const chunk of chunks) {
      if (this.#entries >= MAX_ENTRIES) await this.#turn();
      const file = this.#file ??= await this.#openCurrent();
      await writeAll(file, chunk, this.#entries * ENTRY_BYTES);
      this.#entries += chunk.length / ENTRY_BYTES;
    }
  }

  async #openCurrent(): Promise<StoreFile> {
    const { files } = this.#options;
    const path = this.#path(this.#current);
    return await files.open(path, await files.size(path) === undefined ? "create" : "update");
  }

  /** Goes on with the other file, from its beginning. */
  async #turn(): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    await this.#options.files.remove(this.#path(1 - this.#current));
    this.#current = 1 - this.#current;
    this.#entries = 0;
  }

  async #reader(which: number): Promise<StoreFile | undefined> {
    const { files } = this.#options;
    if (await files.size(this.#path(which)) === undefined) return undefined;
    return await files.open(this.#path(which), "read");
  }

  async #findIn(which: number, digest: Digest, hash: Uint8Array): Promise<GoneBlob | undefined> {
    const file = await this.#reader(which);
    if (file === undefined) return undefined;
    try {
      const entries = Math.floor(await file.size() / ENTRY_BYTES);
      const buffer = new Uint8Array(READ_ENTRIES * ENTRY_BYTES);
      const slices = new Slices();
      for (let end = entries; end > 0; end -= READ_ENTRIES) {
        const start = Math.max(0, end - READ_ENTRIES);
        const window = buffer.subarray(0, (end - start) * ENTRY_BYTES);
        const read = await readFully(file, window, start * ENTRY_BYTES);
        for (let at = read - ENTRY_BYTES; at >= 0; at -= ENTRY_BYTES) {
          const gone = match(window.subarray(at, at + ENTRY_BYTES), digest, hash);
          if (gone !== undefined) return gone;
        }
        if (slices.spent) await slices.next();
      }
    } finally {
      file.close();
    }
    return undefined;
  }
}

function match(entry: Uint8Array, digest: Digest, hash: Uint8Array): GoneBlob | undefined {
  if (entry[0] !== digest.fn.value || entry[2] !== hash.length || entry[HASH_AT] !== hash[0]) {
    return undefined;
  }
  for (let i = 1; i < hash.length; i++) if (entry[HASH_AT + i] !== hash[i]) return undefined;
  const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_BYTES);
  if (!isWhole(entry) || view.getFloat64(12, true) !== digest.sizeBytes) return undefined;
  const fn = digestFunctionByValue(entry[0]);
  const usedS = view.getUint32(8, true);
  if (fn === undefined) return undefined;
  return {
    digest: { fn, hash: hash.toHex() as HashHex, sizeBytes: digest.sizeBytes },
    goneMs: wallOf(view.getUint32(4, true)),
    usedMs: usedS === 0 ? undefined : wallOf(usedS),
    reason: REASONS[entry[1]],
  };
}

function isWhole(entry: Uint8Array): boolean {
  const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_BYTES);
  return entry[1] < REASONS.length && view.getUint32(20, true) === checksum(entry);
}

function checksum(entry: Uint8Array): number {
  return crc32(entry.subarray(HASH_AT), crc32(entry.subarray(0, 20)));
}
