/**
 * @module
 */

/** The same bytes, as the type that says no other thread can change them; a copy in the case that one can. */
export function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);
}
