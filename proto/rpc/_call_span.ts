/**
 * The span of a call, as OpenTelemetry describes calls
 * (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).
 *
 * @module
 */

import { type BrokkrError, Code, type Span, type Tracer } from "@brokkr/common";
import type { Method } from "../codec.ts";
import type { ServerCallContext } from "./_call_context.ts";
import { clientAttributes } from "./request_metadata.ts";

/** Asked by everything that watches a server, every few seconds, and of no use in any trace. */
const HEALTH = "grpc.health.v1.Health";

/** Begins the span of a call; undefined for calls that nobody wants to see. */
export function beginCallSpan(
  tracer: Tracer,
  { service, name }: Method<unknown, unknown>,
  context: ServerCallContext,
): Span | undefined {
  const parent = context.parentTrace();
  if (service === HEALTH && parent === undefined) return undefined;
  return tracer.start(`${service}/${name}`, parent, {
    "rpc.system": "grpc",
    "rpc.service": service,
    "rpc.method": name,
    "client.address": context.peer,
    ...clientAttributes(context.clientMetadata),
  }, "server");
}

/** Ends it. Not to have a thing, or to leave, is an outcome and no failure. */
export function endCallSpan(span: Span, code: Code, error: BrokkrError | undefined): void {
  span.set("rpc.grpc.status_code", code);
  if (error !== undefined && code !== Code.NOT_FOUND && code !== Code.CANCELLED) span.fail(error);
  span.end();
}
