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
  type BlobStore,
  type Digest,
  digestKey,
  formatDigest,
  type InlineRequest,
  missingBlobsError,
  parseDigest,
} from "@brokkr/cas";
import {
  asBrokkrError,
  BrokkrError,
  cancelled,
  type Clock,
  Code,
  formatTraceparent,
  invalidArgument,
  notFound,
  type OperationName,
  type Random,
  randomHex,
  type Scope,
  scopeKey,
  type Tracer,
} from "@brokkr/common";
import type { ExecuteRequest, WaitExecutionRequest } from "@brokkr/proto";
import { type CallContext, type Route, serverStream } from "@brokkr/proto/rpc/server";
import { checkAction, checkCommand, MAX_ACTION_BYTES, type TimeoutLimits } from "./action_check.ts";
import type { Environments } from "./environments.ts";
import { cachedEnd, inlineResult } from "./_cached_end.ts";
import { failedEnd, type Grid, type JobPayload } from "./grid.ts";
import type { GridMetrics } from "./_grid_metrics.ts";
import { encodeExecuteResponse, RawExecution } from "./_messages.ts";
import { type ExecuteEnd, OperationRecord } from "./operation_record.ts";
import type { PlatformProperty } from "./scheduler/mod.ts";

/** What the Execution service is made of. */
export interface ExecutionOptions extends TimeoutLimits {
  readonly grid: Grid;
  readonly blobs: BlobStore;
  readonly cache: ActionCache;
  /** Environments whose results may answer. */
  readonly environments: Environments;
  /** Boot epoch, part of the names of operations. */
  readonly epoch: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly tracer: Tracer;
  readonly metrics: GridMetrics;
}

const MAX_INLINE_PATHS = 10_000;

/** Runs actions for clients. */
export class ExecutionService {
  readonly #options: ExecutionOptions;
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

  async *#execute(
    request: ExecuteRequest,
    context: CallContext,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const scope = context.scope(request.instanceName);
    const digest = parseDigest(request.actionDigest, request.digestFunction, "action_digest");
    if (digest.sizeBytes > MAX_ACTION_BYTES) {
      throw invalidArgument("action_digest", `An Action may have at most ${MAX_ACTION_BYTES} bytes`);
    }
    const record = this.#newRecord(request, scope, digest, context);
    try {
      // The name first: whatever happens to the stream from here on, the client can come back.
      yield record.encode();
      const cached = request.skipCacheLookup ? undefined : await this.#lookup(record);
      if (cached !== undefined) this.#finishAtOnce(record, cached);
      else await this.#submit(record, request);
      for await (const operation of record.follow(context.signal)) yield operation;
    } catch (error) {
      // Before it was handed to the grid nobody else ends it.
      if (this.#options.grid.record(record.name) !== record) record.refuse(asBrokkrError(error));
      throw error;
    } finally {
      if (this.#options.grid.record(record.name) === record) {
        this.#options.grid.post({ type: "unwatch", operation: record.name });
      } else {
        record.refuse(cancelled("The client left before the action was taken in"));
      }
    }
  }

