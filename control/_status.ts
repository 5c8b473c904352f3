/**
 * Errors as google.rpc.Status inside an ExecuteResponse. Not the RPC layer's own mapping: that one cuts details to what
 * fits into trailers, and here every missing blob shall be named.
 *
 * @module
 */

import type { BrokkrError, ErrorDetail } from "@brokkr/common";
import {
  type Any,
  BadRequestCodec,
  ErrorInfoCodec,
  type Init,
  PreconditionFailureCodec,
  ResourceInfoCodec,
  RetryInfoCodec,
  type Status,
} from "@brokkr/proto";
import { durationOf } from "./_times.ts";

/** Most violations in one status: together about 1 MB, so that the message stays below every limit. */
const MAX_VIOLATIONS = 10_000;
/** Longest message, in UTF-16 units. */
const MAX_MESSAGE_LENGTH = 8192;

/** An error as the message that carries it. */
export function statusOf(error: BrokkrError): Init<Status> {
  return {
    code: error.code,
    message: error.message.slice(0, MAX_MESSAGE_LENGTH).toWellFormed(),
    details: error.details.map(pack),
  };
}

function pack(detail: ErrorDetail): Init<Any> {
  switch (detail.kind) {
    case "retryInfo":
      return any("RetryInfo", RetryInfoCodec.encode({ retryDelay: durationOf(detail.retryDelayMs) }));
    case "preconditionFailure":
      return any(
        "PreconditionFailure",
        PreconditionFailureCodec.encode({ violations: detail.violations.slice(0, MAX_VIOLATIONS) }),
      );
    case "badRequest":
      return any(
        "BadRequest",
        BadRequestCodec.encode({ fieldViolations: detail.fieldViolations.slice(0, MAX_VIOLATIONS) }),
      );
    case "errorInfo":
      return any("ErrorInfo", ErrorInfoCodec.encode(detail));
    case "resourceInfo":
      return any("ResourceInfo", ResourceInfoCodec.encode(detail));
  }
}

function any(name: string, value: Uint8Array): Init<Any> {
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value };
}
