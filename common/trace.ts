/**
 * Spans as the code sees them: the interface, a tracer that makes ids only, and W3C trace context. `@brokkr/common/otlp`
 * records and exports them.
 *
 * @module
 */

import { type Random, randomHex, systemRandom } from "./random.ts";

/** The identity of a span, as W3C Trace Context has it (https://www.w3.org/TR/trace-context/). */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** Whether the caller records it. */
  readonly sampled: boolean;
}

/** One timed step. Ended once, by `using` or by hand. */
export interface Span extends Disposable {
  /** Its identity. */
  readonly context: TraceContext;
  /** Adds a named value. */
  set(name: string, value: AttributeValue): void;
  /** Records a failure. */
  fail(error: unknown): void;
  /** Ends it now; harmless the second time. */
  end(): void;
}

/** A named value of a span. */
export type AttributeValue = string | number | boolean;

/** Which side of a call a span tells of; `internal` for one that is no call. */
export type SpanKind = "internal" | "server" | "client";

/** Starts spans. */
export interface Tracer {
  /** A new span, a child of `parent` or the root of a new trace; `internal` by default. */
  start(
    name: string,
    parent?: TraceContext,
    attributes?: Readonly<Record<string, AttributeValue>>,
    kind?: SpanKind,
  ): Span;
}

/** A tracer that records nothing but still makes ids, so that logs of one call carry one trace id. */
export function idTracer(random: Random = systemRandom): Tracer {
  return {
    start(_name, parent) {
      const context = {
        traceId: parent?.traceId ?? randomHex(random, 16),
        spanId: randomHex(random, 8),
        sampled: parent?.sampled ?? false,
      };
      const nothing = () => {};
      return { context, set: nothing, fail: nothing, end: nothing, [Symbol.dispose]: nothing };
    },
  };
}

/**
 * Reads a `traceparent` header; undefined when it is not one.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseTraceparent } from "@brokkr/common";
 * const context = parseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
 * assertEquals(context?.spanId, "b7ad6b7169203331");
 * ```
 */
export function parseTraceparent(header: string): TraceContext | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header.trim());
  if (match === null || match[1] === "ff" || (match[1] === "00" && match[5] !== undefined)) return undefined;
  if (/^0+$/.test(match[2]) || /^0+$/.test(match[3])) return undefined;
  return { traceId: match[2], spanId: match[3], sampled: (parseInt(match[4], 16) & 1) === 1 };
}

/** The `traceparent` header of a span. */
export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}`;
}
