/**
 * Asking which blobs the store lacks.
 *
 * @module
 */

import { mapLimit } from "@brokkr/common";
import { packedHash, RawCas } from "@brokkr/proto";
import type { CallOptions } from "@brokkr/proto/rpc";
import type { Digest } from "../digest.ts";
import type { ClientContext } from "./types.ts";

/** Digests in one FindMissingBlobs call: some 1.6 MB of request. */
const FIND_MISSING_DIGESTS = 20_000;

/** Those of `digests`, which are distinct, that the store lacks, in their order. */
export async function askMissing(
  { channel, instance, fn, parallel }: ClientContext,
  digests: readonly Digest[],
  options: CallOptions,
): Promise<Digest[]> {
  const parts: (readonly Digest[])[] = [];
  for (let at = 0; at < digests.length; at += FIND_MISSING_DIGESTS) {
    parts.push(digests.slice(at, at + FIND_MISSING_DIGESTS));
  }
  const found = await mapLimit(parts, parallel, async (part) => {
    const response = await channel.unary(RawCas.findMissingBlobs, {
      instanceName: instance,
      digestFunction: fn.value,
      digests: part,
    }, options);
    if (response.count === 0) return [];
    const hashes = new Set<string>();
    for (let i = 0; i < response.count; i++) hashes.add(packedHash(response, i));
    return part.filter((digest) => hashes.has(digest.hash));
  });
  return found.flat();
}
