/**
 * Runs an action to its end through broken streams and evicted inputs.
 *
 * @module
 */

import type { Digest } from "@brokkr/cas/client";
import { BrokkrError, type Clock, Code, type Random, sleep } from "@brokkr/common";
import {
  type ExecuteOperationMetadata,
  ExecuteOperationMetadataCodec,
  type ExecuteResponse,
  ExecuteResponseCodec,
  Execution,
  ExecutionStage,
  type Operation,
  type Status,
  StatusCodec,
} from "@brokkr/proto";
import { type CallOptions, type Channel, fromWireStatus } from "@brokkr/proto/rpc/client";

/** Where an execution is. */
export type Stage = "cache-check" | "queued" | "executing" | "completed";

/** Told each time the stage changes. */
export type OnStage = (stage: Stage, operationName: string) => void;

/** What an execution is made of. */
export interface ExecutionContext {
  /** The grid. */
  readonly channel: Channel;
  /** REAPI instance name. */
  readonly instance: string;
  /** Waits between attempts. */
  readonly clock: Clock;
  /** Spreads them. */
  readonly random: Random;
}

/** One execution. */
export interface ExecutionRequest {
  /** What to run. */
  readonly actionDigest: Digest;
  /** Runs it even if there is a result. */
  readonly skipCacheLookup: boolean;
  /** Options of the calls. */
  readonly call: CallOptions;
  /** Told each time the stage changes. */
  readonly onStage?: OnStage;
  /** Told when a stream broke and the execution is joined again. */
  readonly onResume?: (error: BrokkrError) => void;
  /** Uploads what the grid lacks, named by subjects such as `blobs/<hash>/<size>`; false when it cannot. */
  readonly uploadMissing: (subjects: readonly string[]) => Promise<boolean>;
}

/** How an execution ended. */
export interface ExecutionEnd {
  /** The operation's name. */
  readonly operationName: string;
  /** What came of it. */
  readonly response: ExecuteResponse;
}

/** Broken streams in a row, without a word from the grid between them, before the execution is given up. */
const MAX_BREAKS = 8;
/** Times in all that a grid which is full may send an execution away before it is given up. */
const MAX_REFUSALS = 8;
/** Times that missing inputs are uploaded again, and that an operation which was forgotten is started again. */
const MAX_RESTARTS = 3;

const STAGES: Readonly<Record<number, Stage>> = {
  [ExecutionStage.CACHE_CHECK]: "cache-check",
  [ExecutionStage.QUEUED]: "queued",
  [ExecutionStage.EXECUTING]: "executing",
  [ExecutionStage.COMPLETED]: "completed",
};

/** The inputs that an error says are missing: the subjects of its MISSING violations. */
export function missingSubjects(error: BrokkrError): readonly string[] {
  if (error.code !== Code.FAILED_PRECONDITION) return [];
  return error.details.flatMap((detail) =>
    detail.kind === "preconditionFailure"
      ? detail.violations.filter((violation) => violation.type === "MISSING").map(({ subject }) => subject)
      : []
  );
}

/** One execution under way: the operation's name as far as it is known, and how often things went wrong. */
class Run {
  readonly #context: ExecutionContext;
  readonly #request: ExecutionRequest;
  #name = "";
  #stage: Stage | undefined;
  #breaks = 0;
  #refusals = 0;
  #restarts = 0;
  #joined = false;

  constructor(context: ExecutionContext, request: ExecutionRequest) {
    this.#context = context;
    this.#request = request;
  }

