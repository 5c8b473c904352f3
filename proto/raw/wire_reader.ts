/**
 * Walks protobuf messages field by field, for those that are too hot, or too large, to become objects.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { readText, WireType } from "./wire.ts";

const TWO_32 = 4294967296;

/** Groups within groups are followed this far. */
const MAX_GROUP_DEPTH = 100;

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
