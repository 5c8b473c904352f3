/**
 * Operations of a grid: list them, look at them, cancel them.
 *
 * @module
 */

import { Code, codeName } from "@brokkr/common";
import {
  ExecuteOperationMetadataCodec,
  ExecuteResponseCodec,
  ExecutionStage,
  type Operation,
  Operations,
  type RequestMetadata,
  RequestMetadataCodec,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc/client";
import { digestText } from "./_digest_text.ts";

/** One operation. */
export interface OperationInfo {
  /** Its name. */
  readonly name: string;
  /** Where it is. */
  readonly stage: "unknown" | "cache check" | "queued" | "executing" | "completed";
  /** Whether it has ended. */
  readonly done: boolean;
  /** Its action, as `hash/size` or `fn:hash/size`. */
  readonly actionDigest: string;
  /** Who has or had it; `""` before. */
  readonly worker: string;
  /** When it came to the queue. */
  readonly queued: Date | undefined;
  /** How it ended: a status code's name. Undefined before. */
  readonly status: string | undefined;
  /** What the grid says about that. */
  readonly message: string;
  /** Exit code of the command; undefined when it gave none. */
  readonly exitCode: number | undefined;
  /** Whether the action cache answered. */
  readonly cached: boolean;
  /** Program that asked for it, with its version. */
  readonly tool: string;
  /** The run of that program, such as one `bazel build`. */
  readonly invocationId: string;
  /** Several such runs that belong together. */
  readonly correlatedInvocationsId: string;
  /** Kind of action, such as `CppCompile`. */
  readonly mnemonic: string;
  /** What it builds, such as `//main:app`. */
  readonly target: string;
}

/** Which operations are listed. */
export interface ListOptions {
  /** Conditions such as `stage=queued AND tool=bazel`; none by default. */
  readonly filter?: string;
  /** Most operations to list; 100 by default. */
  readonly limit?: number;
}

const STAGES: Readonly<Record<number, OperationInfo["stage"]>> = {
  [ExecutionStage.CACHE_CHECK]: "cache check",
  [ExecutionStage.QUEUED]: "queued",
  [ExecutionStage.EXECUTING]: "executing",
  [ExecutionStage.COMPLETED]: "completed",
};
const DEFAULT_LIMIT = 100;
const PAGE_SIZE = 1000;

/** Operations, newest first. `instance` `""` is all instances. */
export async function listOperations(
  channel: Channel,
  instance: string,
  { filter = "", limit = DEFAULT_LIMIT }: ListOptions,
): Promise<readonly OperationInfo[]> {
  const found: OperationInfo[] = [];
  for (let pageToken = ""; found.length < limit;) {
    const pageSize = Math.min(PAGE_SIZE, limit - found.length);
    const page = await channel.unary(Operations.listOperations, {
      name: instance,
      filter,
      pageSize,
      pageToken,
    });
    found.push(...page.operations.map(describeOperation));
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  return found;
}

/** One operation. */
export async function getOperation(channel: Channel, name: string): Promise<OperationInfo> {
  return describeOperation(await channel.unary(Operations.getOperation, { name }));
}

/** Cancels an operation and tells what it came to. */
export async function cancelOperation(channel: Channel, name: string): Promise<OperationInfo> {
  await channel.unary(Operations.cancelOperation, { name });
  return await getOperation(channel, name);
}

function describeOperation(operation: Operation): OperationInfo {
  const metadata = ExecuteOperationMetadataCodec.decode(operation.metadata?.value ?? new Uint8Array());
  const { actionDigest, partialExecutionMetadata: partial } = metadata;
  const response = operation.response === undefined
    ? undefined
    : ExecuteResponseCodec.decode(operation.response.value);
  const client = clientOf(partial?.auxiliaryMetadata ?? []);
  const { toolName = "", toolVersion = "" } = client?.toolDetails ?? {};
  const queued = partial?.queuedTimestamp;
  return {
    name: operation.name,
    stage: STAGES[metadata.stage] ?? "unknown",
    done: operation.done,
    actionDigest: digestText(actionDigest, metadata.digestFunction),
    worker: response?.result?.executionMetadata?.worker || (partial?.worker ?? ""),
    queued: queued === undefined ? undefined : new Date(queued.seconds * 1000 + queued.nanos / 1e6),
    status: response === undefined ? undefined : codeName(response.status?.code ?? Code.OK),
    message: response?.status?.message || (response?.message ?? ""),
    exitCode: response?.result?.exitCode,
    cached: response?.cachedResult ?? false,
    tool: `${toolName} ${toolVersion}`.trim(),
    invocationId: client?.toolInvocationId ?? "",
    correlatedInvocationsId: client?.correlatedInvocationsId ?? "",
    mnemonic: client?.actionMnemonic ?? "",
    target: client?.targetId ?? "",
  };
}

function clientOf(
  auxiliary: readonly { readonly typeUrl: string; readonly value: Uint8Array }[],
): RequestMetadata | undefined {
  const any = auxiliary.find(({ typeUrl }) => typeUrl.endsWith(".RequestMetadata"));
  if (any === undefined) return undefined;
  try {
    return RequestMetadataCodec.decode(any.value);
  } catch {
    // Whatever a client said of itself, it is for display only.
    return undefined;
  }
}
