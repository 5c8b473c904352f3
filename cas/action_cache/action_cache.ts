/**
 * Results of actions by action digest, answered only while everything they promise is there.
 *
 * A result belongs to a scope (instance, tenant, trust lane) and to an **environment**: a name for how it came about,
 * such as the epoch of an execution environment. A result is only found under the environment it was stored under, so
 * that what ran without a sandbox never answers for what must run in one. Results that clients bring themselves
 * (UpdateActionResult) are kept under {@linkcode CLIENT_ENVIRONMENT}: nobody knows how they came about.
 *
 * A result's bytes are kept as they came. Beside them lie the digests of all it promises, found once when it is stored:
 * whether they are all there is then one question to the store. What a hit promised is pinned for some minutes, so that
 * it does not vanish under the client that was just told of it.
 *
 * @module
 */

import {
  type Clock,
  invalidArgument,
  type Metrics,
  noMetrics,
  Recent,
  type Scope,
  scopeKey,
  systemClock,
} from "@brokkr/common";
import type { BlobStore, DigestBatch } from "../blob_store.ts";
import { type Digest, SHA256 } from "../digest.ts";
import { digestAt } from "../digest_batch.ts";
import { batchInSlices, missingInSlices, pinInSlices } from "../_slices.ts";
import type { MetadataStore } from "../metadata_store.ts";
import { closureOf } from "./_closure.ts";
import { decodeRecord, encodeRecord, type ResultRecord } from "./_record.ts";

/** The environment of results that clients bring. */
export const CLIENT_ENVIRONMENT = "client";

/** Largest encoded result taken, in bytes: it must fit an answer with room to spare. */
export const MAX_ACTION_RESULT_BYTES = 4_000_000;

/** What a lookup found. */
export type ActionCacheAnswer =
  | {
    /** It is there, with all that it promises. */
    readonly hit: true;
    /** The encoded ActionResult as it came. Not to be changed. */
    readonly bytes: Uint8Array;
    /** The environment it was found under. */
    readonly environment: string;
  }
  | {
    /** It cannot be used. */
    readonly hit: false;
    /** No such result, or one that promises blobs that are gone. */
    readonly reason: "absent" | "incomplete";
    /** Those blobs. */
    readonly missing: readonly Digest[];
  };

/** How an {@linkcode ActionCache} is set up. */
export interface ActionCacheOptions {
  /** Where results are kept. This cache must be the only one that writes them. */
  readonly metadata: MetadataStore;
  /** Where the blobs they promise are. */
  readonly blobs: BlobStore;
  /** Instruments; none by default. */
  readonly metrics?: Metrics;
  /** Results kept at hand in memory; 4,096 by default. */
  readonly hotEntries?: number;
  /** Bytes of results kept at hand; 32 MiB by default. */
  readonly hotBytes?: number;
  /** How long what a hit promised is kept from eviction, in milliseconds; 10 minutes by default, at least half of it. */
  readonly pinMs?: number;
  /** Time; the system's by default. */
  readonly clock?: Clock;
}

const ABSENT: ActionCacheAnswer = { hit: false, reason: "absent", missing: [] };
/** What the gauge of the hit ratio looks back on. */
const HIT_RATIO_WINDOW_MS = 300_000;
const KEY_PREFIX = new TextEncoder().encode("ac/");
const encoder = new TextEncoder();

/**
 * The action cache.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { scopeOf } from "@brokkr/common";
 * import { ActionCache, digestOf, MemoryBlobStore, MemoryMetadataStore, SHA256 } from "@brokkr/cas";
 * import { ActionResultCodec } from "@brokkr/proto";
 * await using metadata = new MemoryMetadataStore();
 * await using blobs = new MemoryBlobStore(1 << 20);
 * const cache = new ActionCache({ metadata, blobs });
 * const action = digestOf(SHA256, new Uint8Array([1, 2, 3]));
 * await cache.update(scopeOf(""), action, ActionResultCodec.encode({ exitCode: 0 }), "sandbox-1");
 * assertEquals((await cache.get(scopeOf(""), action, "sandbox-1")).hit, true);
 * assertEquals((await cache.get(scopeOf(""), action, "no-sandbox")).hit, false);
 * ```
 */
export class ActionCache {
  readonly #metadata: MetadataStore;
  readonly #blobs: BlobStore;
  readonly #hot: HotResults;
  readonly #pinMs: number;
  readonly #clock: Clock;
  readonly #prefixes = new Map<string, Uint8Array>();
  readonly #countHit: () => void;
  readonly #countMiss: (reason: string) => void;
  readonly #countUpdate: (outcome: string) => void;

