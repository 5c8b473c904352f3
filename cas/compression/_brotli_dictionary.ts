/**
 * The dictionary of brotli (RFC 7932, appendix A) and what it does to its words (appendix B).
 *
 * @module
 */

import { BrokkrError, Code, Slices } from "@brokkr/common";
import { loadZlib } from "./_zlib.ts";

/** Words of the lengths 4 to 24: log2 of how many there are of each. */
export const WORD_BITS: readonly number[] = [
  0,
  0,
  0,
  0,
  10,
  10,
  11,
  11,
  10,
  10,
  10,
  10,
  10,
  9,
  9,
  8,
  7,
  7,
  8,
  7,
  7,
  6,
  6,
  5,
  5, // by length
];

/** Where the words of each length begin. */
export const WORD_OFFSETS: readonly number[] = (() => {
  let at = 0;
  return WORD_BITS.map((bits, length) => {
    const begin = at;
    if (bits > 0) at += length << bits;
    return begin;
  });
})();

const DICTIONARY_BYTES = 122_784;
/** CRC-32 of the dictionary, which is the same in every implementation. */
const DICTIONARY_CRC = 0x5136cb04;

let loading: Promise<Uint8Array> | undefined;

/**
 * The words, one after the other. They are had from the decoder of `node:zlib`, which has them built in: it is given a
 * stream that names each of them once.
 */
export function loadDictionary(): Promise<Uint8Array> {
  return loading ??= (async () => {
    const zlib = await loadZlib();
    const stream = new BitWriter();
    const slices = new Slices();
    for (const _ of writeEveryWord(stream, 0)) if (slices.spent) await slices.next();
    const words = new Uint8Array(zlib.brotliDecompressSync(stream.bytes()));
    if (words.length !== DICTIONARY_BYTES || zlib.crc32(words) !== DICTIONARY_CRC) {
      throw new BrokkrError(Code.INTERNAL, "The brotli of this Deno has another dictionary; 2.9 is needed");
    }
    return words;
  })();
}

/** Writes bits, the lowest first. */
export class BitWriter {
  readonly #bytes: number[] = [];
  #pending = 0;
  #count = 0;

  /** Appends the lowest `count` bits of `value`, at most 20, of which the others must be 0. */
  put(value: number, count: number): void {
    this.#pending |= value << this.#count;
    this.#count += count;
    for (; this.#count >= 8; this.#count -= 8) {
      this.#bytes.push(this.#pending & 255);
      this.#pending >>>= 8;
    }
  }

  /** All that was written; the last byte is filled up with zeros. */
  bytes(): Uint8Array {
    return Uint8Array.from(this.#count > 0 ? [...this.#bytes, this.#pending] : this.#bytes);
  }
}

/** `value`, `count` bits of it, turned round: prefix codes go from their highest bit. */
function reversed(value: number, count: number): number {
  let turned = 0;
  for (let i = 0; i < count; i++) turned |= (value >> i & 1) << (count - 1 - i);
  return turned;
}

/**
 * A stream of one meta-block that copies every word of the dictionary once, for transforms that keep their length: with a
 * window of 1 KiB, code lengths of 4 for the commands that insert nothing and copy 4 to 24 bytes, and of 6 for each of the
 * 64 distance codes.
 */
export function everyWord(transform: number): Uint8Array {
  const out = new BitWriter();
  for (const _ of writeEveryWord(out, transform));
  return out.bytes();
}

/** Writes that stream, in steps of a length. */
function* writeEveryWord(out: BitWriter, transform: number): Generator<void, void, undefined> {
  out.put(0x21, 7); // WBITS 10
  out.put(0b01, 2); // ISLAST, not ISLASTEMPTY
  out.put(1, 2); // MNIBBLES 5
  out.put(DICTIONARY_BYTES - 1, 20);
  out.put(0, 3); // one block type of each kind
  out.put(0, 6); // NPOSTFIX, NDIRECT
  out.put(0, 2 + 2); // context mode, and one tree each for literals and distances
  out.put(1, 4); // literals: a simple code of the one symbol 0
  out.put(0, 8);
  out.put(0, 2); // commands: code lengths 0 and 4 with one bit each
  for (const length of [0, 0, 0, 1, 1]) out.put(length === 0 ? 0 : 0b0111, length === 0 ? 2 : 4);
  for (let symbol = 0; symbol < 200; symbol++) out.put(isWordCommand(symbol) ? 1 : 0, 1);
  out.put(0, 2); // distances: only the code length 6, which takes no bits then
  for (let i = 0; i < 18; i++) out.put(i === 7 ? 0b10 : 0, 2);
  let at = 0;
  for (const [length, bits] of WORD_BITS.entries()) {
    if (bits === 0) continue;
    for (let word = 0; word < 1 << bits; word++, at += length) {
      const [code, extraBits, extra] = copyCode(length);
      out.put(reversed(code, 4), 4);
      out.put(extra, extraBits);
      putDistance(out, Math.min(at, 1024 - 16) + 1 + (transform << bits) + word);
    }
    yield;
  }
}

function isWordCommand(symbol: number): boolean {
  return (symbol >= 128 && symbol < 136) || symbol >= 192;
}

/** The rank of the command that copies `length` bytes, the count of its extra bits, and those. */
function copyCode(length: number): readonly [number, number, number] {
  if (length < 10) return [length - 2, 0, 0];
  if (length < 14) return [8 + (length - 10 >> 1), 1, length - 10 & 1];
  if (length < 22) return [10 + (length - 14 >> 2), 2, length - 14 & 3];
  return [12, 3, length - 22];
}

/** A distance code of 6 bits with its extra bits (RFC 7932, section 4; no postfix, no direct codes). */
function putDistance(out: BitWriter, distance: number): void {
  const bits = Math.floor(Math.log2(distance + 3)) - 1;
  const high = distance + 3 >> bits & 1;
  out.put(reversed(16 + (bits - 1 << 1) + high, 6), 6);
  out.put(distance + 3 & (1 << bits) - 1, bits);
}
