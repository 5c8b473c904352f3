/**
 * Damages messages and names, from a seed: the same seed and the same message give the same damage.
 *
 * Messages are taken apart as protocol buffers where they can be, without a schema, so that the damage lies in fields at
 * any depth and not only in the outermost lengths; the bytes around it are left consistent, or are made not to be.
 *
 * @module
 */

import { type Random, seededRandom } from "@brokkr/common";
import { concat, varint } from "../conformance/protobuf.ts";

/** Most bytes of what {@linkcode Mutator.message} makes, but for what it was given. */
const MAX_GROWTH_BYTES = 70_000;
const encoder = new TextEncoder();

/** One field as it lies on the wire. */
interface Field {
  readonly number: number;
  readonly type: number;
  /** A varint's value. */
  readonly value?: bigint;
  /** Content of the others. */
  readonly bytes?: Uint8Array;
  /** Where it begins and ends in its message. */
  readonly start: number;
  readonly end: number;
}

/** A varint at `at`, with where it ends; undefined when it does not. */
function readVarint(
  bytes: Uint8Array,
  at: number,
): { readonly value: bigint; readonly end: number } | undefined {
  let small = 0;
  for (let i = 0; i < 4 && at + i < bytes.length; i++) {
    small += (bytes[at + i] & 0x7f) * 128 ** i;
    if (bytes[at + i] < 0x80) return { value: BigInt(small), end: at + i + 1 };
  }
  let value = 0n;
  for (let i = 0; i < 10 && at + i < bytes.length; i++) {
    value |= BigInt(bytes[at + i] & 0x7f) << BigInt(7 * i);
    if (bytes[at + i] < 0x80) return { value, end: at + i + 1 };
  }
  return undefined;
}

/** The fields of a message, or undefined where it is none. */
function fieldsOf(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  for (let start = 0; start < bytes.length;) {
    const tag = readVarint(bytes, start);
    if (tag === undefined || tag.value < 8n || tag.value > 0xffffffffn) return undefined;
    const number = Number(tag.value >> 3n), type = Number(tag.value & 7n);
    const first = type === 0 || type === 2 ? readVarint(bytes, tag.end) : undefined;
    let from = tag.end, length = type === 1 ? 8 : 4;
    if (type === 0 || type === 2) {
      if (first === undefined) return undefined;
      from = first.end;
      length = type === 0 ? 0 : Number(first.value);
    } else if (type !== 1 && type !== 5) return undefined;
    const end = from + length;
    if (end > bytes.length) return undefined;
    fields.push({ number, type, value: first?.value, bytes: bytes.subarray(from, end), start, end });
    start = end;
  }
  return fields;
}

function shortVarint(value: number): Uint8Array {
  if (value < 0x80) return new Uint8Array([value]);
  return value < 0x4000 ? new Uint8Array([value & 0x7f | 0x80, value >> 7]) : varint(value);
}

function encodeField(number: number, type: number, bytes: Uint8Array, value = 0n): Uint8Array {
  const tag = shortVarint(number * 8 + type);
  if (type === 0) return concat([tag, varint(value)]);
  return concat(type === 2 ? [tag, shortVarint(bytes.length), bytes] : [tag, bytes]);
}

/** `part`, `times` times. */
function repeated(part: Uint8Array, times: number): Uint8Array {
  const out = new Uint8Array(part.length * times);
  for (let i = 0; i < times; i++) out.set(part, i * part.length);
  return out;
}

/** Numbers at which readers go wrong. */
const NUMBERS: readonly bigint[] = [
  ...[0n, 1n, 2n, 4n, 9n, 127n, 128n, 255n, 4096n, 65_536n, 4_194_304n],
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n],
  ...[2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 2n, 2n ** 64n - 2n ** 31n],
];

/** Bytes that are no UTF-8. */
const NO_TEXT: readonly (readonly number[])[] = [
  [0xff],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xe2, 0x82],
  [0x80],
];

/** Names that mean harm, or are only unusual. */
export const HOSTILE_NAMES: readonly string[] = [
  ...[
    "",
    ".",
    "..",
    "/",
    "//",
    "../..",
    "a/../b",
    "/etc/passwd",
    "a/./b",
    "a//b",
    "a/",
    "/a",
    "\\",
    "..\\..",
  ],
  ...[
    "\0",
    "a\0b",
    "\n",
    "\r\n",
    "\t",
    "\x1b[2J",
    "\x7f",
    " ",
    "a b",
    "'",
    '"',
    "`id`",
    "$(id)",
    "%00",
    "%2e%2e",
  ],
  ...["\u202eexe.txt", "\u200b", "\ufeff", "\ufffd", "e\u0301", "é", "\u{1f4a9}", "\u{10ffff}", "İ", "ﬀ"],
  ...["\ud800", "a\udfffb", "\udc00\ud800"],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "NaN", "-1", "1e9", "0x10", "00", "+1", "١"],
  ...["blobs", "uploads", "operations", "compressed-blobs", "actions", "sha256", "blake3", "identity"],
  ...["a".repeat(255), "a".repeat(256), "ü".repeat(128), "a".repeat(4096), "a/".repeat(2100)],
];
/** One that no name may have the length of. */
const HUGE_NAME = "x".repeat(65_536);

