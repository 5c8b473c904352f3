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

const encoder = new TextEncoder();

/**
 * Writes protobuf into one buffer that grows; see https://protobuf.dev/programming-guides/encoding/. A message inside
 * another is written in place, and moved on by the bytes of its length once that is known.
 */
class Writer {
  #bytes = new Uint8Array(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  #varint(value: number): void {
    this.#room(10);
    for (; value >= 0x80; value = Math.floor(value / 128)) this.#bytes[this.#at++] = (value % 128) | 0x80;
    this.#bytes[this.#at++] = value;
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type);
  }

  /** A message, whose fields `write` writes. */
  message(field: number, write: () => void): void {
    this.#tag(field, 2);
    const from = this.#at;
    write();
    const length = this.#at - from;
    let prefix = 1;
    for (let rest = length; rest >= 0x80; rest = Math.floor(rest / 128)) prefix++;
    this.#room(prefix);
    this.#bytes.copyWithin(from + prefix, from, this.#at);
    this.#at = from;
    this.#varint(length);
    this.#at += length;
  }

  /** A text, also an empty one. */
  text(field: number, value: string): void {
    this.message(field, () => {
      this.#room(3 * value.length);
      this.#at += encoder.encodeInto(value, this.#bytes.subarray(this.#at)).written;
    });
  }

  /** Bytes that are written as hex; none for `""`. */
  hex(field: number, value: string): void {
    if (value === "") return;
    this.#tag(field, 2);
    this.#varint(value.length / 2);
    this.#room(value.length / 2);
    for (let i = 0; i < value.length; i += 2) this.#bytes[this.#at++] = parseInt(value.slice(i, i + 2), 16);
  }

  /** A number of 0 to 2^53. */
  uint(field: number, value: number): void {
    this.#tag(field, 0);
    this.#varint(value);
  }

  fixed64(field: number, value: bigint): void {
    this.#tag(field, 1);
    this.#room(8);
    this.#view.setBigUint64(this.#at, value, true);
    this.#at += 8;
  }

  fixed32(field: number, value: number): void {
    this.#tag(field, 5);
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  double(field: number, value: number): void {
    this.#tag(field, 1);
    this.#room(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }
}

function writeKeyValue(writer: Writer, key: string, value: AttributeValue): void {
  writer.text(1, key);
  writer.message(2, () => {
    // A oneof is written even when it holds nothing.
    if (typeof value === "string") writer.text(1, value);
    else if (typeof value === "boolean") writer.uint(2, value ? 1 : 0);
    // A negative one would take the ten bytes of its two's complement; a double says the same.
    else if (Number.isSafeInteger(value) && value >= 0) writer.uint(3, value);
    else writer.double(4, value);
  });
}

function writeSpan(writer: Writer, span: EndedSpan): void {
  writer.hex(1, span.traceId);
  writer.hex(2, span.spanId);
  writer.hex(4, span.parentId);
  writer.text(5, span.name);
  writer.uint(6, KINDS[span.kind]);
  writer.fixed64(7, nanos(span.startMs));
  writer.fixed64(8, nanos(span.endMs));
  for (const [key, value] of span.attributes) writer.message(9, () => writeKeyValue(writer, key, value));
  const { failure } = span;
  writer.message(15, () => {
    if (failure === undefined) return;
    writer.text(2, failure);
    writer.uint(3, STATUS_ERROR);
  });
  writer.fixed32(16, 1);
}

/** A request as protobuf. */
export function encodeProtobuf(
  { resource, scope }: SpanSource,
  spans: readonly EndedSpan[],
): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.message(1, () => {
    writer.message(1, () => {
      for (const [key, value] of Object.entries(resource)) {
        writer.message(1, () => writeKeyValue(writer, key, value));
      }
    });
    writer.message(2, () => {
      writer.message(1, () => {
        writer.text(1, scope.name);
        writer.text(2, scope.version);
      });
      for (const span of spans) writer.message(2, () => writeSpan(writer, span));
    });
  });
  return writer.finish();
}
