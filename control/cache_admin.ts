/**
 * The part of Admin that looks after the store: what it holds, whether that is sound, making room, pins, closures of
 * actions, and what became of a blob.
 *
 * @module
 */

import {
  type ActionCache,
  batchOf,
  type BlobStore,
  CLIENT_ENVIRONMENT,
  type Digest,
  formatDigest,
  type KeptBlobStore,
  type MetadataStore,
  parseDigest,
  type StoreKeeper,
  type StoreUsage,
  type VerifyProgress,
} from "@brokkr/cas";
import {
  BrokkrError,
  type ByteBudget,
  type Clock,
  Code,
  invalidArgument,
  type Logger,
  scopeOf,
  sleep,
} from "@brokkr/common";
import {
  Admin,
  type CollectStoreRequest,
  type CollectStoreResponse,
  type GetClosureRequest,
  type GetClosureResponse,
  type GetStoreUsageResponse,
  type Init,
  type ListPinsResponse,
  type PinBlobsRequest,
  type PinBlobsResponse,
  type UnpinBlobsRequest,
  type UnpinBlobsResponse,
  type VerifyStoreRequest,
  type VerifyStoreResponse,
  type WhyGoneRequest,
  type WhyGoneResponse,
} from "@brokkr/proto";
import { type CallContext, type Route, serverStream, unary } from "@brokkr/proto/rpc/server";
import { actionClosure, type ClosureSources, type HeldClosure } from "./_action_closure.ts";
import {
  ageMessage,
  countOf,
  goneMessage,
  type InstanceResults,
  missingFields,
  pinMessage,
  progressMessage,
  progressMessages,
  usageMessage,
  wire,
} from "./_cache_messages.ts";
import type { Environments } from "./environments.ts";
import { defaultPinName, type Pin } from "./_pin_record.ts";
import { Pins } from "./_pins.ts";
import { durationMs, durationOf } from "./_times.ts";

/** What {@linkcode CacheAdmin} is made of. */
export interface CacheAdminOptions {
  readonly blobs: BlobStore;
  readonly cache: ActionCache;
  readonly metadata: MetadataStore;
  readonly environments: Environments;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the store keeps what it promises, in milliseconds; 3 hours by default. */
  readonly promiseMs?: number;
}

/** What a look at the whole grid tells of the store. */
export interface StoreSummary {
  readonly maxBytes?: number;
  readonly maxBlobs?: number;
  readonly warning?: string;
}

/** How old a count may be that {@linkcode CacheAdmin.summary} tells of. */
const SUMMARY_AGE_MS = 30_000;
/** How long {@linkcode CacheAdmin.summary} waits for a count. */
const SUMMARY_WAIT_MS = 300;
/** How often a client is told how far a verification is. */
const PROGRESS_MS = 200;
/** Blobs in one message of a closure: some 700 KB. */
const BLOBS_PER_MESSAGE = 8192;
/** Blobs that are pinned by their digests in one call; their list must fit a message. */
const MAX_PINNED_BLOBS = 20_000;
const MAX_PIN_MS = 366 * 86_400_000;
const DEFAULT_PROMISE_MS = 3 * 3_600_000;
/** Letters, digits, signs and blanks: what can be shown and typed again. */
const PIN_NAME = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u;

/** Answers operators about the store. */
export class CacheAdmin {
  readonly #options: CacheAdminOptions;
  readonly #pins: Pins;
  #counting: Promise<StoreUsage> | undefined;
  #telling: Promise<Init<GetStoreUsageResponse>> | undefined;
  #counted: { readonly usage: StoreUsage; readonly atMs: number } | undefined;
  #verifying = false;
  #collecting = false;
  #walking = false;

  private constructor(options: CacheAdminOptions, pins: Pins) {
    this.#options = options;
    this.#pins = pins;
  }

  /** Reads the pins and has the store keep what they cover. */
  static async open(options: CacheAdminOptions): Promise<CacheAdmin> {
    const { metadata, blobs, cache, environments, clock, log, promiseMs = DEFAULT_PROMISE_MS } = options;
    const useResult = async (instance: string, action: Digest) => {
      for (const environment of [...environments.current, CLIENT_ENVIRONMENT]) {
        await cache.peek(scopeOf(instance), action, environment);
      }
    };
    const pins = await Pins.open({ metadata, blobs, clock, log, promiseMs, useResult });
    pins.start();
    return new CacheAdmin(options, pins);
  }

