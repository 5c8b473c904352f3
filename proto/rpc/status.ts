/**
 * The one place where a {@linkcode BrokkrError} becomes a gRPC status and back. Details travel as google.rpc.Status in
 * `grpc-status-details-bin`; all trailers of a call together stay below {@linkcode MAX_TRAILER_BYTES}.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code, type ErrorDetail } from "@brokkr/common";
import type { Init } from "../codec.ts";
import {
  BadRequestCodec,
  ErrorInfoCodec,
  PreconditionFailureCodec,
  ResourceInfoCodec,
  RetryInfoCodec,
  type Status,
  StatusCodec,
} from "../gen/messages.ts";
import { MAX_TRAILER_BYTES } from "./limits.ts";

/** The key that carries an encoded google.rpc.Status. */
export const DETAILS_KEY = "grpc-status-details-bin";

/** A status as it goes over the wire. */
export interface WireStatus {
  /** Canonical code. */
  readonly code: Code;
  /** Message, well-formed and cut to fit. */
  readonly message: string;
  /** Encoded google.rpc.Status, absent without details. */
  readonly detailsBin?: Uint8Array;
}

/** An encoded google.protobuf.Any. */
interface Packed {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

const TYPE_PREFIX = "type.googleapis.com/google.rpc.";
/** Room for header names, code, and HTTP/2's own trailers. */
const OVERHEAD_BYTES = 160;
/** Longest percent-encoded message. */
const MAX_MESSAGE_BYTES = 1536;
/** Longest message inside the details, where it repeats the other. */
const MAX_INNER_MESSAGE_BYTES = 512;
/** Stands where a text was cut. */
const ELLIPSIS = "…";

/** Most violations of one detail inside a message: together about 1 MB, so that it stays below every limit. */
const MAX_VIOLATIONS = 10_000;
/** Longest message of a status inside a message. */
const MAX_STATUS_MESSAGE_BYTES = 8192;

const encoder = new TextEncoder();

/** How many bytes `text` takes percent-encoded, as `encodeURI` does it. */
function encodedLength(text: string): number {
  return encodeURI(text).length;
}

/** `text`, well-formed, cut between characters so that `measure` of it is at most `limit`. */
function cut(text: string, limit: number, measure: (text: string) => number): string {
  const whole = text.length > 4 * limit ? text.slice(0, 4 * limit).toWellFormed() : text.toWellFormed();
  if (whole.length === text.length && measure(whole) <= limit) return whole;
  let low = 0, high = whole.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(whole.slice(0, middle).toWellFormed() + ELLIPSIS) <= limit) low = middle;
    else high = middle - 1;
  }
  const code = whole.charCodeAt(low - 1);
  if (code >= 0xd800 && code < 0xdc00) low--; // the first half of a pair whose other half is cut off
  return whole.slice(0, low) + ELLIPSIS;
}

const byteLength = (text: string) => encoder.encode(text).length;

function duration(ms: number): { seconds: number; nanos: number } {
  const whole = Math.max(0, Math.round(Number.isFinite(ms) ? ms : 0));
  return { seconds: Math.floor(whole / 1000), nanos: (whole % 1000) * 1_000_000 };
}

/** Encodes a detail with the first `count` of its violations; the last one kept says how many more there are. */
function pack(detail: ErrorDetail, count = Infinity): Packed {
  const shorten = <T extends { readonly description: string }>(list: readonly T[]): readonly T[] => {
    if (list.length <= count) return list;
    const kept = list.slice(0, count);
    const last = kept[kept.length - 1];
    const more = `${list.length - count} more did not fit into this message`;
    // The note goes into a description: clients parse type and subject of every entry and would stumble over another.
    kept[kept.length - 1] = {
      ...last,
      description: last.description === "" ? more : `${last.description}; ${more}`,
    };
    return kept;
  };
  switch (detail.kind) {
    case "retryInfo":
      return {
        typeUrl: `${TYPE_PREFIX}RetryInfo`,
        value: RetryInfoCodec.encode({ retryDelay: duration(detail.retryDelayMs) }),
      };
    case "preconditionFailure":
      return {
        typeUrl: `${TYPE_PREFIX}PreconditionFailure`,
        value: PreconditionFailureCodec.encode({ violations: shorten(detail.violations) }),
      };
    case "badRequest":
      return {
        typeUrl: `${TYPE_PREFIX}BadRequest`,
        value: BadRequestCodec.encode({ fieldViolations: shorten(detail.fieldViolations) }),
      };
    case "errorInfo": {
      const { reason, domain, metadata } = detail;
      return {
        typeUrl: `${TYPE_PREFIX}ErrorInfo`,
        value: ErrorInfoCodec.encode({ reason, domain, metadata }),
      };
    }
    case "resourceInfo": {
      const { resourceType, resourceName, description } = detail;
      return {
        typeUrl: `${TYPE_PREFIX}ResourceInfo`,
        value: ResourceInfoCodec.encode({ resourceType, resourceName, description }),
      };
    }
  }
}

function entries(detail: ErrorDetail): number {
  if (detail.kind === "preconditionFailure") return detail.violations.length;
  return detail.kind === "badRequest" ? detail.fieldViolations.length : 0;
}

/** Bytes a packed detail adds to a Status: its fields and their tags and lengths. */
const packedSize = (packed: Packed) => packed.typeUrl.length + packed.value.length + 12;

