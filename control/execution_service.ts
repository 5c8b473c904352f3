/**
 * Execution: Execute and WaitExecution.
 *
 * What is wrong with the request itself (a digest, a digest function, an instance name) is the status of the call. From
 * its first message on an operation exists, and what goes wrong with it, such as a missing or malformed Action, goes into
 * ExecuteResponse.status, where clients look for missing blobs. Load is the status of the call again: clients back off
 * and begin anew.
 *
 * Ending the stream does not stop the action: the operation waits a minute for WaitExecution.
 *
 * @module
 */

import {
  type ActionCache,
  batchOf,
  type BlobStore,
  type Digest,
  digestKey,
  formatDigest,
  type InlineRequest,
  missingBlobsError,
  parseDigest,
  sameDigest,
} from "@brokkr/cas";
import {
  asBrokkrError,
  BrokkrError,
  type ByteBudget,
  type Clock,
  Code,
  formatTraceparent,
  invalidArgument,
  type Logger,
  notFound,
  type OperationName,
  type Random,
  randomHex,
  type Scope,
  scopeKey,
  type Tracer,
} from "@brokkr/common";
import type { ExecuteRequest, WaitExecutionRequest } from "@brokkr/proto";
import { type CallContext, clientAttributes, type Route, serverStream } from "@brokkr/proto/rpc/server";
import {
  checkAction,
  checkCommand,
  type CheckedAction,
  MAX_ACTION_BYTES,
  type TimeoutLimits,
} from "./action_check.ts";
import type { Environments } from "./environments.ts";
import { cachedEnd, inlineResult } from "./_cached_end.ts";
import { failedEnd, type JobPayload } from "./grid.ts";
import type { GridMetrics } from "./_grid_metrics.ts";
import { lostOperation } from "./_lost_operation.ts";
import { encodeExecuteResponse, RawExecution } from "./_messages.ts";
import { withPressure } from "./_store_pressure.ts";
import type { Operations } from "./operations.ts";
import { type ExecuteEnd, OperationRecord } from "./operation_record.ts";
import type { PlatformProperty } from "./scheduler/mod.ts";

/** What the Execution service is made of. */
export interface ExecutionOptions extends TimeoutLimits {
  readonly operations: Operations;
  readonly blobs: BlobStore;
  /** Charged for contents while they are put into results. */
  readonly budget?: ByteBudget;
  readonly cache: ActionCache;
  /** Environments whose results may answer. */
  readonly environments: Environments;
  /** Boot epoch, part of the names of operations. */
  readonly epoch: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly tracer: Tracer;
  readonly metrics: GridMetrics;
  readonly log: Logger;
}

/** An action that the scheduler can take. */
export interface PreparedJob {
  /** What a worker needs. */
  readonly payload: JobPayload;
  /** What it must offer. */
  readonly platform: readonly PlatformProperty[];
}

const MAX_INLINE_PATHS = 10_000;

/** Runs actions for clients. */
export class ExecutionService {
  readonly #options: ExecutionOptions;
  readonly #checks = new Set<Promise<void>>();
  #counter = 0;

  constructor(options: ExecutionOptions) {
    this.#options = options;
  }

