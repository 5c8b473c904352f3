/**
 * The protobuf wire format by hand: a reader that walks fields and a writer that grows. For messages that are too hot,
 * or too large, to become objects.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";

/** The wire types: the low three bits of a tag. */
export const WireType = {
  /** A varint. */
  VARINT: 0,
  /** Eight bytes. */
  FIXED64: 1,
  /** A length and as many bytes. */
  LENGTH: 2,
  /** Begins a group: fields up to the END_GROUP of the same number. Only ever skipped. */
  START_GROUP: 3,
  /** Ends a group. */
  END_GROUP: 4,
  /** Four bytes. */
  FIXED32: 5,
} as const;

const TWO_32 = 4294967296;

/** Groups within groups are followed this far. */
const MAX_GROUP_DEPTH = 100;

/** Texts from this length on go to the platform's decoder, whose call costs as much as a short loop. */
const LONG_TEXT_BYTES = 64;

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** A field's tag, for `switch`. */
export function tagOf(field: number, wireType: number): number {
  return (field << 3 | wireType) >>> 0;
}

/**
 * Walks the fields of a message. `pos` and `end` may be set to walk a part of `bytes`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { WireReader } from "@brokkr/proto";
 * const reader = new WireReader(new Uint8Array([0x08, 0x96, 0x01, 0x12, 1, 0x61]), "example.Message");
 * let number = 0;
 * let text = "";
 * while (!reader.done) {
 *   const tag = reader.tag();
 *   if (tag === 0x08) number = reader.int64();
 *   else if (tag === 0x12) text = reader.string();
 *   else reader.skip(tag);
 * }
 * assertEquals([number, text], [150, "a"]);
 * ```
 */
export class WireReader {
  /** What is read. */
  readonly bytes: Uint8Array;
  /** Name of the message, for errors. */
  readonly name: string;
  /** Where the next byte is read. */
  pos: number;
  /** Where reading ends. */
  end: number;

  /** Reads `bytes` from `pos` to `end`, all of them by default. */
  constructor(bytes: Uint8Array, name: string, pos = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.name = name;
    this.pos = pos;
    this.end = end;
  }

  /** Whether the end is reached. */
  get done(): boolean {
    return this.pos >= this.end;
  }

  /** The error for what is wrong here: a BrokkrError with INVALID_ARGUMENT. */
  fault(what: string): Error {
    return new BrokkrError(
      Code.INVALID_ARGUMENT,
      `Malformed ${this.name} message: ${what} at byte ${this.pos}`,
    );
  }