/** The most of `detail` that fits into `roomBytes`: whole, with a shortened list, or nothing. */
function packInto(detail: ErrorDetail, roomBytes: number): Packed | undefined {
  // 16 bytes is less than any real violation takes: longer lists need not be encoded to know that they do not fit.
  const total = entries(detail);
  let high = Math.min(total, Math.ceil(roomBytes / 4));
  if (total <= high) {
    const whole = pack(detail);
    if (packedSize(whole) <= roomBytes) return whole;
  }
  let low = 0;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (packedSize(pack(detail, middle)) <= roomBytes) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? undefined : pack(detail, low);
}

/**
 * An error as the google.rpc.Status that travels inside a message, such as an ExecuteResponse or a LeaseResult. There it
 * need not fit into trailers, and every missing blob is named.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { notFound } from "@brokkr/common";
 * import { statusOf } from "@brokkr/proto/rpc/status";
 * assertEquals(statusOf(notFound("No such blob")), { code: 5, message: "No such blob", details: [] });
 * ```
 */
export function statusOf(error: BrokkrError): Init<Status> {
  return {
    code: error.code,
    message: cut(error.message, MAX_STATUS_MESSAGE_BYTES, byteLength),
    details: error.details.map((detail) => pack(detail, MAX_VIOLATIONS)),
  };
}

/** The wire form of an error. What does not fit is cut: long lists first, then whole details from the last on. */
export function toWireStatus(error: BrokkrError): WireStatus {
  const message = cut(error.message, MAX_MESSAGE_BYTES, encodedLength);
  if (error.details.length === 0) return { code: error.code, message };
  const roomBytes = Math.floor((MAX_TRAILER_BYTES - OVERHEAD_BYTES - encodedLength(message)) * 3 / 4);
  const inner = cut(message, MAX_INNER_MESSAGE_BYTES, byteLength);
  let leftBytes = roomBytes - byteLength(inner) - 16;
  const packed: Packed[] = [];
  // Small details first, so that a retry hint is not lost behind a long list that fills all the room.
  const fixed = new Map<ErrorDetail, Packed>();
  for (const detail of error.details) {
    if (entries(detail) > 0) continue;
    const whole = pack(detail);
    if (packedSize(whole) > leftBytes) continue;
    leftBytes -= packedSize(whole);
    fixed.set(detail, whole);
  }
  for (const detail of error.details) {
    const fitting = fixed.get(detail) ?? (entries(detail) > 0 ? packInto(detail, leftBytes) : undefined);
    if (fitting === undefined) continue;
    if (!fixed.has(detail)) leftBytes -= packedSize(fitting);
    packed.push(fitting);
  }
  const detailsBin = StatusCodec.encode({ code: error.code, message: inner, details: packed });
  return { code: error.code, message, detailsBin };
}

function unpack(typeUrl: string, value: Uint8Array): ErrorDetail | undefined {
  switch (typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) {
    case "google.rpc.RetryInfo": {
      const delay = RetryInfoCodec.decode(value).retryDelay;
      return {
        kind: "retryInfo",
        retryDelayMs: Math.max(0, (delay?.seconds ?? 0) * 1000 + (delay?.nanos ?? 0) / 1e6),
      };
    }
    case "google.rpc.PreconditionFailure":
      return { kind: "preconditionFailure", violations: PreconditionFailureCodec.decode(value).violations };
    case "google.rpc.BadRequest": {
      const list = BadRequestCodec.decode(value).fieldViolations;
      return {
        kind: "badRequest",
        fieldViolations: list.map(({ field, description }) => ({ field, description })),
      };
    }
    case "google.rpc.ErrorInfo": {
      const { reason, domain, metadata } = ErrorInfoCodec.decode(value);
      return { kind: "errorInfo", reason, domain, metadata };
    }
    case "google.rpc.ResourceInfo": {
      const { resourceType, resourceName, description } = ResourceInfoCodec.decode(value);
      return { kind: "resourceInfo", resourceType, resourceName, description };
    }
    default:
      return undefined;
  }
}

/** A number from the wire as a code; UNKNOWN for one that is none. */
export function codeOf(value: number): Code {
  return Number.isInteger(value) && value >= 0 && value <= 16 ? value as Code : Code.UNKNOWN;
}

/** The error in a status from the wire. Details of unknown kinds and malformed ones are left out. */
export function fromWireStatus(
  code: number,
  message: string,
  detailsBin?: Uint8Array,
  cause?: unknown,
): BrokkrError {
  const details: ErrorDetail[] = [];
  if (detailsBin !== undefined) {
    try {
      for (const { typeUrl, value } of StatusCodec.decode(detailsBin).details) {
        const detail = unpack(typeUrl, value);
        if (detail !== undefined) details.push(detail);
      }
    } catch {
      // The status itself arrived; details that cannot be read must not hide it.
    }
  }
  return new BrokkrError(codeOf(code), message, { details, cause });
}

/**
 * What a handler threw, fit for a client: a {@linkcode BrokkrError} as it is, known failures of the system by their
 * codes, and anything else as INTERNAL with words that give away nothing but where to look.
 */
export function publicError(thrown: unknown, traceId: () => string): BrokkrError {
  if (thrown instanceof BrokkrError) return thrown;
  const error = asBrokkrError(thrown);
  if (error.code !== Code.INTERNAL) return error;
  return new BrokkrError(Code.INTERNAL, `Internal error; see the server's log for trace ${traceId()}`, {
    cause: thrown,
  });
}
