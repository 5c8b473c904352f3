/**
 * The options of the disk store, and what they are when they are not given.
 *
 * @module
 */

import {
  ByteBudget,
  type Clock,
  type Logger,
  type Metrics,
  noLog,
  noMetrics,
  type Random,
  systemClock,
  systemRandom,
} from "@brokkr/common";
import type { UploadLimits } from "../blob_store.ts";
import { LmdbEnv } from "../metadata/lmdb_env.ts";
import { settleUploadLimits } from "./_kept_uploads.ts";
import type { OpenIndexEnv } from "./_index_env.ts";
import type { BlobSource } from "./_mender.ts";
import { type FileLayer, systemFiles } from "./file_layer.ts";
import { MAX_TABLE_SIZE } from "./membership_table.ts";

/** How a disk store is set up. Everything has a default that suits production. */
export interface DiskBlobStoreOptions {
  /** Time, for pins and for when the index is written. */
  readonly clock?: Clock;
  /** For the store's id and the names of temporary files. */
  readonly random?: Random;
  /**
   * Memory for readers and writers; 128 MiB of its own by default. Never one that callers hold a share of while they
   * wait for this store, or both wait for ever.
   */
  readonly budget?: ByteBudget;
  /** Where it counts. */
  readonly metrics?: Metrics;
  /** Where it tells of damage and recovery. */
  readonly log?: Logger;
  /** Largest blob it takes, in bytes; 16 GiB by default. */
  readonly maxBlobBytes?: number;
  /** Most bytes it takes on disk; no limit but the disk's by default. */
  readonly maxBytes?: number;
  /** Most blobs it holds; no limit but its size by default. */
  readonly maxBlobs?: number;
  /** How long a writer is held up just before the limit, in milliseconds, more when blobs hardly live; 25 by default. */
  readonly paceMs?: number;
  /** How long blobs are kept that somebody was told to be there, in milliseconds; 3 hours by default. */
  readonly promiseMs?: number;
  /** Left free on the disk for what must be written even when blobs find no room; 32 MiB by default, 0 for none. */
  readonly headroomBytes?: number;
  /**
   * A segment that would grow beyond this is followed by another; 256 MiB by default, or a fortieth of `maxBytes` where
   * that is less, since room is made by whole segments.
   */
  readonly segmentBytes?: number;
  /** Memory for the contents of small blobs read lately; 64 MiB by default. */
  readonly cacheBytes?: number;
  /**
   * How blobs up to 1 MiB are kept: `zstd`, the default, compressed where that saves an eighth or more, or `off`, as they
   * are. Both kinds are read whatever it says.
   */
  readonly compression?: "zstd" | "off";
  /**
   * Which reads are compared with the digest before their end is handed out. `first`, the default: the first whole read
   * of each large blob since the store was opened, while small ones are compared with the checksum of their record, every
   * time. `always`: every whole read, and small blobs with their digest. A range of a large blob cannot be compared with
   * a digest of all of it, so those are not; the scrubber finds what is wrong with them.
   */
  readonly verifyReads?: "first" | "always";
  /** How many bytes a second are read again in the background to find what the disk has spoiled; 0, the default, for none. */
  readonly scrubBytesPerSecond?: number;
  /** Another store, from which blobs found damaged are fetched again; none by default. */
  readonly repairFrom?: BlobSource;
  /** How much of interrupted uploads is kept. */
  readonly uploads?: UploadLimits;
  /** Called with the reason when the store becomes unfit for use, and with undefined when it is fit again. */
  readonly onHealth?: (reason: string | undefined) => void;
  /** The file system; the machine's by default. */
  readonly files?: FileLayer;
  /** Opens the database of the index; LMDB by default. */
  readonly openIndex?: OpenIndexEnv;
}

/** Options with their defaults filled in. */
export type SettledOptions = Readonly<Required<Omit<DiskBlobStoreOptions, "uploads" | "repairFrom">>> & {
  readonly uploads: Required<UploadLimits>;
  readonly repairFrom: BlobSource | undefined;
};

/** Fills in defaults. */
export function settleOptions(options: DiskBlobStoreOptions): SettledOptions {
  return {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    budget: options.budget ?? new ByteBudget(128 << 20),
    metrics: options.metrics ?? noMetrics,
    log: options.log ?? noLog,
    maxBlobBytes: Math.min(options.maxBlobBytes ?? 2 ** 34, MAX_TABLE_SIZE),
    maxBytes: options.maxBytes ?? Infinity,
    paceMs: options.paceMs ?? 25,
    maxBlobs: options.maxBlobs ?? Infinity,
    promiseMs: options.promiseMs ?? 3 * 3_600_000,
    headroomBytes: options.headroomBytes ?? 32 << 20,
    segmentBytes: options.segmentBytes ??
      Math.max(64 << 10, Math.min(256 << 20, (options.maxBytes ?? Infinity) / 40)),
    cacheBytes: options.cacheBytes ?? 64 << 20,
    compression: options.compression ?? "zstd",
    verifyReads: options.verifyReads ?? "first",
    scrubBytesPerSecond: options.scrubBytesPerSecond ?? 0,
    repairFrom: options.repairFrom,
    uploads: settleUploadLimits(options.uploads),
    onHealth: options.onHealth ?? (() => {}),
    files: options.files ?? systemFiles,
    openIndex: options.openIndex ?? ((path) => LmdbEnv.open(path, { readAhead: false })),
  };
}
