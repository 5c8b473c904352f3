/** Messages with the bytes that Python's protobuf makes of them. @module */

/** One message. */
export interface Golden {
  /** Full name. */
  readonly message: string;
  /** As a plain object. */
  readonly value: unknown;
  /** Its bytes. */
  readonly hex: string;
}

/** All of them; `bytes` are written as `{"$hex": "..."}` in the file. */
export function goldens(): Golden[] {
  const text = Deno.readTextFileSync(new URL("goldens.json", import.meta.url));
  return JSON.parse(text, (_, value) => typeof value?.$hex === "string" ? fromHex(value.$hex) : value);
}

/** Bytes from hexadecimal. */
export function fromHex(hex: string): Uint8Array {
  return new Uint8Array((hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
}

/** Bytes as hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
