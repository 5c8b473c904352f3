/**
 * Opening the stores of a control plane: blobs, metadata, and the action cache over both.
 *
 * @module
 */

import {
  ActionCache,
  ActionCacheSweeper,
  type BlobStore,
  departuresOf,
  MemoryBlobStore,
  MemoryMetadataStore,
  type MetadataStore,
  type UploadLimits,
} from "@brokkr/cas";
import { openDiskBlobStore, openLmdbMetadataStore } from "@brokkr/cas/disk";
import {
  ByteBudget,
  type Clock,
  type Health,
  type Logger,
  openDataDirectory,
  systemRandom,
} from "@brokkr/common";
import type { PrometheusMetrics } from "@brokkr/common/prometheus";
import {
  BUFFER_SHARE,
  type ControlOptions,
  DEFAULT_BUDGET_BYTES,
  DEFAULT_MAX_BLOB_BYTES,
} from "./control_options.ts";

const DEFAULT_RESULT_TTL_MS = 30 * 86_400_000;
const DEFAULT_PROMISE_MS = 3 * 3_600_000;
/** How long at most what a hit promised is pinned besides what the store promises itself. */
const MAX_RESULT_PIN_MS = 600_000;

/** What is stored, and what the store may buffer. */
export interface Stores {
  readonly blobs: BlobStore;
  readonly metadata: MetadataStore;
  /** Memory of the store; undefined where it is all in memory. */
  readonly bytes: ByteBudget | undefined;
}

/** What opening works with. */
export interface StoreSurroundings {
  /** Ends what was opened. */
  readonly stack: AsyncDisposableStack;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: PrometheusMetrics;
  readonly health: Health;
}

/** Opens the stores, on disk or in memory. */
export async function openStores(options: ControlOptions, surroundings: StoreSurroundings): Promise<Stores> {
  const { stack, clock, log, metrics, health } = surroundings;
  const { dataDir, memoryBudgetBytes = DEFAULT_BUDGET_BYTES, casMaxSizeBytes = 0 } = options;
  const maxBlobBytes = options.maxBlobSizeBytes ?? DEFAULT_MAX_BLOB_BYTES;
  const uploads = uploadLimits(options);
  if (dataDir === undefined) {
    const limit = casMaxSizeBytes === 0 ? memoryBudgetBytes : casMaxSizeBytes;
    const { maxBlobs, promiseMs } = storeLimits(options);
    const metadata = stack.use(new MemoryMetadataStore());
    const blobs = new MemoryBlobStore(limit, { uploads, clock, maxBlobBytes, maxBlobs, promiseMs });
    return { metadata, blobs: stack.use(blobs), bytes: undefined };
  }
  const { path } = stack.use(openDataDirectory(dataDir, "control"));
  const metadata = stack.use(await openLmdbMetadataStore(`${path}/meta`));
  // Its own share: a store that waited for what its callers hold would wait for ever.
  const bytes = new ByteBudget(Math.ceil(memoryBudgetBytes * BUFFER_SHARE));
  health.set("store", "The store is being opened");
  const blobs = await openDiskBlobStore(`${path}/cas`, {
    clock,
    random: options.random ?? systemRandom,
    budget: bytes,
    metrics,
    log,
    onHealth: (reason) => health.set("store", reason),
    maxBlobBytes,
    uploads,
    ...storeLimits(options),
  });
  health.set("store", undefined);
  return { metadata, blobs: stack.use(blobs), bytes };
}

/** Opens the action cache over the stores, and has it swept. */
export function openActionCache(
  { metadata, blobs }: Stores,
  options: ControlOptions,
  { stack, clock, log, metrics }: StoreSurroundings,
): ActionCache {
  const { acTtlMs = DEFAULT_RESULT_TTL_MS, casPromiseMs = DEFAULT_PROMISE_MS } = options;
  const pinMs = Math.min(MAX_RESULT_PIN_MS, casPromiseMs);
  const cache = stack.use(new ActionCache({ metadata, blobs, metrics, clock, ttlMs: acTtlMs, pinMs }));
  stack.use(new ActionCacheSweeper({ cache, departures: () => departuresOf(blobs), clock, log }));
  return cache;
}

/** What the store may hold, for how long, and how it looks after it; its own defaults where nothing is said. */
function storeLimits(options: ControlOptions) {
  const { casMaxSizeBytes = 0, casMaxBlobs = 0, casPromiseMs } = options;
  const { casScrubBytesPerSecond = 0, casVerifyReads = "first", casCompression = "zstd" } = options;
  return {
    compression: casCompression,
    scrubBytesPerSecond: casScrubBytesPerSecond,
    verifyReads: casVerifyReads,
    ...(casMaxSizeBytes === 0 ? {} : { maxBytes: casMaxSizeBytes }),
    ...(casMaxBlobs === 0 ? {} : { maxBlobs: casMaxBlobs }),
    ...(casPromiseMs === undefined ? {} : { promiseMs: casPromiseMs }),
  };
}

function uploadLimits({ uploadKeepMs, maxKeptUploads, maxKeptUploadBytes }: ControlOptions): UploadLimits {
  return { keepMs: uploadKeepMs, maxKept: maxKeptUploads, maxKeptBytes: maxKeptUploadBytes };
}
