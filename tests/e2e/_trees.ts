/**
 * Directory messages as no library would make them.
 *
 * @module
 */

import { DigestCodec } from "@brokkr/proto";
import { utf8, type WireDigest } from "./_grid.ts";

/** One entry of a Directory; the name may be any bytes. */
export type RawEntry =
  | { readonly file: string | Uint8Array; readonly digest: WireDigest; readonly executable?: boolean }
  | { readonly directory: string | Uint8Array; readonly digest: WireDigest }
  | { readonly link: string | Uint8Array; readonly target: string };

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  bytes.push(value);
  return bytes;
}

function field(number: number, bytes: Uint8Array): number[] {
  return [number << 3 | 2, ...varint(bytes.length), ...bytes];
}

function named(name: string | Uint8Array): number[] {
  return field(1, typeof name === "string" ? utf8(name) : name);
}

/** Encodes entries in the order given, with names as they are. */
export function rawDirectory(...entries: readonly RawEntry[]): Uint8Array {
  return new Uint8Array(entries.flatMap((entry) => {
    if ("file" in entry) {
      const executable = entry.executable ? [4 << 3, 1] : [];
      return field(
        1,
        new Uint8Array([...named(entry.file), ...field(2, DigestCodec.encode(entry.digest)), ...executable]),
      );
    }
    if ("directory" in entry) {
      return field(
        2,
        new Uint8Array([...named(entry.directory), ...field(2, DigestCodec.encode(entry.digest))]),
      );
    }
    return field(3, new Uint8Array([...named(entry.link), ...field(2, utf8(entry.target))]));
  }));
}
