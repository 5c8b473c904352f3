/**
 * Bits and prefix codes of brotli (RFC 7932, sections 1.5 and 3).
 *
 * @module
 */

import { FrameError } from "./_frames.ts";

/** Thrown, and caught by who asked, when the input ends inside what was asked for. */
export const STARVED = new Error("The input has ended");

/** Reads bits, the lowest first, from input that comes in pieces. */
export class BitReader {
  #input: Uint8Array = new Uint8Array();
  #at = 0;
  #value = 0;
  #count = 0;
  #keptAt = 0;
  #keptValue = 0;
  #keptCount = 0;

  /** Whole bytes that are left, beyond the bits already taken up. */
  get bytesLeft(): number {
    return this.#input.length - this.#at;
  }

  /** Adds input, and drops what is before the place that is kept. */
  add(bytes: Uint8Array): void {
    const rest = this.#input.length - this.#keptAt;
    const joined = new Uint8Array(rest + bytes.length);
    joined.set(this.#input.subarray(this.#keptAt));
    joined.set(bytes, rest);
    this.#input = joined;
    this.#at -= this.#keptAt;
    this.#keptAt = 0;
  }

  /** Keeps this place to return to. */
  keep(): void {
    this.#keptAt = this.#at;
    this.#keptValue = this.#value;
    this.#keptCount = this.#count;
  }

  /** Returns to the place that was kept. */
  back(): void {
    this.#at = this.#keptAt;
    this.#value = this.#keptValue;
    this.#count = this.#keptCount;
  }

  /** The next byte, which is not passed. */
  first(): number {
    if (this.bytesLeft === 0) throw STARVED;
    return this.#input[this.#at];
  }

  /** The next `count` bits, 24 at most. */
  bits(count: number): number {
    while (this.#count < count) {
      if (this.#at === this.#input.length) throw STARVED;
      this.#value |= this.#input[this.#at++] << this.#count;
      this.#count += 8;
    }
    const value = this.#value & (1 << count) - 1;
    this.#value >>>= count;
    this.#count -= count;
    return value;
  }

  /** Passes to the next whole byte; false when the bits passed are not zero. */
  align(): boolean {
    return this.bits(this.#count & 7) === 0;
  }

  /** Takes up to `most` whole bytes; the reader must be aligned. */
  take(most: number): Uint8Array {
    // What was taken up as bits is given back first.
    this.#at -= this.#count >> 3;
    this.#value = 0;
    this.#count = 0;
    const taken = this.#input.subarray(this.#at, this.#at + Math.min(most, this.bytesLeft));
    this.#at += taken.length;
    return taken;
  }

  /** The next symbol of `code`. */
  symbol(code: PrefixCode): number {
    while (this.#count < 15 && this.#at < this.#input.length) {
      this.#value |= this.#input[this.#at++] << this.#count;
      this.#count += 8;
    }
    const entry = code.table[this.#value & code.mask];
    const length = entry & 15;
    if (entry !== LONG && length <= this.#count) {
      this.#value >>>= length;
      this.#count -= length;
      return entry >> 4;
    }
    return this.#longSymbol(code);
  }

  #longSymbol({ counts, sorted }: PrefixCode): number {
    let code = 0, first = 0, index = 0;
    for (let length = 1; length <= 15; length++) {
      if (length > this.#count) throw STARVED;
      code = code << 1 | this.#value >>> length - 1 & 1;
      const count = counts[length];
      if (code - first < count) {
        this.#value >>>= length;
        this.#count -= length;
        return sorted[index + code - first];
      }
      index += count;
      first = first + count << 1;
    }
    throw new FrameError("has bits that are no symbol of their code");
  }
}

const ROOT_BITS = 8;
/** In a table: the code is longer than the table's bits. */
const LONG = 0xffff;

/** A prefix code: a table over its first bits, and its symbols by length for those that are longer. */
export interface PrefixCode {
  /** Symbol times 16 plus length. */
  readonly table: Uint16Array;
  /** The bits that the table is over. */
  readonly mask: number;
  /** Codes of each length. */
  readonly counts: Uint16Array;
  /** Symbols, in order of length and value. */
  readonly sorted: Uint16Array;
}

const NONE = new Uint16Array();

/** The code with one symbol, which takes no bits. */
export function onlySymbol(symbol: number): PrefixCode {
  return { table: Uint16Array.of(symbol << 4), mask: 0, counts: NONE, sorted: NONE };
}

/** The largest alphabet: that of the commands. */
const MOST_SYMBOLS = 704;

// What codes are made with. A stream may have thousands of codes in a few bytes: arrays of their own for each would be the
// collector's to find, and it stops everything for that.
const LENGTHS = new Uint8Array(MOST_SYMBOLS);
const COUNTS = new Uint16Array(16);
const STARTS = new Uint16Array(17);
const SORTED = new Uint16Array(MOST_SYMBOLS);

/** The complete code in which each symbol has the length in `lengths`, 0 for those that are not in it. */
function prefixCode(lengths: Uint8Array): PrefixCode {
  COUNTS.fill(0);
  for (let symbol = 0; symbol < lengths.length; symbol++) COUNTS[lengths[symbol]]++;
  const used = lengths.length - COUNTS[0];
  COUNTS[0] = 0;
  let longest = 0;
  STARTS[1] = 0;
  for (let length = 1; length <= 15; length++) {
    STARTS[length + 1] = STARTS[length] + COUNTS[length];
    if (COUNTS[length] > 0) longest = length;
  }
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol];
    if (length > 0) SORTED[STARTS[length]++] = symbol;
  }
  const bits = Math.min(longest, ROOT_BITS);
  const table = new Uint16Array(1 << bits);
  if (longest > bits) table.fill(LONG);
  let code = 0, index = 0;
  for (let length = 1; length <= bits; length++, code <<= 1) {
    for (let i = 0; i < COUNTS[length]; i++, code++) {
      const entry = SORTED[index++] << 4 | length;
      for (let at = reverse(code, length); at < table.length; at += 1 << length) table[at] = entry;
    }
  }
  const mask = (1 << bits) - 1;
  // Where the table has all, nobody looks at the rest.
  if (longest === bits) return { table, mask, counts: NONE, sorted: NONE };
  return { table, mask, counts: COUNTS.slice(), sorted: SORTED.slice(0, used) };
}

/** The lowest `count` bits of `value`, turned round. */
function reverse(value: number, count: number): number {
  let turned = 0;
  for (let i = 0; i < count; i++) turned = turned << 1 | value >> i & 1;
  return turned;
}

const CODE_LENGTH_ORDER = [1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/** The fixed code of code length code lengths, by the next four bits: how many it takes, and what it means. */
const LENGTH_BITS = [2, 2, 2, 3, 2, 2, 2, 4, 2, 2, 2, 3, 2, 2, 2, 4];
const LENGTH_VALUES = [0, 4, 3, 2, 0, 4, 3, 1, 0, 4, 3, 2, 0, 4, 3, 5];

/** Reads a prefix code over `size` symbols (RFC 7932, sections 3.4 and 3.5). */
export function readCode(reader: BitReader, size: number): PrefixCode {
  const skip = reader.bits(2);
  return skip === 1 ? readSimple(reader, size) : readComplex(reader, size, skip);
}

function readSimple(reader: BitReader, size: number): PrefixCode {
  const symbolBits = 32 - Math.clz32(size - 1);
  const count = reader.bits(2) + 1;
  const symbols: number[] = [];
  for (let i = 0; i < count; i++) {
    const symbol = reader.bits(symbolBits);
    if (symbol >= size || symbols.includes(symbol)) {
      throw new FrameError("has a prefix code with a symbol twice, or one that there is not");
    }
    symbols.push(symbol);
  }
  if (count === 1) return onlySymbol(symbols[0]);
  const four = count === 4 && reader.bits(1) === 1 ? [1, 2, 3, 3] : [2, 2, 2, 2];
  const shape = count === 2 ? [1, 1] : count === 3 ? [1, 2, 2] : four;
  const lengths = LENGTHS.subarray(0, size).fill(0);
  for (const [i, symbol] of symbols.entries()) lengths[symbol] = shape[i];
  return prefixCode(lengths);
}

function readComplex(reader: BitReader, size: number, skip: number): PrefixCode {
  const code = readLengthCode(reader, skip);
  const lengths = LENGTHS.subarray(0, size).fill(0);
  let space = 1 << 15, at = 0, previous = 8, repeated = 0, repeatedLength = 0;
  while (at < size && space > 0) {
    const length = reader.symbol(code);
    if (length < 16) {
      repeated = 0;
      lengths[at++] = length;
      if (length > 0) {
        previous = length;
        space -= 1 << 15 - length;
      }
      continue;
    }
    const extraBits = length === 16 ? 2 : 3;
    const what = length === 16 ? previous : 0;
    if (what !== repeatedLength) repeated = 0;
    repeatedLength = what;
    const before = repeated;
    if (repeated > 0) repeated = repeated - 2 << extraBits;
    repeated += reader.bits(extraBits) + 3;
    const more = repeated - before;
    if (at + more > size) throw new FrameError("has a prefix code of more symbols than there are");
    lengths.fill(what, at, at + more);
    at += more;
    if (what > 0) space -= more << 15 - what;
  }
  if (space !== 0) throw new FrameError("has a prefix code that is not complete");
  return prefixCode(lengths);
}

/** The code in which the lengths of a code are written. */
function readLengthCode(reader: BitReader, skip: number): PrefixCode {
  const lengths = new Uint8Array(18);
  let space = 32, codes = 0, last = 0;
  for (let i = skip; i < 18 && space > 0; i++) {
    // No symbol of this code is longer than four bits, of which the first two tell how many there are.
    const low = reader.bits(2);
    const index = LENGTH_BITS[low] === 2 ? low : low | reader.bits(1) << 2;
    const whole = LENGTH_BITS[index] <= 3 ? index : index | reader.bits(1) << 3;
    const length = LENGTH_VALUES[whole];
    if (length === 0) continue;
    lengths[last = CODE_LENGTH_ORDER[i]] = length;
    space -= 32 >> length;
    codes++;
  }
  if (codes === 1) return onlySymbol(last);
  if (space !== 0) throw new FrameError("has a prefix code that is not complete");
  return prefixCode(lengths);
}