  /** Ends what goes on in the background. A count that is under way ends with the store. */
  async stop(): Promise<void> {
    await this.#pins.stop();
  }

  /** Its routes. */
  routes(): Route[] {
    // An operator waits for these as long as they take, and may end them.
    const long = { maxDurationMs: Infinity };
    return [
      unary(Admin.getStoreUsage, "admin", () => this.#usageMessage(), long),
      serverStream(
        Admin.verifyStore,
        "admin",
        (request, context) => this.#verify(request, context),
        { endOnDrain: true },
      ),
      unary(Admin.collectStore, "admin", (request, context) => this.#collect(request, context), long),
      unary(Admin.pinBlobs, "admin", (request, context) => this.#pin(request, context), long),
      unary(Admin.unpinBlobs, "admin", (request, context) => this.#unpin(request, context)),
      unary(Admin.listPins, "admin", () => this.#listPins()),
      unary(Admin.whyGone, "admin", (request) => this.#whyGone(request)),
      serverStream(Admin.getClosure, "admin", (request, context) => this.#closure(request, context)),
    ];
  }

  /** What is known of the store without waiting long: from a count that may be half a minute old. */
  async summary(): Promise<StoreSummary> {
    const { blobs, clock } = this.#options;
    if (!isKept(blobs)) return {};
    const fresh = this.#counted !== undefined && clock.monotonicMs() - this.#counted.atMs < SUMMARY_AGE_MS;
    if (!fresh) {
      const waiting = new AbortController();
      // A store that is just being loaded, or is very large: what is known of it is said the next time.
      const counted = this.#usage().catch(() => undefined);
      await Promise.race([counted, sleep(clock, SUMMARY_WAIT_MS, waiting.signal).catch(() => undefined)]);
      waiting.abort();
    }
    const { maxBytes, maxBlobs, warning } = this.#counted?.usage ?? {};
    return { maxBytes, maxBlobs, warning };
  }

  #keeper(): StoreKeeper {
    const { blobs } = this.#options;
    if (isKept(blobs)) return blobs.keeper;
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      "This grid's blobs are kept in memory, where there is nothing to look after; give control a data directory",
    );
  }

  /** Counts what is there; who asks while it is counted gets that count. */
  #usage(): Promise<StoreUsage> {
    this.#counting ??= this.#keeper().usage().then((usage) => {
      this.#counted = { usage, atMs: this.#options.clock.monotonicMs() };
      return usage;
    }).finally(() => this.#counting = undefined);
    return this.#counting;
  }

  /** Blobs and results; both are counted once for all who ask meanwhile. */
  #usageMessage(): Promise<Init<GetStoreUsageResponse>> {
    return this.#telling ??= this.#countAll().finally(() => this.#telling = undefined);
  }

  async #countAll(): Promise<Init<GetStoreUsageResponse>> {
    this.#keeper();
    const { blobs, cache } = this.#options;
    const [usage, { freeBytes }, instances] = await Promise.all([
      this.#usage(),
      blobs.stat(),
      resultsByInstance(cache),
    ]);
    return usageMessage(usage, freeBytes, instances);
  }

  async *#verify(
    { bytesPerSecond }: VerifyStoreRequest,
    { signal }: CallContext,
  ): AsyncGenerator<Init<VerifyStoreResponse>, void, undefined> {
    const keeper = this.#keeper();
    const { clock, log } = this.#options;
    if (bytesPerSecond < 0) {
      throw invalidArgument("bytes_per_second", `A rate of ${bytesPerSecond} bytes a second cannot be`);
    }
    if (this.#verifying) throw busy("verification of the store");
    this.#verifying = true;
    log.info("An operator has the store verified", { bytesPerSecond });
    let last: VerifyProgress = { blobs: 0, bytes: 0, totalBytes: 0, damaged: [] };
    let saidMs = -Infinity;
    let damaged = 0;
    try {
      const options = { ...(bytesPerSecond === 0 ? {} : { bytesPerSecond }), signal };
      for await (const progress of keeper.verify(options)) {
        last = progress;
        damaged += progress.damaged.length;
        const nowMs = clock.monotonicMs();
        if (progress.damaged.length === 0 && nowMs - saidMs < PROGRESS_MS) continue;
        saidMs = nowMs;
        yield* progressMessages(progress);
      }
      yield { ...progressMessage({ ...last, damaged: [] }), done: true };
      log.info("The store was verified", { blobs: last.blobs, bytes: last.bytes, damaged });
    } finally {
      this.#verifying = false;
    }
  }

  async #collect(
    { targetBytes, dryRun }: CollectStoreRequest,
    { signal }: CallContext,
  ): Promise<Init<CollectStoreResponse>> {
    const keeper = this.#keeper();
    if (targetBytes !== undefined && targetBytes < 0) {
      throw invalidArgument("target_bytes", `The store cannot come down to ${targetBytes} bytes`);
    }
    if (this.#collecting) throw busy("collection");
    this.#collecting = true;
    try {
      const { log } = this.#options;
      if (!dryRun) log.info("An operator makes room in the store", { targetBytes });
      const collected = await keeper.collect({
        ...(targetBytes === undefined ? {} : { targetBytes }),
        dryRun,
        signal,
      });
      const { blobs, freedBytes, copiedBytes, diskBytes, shortfall, ages } = collected;
      if (!dryRun) log.info("Room was made in the store", { blobs, freedBytes, copiedBytes, diskBytes });
      return {
        gone: countOf(collected),
        freedBytes,
        copiedBytes,
        diskBytes,
        shortfall: shortfall ?? "",
        ages: ages?.map(ageMessage) ?? [],
      };
    } finally {
      this.#collecting = false;
    }
  }

  async #pin(request: PinBlobsRequest, context: CallContext): Promise<Init<PinBlobsResponse>> {
    this.#keeper();
    const scope = context.scope(request.instanceName);
    const durationOfPin = request.duration === undefined ? 0 : durationMs(request.duration);
    if (!(durationOfPin > 0 && durationOfPin <= MAX_PIN_MS)) {
      throw invalidArgument("duration", "A pin must hold for longer than nothing and at most 366 days");
    }
    if (request.name !== "" && !PIN_NAME.test(request.name)) {
      throw invalidArgument(
        "name",
        "The name of a pin has 1 to 200 characters, none of which control terminals",
      );
    }
    const byAction = request.actionDigest !== undefined;
    if (byAction === request.blobDigests.length > 0) {
      throw invalidArgument("action_digest", "Name either an action or blobs to pin");
    }
    const covered = byAction
      ? await this.#coveredByAction(request, context)
      : await this.#coveredBlobs(request, context);
    const { digests, missing, notes } = covered;
    if (digests.length === 0) {
      throw new BrokkrError(
        Code.NOT_FOUND,
        `Nothing of what is to be pinned is there: ${missing.length} blobs are missing` +
          (missing.length === 0 ? "" : `, first ${formatDigest(missing[0])}`),
      );
    }
    const { clock, log } = this.#options;
    const nowMs = clock.wallMs();
    const pin: Pin = {
      name: request.name === "" ? defaultPinName(covered.action ?? digests[0]) : request.name,
      instance: scope.instance,
      fn: digests[0].fn,
      action: covered.action,
      blobs: digests.length,
      bytes: digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      createdMs: nowMs,
      untilMs: nowMs + durationOfPin,
    };
    const state = await this.#pins.add(pin, digests);
    log.info("An operator pins blobs", {
      pin: pin.name,
      instance: pin.instance,
      blobs: pin.blobs,
      bytes: pin.bytes,
    });
    return { pin: pinMessage(state), ...missingFields(missing), notes };
  }

