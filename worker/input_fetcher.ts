/**
 * Brings input blobs into the worker's cache: what is there already is not fetched, what several actions want at once is
 * fetched once, small blobs travel in batches and large ones as streams.
 *
 * @module
 */

import {
  asBrokkrError,
  BrokkrError,
  type ByteBudget,
  Code,
  Semaphore,
  Slices,
  throwIfAborted,
} from "@brokkr/common";
import { type Digest, digestKey } from "@brokkr/cas/client";
import { unlessAborted } from "./_unless_aborted.ts";
import type { BlobCache } from "./blob_cache.ts";
import { type CacheEntry, emptyEntry } from "./cache_entry.ts";
import type { InputBlobs } from "./materializer.ts";
import { INPUT_FILE_MODE, INPUT_MTIME_NS } from "./materializer.ts";
import { setMtime } from "@brokkr/sandbox";

/** Where input blobs come from. What it hands out is verified: it has the digest it was asked for by. */
export interface BlobSource {
  /** Small blobs, in the order asked for; undefined where the store has none. */
  getMany(digests: readonly Digest[], signal?: AbortSignal): Promise<readonly (Uint8Array | undefined)[]>;
  /**
   * A blob in pieces.
   *
   * @throws {BrokkrError} NOT_FOUND when the store has none.
   */
  read(digest: Digest, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** How an {@linkcode InputFetcher} is limited. */
export interface InputFetcherOptions {
  /** Blobs up to this size travel in batches; 512 KiB by default. */
  readonly batchBlobBytes?: number;
  /** Most bytes of one batch; 1 MiB by default, so that several travel side by side. */
  readonly batchBytes?: number;
  /** Most blobs of one batch; 500 by default. */
  readonly batchCount?: number;
  /** Most transfers at once, over all actions; 8 by default. */
  readonly parallel?: number;
  /** What transfers take their buffers from; no limit beyond the others by default. */
  readonly budget?: ByteBudget;
}

/** What {@linkcode InputFetcher.hold} found. */
export interface HeldInputs extends InputBlobs {
  /** Blobs that neither the cache nor the store has. */
  readonly missing: readonly Digest[];
  /** Blobs that had to be fetched for this call (not those another call was fetching already). */
  readonly fetchedBlobs: number;
  /** Their bytes. */
  readonly fetchedBytes: number;
  /** The content of a held blob, from memory or disk. */
  read(key: string): Promise<Uint8Array>;
}

/** `again`: what was thought to be there proved damaged and is gone; look once more. */
type LoadOutcome = { readonly kind: "ready" | "missing" | "again" } | {
  readonly kind: "failed";
  readonly error: BrokkrError;
};

interface Wait {
  readonly digest: Digest;
  readonly entry: CacheEntry;
  readonly outcome: Promise<LoadOutcome>;
}

/** Files from before the machine went down that are checked at once: all of them would take every descriptor. */
const PARALLEL_CHECKS = 4;
/** Blobs looked up in one go: about a millisecond. */
const BLOCK = 1000;

const READY: LoadOutcome = { kind: "ready" };
const MISSING: LoadOutcome = { kind: "missing" };
const AGAIN: LoadOutcome = { kind: "again" };

/** Blobs held for one action. */
class Held implements HeldInputs {
  readonly missing: Digest[] = [];
  fetchedBlobs = 0;
  fetchedBytes = 0;
  readonly #cache: BlobCache;
  readonly #entries = new Map<string, CacheEntry>();
  readonly #pinned: CacheEntry[] = [];

  constructor(cache: BlobCache) {
    this.#cache = cache;
  }

  hold(entry: CacheEntry): void {
    this.#entries.set(entry.key, entry);
    this.#cache.pin(entry);
    this.#pinned.push(entry);
  }

  holdEmpty(entry: CacheEntry): void {
    this.#entries.set(entry.key, entry);
  }

  bytes(key: string): Uint8Array | undefined {
    return this.#entry(key).memory;
  }

  path(key: string): string {
    return this.#entry(key).path;
  }

  read(key: string): Promise<Uint8Array> {
    const entry = this.#entry(key);
    return entry.memory === undefined ? this.#cache.read(entry) : Promise.resolve(entry.memory);
  }

  keep(keys: ReadonlySet<string>): Disposable {
    const kept = this.#pinned.filter(({ key }) => keys.has(key));
    const rest = this.#pinned.filter(({ key }) => !keys.has(key));
    this.#pinned.length = 0;
    this.#entries.clear();
    this.#cache.unpinAll(rest);
    return { [Symbol.dispose]: () => this.#cache.unpinAll(kept.splice(0)) };
  }

  #entry(key: string): CacheEntry {
    const entry = this.#entries.get(key);
    if (entry === undefined || !entry.ready) {
      throw new BrokkrError(Code.INTERNAL, `Blob ${key} is used but not held`);
    }
    return entry;
  }

  [Symbol.dispose](): void {
    this.#entries.clear();
    this.#cache.unpinAll(this.#pinned.splice(0));
  }
}

/** Fetches what a {@linkcode BlobCache} lacks. */
export class InputFetcher {
  readonly #cache: BlobCache;
  readonly #batchBlobBytes: number;
  readonly #batchBytes: number;
  readonly #batchCount: number;
  readonly #transfers: Semaphore;
  readonly #checks = new Semaphore(PARALLEL_CHECKS);
  readonly #budget: ByteBudget | undefined;
  readonly #loading = new Map<CacheEntry, Promise<LoadOutcome>>();

  /** Fetches into `cache`. */
  constructor(cache: BlobCache, options: InputFetcherOptions = {}) {
    this.#cache = cache;
    this.#batchBlobBytes = options.batchBlobBytes ?? 512 * 1024;
    this.#batchBytes = options.batchBytes ?? 1024 * 1024;
    this.#batchCount = options.batchCount ?? 500;
    this.#transfers = new Semaphore(options.parallel ?? 8);
    this.#budget = options.budget;
  }

  /**
   * Holds blobs in the cache, fetching those it lacks. The result must be disposed of; what is in `missing` is not held.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when they do not fit the cache or the disk; what the source or `signal`
   * failed with.
   */
  async hold(digests: readonly Digest[], source: BlobSource, signal?: AbortSignal): Promise<HeldInputs> {
    throwIfAborted(signal);
    const held = new Held(this.#cache);
    try {
      let wanted = this.#distinct(digests, held);
      while (wanted.length > 0) wanted = await this.#round(wanted, held, source, signal);
      return held;
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  #distinct(digests: readonly Digest[], held: Held): Digest[] {
    const wanted = new Map<string, Digest>();
    let bytes = 0;
    for (const digest of digests) {
      const key = digestKey(digest);
      const other = wanted.get(key);
      if (other !== undefined) {
        // Two sizes for one hash: at most one of them can be there.
        if (other.sizeBytes !== digest.sizeBytes) held.missing.push(digest);
        continue;
      }
      if (digest.sizeBytes === 0) {
        const empty = emptyEntry(digest.fn);
        if (empty.key === key) held.holdEmpty(empty);
        else held.missing.push(digest);
        continue;
      }
      wanted.set(key, digest);
      bytes += digest.sizeBytes;
    }
    if (bytes > this.#cache.limitBytes) {
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        `Inputs of ${bytes} bytes do not fit the worker's input cache of ${this.#cache.limitBytes} bytes`,
      );
    }
    return [...wanted.values()];
  }

  /** Holds what is there, waits for what comes; returns what must be looked at again. */
  async #round(
    wanted: readonly Digest[],
    held: Held,
    source: BlobSource,
    signal: AbortSignal | undefined,
  ): Promise<Digest[]> {
    const waits: Wait[] = [];
    const slices = new Slices(signal);
    for (let at = 0; at < wanted.length; at += BLOCK) {
      this.#block(wanted.slice(at, at + BLOCK), held, source, waits);
      if (slices.spent) await slices.next();
    }
    if (waits.length === 0) return [];
    const outcomes = await unlessAborted(Promise.all(waits.map((wait) => wait.outcome)), signal);
    const again: Digest[] = [];
    outcomes.forEach((outcome, index) => {
      const { digest, entry } = waits[index];
      if (outcome.kind === "failed") throw outcome.error;
      const sameSize = entry.digest.sizeBytes === digest.sizeBytes;
      if (outcome.kind === "missing" && sameSize) held.missing.push(digest);
      else if (outcome.kind !== "ready" || !sameSize) again.push(digest);
    });
    return again;
  }

  /** Holds some blobs and starts to load those that are not there. Between the two nobody else may look. */
  #block(wanted: readonly Digest[], held: Held, source: BlobSource, waits: Wait[]): void {
    const fresh: CacheEntry[] = [];
    for (const digest of wanted) {
      let entry = this.#cache.find(digestKey(digest));
      if (entry?.ready && entry.proven && entry.digest.sizeBytes !== digest.sizeBytes) {
        if (entry.pins > 0) {
          held.missing.push(digest);
          continue;
        }
        this.#cache.drop(entry);
        entry = undefined;
      }
      if (entry?.ready && !entry.proven && !this.#loading.has(entry)) this.#prove(entry);
      if (entry === undefined) {
        entry = this.#cache.begin(digest);
        fresh.push(entry);
        held.fetchedBlobs++;
        held.fetchedBytes += digest.sizeBytes;
      }
      held.hold(entry);
      const outcome = this.#loading.get(entry);
      if (outcome !== undefined) waits.push({ digest, entry, outcome });
    }
    this.#fetch(fresh, source);
    for (const entry of fresh) {
      const outcome = this.#loading.get(entry);
      if (outcome !== undefined) waits.push({ digest: entry.digest, entry, outcome });
    }
  }

  /** Checks an entry from before the machine last went down; a damaged one is fetched again. */
  #prove(entry: CacheEntry): void {
    const check = async (): Promise<readonly LoadOutcome[]> => {
      try {
        using _turn = await this.#checks.acquire();
        return [await this.#cache.prove(entry) ? READY : AGAIN];
      } catch (error) {
        return [{ kind: "failed", error: asBrokkrError(error) }];
      }
    };
    this.#track([entry], check());
  }

  #fetch(entries: readonly CacheEntry[], source: BlobSource): void {
    let batch: CacheEntry[] = [];
    let bytes = 0;
    const flush = () => {
      if (batch.length > 0) this.#transfer(batch, (group, signal) => this.#loadBatch(group, source, signal));
      batch = [];
      bytes = 0;
    };
    for (const entry of entries) {
      const { sizeBytes } = entry.digest;
      if (sizeBytes > this.#batchBlobBytes) {
        this.#transfer([entry], (group, signal) => this.#loadStream(group[0], source, signal));
        continue;
      }
      if (bytes + sizeBytes > this.#batchBytes || batch.length >= this.#batchCount) flush();
      batch.push(entry);
      bytes += sizeBytes;
    }
    flush();
  }

  /** Runs one transfer in its turn; it is stopped when nobody holds any of its entries any more. */
  #transfer(
    entries: readonly CacheEntry[],
    load: (entries: readonly CacheEntry[], signal: AbortSignal) => Promise<readonly LoadOutcome[]>,
  ): void {
    const controller = new AbortController();
    const onAbandoned = () => {
      if (entries.some((entry) => entry.pins > 0)) return;
      // Whoever wants one of them from here on begins anew and does not wait for a transfer that is being stopped.
      for (const entry of entries) if (!entry.ready) this.#cache.drop(entry);
      controller.abort(new BrokkrError(Code.CANCELLED, "No action needs these blobs any more"));
    };
    for (const entry of entries) entry.onAbandoned = onAbandoned;
    const run = async (): Promise<readonly LoadOutcome[]> => {
      try {
        using _turn = await this.#transfers.acquire();
        throwIfAborted(controller.signal);
        // Twice: the message as it came, and what is cut out of it.
        using _memory = await this.#budget?.acquire(2 * this.#batchBytes, controller.signal);
        return await load(entries, controller.signal);
      } catch (error) {
        const failed: LoadOutcome = { kind: "failed", error: asBrokkrError(error) };
        return entries.map((entry) => entry.ready ? READY : failed);
      }
    };
    this.#track(entries, run());
  }

  #track(entries: readonly CacheEntry[], outcomes: Promise<readonly LoadOutcome[]>): void {
    entries.forEach((entry, index) => {
      const outcome = outcomes.then((all) => {
        this.#loading.delete(entry);
        if (all[index].kind !== "ready") this.#cache.drop(entry);
        return all[index];
      });
      this.#loading.set(entry, outcome);
    });
  }

