/**
 * The one error type of the project. Every failure that crosses a member's boundary is a {@linkcode BrokkrError}; the
 * RPC layer maps it to a gRPC status in one place, and the command line prints it.
 *
 * @module
 */

/** The canonical status codes, numbered as gRPC numbers them. */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** One of {@linkcode Code}'s numbers. */
export type Code = typeof Code[keyof typeof Code];

const NAMES: readonly string[] = Object.keys(Code);

/**
 * The name of a status code, such as `"NOT_FOUND"`; `"CODE_42"` for a number that is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Code, codeName } from "@brokkr/common";
 * assertEquals(codeName(Code.NOT_FOUND), "NOT_FOUND");
 * ```
 */
export function codeName(code: number): string {
  return NAMES[code] ?? `CODE_${code}`;
}

/** What google.rpc.error_details can carry, as plain values; the RPC layer encodes them. */
export type ErrorDetail =
  | { readonly kind: "retryInfo"; readonly retryDelayMs: number }
  | {
    readonly kind: "preconditionFailure";
    readonly violations: readonly {
      readonly type: string;
      readonly subject: string;
      readonly description: string;
    }[];
  }
  | {
    readonly kind: "badRequest";
    readonly fieldViolations: readonly { readonly field: string; readonly description: string }[];
  }
  | {
    readonly kind: "errorInfo";
    readonly reason: string;
    readonly domain: string;
    readonly metadata: Readonly<Record<string, string>>;
  }
  | {
    readonly kind: "resourceInfo";
    readonly resourceType: string;
    readonly resourceName: string;
    readonly description: string;
  };

/** What a {@linkcode BrokkrError} may carry beside its code and message. */
export interface BrokkrErrorOptions {
  /** Machine-readable details. */
  readonly details?: readonly ErrorDetail[];
  /** What caused it; kept for logs, never sent to a client. */
  readonly cause?: unknown;
}

/**
 * A failure with a code, a message for a person, and details for a machine. A message begins with a capital, has no
 * trailing period, and says what was wrong, where, and what would be right.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { BrokkrError, Code } from "@brokkr/common";
 * const error = new BrokkrError(Code.NOT_FOUND, "No blob with digest abc/3");
 * assertEquals(error.code, Code.NOT_FOUND);
 * ```
 */
export class BrokkrError extends Error {
  /** Always `BrokkrError`. */
  override readonly name = "BrokkrError";
  /** The canonical status code. */
  readonly code: Code;
  /** Machine-readable details, sent to clients. */
  readonly details: readonly ErrorDetail[];

  /** Makes an error; see {@linkcode BrokkrErrorOptions} for details and cause. */
  constructor(code: Code, message: string, options: BrokkrErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? [];
  }

  /** The status code's name. */
  get codeName(): string {
    return codeName(this.code);
  }

  /** The retry hint among the details, in milliseconds, or undefined. */
  get retryDelayMs(): number | undefined {
    for (const detail of this.details) if (detail.kind === "retryInfo") return detail.retryDelayMs;
    return undefined;
  }
}

/** INVALID_ARGUMENT about one field of a request, with a BadRequest detail naming it. */
export function invalidArgument(field: string, description: string, cause?: unknown): BrokkrError {
  const message = field === "" ? description : `${description} (field ${field})`;
  return new BrokkrError(Code.INVALID_ARGUMENT, message, {
    details: [{ kind: "badRequest", fieldViolations: [{ field, description }] }],
    cause,
  });
}

/** NOT_FOUND for a named thing. */
export function notFound(message: string): BrokkrError {
  return new BrokkrError(Code.NOT_FOUND, message);
}

/** RESOURCE_EXHAUSTED with a RetryInfo, for load that will pass. */
export function resourceExhausted(message: string, retryDelayMs: number): BrokkrError {
  return new BrokkrError(Code.RESOURCE_EXHAUSTED, message, {
    details: [{ kind: "retryInfo", retryDelayMs }],
  });
}

/** UNAVAILABLE with a RetryInfo, for a service that is not (or no longer) ready. */
export function unavailable(message: string, retryDelayMs = 1000, cause?: unknown): BrokkrError {
  return new BrokkrError(Code.UNAVAILABLE, message, {
    details: [{ kind: "retryInfo", retryDelayMs }],
    cause,
  });
}

/** CANCELLED, as every operation throws whose signal was aborted. */
export function cancelled(message = "The call was cancelled", cause?: unknown): BrokkrError {
  return new BrokkrError(Code.CANCELLED, message, { cause });
}

/** Throws what `signal` was aborted with, as a {@linkcode BrokkrError}. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw asBrokkrError(signal.reason, Code.CANCELLED);
}

function osCode(error: object): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : undefined;
}

/**
 * Any thrown value as a {@linkcode BrokkrError}: itself if it is one; a full disk, exhausted descriptors and aborted
 * signals get their own codes; anything else gets `fallback` (INTERNAL by default) with the value as its cause.
 */
export function asBrokkrError(error: unknown, fallback: Code = Code.INTERNAL): BrokkrError {
  if (error instanceof BrokkrError) return error;
  if (!(error instanceof Error)) return new BrokkrError(fallback, String(error), { cause: error });
  if (error.name === "AbortError") {
    return new BrokkrError(Code.CANCELLED, "The call was cancelled", { cause: error });
  }
  if (error.name === "TimeoutError") {
    return new BrokkrError(Code.DEADLINE_EXCEEDED, "The deadline passed", { cause: error });
  }
  switch (osCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new BrokkrError(
        Code.RESOURCE_EXHAUSTED,
        `No space left on the device (${error.message}); free some or raise the quota, then try again`,
        { details: [{ kind: "retryInfo", retryDelayMs: 5000 }], cause: error },
      );
    case "EMFILE":
    case "ENFILE":
      return new BrokkrError(
        Code.RESOURCE_EXHAUSTED,
        `Out of file descriptors (${error.message}); raise the limit with ulimit -n`,
        { details: [{ kind: "retryInfo", retryDelayMs: 1000 }], cause: error },
      );
  }
  return new BrokkrError(fallback, error.message, { cause: error });
}
