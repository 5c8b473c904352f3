/**
 * Results in the metadata store: how they are written, when they are fit to be answered, and how they go.
 *
 * What is done to one result is done in turns, and who drops one looks at it again within its turn: a result that was
 * stored meanwhile, or whose blobs came back, stays.
 *
 * @module
 */

import {
  BrokkrError,
  type Clock,
  Code,
  type Metrics,
  scopeOf,
  sleep,
  throwIfAborted,
  yieldToEventLoop,
} from "@brokkr/common";
import type { BlobStore, DigestBatch } from "../blob_store.ts";
import { type Digest, sameDigest } from "../digest.ts";
import { missingInSlices } from "../_slices.ts";
import { StoreTime, wallOf } from "../store/_store_time.ts";
import type { MetadataStore } from "../metadata_store.ts";
import { type HotResult, hotResult, HotResults } from "./_hot_results.ts";
import { actionOfKey, LEGACY_KEY, RESULT_PREFIX, ResultKeys, resultName } from "./_keys.ts";
import { type AnyRecord, decodeRecord, encodeRecord, type ResultOrigin, withUse } from "./_record.ts";
import { Turns } from "./_turns.ts";
import { type Chore, Upkeep } from "./_upkeep.ts";

/** Why a result went. */
export type DropReason = "expired" | "incomplete" | "damaged";

/** What a page of a walk holds at most; one result may be larger. */
const PAGE = { limit: 256, maxBytes: 1 << 20 };
/** Longest rest of a walk, in milliseconds. */
const MAX_REST_MS = 1000;
/** A use is noted when the last one that was noted is so long ago. */
const NOTE_USE_S = 86_400;

/** What it is made of. */
export interface ResultStoreParts {
  readonly metadata: MetadataStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly ttlMs: number;
  readonly hotEntries: number;
  readonly hotBytes: number;
}

/** A stored record and its key. */
export interface StoredEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The results. */
export class ResultStore {
  /** Where results lie. */
  readonly keys = new ResultKeys();
  /** Those at hand. */
  readonly hot: HotResults;
  /** What is to be done about them. */
  readonly upkeep: Upkeep;
  readonly #parts: ResultStoreParts;
  readonly #time: StoreTime;
  readonly #turns = new Turns();
  readonly #ttlS: number;
  readonly #noteUseS: number;
  readonly #countDropped: (reason: DropReason) => void;
  #legacyS: number | undefined;

