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
} from "@brokkr/proto/rpc/server";
import { type ActionCache, CLIENT_ENVIRONMENT } from "@brokkr/cas";
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
  systemClock,
  systemRandom,
  type WorkerId,
} from "@brokkr/common";
import { type HttpServer, serveHttp } from "@brokkr/common/http";
import { type PrometheusMetrics, prometheusMetrics } from "@brokkr/common/prometheus";
import type { Hello } from "@brokkr/proto";
import { AdminService } from "./admin_service.ts";
import { buildEventRoutes } from "./build_events.ts";
import { CacheAdmin } from "./cache_admin.ts";
import { capabilitiesRoutes } from "./capabilities_service.ts";
import {
  BUFFER_SHARE,
  type ControlHandle,
  type ControlOptions,
  DEFAULT_BUDGET_BYTES,
  DEFAULT_MAX_BLOB_BYTES,
} from "./control_options.ts";
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
import { openActionCache, openStores, type Stores, type StoreSurroundings } from "./_stores.ts";
import { WorkersService } from "./workers_service.ts";
import manifest from "./deno.json" with { type: "json" };

const ALL_ACCESS: readonly Access[] = ["public", "read", "write", "execute", "admin", "worker"];
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
    const stores = await openStores(this.#options, this.#surroundings);
    this.#storeBytes = stores.bytes;
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

  get #surroundings(): StoreSurroundings {
    const [clock, log, metrics] = [this.#clock, this.#log, this.#metrics];
    return { stack: this.#stack, clock, log, metrics, health: this.#health };
  }

  async #makeServer(stores: Stores): Promise<RpcServer> {
    const { blobs, metadata } = stores;
    const options = this.#options;
    const metrics = this.#metrics;
    const maxBlobBytes = options.maxBlobSizeBytes ?? DEFAULT_MAX_BLOB_BYTES;
    const callBytes = Math.ceil((options.memoryBudgetBytes ?? DEFAULT_BUDGET_BYTES) * BUFFER_SHARE);
    // Who waits has sent a window at most, which nobody counts, and less when many wait, as windows shrink.
    const budget = new ByteBudget(
      callBytes,
      Math.max(64, (1.5 * callBytes) / DEFAULT_LIMITS.streamWindowBytes),
    );
    const cache = openActionCache(stores, options, this.#surroundings);
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
        ...capabilitiesRoutes(casCapabilities({ maxBlobBytes, store: blobs })),
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

  #gridRoutes(
    parts: Omit<Stores, "bytes"> & {
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