  /**
   * The next field's tag: number times eight plus wire type.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT for a field number that there cannot be.
   */
  tag(): number {
    const { bytes, end } = this;
    let pos = this.pos;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (pos >= end) throw this.fault("a tag is cut off");
      const byte = bytes[pos++];
      value |= (byte & 127) << shift;
      if (byte >= 128) continue;
      if (shift === 28 && byte > 15) break;
      this.pos = pos;
      value >>>= 0;
      if (value < 8) throw this.fault("field number 0 is not allowed");
      return value;
    }
    throw this.fault("a tag is too large");
  }

  /**
   * Length of what comes next, which lies before the end.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when it does not.
   */
  length(): number {
    const { bytes, end } = this;
    let pos = this.pos;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (pos >= end) throw this.fault("a length is cut off");
      const byte = bytes[pos++];
      value |= (byte & 127) << shift;
      if (byte >= 128) continue;
      if (shift === 28 && byte > 7) break;
      if (value > end - pos) throw this.fault(`a length of ${value} reaches past the end`);
      this.pos = pos;
      return value;
    }
    throw this.fault("a length is too large");
  }

  /** Enters a submessage: reading now ends where it ends. Give what this returns to {@linkcode leave}. */
  enter(): number {
    const length = this.length();
    const outer = this.end;
    this.end = this.pos + length;
    return outer;
  }

  /** Leaves a submessage whose fields have all been read. */
  leave(outer: number): void {
    if (this.pos !== this.end) throw this.fault("a submessage does not end where it should");
    this.end = outer;
  }

  /** An int64 as a number; beyond 2^53 it is rounded. */
  int64(): number {
    const byte = this.bytes[this.pos];
    if (byte < 128 && this.pos < this.end) {
      this.pos++;
      return byte;
    }
    const low = this.#long();
    return (this.#high | 0) * TWO_32 + low;
  }

  /** A uint64 as a number; beyond 2^53 it is rounded. */
  uint64(): number {
    const low = this.#long();
    return this.#high * TWO_32 + low;
  }

  /** An int32 or an enum's value. */
  int32(): number {
    return this.#long() | 0;
  }

  /** A uint32. */
  uint32(): number {
    return this.#long();
  }

  /** A bool. */
  bool(): boolean {
    return this.#long() !== 0 || this.#high !== 0;
  }

  #high = 0;

  /** Reads a varint: the low word is returned, the high one is left in `#high`. */
  #long(): number {
    const { bytes, end } = this;
    let pos = this.pos;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= end) throw this.fault("a number is cut off");
      const byte = bytes[pos++];
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift > 28) high |= bits << (shift - 32);
      else {
        low |= bits << 28;
        high = bits >>> 4;
      }
      if (byte >= 128) continue;
      this.pos = pos;
      this.#high = high >>> 0;
      return low >>> 0;
    }
    throw this.fault("a number has more than ten bytes");
  }

  /** A `bytes` field, as a view. */
  view(): Uint8Array {
    const length = this.length();
    this.pos += length;
    return this.bytes.subarray(this.pos - length, this.pos);
  }

  /**
   * A `string` field.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when it is not UTF-8.
   */
  string(): string {
    const length = this.length();
    const start = this.pos;
    this.pos += length;
    try {
      return readText(this.bytes, start, this.pos);
    } catch {
      this.pos = start;
      throw this.fault("a text is not UTF-8");
    }
  }

  /** Passes over a field whose tag was just read. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case WireType.VARINT:
        this.#long();
        return;
      case WireType.FIXED64:
        this.#advance(8);
        return;
      case WireType.LENGTH:
        this.#advance(this.length());
        return;
      case WireType.START_GROUP:
        this.#skipGroup(tag, depth);
        return;
      case WireType.FIXED32:
        this.#advance(4);
        return;
      default:
        throw this.fault(`wire type ${tag & 7} is not allowed`);
    }
  }

  #advance(count: number): void {
    if (count > this.end - this.pos) throw this.fault("a fixed number is cut off");
    this.pos += count;
  }

  #skipGroup(begin: number, depth: number): void {
    if (depth >= MAX_GROUP_DEPTH) throw this.fault("groups are nested too deep");
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) !== WireType.END_GROUP) this.skip(tag, depth + 1);
      else if (tag === begin + 1) return;
      else throw this.fault("a group ends with another's tag");
    }
  }
}

/**
 * Text from UTF-8.
 *
 * @throws {TypeError} When it is not UTF-8.
 */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > LONG_TEXT_BYTES) return strictDecoder.decode(bytes.subarray(start, end));
  let text = "";
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const a = bytes[i], b = bytes[i + 1], c = bytes[i + 2], d = bytes[i + 3];
    if ((a | b | c | d) > 127) return strictDecoder.decode(bytes.subarray(start, end));
    text += String.fromCharCode(a, b, c, d);
  }
  for (; i < end; i++) {
    if (bytes[i] > 127) return strictDecoder.decode(bytes.subarray(start, end));
    text += String.fromCharCode(bytes[i]);
  }
  return text;
}

