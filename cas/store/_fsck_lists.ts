/**
 * The lists of chunks of a stopped store: a blob that is kept as one is there only when all of its chunks are.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { type Digest, formatDigest } from "../digest.ts";
import { decodeChunkList } from "./_chunk_list.ts";
import type { BlobIndexReader } from "./_fsck_index.ts";
import type { Findings } from "./_fsck_report.ts";
import { decodeRecord, isListed, recordBytes, RecordCodec } from "./_record.ts";
import { segmentName } from "./_segment_header.ts";
import { systemCode } from "./_store_error.ts";
import { type FileLayer, readFully } from "./file_layer.ts";
import type { BlobLocation } from "./membership_table.ts";

/** What {@linkcode checkLists} works with. */
export interface ListCheckOptions {
  readonly dir: string;
  readonly files: FileLayer;
  readonly salt: Uint8Array;
  readonly index: BlobIndexReader;
  readonly found: Findings;
  /** Whether what is found is told, and not only noted for the results. */
  readonly tells: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Notes the blobs as lost that lack a chunk. Eviction and damage both leave such: it is no fault of theirs. */
export async function checkLists(options: ListCheckOptions): Promise<void> {
  const { index, found, tells, signal } = options;
  const slices = new Slices(signal);
  for await (const slice of index.entries()) {
    for (const { fn, hash, location } of slice) {
      if (fn === undefined || location === undefined || !isListed(location)) continue;
      // A damaged record was told of.
      if (found.lost.has(`${fn.value}:${hash}`)) continue;
      const digest = { fn, hash, sizeBytes: location.sizeBytes };
      const lacking = await countLacking(options, digest, location, slices);
      if (lacking === 0) continue;
      found.lose(fn.value, hash);
      if (!tells) continue;
      found.add({
        area: "segments",
        level: "note",
        where: `segments/${segmentName(location.segment)} at ${location.offset}`,
        problem: `${lacking} of its chunks are not there: it counts as missing`,
        digest: formatDigest(digest),
      });
    }
  }
}

/** How many chunks of a list are not there; 0 of what is no list, which others tell of. */
async function countLacking(
  { dir, files, salt, index, found }: ListCheckOptions,
  digest: Digest,
  { segment, offset, storedBytes }: BlobLocation,
  slices: Slices,
): Promise<number> {
  const bytes = new Uint8Array(recordBytes(digest.fn.hashBytes, storedBytes));
  try {
    const file = await files.open(`${dir}/segments/${segmentName(segment)}`, "read");
    try {
      await readFully(file, bytes, offset);
    } finally {
      file.close();
    }
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return 0;
  }
  const record = decodeRecord(bytes, 0, salt);
  if (typeof record === "string" || record.codec !== RecordCodec.CHUNKS) return 0;
  const list = decodeChunkList(record.data, digest);
  if (typeof list === "string") return 0;
  const { chunks } = list;
  const { value, hashBytes } = digest.fn;
  let lacking = 0;
  for (let i = 0; i < chunks.length; i++) {
    const hash = chunks.hashes.subarray(i * hashBytes, (i + 1) * hashBytes);
    const there = index.find(value, hash)?.sizeBytes === chunks.sizes[i];
    if (!there || found.lost.has(`${value}:${hash.toHex()}`)) lacking++;
    if (slices.spent) await slices.next();
  }
  return lacking;
}
