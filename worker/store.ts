/**
 * The content-addressed store as an action needs it, and the implementation over {@linkcode CasClient}.
 *
 * @module
 */

import { BrokkrError, Code, type TraceContext } from "@brokkr/common";
import { blobSubject, type CasClient, type Digest, digestKey, type UploadBlob } from "@brokkr/cas/client";
import type { BlobSource } from "./input_fetcher.ts";

/** Where inputs come from and outputs go to. */
export interface ActionStore extends BlobSource {
  /** Uploads blobs; when it resolves they are there to stay. */
  upload(blobs: readonly UploadBlob[], signal?: AbortSignal): Promise<void>;
}

/** Uploads of at most this many blobs are sent without asking which of them the store has. */
const UNASKED_BLOBS = 16;
/** And of at most this many bytes: sending them twice costs less than the round trip of asking. */
const UNASKED_BYTES = 256 * 1024;

/** Whether an upload is so small that it is done before anybody could look at it. */
export function isSmallUpload(blobs: readonly UploadBlob[]): boolean {
  if (blobs.length > UNASKED_BLOBS) return false;
  let bytes = 0;
  for (const { digest } of blobs) bytes += digest.sizeBytes;
  return bytes <= UNASKED_BYTES;
}

/** The store behind a {@linkcode CasClient}; its calls name the span `trace` as what causes them. */
export function casStore(client: CasClient, trace?: TraceContext): ActionStore {
  const options = (signal: AbortSignal | undefined) => ({
    signal,
    ...(trace === undefined ? {} : { trace }),
  });
  return {
    async getMany(digests, signal) {
      const found = new Map<string, Uint8Array>();
      try {
        await client.getMany(
          digests,
          (digest, data) => void found.set(digestKey(digest), data),
          options(signal),
        );
      } catch (error) {
        if (!isMissing(error, digests)) throw error;
      }
      return digests.map((digest) => found.get(digestKey(digest)));
    },
    read: (digest, signal) => client.read(digest, {}, options(signal)),
    async upload(blobs, signal) {
      if (blobs.length === 0) return;
      if (isSmallUpload(blobs)) await client.uploadKnownMissing(blobs, options(signal));
      else await client.upload(blobs, options(signal));
    },
  };
}

/** Whether `error` says of nothing but some of `digests` that they are missing. */
function isMissing(error: unknown, digests: readonly Digest[]): boolean {
  if (!(error instanceof BrokkrError) || error.code !== Code.FAILED_PRECONDITION) return false;
  const asked = new Set(digests.map(blobSubject));
  let named = 0;
  for (const detail of error.details) {
    if (detail.kind !== "preconditionFailure") continue;
    for (const { type, subject } of detail.violations) {
      if (type !== "MISSING" || !asked.has(subject)) return false;
      named++;
    }
  }
  return named > 0;
}