/** Bytes that a varint takes, for an integer from 0 to 2^53 - 1. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 127; rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >>> 7) size++;
  return size;
}

/** Bytes that a text takes as UTF-8. */
export function textSize(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    size += unit < 0x800 ? 1 : 2;
    // A pair of surrogates is four bytes for its two units, all of which the first has counted.
    if (unit >= 0xd800 && unit < 0xdc00) i++;
  }
  return size;
}

/**
 * Appends to a buffer that grows. Give the size if it is known: then nothing is copied twice.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { WireWriter } from "@brokkr/proto";
 * const writer = new WireWriter(16);
 * writer.stringField(1, "a");
 * writer.intField(2, 300);
 * assertEquals(writer.finish(), new Uint8Array([0x0a, 1, 0x61, 0x10, 0xac, 0x02]));
 * ```
 */
export class WireWriter {
  /** What was written, and room behind it. */
  bytes: Uint8Array;
  /** Where the next byte goes. */
  pos = 0;

  /** Begins with room for `capacity` bytes. */
  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const need = this.pos + count;
    if (need <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(need, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.pos));
    this.bytes = grown;
  }

  /** A varint, from an integer between -(2^53 - 1) and 2^53 - 1. */
  varint(value: number): void {
    // Near the end only what is needed, so that a buffer of the exact size stays it.
    if (this.pos + 10 > this.bytes.length) this.reserve(value < 0 ? 10 : varintSize(value));
    const { bytes } = this;
    let pos = this.pos;
    let low = value;
    if (value < 0 || (value | 0) !== value) {
      if (!Number.isSafeInteger(value)) {
        throw new BrokkrError(
          Code.INVALID_ARGUMENT,
          `Cannot encode ${value}; it must be an integer below 2^53`,
        );
      }
      // Two's complement by words: the low one modulo 2^32, the high one rounded down.
      let high = Math.floor(value / TWO_32) >>> 0;
      low = value >>> 0;
      while (high > 0) {
        bytes[pos++] = low & 127 | 128;
        low = (low >>> 7 | high << 25) >>> 0;
        high >>>= 7;
      }
    }
    while (low > 127) {
      bytes[pos++] = low & 127 | 128;
      low >>>= 7;
    }
    bytes[pos++] = low;
    this.pos = pos;
  }

  /** Bytes as they are. */
  raw(data: Uint8Array): void {
    this.reserve(data.length);
    this.bytes.set(data, this.pos);
    this.pos += data.length;
  }

  /** A tag and a length: what begins a submessage, or `bytes`, of `length` bytes. */
  header(field: number, length: number): void {
    this.varint(tagOf(field, WireType.LENGTH));
    this.varint(length);
  }

  /** An integer, enum or bool; nothing for 0. */
  intField(field: number, value: number): void {
    if (value === 0) return;
    this.varint(tagOf(field, WireType.VARINT));
    this.varint(value);
  }

  /** A `bytes` field; nothing when empty. */
  bytesField(field: number, data: Uint8Array): void {
    if (data.length === 0) return;
    this.header(field, data.length);
    this.raw(data);
  }

  /** A `string` field; nothing when empty. */
  stringField(field: number, text: string): void {
    if (text === "") return;
    this.header(field, textSize(text));
    this.text(text);
  }

  /** Text as UTF-8, without a header. */
  text(text: string): void {
    if (!text.isWellFormed()) {
      throw new BrokkrError(Code.INVALID_ARGUMENT, `Not well-formed text: ${JSON.stringify(text)}`);
    }
    if (text.length <= LONG_TEXT_BYTES) {
      this.reserve(text.length);
      const { bytes } = this;
      let pos = this.pos;
      let i = 0;
      for (; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        if (unit > 127) break;
        bytes[pos++] = unit;
      }
      if (i === text.length) {
        this.pos = pos;
        return;
      }
    }
    this.reserve(textSize(text));
    this.pos += encoder.encodeInto(text, this.bytes.subarray(this.pos)).written;
  }

  /** What was written, as a view of the writer's buffer: write nothing afterwards. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.pos);
  }
}
