/**
 * Reading small files, many at a time.
 *
 * @module
 */

import { openInput, openInputNow } from "./_input_files.ts";

/** Files up to this size are hashed many at a time. */
export const GROUPED_BYTES = 64 * 1024;
/** Bytes of a group, which are hashed in one go: some two milliseconds of work. */
const GROUP_BYTES = 1024 * 1024;
/** Files of a group. */
const GROUP_FILES = 256;

/** A file that was found. */
export interface FoundFile {
  readonly path: string;
  /** Its size when it was found. */
  readonly sizeBytes: number;
  readonly destination: string;
  readonly executable: boolean;
}

/** Small files in groups that fit the buffer. */
export function groupsOf(files: readonly FoundFile[]): FoundFile[][] {
  const groups: FoundFile[][] = [];
  let bytes = Infinity;
  for (const file of files) {
    if (file.sizeBytes > GROUPED_BYTES) continue;
    const group = groups.at(-1);
    if (group === undefined || bytes + file.sizeBytes + 1 > GROUP_BYTES || group.length === GROUP_FILES) {
      groups.push([file]);
      bytes = 0;
    } else group.push(file);
    bytes += file.sizeBytes + 1;
  }
  return groups;
}

/** Bytes that a group is read into. */
export function roomOf(group: readonly FoundFile[]): number {
  return group.reduce((sum, { sizeBytes }) => sum + sizeBytes + 1, 0);
}

/** All bytes of a file, in `room`; undefined when they fill it, as there may be more then. */
export function readSmall(path: string, room: Uint8Array): Uint8Array | undefined {
  using file = openInputNow(path);
  let length = 0;
  for (let got: number | null = 0; got !== null; length += got ?? 0) {
    if (length === room.length) return undefined;
    got = file.readSync(room.subarray(length));
  }
  return room.subarray(0, length);
}

/** {@linkcode readSmall} in another thread. */
export async function readSmallLater(path: string, room: Uint8Array): Promise<Uint8Array | undefined> {
  using file = await openInput(path);
  let length = 0;
  for (let got: number | null = 0; got !== null; length += got ?? 0) {
    if (length === room.length) return undefined;
    got = await file.read(room.subarray(length));
  }
  return room.subarray(0, length);
}
