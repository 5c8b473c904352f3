/**
 * What a client sees of one operation.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { BrokkrError } from "@brokkr/common";
import {
  type ExecuteOperationMetadata,
  ExecuteOperationMetadataCodec,
  type ExecuteResponse,
  ExecuteResponseCodec,
  ExecutionStage,
  type Operation,
  StatusCodec,
} from "@brokkr/proto";
import { fromWireStatus } from "@brokkr/proto/rpc/client";

/** A stage's name. */
export type StageName = keyof typeof ExecutionStage;

const METADATA = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata";
const RESPONSE = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse";

/** An operation's metadata. */
export function metadataOf(operation: Operation): ExecuteOperationMetadata {
  assertEquals(operation.metadata?.typeUrl, METADATA);
  return ExecuteOperationMetadataCodec.decode(operation.metadata?.value ?? new Uint8Array());
}

/** Follows a stream of one operation and checks each message against the API's rules. */
export class Followed {
  /** Stages in the order in which they came, repeated ones once. */
  readonly stages: StageName[] = [];
  /** The operation's name; `""` before the first message. */
  name = "";
  readonly #abort: AbortController;
  readonly #end: Promise<ExecuteResponse>;
  readonly #waiters = new Set<() => void>();

  constructor(stream: AsyncIterable<Operation>, abort: AbortController) {
    this.#abort = abort;
    this.#end = this.#follow(stream);
    this.#end.catch(() => {}); // whoever cares awaits it
  }

  /** How it ended; rejects with the status of the call. */
  response(): Promise<ExecuteResponse> {
    return this.#end;
  }

  /** The status inside of the response, with its details, or undefined when it is OK. */
  async error(): Promise<BrokkrError | undefined> {
    const { status } = await this.#end;
    if (status === undefined || status.code === 0) return undefined;
    return fromWireStatus(status.code, status.message, StatusCodec.encode(status));
  }

  /** Resolves when the stage was seen; rejects when the stream ends before. */
  until(stage: StageName): Promise<void> {
    return this.untilCount(stage, 1);
  }

  /** Resolves when the stage was entered so often; rejects when the stream ends before. */
  async untilCount(stage: StageName, count: number): Promise<void> {
    const seen = () => this.stages.filter((each) => each === stage).length >= count;
    while (!seen()) {
      const change = new Promise<void>((resolve) => this.#waiters.add(resolve));
      await Promise.race([change, this.#end]);
      if (!seen() && this.stages.at(-1) === "COMPLETED") {
        throw new Error(`Stage ${stage} never came ${count} times; seen: ${this.stages}`);
      }
    }
  }

  /** Breaks the stream, as a lost connection does. */
  async break(): Promise<void> {
    this.#abort.abort();
    await this.#end.catch(() => {});
  }

  async #follow(stream: AsyncIterable<Operation>): Promise<ExecuteResponse> {
    for await (const operation of stream) {
      if (this.name !== "") assertEquals(operation.name, this.name, "An operation keeps its name");
      this.name = operation.name;
      const { stage } = metadataOf(operation);
      const name = (Object.keys(ExecutionStage) as StageName[]).find((key) => ExecutionStage[key] === stage);
      if (name === undefined) throw new Error(`Stage ${stage} is none`);
      if (this.stages.at(-1) !== name) this.stages.push(name);
      assertEquals(operation.done, name === "COMPLETED", "done if and only if COMPLETED");
      assertEquals(operation.error, undefined, "Operation.error must not be set");
      for (const wake of this.#waiters) wake();
      this.#waiters.clear();
      if (!operation.done) continue;
      assertEquals(operation.response?.typeUrl, RESPONSE);
      return ExecuteResponseCodec.decode(operation.response?.value ?? new Uint8Array());
    }
    throw new Error("The stream ended before the operation was done");
  }
}
