/**
 * {@linkcode Tracer} on OpenTelemetry's API. Deno exports spans itself when started with `OTEL_DENO=true`.
 *
 * @module
 */

import { context, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import type { Span, TraceContext, Tracer } from "./trace.ts";
import { idTracer } from "./trace.ts";

/** A tracer that records through the global OpenTelemetry provider; ids alone when there is none. */
export function otelTracer(name: string): Tracer {
  const tracer = trace.getTracer(name);
  const ids = idTracer();
  return {
    start(spanName, parent, attributes): Span {
      const base = parent === undefined ? context.active() : trace.setSpanContext(context.active(), {
        traceId: parent.traceId,
        spanId: parent.spanId,
        traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
        isRemote: true,
      });
      const span = tracer.startSpan(spanName, { attributes: { ...attributes } }, base);
      if (!span.isRecording()) return ids.start(spanName, parent);
      const { traceId, spanId, traceFlags } = span.spanContext();
      const own: TraceContext = { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 };
      let open = true;
      const end = () => {
        if (open) span.end();
        open = false;
      };
      return {
        context: own,
        set: (key, value) => void span.setAttribute(key, value),
        fail: (error) => {
          const message = error instanceof Error ? error.message : String(error);
          span.setStatus({ code: SpanStatusCode.ERROR, message });
        },
        end,
        [Symbol.dispose]: end,
      };
    },
  };
}
