/**
 * Looking for the files of all large blobs: where one is gone, others may be.
 *
 * @module
 */

import { type Logger, Slices } from "@brokkr/common";
import type { Digest, HashHex } from "../digest.ts";
import type { Recovered } from "./_recover.ts";
import type { FileLayer } from "./file_layer.ts";
import { FILE_SEGMENT } from "./membership_table.ts";

/** What {@linkcode sweepFiles} works with. */
export interface SweepOptions {
  readonly state: Recovered;
  readonly files: FileLayer;
  readonly log: Logger;
  readonly isClosed: () => boolean;
  /** Runs something when no other change of the blob is under way. */
  readonly alone: (digest: Digest, run: () => Promise<void>) => Promise<void>;
  /** Takes a blob out of the catalog and the index. */
  readonly drop: (digest: Digest) => void;
}

/** Drops large blobs whose files are gone. */
export async function sweepFiles({ state, files, log, isClosed, alone, drop }: SweepOptions): Promise<void> {
  const { blobs, catalog } = state;
  try {
    // Until then a file that is gone is found when somebody reads it.
    await catalog.loaded;
  } catch {
    // Closed before that: who opens the store next finds out.
    return;
  }
  const there = new Set<string>();
  await blobs.scan((fn, hash) => void there.add(`${fn.value}:${hash.toHex()}`));
  const absent: Digest[] = [];
  const slices = new Slices();
  for (const visit of catalog.parts()) {
    visit((fn, { hash, segment, sizeBytes }) => {
      if (segment !== FILE_SEGMENT) return;
      const hex = hash.toHex() as HashHex;
      if (!there.has(`${fn.value}:${hex}`)) absent.push({ fn, hash: hex, sizeBytes });
    });
    if (slices.spent) await slices.next();
  }
  let dropped = 0;
  for (const digest of absent) {
    if (isClosed()) return;
    await alone(digest, async () => {
      if (catalog.locate(digest)?.segment !== FILE_SEGMENT) return;
      // It may have come since the look.
      if (await files.size(blobs.path(digest.fn, digest.hash)) !== undefined) return;
      drop(digest);
      dropped++;
    });
  }
  if (dropped > 0) log.error("Blobs are gone with their files", { blobs: dropped });
}
