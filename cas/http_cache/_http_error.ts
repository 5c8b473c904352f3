/**
 * What goes wrong with a request, as HTTP says it.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code } from "@brokkr/common";

/** Headers of an answer. */
export type HeaderMap = Readonly<Record<string, string>>;

/** A failure whose HTTP status says more than its code does. */
export class HttpError extends BrokkrError {
  /** The status of the answer. */
  readonly status: number;
  /** Headers that belong to it. */
  readonly headers: HeaderMap;

  /** A failure that is answered with `status`. */
  constructor(status: number, message: string, headers: HeaderMap = {}) {
    super(codeOf(status), message);
    this.status = status;
    this.headers = headers;
  }
}

/** What is answered when a request fails. */
export interface FailureAnswer {
  /** The status. */
  readonly status: number;
  /** One line for a person. */
  readonly message: string;
  /** Headers beside the usual ones. */
  readonly headers: HeaderMap;
}

/** Seconds after which who was refused for want of memory may come again. */
const RETRY_S = 1;

const STATUS: Readonly<Record<number, number>> = {
  [Code.INVALID_ARGUMENT]: 400,
  [Code.OUT_OF_RANGE]: 416,
  [Code.NOT_FOUND]: 404,
  [Code.ALREADY_EXISTS]: 409,
  [Code.FAILED_PRECONDITION]: 409,
  [Code.ABORTED]: 503,
  [Code.UNAVAILABLE]: 503,
  [Code.RESOURCE_EXHAUSTED]: 503,
  [Code.DEADLINE_EXCEEDED]: 408,
  [Code.PERMISSION_DENIED]: 403,
  [Code.UNAUTHENTICATED]: 401,
  [Code.UNIMPLEMENTED]: 501,
  // Who reads a blob that the disk has spoiled is best off without it: from then on it counts as missing.
  [Code.DATA_LOSS]: 404,
};

function codeOf(status: number): Code {
  switch (status) {
    case 401:
      return Code.UNAUTHENTICATED;
    case 403:
      return Code.PERMISSION_DENIED;
    case 404:
      return Code.NOT_FOUND;
    case 408:
      return Code.DEADLINE_EXCEEDED;
    case 416:
      return Code.OUT_OF_RANGE;
    case 503:
      return Code.UNAVAILABLE;
    case 507:
      return Code.RESOURCE_EXHAUSTED;
  }
  return Code.INVALID_ARGUMENT;
}

/** No memory for a request now. */
export function noMemory(what: string): HttpError {
  return new HttpError(503, `No memory for ${what} now; try again`, { "retry-after": `${RETRY_S}` });
}

/** The answer to a failure. What is nobody's business but ours gets words that say where to look. */
export function failureAnswer(thrown: unknown): FailureAnswer {
  const error = asBrokkrError(thrown);
  if (error instanceof HttpError) {
    return { status: error.status, message: error.message, headers: error.headers };
  }
  const status = STATUS[error.code] ?? 500;
  if (status === 500) {
    return { status, message: "Internal error; the server's log tells more", headers: {} };
  }
  const retryMs = error.retryDelayMs ?? (status === 503 ? 1000 * RETRY_S : undefined);
  const headers: HeaderMap = retryMs === undefined
    ? {}
    : { "retry-after": `${Math.max(1, Math.ceil(retryMs / 1000))}` };
  return { status, message: error.message, headers };
}

/** A failure to store: a full store is 507, which no client takes for load that passes at once. */
export function storeFailure(thrown: unknown): unknown {
  const error = asBrokkrError(thrown);
  if (error instanceof HttpError || error.code !== Code.RESOURCE_EXHAUSTED) return thrown;
  return new HttpError(507, error.message, failureAnswer(error).headers);
}
