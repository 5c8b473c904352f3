/**
 * What clients are told of one operation, and what is remembered of it.
 *
 * @module
 */

import type { Digest, InlineRequest } from "@brokkr/cas";
import {
  type BrokkrError,
  type Clock,
  type OperationName,
  type Scope,
  type Span,
  throwIfAborted,
  type Tracer,
} from "@brokkr/common";
import { ExecutionStage } from "@brokkr/proto";
import { assert } from "./_assert.ts";
import { encodeOperation } from "./_messages.ts";

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
  readonly scope: Scope;
  readonly digest: Digest;
  readonly inline: InlineRequest;
  /** Encoded RequestMetadata of the client. */
  readonly clientMetadata: Uint8Array | undefined;
  /** The whole operation; ended with it. */
  readonly span: Span;
  /** Makes the spans of its steps. */
  readonly tracer: Tracer;
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
  /** When it came to the queue, was begun by its last worker, and ended; monotonic milliseconds. */
  queuedMs: number | undefined;
  executingMs: number | undefined;
  finishedMs: number | undefined;
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

  /** What remembering it costs, in bytes. */
  get sizeBytes(): number {
    let bytes = RECORD_BYTES + (this.init.clientMetadata?.length ?? 0) + (this.#end?.response.length ?? 0);
    for (const path of this.inline.files) bytes += 2 * path.length;
    return bytes;
  }

  /** It waits for a worker. */
  queued(attempts: number): void {
    this.queuedMs ??= this.#clock.monotonicMs();
    this.executingMs = undefined;
    this.attempts = attempts;
    this.#begin("queued");
    this.#enter(ExecutionStage.QUEUED);
  }

  /** A worker began. */
  executing(worker: string, attempts: number): void {
    this.queuedMs ??= this.#clock.monotonicMs();
    this.executingMs ??= this.#clock.monotonicMs();
    this.worker = worker;
    this.attempts = attempts;
    this.#begin("on worker").set("worker", worker);
    this.#enter(ExecutionStage.EXECUTING);
  }

  /** It is done. */
  finish(end: ExecuteEnd): void {
    assert(this.#end === undefined, "An operation's record finishes once");
    this.#end = end;
    this.inline = NO_CONTENTS;
    this.finishedMs = this.#clock.monotonicMs();
    this.#step?.end();
    this.init.span.set("cached", end.cached);
    this.init.span.set("status", end.code);
    this.init.span.end();
    this.#enter(ExecutionStage.COMPLETED);
  }

  /** It was never begun; those who follow get `error` as the status of their call. Harmless once it has ended. */
  refuse(error: BrokkrError): void {
    if (this.#refused !== undefined || this.#end !== undefined) return;
    this.#refused = error;
    this.#step?.end();
    this.init.span.fail(error);
    this.init.span.end();
    this.#tell();
  }

  /** The encoded Operation as it is now. */
  encode(): Uint8Array {
    const { createdMs, createdWallMs, queuedMs } = this;
    return encodeOperation(this.name, {
      stage: this.#stage,
      digest: this.init.digest,
      worker: this.worker,
      queuedWallMs: queuedMs === undefined ? undefined : createdWallMs + queuedMs - createdMs,
    }, this.#end?.response);
  }

  /**
   * The operation now and after each change, to its end. A reader that is slow misses stages in between, never the end.
   *
   * @throws {BrokkrError} what `signal` was aborted with; what the operation was refused with.
   */
  async *follow(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let seen = -1;
    let wake = () => {};
    const changed = () => wake();
    this.#followers.add(changed);
    signal.addEventListener("abort", changed, { once: true });
    try {
      for (;;) {
        throwIfAborted(signal);
        if (this.#refused !== undefined) throw this.#refused;
        if (seen === this.#version) {
          await new Promise<void>((resolve) => wake = resolve);
          continue;
        }
        seen = this.#version;
        yield this.encode();
        if (seen === this.#version && this.#end !== undefined) return;
      }
    } finally {
      this.#followers.delete(changed);
      signal.removeEventListener("abort", changed);
    }
  }

  #begin(step: string): Span {
    this.#step?.end();
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
