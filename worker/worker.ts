/**
 * A worker: takes leases from control, executes them, tells how they went.
 *
 * @module
 */

import {
  BrokkrError,
  ByteBudget,
  type Clock,
  Code,
  type DataDirectory,
  idTracer,
  type Logger,
  type Metrics,
  noLog,
  noMetrics,
  openDataDirectory,
  type Random,
  sleep,
  systemClock,
  systemRandom,
  type TimerHandle,
  type TraceContext,
  type Tracer,
} from "@brokkr/common";
import { CasClient, type CasClientOptions, type DigestFunction } from "@brokkr/cas/client";
import { type ClientTlsOptions, connect } from "@brokkr/proto/rpc/client";
import type { Channel } from "@brokkr/proto/rpc";
import { ActionExecutor } from "./action_executor.ts";
import { CachedChunks } from "./_cached_chunks.ts";
import { BlobCache } from "./blob_cache.ts";
import { BeneathCollector } from "./collector.ts";
import { InputFetcher } from "./input_fetcher.ts";
import { InputResolver } from "./input_tree.ts";
import { type Isolation, openIsolation, type WorkerSandboxOptions } from "./isolation.ts";
import { LeaseRunner } from "./lease_runner.ts";
import { MachineLoad, machineResources, platformProperties, workerIdOf } from "./machine.ts";
import { workerMetrics, type WorkerStores } from "./_worker_metrics.ts";
import { type ActionStore, casStore } from "./store.ts";

/** How a worker is set up. */
export interface WorkerOptions {
  /** Endpoint of control, such as `grpc://127.0.0.1:8980`. */
  readonly control: string;
  /** Endpoint of the store; control's own by default. */
  readonly cas?: string;
  /** Certificates for both. */
  readonly tls?: ClientTlsOptions;
  /** Whether blobs travel compressed: `auto` where the store offers it; `off`, the default, never. */
  readonly compression?: "off" | "auto";
  /** Whether of large blobs only the chunks travel that are lacking: `auto`, the default, where the store offers it. */
  readonly chunking?: "off" | "auto";
  /** Directory of its own: cache, action directories, its name. */
  readonly dataDir: string;
  /** Name, unique in the grid; by default made once and kept in the data directory. */
  readonly id?: string;
  /** How many actions run at once; by default one for each processor. */
  readonly slots?: number;
  /** Platform properties beside OSFamily and ISA, which are found out; a name given here wins. */
  readonly platform?: Readonly<Record<string, readonly string[]>>;
  /**
   * The sandbox that actions run in; the default one where nothing is said. `false` for none: then they run as this user,
   * with full access to its files, to one another and to the network.
   */
  readonly sandbox?: WorkerSandboxOptions | false;
  /**
   * Most bytes of the input cache on disk; 10 GiB by default. With a sandbox ready-made inputs may take a quarter of it
   * besides.
   */
  readonly cacheSizeBytes?: number;
  /**
   * Most bytes that all buffers together hold; 128 MiB by default. A third of it keeps small inputs, the rest is for
   * transfers.
   */
  readonly memoryBudgetBytes?: number;
  /** Most bytes kept of standard output and standard error each; 16 MiB by default. */
  readonly outputLimitBytes?: number;
  /** Log. */
  readonly log?: Logger;
  /** Instruments. */
  readonly metrics?: Metrics;
  /** Spans. */
  readonly tracer?: Tracer;
  /** Time. */
  readonly clock?: Clock;
  /** Randomness. */
  readonly random?: Random;
}

/** A running worker. */
export interface WorkerHandle extends AsyncDisposable {
  /** Its name. */
  readonly id: string;
  /** Resolves when control has welcomed it for the first time; rejects when it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended, by shutdown or because control drained it. */
  readonly done: Promise<void>;
  /** Whether control has it now. */
  readonly connected: boolean;
  /** Why it gets no leases: control is away, has drained it, or it is about to end; undefined when it may get some. */
  readonly idleBecause: string | undefined;
  /** Takes no more leases, lets running actions end within `graceMs`, kills the rest, and ends. */
  shutdown(options?: { readonly graceMs?: number }): Promise<void>;
}

