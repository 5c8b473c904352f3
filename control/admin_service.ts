/**
 * Admin: what the operator's commands ask of a live grid.
 *
 * @module
 */

import {
  type ActionCache,
  type BlobStore,
  type BlobStoreStat,
  type Digest,
  formatDigest,
  parseDigest,
  readActionResult,
  sameDigest,
} from "@brokkr/cas";
import {
  asBrokkrError,
  BrokkrError,
  type Clock,
  Code,
  type Health,
  invalidArgument,
  type Logger,
  notFound,
  type OperationName,
  type Scope,
  scopeKey,
  Slices,
  type WorkerId,
} from "@brokkr/common";
import {
  ActionCodec,
  type ActionRecord,
  Admin,
  CommandCodec,
  type DrainWorkerRequest,
  type DrainWorkerResponse,
  type ExecutedActionMetadata,
  type GetActionRequest,
  type GetActionResponse,
  type GetStatusResponse,
  type Hello,
  type Init,
  type ListWorkersResponse,
  RequestMetadataCodec,
  ResourceUsageCodec,
  type ResumeWorkerRequest,
  type ResumeWorkerResponse,
} from "@brokkr/proto";
import { type CallContext, type Route, unary } from "@brokkr/proto/rpc/server";
import { MAX_COMMAND_BYTES } from "./action_check.ts";
import type { CacheAdmin, StoreSummary } from "./cache_admin.ts";
import type { Drains } from "./drains.ts";
import { type Environments, isUnsandboxed } from "./environments.ts";
import type { Grid } from "./grid.ts";
import type { GridMetrics } from "./_grid_metrics.ts";
import type { OperationRecord } from "./operation_record.ts";
import { actionPhases } from "./phases.ts";
import type { SandboxRule } from "./_sandbox_rule.ts";
import { pressureOf } from "./_store_pressure.ts";
import { durationOf, timestampOf } from "./_times.ts";

/** What the Admin service is made of. */
export interface AdminOptions {
  readonly grid: Grid;
  readonly blobs: BlobStore;
  readonly cache: ActionCache;
  readonly cacheAdmin: CacheAdmin;
  readonly environments: Environments;
  readonly metrics: GridMetrics;
  readonly health: Health;
  readonly drains: Drains;
  readonly sandboxRule: SandboxRule;
  readonly log: Logger;
  readonly clock: Clock;
  readonly epoch: number;
  readonly softwareVersion: string;
  /** Where the HTTP cache is; undefined when there is none. */
  readonly httpCache: () => string | undefined;
}

/** Records in one answer. */
const MAX_RECORDS = 100;
const MAX_REASON_LENGTH = 1000;
/** Drains that are remembered at once, also of workers that never come back. */
const MAX_DRAINS = 1000;
/** A hash, or enough of its beginning to go by. */
const HASH_PREFIX = /^[0-9a-f]{8,128}$/;
const RESOURCE_USAGE = "/brokkr.v1.ResourceUsage";