/** Damages what it is given. */
export class Mutator {
  readonly #random: Random;

  /** `seed` and `index` together name one damage. */
  constructor(seed: number, index: number) {
    this.#random = seededRandom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index, 0xc2b2ae35));
  }

  /** A whole number from 0 to `n` - 1. */
  below(n: number): number {
    return Math.floor(this.#random.next() * n);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  /** One of several. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** Some random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return this.#random.bytes(length);
  }

  /** The message, damaged in one to four places; one in twenty stays as it is. `others` are messages to splice in. */
  message(bytes: Uint8Array, others: readonly Uint8Array[] = []): Uint8Array {
    if (this.chance(0.05)) return bytes;
    let result = bytes;
    for (let left = 1 + this.below(4); left > 0; left--) {
      if (result.length > bytes.length + MAX_GROWTH_BYTES) break;
      result = this.chance(0.7) ? this.#fields(result, others, 0) : this.#bytes(result, others);
    }
    return result;
  }

  /** Text, damaged; surrogates may be alone in it. */
  text(text: string): string {
    if (this.chance(0.05)) return text;
    let result = text;
    for (let left = 1 + this.below(3); left > 0 && result.length <= MAX_GROWTH_BYTES; left--) {
      result = this.#text(result);
    }
    return result;
  }

  #name(): string {
    return this.chance(0.01) ? HUGE_NAME : this.pick(HOSTILE_NAMES);
  }

  #text(text: string): string {
    const at = this.below(text.length + 1);
    const parts = text.split("/");
    const part = this.below(parts.length);
    switch (this.below(9)) {
      case 0:
        return this.#name();
      case 1:
        return text.slice(0, at) + this.#name() + text.slice(at);
      case 2:
        return text.slice(0, at);
      case 3:
        return text.slice(at);
      case 4:
        return text.slice(0, at) + String.fromCharCode(this.below(0x10000)) + text.slice(at + 1);
      case 5:
        return parts.toSpliced(part, 1).join("/");
      case 6:
        return parts.toSpliced(part, 0, parts[this.below(parts.length)]).join("/");
      case 7:
        return parts.with(part, this.#name()).join("/");
      default:
        return parts.with(part, String(BigInt.asIntN(64, this.pick(NUMBERS)))).join("/");
    }
  }