  async #coveredByAction(request: PinBlobsRequest, context: CallContext): Promise<Covered> {
    const action = parseDigest(request.actionDigest, request.digestFunction, "action_digest");
    using closure = await this.#walk(request.instanceName, action, request.withoutInputs, context);
    const { blobs, missing, notes } = closure;
    return { action, digests: blobs.map(({ digest }) => digest), missing, notes };
  }

  async #coveredBlobs(request: PinBlobsRequest, context: CallContext): Promise<Covered> {
    if (request.blobDigests.length > MAX_PINNED_BLOBS) {
      throw invalidArgument("blob_digests", `At most ${MAX_PINNED_BLOBS} blobs can be pinned by one call`);
    }
    const all = new Map<string, Digest>();
    for (const message of request.blobDigests) {
      const digest = parseDigest(message, request.digestFunction, "blob_digests");
      all.set(formatDigest(digest), digest);
    }
    const asked = [...all.values()];
    const scope = context.scope(request.instanceName);
    const gone = new Set(await this.#options.blobs.missing(scope, batchOf(asked[0].fn, asked)));
    return {
      action: undefined,
      digests: asked.filter((_, index) => !gone.has(index)),
      missing: asked.filter((_, index) => gone.has(index)),
      notes: [],
    };
  }

  async #unpin(
    { instanceName, name }: UnpinBlobsRequest,
    context: CallContext,
  ): Promise<Init<UnpinBlobsResponse>> {
    this.#keeper();
    const { instance } = context.scope(instanceName);
    const { pin, keptMs } = await this.#pins.remove(instance, name);
    this.#options.log.info("An operator ends a pin", { pin: name, instance });
    return { pin: pinMessage(pin), keptFor: durationOf(keptMs) };
  }

  #listPins(): Init<ListPinsResponse> {
    this.#keeper();
    return { pins: this.#pins.list().map(pinMessage) };
  }

  async #whyGone(request: WhyGoneRequest): Promise<Init<WhyGoneResponse>> {
    const keeper = this.#keeper();
    const digest = parseDigest(request.digest, request.digestFunction);
    const { blobs } = this.#options;
    const missing = await blobs.missing(scopeOf(""), batchOf(digest.fn, [digest]), { peek: true });
    if (missing.length === 0) return { present: true };
    const [gone, sinceMs] = await Promise.all([keeper.whyGone(digest), keeper.logSinceMs?.()]);
    return goneMessage(gone, sinceMs);
  }

  async *#closure(
    request: GetClosureRequest,
    context: CallContext,
  ): AsyncGenerator<Init<GetClosureResponse>, void, undefined> {
    const action = parseDigest(request.actionDigest, request.digestFunction, "action_digest");
    using closure = await this.#walk(request.instanceName, action, request.withoutInputs, context);
    const { blobs, bytes, missing, result, notes } = closure;
    yield {
      ...missingFields(missing),
      ...(result === undefined ? {} : { actionResult: result }),
      notes,
      count: { blobs: blobs.length, bytes },
    };
    for (let at = 0; at < blobs.length; at += BLOBS_PER_MESSAGE) {
      const part = blobs.slice(at, at + BLOBS_PER_MESSAGE);
      yield { blobs: part.map(({ digest, role }) => ({ digest: wire(digest), role })) };
    }
  }

  /** One closure at a time: they may be large. */
  async #walk(
    instanceName: string,
    action: Digest,
    withoutInputs: boolean,
    context: CallContext,
  ): Promise<HeldClosure> {
    const scope = context.scope(instanceName);
    if (this.#walking) throw busy("walk through an action");
    this.#walking = true;
    try {
      const { blobs, cache, environments, budget } = this.#options;
      const sources: ClosureSources = {
        blobs,
        cache,
        environments: [...environments.current, CLIENT_ENVIRONMENT],
        budget,
      };
      return await actionClosure(sources, scope, action, { withoutInputs, signal: context.signal });
    } finally {
      this.#walking = false;
    }
  }
}

interface Covered {
  readonly action: Digest | undefined;
  readonly digests: readonly Digest[];
  readonly missing: readonly Digest[];
  readonly notes: readonly string[];
}

function isKept(blobs: BlobStore): blobs is KeptBlobStore {
  return "keeper" in blobs && blobs.keeper !== undefined;
}

function busy(what: string): BrokkrError {
  return new BrokkrError(
    Code.RESOURCE_EXHAUSTED,
    `Another ${what} is under way; wait for it to end, or end it`,
  );
}

/** Results by instance, however they came about. */
async function resultsByInstance(cache: ActionCache): Promise<readonly InstanceResults[]> {
  const instances = new Map<string | undefined, InstanceResults>();
  for (const { instance, results, bytes } of await cache.usage()) {
    const before = instances.get(instance);
    instances.set(instance, {
      instance,
      results: results + (before?.results ?? 0),
      bytes: bytes + (before?.bytes ?? 0),
    });
  }
  return [...instances.values()];
}
