/**
 * Messages as a hostile or merely unusual peer may write them, for property tests: fields in any order and more than
 * once, unknown ones among them, numbers longer than they need be, bytes changed and cut off.
 *
 * @module
 */

import fc from "fast-check";

/** Part of a message. */
export type Piece = fc.Arbitrary<Uint8Array>;

/** Bytes of all parts, one after the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A varint with `padding` bytes that say nothing. */
export function overlong(value: bigint, padding: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  } while (rest > 0n);
  for (let i = 0; i < padding && bytes.length < 10; i++) bytes.push(128);
  bytes[bytes.length - 1] &= 127;
  return new Uint8Array(bytes);
}

const padding = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, {
  weight: 1,
  arbitrary: fc.integer({ max: 3, min: 0 }),
});

/** Lengths and tags have five bytes at most. */
function short(value: number, pad: number): Uint8Array {
  return overlong(BigInt(value), Math.min(pad, value > 127 ? 1 : 2));
}

const numbers = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    -1n,
    127n,
    128n,
    2n ** 28n,
    2n ** 31n,
    2n ** 32n,
    2n ** 35n,
    2n ** 53n - 1n,
    -(2n ** 53n),
  ),
  fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }),
  fc.bigInt({ min: 0n, max: 5n }),
);

/** A varint field. */
export function varintField(field: number): Piece {
  return fc.tuple(numbers, padding, padding).map(([value, pad, tagPad]) =>
    concat([short(field << 3, tagPad), overlong(value, pad)])
  );
}

/** A field with a length, around `content`. */
export function lengthField(field: number, content: Piece): Piece {
  return fc.tuple(content, padding, padding).map(([bytes, pad, tagPad]) =>
    concat([short(field << 3 | 2, tagPad), short(bytes.length, pad), bytes])
  );
}

/** Text, mostly like a hash, always UTF-8. */
export const text: Piece = fc.oneof(
  fc.constantFrom("", "a".repeat(64), "0123456789abcdef".repeat(4), "b".repeat(130)),
  fc.string({ maxLength: 70 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
).map((it) => new TextEncoder().encode(it.toWellFormed()));

/** Some bytes. */
export const blob: Piece = fc.uint8Array({ maxLength: 200 });

/** A field that no message here has, of every wire type; a group too. */
export const unknownField: Piece = fc.oneof(
  varintField(100),
  lengthField(101, blob),
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map((it) => concat([short(102 << 3 | 1, 0), it])),
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((it) => concat([short(103 << 3 | 5, 0), it])),
  varintField(7).map((it) => concat([short(104 << 3 | 3, 0), it, short(104 << 3 | 4, 0)])),
);

/** A message of these fields, any number of each, in any order. */
export function message(...fields: readonly Piece[]): Piece {
  return fc.array(fc.oneof(...fields, unknownField), { maxLength: 8 }).map(concat);
}

/** A Digest. */
export const digest: Piece = message(lengthField(1, text), varintField(2));

/** A Status. */
export const status: Piece = message(
  varintField(1),
  lengthField(2, text),
  lengthField(3, message(lengthField(1, text), lengthField(2, blob))),
);

/** The same message, now and then with bytes changed or its end missing. */
export function damaged(piece: Piece): Piece {
  const harm = fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom("none", "change", "cut"));
  return fc.tuple(piece, harm).map(([bytes, [at, byte, how]]) => {
    if (bytes.length === 0 || how === "none") return bytes;
    if (how === "cut") return bytes.slice(0, at % bytes.length);
    const changed = bytes.slice();
    changed[at % bytes.length] = byte;
    return changed;
  });
}
