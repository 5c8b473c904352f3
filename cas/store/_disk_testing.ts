/**
 * What the tests of the disk store share.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, type Code, ManualClock, scopeOf } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import type { DiskBlobStoreOptions } from "./disk_store_options.ts";

/** The scope of every call. */
export const SCOPE = scopeOf("");
/** Bytes in a MiB. */
export const MIB = 1 << 20;

/** A blob and its digest. */
export interface Blob {
  readonly digest: Digest;
  readonly data: Uint8Array;
}

/** Bytes of noise, of which blobs are made. */
const TILE = new Uint8Array(8 << 10);
for (let i = 0, state = 7; i < TILE.length; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  TILE[i] = state >>> 24;
}

/** A blob of `size` bytes that differs for each seed. It is noise, so that it takes its size on the disk. */
export function blob(size: number, seed: number): Blob {
  const data = new Uint8Array(size);
  for (let at = 0; at < size; at += TILE.length) data.set(TILE.subarray(0, size - at), at);
  data[0] = seed >> 8;
  data[1] = seed;
  return { data, digest: digestOf(SHA256, data) };
}

/** Puts a blob. */
export const put = (store: BlobStore, { digest, data }: Blob) => store.put(SCOPE, digest, data);

/** Indices of what is missing. */
export async function missing(store: BlobStore, blobs: readonly Blob[]): Promise<number[]> {
  return [...await store.missing(SCOPE, batchOf(SHA256, blobs.map((one) => one.digest)))];
}

/** Fails unless the store holds these and hands them out whole. */
export async function assertHolds(store: BlobStore, blobs: readonly Blob[]): Promise<void> {
  assertEquals(await missing(store, blobs), []);
  for (const { digest, data } of blobs) assertEquals(await store.get(SCOPE, digest), data);
}

/** Runs `run` with a directory that is removed afterwards. */
export async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-disk-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Copies a directory. */
export async function copyDirectory(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copyDirectory(`${from}/${entry.name}`, `${to}/${entry.name}`);
    else await Deno.copyFile(`${from}/${entry.name}`, `${to}/${entry.name}`);
  }
}

/** What a killed process leaves: the directory as it is, while the store that wrote it is still open. */
export async function crashCopy(dir: string): Promise<string> {
  const copy = `${dir}-crash-${crypto.randomUUID()}`;
  await copyDirectory(dir, copy);
  return copy;
}

/** Paths of the segments, in order. */
export async function segmentPaths(dir: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(`${dir}/segments`), (entry) => entry.name);
  return names.sort().map((name) => `${dir}/segments/${name}`);
}

/** Damages a byte of a file. */
export async function flipByte(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0] ^= 0xff;
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(byte);
}

/** Fails unless `run` rejects with this code; returns the error. */
export async function rejectsWith(code: Code, run: () => Promise<unknown>): Promise<BrokkrError> {
  const error = await assertRejects(run, BrokkrError);
  assertEquals(error.codeName, new BrokkrError(code, "").codeName, error.message);
  return error;
}

/** A store whose index is written only when the clock is moved. */
export function still(options: DiskBlobStoreOptions = {}): DiskBlobStoreOptions & { clock: ManualClock } {
  return { ...options, clock: new ManualClock() };
}
