/**
 * The reader and writer that generated codecs are given: protobufjs's own, with 64-bit integers as numbers whether or
 * not the package `long` is there, and with checks on what is written.
 *
 * @module
 */

import protobuf from "protobufjs/minimal.js";
import { BrokkrError, Code } from "@brokkr/common";

const TWO_32 = 4294967296;

/** protobufjs declares `Long` for 64-bit integers, which is what is changed here. */
const Reader = protobuf.Reader as unknown as new (bytes: Uint8Array) => Omit<
  protobuf.Reader,
  "int64" | "uint64"
>;

/** Reads messages; 64-bit integers beyond 2^53 come out rounded. */
export class NumberReader extends Reader {
  /** A signed 64-bit varint. */
  int64(): number {
    const low = this.#low();
    return low < 0 ? -1 - low : (this.#high | 0) * TWO_32 + low;
  }

  /** An unsigned 64-bit varint. */
  uint64(): number {
    const low = this.#low();
    return low < 0 ? -1 - low : this.#high * TWO_32 + low;
  }

  #high = 0;

  /** The low word, leaving the high one in `#high`; a value below 2^28 comes as -1 - value, with no high word. */
  #low(): number {
    const { buf, len } = this;
    let pos = this.pos;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= len) throw new RangeError("A number is cut off");
      const byte = buf[pos++];
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 128) {
        this.pos = pos;
        if (shift < 28) return -1 - low;
        this.#high = high >>> 0;
        return low >>> 0;
      }
    }
    throw new RangeError("A number has more than ten bytes");
  }
}

/** Writes messages; refuses what could not be read back as it was. */
export class NumberWriter extends protobuf.Writer {
  /** A signed 64-bit varint. */
  override int64(value: number): this {
    requireInteger(value, Number.MIN_SAFE_INTEGER);
    super.int64(value);
    return this;
  }

  /** An unsigned 64-bit varint. */
  override uint64(value: number): this {
    requireInteger(value, 0);
    super.uint64(value);
    return this;
  }

  /** Text; lone surrogates have no UTF-8. */
  override string(value: string): this {
    if (typeof value !== "string" || !value.isWellFormed()) {
      throw new BrokkrError(Code.INVALID_ARGUMENT, `Not well-formed text: ${JSON.stringify(value)}`);
    }
    super.string(value);
    return this;
  }
}

function requireInteger(value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new BrokkrError(
    Code.INVALID_ARGUMENT,
    `Cannot encode ${String(value)} as a 64-bit field; it must be an integer from ${least} to 2^53 - 1`,
  );
}