  async #loadBatch(
    entries: readonly CacheEntry[],
    source: BlobSource,
    signal: AbortSignal,
  ): Promise<readonly LoadOutcome[]> {
    const contents = await source.getMany(entries.map((entry) => entry.digest), signal);
    const slices = new Slices(signal);
    const outcomes: LoadOutcome[] = [];
    for (let i = 0; i < entries.length; i++) {
      const content = contents[i];
      if (content !== undefined) this.#cache.fill(entries[i], content);
      outcomes.push(content === undefined ? MISSING : READY);
      if (slices.spent) await slices.next();
    }
    return outcomes;
  }

  async #loadStream(
    entry: CacheEntry,
    source: BlobSource,
    signal: AbortSignal,
  ): Promise<readonly LoadOutcome[]> {
    const temporary = this.#cache.temporaryPath();
    try {
      {
        using file = await Deno.open(temporary, { write: true, createNew: true, mode: INPUT_FILE_MODE });
        for await (const chunk of source.read(entry.digest, signal)) {
          for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
        }
      }
      setMtime(temporary, INPUT_MTIME_NS);
      this.#cache.adopt(entry, temporary);
      return [READY];
    } catch (error) {
      await Deno.remove(temporary).catch(() => undefined);
      if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) return [MISSING];
      throw error;
    }
  }
}