/** Answers operators. */
export class AdminService {
  readonly #options: AdminOptions;
  readonly #startMs: number;
  readonly #hellos = new Map<string, Hello>();

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#startMs = options.clock.monotonicMs();
  }

  /** Its routes. */
  routes(): Route[] {
    return [
      unary(Admin.getStatus, "admin", () => this.#status()),
      unary(Admin.listWorkers, "admin", () => this.#workers()),
      unary(Admin.getAction, "admin", (request, context) => this.#action(request, context)),
      unary(Admin.drainWorker, "admin", (request) => this.#drain(request)),
      unary(Admin.resumeWorker, "admin", (request) => this.#resume(request)),
      ...this.#options.cacheAdmin.routes(),
    ];
  }

  /** Remembers what a worker said of itself. */
  noteHello(hello: Hello): void {
    this.#hellos.set(hello.workerId, hello);
  }

  /** Forgets the workers that the grid forgot. */
  prune(): void {
    const known = new Set<string>(this.#options.grid.workers().map(({ spec }) => spec.id));
    for (const id of this.#hellos.keys()) if (!known.has(id)) this.#hellos.delete(id);
  }

  async #status(): Promise<Init<GetStatusResponse>> {
    const { grid, blobs, cache, cacheAdmin, metrics, health, clock, epoch, softwareVersion } = this.#options;
    const stat = grid.stat();
    const { ready, waiting } = health.report();
    const [store, actionResults, summary] = await Promise.all([
      blobs.stat(),
      cache.count(),
      cacheAdmin.summary(),
    ]);
    return {
      softwareVersion,
      bootEpoch: epoch,
      uptime: durationOf(clock.monotonicMs() - this.#startMs),
      ready,
      waitingFor: waiting,
      queued: stat.queued,
      running: stat.running,
      workers: stat.workers,
      slots: stat.slots,
      store: storeStat(store, actionResults, summary),
      residentBytes: Deno.memoryUsage().rss,
      actionsExecuted: metrics.executed,
      actionsCached: metrics.hits,
      warnings: this.#warnings(),
      httpCache: this.#options.httpCache() ?? "",
    };
  }

  #warnings(): string[] {
    const { grid, sandboxRule } = this.#options;
    const warnings: string[] = [];
    const unsandboxed = grid.workers()
      .filter(({ spec, connected }) => connected && isUnsandboxed(spec.environment))
      .map(({ spec }) => spec.id);
    if (unsandboxed.length > 0) {
      warnings.push(`Nothing isolates the actions on ${list(unsandboxed)}; run trusted actions only`);
    }
    const refused = sandboxRule.refused();
    if (refused.length > 0) {
      warnings.push(
        `Refused, since nothing isolates the actions on them (control.require_sandbox): ${list(refused)}`,
      );
    }
    const pressed = pressureOf(this.#options.blobs)?.warning;
    if (pressed !== undefined) warnings.push(pressed);
    for (const { jobs, why } of grid.unmatched().slice(0, 20)) {
      warnings.push(`${jobs} ${jobs === 1 ? "action waits" : "actions wait"}: ${why}`);
    }
    return warnings;
  }

  #workers(): Init<ListWorkersResponse> {
    const { grid } = this.#options;
    const workers = grid.workers().map(
      ({ spec, connected, drained, leaving, slotsUsed, leases, silentMs, completed }) => {
        const hello = this.#hellos.get(spec.id);
        return {
          workerId: spec.id,
          connected,
          draining: drained !== undefined || leaving,
          drainReason: drained ?? "",
          leaving,
          slots: spec.slots,
          slotsUsed,
          platform: { properties: spec.platform },
          resources: hello?.resources,
          load: grid.loadOf(spec.id as WorkerId),
          environment: spec.environment,
          softwareVersion: hello?.softwareVersion ?? "",
          lastHeartbeatAgo: durationOf(silentMs),
          leases,
          completed,
        };
      },
    );
    return { workers };
  }

  async #drain({ workerId, reason, end }: DrainWorkerRequest): Promise<Init<DrainWorkerResponse>> {
    const { grid, drains, log } = this.#options;
    const worker = workerId as WorkerId;
    if (grid.worker(worker) === undefined) throw unknownWorker(workerId);
    if (reason.length > MAX_REASON_LENGTH) {
      throw invalidArgument("reason", `A reason has at most ${MAX_REASON_LENGTH} characters`);
    }
    if (!grid.drains.has(worker) && grid.drains.size >= MAX_DRAINS) {
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        `${MAX_DRAINS} workers are drained already; resume those that are gone for good`,
      );
    }
    const why = reason === "" ? "An operator asked for it" : reason;
    log.info("An operator drains a worker", { worker, reason: why, end });
    grid.post({ type: "drainWorker", worker, reason: why, end });
    await drains.write(grid.drains);
    return { leases: grid.worker(worker)?.leases.length ?? 0 };
  }

  async #resume({ workerId }: ResumeWorkerRequest): Promise<Init<ResumeWorkerResponse>> {
    const { grid, drains, log } = this.#options;
    const worker = workerId as WorkerId;
    if (grid.worker(worker) === undefined && !grid.drains.has(worker)) throw unknownWorker(workerId);
    log.info("An operator resumes a worker", { worker });
    grid.post({ type: "resumeWorker", worker });
    await drains.write(grid.drains);
    return {};
  }

  async #action(request: GetActionRequest, context: CallContext): Promise<Init<GetActionResponse>> {
    const { grid } = this.#options;
    if (request.operationName !== "") {
      const record = grid.record(request.operationName as OperationName) ??
        await this.#byHash(request.operationName, request.instanceName, context.signal);
      if (record === undefined) {
        throw notFound(
          `Operation ${JSON.stringify(request.operationName.slice(0, 200))} is not known; ` +
            '"brokk operations list" tells those that are, and an action is <hash>/<size>',
        );
      }
      const { scope, digest } = record.init;
      context.scope(scope.instance);
      return { records: [await this.#record(record)], cachedResult: await this.#cached(scope, digest) };
    }
    if (request.actionDigest === undefined) {
      throw invalidArgument("action_digest", "Name an action digest or an operation");
    }
    const scope = context.scope(request.instanceName);
    const digest = parseDigest(request.actionDigest, request.digestFunction, "action_digest");
    const found: OperationRecord[] = [];
    const slices = new Slices(context.signal);
    let elsewhere: string | undefined;
    for (const record of grid.newestFirst()) {
      if (slices.spent) await slices.next();
      const { init } = record;
      if (!sameDigest(init.digest, digest)) continue;
      if (scopeKey(init.scope) !== scopeKey(scope)) {
        elsewhere ??= init.scope.instance;
        continue;
      }
      if (found.push(record) === MAX_RECORDS) break;
    }
    const records: Init<ActionRecord>[] = [];
    // One after the other: all at once they would hold up the event loop with large results.
    for (const record of found) records.push(await this.#record(record));
    const cachedResult = await this.#cached(scope, digest);
    if (records.length === 0 && cachedResult === undefined) {
      throw notFound(
        `Nothing is remembered of action ${formatDigest(digest)} in instance ` +
          `${JSON.stringify(scope.instance)}, and no result is cached` +
          (elsewhere === undefined ? "" : `; instance ${JSON.stringify(elsewhere)} knows it`),
      );
    }
    return { records, cachedResult };
  }

  /**
   * The newest operation whose action's hash begins with `prefix`, which is what lists of operations show: of `instance`,
   * or of any when that is empty, as for lists.
   */
  async #byHash(prefix: string, instance: string, signal: AbortSignal): Promise<OperationRecord | undefined> {
    if (!HASH_PREFIX.test(prefix)) return undefined;
    const slices = new Slices(signal);
    for (const record of this.#options.grid.newestFirst()) {
      if (slices.spent) await slices.next();
      const { scope, digest } = record.init;
      if (digest.hash.startsWith(prefix) && (instance === "" || instance === scope.instance)) return record;
    }
    return undefined;
  }

  async #cached(scope: Scope, digest: Digest): Promise<GetActionResponse["cachedResult"]> {
    const { cache, environments } = this.#options;
    const answer = await cache.get(scope, digest, ...environments.current);
    return answer.hit ? await readActionResult(answer.bytes) : undefined;
  }

  async #record(record: OperationRecord): Promise<Init<ActionRecord>> {
    const { init, end } = record;
    const { grid, clock } = this.#options;
    const view = grid.view(record.name);
    const result = end?.result === undefined ? undefined : await readActionResult(end.result);
    const metadata = result?.executionMetadata;
    return {
      operationName: record.name,
      instanceName: init.scope.instance,
      actionDigest: { hash: init.digest.hash, sizeBytes: init.digest.sizeBytes },
      digestFunction: init.digest.fn.value,
      stage: record.stage,
      cached: end?.cached ?? false,
      status: { code: end?.code ?? Code.OK, message: end?.message ?? view?.waitingFor ?? "" },
      exitCode: end?.exitCode ?? 0,
      workerId: record.worker || metadata?.worker || "",
      attempts: view?.attempts ?? record.attempts,
      created: timestampOf(record.createdWallMs),
      phases: actionPhases(record, metadata, clock.monotonicMs()),
      requestMetadata: requestMetadata(init.clientMetadata),
      traceId: init.span.context.traceId,
      arguments: await this.#arguments(init.scope, init.digest),
      usage: usageOf(metadata),
    };
  }

  /** The command line, as far as it is still in the store. */
  async #arguments(scope: Scope, digest: Digest): Promise<readonly string[]> {
    const { blobs } = this.#options;
    try {
      const { commandDigest } = ActionCodec.decode(await blobs.get(scope, digest));
      if (commandDigest === undefined || commandDigest.sizeBytes > MAX_COMMAND_BYTES) return [];
      const command = await blobs.get(scope, parseDigest(commandDigest, digest.fn.value));
      return CommandCodec.decode(command).arguments;
    } catch (error) {
      // For display: what is gone or malformed cannot be shown.
      const { code } = asBrokkrError(error);
      if (code === Code.NOT_FOUND || code === Code.INVALID_ARGUMENT) return [];
      throw error;
    }
  }
}

