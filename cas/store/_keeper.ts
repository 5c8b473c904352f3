/**
 * The keeper of a disk store.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import type { Digest, DigestFunction } from "../digest.ts";
import type {
  BlobCount,
  Collected,
  GoneBlob,
  SizeClass,
  StoreKeeper,
  StorePressure,
  StoreUsage,
  VerifyProgress,
} from "../store_keeper.ts";
import { AgeCount } from "./_age_count.ts";
import type { EvictionLog } from "./_eviction_log.ts";
import { pinKind, type Tally } from "./_eviction_plan.ts";
import type { Evictor } from "./_evictor.ts";
import { isListed } from "./_record.ts";
import type { Recovered } from "./_recover.ts";
import type { Scrubber } from "./_scrubber.ts";
import { SEGMENT_HEADER_BYTES } from "./_segment_header.ts";
import type { SegmentLog } from "./_segment_log.ts";
import type { StoreTime } from "./_store_time.ts";
import type { SettledOptions } from "./disk_store_options.ts";

/** Upper bounds of size classes, in bytes. */
const SIZES = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20, 256 << 20];

/** What a {@linkcode DiskKeeper} works with. */
export interface DiskKeeperOptions {
  readonly settled: SettledOptions;
  readonly state: Recovered;
  readonly segments: SegmentLog;
  readonly evictor: Evictor;
  readonly scrubber: Scrubber;
  readonly gone: EvictionLog;
  readonly time: StoreTime;
  readonly usedBytes: () => number;
  readonly departures: () => number;
}

/** Looks after one open directory. */
export class DiskKeeper implements StoreKeeper {
  readonly #options: DiskKeeperOptions;

  constructor(options: DiskKeeperOptions) {
    this.#options = options;
  }

  get departures(): number {
    return this.#options.departures();
  }

  async usage(): Promise<StoreUsage> {
    const { settled, state: { catalog }, segments, evictor, time, usedBytes } = this.#options;
    await catalog.loaded;
    const { maxBytes, maxBlobs, promiseMs, clock } = settled;
    const moment = { nowS: time.now(), nowMs: clock.monotonicMs(), promiseMs };
    const sizes = SIZES.map(() => none()).concat(none());
    const ages = new AgeCount(moment.nowS);
    const functions = new Map<DigestFunction, Tally>();
    let savedBytes = 0;
    const pins = { hand: none(), promise: none(), none: none() };
    const slices = new Slices();
    for (const part of catalog.parts()) {
      part((fn, entry) => {
        const { sizeBytes, usedS, pinnedUntilMs } = entry;
        // A list of chunks is no compressed form: the chunks are there beside it.
        if (!isListed(entry)) savedBytes += sizeBytes - entry.storedBytes;
        let byFunction = functions.get(fn);
        if (byFunction === undefined) functions.set(fn, byFunction = none());
        count(byFunction, sizeBytes);
        count(sizes[classOf(SIZES, sizeBytes)], sizeBytes);
        ages.add(usedS, sizeBytes);
        count(pins[pinKind(pinnedUntilMs, moment)], sizeBytes);
      });
      if (slices.spent) await slices.next();
    }
    const { evicted, broken, retentionS } = evictor.totals;
    return {
      blobs: catalog.blobs,
      bytes: catalog.bytes,
      storedBytes: catalog.storedBytes,
      savedBytes,
      diskBytes: usedBytes(),
      maxBytes: maxBytes === Infinity ? undefined : maxBytes,
      maxBlobs: maxBlobs === Infinity ? undefined : maxBlobs,
      garbageBytes: Math.max(
        0,
        segments.diskBytes - segments.segmentCount * SEGMENT_HEADER_BYTES - catalog.recordBytes,
      ),
      sizes: sizes.map((tally, at): SizeClass => ({ ...tally, upToBytes: SIZES.at(at) })),
      ages: ages.classes,
      functions: [...functions].map(([fn, tally]) => ({ ...tally, fn })),
      promised: pins.promise,
      pinned: pins.hand,
      evicted: { ...evicted },
      brokenPromises: { ...broken },
      retentionSeconds: retentionS,
      warning: evictor.recentWarning,
    };
  }

  collect(
    options?: { readonly targetBytes?: number; readonly dryRun?: boolean; readonly signal?: AbortSignal },
  ): Promise<Collected> {
    return this.#options.evictor.collect(options);
  }

  verify(
    options?: { readonly bytesPerSecond?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<VerifyProgress> {
    return this.#options.scrubber.run(options);
  }

  whyGone(digest: Digest): Promise<GoneBlob | undefined> {
    return this.#options.gone.find(digest);
  }

  pressure(): StorePressure {
    const { settled: { maxBytes }, evictor, usedBytes } = this.#options;
    return {
      leftBytes: evictor.shortfall === undefined ? undefined : Math.max(0, maxBytes - usedBytes()),
      maxBytes: maxBytes === Infinity ? undefined : maxBytes,
      retentionSeconds: evictor.recentRetentionS,
      warning: evictor.recentWarning,
    };
  }

  logSinceMs(): Promise<number | undefined> {
    return this.#options.gone.oldestMs();
  }
}

function none(): Tally {
  return { blobs: 0, bytes: 0 };
}

function count(tally: Tally & BlobCount, bytes: number): void {
  tally.blobs++;
  tally.bytes += bytes;
}

function classOf(bounds: readonly number[], value: number): number {
  const at = bounds.findIndex((bound) => value <= bound);
  return at < 0 ? bounds.length : at;
}
