/**
 * What an operator does with a store: look at what it holds, make room, check what is there, ask what became of a blob.
 * Stores on disk have a keeper; those in memory have none.
 *
 * @module
 */

import type { BlobStore } from "./blob_store.ts";
import type { Digest, DigestFunction } from "./digest.ts";

/** Blobs that have something in common. */
export interface BlobCount {
  /** How many. */
  readonly blobs: number;
  /** Their bytes. */
  readonly bytes: number;
}

/** Blobs of one size class. */
export interface SizeClass extends BlobCount {
  /** Largest size of the class, in bytes; the last class has none. */
  readonly upToBytes: number | undefined;
}

/** Blobs of one age class. */
export interface AgeClass extends BlobCount {
  /** Longest time since the last use, in seconds; the last class has none. */
  readonly upToSeconds: number | undefined;
}

/** What a store holds, looked at blob by blob. */
export interface StoreUsage extends BlobCount {
  /** Bytes of the blobs in the form in which they are kept. */
  readonly storedBytes: number;
  /** How many more they would be if none were compressed. */
  readonly savedBytes: number;
  /** Bytes on disk, with headers and garbage. */
  readonly diskBytes: number;
  /** Most bytes it may take on disk; undefined where only the disk limits it. */
  readonly maxBytes: number | undefined;
  /** Most blobs it may hold. */
  readonly maxBlobs: number | undefined;
  /** Bytes on disk that belong to no blob any more. */
  readonly garbageBytes: number;
  /** By size, smallest first. */
  readonly sizes: readonly SizeClass[];
  /** By time since the last use, latest first. */
  readonly ages: readonly AgeClass[];
  /** By digest function. */
  readonly functions: readonly (BlobCount & { readonly fn: DigestFunction })[];
  /** What was promised to clients and is kept for it. */
  readonly promised: BlobCount;
  /** What is pinned for longer than promises last. */
  readonly pinned: BlobCount;
  /** Evicted since the start. */
  readonly evicted: BlobCount;
  /** Promises that could not be kept since the start. */
  readonly brokenPromises: BlobCount;
  /** Since how many seconds the most recently used of what was evicted last had not been used; undefined before. */
  readonly retentionSeconds: number | undefined;
  /** What the operator should know, such as that the store is too small; undefined when all is well. */
  readonly warning: string | undefined;
}

/** What {@linkcode StoreKeeper.collect} did, or would do. The bytes of blobs are those on disk. */
export interface Collected extends BlobCount {
  /** Bytes the store takes less on disk. */
  readonly freedBytes: number;
  /** Bytes copied to free those. */
  readonly copiedBytes: number;
  /** What it takes on disk afterwards. */
  readonly diskBytes: number;
  /** Why it is not less; undefined when the target was reached. */
  readonly shortfall: string | undefined;
  /** What went by time since its last use, latest first; left out where nobody counted. */
  readonly ages?: readonly AgeClass[];
}

/** Why a blob is gone. */
export type GoneReason = "evicted" | "promise broken" | "deleted" | "damaged" | "collected";

/** What the log remembers of a blob that is gone. */
export interface GoneBlob {
  /** The blob. */
  readonly digest: Digest;
  /** When it went, in milliseconds of wall time. */
  readonly goneMs: number;
  /** When it was used last, in milliseconds of wall time; undefined when that is not known. */
  readonly usedMs: number | undefined;
  /** Why. */
  readonly reason: GoneReason;
}

/** How far {@linkcode StoreKeeper.verify} is. */
export interface VerifyProgress {
  /** Blobs read. */
  readonly blobs: number;
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes there are to read, about. */
  readonly totalBytes: number;
  /** What was found since the last progress. */
  readonly damaged: readonly DamagedBlob[];
}

/** A blob that is not what it was. */
export interface DamagedBlob {
  /** The blob; undefined where its record does not even say that. */
  readonly digest: Digest | undefined;
  /** Where it lies: the file's path in the store, and the offset in a segment. */
  readonly where: string;
  /** What is wrong. */
  readonly problem: string;
  /** What became of it: fetched again from another store, set aside, or left. */
  readonly outcome: "repaired" | "quarantined" | "left";
}

/** How a store gets along with its limits. */
export interface StorePressure {
  /** Most bytes it may take; undefined where only the disk limits it. */
  readonly maxBytes: number | undefined;
  /** Since how many seconds what went in the last minutes had not been used; undefined when nothing went. */
  readonly retentionSeconds: number | undefined;
  /** Bytes that can be stored; undefined as long as something can be evicted for more. */
  readonly leftBytes: number | undefined;
  /** What the operator should know now, such as that the store is too small. */
  readonly warning: string | undefined;
}

/** Looks after a store. */
export interface StoreKeeper {
  /** Counts what is there. Looks at every blob, so not to be asked many times a second. */
  usage(): Promise<StoreUsage>;
  /**
   * Frees garbage and, when `targetBytes` is given, evicts what was not used for longest until the store takes no more
   * than that; never what was promised lately or is pinned. With `dryRun` it only tells what it would do.
   */
  collect(
    options?: { readonly targetBytes?: number; readonly dryRun?: boolean; readonly signal?: AbortSignal },
  ): Promise<Collected>;
  /** Reads all that is stored and compares it with its digests, at most so many bytes a second. */
  verify(
    options?: { readonly bytesPerSecond?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<VerifyProgress>;
  /** When and why a blob went, as far as the log remembers. */
  whyGone(digest: Digest): Promise<GoneBlob | undefined>;
  /** How it gets along with its limits, at once; left out where nothing is evicted. */
  pressure?(): StorePressure;
  /** How far back that log goes, in milliseconds of wall time; left out where nobody can tell. */
  logSinceMs?(): Promise<number | undefined>;
  /** Increases whenever blobs went: who keeps what names blobs may look again. */
  readonly departures: number;
}

/** A store with a keeper. */
export interface KeptBlobStore extends BlobStore {
  /** Its keeper. */
  readonly keeper: StoreKeeper;
}
