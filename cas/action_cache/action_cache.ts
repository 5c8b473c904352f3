/**
 * Results of actions by action digest, answered only while everything they promise is there.
 *
 * A result belongs to a scope (instance, tenant, trust lane) and to an **environment**: a name for how it came about,
 * such as the epoch of an execution environment. A result is only found under the environment it was stored under, so
 * that what ran without a sandbox never answers for what must run in one. Results that clients bring themselves
 * (UpdateActionResult) are kept under {@linkcode CLIENT_ENVIRONMENT}: nobody knows how they came about.
 *
 * A result's bytes are kept as they came. Beside them lie the digests of all it promises, found once when it is stored:
 * whether they are all there is then one question to the store. What a hit or an update promised is pinned for some
 * minutes, so that it does not vanish under the client that was just told of it.
 *
 * A result goes when something it promises has gone, or when nobody has asked for it for a time: it is not answered from
 * then on, and {@linkcode ActionCache.sweep} drops it. That a result was used is noted once a day, and later than it
 * was: no lookup writes.
 *
 * @module
 */

import {
  BrokkrError,
  type Clock,
  Code,
  invalidArgument,
  mapLimit,
  type Metrics,
  noMetrics,
  type Scope,
  Slices,
  systemClock,
} from "@brokkr/common";
import type { BlobStore, DigestBatch } from "../blob_store.ts";
import type { Digest } from "../digest.ts";
import { digestAt } from "../digest_batch.ts";
import { missingInSlices, pinInSlices } from "../_slices.ts";
import type { MetadataStore } from "../metadata_store.ts";
import { CacheCounts } from "./_cache_counts.ts";
import { pinnedClosureOf } from "./_closure.ts";
import { type HotResult, hotResult } from "./_hot_results.ts";
import { RESULT_PREFIX, resultName } from "./_keys.ts";
import { isDamage, ResultStore } from "./_result_store.ts";
import { type ResultUsage, UsageTally } from "./_usage.ts";
import { decodeStoredResult, type StoredResult } from "./stored_result.ts";

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
    /** No such result, or only one whose time is over, or one that promises blobs that are gone. */
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
  /**
   * How long what a hit or an update promised is kept from eviction, in milliseconds; 10 minutes by default, at least
   * half of it. Not longer than the store's own promises, or they count as pins by hand.
   */
  readonly pinMs?: number;
  /**
   * How long a result is kept that is neither stored nor asked for, in milliseconds; for ever by default. It goes up to
   * a day (or an eighth of the time, if that is less) early, since uses are noted no oftener.
   */
  readonly ttlMs?: number;
  /** Time; the system's by default. */
  readonly clock?: Clock;
}

/** What a sweep came to. */
export interface SweptResults {
  /** Results looked at. */
  readonly results: number;
  /** Dropped since nobody asked for them. */
  readonly expired: number;
  /** Dropped since blobs that they promise are gone. */
  readonly incomplete: number;
  /** Dropped since their records are damaged. */
  readonly damaged: number;
}

const ABSENT: ActionCacheAnswer = { hit: false, reason: "absent", missing: [] };
/** Results dropped at once; the store groups their writes. */
const PARALLEL_DROPS = 64;

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
export class ActionCache implements AsyncDisposable {
  readonly #metadata: MetadataStore;
  readonly #blobs: BlobStore;
  readonly #results: ResultStore;
  readonly #pinMs: number;
  readonly #clock: Clock;
  readonly #counts: CacheCounts;

