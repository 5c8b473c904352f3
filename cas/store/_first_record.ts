/**
 * Whose a segment is: every record carries the salt of the store that wrote it, and the first one lies at a known place.
 *
 * @module
 */

import { decodeRecord, MAX_RECORD_BYTES, SALT_AT, SALT_BYTES } from "./_record.ts";
import { SEGMENT_HEADER_BYTES, segmentName } from "./_segment_header.ts";
import { type FileLayer, hasCode, readFully, type StoreFile } from "./file_layer.ts";

/**
 * What the id of the store begins with that wrote the segments numbered `ids`, in hex, when all of them that say whose they
 * are say another one than that with `salt`; undefined otherwise.
 */
export async function otherStore(
  files: FileLayer,
  dir: string,
  ids: readonly number[],
  salt: Uint8Array,
): Promise<string | undefined> {
  let other: string | undefined;
  for (const id of ids) {
    const file = await files.open(`${dir}/segments/${segmentName(id)}`, "read");
    try {
      const found = (await firstSalt(file))?.toHex();
      if (found === salt.toHex()) return undefined;
      other ??= found;
    } catch (error) {
      // What the disk cannot read of a segment is lost, and says nothing of the others.
      if (!hasCode(error, "EIO")) throw error;
    } finally {
      file.close();
    }
  }
  return other;
}

/** The salt of a segment's first record; undefined when that is not whole, or there is none. */
async function firstSalt(file: StoreFile): Promise<Uint8Array | undefined> {
  const salt = new Uint8Array(SALT_BYTES);
  if (await readFully(file, salt, SEGMENT_HEADER_BYTES + SALT_AT) < SALT_BYTES) return undefined;
  const bytes = new Uint8Array(MAX_RECORD_BYTES);
  const length = await readFully(file, bytes, SEGMENT_HEADER_BYTES);
  // Its checksum covers the salt.
  return typeof decodeRecord(bytes.subarray(0, length), 0, salt) === "string" ? undefined : salt;
}