  #bytes(bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    const at = this.below(bytes.length + 1);
    const changed = bytes.slice();
    switch (this.below(8)) {
      case 0:
        for (let left = 1 + this.below(8); left > 0 && changed.length > 0; left--) {
          changed[this.below(changed.length)] ^= 1 << this.below(8);
        }
        return changed;
      case 1:
        if (at < changed.length) changed[at] = this.pick([0, 1, 0x7f, 0x80, 0xff, this.below(256)]);
        return changed;
      case 2:
        return bytes.subarray(0, at);
      case 3:
        return bytes.subarray(at);
      case 4:
        return concat([bytes.subarray(0, at), this.bytes(this.below(20)), bytes.subarray(at)]);
      case 5:
        return concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + this.below(20)))]);
      case 6: {
        const other = others.length === 0 ? bytes : this.pick(others);
        return concat([bytes.subarray(0, at), other.subarray(this.below(other.length + 1))]);
      }
      default:
        // A varint that never ends, or one of a length that nobody has.
        return concat([bytes.subarray(0, at), this.#varint(), bytes.subarray(at)]);
    }
  }

  /** A varint: at times longer than it need be, or than it may be. */
  #varint(): Uint8Array {
    const plain = varint(this.pick(NUMBERS));
    if (this.chance(0.7)) return plain;
    const long = new Uint8Array(plain.length + this.below(8)).fill(0x80);
    long.set(plain);
    for (let i = 0; i < long.length - 1; i++) long[i] |= 0x80;
    if (this.chance(0.5)) long[long.length - 1] &= 0x7f;
    return long;
  }

  #fields(bytes: Uint8Array, others: readonly Uint8Array[], depth: number): Uint8Array {
    const fields = fieldsOf(bytes);
    if (fields === undefined || fields.length === 0) return this.#bytes(bytes, others);
    const field = this.pick(fields);
    const before = bytes.subarray(0, field.start), after = bytes.subarray(field.end);
    // Mostly deeper, since most of a message lies there.
    if (field.type === 2 && depth < 12 && this.chance(0.6)) {
      const content = field.bytes ?? new Uint8Array();
      const inner = fieldsOf(content)?.length
        ? this.#fields(content, others, depth + 1)
        : this.#content(content);
      return concat([before, encodeField(field.number, 2, inner), after]);
    }
    const whole = bytes.subarray(field.start, field.end);
    switch (this.below(11)) {
      case 0:
        return concat([before, after]);
      case 1: {
        const { start } = this.pick(fields);
        return concat([bytes.subarray(0, start), whole, bytes.subarray(start)]);
      }
      case 2: {
        const times = this.chance(0.9) ? this.pick([2, 30]) : 1000;
        return concat([repeated(whole, Math.min(times, Math.ceil(MAX_GROWTH_BYTES / whole.length))), bytes]);
      }
      case 3:
        return concat(fields.map(({ start, end }) => bytes.subarray(start, end)).reverse());
      case 9:
        return concat([bytes, this.#unknown(), others.length > 0 ? this.pick(others) : whole]);
      default:
        return concat([before, this.#field(field, whole), after]);
    }
  }

  /** What a string or bytes field holds instead. */
  #content(content: Uint8Array): Uint8Array {
    switch (this.below(4)) {
      case 0:
        return encoder.encode(this.#name());
      case 1:
        return encoder.encode(this.#text(new TextDecoder().decode(content)));
      case 2: {
        const at = this.below(content.length + 1);
        return concat([content.subarray(0, at), new Uint8Array(this.pick(NO_TEXT)), content.subarray(at)]);
      }
      default:
        return this.#bytes(content, []);
    }
  }

  /** What comes in the place of one field, `whole` on the wire. */
  #field({ number, type, bytes = new Uint8Array() }: Field, whole: Uint8Array): Uint8Array {
    switch (this.below(6)) {
      case 0:
        return encodeField(number, 0, bytes, this.pick(NUMBERS));
      case 1: {
        const other = this.pick([1, 2, 5]);
        return encodeField(number, other, this.bytes(other === 1 ? 8 : 4));
      }
      case 2:
        // Groups, their ends without a beginning, and types that there are not.
        return concat([varint(number * 8 + this.pick([3, 4, 6, 7])), whole]);
      case 3:
        return encodeField(this.pick([1, 2, 3, 5, 15, 16, 1000, 536_870_911]), type, bytes, 1n);
      case 4:
        return this.#nested(number);
      default:
        // A length that is not that of what follows.
        return concat([varint(number * 8 + 2), this.#varint(), bytes]);
    }
  }

  /** A field within itself, many times over. */
  #nested(number: number): Uint8Array {
    const levels = this.chance(0.95) ? this.pick([2, 33, 101]) : 3000;
    if (this.chance(0.3)) return repeated(varint(number * 8 + 3), levels);
    // From the inside out, in one piece: its lengths are known beforehand.
    const tag = varint(number * 8 + 2);
    const heads: Uint8Array[] = [];
    let size = 0;
    for (let i = 0; i < levels; i++) {
      heads.push(tag, shortVarint(size));
      size += tag.length + heads[heads.length - 1].length;
    }
    const pairs: Uint8Array[] = [];
    for (let i = heads.length - 2; i >= 0; i -= 2) pairs.push(heads[i], heads[i + 1]);
    return concat(pairs);
  }

  #unknown(): Uint8Array {
    const number = this.pick([99, 2000, 536_870_911, 19_500]);
    const type = this.pick([0, 1, 2, 5]);
    const bytes = this.bytes(type === 1 ? 8 : type === 5 ? 4 : this.below(30));
    const field = encodeField(number, type, bytes, this.pick(NUMBERS));
    return this.chance(0.7)
      ? field
      : concat([varint(number * 8 + 3), field, varint(number * 8 + (this.chance(0.8) ? 4 : 3))]);
  }
}

/** Bytes as hex, whole up to `limit` bytes. */
export function hexOf(bytes: Uint8Array, limit = 4096): string {
  const hex = bytes.subarray(0, limit).toHex();
  return bytes.length > limit ? `${hex}… (${bytes.length} bytes)` : hex;
}

/** The seed of this run and how many cases it is to try, from `BROKKR_FUZZ_SEED` and `BROKKR_FUZZ_COUNT`. */
export function fuzzPlan(defaultCount: number): { readonly seed: number; readonly count: number } {
  const number = (name: string, otherwise: number) => {
    const value = Number(Deno.env.get(name) ?? otherwise);
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} must be a whole number`);
    return value;
  };
  return {
    seed: number("BROKKR_FUZZ_SEED", crypto.getRandomValues(new Uint32Array(1))[0]),
    count: number("BROKKR_FUZZ_COUNT", defaultCount),
  };
}

/**
 * The smallest message found that still `fails`: pieces are cut out, from halves down to single bytes. It asks at most
 * `tries` times.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { minimised } from "./_mutator.ts";
 * const found = await minimised(new Uint8Array([1, 2, 7, 3, 9, 4]), (bytes) => bytes.includes(7) && bytes.includes(9));
 * assertEquals(found, new Uint8Array([7, 9]));
 * ```
 */
export async function minimised(
  bytes: Uint8Array,
  fails: (bytes: Uint8Array) => boolean | Promise<boolean>,
  tries = 2000,
): Promise<Uint8Array> {
  let best = bytes;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && tries > 0;) {
      tries--;
      const shorter = concat([best.subarray(0, at), best.subarray(at + size)]);
      if (await fails(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}
