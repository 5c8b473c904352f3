/**
 * A {@linkcode Tracer} whose spans go to an OpenTelemetry receiver by OTLP over HTTP, as the standard `OTEL_*` variables
 * of the environment say.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";
import { type ExportEvents, SpanExporter } from "./_otlp_exporter.ts";
import type { OtlpSettings, Sampling } from "./_otlp_settings.ts";
import { type Random, randomHex, systemRandom } from "./random.ts";
import type { AttributeValue, Span, SpanKind, TraceContext, Tracer } from "./trace.ts";

export type { ExportEvents } from "./_otlp_exporter.ts";
export {
  type FoundSettings,
  type OtlpSettings,
  otlpSettings,
  otlpWanted,
  type Sampling,
} from "./_otlp_settings.ts";

/** A tracer that exports. */
export interface OtlpTracer extends Tracer {
  /** Sends what waits, for at most `limitMs`; nothing is recorded afterwards. */
  close(limitMs: number): Promise<void>;
}

/** What an exporting tracer is made with. */
export interface OtlpOptions {
  /** What records the spans. */
  readonly scope: { readonly name: string; readonly version: string };
  /** Told what becomes of them. */
  readonly events?: ExportEvents;
  /** Time; the machine's own by default. */
  readonly clock?: Clock;
  /** Ids; the system's randomness by default. */
  readonly random?: Random;
}

const MAX_ATTRIBUTES = 64;
const MAX_TEXT = 1024;

/** Whether the trace is recorded that begins with this id. */
function chosen({ ratio }: Sampling, traceId: string): boolean {
  if (ratio >= 1) return true;
  return parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52;
}

function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : text.slice(0, MAX_TEXT - 1) + "…";
}

/** Wall time that goes on evenly, so that spans nest, and follows the wall clock when that was set. */
function wallClock(clock: Clock): () => number {
  let offsetMs = clock.wallMs() - clock.monotonicMs();
  return () => {
    const nowMs = clock.monotonicMs();
    const wallMs = clock.wallMs();
    if (Math.abs(wallMs - nowMs - offsetMs) > 1000) offsetMs = wallMs - nowMs;
    return nowMs + offsetMs;
  };
}

class RecordedSpan implements Span {
  readonly context: TraceContext;
  readonly #attributes = new Map<string, AttributeValue>();
  readonly #end: (span: RecordedSpan) => void;
  readonly parentId: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startMs: number;
  failure: string | undefined;
  #open = true;

  constructor(
    context: TraceContext,
    about: { parentId: string; name: string; kind: SpanKind; startMs: number },
    end: (span: RecordedSpan) => void,
  ) {
    this.context = context;
    this.parentId = about.parentId;
    this.name = about.name;
    this.kind = about.kind;
    this.startMs = about.startMs;
    this.#end = end;
  }

  get attributes(): ReadonlyMap<string, AttributeValue> {
    return this.#attributes;
  }

  set(name: string, value: AttributeValue): void {
    if (!this.#open || (this.#attributes.size >= MAX_ATTRIBUTES && !this.#attributes.has(name))) return;
    this.#attributes.set(name, typeof value === "string" ? cut(value) : value);
  }

  fail(error: unknown): void {
    if (this.#open) this.failure = cut(error instanceof Error ? error.message : String(error));
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#end(this);
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

/** A span of a trace that nobody records: it has an id, so that logs have one. */
function unrecorded(context: TraceContext): Span {
  const nothing = () => {};
  return { context, set: nothing, fail: nothing, end: nothing, [Symbol.dispose]: nothing };
}

/**
 * Makes a tracer that exports as `settings` say.
 *
 * @throws {Deno.errors.NotFound} and other errors of reading when the file of certificates cannot be read.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { otlpSettings, otlpTracer } from "@brokkr/common/otlp";
 * await using receiver = Deno.serve({ port: 0, onListen: () => {} }, async (request) => {
 *   names.push((await request.json()).resourceSpans[0].scopeSpans[0].spans[0].name);
 *   return Response.json({});
 * });
 * const names: string[] = [];
 * const env = {
 *   OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${receiver.addr.port}`,
 *   OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
 * };
 * const { value: settings } = otlpSettings(env, "example");
 * if (settings === undefined) throw new Error("The environment asks for no export");
 * const tracer = otlpTracer(settings, { scope: { name: "example", version: "1" } });
 * tracer.start("baking").end();
 * await tracer.close(10_000);
 * assertEquals(names, ["baking"]);
 * ```
 */
export function otlpTracer(settings: OtlpSettings, options: OtlpOptions): OtlpTracer {
  const { scope, clock = systemClock, random = systemRandom, events = {} } = options;
  const exporter = new SpanExporter(settings, { resource: settings.resource, scope }, clock, events);
  const wallMs = wallClock(clock);
  const finish = (span: RecordedSpan) => {
    const { traceId, spanId } = span.context;
    const { parentId, name, kind, startMs, attributes, failure } = span;
    const endMs = Math.max(startMs, wallMs());
    exporter.add({ traceId, spanId, parentId, name, kind, startMs, endMs, attributes, failure });
  };
  return {
    start(name, parent, attributes = {}, kind = "internal") {
      const traceId = parent?.traceId ?? randomHex(random, 16);
      const { sampling } = settings;
      const sampled = parent !== undefined && sampling.parentBased
        ? parent.sampled
        : chosen(sampling, traceId);
      const context = { traceId, spanId: randomHex(random, 8), sampled };
      if (!sampled) return unrecorded(context);
      const about = { parentId: parent?.spanId ?? "", name: cut(name), kind, startMs: wallMs() };
      const span = new RecordedSpan(context, about, finish);
      for (const [key, value] of Object.entries(attributes)) span.set(key, value);
      return span;
    },
    close: (limitMs) => exporter.close(limitMs),
  };
}