  async toEnd(): Promise<ExecutionEnd> {
    for (;;) {
      try {
        const joined = this.#name !== "";
        const end = await this.#watch();
        const status = statusOf(end.response);
        if (joined && status?.code === Code.UNAVAILABLE && ++this.#restarts <= MAX_RESTARTS) {
          // A control plane that restarted, or shut down, lost the operation.
          this.#name = "";
          continue;
        }
        if (status === undefined || missingSubjects(status).length === 0) return end;
        await this.#restart(status);
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /**
   * Follows one stream to the operation's end, and then to its own: HTTP/2 servers close a connection whose client breaks
   * off streams too often (CVE-2023-44487), and the end is only a frame away.
   */
  async #watch(): Promise<ExecutionEnd> {
    let end: ExecutionEnd | undefined;
    try {
      for await (const operation of this.#open()) {
        this.#name = operation.name;
        this.#breaks = 0;
        this.#tell(operation);
        if (operation.done) end ??= { operationName: operation.name, response: responseOf(operation) };
      }
    } catch (error) {
      if (end === undefined) throw error;
    }
    if (end !== undefined) return end;
    throw new BrokkrError(Code.UNAVAILABLE, "The grid ended the stream before the action was done");
  }

  #open(): AsyncIterable<Operation> {
    const { channel, instance } = this.#context;
    const { actionDigest, skipCacheLookup, call } = this.#request;
    this.#joined = this.#name !== "";
    if (this.#joined) return channel.serverStream(Execution.waitExecution, { name: this.#name }, call);
    return channel.serverStream(Execution.execute, {
      instanceName: instance,
      actionDigest,
      digestFunction: actionDigest.fn.value,
      skipCacheLookup,
      inlineStdout: true,
      inlineStderr: true,
    }, call);
  }

  #tell(operation: Operation): void {
    const stage = STAGES[metadataOf(operation)?.stage ?? 0];
    if (stage === undefined || stage === this.#stage) return;
    this.#stage = stage;
    this.#request.onStage?.(stage, operation.name);
  }

  async #recover(error: unknown): Promise<void> {
    if (!(error instanceof BrokkrError) || this.#request.call.signal?.aborted) throw error;
    if (missingSubjects(error).length > 0) return await this.#restart(error);
    if (error.code === Code.NOT_FOUND && this.#name !== "") {
      // The grid restarted, or forgot the operation: what it did is in the cache, or has to be done again.
      if (++this.#restarts > MAX_RESTARTS) throw error;
      this.#name = "";
      return;
    }
    const full = error.code === Code.RESOURCE_EXHAUSTED && error.retryDelayMs !== undefined;
    if (!full && error.code !== Code.UNAVAILABLE && error.code !== Code.ABORTED) throw error;
    // What was sent away is forgotten: there is nothing to join.
    if (full && !this.#joined) this.#name = "";
    const times = full ? ++this.#refusals : ++this.#breaks;
    if (times > (full ? MAX_REFUSALS : MAX_BREAKS)) throw error;
    this.#request.onResume?.(error);
    const backoffMs = Math.min(5000, 100 * 2 ** times) * (0.5 + this.#context.random.next() / 2);
    const delayMs = Math.min(60_000, Math.max(backoffMs, error.retryDelayMs ?? 0));
    await sleep(this.#context.clock, delayMs, this.#request.call.signal);
  }

  /** Uploads what is missing and begins again. */
  async #restart(error: BrokkrError): Promise<void> {
    const uploaded = ++this.#restarts <= MAX_RESTARTS &&
      await this.#request.uploadMissing(missingSubjects(error));
    if (!uploaded) throw error;
    this.#name = "";
  }
}

/**
 * Executes an action and follows it to its end. A broken stream is joined again by WaitExecution; an operation that the
 * grid forgot is executed again; inputs that the grid lost are uploaded again.
 *
 * @throws {BrokkrError} with the grid's code when the execution could not be begun or followed.
 */
export async function runToEnd(context: ExecutionContext, request: ExecutionRequest): Promise<ExecutionEnd> {
  return await new Run(context, request).toEnd();
}

function errorOfStatus(status: Status): BrokkrError {
  return fromWireStatus(status.code, status.message, StatusCodec.encode(status));
}

/** The status of a response as an error; undefined when it is OK. */
export function statusOf(response: ExecuteResponse): BrokkrError | undefined {
  return response.status === undefined || response.status.code === 0
    ? undefined
    : errorOfStatus(response.status);
}

function metadataOf(operation: Operation): ExecuteOperationMetadata | undefined {
  const metadata = operation.metadata;
  if (metadata === undefined || !metadata.typeUrl.endsWith(".ExecuteOperationMetadata")) return undefined;
  return ExecuteOperationMetadataCodec.decode(metadata.value);
}

function responseOf(operation: Operation): ExecuteResponse {
  if (operation.error !== undefined) throw errorOfStatus(operation.error);
  const response = operation.response;
  if (response === undefined || !response.typeUrl.endsWith(".ExecuteResponse")) {
    throw new BrokkrError(Code.INTERNAL, `Operation ${operation.name} is done but holds no ExecuteResponse`);
  }
  return ExecuteResponseCodec.decode(response.value);
}
