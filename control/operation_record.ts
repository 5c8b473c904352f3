/**
 * What clients are told of one operation, and what is remembered of it.
 *
 * @module
 */

import type { Digest, InlineRequest } from "@brokkr/cas";
import {
  type BrokkrError,
  type Clock,
  Code,
  type Logger,
  type OperationName,
  type Scope,
  type Span,
  throwIfAborted,
  type Tracer,
} from "@brokkr/common";
import { ExecutionStage } from "@brokkr/proto";
import type { ClientMetadata } from "@brokkr/proto/rpc/server";
import { assert } from "./_assert.ts";
import { encodeOperation } from "./_messages.ts";
import { endFields, operationFields, refusalFields } from "./_operation_log.ts";

/** How an operation ended. Shared by all operations of one job. */
export interface ExecuteEnd {
  /** The encoded ActionResult as it came, if there is one; a view of the response. */
  readonly result: Uint8Array | undefined;
  /** The encoded ExecuteResponse with that result. */
  readonly response: Uint8Array;
  /** Whether it came from the action cache. */
  readonly cached: boolean;
  /** Status code of the response. */
  readonly code: number;
  /** Its message. */
  readonly message: string;
  /** Exit code of the command; 0 when there is no result. */
  readonly exitCode: number;
}

/** What an operation is made of. */
export interface OperationInit {
  readonly name: OperationName;
  /** Counts operations; later ones have greater numbers. */
  readonly sequence: number;
  readonly scope: Scope;
  readonly digest: Digest;
  readonly inline: InlineRequest;
  /** Encoded RequestMetadata of the client. */
  readonly clientMetadata: Uint8Array | undefined;
  /** What it says. */
  readonly client: ClientMetadata | undefined;
  /** The whole operation; ended with it. */
  readonly span: Span;
  /** Makes the spans of its steps. */
  readonly tracer: Tracer;
  /** Is told how it ends. */
  readonly log: Logger;
}

/** One step of an operation's way; it ends when the next begins. */
export interface OperationStep {
  readonly kind: "cache check" | "queued" | "on worker";
  /** Monotonic milliseconds. */
  readonly startMs: number;
  /** Who ran it; `""` for the other kinds. */
  readonly worker: string;
}

/** What a record takes beside what it holds, about. */
const RECORD_BYTES = 600;
const NO_CONTENTS: InlineRequest = { stdout: false, stderr: false, files: [] };

/** One operation: its stage, and a stream of it for each client that follows. */
export class OperationRecord {
  readonly init: Omit<OperationInit, "inline">;
  /** Contents that its client wants in the result; nothing once it has finished. */
  inline: InlineRequest;
  readonly createdMs: number;
  readonly createdWallMs: number;
  /** When it came to the queue first, and ended; monotonic milliseconds. */
  queuedMs: number | undefined;
  finishedMs: number | undefined;
  readonly #steps: OperationStep[] = [];
  /** Who has or had it. */
  worker = "";
  attempts = 0;
  #stage: ExecutionStage = ExecutionStage.CACHE_CHECK;
  #end: ExecuteEnd | undefined;
  #refused: BrokkrError | undefined;
  /** The step it is in. */
  #step: Span | undefined;
  #version = 0;
  readonly #followers = new Set<() => void>();
  readonly #clock: Clock;

  constructor({ inline, ...init }: OperationInit, clock: Clock) {
    this.init = init;
    this.inline = inline;
    this.#clock = clock;
    this.createdMs = clock.monotonicMs();
    this.createdWallMs = clock.wallMs();
    this.#steps.push({ kind: "cache check", startMs: this.createdMs, worker: "" });
  }

  get name(): OperationName {
    return this.init.name;
  }

  get stage(): ExecutionStage {
    return this.#stage;
  }

  /** How it ended; undefined before. */
  get end(): ExecuteEnd | undefined {
    return this.#end;
  }

  /** Its way so far. As long as attempts are bounded, so is this. */
  get steps(): readonly OperationStep[] {
    return this.#steps;
  }