  /** A cache over the given stores, which stay the caller's to close. */
  constructor(options: ActionCacheOptions) {
    this.#metadata = options.metadata;
    this.#blobs = options.blobs;
    this.#pinMs = options.pinMs ?? 600_000;
    this.#clock = options.clock ?? systemClock;
    const metrics = options.metrics ?? noMetrics;
    this.#results = new ResultStore({
      metadata: options.metadata,
      blobs: options.blobs,
      clock: this.#clock,
      metrics,
      ttlMs: options.ttlMs ?? Infinity,
      hotEntries: options.hotEntries ?? 4096,
      hotBytes: options.hotBytes ?? 32 << 20,
    });
    this.#counts = new CacheCounts(metrics, this.#clock);
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
      let pinnedMs = this.#clock.monotonicMs();
      const closure = await pinnedClosureOf(this.#blobs, scope, action.fn, bytes, async (digests) => {
        await pinInSlices(this.#blobs, scope, digests, this.#pinMs).catch(() => pinnedMs = -Infinity);
      });
      await this.#results.put({ scope, environment }, action, bytes, closure, pinnedMs);
    } catch (error) {
      this.#counts.update("refused");
      throw error;
    }
    this.#counts.update("stored");
  }

  /** Forgets the result of an action. */
  async delete(scope: Scope, action: Digest, environment: string): Promise<void> {
    await this.#results.remove({ scope, environment }, action);
  }

  /** How many results are stored, in all scopes and environments. */
  async count(): Promise<number> {
    return await this.#metadata.count(RESULT_PREFIX);
  }

  /**
   * What is stored, by instance and environment, most bytes first. Looks at every result, in slices.
   *
   * @throws {BrokkrError} CANCELLED; what the stores throw.
   */
  async usage(signal?: AbortSignal): Promise<ResultUsage[]> {
    const tally = new UsageTally();
    for await (const result of this.entries(signal)) tally.add(result);
    return tally.all;
  }

  /**
   * All stored results, in slices, each valid until the next is asked for; without those that cannot be read.
   *
   * @throws {BrokkrError} CANCELLED; what the stores throw.
   */
  async *entries(signal?: AbortSignal): AsyncGenerator<StoredResult, void, undefined> {
    for await (const page of this.#results.pages(signal)) {
      const slices = new Slices(signal);
      for (const { key, value } of page) {
        if (slices.spent) await slices.next();
        const result = readable(key, value);
        if (result !== undefined) yield result;
      }
    }
  }

  /**
   * Drops what expired, what promises blobs that are gone, and what is damaged; looks at every result, in slices,
   * without touching what they promise. Results that are stored meanwhile stay.
   *
   * @param options `share` is the part of the time that it works, all of it by default; it rests for the remainder.
   * @throws {BrokkrError} CANCELLED; what the stores throw.
   */
  async sweep(
    options: { readonly signal?: AbortSignal; readonly share?: number } = {},
  ): Promise<SweptResults> {
    const { signal, share } = options;
    const swept = { results: 0, expired: 0, incomplete: 0, damaged: 0 };
    for await (const page of this.#results.pages(signal, share)) {
      const unfit: Uint8Array[] = [];
      const slices = new Slices(signal);
      for (const entry of page) {
        if (slices.spent) await slices.next();
        if (await this.#results.examine(entry) !== undefined) unfit.push(entry.key);
      }
      swept.results += page.length;
      const dropped = await mapLimit(unfit, PARALLEL_DROPS, async (key) => {
        while (slices.spent) await slices.next();
        return await this.#results.drop(key);
      });
      for (const reason of dropped) if (reason !== undefined) swept[reason]++;
    }
    return swept;
  }

  /** Notes what is to be noted about results; the stores stay open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#results.upkeep[Symbol.asyncDispose]();
  }

  #count(answer: ActionCacheAnswer): ActionCacheAnswer {
    if (answer.hit) this.#counts.hit();
    else this.#counts.miss(answer.reason);
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
    const results = this.#results;
    const name = resultName(scope, action, environment);
    const asked = { scope, action, environment };
    const hot = results.hot.get(name);
    if (hot !== undefined) return this.#check(asked, hot);
    const { generation } = results.hot;
    const take = (bytes: Uint8Array | undefined) => {
      if (bytes === undefined) return ABSENT;
      const record = this.#read(asked, bytes);
      if (record === undefined) return ABSENT;
      // A result that was written meanwhile is newer than what was read.
      if (results.hot.generation === generation) results.hot.set(name, record);
      return this.#check(asked, record);
    };
    const stored = results.get(results.keys.of(scope, action, environment));
    return stored instanceof Promise ? stored.then(take) : take(stored);
  }

  /** A damaged record is as good as none, and goes. */
  #read(asked: Asked, bytes: Uint8Array): HotResult | undefined {
    try {
      return hotResult(bytes);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#results.noteUnfit(asked, asked.action);
      return undefined;
    }
  }

  #check(asked: Asked, record: HotResult): ActionCacheAnswer | Promise<ActionCacheAnswer> {
    const { closure } = record;
    if (this.#results.expired(record.usedS)) {
      this.#results.noteUnfit(asked, asked.action);
      return ABSENT;
    }
    if (closure.length === 0) return this.#hit(asked, record);
    const missing = missingInSlices(this.#blobs, asked.scope, closure);
    const decide = (indices: Uint32Array): ActionCacheAnswer => {
      if (indices.length > 0) {
        record.pinnedMs = -Infinity;
        this.#results.noteUnfit(asked, asked.action);
        return incomplete(closure, indices);
      }
      this.#pin(asked.scope, record);
      return this.#hit(asked, record);
    };
    return missing instanceof Promise ? missing.then(decide) : decide(missing);
  }

  #hit(asked: Asked, record: HotResult): ActionCacheAnswer {
    if (this.#results.useIsDue(record.usedS)) this.#results.noteUse(asked, asked.action, record);
    return { hit: true, bytes: record.bytes, environment: asked.environment };
  }

  /** Pins what a result promises, unless more than half of its last pin is still to come. */
  #pin(scope: Scope, record: HotResult): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - record.pinnedMs < this.#pinMs / 2) return;
    record.pinnedMs = nowMs;
    // Not waited for: the answer is right without it, and a store that cannot pin says so by itself.
    pinInSlices(this.#blobs, scope, record.closure, this.#pinMs).catch(() => undefined);
  }
}

/** What a lookup asks for. */
interface Asked {
  readonly scope: Scope;
  readonly action: Digest;
  readonly environment: string;
}

function readable(key: Uint8Array, value: Uint8Array): StoredResult | undefined {
  try {
    return decodeStoredResult(key, value);
  } catch (error) {
    if (isDamage(error) || (error instanceof BrokkrError && error.code === Code.FAILED_PRECONDITION)) {
      return undefined;
    }
    throw error;
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
