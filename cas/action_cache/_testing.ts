/**
 * Results for tests.
 *
 * @module
 */

import { type ManualClock, scopeOf } from "@brokkr/common";
import { ActionResultCodec } from "@brokkr/proto";
import type { BlobStore, DigestBatch } from "../blob_store.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import type { MetadataStore } from "../metadata_store.ts";

const utf8 = new TextEncoder();

/** The digest of a text. */
export function digestOfText(text: string): Digest {
  return digestOf(SHA256, utf8.encode(text));
}

/** Puts a text into a store. */
export async function putText(blobs: BlobStore, text: string): Promise<Digest> {
  const digest = digestOfText(text);
  await blobs.put(scopeOf(""), digest, utf8.encode(text));
  return digest;
}

/** An encoded result with one output file for each digest. */
export function resultOf(...digests: readonly Digest[]): Uint8Array {
  return ActionResultCodec.encode({
    outputFiles: digests.map(({ hash, sizeBytes }, i) => ({ path: `f${i}`, digest: { hash, sizeBytes } })),
  });
}

/** A record as version 1 wrote it. */
export function encodeVersion1(bytes: Uint8Array, closure: DigestBatch): Uint8Array {
  const hashesAt = 16 + closure.length * 8;
  const out = new Uint8Array(hashesAt + closure.hashes.length + bytes.length);
  const view = new DataView(out.buffer);
  out[0] = 1;
  out[1] = closure.fn.value;
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, closure.length, true);
  for (let i = 0; i < closure.length; i++) view.setFloat64(16 + i * 8, closure.sizes[i], true);
  out.set(closure.hashes, hashesAt);
  out.set(bytes, hashesAt + closure.hashes.length);
  return out;
}

/** How often a metadata store was written to, and what it is to wait for before it writes. */
export interface WatchedWrites {
  /** Keys put and deleted, in hex, in order. */
  readonly writes: { readonly op: "put" | "delete"; readonly key: string }[];
  /** Awaited before each write. */
  before: () => Promise<void>;
}

/** Watches the writes of a store. */
export function watchWrites(metadata: MetadataStore): WatchedWrites {
  const watched: WatchedWrites = { writes: [], before: () => Promise.resolve() };
  const write = metadata.write.bind(metadata);
  metadata.write = async (changes) => {
    await watched.before();
    for (const { op, key } of changes) watched.writes.push({ op, key: key.toHex() });
    await write(changes);
  };
  return watched;
}

/** Advances a clock in steps, letting what is due come to its end in between. */
export async function pass(clock: ManualClock, ms: number, stepMs = ms): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    clock.advance(Math.min(left, stepMs));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}