  /** A cache over the given stores, which stay the caller's to close. */
  constructor(options: ActionCacheOptions) {
    this.#metadata = options.metadata;
    this.#blobs = options.blobs;
    this.#hot = new HotResults(options.hotEntries ?? 4096, options.hotBytes ?? 32 << 20);
    this.#pinMs = options.pinMs ?? 600_000;
    this.#clock = options.clock ?? systemClock;
    const metrics = options.metrics ?? noMetrics;
    const hits = metrics.counter("brokkr_action_cache_hits_total", "Lookups that found a complete result");
    const misses = metrics.counter(
      "brokkr_action_cache_misses_total",
      "Lookups without one: absent, or incomplete because blobs are gone",
      ["reason"],
    );
    const updates = metrics.counter(
      "brokkr_action_cache_updates_total",
      "Results that were to be stored: stored or refused",
      ["outcome"],
    );
    const recent = new Recent(HIT_RATIO_WINDOW_MS);
    metrics.gauge(
      "brokkr_action_cache_hit_ratio",
      "Share of the lookups of the last five minutes that hit; 0 when there were none",
      [],
      () => {
        const { sum, count } = recent.read(this.#clock.monotonicMs());
        return count === 0 ? 0 : sum / count;
      },
    );
    this.#countHit = () => {
      hits.add();
      recent.add(this.#clock.monotonicMs(), 1);
    };
    this.#countMiss = (reason) => {
      misses.add({ reason });
      recent.add(this.#clock.monotonicMs(), 0);
    };
    this.#countUpdate = (outcome) => updates.add({ outcome });
  }

  /**
   * The result of an action under the first of `environments` that has a complete one. Answers without a promise when
   * the stores do.
   *
   * @throws {BrokkrError} What the stores throw.
   */
  get(
    scope: Scope,
    action: Digest,
    ...environments: readonly string[]
  ): ActionCacheAnswer | Promise<ActionCacheAnswer> {
    const answer = this.#lookup(scope, action, environments, 0, ABSENT);
    if (answer instanceof Promise) return answer.then((late) => this.#count(late));
    return this.#count(answer);
  }

  /**
   * What is stored of an action under one environment, for those who are about to store something themselves: no hit or
   * miss of a client's, and not counted as one.
   *
   * @throws {BrokkrError} What the stores throw.
   */
  peek(
    scope: Scope,
    action: Digest,
    environment: string,
  ): ActionCacheAnswer | Promise<ActionCacheAnswer> {
    return this.#find(scope, action, environment);
  }

  /**
   * Stores the encoded ActionResult `bytes`; durable when it resolves. Whether results of failed actions are worth it is
   * the caller's business.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming the blobs that it promises and the store lacks; INVALID_ARGUMENT
   * when it, or a tree it names, is malformed.
   */
  async update(scope: Scope, action: Digest, bytes: Uint8Array, environment: string): Promise<void> {
    try {
      if (bytes.length > MAX_ACTION_RESULT_BYTES) {
        throw invalidArgument(
          "action_result",
          `A result may have at most ${MAX_ACTION_RESULT_BYTES} bytes, not ${bytes.length}; leave contents to the store`,
        );
      }
      const { fn } = action;
      const closure = await batchInSlices(fn, await closureOf(this.#blobs, scope, fn, bytes));
      const value = encodeRecord({ bytes, closure });
      await this.#metadata.write([{ op: "put", key: this.#key(scope, action, environment), value }]);
      // Decoded again, so that what is kept at hand shares no memory with the caller's message.
      this.#hot.generation++;
      this.#hot.set(hotKey(scope, action, environment), hotResult(value));
    } catch (error) {
      this.#countUpdate("refused");
      throw error;
    }
    this.#countUpdate("stored");
  }

  /** Forgets the result of an action. */
  async delete(scope: Scope, action: Digest, environment: string): Promise<void> {
    const key = hotKey(scope, action, environment);
    await this.#metadata.write([{ op: "delete", key: this.#key(scope, action, environment) }]);
    this.#hot.generation++;
    this.#hot.delete(key);
  }

  /** How many results are stored, in all scopes and environments. */
  async count(): Promise<number> {
    return await this.#metadata.count(KEY_PREFIX);
  }

  #count(answer: ActionCacheAnswer): ActionCacheAnswer {
    if (answer.hit) this.#countHit();
    else this.#countMiss(answer.reason);
    return answer;
  }

  #lookup(
    scope: Scope,
    action: Digest,
    environments: readonly string[],
    from: number,
    before: ActionCacheAnswer,
  ): ActionCacheAnswer | Promise<ActionCacheAnswer> {
    let miss = before;
    for (let i = from; i < environments.length; i++) {
      const answer = this.#find(scope, action, environments[i]);
      if (answer instanceof Promise) {
        return answer.then((late) =>
          late.hit ? late : this.#lookup(scope, action, environments, i + 1, worse(miss, late))
        );
      }
      if (answer.hit) return answer;
      miss = worse(miss, answer);
    }
    return miss;
  }

  #find(scope: Scope, action: Digest, environment: string): ActionCacheAnswer | Promise<ActionCacheAnswer> {
    const key = hotKey(scope, action, environment);
    const hot = this.#hot.get(key);
    if (hot !== undefined) return this.#check(scope, hot, environment);
    const generation = this.#hot.generation;
    const stored = this.#metadata.get(this.#key(scope, action, environment));
    const take = (bytes: Uint8Array | undefined) => {
      if (bytes === undefined) return ABSENT;
      const record = hotResult(bytes);
      // A result that was written meanwhile is newer than what was read.
      if (this.#hot.generation === generation) this.#hot.set(key, record);
      return this.#check(scope, record, environment);
    };
    return stored instanceof Promise ? stored.then(take) : take(stored);
  }

  #check(
    scope: Scope,
    record: HotResult,
    environment: string,
  ): ActionCacheAnswer | Promise<ActionCacheAnswer> {
    const { bytes, closure } = record;
    if (closure.length === 0) return { hit: true, bytes, environment };
    const missing = missingInSlices(this.#blobs, scope, closure);
    const decide = (indices: Uint32Array): ActionCacheAnswer => {
      if (indices.length > 0) {
        record.pinnedMs = -Infinity;
        return incomplete(closure, indices);
      }
      this.#pin(scope, record);
      return { hit: true, bytes, environment };
    };
    return missing instanceof Promise ? missing.then(decide) : decide(missing);
  }

  /** Pins what a result promises, unless more than half of its last pin is still to come. */
  #pin(scope: Scope, record: HotResult): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - record.pinnedMs < this.#pinMs / 2) return;
    record.pinnedMs = nowMs;
    // Not waited for: the answer is right without it, and a store that cannot pin says so by itself.
    pinInSlices(this.#blobs, scope, record.closure, this.#pinMs).catch(() => undefined);
  }

  #key(scope: Scope, action: Digest, environment: string): Uint8Array {
    const { fn } = action;
    const prefix = this.#prefix(scopeKey(scope), environment);
    const sizeAt = prefix.length + 1 + fn.hashBytes;
    const key = new Uint8Array(sizeAt + 8);
    key.set(prefix);
    key[prefix.length] = fn.value;
    key.subarray(prefix.length + 1).setFromHex(action.hash);
    // The size is a part of the digest: a request with the right hash and another size names another action.
    new DataView(key.buffer).setBigUint64(sizeAt, BigInt(action.sizeBytes));
    return key;
  }

  /** `ac/` and a hash of scope and environment, whose names may be longer than a key. */
  #prefix(scope: string, environment: string): Uint8Array {
    const name = `${scope.length}:${scope}${environment}`;
    let prefix = this.#prefixes.get(name);
    if (prefix === undefined) {
      const hash = Uint8Array.fromHex(SHA256.hash(encoder.encode(name)));
      prefix = new Uint8Array([...KEY_PREFIX, ...hash]);
      if (this.#prefixes.size >= 1024) this.#prefixes.clear();
      this.#prefixes.set(name, prefix);
    }
    return prefix;
  }
}

/** The miss that tells more. */
function worse(a: ActionCacheAnswer, b: ActionCacheAnswer): ActionCacheAnswer {
  return !a.hit && a.reason === "incomplete" ? a : b;
}

function incomplete(closure: DigestBatch, indices: Uint32Array): ActionCacheAnswer {
  return {
    hit: false,
    reason: "incomplete",
    missing: Array.from(indices, (index) => digestAt(closure, index)),
  };
}

function hotKey(scope: Scope, action: Digest, environment: string): string {
  const where = scopeKey(scope);
  return `${action.hash}${action.sizeBytes}:${action.fn.value}:${where.length}:${where}${environment}`;
}

/** A result kept at hand. */
interface HotResult extends ResultRecord {
  /** When what it promises was pinned last. */
  pinnedMs: number;
}

function hotResult(stored: Uint8Array): HotResult {
  return { ...decodeRecord(stored), pinnedMs: -Infinity };
}

/** The results used last, bounded in number and bytes. */
class HotResults {
  /** Counts changes: what was read before one may be stale after it. */
  generation = 0;
  readonly #entries = new Map<string, HotResult>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get(key: string): HotResult | undefined {
    const record = this.#entries.get(key);
    if (record === undefined) return undefined;
    // Maps iterate in order of insertion: what was used last goes to the end.
    this.#entries.delete(key);
    this.#entries.set(key, record);
    return record;
  }

  set(key: string, record: HotResult): void {
    this.delete(key);
    const bytes = sizeOf(record);
    if (bytes > this.#maxBytes / 4) return;
    this.#entries.set(key, record);
    this.#bytes += bytes;
    for (const [oldest, old] of this.#entries) {
      if (this.#entries.size <= this.#maxEntries && this.#bytes <= this.#maxBytes) return;
      this.#entries.delete(oldest);
      this.#bytes -= sizeOf(old);
    }
  }

  delete(key: string): void {
    const old = this.#entries.get(key);
    if (old === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(old);
  }
}

function sizeOf(record: ResultRecord): number {
  return record.bytes.length + record.closure.length * (record.closure.fn.hashBytes + 8) + 300;
}
