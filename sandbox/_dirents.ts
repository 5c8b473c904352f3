/**
 * Raw directory entries, as getdents64 gives them.
 *
 * @module
 */

import { type FileType, statx } from "./file_calls.ts";
import { AT_SYMLINK_NOFOLLOW } from "./linux.ts";

const RECORD_LENGTH_AT = 16;
const TYPE_AT = 18;
const NAME_AT = 19;
const DOT = 0x2e;

/** Size of the buffer directories are read with: some two thousand entries. */
export const DIRENT_BUFFER_BYTES = 64 * 1024;

/** One entry; the name is a copy. */
export interface RawEntry {
  /** The name's bytes. */
  readonly nameBytes: Uint8Array<ArrayBuffer>;
  /** What it is; symbolic links are not followed. */
  readonly type: FileType;
}

function typeOf(dirFd: number, dType: number, name: Uint8Array): FileType {
  switch (dType) {
    case 8:
      return "file";
    case 4:
      return "directory";
    case 10:
      return "symlink";
    case 0: // The file system does not say.
      return statx(dirFd, name, AT_SYMLINK_NOFOLLOW).type;
    default:
      return "other";
  }
}

/** The entries in the first `length` bytes of `buffer`, `.` and `..` left out. */
export function parseEntries(dirFd: number, buffer: Uint8Array<ArrayBuffer>, length: number): RawEntry[] {
  const view = new DataView(buffer.buffer, buffer.byteOffset, length);
  const entries: RawEntry[] = [];
  for (let at = 0; at < length;) {
    const recordBytes = view.getUint16(at + RECORD_LENGTH_AT, true);
    const start = at + NAME_AT;
    const nameBytes = buffer.slice(start, buffer.indexOf(0, start));
    const isDots = nameBytes[0] === DOT &&
      (nameBytes.length === 1 || (nameBytes.length === 2 && nameBytes[1] === DOT));
    if (!isDots) entries.push({ nameBytes, type: typeOf(dirFd, buffer[at + TYPE_AT], nameBytes) });
    at += recordBytes;
  }
  return entries;
}
