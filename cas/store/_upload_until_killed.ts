/**
 * Writes an upload piece by piece and prints how much it has taken, until it is killed. For a test.
 *
 * @module
 */

import { scopeOf } from "@brokkr/common";
import type { UploadId } from "../blob_store.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { openDiskBlobStore } from "./disk_store.ts";

/** Bytes of the upload. */
export const UPLOAD_BYTES = 24 << 20;

/** What is uploaded. */
export function uploadData(): Uint8Array {
  const words = new Uint32Array(UPLOAD_BYTES / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1);
  return new Uint8Array(words.buffer);
}

/** The upload of `data`. */
export function uploadOf(data: Uint8Array): UploadId {
  return { scope: scopeOf("main"), uuid: "killed", digest: digestOf(SHA256, data) };
}

if (import.meta.main) {
  const store = await openDiskBlobStore(Deno.args[0]);
  const pieceBytes = Number(Deno.args[1]);
  const data = uploadData();
  const writer = await store.uploads.begin(uploadOf(data));
  const encoder = new TextEncoder();
  for (let at = 0; at + pieceBytes < data.length; at += pieceBytes) {
    await writer.write(data.subarray(at, at + pieceBytes));
    await Deno.stdout.write(encoder.encode(`${writer.writtenBytes}\n`));
  }
  // Stands still for whoever kills it.
  setInterval(() => {}, 1000);
}
