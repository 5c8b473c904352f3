/**
 * What the tests of damaged blobs share.
 *
 * @module
 */

import { assert } from "@std/assert";
import { yieldToEventLoop } from "@brokkr/common";
import { crc32 } from "node:zlib";
import type { BlobStore } from "../blob_store.ts";
import type { DamagedBlob, KeptBlobStore, VerifyProgress } from "../store_keeper.ts";
import { type Blob, put, SCOPE } from "./_disk_testing.ts";
import { HEADER_BYTES } from "./_record.ts";
import { SEGMENT_HEADER_BYTES } from "./_segment_header.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import type { DiskBlobStoreOptions } from "./disk_store_options.ts";
import { type FileLayer, systemFiles } from "./file_layer.ts";

/** Opens a store that holds these, each in the order given. */
export async function filled(dir: string, blobs: readonly Blob[], options: DiskBlobStoreOptions = {}) {
  const store = await openDiskBlobStore(dir, { cacheBytes: 0, ...options });
  for (const one of blobs) await put(store, one);
  return store;
}

/** Where the data of a small blob lies in the only segment, when these were put in this order. */
export function dataOffset(blobs: readonly Blob[], of: Blob): number {
  let at = SEGMENT_HEADER_BYTES;
  for (const one of blobs) {
    if (one === of) return at + HEADER_BYTES + 32;
    const length = HEADER_BYTES + 32 + one.data.length;
    at += length + (-length & 7);
  }
  throw new Error("No such blob");
}

/** Path of a large blob. */
export function filePath(dir: string, { digest: { hash } }: Blob): string {
  return `${dir}/blobs/sha256/${hash.slice(0, 2)}/${hash}`;
}

/** What is said of something set aside. */
export interface Note {
  readonly digest: string;
  readonly where: string;
  readonly expected: string;
  readonly found: string;
  readonly at: string;
}

/** What was set aside, by digest. */
export async function quarantined(dir: string): Promise<ReadonlyMap<string, { note: Note; bytes: number }>> {
  const found = new Map<string, { note: Note; bytes: number }>();
  for (const { name } of await systemFiles.list(`${dir}/quarantine`)) {
    if (!name.endsWith(".json")) continue;
    const path = `${dir}/quarantine/${name.slice(0, -5)}`;
    const text = await Deno.readTextFile(`${path}.json`);
    // Being written.
    if (!text.endsWith("}\n")) continue;
    const note = JSON.parse(text);
    found.set(note.digest, { note, bytes: await systemFiles.size(`${path}.bin`) ?? -1 });
  }
  return found;
}

/** Turns the event loop until what `look` gives passes. */
export async function until<T>(look: () => Promise<T> | T, passes: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look();
    if (passes(value)) return value;
    await yieldToEventLoop();
  }
}

/** What verifying says. */
export async function verified(store: KeptBlobStore) {
  const damaged: DamagedBlob[] = [];
  let last: VerifyProgress | undefined;
  for await (const progress of store.keeper.verify()) {
    damaged.push(...progress.damaged);
    last = progress;
  }
  assert(last !== undefined);
  return { damaged, last };
}

/** A digest as it is written. */
export const name = ({ digest }: Blob) =>
  `${digest.hash}/${digest.sizeBytes}`; /** The pieces that are read. */
export const fetched = (store: BlobStore, { digest }: Blob) =>
  Array.fromAsync(store.read(SCOPE, digest), (p) => p.slice());

/** The machine's files, with something done to what is read of them. */
export function spoiling(
  spoil: (path: string, buffer: Uint8Array, read: number, position: number) => void,
): FileLayer {
  return {
    ...systemFiles,
    open: async (path, mode) => {
      const file = await systemFiles.open(path, mode);
      const spoiled = (buffer: Uint8Array, read: number, position: number) => {
        spoil(path, buffer, read, position);
        return read;
      };
      return {
        readSync: (buffer, position) => spoiled(buffer, file.readSync(buffer, position), position),
        read: async (buffer, position) => spoiled(buffer, await file.read(buffer, position), position),
        write: (buffer, position) => file.write(buffer, position),
        syncData: () => file.syncData(),
        truncate: (sizeBytes) => file.truncate(sizeBytes),
        size: () => file.size(),
        close: () => file.close(),
      };
    },
  };
}

/** A record whose checksum is right and whose data has not the hash that it names, as memory makes them that fails. */
export async function forge(segment: string, at: number): Promise<void> {
  const bytes = await Deno.readFile(segment);
  const start = at - HEADER_BYTES - 32;
  const view = new DataView(bytes.buffer);
  const end = at + view.getUint32(start + 12, true);
  bytes[at] ^= 1;
  view.setUint32(
    start + 32,
    crc32(bytes.subarray(start + HEADER_BYTES, end), crc32(bytes.subarray(start, start + 32))),
    true,
  );
  await Deno.writeFile(segment, bytes);
}