  async *#wait(
    request: WaitExecutionRequest,
    context: CallContext,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { grid } = this.#options;
    const name = request.name as OperationName;
    const record = grid.record(name);
    if (record === undefined) {
      throw notFound(
        `Operation ${
          JSON.stringify(name.slice(0, 200))
        } is not known; it ended long ago, or control restarted: ` +
          "execute the action again",
      );
    }
    context.scope(record.init.scope.instance);
    grid.post({ type: "watch", operation: name });
    try {
      for await (const operation of record.follow(context.signal)) yield operation;
    } finally {
      grid.post({ type: "unwatch", operation: name });
    }
  }

  #newRecord(request: ExecuteRequest, scope: Scope, digest: Digest, context: CallContext): OperationRecord {
    const { epoch, random, tracer, clock } = this.#options;
    if (request.inlineOutputFiles.length > MAX_INLINE_PATHS) {
      throw invalidArgument("inline_output_files", `At most ${MAX_INLINE_PATHS} files can be inlined`);
    }
    const name = `operations/${epoch}-${++this.#counter}-${randomHex(random, 8)}` as OperationName;
    const span = tracer.start("action", context.trace, { operation: name, action: formatDigest(digest) });
    const inline: InlineRequest = {
      stdout: request.inlineStdout,
      stderr: request.inlineStderr,
      files: request.inlineOutputFiles,
    };
    const clientMetadata = context.clientMetadataBytes;
    const told = context.clientMetadata;
    if (told !== undefined) {
      span.set("tool", told.toolName);
      span.set("invocation", told.toolInvocationId);
      span.set("mnemonic", told.actionMnemonic);
      span.set("target", told.targetId);
    }
    return new OperationRecord({ name, scope, digest, inline, clientMetadata, span, tracer }, clock);
  }

  /** The end of an operation whose result is in the cache, complete. */
  async #lookup(record: OperationRecord): Promise<ExecuteEnd | undefined> {
    const { cache, environments, metrics, blobs, tracer } = this.#options;
    const { scope, digest, span } = record.init;
    using lookup = tracer.start("cache check", span.context);
    try {
      const answer = await cache.get(scope, digest, ...environments.current);
      metrics.lookup(answer.hit);
      lookup.set("hit", answer.hit);
      if (!answer.hit) return undefined;
      const result =
        await (inlineResult(blobs, scope, digest.fn, answer.bytes, record.inline) ?? answer.bytes);
      return cachedEnd(result);
    } catch (error) {
      // A cache that fails must not fail the action.
      lookup.fail(error);
      return undefined;
    }
  }

  /** Answers an operation that needs no worker; it can be waited for all the same. */
  #finishAtOnce(record: OperationRecord, end: ExecuteEnd): void {
    const { grid, metrics, clock } = this.#options;
    grid.add(record);
    record.finish(end);
    metrics.finished(end, clock.monotonicMs() - record.createdMs);
    grid.post({ type: "cached", operation: record.name, sizeBytes: record.sizeBytes });
  }

  async #submit(record: OperationRecord, request: ExecuteRequest): Promise<void> {
    let job: Awaited<ReturnType<ExecutionService["prepare"]>>;
    try {
      job = await this.prepare(record);
    } catch (error) {
      const known = asBrokkrError(error);
      if (known.code === Code.INTERNAL) throw error;
      return this.#finishAtOnce(record, failedEnd(known));
    }
    const { payload, platform } = job;
    const { scope, digest } = payload;
    const { grid } = this.#options;
    grid.add(record);
    grid.post({
      type: "submit",
      operation: record.name,
      twinKey: payload.doNotCache ? undefined : `${scopeKey(scope)} ${digestKey(digest)}`,
      platform,
      priority: request.executionPolicy?.priority ?? 0,
      timeoutMs: payload.timeoutMs,
      sizeBytes: record.sizeBytes + payload.action.length + payload.command.length,
      payload,
    });
  }

  /**
   * Reads and checks what the operation's action is.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming a missing blob; INVALID_ARGUMENT for what no worker could run.
   */
  async prepare(
    record: OperationRecord,
  ): Promise<{ readonly payload: JobPayload; readonly platform: readonly PlatformProperty[] }> {
    const { scope, digest, span } = record.init;
    const action = await this.#read(scope, digest, "Action");
    const checked = checkAction(action, digest.fn, this.#options);
    const command = await this.#read(scope, checked.commandDigest, "Command");
    const platform = checkCommand(command);
    const { timeoutMs, doNotCache } = checked;
    const traceparent = formatTraceparent(span.context);
    return {
      payload: { scope, digest, action, command, timeoutMs, doNotCache, traceparent },
      platform: checked.platform ?? platform ?? [],
    };
  }

  async #read(scope: Scope, digest: Digest, what: string): Promise<Uint8Array> {
    const { blobs } = this.#options;
    try {
      return await collect(blobs, scope, digest);
    } catch (error) {
      if (!(error instanceof BrokkrError) || error.code !== Code.NOT_FOUND) throw error;
      throw missingBlobsError(`${what} ${formatDigest(digest)} is not in the store; upload it first`, [
        digest,
      ]);
    }
  }
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
  record: OperationRecord,
  end: ExecuteEnd,
): Promise<ExecuteEnd> | undefined {
  const { scope, digest } = record.init;
  // A result with a status (a timeout, say) is told by its digests; putting its pieces together anew is not worth it.
  if (end.code !== Code.OK) return undefined;
  const inlined = inlineResult(blobs, scope, digest.fn, end.result, record.inline);
  return inlined?.then((result) => {
    if (result === end.result) return end;
    return { ...end, ...encodeExecuteResponse({ result, cached: end.cached, message: end.message }) };
  });
}
