/**
 * Spans as OTLP writes them: `ExportTraceServiceRequest` of opentelemetry-proto 1.x, as JSON
 * (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) or as protobuf.
 *
 * @module
 */

import type { AttributeValue, SpanKind } from "./trace.ts";

/** A span that has ended. */
export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** `""` for a root. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  /** What went wrong; undefined when nothing did. */
  readonly failure: string | undefined;
}

/** Who the spans are of. */
export interface SpanSource {
  /** What the process is. */
  readonly resource: Readonly<Record<string, string>>;
  /** Name and version of what recorded them. */
  readonly scope: { readonly name: string; readonly version: string };
}

const KINDS: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 };
const STATUS_ERROR = 2;

/** Nanoseconds since 1970. */
function nanos(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1e6));
}

function jsonValue(value: AttributeValue): Record<string, unknown> {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

function jsonAttributes(pairs: Iterable<readonly [string, AttributeValue]>): unknown[] {
  return Array.from(pairs, ([key, value]) => ({ key, value: jsonValue(value) }));
}

function jsonSpan(span: EndedSpan): unknown {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentId === "" ? {} : { parentSpanId: span.parentId }),
    flags: 1,
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: String(nanos(span.startMs)),
    endTimeUnixNano: String(nanos(span.endMs)),
    attributes: jsonAttributes(span.attributes),
    status: span.failure === undefined ? {} : { code: STATUS_ERROR, message: span.failure },
  };
}

/** A request as JSON. */
export function encodeJson(
  { resource, scope }: SpanSource,
  spans: readonly EndedSpan[],
): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify({
    resourceSpans: [{
      resource: { attributes: jsonAttributes(Object.entries(resource)) },
      scopeSpans: [{ scope, spans: spans.map(jsonSpan) }],
    }],
  }));
}

/** Writes fields of protobuf messages; see https://protobuf.dev/programming-guides/encoding/. */
class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#length += part.length;
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type);
  }

  #varint(value: number): void {
    const bytes: number[] = [];
    for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
    bytes.push(value);
    this.#add(Uint8Array.from(bytes));
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2);
    this.#varint(value.length);
    this.#add(value);
    return this;
  }

  text(field: number, value: string): this {
    return value === "" ? this : this.bytes(field, new TextEncoder().encode(value));
  }

  hex(field: number, value: string): this {
    return value === "" ? this : this.bytes(field, Uint8Array.fromHex(value));
  }

  message(field: number, value: Message): this {
    return this.bytes(field, value.finish());
  }

  /** A number of 0 to 2^53. */
  uint(field: number, value: number): this {
    this.#tag(field, 0);
    this.#varint(value);
    return this;
  }

  fixed64(field: number, value: bigint): this {
    this.#tag(field, 1);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.#add(bytes);
    return this;
  }

  fixed32(field: number, value: number): this {
    this.#tag(field, 5);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    this.#add(bytes);
    return this;
  }

  double(field: number, value: number): this {
    this.#tag(field, 1);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#add(bytes);
    return this;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

/** A KeyValue. */
function keyValue(key: string, value: AttributeValue): Message {
  const any = new Message();
  // A oneof is written even when it holds nothing.
  if (typeof value === "string") any.bytes(1, new TextEncoder().encode(value));
  else if (typeof value === "boolean") any.uint(2, value ? 1 : 0);
  // A negative one would take the ten bytes of its two's complement; a double says the same.
  else if (Number.isSafeInteger(value) && value >= 0) any.uint(3, value);
  else any.double(4, value);
  return new Message().text(1, key).message(2, any);
}

function span(source: EndedSpan): Message {
  const message = new Message()
    .hex(1, source.traceId)
    .hex(2, source.spanId)
    .hex(4, source.parentId)
    .text(5, source.name)
    .uint(6, KINDS[source.kind])
    .fixed64(7, nanos(source.startMs))
    .fixed64(8, nanos(source.endMs));
  for (const [key, value] of source.attributes) message.message(9, keyValue(key, value));
  const status = new Message();
  if (source.failure !== undefined) status.text(2, source.failure).uint(3, STATUS_ERROR);
  return message.message(15, status).fixed32(16, 1);
}

/** A request as protobuf. */
export function encodeProtobuf(
  { resource, scope }: SpanSource,
  spans: readonly EndedSpan[],
): Uint8Array<ArrayBuffer> {
  const scopeSpans = new Message().message(1, new Message().text(1, scope.name).text(2, scope.version));
  for (const each of spans) scopeSpans.message(2, span(each));
  const attributes = new Message();
  for (const [key, value] of Object.entries(resource)) attributes.message(1, keyValue(key, value));
  return new Message().message(1, new Message().message(1, attributes).message(2, scopeSpans)).finish();
}
