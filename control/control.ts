/**
 * The control plane as a whole: stores, scheduler, services, ports.
 *
 * @module
 */

import {
  checkExposure,
  createRpcServer,
  DEFAULT_LIMITS,
  defaultPolicy,
  isExposed,
  type RpcServer,
  type ServerLimits,
  type TlsOptions,
} from "@brokkr/proto/rpc/server";
import {
  ActionCache,
  ActionCacheSweeper,
  type BlobStore,
  CLIENT_ENVIRONMENT,
  departuresOf,
  MemoryBlobStore,
  MemoryMetadataStore,
  type MetadataStore,
  type UploadLimits,
} from "@brokkr/cas";
import { openDiskBlobStore, openLmdbMetadataStore } from "@brokkr/cas/disk";
import type { HttpCacheOptions, HttpCacheServer } from "@brokkr/cas/http_cache";
import { actionCacheRoutes, byteStreamRoutes, casCapabilities, casRoutes } from "@brokkr/cas/services";
import {
  type Access,
  ByteBudget,
  type Clock,
  Health,
  idTracer,
  type Logger,
  noLog,
  openDataDirectory,
  type Random,
  systemClock,
  systemRandom,
  type Tracer,
  type WorkerId,
} from "@brokkr/common";
import { type HttpServer, serveHttp } from "@brokkr/common/http";
import { type PrometheusMetrics, prometheusMetrics } from "@brokkr/common/prometheus";
import type { Hello } from "@brokkr/proto";
import { AdminService } from "./admin_service.ts";
import { buildEventRoutes } from "./build_events.ts";
import { CacheAdmin } from "./cache_admin.ts";
import { capabilitiesRoutes } from "./capabilities_service.ts";
import { Drains } from "./drains.ts";
import { Environments, isUnsandboxed } from "./environments.ts";
import { ExecutionService, inlineEnd } from "./execution_service.ts";
import { gridGauges, GridMetrics } from "./_grid_metrics.ts";
import { Grid } from "./grid.ts";
import { Operations } from "./operations.ts";
import { OperationsService } from "./operations_service.ts";
import { SandboxRule } from "./_sandbox_rule.ts";
import { Settler } from "./_settle.ts";
import type { SchedulerLimits } from "./scheduler/mod.ts";
import { WorkersService } from "./workers_service.ts";
import manifest from "./deno.json" with { type: "json" };

