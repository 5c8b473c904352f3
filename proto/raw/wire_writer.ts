/**
 * Writes protobuf messages field by field.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { LONG_TEXT_BYTES, tagOf, textSize, varintSize, WireType } from "./wire.ts";

const TWO_32 = 4294967296;

const encoder = new TextEncoder();

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
    if (value >= 0 && value < 128 && Number.isInteger(value)) {
      if (this.pos === this.bytes.length) this.reserve(1);
      this.bytes[this.pos++] = value;
      return;
    }
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
    if (!text.isWellFormed()) {
      throw new BrokkrError(Code.INVALID_ARGUMENT, `Not well-formed text: ${JSON.stringify(text)}`);
    }
    this.reserve(textSize(text));
    this.pos += encoder.encodeInto(text, this.bytes.subarray(this.pos)).written;
  }

  /** What was written, as a view of the writer's buffer: write nothing afterwards. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.pos);
  }
}
