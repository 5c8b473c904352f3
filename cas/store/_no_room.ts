/**
 * What a store says that has no room for a blob.
 *
 * @module
 */

import { BrokkrError, Code, resourceExhausted } from "@brokkr/common";
import { type Digest, formatDigest } from "../digest.ts";

/** When a client may try again that found the store full. */
const RETRY_MS = 5000;

/** Why nothing can be evicted. */
export const ALL_PROMISED =
  "all that it holds was promised to builds in the last 10 minutes or is pinned: it is smaller than what is built with it";

/**
 * RESOURCE_EXHAUSTED, worth another try.
 *
 * @param problem what is in the way, such as "the store in DIR takes 10 of the 10 bytes it may".
 * @param why why nothing is done about it.
 * @param advice what the operator may do.
 */
export function noRoom(digest: Digest, problem: string, why: string, advice: string): BrokkrError {
  return resourceExhausted(
    `No room for blob ${formatDigest(digest)}: ${problem}; ${why}; ${advice}`,
    RETRY_MS,
  );
}

/** Advice to raise the limit of bytes or of blobs. */
export function raiseLimit(of: "bytes" | "blobs"): string {
  return `raise its limit, ${of === "blobs" ? "cas_max_blobs" : "cas_max_size"}`;
}

/** RESOURCE_EXHAUSTED for a blob that would find no place in an empty store; no use in trying again. */
export function neverRoom(digest: Digest, problem: string): BrokkrError {
  return new BrokkrError(
    Code.RESOURCE_EXHAUSTED,
    `No room for blob ${formatDigest(digest)}: ${problem}, and has no place for one of this size; ` +
      raiseLimit("bytes"),
  );
}

/** RESOURCE_EXHAUSTED for pins by hand that would take more than their share. */
export function tooManyPins(bytes: number, shareBytes: number, limitBytes: number): BrokkrError {
  return new BrokkrError(
    Code.RESOURCE_EXHAUSTED,
    `Pins would take ${bytes} bytes, but no more than ${shareBytes} of the store's ${limitBytes} may be pinned; ` +
      "unpin something, or raise cas_max_size",
  );
}