  /** Its routes. */
  routes(): Route[] {
    return [
      serverStream(RawExecution.execute, "execute", (request, context) => this.#execute(request, context)),
      serverStream(RawExecution.waitExecution, "execute", (request, context) => this.#wait(request, context)),
    ];
  }

  /** Resolves when no action is being looked up or checked. */
  async settled(): Promise<void> {
    while (this.#checks.size > 0) await Promise.all(this.#checks);
  }

  async *#execute(
    request: ExecuteRequest,
    context: CallContext,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { operations } = this.#options;
    const scope = context.scope(request.instanceName);
    const digest = parseDigest(request.actionDigest, request.digestFunction, "action_digest");
    if (digest.sizeBytes > MAX_ACTION_BYTES) {
      throw invalidArgument("action_digest", `An Action may have at most ${MAX_ACTION_BYTES} bytes`);
    }
    const record = this.#newRecord(request, scope, digest, context);
    operations.begin(record);
    const first = record.encode();
    const { version } = record;
    // Apart from this call: from here on the operation lives by itself, whatever happens to the stream.
    const check = this.#check(record, request).finally(() => this.#checks.delete(check));
    this.#checks.add(check);
    try {
      // The name first, so that the client can come back.
      yield first;
      for await (const operation of record.follow(context.signal, version)) yield operation;
    } finally {
      operations.unwatch(record);
    }
  }

  async *#wait(
    request: WaitExecutionRequest,
    context: CallContext,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { operations, epoch } = this.#options;
    const record = operations.find(request.name, (instance) => context.scope(instance));
    if (record === undefined) {
      const lost = lostOperation(request.name, epoch);
      if (lost === undefined) throw unknownOperation(request.name);
      return yield lost;
    }
    operations.watch(record);
    try {
      for await (const operation of record.follow(context.signal)) yield operation;
    } finally {
      operations.unwatch(record);
    }
  }

  #newRecord(request: ExecuteRequest, scope: Scope, digest: Digest, context: CallContext): OperationRecord {
    const { epoch, random, tracer, clock, log } = this.#options;
    if (request.inlineOutputFiles.length > MAX_INLINE_PATHS) {
      throw invalidArgument("inline_output_files", `At most ${MAX_INLINE_PATHS} files can be inlined`);
    }
    const sequence = ++this.#counter;
    const name = `operations/${epoch}-${sequence}-${randomHex(random, 8)}` as OperationName;
    const told = context.clientMetadata;
    const span = tracer.start("action", context.trace, {
      "brokkr.operation": name,
      "brokkr.action": formatDigest(digest),
      ...clientAttributes(told),
    });
    const inline: InlineRequest = {
      stdout: request.inlineStdout,
      stderr: request.inlineStderr,
      files: request.inlineOutputFiles,
    };
    const clientMetadata = context.clientMetadataBytes;
    const init = { name, sequence, scope, digest, inline, clientMetadata, client: told, span, tracer, log };
    return new OperationRecord(init, clock);
  }

