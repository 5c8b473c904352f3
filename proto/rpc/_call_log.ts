/**
 * The line that a call leaves in the log.
 *
 * @module
 */

import { type BrokkrError, Code, codeName, type Logger } from "@brokkr/common";
import type { ServerCallContext } from "./_call_context.ts";

/** How a call ended. */
export interface CallEnd {
  /** Its status. */
  readonly code: Code;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** What the client was told, when it failed. */
  readonly error: BrokkrError | undefined;
  /** What its handler threw. */
  readonly thrown: unknown;
}

/** Writes one line at debug, and one at warn, with everything that is known, when the server is to blame. */
export function logCall(log: Logger, context: ServerCallContext, { code, ms, error, thrown }: CallEnd): void {
  const fields = {
    method: context.path,
    code: codeName(code),
    ms: Math.round(ms * 100) / 100,
    // These cost something, and are read only when the line is written.
    get trace() {
      return context.trace.traceId;
    },
    get invocation() {
      return context.clientMetadata?.toolInvocationId || undefined;
    },
    get peer() {
      return context.peer;
    },
    get principal() {
      return context.principal.name;
    },
  };
  if (code === Code.INTERNAL) log.warn("Call failed", { ...fields, error: thrown });
  else if (error === undefined) log.debug("Call ended", fields);
  else {log.debug(
      "Call ended",
      Object.defineProperty(fields, "error", { value: error.message, enumerable: true }),
    );}
}
