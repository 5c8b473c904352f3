/**
 * The protobuf wire format: what its reader and its writer share.
 *
 * @module
 */

/** The wire types: the low three bits of a tag. */
export const WireType = {
  /** A varint. */
  VARINT: 0,
  /** Eight bytes. */
  FIXED64: 1,
  /** A length and as many bytes. */
  LENGTH: 2,
  /** Begins a group: fields up to the END_GROUP of the same number. Only ever skipped. */
  START_GROUP: 3,
  /** Ends a group. */
  END_GROUP: 4,
  /** Four bytes. */
  FIXED32: 5,
} as const;

/** Texts from this length on go to the platform's decoder and encoder, whose call costs as much as a short loop. */
export const LONG_TEXT_BYTES = 64;

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A field's tag, for `switch`. */
export function tagOf(field: number, wireType: number): number {
  return (field << 3 | wireType) >>> 0;
}

/**
 * Text from UTF-8.
 *
 * @throws {TypeError} When it is not UTF-8.
 */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > LONG_TEXT_BYTES) return strictDecoder.decode(bytes.subarray(start, end));
  for (let k = start; k < end; k++) {
    if (bytes[k] > 127) return strictDecoder.decode(bytes.subarray(start, end));
  }
  let text = "";
  let i = start;
  for (; i + 16 <= end; i += 16) text += sixteen(bytes, i);
  for (; i < end; i++) text += String.fromCharCode(bytes[i]);
  return text;
}

/** Sixteen characters in one call: fewer and larger pieces to join. */
function sixteen(b: Uint8Array, i: number): string {
  return String.fromCharCode(
    b[i],
    b[i + 1],
    b[i + 2],
    b[i + 3],
    b[i + 4],
    b[i + 5],
    b[i + 6],
    b[i + 7],
    b[i + 8],
    b[i + 9],
    b[i + 10],
    b[i + 11],
    b[i + 12],
    b[i + 13],
    b[i + 14],
    b[i + 15],
  );
}

/** Bytes that a varint takes, for an integer from 0 to 2^53 - 1. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 127; rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >>> 7) size++;
  return size;
}

/** Bytes that a text takes as UTF-8. */
export function textSize(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    size += unit < 0x800 ? 1 : 2;
    // A pair of surrogates is four bytes for its two units, all of which the first has counted.
    if (unit >= 0xd800 && unit < 0xdc00) i++;
  }
  return size;
}
