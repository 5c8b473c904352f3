/**
 * The bytes of one file as a disk with a write cache has them: what is durable, what is only in the page cache, and what
 * is left of the difference when the power goes.
 *
 * Each sector has a list of what it held since it was last synced. After a cut it holds any one of them, or the beginning
 * of one and the end of the one before. The length has such a list of its own. A failed sync writes some dirty sectors
 * and marks all of them clean, as Linux does: the page cache goes on showing what is not on the disk, a later sync
 * succeeds without writing it, and some day the page is dropped and the old bytes are seen.
 *
 * @module
 */

import type { Random } from "@brokkr/common";

/** What is written as one piece; smaller than that it may tear. */
export const SECTOR_BYTES = 4096;
/** Where a sector may tear. */
const TEAR_BYTES = 512;

/** How a cut chooses among what may be left: nothing unsynced, all of it, or anything, each sector for itself. */
export type Survival = "lost" | "kept" | "mixed";

/** A file's bytes. */
export class SimulatedFile {
  #cache = new Uint8Array(0);
  #length = 0;
  #durable = new Uint8Array(0);
  /** What each dirty sector held since its last sync, the oldest first, without what is durable. */
  readonly #dirty = new Map<number, Uint8Array[]>();
  /** Clean sectors whose bytes in the cache never reached the disk. */
  readonly #orphaned = new Set<number>();
  /** Lengths since the last sync; the first is durable. */
  #lengths = [0];
  /** Names that lead here now. */
  links = 0;
  /** When it was last written, in milliseconds of wall time. */
  modifiedMs = 0;
  /** What a simulation keeps with the file. */
  tag: unknown;

  /** Its length as a program sees it. */
  get length(): number {
    return this.#length;
  }

  /** Whether a sync would have something to do. */
  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.#lengths.length > 1;
  }

  /** Reads as a program does; returns how many bytes. */
  read(buffer: Uint8Array, position: number): number {
    const bytes = this.#cache.subarray(position, Math.min(this.#length, position + buffer.length));
    buffer.set(bytes);
    return bytes.length;
  }

  /** Writes into the page cache. */
  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    this.#cache = grown(this.#cache, end);
    this.#cache.set(bytes, position);
    this.#setLength(Math.max(this.#length, end));
    this.#touch(position, end);
  }

  /** Cuts or extends it. */
  truncate(sizeBytes: number): void {
    const before = this.#length;
    this.#cache = grown(this.#cache, sizeBytes);
    this.#setLength(sizeBytes);
    if (sizeBytes >= before) return;
    this.#cache.fill(0, sizeBytes, before);
    this.#touch(sizeBytes, before);
  }

  /** Makes all of it durable, but for what a failed sync has lost. */
  sync(): void {
    this.#durable = grown(this.#durable, this.#cache.length);
    for (const [sector, versions] of this.#dirty) {
      this.#durable.set(versions[versions.length - 1], sector * SECTOR_BYTES);
    }
    this.#dirty.clear();
    this.#lengths = [this.#length];
  }

  /** A sync that fails: some of it is durable, none of it is dirty any more. */
  failSync(random: Random): void {
    this.#durable = grown(this.#durable, this.#cache.length);
    for (const [sector, versions] of this.#dirty) {
      const left = this.#choose(sector, versions, random, "mixed");
      this.#durable.set(left, sector * SECTOR_BYTES);
      if (left !== versions[versions.length - 1]) this.#orphaned.add(sector);
    }
    this.#dirty.clear();
    // The length is in the journal, which goes on.
    this.#lengths = [pick(this.#lengths, random), this.#length];
  }

  /** Drops clean pages from the cache: what a failed sync has lost shows. */
  dropPages(): void {
    for (const sector of this.#orphaned) {
      const at = sector * SECTOR_BYTES;
      this.#cache.set(this.#durable.subarray(at, at + SECTOR_BYTES), at);
    }
    this.#orphaned.clear();
    if (this.#cache.length > this.#length) this.#cache.fill(0, this.#length);
  }

  /** What a power cut leaves: a file that is durable as it is. */
  afterCut(random: Random, survival: Survival): SimulatedFile {
    const left = new SimulatedFile();
    left.#length = survival === "lost"
      ? this.#lengths[0]
      : survival === "kept"
      ? this.#length
      : pick(this.#lengths, random);
    left.#durable = grown(this.#durable.slice(), Math.max(this.#cache.length, left.#length));
    for (const [sector, versions] of this.#dirty) {
      left.#durable.set(this.#choose(sector, versions, random, survival), sector * SECTOR_BYTES);
    }
    left.#durable.fill(0, left.#length);
    left.#cache = left.#durable.slice();
    left.#lengths = [left.#length];
    left.modifiedMs = this.modifiedMs;
    left.tag = this.tag;
    return left;
  }

  #setLength(sizeBytes: number): void {
    this.#length = sizeBytes;
    if (this.#lengths[this.#lengths.length - 1] !== sizeBytes) this.#lengths.push(sizeBytes);
  }

  #touch(start: number, end: number): void {
    for (let sector = Math.floor(start / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
      const at = sector * SECTOR_BYTES;
      const version = this.#cache.slice(at, at + SECTOR_BYTES);
      const versions = this.#dirty.get(sector);
      if (versions === undefined) this.#dirty.set(sector, [version]);
      else versions.push(version);
      this.#orphaned.delete(sector);
    }
  }

  #choose(sector: number, versions: readonly Uint8Array[], random: Random, survival: Survival): Uint8Array {
    const last = versions[versions.length - 1];
    if (survival === "kept") return last;
    const at = sector * SECTOR_BYTES;
    const durable = grown(this.#durable.slice(at, at + SECTOR_BYTES), SECTOR_BYTES);
    if (survival === "lost") return durable;
    const chosen = Math.floor(random.next() * (versions.length + 1));
    const newer = chosen === 0 ? durable : versions[chosen - 1];
    if (chosen === 0 || random.next() < 0.6) return newer;
    const older = chosen === 1 ? durable : versions[chosen - 2];
    const torn = older.slice();
    torn.set(newer.subarray(0, Math.floor(random.next() * (SECTOR_BYTES / TEAR_BYTES)) * TEAR_BYTES));
    return torn;
  }
}

/** The bytes with room for `sizeBytes`, in whole sectors; zeros behind them. */
function grown(bytes: Uint8Array<ArrayBuffer>, sizeBytes: number): Uint8Array<ArrayBuffer> {
  if (sizeBytes <= bytes.length) return bytes;
  const wanted = Math.max(sizeBytes, Math.min(bytes.length * 2, bytes.length + (1 << 20)));
  const larger = new Uint8Array(Math.ceil(wanted / SECTOR_BYTES) * SECTOR_BYTES);
  larger.set(bytes);
  return larger;
}

/** One of some. */
export function pick<T>(of: readonly T[], random: Random): T {
  return of[Math.floor(random.next() * of.length)];
}