const DEFAULT_CACHE_BYTES = 10 * 2 ** 30;
const DEFAULT_MEMORY_BYTES = 128 * 2 ** 20;
const DEFAULT_OUTPUT_LIMIT_BYTES = 16 * 2 ** 20;
const DEFAULT_GRACE_MS = 30_000;
/** How long results may take to reach control after the last action has ended. */
const LAST_RESULTS_MS = 5000;
/** Version of this software, as Hello shows it. */
const SOFTWARE_VERSION = "0.1.0";

/** What must be closed at the end, last opened first. */
interface Parts {
  readonly directory: DataDirectory;
  readonly isolation: Isolation;
  readonly casChannel: Channel;
  readonly runner: LeaseRunner;
}

class Worker implements WorkerHandle {
  readonly id: string;
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
  readonly #parts: Parts;
  readonly #clock: Clock;
  #ending: Promise<void> | undefined;
  /** When running actions are killed; a later call may only bring it forward. */
  #killAtMs = Infinity;
  #killTimer: TimerHandle | undefined;

  constructor(id: string, parts: Parts, clock: Clock) {
    this.id = id;
    this.#parts = parts;
    this.#clock = clock;
    const ready = Promise.withResolvers<void>();
    // Not everybody waits for it.
    ready.promise.catch(() => undefined);
    this.ready = ready.promise;
    const running = parts.runner.run({
      onReady: ready.resolve,
      onDrained: () => void this.shutdown({ graceMs: Infinity }),
    });
    this.done = running.finally(() => {
      ready.reject(new BrokkrError(Code.CANCELLED, "The worker ended before control welcomed it"));
    });
  }

  get connected(): boolean {
    return this.#parts.runner.connected;
  }

  get idleBecause(): string | undefined {
    return this.#parts.runner.idleBecause;
  }

  shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#ending ??= this.#end();
    this.#killWithin(options.graceMs ?? DEFAULT_GRACE_MS);
    return this.#ending;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown({ graceMs: 0 });
  }

  /** Whoever asks first begins the end, and whoever is in the greatest hurry says when it is over. */
  #killWithin(graceMs: number): void {
    const atMs = this.#clock.monotonicMs() + graceMs;
    if (atMs >= this.#killAtMs) return;
    this.#killAtMs = atMs;
    this.#killTimer?.cancel();
    const kill = () =>
      this.#parts.runner.killAll(new BrokkrError(Code.UNAVAILABLE, "The worker was shut down"));
    if (graceMs <= 0) kill();
    else this.#killTimer = this.#clock.setTimer(graceMs, kill);
  }

  async #end(): Promise<void> {
    const { runner, casChannel, isolation, directory } = this.#parts;
    try {
      runner.drain("The worker is shutting down");
      await runner.idle();
      this.#killAtMs = -Infinity; // nothing is left to kill
      this.#killTimer?.cancel();
      if (runner.connected) await this.#within(LAST_RESULTS_MS, runner.acknowledged());
      runner.stop();
      await this.done;
      await casChannel.close();
      await isolation[Symbol.asyncDispose]();
    } finally {
      // Whatever could not be removed: nothing runs any more, and the directory is free for the next worker.
      directory.release();
    }
  }

  async #within(limitMs: number, promise: Promise<void>): Promise<void> {
    const done = new AbortController();
    await Promise.race([promise, sleep(this.#clock, limitMs, done.signal).catch(() => undefined)]);
    done.abort();
  }
}

/**
 * Starts a worker. It resolves once the worker's own parts are ready; control may come up later
 * ({@linkcode WorkerHandle.ready} says when it has).
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when another process owns the data directory; INVALID_ARGUMENT for options
 * that make no sense.
 */
export async function startWorker(options: WorkerOptions): Promise<WorkerHandle> {
  const { log = noLog, metrics = noMetrics, clock = systemClock, random = systemRandom } = options;
  const slots = checkSlots(options.slots ?? navigator.hardwareConcurrency);
  const memoryBytes = options.memoryBudgetBytes ?? DEFAULT_MEMORY_BYTES;
  const budget = new ByteBudget(memoryBytes - Math.floor(memoryBytes / 3));
  const directory = openDataDirectory(options.dataDir, "worker");
  let isolation: Isolation | undefined;
  try {
    const id = options.id ?? workerIdOf(directory.path, random);
    const ownLog = log.with({ worker: id });
    const cacheBytes = options.cacheSizeBytes ?? DEFAULT_CACHE_BYTES;
    const stores: WorkerStores = {};
    const instruments = workerMetrics(metrics, slots, stores);
    isolation = await openIsolation({
      sandbox: options.sandbox ?? {},
      workerId: id,
      dataDir: directory.path,
      slots,
      platform: options.platform ?? {},
      openCache: (onCrowded) =>
        BlobCache.open({
          path: `${directory.path}/cache`,
          limitBytes: cacheBytes,
          memoryLimitBytes: Math.floor(memoryBytes / 3),
          log: ownLog,
          onCrowded,
        }),
      layerBytes: Math.floor(cacheBytes / 4),
      onLookup: instruments.lookedUp,
      clock,
      log: ownLog,
    });
    const { cache, layers, materializer, runner: actions, environment, grants } = isolation;
    Object.assign(stores, { cache, layers });
    const casChannel = openChannel(options.cas ?? options.control, options, clock, random);
    const executor = new ActionExecutor({
      workerId: id,
      resolver: new InputResolver(new InputFetcher(cache, { budget })),
      materializer,
      runner: actions,
      collector: new BeneathCollector(budget),
      store: storesOf({
        channel: casChannel,
        clock,
        random,
        compression: options.compression,
        chunking: options.chunking,
        chunks: new CachedChunks(cache),
      }),
      outputLimitBytes: options.outputLimitBytes ?? DEFAULT_OUTPUT_LIMIT_BYTES,
      clock,
      tracer: options.tracer ?? idTracer(random),
      log: ownLog,
      onPhase: instruments.phase,
      onFetched: instruments.fetched,
      onRan: instruments.ran,
    });
    const machine = new MachineLoad(directory.path);
    const runner = new LeaseRunner({
      connect: () => openChannel(options.control, options, clock, random),
      executor,
      slots,
      hello: {
        features: [],
        workerId: id,
        platform: { properties: platformProperties(options.platform ?? {}) },
        slots,
        resources: await machineResources(directory.path),
        environment,
        sandboxGrants: [...grants],
        softwareVersion: SOFTWARE_VERSION,
      },
      load: (slotsUsed) => machine.read(slotsUsed),
      clock,
      random,
      log: ownLog,
      onRunning: instruments.running,
      onResult: instruments.result,
    });
    return new Worker(id, { directory, isolation, casChannel, runner }, clock);
  } catch (error) {
    await isolation?.[Symbol.asyncDispose]();
    directory.release();
    throw error;
  }
}

function checkSlots(slots: number): number {
  if (Number.isSafeInteger(slots) && slots >= 1 && slots <= 10_000) return slots;
  throw new BrokkrError(Code.INVALID_ARGUMENT, `A worker needs 1 to 10000 slots, not ${slots}`);
}

function openChannel(endpoint: string, options: WorkerOptions, clock: Clock, random: Random): Channel {
  return connect(endpoint, { ...(options.tls === undefined ? {} : { tls: options.tls }), clock, random });
}

/** Clients by instance and function, made when first asked for. Instance names are control's; their number is bounded. */
function storesOf(
  shared: Omit<CasClientOptions, "instance" | "fn">,
): (instance: string, fn: DigestFunction, trace: TraceContext) => ActionStore {
  const maxClients = 1000;
  const clients = new Map<string, CasClient>();
  return (instance, fn, trace) => {
    const key = `${fn.value}:${instance}`;
    let client = clients.get(key);
    if (client === undefined) {
      if (clients.size >= maxClients) clients.clear();
      clients.set(key, client = new CasClient({ ...shared, instance, fn }));
    }
    return casStore(client, trace);
  };
}
