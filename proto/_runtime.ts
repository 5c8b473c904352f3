/**
 * The reader and writer that generated codecs are given. They answer to the calls that pbjs makes, so that protobufjs
 * itself (and its `long`) is loaded by the generator and the tests only: a command that starts should not wait for it.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { LONG_TEXT_BYTES, textSize, varintSize } from "./raw/wire.ts";
import { WireReader } from "./raw/wire_reader.ts";
import { WireWriter } from "./raw/wire_writer.ts";

/** A {@linkcode WireReader} that also reads packed fields. */
export class MessageReader extends WireReader {
  /** Appends packed int32s, or enums, to `values`. */
  int32s(values: number[]): void {
    const outer = this.enter();
    while (!this.done) values.push(this.int32());
    this.leave(outer);
  }

  /** Appends packed uint32s to `values`. */
  uint32s(values: number[]): void {
    const outer = this.enter();
    while (!this.done) values.push(this.uint32());
    this.leave(outer);
  }
}

/** A {@linkcode WireWriter} whose calls chain; it refuses what could not be read back as it was. */
export class MessageWriter extends WireWriter {
  readonly #open: number[] = [];

  /** Forgets what was written, also by a message that was refused midway. */
  reset(): void {
    this.pos = 0;
    this.#open.length = 0;
  }

  /** A tag or a uint32. */
  uint32(value: number): this {
    requireInteger(value, 0, 0xffffffff);
    this.varint(value);
    return this;
  }

  /** An int32 or an enum. */
  int32(value: number): this {
    requireInteger(value, -0x80000000, 0x7fffffff);
    this.varint(value);
    return this;
  }

  /** An int64. */
  int64(value: number): this {
    requireInteger(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    this.varint(value);
    return this;
  }

  /** A uint64. */
  uint64(value: number): this {
    requireInteger(value, 0, Number.MAX_SAFE_INTEGER);
    this.varint(value);
    return this;
  }

  /** A bool. */
  bool(value: boolean): this {
    this.varint(value ? 1 : 0);
    return this;
  }

  /** Text with its length. */
  string(value: string): this {
    if (typeof value !== "string") {
      throw new BrokkrError(Code.INVALID_ARGUMENT, `Cannot encode ${String(value)} as a text`);
    }
    const begin = this.pos;
    if (value.length <= LONG_TEXT_BYTES) {
      // A guess that is nearly always right: all ASCII, so that its length in bytes is known.
      this.varint(value.length);
      this.text(value);
      if (this.pos - begin - 1 === value.length) return this;
      this.pos = begin;
    }
    this.varint(textSize(value));
    this.text(value);
    return this;
  }

  /** Bytes with their length. */
  blob(value: Uint8Array): this {
    if (!(value instanceof Uint8Array)) {
      throw new BrokkrError(
        Code.INVALID_ARGUMENT,
        `Cannot encode ${typeof value} as bytes; give a Uint8Array`,
      );
    }
    this.varint(value.length);
    this.raw(value);
    return this;
  }

  /** Packed int32s or enums. */
  int32s(values: readonly number[]): this {
    this.fork();
    for (const value of values) this.int32(value);
    return this.ldelim();
  }

  /** Packed uint32s. */
  uint32s(values: readonly number[]): this {
    this.fork();
    for (const value of values) this.uint32(value);
    return this.ldelim();
  }

  /** Begins a submessage: leaves one byte for its length. */
  fork(): this {
    this.reserve(1);
    this.#open.push(this.pos++);
    return this;
  }

  /** Ends a submessage: puts its length before it, moving it if that takes more than a byte. */
  ldelim(): this {
    const at = this.#open.pop();
    if (at === undefined) throw new BrokkrError(Code.INTERNAL, "A submessage ended that had not begun");
    const length = this.pos - at - 1;
    if (length < 128) {
      this.bytes[at] = length;
      return this;
    }
    const extra = varintSize(length) - 1;
    this.reserve(extra);
    this.bytes.copyWithin(at + 1 + extra, at + 1, this.pos);
    this.pos = at;
    this.varint(length);
    this.pos += length;
    return this;
  }
}

function requireInteger(value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new BrokkrError(
    Code.INVALID_ARGUMENT,
    `Cannot encode ${String(value)}; the field takes integers from ${least} to ${most}`,
  );
}
