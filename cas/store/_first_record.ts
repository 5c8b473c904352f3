/**
 * Whose a segment is: every record carries the salt of the store that wrote it, and the first one lies at a known place.
 *
 * @module
 */

import { decodeRecord, MAX_RECORD_BYTES, SALT_AT, SALT_BYTES } from "./_record.ts";
import { SEGMENT_HEADER_BYTES } from "./_segment_header.ts";
import { readFully, type StoreFile } from "./file_layer.ts";

/** The salt of a segment's first record; undefined when that is not whole, or there is none. */
export async function firstSalt(file: StoreFile): Promise<Uint8Array | undefined> {
  const salt = new Uint8Array(SALT_BYTES);
  if (await readFully(file, salt, SEGMENT_HEADER_BYTES + SALT_AT) < SALT_BYTES) return undefined;
  const bytes = new Uint8Array(MAX_RECORD_BYTES);
  const length = await readFully(file, bytes, SEGMENT_HEADER_BYTES);
  // Its checksum covers the salt.
  return typeof decodeRecord(bytes.subarray(0, length), 0, salt) === "string" ? undefined : salt;
}