  /** What remembering it costs, in bytes. */
  get sizeBytes(): number {
    // The client's metadata is kept as it came and decoded.
    let bytes = RECORD_BYTES + 3 * (this.init.clientMetadata?.length ?? 0) +
      (this.#end?.response.length ?? 0);
    for (const path of this.inline.files) bytes += 2 * path.length;
    return bytes;
  }

  /** It waits for a worker. */
  queued(attempts: number): void {
    this.queuedMs ??= this.#clock.monotonicMs();
    this.attempts = attempts;
    if (this.#steps.at(-1)?.kind === "on worker") {
      this.#log().info("An action goes back to the queue", { worker: this.worker, attempts });
    }
    this.#begin("queued", "");
    this.#enter(ExecutionStage.QUEUED);
  }

  /** A worker began. */
  executing(worker: string, attempts: number): void {
    this.queuedMs ??= this.#clock.monotonicMs();
    this.worker = worker;
    this.attempts = attempts;
    this.#begin("on worker", worker).set("brokkr.worker", worker);
    this.#enter(ExecutionStage.EXECUTING);
  }

  /** It is done. */
  finish(end: ExecuteEnd): void {
    assert(this.#end === undefined, "An operation's record finishes once");
    this.#end = end;
    this.inline = NO_CONTENTS;
    this.finishedMs = this.#clock.monotonicMs();
    const { worker, attempts, steps, createdMs, finishedMs } = this;
    this.#log().info("Action finished", endFields(end, { worker, attempts, steps, createdMs, finishedMs }));
    this.#endSpans(end);
    this.#enter(ExecutionStage.COMPLETED);
  }

  /** It was never begun; those who follow get `error` as the status of their call. Harmless once it has ended. */
  refuse(error: BrokkrError): void {
    if (this.#refused !== undefined || this.#end !== undefined) return;
    this.#refused = error;
    this.#log().info("Action refused", refusalFields(error));
    this.#step?.fail(error);
    this.#step?.end();
    this.init.span.fail(error);
    this.init.span.end();
    this.#tell();
  }

  #log(): Logger {
    return this.init.log.with(operationFields(this.init));
  }

  #endSpans(end: ExecuteEnd): void {
    const { span } = this.init;
    span.set("brokkr.cached", end.cached);
    span.set("rpc.grpc.status_code", end.code);
    if (end.code === Code.OK) span.set("process.exit.code", end.exitCode);
    else {
      const why = end.message || "It failed";
      this.#step?.fail(why);
      span.fail(why);
    }
    this.#step?.end();
    span.end();
  }

  /** Why it was refused; undefined when it was not. */
  get refused(): BrokkrError | undefined {
    return this.#refused;
  }

  /** The encoded Operation as it is now; with what its client said of itself for those who did not say it. */
  encode(withClient = false): Uint8Array {
    const { createdMs, createdWallMs, queuedMs } = this;
    return encodeOperation(this.name, {
      stage: this.#stage,
      digest: this.init.digest,
      worker: this.worker,
      queuedWallMs: queuedMs === undefined ? undefined : createdWallMs + queuedMs - createdMs,
      clientMetadata: withClient ? this.init.clientMetadata : undefined,
    }, this.#end?.response);
  }

  /** Counts its changes. */
  get version(): number {
    return this.#version;
  }

  /** Resolves when it has ended or was refused; rejects with what `signal` was aborted with. */
  async ended(signal: AbortSignal): Promise<void> {
    while (this.#end === undefined && this.#refused === undefined) {
      await this.#changed(this.#version, signal);
    }
  }

  /**
   * The operation now (unless it is at version `seen` still) and after each change, to its end. A reader that is slow
   * misses stages in between, never the end.
   *
   * @throws {BrokkrError} what `signal` was aborted with; what the operation was refused with.
   */
  async *follow(signal: AbortSignal, seen = -1): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      throwIfAborted(signal);
      if (this.#refused !== undefined) throw this.#refused;
      if (seen === this.#version) await this.#changed(seen, signal);
      else {
        seen = this.#version;
        yield this.encode();
        if (seen === this.#version && this.#end !== undefined) return;
      }
    }
  }

  /** Resolves when its version is not `seen`, at once if it is not now. */
  async #changed(seen: number, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (seen !== this.#version) return;
    const { promise, resolve: wake } = Promise.withResolvers<void>();
    const abort = () => wake();
    this.#followers.add(wake);
    signal.addEventListener("abort", abort, { once: true });
    await promise;
    this.#followers.delete(wake);
    signal.removeEventListener("abort", abort);
    throwIfAborted(signal);
  }

  #begin(step: OperationStep["kind"], worker: string): Span {
    this.#step?.end();
    const last = this.#steps.at(-1);
    if (last?.kind !== step || last.worker !== worker) {
      this.#steps.push({ kind: step, startMs: this.#clock.monotonicMs(), worker });
    }
    return this.#step = this.init.tracer.start(step, this.init.span.context);
  }

  #enter(stage: ExecutionStage): void {
    this.#stage = stage;
    this.#tell();
  }

  #tell(): void {
    this.#version++;
    for (const changed of this.#followers) changed();
  }
}
