/**
 * A store in memory that has a keeper, for tests of what operators ask of one. What it tells is true; what it does is as
 * simple as can be.
 *
 * @module
 */

import {
  type BlobCount,
  type BlobStoreStat,
  type BlobWriter,
  type Collected,
  type DamagedBlob,
  type Digest,
  digestAt,
  type DigestBatch,
  formatDigest,
  type GoneBlob,
  type KeptBlobStore,
  MemoryBlobStore,
  type MissingOptions,
  type ReadRange,
  SHA256,
  type StoreKeeper,
  type StoreUsage,
  type UploadStore,
  type VerifyProgress,
} from "@brokkr/cas";
import { BrokkrError, type Clock, Code, INTERNAL, type Scope, scopeOf, throwIfAborted } from "@brokkr/common";

const NOTHING: BlobCount = { blobs: 0, bytes: 0 };

/** A store in memory with a keeper. */
export class KeptStore implements KeptBlobStore, StoreKeeper {
  readonly keeper: StoreKeeper = this;
  departures = 0;
  /** How often the blobs were counted. */
  counts = 0;
  /** What `usage` and `verify` wait for before they go on. */
  gate: Promise<void> = Promise.resolve();
  /** Walks of `verify` under way. */
  walks = 0;
  /** Bytes that explicit pins may cover. */
  pinShareBytes = Infinity;
  /** What the store says to the operator. */
  warning: string | undefined;
  /** Blobs that are said to be damaged. */
  readonly rotten = new Map<string, DamagedBlob>();
  readonly #clock: Clock;
  readonly #blobs: MemoryBlobStore;
  readonly #known = new Map<string, Digest>();
  readonly #pins = new Map<string, number>();
  readonly #gone = new Map<string, GoneBlob>();
  readonly #startMs: number;
  #evicted = { ...NOTHING };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.wallMs();
    this.#blobs = new MemoryBlobStore(1 << 30, { clock });
  }

  get uploads(): UploadStore {
    return this.#blobs.uploads;
  }

  missing(scope: Scope, batch: DigestBatch, _options?: MissingOptions): Uint32Array | Promise<Uint32Array> {
    return this.#blobs.missing(scope, batch);
  }

  get(scope: Scope, digest: Digest): Promise<Uint8Array> {
    return this.#blobs.get(scope, digest);
  }

  read(
    scope: Scope,
    digest: Digest,
    range?: ReadRange,
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    return this.#blobs.read(scope, digest, range, signal);
  }

  async put(scope: Scope, digest: Digest, data: Uint8Array): Promise<void> {
    await this.#blobs.put(scope, digest, data);
    this.#known.set(formatDigest(digest), digest);
  }

  async writer(scope: Scope, digest: Digest): Promise<BlobWriter> {
    const writer = await this.#blobs.writer(scope, digest);
    this.#known.set(formatDigest(digest), digest);
    return writer;
  }

  // deno-lint-ignore require-await -- the interface's
  async pin(_scope: Scope, batch: DigestBatch, durationMs: number): Promise<void> {
    let bytes = 0;
    for (let i = 0; i < batch.length; i++) bytes += batch.sizes[i];
    if (bytes > this.pinShareBytes) {
      throw new BrokkrError(Code.RESOURCE_EXHAUSTED, "Pins would take too much");
    }
    for (let i = 0; i < batch.length; i++) {
      this.#pins.set(formatDigest(digestAt(batch, i)), this.#clock.monotonicMs() + durationMs);
    }
  }

  /** Whether a blob is pinned now. */
  isPinned(digest: Digest): boolean {
    return (this.#pins.get(formatDigest(digest)) ?? -Infinity) > this.#clock.monotonicMs();
  }

  delete(scope: Scope, digest: Digest): Promise<boolean> {
    this.#known.delete(formatDigest(digest));
    return this.#blobs.delete(scope, digest);
  }

  stat(): Promise<BlobStoreStat> {
    return this.#blobs.stat();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#blobs[Symbol.asyncDispose]();
  }

  async usage(): Promise<StoreUsage> {
    this.counts++;
    await this.gate;
    const all = this.#count([...this.#known.values()]);
    return {
      ...all,
      storedBytes: all.bytes,
      savedBytes: 0,
      diskBytes: all.bytes,
      maxBytes: 1 << 30,
      maxBlobs: undefined,
      garbageBytes: 0,
      sizes: [{ upToBytes: 4096, ...all }, { upToBytes: undefined, ...NOTHING }],
      ages: [{ upToSeconds: 3600, ...all }, { upToSeconds: undefined, ...NOTHING }],
      functions: [{ fn: SHA256, ...all }],
      promised: NOTHING,
      pinned: this.#count([...this.#known.values()].filter((digest) => this.isPinned(digest))),
      evicted: this.#evicted,
      brokenPromises: NOTHING,
      retentionSeconds: undefined,
      warning: this.warning,
    };
  }

  /** The oldest go first, unless they are pinned. */
  async collect(
    options: { readonly targetBytes?: number; readonly dryRun?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<Collected> {
    await this.gate;
    throwIfAborted(options.signal);
    const { targetBytes = Infinity, dryRun = false } = options;
    let left = this.#count([...this.#known.values()]).bytes;
    const going: Digest[] = [];
    for (const digest of this.#known.values()) {
      if (left <= targetBytes) break;
      if (this.isPinned(digest)) continue;
      going.push(digest);
      left -= digest.sizeBytes;
    }
    const gone = this.#count(going);
    if (!dryRun) { for (const digest of going) await this.#evict(digest); }
    return {
      ...gone,
      freedBytes: gone.bytes,
      copiedBytes: 0,
      diskBytes: left,
      shortfall: left <= targetBytes ? undefined : "The rest is pinned",
      ages: [{ upToSeconds: 3600, ...gone }, { upToSeconds: undefined, ...NOTHING }],
    };
  }

  async *verify(
    options: { readonly bytesPerSecond?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<VerifyProgress, void, undefined> {
    this.walks++;
    try {
      const totalBytes = this.#count([...this.#known.values()]).bytes;
      let blobs = 0;
      let bytes = 0;
      for (const digest of this.#known.values()) {
        throwIfAborted(options.signal);
        blobs++;
        bytes += digest.sizeBytes;
        const rotten = this.rotten.get(formatDigest(digest));
        yield { blobs, bytes, totalBytes, damaged: rotten === undefined ? [] : [rotten] };
        await Promise.race([this.gate, aborted(options.signal)]);
      }
    } finally {
      this.walks--;
    }
  }

  // deno-lint-ignore require-await -- the interface's
  async whyGone(digest: Digest): Promise<GoneBlob | undefined> {
    return this.#gone.get(formatDigest(digest));
  }

  // deno-lint-ignore require-await -- the interface's
  async logSinceMs(): Promise<number> {
    return this.#startMs;
  }

  async #evict(digest: Digest): Promise<void> {
    this.departures++;
    const nowMs = this.#clock.wallMs();
    this.#gone.set(formatDigest(digest), {
      digest,
      goneMs: nowMs,
      usedMs: nowMs - 7_200_000,
      reason: "collected",
    });
    this.#evicted = this.#count([digest], this.#evicted);
    await this.delete(scopeOf(INTERNAL.name), digest);
  }

  #count(digests: readonly Digest[], from: BlobCount = NOTHING): BlobCount {
    return digests.reduce(
      ({ blobs, bytes }, { sizeBytes }) => ({ blobs: blobs + 1, bytes: bytes + sizeBytes }),
      from,
    );
  }
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
}
