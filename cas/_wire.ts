/**
 * Reading and writing protobuf's wire format field by field, for messages whose bytes must stay as they came or must
 * come out canonical. See https://protobuf.dev/programming-guides/encoding/.
 *
 * @module
 */

import { invalidArgument } from "@brokkr/common";

/** Wire types that occur in proto3; groups are refused. */
export const Wire = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;

const fatalDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Walks the fields of one message. `what` names the message in errors. */
export class WireReader {
  /** The bytes walked over. */
  readonly bytes: Uint8Array;
  /** Next byte. */
  pos: number;
  /** End of the message. */
  readonly end: number;
  /** Field number of the field that {@linkcode WireReader.next} found. */
  field = 0;
  /** Its wire type. */
  type = 0;
  readonly #what: string;

  constructor(bytes: Uint8Array, what: string, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.pos = start;
    this.end = end;
    this.#what = what;
  }

  /** Moves to the next field; false at the end. The value must then be taken or skipped. */
  next(): boolean {
    if (this.pos >= this.end) return false;
    const tag = this.varint();
    this.field = Math.floor(tag / 8);
    this.type = tag & 7;
    if (this.field < 1 || tag > 0xffffffff) throw this.malformed(`has a field number of ${this.field}`);
    return true;
  }

  /** An unsigned varint; what does not fit 53 bits is refused. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (this.pos >= this.end) throw this.malformed("ends inside a number");
      const byte = this.bytes[this.pos++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) {
          throw this.malformed("holds a number that is negative or above 2^53");
        }
        return value;
      }
      scale *= 128;
    }
    throw this.malformed("holds a number of more than 10 bytes");
  }

  /** A value whose wire type must be VARINT. */
  number(): number {
    this.#expect(Wire.VARINT);
    return this.varint();
  }

  /** An int64 value, which may be negative; beyond 2^53 it is refused. */
  int64(): number {
    this.#expect(Wire.VARINT);
    const start = this.pos;
    this.skip();
    if (this.pos - start < 10) {
      this.pos = start;
      return this.varint();
    }
    let value = 0n;
    for (let i = start; i < this.pos; i++) value |= BigInt(this.bytes[i] & 0x7f) << BigInt(7 * (i - start));
    const signed = Number(BigInt.asIntN(64, value));
    if (!Number.isSafeInteger(signed)) throw this.malformed("holds a number beyond 2^53");
    return signed;
  }

  /** A length-delimited value, as a view. */
  view(): Uint8Array {
    this.#expect(Wire.BYTES);
    const length = this.varint();
    const start = this.pos;
    if (length > this.end - start) throw this.malformed("ends inside a field");
    this.pos = start + length;
    return this.bytes.subarray(start, this.pos);
  }

  /** A reader over a sub-message. */
  message(what: string): WireReader {
    this.#expect(Wire.BYTES);
    const length = this.varint();
    const start = this.pos;
    if (length > this.end - start) throw this.malformed("ends inside a field");
    this.pos = start + length;
    return new WireReader(this.bytes, what, start, this.pos);
  }

  /** A string; undefined when its bytes are no UTF-8. */
  text(): string | undefined {
    return decodeUtf8(this.view());
  }

  /** Passes over a value. */
  skip(): void {
    switch (this.type) {
      case Wire.VARINT:
        for (let i = 0; i < 10; i++) {
          if (this.pos >= this.end) throw this.malformed("ends inside a number");
          if (this.bytes[this.pos++] < 0x80) return;
        }
        throw this.malformed("holds a number of more than 10 bytes");
      case Wire.FIXED64:
        this.pos += 8;
        break;
      case Wire.BYTES:
        this.pos += this.varint();
        break;
      case Wire.FIXED32:
        this.pos += 4;
        break;
      default:
        throw this.malformed(`holds a value of wire type ${this.type}`);
    }
    if (this.pos > this.end) throw this.malformed("ends inside a field");
  }

  /** The error for bytes that are no such message. */
  malformed(why: string): Error {
    return invalidArgument("", `The bytes of ${this.#what} are malformed: field ${this.field} ${why}`);
  }

  #expect(type: number): void {
    if (this.type !== type) throw this.malformed(`has wire type ${this.type} where ${type} belongs`);
  }
}

/** `bytes` as text, or undefined when they are no UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  if (bytes.length <= 64) {
    let ascii = true;
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] >= 0x80) {
        ascii = false;
        break;
      }
    }
    if (ascii) return String.fromCharCode.apply(undefined, bytes as unknown as number[]);
  }
  try {
    return fatalDecoder.decode(bytes);
  } catch {
    // The decoder throws a TypeError for what is no UTF-8 and for nothing else.
    return undefined;
  }
}

/** Bytes as a person can read them: printable ASCII as it is, the rest as `\xNN`. */
export function showBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes.subarray(0, 100)) {
    text += byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `"${text}${bytes.length > 100 ? "…" : ""}"`;
}

/** Writes a message into a buffer that grows. */
export class WireWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** What was written; a copy of its own. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** Writes a tag and a varint; a zero is left out, as proto3 wants it. */
  number(field: number, value: number): void {
    if (value === 0) return;
    this.tag(field, Wire.VARINT);
    this.varint(value);
  }

  /** Writes a tag and an int64, which may be negative; a zero is left out. */
  int64(field: number, value: number): void {
    if (value >= 0) return this.number(field, value);
    this.tag(field, Wire.VARINT);
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(rest);
  }

  /** Writes a tag and a string; an empty one is left out. */
  text(field: number, value: string): void {
    if (value === "") return;
    this.bytes(field, encoder.encode(value));
  }

  /** Writes a tag, a length and bytes, also when there are none. */
  bytes(field: number, value: Uint8Array): void {
    this.tag(field, Wire.BYTES);
    this.varint(value.length);
    this.raw(value);
  }

  /** Writes a sub-message, also when it is empty. */
  message(field: number, body: () => void): void {
    this.tag(field, Wire.BYTES);
    const lengthAt = this.#length;
    this.#reserve(1);
    this.#length++;
    body();
    const size = this.#length - lengthAt - 1;
    const extra = varintLength(size) - 1;
    if (extra > 0) {
      this.#reserve(extra);
      this.#bytes.copyWithin(lengthAt + 1 + extra, lengthAt + 1, this.#length);
    }
    this.#length = lengthAt;
    this.varint(size);
    this.#length += size;
  }

  /** Writes a tag. */
  tag(field: number, type: number): void {
    this.varint(field * 8 + type);
  }

  /** Writes a varint of at most 53 bits. */
  varint(value: number): void {
    this.#reserve(10);
    while (value >= 0x80) {
      this.#bytes[this.#length++] = (value % 128) | 0x80;
      value = Math.floor(value / 128);
    }
    this.#bytes[this.#length++] = value;
  }

  /** Writes bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** How many bytes a varint takes. */
export function varintLength(value: number): number {
  let length = 1;
  while (value >= 0x80) {
    value = Math.floor(value / 128);
    length++;
  }
  return length;
}
