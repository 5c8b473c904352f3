/**
 * What brotli does to the words of its dictionary (RFC 7932, appendix B).
 *
 * @module
 */

import { WORD_BITS, WORD_OFFSETS } from "./_brotli_dictionary.ts";

/**
 * The transforms: what goes before the word, what is done to it, and what goes behind. 0 leaves it, 1 to 9 omit as many
 * of its last bytes, 10 has its first letter in capitals, 11 all of it, 12 to 20 omit 1 to 9 of its first bytes.
 */
const TRANSFORMS: readonly (readonly [string, number, string])[] = [
  ["", 0, ""],
  ["", 0, " "],
  [" ", 0, " "],
  ["", 12, ""],
  ["", 10, " "],
  ["", 0, " the "],
  [" ", 0, ""],
  ["s ", 0, " "],
  ["", 0, " of "],
  ["", 10, ""],
  ["", 0, " and "],
  ["", 13, ""],
  ["", 1, ""],
  [", ", 0, " "],
  ["", 0, ", "],
  [" ", 10, " "],
  ["", 0, " in "],
  ["", 0, " to "],
  ["e ", 0, " "],
  ["", 0, '"'],
  ["", 0, "."],
  ["", 0, '">'],
  ["", 0, "\n"],
  ["", 3, ""],
  ["", 0, "]"],
  ["", 0, " for "],
  ["", 14, ""],
  ["", 2, ""],
  ["", 0, " a "],
  ["", 0, " that "],
  [" ", 10, ""],
  ["", 0, ". "],
  [".", 0, ""],
  [" ", 0, ", "],
  ["", 15, ""],
  ["", 0, " with "],
  ["", 0, "'"],
  ["", 0, " from "],
  ["", 0, " by "],
  ["", 16, ""],
  ["", 17, ""],
  [" the ", 0, ""],
  ["", 4, ""],
  ["", 0, ". The "],
  ["", 11, ""],
  ["", 0, " on "],
  ["", 0, " as "],
  ["", 0, " is "],
  ["", 7, ""],
  ["", 1, "ing "],
  ["", 0, "\n\t"],
  ["", 0, ":"],
  [" ", 0, ". "],
  ["", 0, "ed "],
  ["", 20, ""],
  ["", 18, ""],
  ["", 6, ""],
  ["", 0, "("],
  ["", 10, ", "],
  ["", 8, ""],
  ["", 0, " at "],
  ["", 0, "ly "],
  [" the ", 0, " of "],
  ["", 5, ""],
  ["", 9, ""],
  [" ", 10, ", "],
  ["", 10, '"'],
  [".", 0, "("],
  ["", 11, " "],
  ["", 10, '">'],
  ["", 0, '="'],
  [" ", 0, "."],
  [".com/", 0, ""],
  [" the ", 0, " of the "],
  ["", 10, "'"],
  ["", 0, ". This "],
  ["", 0, ","],
  [".", 0, " "],
  ["", 10, "("],
  ["", 10, "."],
  ["", 0, " not "],
  [" ", 0, '="'],
  ["", 0, "er "],
  [" ", 11, " "],
  ["", 0, "al "],
  [" ", 11, ""],
  ["", 0, "='"],
  ["", 11, '"'],
  ["", 10, ". "],
  [" ", 0, "("],
  ["", 0, "ful "],
  [" ", 10, ". "],
  ["", 0, "ive "],
  ["", 0, "less "],
  ["", 11, "'"],
  ["", 0, "est "],
  [" ", 10, "."],
  ["", 11, '">'],
  [" ", 0, "='"],
  ["", 10, ","],
  ["", 0, "ize "],
  ["", 11, "."],
  ["\u00c2\u00a0", 0, ""],
  [" ", 0, ","],
  ["", 10, '="'],
  ["", 11, '="'],
  ["", 0, "ous "],
  ["", 11, ", "],
  ["", 10, "='"],
  [" ", 10, ","],
  [" ", 11, '="'],
  [" ", 11, ", "],
  ["", 11, ","],
  ["", 11, "("],
  ["", 11, ". "],
  [" ", 11, "."],
  ["", 11, "='"],
  [" ", 11, ". "],
  [" ", 10, '="'],
  [" ", 11, "='"],
  [" ", 10, "='"],
];

const UPPER_FIRST = 10;
const UPPER_ALL = 11;

/** Bytes of a text whose characters are bytes. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const AFFIXES = TRANSFORMS.map(([prefix, , suffix]) => [bytesOf(prefix), bytesOf(suffix)] as const);

/**
 * The word of `length` bytes that `id` names, as its transform has it, written to `into`; gives its length. Undefined
 * when there is none. It takes 48 bytes at most.
 */
export function writeWord(
  dictionary: Uint8Array,
  length: number,
  id: number,
  into: Uint8Array,
): number | undefined {
  const bits = WORD_BITS[length] ?? 0;
  const transform = TRANSFORMS[id >> bits];
  if (bits === 0 || transform === undefined) return undefined;
  const kind = transform[1];
  const [prefix, suffix] = AFFIXES[id >> bits];
  const begin = WORD_OFFSETS[length] + length * (id & (1 << bits) - 1);
  const omitFirst = kind > UPPER_ALL ? Math.min(length, kind - UPPER_ALL) : 0;
  const omitLast = kind < UPPER_FIRST ? Math.min(length, kind) : 0;
  const word = dictionary.subarray(begin + omitFirst, begin + length - omitLast);
  into.set(prefix, 0);
  into.set(word, prefix.length);
  const end = prefix.length + word.length;
  if (kind === UPPER_FIRST) upper(into, prefix.length, end);
  if (kind === UPPER_ALL) { for (let at = prefix.length; at < end;) at = upper(into, at, end); }
  into.set(suffix, end);
  return end + suffix.length;
}

/** Makes a capital of the character at `at`, as brotli has it; gives where the next one begins. */
function upper(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at];
  if (first < 0xc0) {
    if (first >= 0x61 && first <= 0x7a) bytes[at] ^= 0x20;
    return at + 1;
  }
  if (first < 0xe0) {
    if (at + 1 < end) bytes[at + 1] ^= 0x20;
    return at + 2;
  }
  if (at + 2 < end) bytes[at + 2] ^= 5;
  return at + 3;
}