function unknownWorker(id: string): BrokkrError {
  return notFound(`No worker ${JSON.stringify(id)} is listed; "brokk workers" tells the names of all`);
}

function list(names: readonly string[]): string {
  return names.length <= 5
    ? names.join(", ")
    : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
}

function storeStat(
  { blobs, bytes, diskBytes, segments, files, freeBytes }: BlobStoreStat,
  actionResults: number,
  { maxBytes = 0, maxBlobs = 0, warning = "" }: StoreSummary,
): GetStatusResponse["store"] {
  return {
    blobs,
    bytes,
    diskBytes,
    segments,
    files,
    actionResults,
    freeBytes,
    maxBytes,
    maxBlobs,
    warning,
  };
}

function requestMetadata(bytes: Uint8Array | undefined): ActionRecord["requestMetadata"] {
  if (bytes === undefined) return undefined;
  try {
    return RequestMetadataCodec.decode(bytes);
  } catch {
    // Whatever a client sends of itself, it is for display only.
    return undefined;
  }
}

function usageOf(metadata: ExecutedActionMetadata | undefined): ActionRecord["usage"] {
  const any = metadata?.auxiliaryMetadata.find(({ typeUrl }) => typeUrl.endsWith(RESOURCE_USAGE));
  if (any === undefined) return undefined;
  try {
    return ResourceUsageCodec.decode(any.value);
  } catch {
    // A worker's nonsense must not hide the rest.
    return undefined;
  }
}
