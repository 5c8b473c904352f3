/**
 * Tables of brotli, and what a stream of it needs.
 *
 * @module
 */

/** Extra bits of the codes of inserts (RFC 7932, sections 5 and 6). */
export const INSERT_BITS = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 12, 14, 24];
/** Extra bits of the codes of copies. */
export const COPY_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 24];
/** Extra bits of the codes of blocks. */
export const BLOCK_BITS = [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12, 13, 24];
/** First values of the codes of inserts. */
export const INSERT_FIRST = firsts(0, INSERT_BITS);
/** First values of the codes of copies. */
export const COPY_FIRST = firsts(2, COPY_BITS);
/** First values of the codes of blocks. */
export const BLOCK_FIRST = firsts(1, BLOCK_BITS);

/** By the upper bits of a command: the first code of inserts in its cell. */
export const INSERT_CELLS = [0, 0, 0, 0, 8, 8, 0, 16, 8, 16, 16];
/** The first code of copies. */
export const COPY_CELLS = [0, 8, 0, 8, 0, 8, 16, 0, 16, 8, 16];

/** Which of the last distances a short code means, the last being 0. */
export const SHORT_OF = [0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1];
/** What is added to it. */
export const SHORT_MORE = [0, 0, 0, 0, -1, 1, -2, 2, -3, 3, -1, 1, -2, 2, -3, 3];

/** The first value of each code whose codes have these extra bits. */
function firsts(first: number, extraBits: readonly number[]): readonly number[] {
  let next = first;
  return extraBits.map((bits) => {
    const value = next;
    next += 2 ** bits;
    return value;
  });
}

/** The tables by which two bytes give the context of a literal, for each mode (RFC 7932, section 7.1). */
export const CONTEXTS: readonly (readonly [Uint8Array, Uint8Array])[] = (() => {
  const table = (of: (byte: number) => number) => Uint8Array.from({ length: 256 }, (_, byte) => of(byte));
  const none = table(() => 0);
  const sign = (byte: number) =>
    byte === 0
      ? 0
      : byte < 16
      ? 1
      : byte < 64
      ? 2
      : byte < 128
      ? 3
      : byte < 192
      ? 4
      : byte < 240
      ? 5
      : byte < 255
      ? 6
      : 7;
  return [
    [table((byte) => byte & 63), none],
    [table((byte) => byte >> 2), none],
    [table(utf8Last), table(utf8Before)],
    [table((byte) => sign(byte) << 3), table(sign)],
  ];
})();

function utf8Last(byte: number): number {
  if (byte >= 192) return 2 + (byte & 1);
  if (byte >= 128) return byte & 1;
  const letter = String.fromCharCode(byte);
  if ("\t\n\r".includes(letter)) return 4;
  if (byte < 32 || byte === 127) return 0;
  if (/[0-9]/.test(letter)) return 44;
  if (/[AEIOU]/.test(letter)) return 48;
  if (/[A-Z]/.test(letter)) return 52;
  if (/[aeiou]/.test(letter)) return 56;
  if (/[a-z]/.test(letter)) return 60;
  const groups: Record<string, number> = { " ": 8, "%": 20, ".": 36, "=": 40, '"': 16, "'": 16 };
  if ("([{<".includes(letter)) return 24;
  if (")]}>".includes(letter)) return 28;
  return ",:;".includes(letter) ? 32 : groups[letter] ?? 12;
}

function utf8Before(byte: number): number {
  if (byte >= 224) return 2;
  if (byte >= 127 || byte <= 32) return 0;
  const letter = String.fromCharCode(byte);
  return /[a-z]/.test(letter) ? 3 : /[0-9A-Z]/.test(letter) ? 2 : 1;
}

/** The largest codes that a meta-block may have, three times 256 of them, with its context maps, in bytes. */
const CODE_BYTES = 3 << 20;

/**
 * How much of what was decoded is kept: no more than the blob has, and for small windows so much that output need not be
 * given in crumbs.
 */
export function ringBytes(windowLog: number, sizeBytes: number): number {
  const most = Math.max(1 << windowLog, 1 << 17);
  let bytes = 1024;
  while (bytes < sizeBytes && bytes < most) bytes *= 2;
  return bytes;
}

/** What decoding `data` to `sizeBytes` takes at most, in bytes: what it must look back on, codes and context maps. */
export function brotliBytes(sizeBytes: number, data: Uint8Array | undefined): number {
  return CODE_BYTES +
    ringBytes(data === undefined || data.length === 0 ? 24 : windowLogOf(data[0]) ?? 0, sizeBytes);
}

/** log2 of the window that a stream's first byte tells (RFC 7932, section 9.1); undefined for one of another format. */
export function windowLogOf(first: number): number | undefined {
  if ((first & 1) === 0) return 16;
  const high = first >> 1 & 7;
  if (high !== 0) return 17 + high;
  const low = first >> 4 & 7;
  return low === 1 ? undefined : low === 0 ? 17 : 8 + low;
}

/** Takes back that each value was written as its place in a list to whose front it then moved. */
export function moveToFront(map: Uint8Array): void {
  const list = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0; i < map.length; i++) {
    const place = map[i];
    const value = list[place];
    // Most places are low, where a call would take more than the work.
    if (place < 16) { for (let at = place; at > 0; at--) list[at] = list[at - 1]; }
    else list.copyWithin(1, 0, place);
    map[i] = list[0] = value;
  }
}
