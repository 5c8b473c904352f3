/**
 * What the load generator sends: one message over and over, or blobs that the server has never seen.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { encodeBatchUpdateRequest, encodeWriteRequest } from "@brokkr/proto";

/** What is sent. */
export type Load =
  /** One message, in base64. */
  | { readonly kind: "same"; readonly message: string }
  /** ByteStream writes in one message each, every blob another. */
  | { readonly kind: "write"; readonly instance: string; readonly bytes: number }
  /** BatchUpdateBlobs of so many blobs, every one another. */
  | {
    readonly kind: "batch-update";
    readonly instance: string;
    readonly blobs: number;
    readonly bytes: number;
  };

const FRAME_BYTES = 5;

/** gRPC's five bytes before a message that comes in pieces. */
function frame(messageBytes: number): Uint8Array {
  const header = new Uint8Array(FRAME_BYTES);
  new DataView(header.buffer).setUint32(1, messageBytes);
  return header;
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return new Uint8Array([...bytes, value]);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Blobs that differ in their last bytes only, so that the hash of what comes before is known. */
function writes(instance: string, bytes: number): () => readonly Uint8Array[] {
  const tailBytes = 16;
  const shared = new Uint8Array(bytes - tailBytes);
  for (let at = 0; at < shared.length; at += 65_536) crypto.getRandomValues(shared.subarray(at, at + 65_536));
  const begun = createHash("sha256").update(shared);
  // Field 10, data.
  const before = join(new Uint8Array([0x52]), varint(bytes));
  return () => {
    const tail = crypto.getRandomValues(new Uint8Array(tailBytes));
    const hash = begun.copy().update(tail).digest("hex");
    const resourceName = `${instance}/uploads/${crypto.randomUUID()}/blobs/${hash}/${bytes}`;
    const fields = encodeWriteRequest({ resourceName, finishWrite: true });
    return [join(frame(fields.length + before.length + bytes), fields, before), shared, tail];
  };
}

function batches(instance: string, blobs: number, bytes: number): () => readonly Uint8Array[] {
  const data = new Uint8Array(bytes);
  return () => {
    const requests = Array.from({ length: blobs }, () => {
      crypto.getRandomValues(data.subarray(0, 16));
      const hash = createHash("sha256").update(data).digest("hex");
      return { digest: { hash, sizeBytes: bytes }, data: data.slice() };
    });
    const message = encodeBatchUpdateRequest({ instanceName: instance, requests });
    return [join(frame(message.length), message)];
  };
}

/** Makes the pieces of one request after the other, framed. */
export function requests(load: Load): () => readonly Uint8Array[] {
  if (load.kind === "write") return writes(load.instance, load.bytes);
  if (load.kind === "batch-update") return batches(load.instance, load.blobs, load.bytes);
  const message = Uint8Array.fromBase64(load.message);
  const pieces = [join(frame(message.length), message)];
  return () => pieces;
}
