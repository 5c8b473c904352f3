/**
 * The lines of an operation in the log: with the names by which it can be found in the logs of control and worker, in a
 * trace, and in its client's own records.
 *
 * @module
 */

import { formatDigest } from "@brokkr/cas";
import { type BrokkrError, codeName, type LogFields } from "@brokkr/common";
import type { ClientMetadata } from "@brokkr/proto/rpc/server";
import type { ExecuteEnd, OperationInit, OperationStep } from "./operation_record.ts";

/** What every line of an operation says; what is empty is left out. */
export function operationFields(
  { name, digest, scope, client, span }: Omit<OperationInit, "inline">,
): LogFields {
  return {
    trace: span.context.traceId,
    operation: name,
    action: formatDigest(digest),
    instance: scope.instance || undefined,
    ...clientFields(client),
  };
}

/** What a client tells of an action, in the words of the log. */
function clientFields(client: ClientMetadata | undefined): LogFields {
  return {
    invocation: client?.toolInvocationId || undefined,
    target: client?.targetId || undefined,
    mnemonic: client?.actionMnemonic || undefined,
  };
}

/** How an operation ended and where its time went, in milliseconds. */
export function endFields(
  end: ExecuteEnd,
  { steps, createdMs, finishedMs, worker, attempts }: {
    readonly steps: readonly OperationStep[];
    readonly createdMs: number;
    readonly finishedMs: number;
    readonly worker: string;
    readonly attempts: number;
  },
): LogFields {
  const spent = { "cache check": 0, queued: 0, "on worker": 0 };
  steps.forEach(({ kind, startMs }, i) => spent[kind] += (steps[i + 1]?.startMs ?? finishedMs) - startMs);
  return {
    code: codeName(end.code),
    ...(end.code === 0 ? { exit: end.exitCode } : {}),
    why: end.message || undefined,
    cached: end.cached,
    worker: worker || undefined,
    attempts: attempts || undefined,
    cacheCheckMs: rounded(spent["cache check"]),
    queuedMs: rounded(spent.queued),
    workerMs: rounded(spent["on worker"]),
    totalMs: rounded(finishedMs - createdMs),
  };
}

/** Why an operation was refused. */
export function refusalFields(error: BrokkrError): LogFields {
  return { code: error.codeName, why: error.message };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