/** How a control plane is set up. */
export interface ControlOptions {
  /** Directory of all state; it is locked. Undefined keeps everything in memory. */
  readonly dataDir: string | undefined;
  /** gRPC address, `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** HTTP address; `""`, the default, for none. */
  readonly httpListen?: string;
  /** PEM texts; plain text without. With `clientCa` only clients with a certificate of it are served. */
  readonly tls?: TlsOptions;
  /** Listen beyond loopback without client certificates. */
  readonly allowInsecureRemote?: boolean;
  /** Bytes that the process may take beyond what it has when idle, however many calls there are; 512 MiB by default. */
  readonly memoryBudgetBytes?: number;
  /** Largest blob taken, in bytes; 16 GiB by default. */
  readonly maxBlobSizeBytes?: number;
  /** Bytes the store may take; 0, the default, for no limit but the disk's (or the memory budget's). */
  readonly casMaxSizeBytes?: number;
  /** Blobs the store may hold; 0, the default, for no limit but its size. */
  readonly casMaxBlobs?: number;
  /** How long blobs are kept that a client was told to be there, in milliseconds; 3 hours by default. */
  readonly casPromiseMs?: number;
  /** How fast the scrubber reads what is stored, in bytes a second; 0, the default, for not at all. */
  readonly casScrubBytesPerSecond?: number;
  /** Which reads are compared with the digest; `first` by default. */
  readonly casVerifyReads?: "first" | "always";
  /** How long a result is kept that nobody asks for, in milliseconds; 30 days by default. */
  readonly acTtlMs?: number;
  /** Address of the HTTP cache; `""`, the default, for none. */
  readonly httpCacheListen?: string;
  /** Whether what is stored under /ac/ of the HTTP cache must be a complete ActionResult; it must by default. */
  readonly httpCacheValidateAc?: boolean;
  /** How long a lease lives without a heartbeat, in milliseconds; 30 s by default. */
  readonly leaseTtlMs?: number;
  /** How often workers send heartbeats, in milliseconds; 5 s by default. */
  readonly heartbeatIntervalMs?: number;
  /**
   * Whether workers are refused whose actions nothing isolates, and their results with them; `auto`, the default: where
   * `listen` is reached from other machines.
   */
  readonly requireSandbox?: "auto" | "always" | "never";
  /** Actions that may wait. */
  readonly maxQueue?: number;
  /** Workers that one action may take down before it is failed; 3 by default. */
  readonly maxAttempts?: number;
  /** Timeout of actions that name none, in milliseconds; one hour by default. */
  readonly defaultTimeoutMs?: number;
  /** Longest timeout that an action may ask for, in milliseconds; one day by default. */
  readonly maxTimeoutMs?: number;
  /** How long an operation lives that nobody watches, in milliseconds; one minute by default. */
  readonly unwatchedTtlMs?: number;
  /** How long a finished operation can be waited for, in milliseconds; ten minutes by default. */
  readonly finishedTtlMs?: number;
  /** How long an interrupted upload is kept, in milliseconds; an hour by default. */
  readonly uploadKeepMs?: number;
  /** Interrupted uploads that are kept; 256 by default. */
  readonly maxKeptUploads?: number;
  /** Bytes of interrupted uploads that are kept; 4 GiB by default. */
  readonly maxKeptUploadBytes?: number;
  /** Connections at once; 1024 by default. */
  readonly maxConnections?: number;
  /** How long a peer may stand still in the middle of a call, in milliseconds; one minute by default. */
  readonly stallTimeoutMs?: number;
  /** Further limits of the scheduler, over all of the above. */
  readonly schedulerLimits?: Partial<SchedulerLimits>;
  /** Time; the machine's by default. */
  readonly clock?: Clock;
  /** Randomness; the system's by default. */
  readonly random?: Random;
  /** Lines for the operator; none by default. */
  readonly log?: Logger;
  /** Instruments; a registry of its own by default. */
  readonly metrics?: PrometheusMetrics;
  /** Spans; ids only by default. */
  readonly tracer?: Tracer;
}

/** A control plane that serves. */
export interface ControlHandle extends AsyncDisposable {
  /** Such as `grpc://127.0.0.1:8980`, or `grpcs://` with TLS. */
  readonly grpcEndpoint: string;
  /** Such as `http://127.0.0.1:8981`; undefined without an HTTP port. */
  readonly httpEndpoint: string | undefined;
  /** Such as `http://127.0.0.1:8982`, or `https://` with TLS; undefined without an HTTP cache. */
  readonly httpCacheEndpoint: string | undefined;
  /** Resolves when it has ended; rejects when it had to give up. */
  readonly done: Promise<void>;
  /**
   * Ends in good order: no new work, what waits is sent away with UNAVAILABLE, what runs has `graceMs` (10 s by default)
   * to end; then everything is closed.
   */
  shutdown(options?: { readonly graceMs?: number }): Promise<void>;
}

const ALL_ACCESS: readonly Access[] = ["public", "read", "write", "execute", "admin", "worker"];
const DEFAULT_BUDGET_BYTES = 512 * 2 ** 20;
/** Share of the budget that calls may buffer, and the store as well. The rest is for what calls take besides. */
const BUFFER_SHARE = 5 / 16;
const DEFAULT_MAX_BLOB_BYTES = 16 * 2 ** 30;
const DEFAULT_RESULT_TTL_MS = 30 * 86_400_000;
const DEFAULT_PROMISE_MS = 3 * 3_600_000;
/** How long at most what a hit promised is pinned besides what the store promises itself. */
const MAX_RESULT_PIN_MS = 600_000;
const DEFAULT_GRACE_MS = 10_000;
/** Time for streams to end after all operations have. */
const CLOSE_GRACE_MS = 500;

