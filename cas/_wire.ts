/**
 * What this member needs of the wire format beside `@brokkr/proto`'s reader and writer.
 *
 * @module
 */

import { tagOf, varintSize, WireType, type WireWriter } from "@brokkr/proto";

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Writes a sub-message, also when it is empty, whose fields `body` writes. */
export function writeMessage(writer: WireWriter, field: number, body: () => void): void {
  writer.varint(tagOf(field, WireType.LENGTH));
  const start = writer.pos;
  // Most are shorter than 128 bytes, so one byte is kept for the length and the others are moved when it takes more.
  writer.reserve(1);
  writer.pos = start + 1;
  body();
  const size = writer.pos - start - 1;
  const lengthSize = varintSize(size);
  // Also room for what writing the length reserves: growing after `pos` went back would lose the body.
  writer.reserve(lengthSize + 10);
  if (lengthSize > 1) writer.bytes.copyWithin(start + lengthSize, start + 1, start + 1 + size);
  writer.pos = start;
  writer.varint(size);
  writer.pos = start + lengthSize + size;
}

/** `bytes` as text, or undefined when they are no UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    // The decoder throws a TypeError for what is no UTF-8 and for nothing else.
    return undefined;
  }
}

/** Bytes as a person can read them: printable ASCII as it is, the rest as `\xNN`. */
export function showBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes.subarray(0, 100)) {
    text += byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `"${text}${bytes.length > 100 ? "…" : ""}"`;
}
