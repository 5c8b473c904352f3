/**
 * Spans of the command line: recorded only where the environment says where they go, and loaded only then, since a cached
 * run has no time for them.
 *
 * @module
 */

import { parseTraceparent, type TraceContext } from "@brokkr/common";
import type { OtlpTracer } from "@brokkr/common/otlp";
import { writeErr } from "./_terminal.ts";
import { VERSION } from "./version.ts";

/** Named by a variable: what a literal names Deno reads before anything runs. */
const OTLP = "@brokkr/common/otlp" as string;

/** Variables one of which is set where spans are wanted. */
const ASKING = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"];
/** How long the end of a command waits for its spans to leave. */
const LAST_SPANS_MS = 1000;

let tracer: OtlpTracer | undefined;

/** The tracer that the environment asks for. What is wrong with its wishes is told, and is no reason not to run. */
export async function commandTracer(): Promise<OtlpTracer | undefined> {
  if (tracer !== undefined || ASKING.every((name) => (Deno.env.get(name) ?? "") === "")) return tracer;
  const { otlpSettings, otlpTracer }: typeof import("@brokkr/common/otlp") = await import(OTLP);
  const { value: settings, error } = otlpSettings(Deno.env.toObject(), "brokk");
  if (error !== undefined) await writeErr(`brokk: Spans are not exported: ${error}\n`);
  if (settings !== undefined) tracer = otlpTracer(settings, { scope: { name: "brokk", version: VERSION } });
  return tracer;
}

/** The span that `TRACEPARENT` names, as a script or a build that is traced itself hands it on. */
export function commandParent(): TraceContext | undefined {
  const header = Deno.env.get("TRACEPARENT");
  return header === undefined ? undefined : parseTraceparent(header);
}

/** Sends what spans there are, before the process ends. */
export async function flushSpans(): Promise<void> {
  await tracer?.close(LAST_SPANS_MS);
}
