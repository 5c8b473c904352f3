/**
 * What the log of a worker says of an action: the names by which control's log, a trace and the client's own records know
 * it, too, and what came of it.
 *
 * @module
 */

import { digestFunctionByValue } from "@brokkr/cas/client";
import type { LogFields, TraceContext } from "@brokkr/common";
import { type Init, type Lease, type LeaseResult, LeaseResult_Outcome as Outcome } from "@brokkr/proto";
import { type ClientMetadata, parseRequestMetadata } from "@brokkr/proto/rpc/metadata";

/** What a lease's client told of itself; undefined when it told nothing that can be read. */
export function leaseClient({ requestMetadata }: Lease): ClientMetadata | undefined {
  return requestMetadata.length === 0 ? undefined : parseRequestMetadata(requestMetadata);
}

/** What every line of an action says; what is empty is left out. */
export function actionFields(
  lease: Lease,
  trace: TraceContext,
  client: ClientMetadata | undefined,
): LogFields {
  const { actionDigest } = lease;
  const fn = digestFunctionByValue(lease.digestFunction);
  const prefix = fn?.named ? `${fn.segment}:` : "";
  return {
    trace: trace.traceId,
    operation: lease.operation || undefined,
    action: actionDigest === undefined
      ? undefined
      : `${prefix}${actionDigest.hash}/${actionDigest.sizeBytes}`,
    lease: lease.leaseId,
    attempt: lease.attempt,
    invocation: client?.toolInvocationId || undefined,
    target: client?.targetId || undefined,
    mnemonic: client?.actionMnemonic || undefined,
  };
}

const OUTCOMES = new Map(
  Object.entries(Outcome).map(([name, value]) => [value as number, name.toLowerCase()]),
);

/** How an action ended and where its time went, in milliseconds. */
export function resultFields(
  { outcome, status, message }: Init<LeaseResult>,
  done: {
    readonly exitCode: number | undefined;
    readonly fetchedBlobs: number;
    readonly fetchedBytes: number;
    readonly spentMs: Readonly<Record<string, number | undefined>>;
  },
): LogFields {
  const spent = Object.entries(done.spentMs).map(([name, ms]) => [
    name,
    ms === undefined ? undefined : Math.round(ms * 100) / 100,
  ]);
  return {
    outcome: OUTCOMES.get(outcome ?? 0) ?? "unknown",
    exit: done.exitCode,
    why: status?.message || message || undefined,
    fetchedBlobs: done.fetchedBlobs,
    fetchedBytes: done.fetchedBytes,
    ...Object.fromEntries(spent),
  };
}
