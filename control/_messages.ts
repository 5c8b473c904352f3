/**
 * The messages of Execution, put together from bytes: a result that came from a worker or lies in the cache is handed
 * out as it is, never decoded and encoded again.
 *
 * @module
 */

import type { Digest } from "@brokkr/cas";
import type { OperationName } from "@brokkr/common";
import {
  BytesCodec,
  ExecuteOperationMetadataCodec,
  type ExecuteRequest,
  Execution,
  type ExecutionStage,
  type Init,
  type Method,
  OperationCodec,
  type Status,
  StatusCodec,
  type WaitExecutionRequest,
  WireWriter,
} from "@brokkr/proto";
import { timestampOf } from "./_times.ts";

const REAPI = "type.googleapis.com/build.bazel.remote.execution.v2.";
const METADATA_URL = `${REAPI}ExecuteOperationMetadata`;
/** Type of the client's RequestMetadata among an operation's auxiliary metadata. */
const REQUEST_METADATA_URL = `${REAPI}RequestMetadata`;
const RESPONSE_URL = `${REAPI}ExecuteResponse`;
/** Room for everything but the result and the status. */
const FRAME_BYTES = 32;

/** Execution with operations that are encoded already. */
export const RawExecution: {
  readonly execute: Method<ExecuteRequest, Uint8Array, Init<ExecuteRequest>, Uint8Array>;
  readonly waitExecution: Method<WaitExecutionRequest, Uint8Array, Init<WaitExecutionRequest>, Uint8Array>;
} = {
  execute: { ...Execution.execute, response: BytesCodec },
  waitExecution: { ...Execution.waitExecution, response: BytesCodec },
};

/** An encoded ExecuteResponse, and the result where it lies in it. */
export function encodeExecuteResponse(parts: {
  readonly result?: Uint8Array;
  readonly cached: boolean;
  readonly status?: Init<Status>;
  readonly message: string;
}): { readonly response: Uint8Array; readonly result: Uint8Array | undefined } {
  const { result, cached, status, message } = parts;
  const statusBytes = status === undefined ? undefined : StatusCodec.encode(status);
  const writer = new WireWriter(
    FRAME_BYTES + (result?.length ?? 0) + (statusBytes?.length ?? 0) + 3 * message.length,
  );
  let resultStart = 0;
  if (result !== undefined) {
    // Also when it is empty: an ActionResult of defaults alone is a result.
    writer.header(1, result.length);
    resultStart = writer.pos;
    writer.raw(result);
  }
  writer.intField(2, cached ? 1 : 0);
  if (statusBytes !== undefined) writer.bytesField(3, statusBytes);
  writer.stringField(5, message.toWellFormed());
  const bytes = writer.finish();
  // The writer's buffer may be larger than what was written, and what is made here is kept for minutes.
  const response = bytes.length * 2 < bytes.buffer.byteLength ? bytes.slice() : bytes;
  return {
    response,
    result: result === undefined ? undefined : response.subarray(resultStart, resultStart + result.length),
  };
}

/** What an operation's metadata tell. */
export interface OperationMetadata {
  readonly stage: ExecutionStage;
  /** Undefined when it is not known any more. */
  readonly digest: Digest | undefined;
  readonly worker: string;
  readonly queuedWallMs: number | undefined;
  /** Encoded RequestMetadata of the client that asked for the action. */
  readonly clientMetadata: Uint8Array | undefined;
}

/** An encoded Operation; it is done if it has a response. */
export function encodeOperation(
  name: OperationName,
  { stage, digest, worker, queuedWallMs, clientMetadata }: OperationMetadata,
  response: Uint8Array | undefined,
): Uint8Array {
  const metadata = ExecuteOperationMetadataCodec.encode({
    stage,
    ...(digest === undefined ? {} : {
      actionDigest: { hash: digest.hash, sizeBytes: digest.sizeBytes },
      digestFunction: digest.fn.value,
    }),
    partialExecutionMetadata: {
      worker,
      queuedTimestamp: queuedWallMs === undefined ? undefined : timestampOf(queuedWallMs),
      auxiliaryMetadata: clientMetadata === undefined
        ? []
        : [{ typeUrl: REQUEST_METADATA_URL, value: clientMetadata }],
    },
  });
  return OperationCodec.encode({
    name,
    metadata: { typeUrl: METADATA_URL, value: metadata },
    done: response !== undefined,
    response: response === undefined ? undefined : { typeUrl: RESPONSE_URL, value: response },
  });
}