/**
 * Starts a control plane.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when a port or the data directory is in use, or when an address is open to
 * others without authentication; PERMISSION_DENIED when the data directory cannot be written.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connect } from "@brokkr/proto/rpc/client";
 * import { Capabilities } from "@brokkr/proto";
 * import { startControl } from "@brokkr/control";
 * await using control = await startControl({ dataDir: undefined, listen: "127.0.0.1:0" });
 * await using channel = connect(control.grpcEndpoint);
 * const capabilities = await channel.unary(Capabilities.getCapabilities, { instanceName: "" });
 * assertEquals(capabilities.executionCapabilities?.execEnabled, true);
 * ```
 */
export async function startControl(options: ControlOptions): Promise<ControlHandle> {
  const stack = new AsyncDisposableStack();
  try {
    return await new Control(options, stack).start();
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Stores {
  readonly blobs: BlobStore;
  readonly metadata: MetadataStore;
}

class Control implements ControlHandle {
  grpcEndpoint = "";
  httpEndpoint: string | undefined;
  httpCacheEndpoint: string | undefined;
  readonly done: Promise<void>;
  readonly #options: ControlOptions;
  readonly #stack: AsyncDisposableStack;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #metrics: PrometheusMetrics;
  readonly #health = new Health();
  readonly #ended = Promise.withResolvers<void>();
  #shutdown: Promise<void> | undefined;
  #server: RpcServer | undefined;
  #http: HttpServer | undefined;
  #httpCache: HttpCacheServer | undefined;
  #grid: Grid | undefined;
  #execution: ExecutionService | undefined;
  readonly #sandboxRule: SandboxRule;
  #environments: Environments | undefined;
  #storeBytes: ByteBudget | undefined;

  constructor(options: ControlOptions, stack: AsyncDisposableStack) {
    this.#options = options;
    this.#stack = stack;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? noLog;
    this.#metrics = options.metrics ?? prometheusMetrics();
    this.#sandboxRule = new SandboxRule(requiresSandbox(options), this.#clock, this.#log);
    this.done = this.#ended.promise;
    // Who does not look at it must not be ended by it.
    this.done.catch(() => {});
  }

  async start(): Promise<ControlHandle> {
    const { listen, httpListen = "", httpCacheListen = "", tls, allowInsecureRemote = false } = this.#options;
    checkExposure(listen, tls, allowInsecureRemote);
    if (httpCacheListen !== "") checkExposure(httpCacheListen, tls, allowInsecureRemote);
    // Nobody proves who they are to the pages, whatever gRPC demands.
    if (httpListen !== "") checkExposure(httpListen, undefined, allowInsecureRemote);
    this.#health.set("grpc", "It does not listen yet");
    // First, so that somebody who asks why it is not ready gets an answer while the store opens.
    if (httpListen !== "") {
      const http = serveHttp({
        listen: httpListen,
        health: this.#health,
        metrics: this.#metrics,
        log: this.#log,
      });
      this.#http = http;
      this.#stack.defer(() => http.shutdown());
      this.httpEndpoint = http.endpoint;
    }
    const stores = await this.#openStores();
    const server = await this.#makeServer(stores);
    const [{ address }] = await server.listen();
    this.#server = server;
    this.grpcEndpoint = `${tls === undefined ? "grpc" : "grpcs"}://${address}`;
    this.#health.set("grpc", undefined);
    this.#log.info("Control serves", {
      listen,
      grpc: this.grpcEndpoint,
      http: this.httpEndpoint,
      ...(this.httpCacheEndpoint === undefined ? {} : { httpCache: this.httpCacheEndpoint }),
      epoch: stores.metadata.bootEpoch,
    });
    return this;
  }

  shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    return this.#shutdown ??= this.#end(options.graceMs ?? DEFAULT_GRACE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown({ graceMs: 0 });
  }

  async #end(graceMs: number): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    this.#health.set("grpc", "It is shutting down");
    await this.#grid?.shutdown(graceMs);
    const leftMs = Math.max(CLOSE_GRACE_MS, graceMs - (this.#clock.monotonicMs() - startMs));
    const grace = { graceMs: graceMs === 0 ? 0 : leftMs };
    await Promise.all([this.#server?.shutdown(grace), this.#httpCache?.shutdown(grace)]);
    await this.#execution?.settled();
    await this.#environments?.settled();
    await this.#stack.disposeAsync();
    this.#log.info("Control has ended");
    this.#ended.resolve();
  }

  /** A contradiction in the scheduler: better no control plane than one that gives wrong answers. Restarting heals it. */
  #fatal(error: unknown): void {
    this.#log.error("The scheduler contradicts itself; giving up", { error });
    this.#ended.reject(error);
  }

  async #openStores(): Promise<Stores> {
    const { dataDir, memoryBudgetBytes = DEFAULT_BUDGET_BYTES, casMaxSizeBytes = 0 } = this.#options;
    const uploads = uploadLimits(this.#options);
    if (dataDir === undefined) {
      const limit = casMaxSizeBytes === 0 ? memoryBudgetBytes : casMaxSizeBytes;
      const metadata = this.#stack.use(new MemoryMetadataStore());
      const clock = this.#clock;
      const { maxBlobs, promiseMs } = storeLimits(this.#options);
      const maxBlobBytes = this.#options.maxBlobSizeBytes ?? DEFAULT_MAX_BLOB_BYTES;
      return {
        metadata,
        blobs: this.#stack.use(
          new MemoryBlobStore(limit, { uploads, clock, maxBlobBytes, maxBlobs, promiseMs }),
        ),
      };
    }
    const { path } = this.#stack.use(openDataDirectory(dataDir, "control"));
    const metadata = this.#stack.use(await openLmdbMetadataStore(`${path}/meta`));
    this.#health.set("store", "The store is being opened");
    const blobs = await openDiskBlobStore(`${path}/cas`, {
      clock: this.#clock,
      random: this.#options.random ?? systemRandom,
      // Its own share: a store that waited for what its callers hold would wait for ever.
      budget: this.#storeBudget(memoryBudgetBytes),
      metrics: this.#metrics,
      log: this.#log,
      onHealth: (reason) => this.#health.set("store", reason),
      maxBlobBytes: this.#options.maxBlobSizeBytes ?? DEFAULT_MAX_BLOB_BYTES,
      uploads,
      ...storeLimits(this.#options),
    });
    this.#health.set("store", undefined);
    return { metadata, blobs: this.#stack.use(blobs) };
  }

  #storeBudget(memoryBudgetBytes: number): ByteBudget {
    return this.#storeBytes = new ByteBudget(Math.ceil(memoryBudgetBytes * BUFFER_SHARE));
  }

  async #makeServer({ blobs, metadata }: Stores): Promise<RpcServer> {
    const options = this.#options;
    const metrics = this.#metrics;
    const maxBlobBytes = options.maxBlobSizeBytes ?? DEFAULT_MAX_BLOB_BYTES;
    const callBytes = Math.ceil((options.memoryBudgetBytes ?? DEFAULT_BUDGET_BYTES) * BUFFER_SHARE);
    // Who waits has sent a window at most, which nobody counts, and less when many wait, as windows shrink.
    const budget = new ByteBudget(
      callBytes,
      Math.max(64, (1.5 * callBytes) / DEFAULT_LIMITS.streamWindowBytes),
    );
    const cache = this.#openActionCache({ metadata, blobs });
    const environments = await Environments.open(metadata, this.#log, this.#sandboxRule.required);
    const { drains, reasons } = await Drains.open(metadata, this.#log);
    this.#environments = environments;
    const cacheAdmin = await CacheAdmin.open({
      blobs,
      cache,
      metadata,
      environments,
      budget,
      clock: this.#clock,
      log: this.#log,
      promiseMs: options.casPromiseMs,
    });
    this.#stack.defer(() => cacheAdmin.stop());
    const visible = () => [...environments.current, CLIENT_ENVIRONMENT];
    const authorize = defaultPolicy(
      options.tls?.clientCa === undefined
        ? { anonymousAccess: ALL_ACCESS }
        : { anonymousAccess: ["public"], certificateAccess: { "*": ALL_ACCESS } },
    );
    const pressed = () => (this.#storeBytes?.waiters ?? 0) > 0;
    const byteStream = this.#stack.use(byteStreamRoutes({ store: blobs, budget, maxBlobBytes, metrics }));
    const server = createRpcServer({
      routes: [
        ...casRoutes({ store: blobs, budget, maxBlobBytes, metrics }),
        ...byteStream.routes,
        ...actionCacheRoutes({
          cache,
          store: blobs,
          budget,
          environments: visible,
        }),
        ...capabilitiesRoutes(casCapabilities({ maxBlobBytes })),
        ...this.#gridRoutes({ blobs, metadata, cache, cacheAdmin, environments, drains, reasons, budget }),
      ],
      listen: [options.listen],
      authorize,
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      allowInsecureRemote: options.allowInsecureRemote ?? false,
      byteBudget: budget,
      limits: serverLimits(options),
      // Peers that take nothing hold the store's buffers too.
      pressed,
      coalesceWrites: true,
      health: this.#health,
      clock: this.#clock,
      log: this.#log,
      metrics,
      ...(options.tracer === undefined ? {} : { tracer: options.tracer }),
    });
    this.#stack.defer(() => server.shutdown({ graceMs: 0 }));
    await this.#startHttpCache({ store: blobs, cache, environments: visible, authorize, budget, pressed });
    return server;
  }

  async #startHttpCache(
    parts: Pick<HttpCacheOptions, "store" | "cache" | "environments" | "authorize" | "budget" | "pressed">,
  ): Promise<void> {
    const { httpCacheListen = "", httpCacheValidateAc, maxBlobSizeBytes, tls } = this.#options;
    if (httpCacheListen === "") return;
    // Loaded by those who want it.
    const { serveHttpCache } = await import("@brokkr/cas/http_cache");
    const httpCache = await serveHttpCache({
      ...parts,
      listen: httpCacheListen,
      ...(tls === undefined ? {} : { tls }),
      allowInsecureRemote: this.#options.allowInsecureRemote ?? false,
      maxBlobBytes: maxBlobSizeBytes ?? DEFAULT_MAX_BLOB_BYTES,
      validateAc: httpCacheValidateAc ?? true,
      limits: serverLimits(this.#options),
      clock: this.#clock,
      log: this.#log,
      metrics: this.#metrics,
    });
    this.#stack.use(httpCache);
    this.#httpCache = httpCache;
    this.httpCacheEndpoint = httpCache.endpoint;
  }

  #openActionCache({ metadata, blobs }: Stores): ActionCache {
    const { acTtlMs = DEFAULT_RESULT_TTL_MS, casPromiseMs = DEFAULT_PROMISE_MS } = this.#options;
    const [clock, log, metrics] = [this.#clock, this.#log, this.#metrics];
    const pinMs = Math.min(MAX_RESULT_PIN_MS, casPromiseMs);
    const cache = new ActionCache({ metadata, blobs, metrics, clock, ttlMs: acTtlMs, pinMs });
    this.#stack.use(cache);
    this.#stack.use(new ActionCacheSweeper({ cache, departures: () => departuresOf(blobs), clock, log }));
    return cache;
  }

  #gridRoutes(
    parts: Stores & {
      readonly cache: ActionCache;
      readonly cacheAdmin: CacheAdmin;
      readonly environments: Environments;
      readonly drains: Drains;
      readonly reasons: ReadonlyMap<WorkerId, string>;
      readonly budget: ByteBudget;
    },
  ) {
    const { blobs, metadata: { bootEpoch: epoch }, cache, environments, drains, reasons, budget } = parts;
    const options = this.#options;
    const clock = this.#clock;
    const log = this.#log;
    const metrics = new GridMetrics(this.#metrics);
    const settler = new Settler(cache, blobs, log, options.tracer);
    const limits = schedulerLimits(options);
    const grid = new Grid({
      epoch,
      limits,
      clock,
      log,
      metrics,
      settle: (handin) => settler.settle(handin),
      salvage: (handin) => settler.salvage(handin),
      inline: (record, end) => inlineEnd(blobs, budget, record, end),
      onFleet: () => onFleet(),
      onFatal: (error) => this.#fatal(error),
    });
    this.#grid = grid;
    this.#stack.defer(() => grid.shutdown(0));
    gridGauges(this.#metrics, () => grid.stat());
    for (const [worker, reason] of reasons) grid.post({ type: "drainWorker", worker, reason });
    const sandboxRule = this.#sandboxRule;
    const common = { grid, blobs, cache, environments, epoch, clock, metrics, sandboxRule };
    const admin = new AdminService({
      ...common,
      cacheAdmin: parts.cacheAdmin,
      drains,
      log,
      health: this.#health,
      softwareVersion: manifest.version,
      httpCache: () => this.httpCacheEndpoint,
    });
    const onFleet = () => {
      environments.update(grid.workers().map(({ spec }) => spec.environment));
      admin.prune();
    };
    const onHello = (hello: Hello) => {
      onFleet();
      admin.noteHello(hello);
      if (isUnsandboxed(hello.environment)) {
        log.warn("NOTHING ISOLATES THE ACTIONS OF THIS WORKER: run trusted actions only", {
          worker: hello.workerId,
          environment: hello.environment,
        });
      }
    };
    const operations = new Operations(grid);
    const execution = new ExecutionService({
      ...common,
      log,
      operations,
      budget,
      random: options.random ?? systemRandom,
      tracer: options.tracer ?? idTracer(),
      defaultTimeoutMs: options.defaultTimeoutMs ?? 3_600_000,
      maxTimeoutMs: options.maxTimeoutMs ?? 86_400_000,
    });
    const workers = new WorkersService({
      ...common,
      log,
      leaseTtlMs: limits.leaseTtlMs,
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? 5000,
      onHello,
    });
    this.#execution = execution;
    const operating = new OperationsService({ operations, epoch, clock });
    return [
      ...execution.routes(),
      ...operating.routes(),
      ...workers.routes(),
      ...admin.routes(),
      ...buildEventRoutes(),
    ];
  }
}

function requiresSandbox({ requireSandbox = "auto", listen }: ControlOptions): boolean {
  return requireSandbox === "always" || (requireSandbox === "auto" && isExposed(listen));
}

/** What the store may hold, for how long, and how it looks after it; its own defaults where nothing is said. */
function storeLimits(options: ControlOptions) {
  const { casMaxSizeBytes = 0, casMaxBlobs = 0, casPromiseMs } = options;
  const { casScrubBytesPerSecond = 0, casVerifyReads = "first" } = options;
  return {
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

function serverLimits(
  { maxConnections, stallTimeoutMs }: ControlOptions,
): Pick<Partial<ServerLimits>, "maxConnections" | "stallTimeoutMs"> {
  return {
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(stallTimeoutMs === undefined ? {} : { stallTimeoutMs }),
  };
}

function schedulerLimits(
  options: ControlOptions,
): Partial<SchedulerLimits> & { readonly leaseTtlMs: number } {
  const { maxQueue, maxAttempts, unwatchedTtlMs, finishedTtlMs, heartbeatIntervalMs = 5000 } = options;
  const limits = {
    leaseTtlMs: options.leaseTtlMs ?? 30_000,
    // Two heartbeats and a bit: a lease that is on its way is not in the first.
    absentGraceMs: 2.4 * heartbeatIntervalMs,
    ...(maxQueue === undefined ? {} : { maxQueued: maxQueue }),
    ...(maxAttempts === undefined ? {} : { maxLosses: maxAttempts }),
    ...(unwatchedTtlMs === undefined ? {} : { unwatchedMs: unwatchedTtlMs }),
    ...(finishedTtlMs === undefined ? {} : { finishedMs: finishedTtlMs }),
  };
  return { ...limits, ...options.schedulerLimits };
}