  constructor(parts: ResultStoreParts) {
    this.#parts = parts;
    this.#time = new StoreTime(parts.clock);
    this.#ttlS = parts.ttlMs / 1000;
    this.#noteUseS = Math.min(NOTE_USE_S, this.#ttlS / 8);
    this.hot = new HotResults(parts.hotEntries, parts.hotBytes);
    this.upkeep = new Upkeep(parts.clock, (chore) => this.#do(chore));
    const dropped = parts.metrics.counter(
      "brokkr_action_cache_dropped_total",
      "Results that went: expired, incomplete because blobs are gone, or damaged",
      ["reason"],
    );
    this.#countDropped = (reason) => dropped.add({ reason });
  }

  /** Seconds of wall time. */
  nowS(): number {
    return wallOf(this.#time.now()) / 1000;
  }

  /** Whether a result used last at `usedS` is not to be answered any more. */
  expired(usedS: number | undefined): boolean {
    return usedS !== undefined && this.nowS() - usedS > this.#ttlS;
  }

  /** Whether its use is to be noted. */
  useIsDue(usedS: number | undefined): boolean {
    return usedS === undefined || this.nowS() - usedS >= this.#noteUseS;
  }

  /** The stored record. */
  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    return this.#parts.metadata.get(key);
  }

  /** Stores a result; durable when it resolves. What it promises was pinned at `pinnedMs`. */
  async put(
    origin: ResultOrigin,
    action: Digest,
    bytes: Uint8Array,
    closure: DigestBatch,
    pinnedMs: number,
  ): Promise<void> {
    const { scope, environment } = origin;
    const nowS = this.nowS();
    const value = encodeRecord({ bytes, closure, action, origin, storedS: nowS, usedS: nowS });
    const key = this.keys.of(scope, action, environment);
    await this.#turns.run(key.toHex(), async () => {
      await this.#parts.metadata.write([{ op: "put", key, value }]);
      this.hot.generation++;
      // Decoded again, so that what is kept at hand shares no memory with the caller's message.
      this.hot.set(resultName(scope, action, environment), hotResult(value, pinnedMs));
    });
  }

  /** Forgets a result. */
  async remove({ scope, environment }: ResultOrigin, action: Digest): Promise<void> {
    const key = this.keys.of(scope, action, environment);
    await this.#turns.run(key.toHex(), async () => {
      await this.#parts.metadata.write([{ op: "delete", key }]);
      this.hot.generation++;
      this.hot.delete(resultName(scope, action, environment));
    });
  }

  /** Notes, later, that a result was used. */
  noteUse(origin: ResultOrigin, action: Digest, record: HotResult): void {
    const key = this.keys.of(origin.scope, action, origin.environment);
    const atS = this.nowS();
    if (this.upkeep.add({ key, kind: "used", origin, action, atS })) record.usedS = atS;
  }

  /** Looks, later, whether a result that could not be used is to go. */
  noteUnfit(origin: ResultOrigin, action: Digest): void {
    const key = this.keys.of(origin.scope, action, origin.environment);
    this.upkeep.add({ key, kind: "unfit", origin, action, atS: this.nowS() });
  }

  /** Why a stored result is to go; undefined when it is not. Looks without touching what it promises. */
  async examine({ key, value }: StoredEntry): Promise<DropReason | undefined> {
    let record: AnyRecord;
    let scope = scopeOf("");
    try {
      record = decodeRecord(value);
      if (record.origin !== undefined) scope = record.origin.scope;
    } catch (error) {
      if (isDamage(error)) return "damaged";
      // What a later version wrote is none of this one's business.
      if (error instanceof BrokkrError && error.code === Code.FAILED_PRECONDITION) return undefined;
      throw error;
    }
    const { action, closure } = record;
    const named = actionOfKey(key);
    if (action !== undefined && (named === undefined || !sameDigest(named, action))) return "damaged";
    if (this.expired(record.usedS ?? await this.#legacyUseS()) && !this.upkeep.used(key)) return "expired";
    if (closure.length === 0) return undefined;
    const missing = await missingInSlices(this.#parts.blobs, scope, closure, { peek: true });
    return missing.length > 0 ? "incomplete" : undefined;
  }

  /** Drops a result if it is still to go. */
  drop(key: Uint8Array): Promise<DropReason | undefined> {
    return this.#turns.run(key.toHex(), async () => {
      const value = await this.get(key);
      if (value === undefined) return undefined;
      const reason = await this.examine({ key, value });
      if (reason === undefined) return undefined;
      await this.#parts.metadata.write([{ op: "delete", key }]);
      this.hot.generation++;
      this.#forget(value);
      this.#countDropped(reason);
      return reason;
    });
  }

  /**
   * All stored results, page by page, however large they are. It works for `share` of the time, 1 for all of it, and
   * rests for the remainder.
   */
  async *pages(signal?: AbortSignal, share = 1): AsyncGenerator<readonly StoredEntry[]> {
    const { metadata, clock } = this.#parts;
    let after: Uint8Array | undefined;
    for (;;) {
      throwIfAborted(signal);
      const startMs = clock.monotonicMs();
      const page = await metadata.list({ prefix: RESULT_PREFIX, ...PAGE, after });
      if (page.length === 0) return;
      yield page;
      after = page[page.length - 1].key;
      const restMs = Math.min(MAX_REST_MS, (clock.monotonicMs() - startMs) * (1 / share - 1));
      await (restMs >= 1 ? sleep(clock, restMs, signal) : yieldToEventLoop());
    }
  }

  async #do({ key, kind, origin, action, atS }: Chore): Promise<void> {
    if (kind === "unfit") {
      await this.drop(key);
      return;
    }
    await this.#turns.run(key.toHex(), async () => {
      const stored = await this.get(key);
      if (stored === undefined) return;
      // One that does not say yet whose it is is written anew.
      const value = withUse(stored, atS) ??
        encodeRecord({
          ...decodeRecord(stored),
          action,
          origin,
          storedS: await this.#legacyUseS(),
          usedS: atS,
        });
      await this.#parts.metadata.write([{ op: "put", key, value }]);
    });
  }

  /** When results of version 1 count as used last: when this was first asked for. */
  async #legacyUseS(): Promise<number> {
    if (this.#legacyS !== undefined) return this.#legacyS;
    const { metadata } = this.#parts;
    const stored = await metadata.get(LEGACY_KEY);
    let legacyS = stored?.length === 8
      ? new DataView(stored.buffer, stored.byteOffset, 8).getFloat64(0)
      : NaN;
    if (!(legacyS >= 0)) {
      legacyS = this.nowS();
      const value = new Uint8Array(8);
      new DataView(value.buffer).setFloat64(0, legacyS);
      await metadata.write([{ op: "put", key: LEGACY_KEY, value }]);
    }
    return this.#legacyS ??= legacyS;
  }

  #forget(stored: Uint8Array): void {
    try {
      const { origin, action } = decodeRecord(stored);
      if (origin !== undefined && action !== undefined) {
        this.hot.delete(resultName(origin.scope, action, origin.environment));
        return;
      }
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    // It does not say whose it is.
    this.hot.clear();
  }
}

/** Whether a record is damaged. */
export function isDamage(error: unknown): boolean {
  return error instanceof BrokkrError && error.code === Code.DATA_LOSS;
}
