/**
 * Protocol buffers without a schema: a writer that is told field numbers, and a reader that gives fields by number. It
 * shares nothing with the codecs of the project, so that a fault in those shows.
 *
 * @module
 */

/** What a field can be given. Arrays are repeated fields; numbers in an array are packed, as proto3 has them. */
export type FieldValue =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | undefined
  | readonly string[]
  | readonly number[]
  | readonly Uint8Array[];

const encoder = new TextEncoder();
const MAX_FIELDS = 10_000_000;

/** What makes an answer no protocol buffer, or not the one that was expected. */
export class ParseError extends Error {
  override readonly name = "ParseError";
}

/** Joins byte strings. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A number as a base 128 varint; negative ones take ten bytes, as int32 and int64 do. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    out.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return new Uint8Array(out);
}

/** A length-delimited field. */
function delimited(number: number, bytes: Uint8Array): Uint8Array {
  return concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function* field(number: number, value: FieldValue): Generator<Uint8Array> {
  if (value === undefined || value === "" || value === 0 || value === 0n || value === false) return;
  if (typeof value === "string") yield delimited(number, encoder.encode(value));
  else if (value instanceof Uint8Array) yield delimited(number, value);
  else if (typeof value === "object") yield* repeated(number, value);
  else yield concat([varint(number * 8), varint(typeof value === "boolean" ? 1 : value)]);
}

function* repeated(
  number: number,
  values: readonly string[] | readonly number[] | readonly Uint8Array[],
): Generator<Uint8Array> {
  const numbers: number[] = [];
  for (const value of values) {
    if (typeof value === "number") numbers.push(value);
    else yield delimited(number, typeof value === "string" ? encoder.encode(value) : value);
  }
  if (numbers.length > 0) yield delimited(number, concat(numbers.map(varint)));
}

/**
 * Encodes a message in canonical form: fields by number, scalars that have their default left out. Messages and bytes
 * are `Uint8Array`, and are written even when empty.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Fields, msg } from "./protobuf.ts";
 *
 * const digest = msg({ 1: "abc", 2: 3 });
 * assertEquals(Fields.parse(msg({ 1: "instance", 2: [digest] })).messages(2)[0].int(2), 3);
 * ```
 */
export function msg(fields: Readonly<Record<number, FieldValue>>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  // Keys that are integers come in ascending order.
  for (const [number, value] of Object.entries(fields)) parts.push(...field(Number(number), value));
  return concat(parts);
}

/**
 * The same message with other values in some fields, at the place of the first of them; undefined takes a field away.
 *
 * @throws {ParseError} when the bytes are no message
 */
export function edit(bytes: Uint8Array, changes: Readonly<Record<number, FieldValue>>): Uint8Array {
  const parts: Uint8Array[] = [];
  const written = new Set<number>();
  for (const reader = new Reader(bytes); !reader.done;) {
    const start = reader.at;
    const { number } = reader.field();
    if (!(number in changes)) parts.push(bytes.subarray(start, reader.at));
    else if (!written.has(number)) parts.push(...field(number, changes[number]));
    written.add(number);
  }
  for (const [number, value] of Object.entries(changes)) {
    if (!written.has(Number(number))) parts.push(...field(Number(number), value));
  }
  return concat(parts);
}

interface Raw {
  readonly number: number;
  /** 0 varint, 1 eight bytes, 2 delimited, 5 four bytes. */
  readonly type: number;
  readonly value: bigint | Uint8Array;
}

class Reader {
  #at = 0;
  constructor(readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.#at >= this.bytes.length;
  }

  get at(): number {
    return this.#at;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.done) throw new ParseError("The message ends inside a varint");
      const byte = this.bytes[this.#at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ParseError("A varint has more than ten bytes");
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.bytes.length) throw new ParseError(`A field of ${length} bytes runs past the end`);
    const taken = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  field(): Raw {
    const tag = Number(this.varint());
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (number === 0) throw new ParseError("A field has the number 0");
    if (type === 0) return { number, type, value: this.varint() };
    if (type === 1) return { number, type, value: this.take(8) };
    if (type === 2) return { number, type, value: this.take(Number(this.varint())) };
    if (type === 5) return { number, type, value: this.take(4) };
    throw new ParseError(`Field ${number} has the wire type ${type}`);
  }
}

/** A decoded message: its fields by number. Reading one as what it is not throws {@linkcode ParseError}. */
export class Fields {
  readonly #raw: readonly Raw[];

  private constructor(raw: readonly Raw[], readonly bytes: Uint8Array) {
    this.#raw = raw;
  }

  /**
   * Decodes one level of a message.
   *
   * @throws {ParseError} when the bytes are none
   */
  static parse(bytes: Uint8Array): Fields {
    const reader = new Reader(bytes);
    const raw: Raw[] = [];
    while (!reader.done) {
      if (raw.length >= MAX_FIELDS) throw new ParseError(`More than ${MAX_FIELDS} fields`);
      raw.push(reader.field());
    }
    return new Fields(raw, bytes);
  }

  /** Numbers of the fields that are set, in the order of the wire. */
  numbers(): number[] {
    return this.#raw.map(({ number }) => number);
  }

  /** Whether a field is on the wire. */
  has(number: number): boolean {
    return this.#raw.some((raw) => raw.number === number);
  }

  #all(number: number, type: number): Raw[] {
    const found = this.#raw.filter((raw) => raw.number === number);
    const wrong = found.find((raw) => raw.type !== type);
    if (wrong !== undefined) {
      throw new ParseError(`Field ${number} has the wire type ${wrong.type} where ${type} is right`);
    }
    return found;
  }

  /** A repeated field of messages or bytes. */
  bytesAll(number: number): Uint8Array[] {
    return this.#all(number, 2).map(({ value }) => value as Uint8Array);
  }

  /** A field of bytes; empty when unset. */
  bytesOf(number: number): Uint8Array {
    return this.bytesAll(number).at(-1) ?? new Uint8Array();
  }

  /** A repeated field of strings. */
  strs(number: number): string[] {
    return this.bytesAll(number).map((bytes) => {
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        throw new ParseError(`Field ${number} is a string that is not UTF-8`);
      }
    });
  }

  /** A string; empty when unset. */
  str(number: number): string {
    return this.strs(number).at(-1) ?? "";
  }

  /** A signed number; 0 when unset. */
  int(number: number): number {
    const last = this.#all(number, 0).at(-1);
    return last === undefined ? 0 : Number(BigInt.asIntN(64, last.value as bigint));
  }

  /** A truth; false when unset. */
  bool(number: number): boolean {
    return this.int(number) !== 0;
  }

  /** A repeated number, packed or not. */
  ints(number: number): number[] {
    const out: number[] = [];
    for (const raw of this.#raw.filter((one) => one.number === number)) {
      if (typeof raw.value === "bigint") out.push(Number(BigInt.asIntN(64, raw.value)));
      else for (const reader = new Reader(raw.value); !reader.done;) out.push(Number(reader.varint()));
    }
    return out;
  }

  /** A repeated field of messages. */
  messages(number: number): Fields[] {
    return this.bytesAll(number).map((bytes) => Fields.parse(bytes));
  }

  /** A message, or undefined when unset. Parts of it that came apart are merged, as the format asks. */
  message(number: number): Fields | undefined {
    const all = this.bytesAll(number);
    return all.length === 0 ? undefined : Fields.parse(all.length === 1 ? all[0] : concat(all));
  }
}