  /** The end of an operation whose result is in the cache, complete. */
  async #lookup(record: OperationRecord): Promise<ExecuteEnd | undefined> {
    const { cache, environments, metrics, blobs, budget, tracer } = this.#options;
    const { scope, digest, span } = record.init;
    using lookup = tracer.start("cache check", span.context);
    try {
      const answer = await cache.get(scope, digest, ...environments.current);
      metrics.lookup(answer.hit);
      lookup.set("brokkr.cache_hit", answer.hit);
      if (!answer.hit) return undefined;
      const result =
        await (inlineResult(blobs, budget, scope, digest.fn, answer.bytes, record.inline) ?? answer.bytes);
      return cachedEnd(result);
    } catch (error) {
      // A cache that fails must not fail the action.
      lookup.fail(error);
      return undefined;
    }
  }

  /** Answers from the cache or hands to the scheduler; never rejects. */
  async #check(record: OperationRecord, request: ExecuteRequest): Promise<void> {
    const { operations, metrics, clock } = this.#options;
    const finish = (end: ExecuteEnd) => {
      operations.finish(record, end);
      metrics.finished(end, clock.monotonicMs() - record.createdMs);
    };
    try {
      const cached = request.skipCacheLookup ? undefined : await this.#lookup(record);
      // It may have been cancelled meanwhile.
      if (!operations.isChecking(record)) return;
      if (cached !== undefined) return finish(cached);
      const job = await this.prepare(record);
      if (operations.isChecking(record)) this.#submit(record, request, job);
    } catch (thrown) {
      const error = asBrokkrError(thrown);
      if (!operations.isChecking(record)) return;
      if (error.code !== Code.INTERNAL) return finish(failedEnd(error));
      record.refuse(error);
      operations.drop(record);
    }
  }

  #submit(record: OperationRecord, request: ExecuteRequest, { payload, platform }: PreparedJob): void {
    const { scope, digest } = payload;
    this.#options.operations.submit(record, {
      twinKey: payload.doNotCache ? undefined : `${scopeKey(scope)} ${digestKey(digest)}`,
      platform,
      priority: request.executionPolicy?.priority ?? 0,
      timeoutMs: payload.timeoutMs,
      fresh: request.skipCacheLookup,
      sizeBytes: payload.action.length + payload.command.length,
      operationBytes: record.sizeBytes,
      payload,
    });
  }

  /**
   * Reads and checks what the operation's action is.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming a missing blob; INVALID_ARGUMENT for what no worker could run.
   */
  async prepare(record: OperationRecord): Promise<PreparedJob> {
    const { name, scope, digest, span, clientMetadata } = record.init;
    const action = await this.#read(scope, digest, "Action");
    const checked = checkAction(action, digest.fn, this.#options);
    await this.#requirePresent(scope, checked);
    const command = await this.#read(scope, checked.commandDigest, "Command");
    const platform = checkCommand(command);
    const { timeoutMs, doNotCache } = checked;
    const traceparent = formatTraceparent(span.context);
    return {
      payload: {
        operation: name,
        scope,
        digest,
        action,
        command,
        timeoutMs,
        doNotCache,
        traceparent,
        clientMetadata,
      },
      platform: checked.platform ?? platform ?? [],
    };
  }

  /** All that is missing is named at once, lest the client come back for each. What lies below the root workers see. */
  async #requirePresent(scope: Scope, { commandDigest, inputRootDigest }: CheckedAction): Promise<void> {
    const command = ["Command", commandDigest] as const;
    const inputRoot = ["Input root", inputRootDigest] as const;
    const named = sameDigest(commandDigest, inputRootDigest) ? [command] : [command, inputRoot];
    const digests = named.map(([, digest]) => digest);
    const missing = await this.#options.blobs.missing(scope, batchOf(commandDigest.fn, digests));
    if (missing.length === 0) return;
    const gone = Array.from(missing, (index) => named[index]);
    const words = gone.map(([what, digest]) => `${what} ${formatDigest(digest)}`).join(" and ");
    throw withPressure(
      this.#options.blobs,
      missingBlobsError(
        `${words} ${gone.length === 1 ? "is" : "are"} not in the store; upload what is missing first`,
        gone.map(([, digest]) => digest),
      ),
    );
  }

  async #read(scope: Scope, digest: Digest, what: string): Promise<Uint8Array> {
    const { blobs } = this.#options;
    try {
      return await collect(blobs, scope, digest);
    } catch (error) {
      if (!(error instanceof BrokkrError) || error.code !== Code.NOT_FOUND) throw error;
      const words = `${what} ${formatDigest(digest)} is not in the store; upload it first`;
      throw withPressure(blobs, missingBlobsError(words, [digest]));
    }
  }
}

/** NOT_FOUND for an operation, with what to do about it. */
export function unknownOperation(name: string): BrokkrError {
  const shown = JSON.stringify(name.slice(0, 200));
  return notFound(
    `Operation ${shown} is not known; it ended long ago, or control restarted: execute the action again`,
  );
}

/** Blobs up to this size are read at once. */
const WHOLE_BYTES = 1 << 20;

async function collect(blobs: BlobStore, scope: Scope, digest: Digest): Promise<Uint8Array> {
  if (digest.sizeBytes <= WHOLE_BYTES) return await blobs.get(scope, digest);
  const whole = new Uint8Array(digest.sizeBytes);
  let at = 0;
  for await (const piece of blobs.read(scope, digest)) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** `end` with the contents that the operation's client asked for; undefined when there is nothing to do. */
export function inlineEnd(
  blobs: BlobStore,
  budget: ByteBudget | undefined,
  record: OperationRecord,
  end: ExecuteEnd,
): Promise<ExecuteEnd> | undefined {
  const { scope, digest } = record.init;
  // A result with a status (a timeout, say) is told by its digests; putting its pieces together anew is not worth it.
  if (end.code !== Code.OK) return undefined;
  const inlined = inlineResult(blobs, budget, scope, digest.fn, end.result, record.inline);
  return inlined?.then((result) => {
    if (result === end.result) return end;
    return { ...end, ...encodeExecuteResponse({ result, cached: end.cached, message: end.message }) };
  });
}
