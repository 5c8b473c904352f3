/**
 * The action cache of a stopped data directory: whether its records can be read, and what they promise is there.
 *
 * @module
 */

import { BrokkrError, Code, throwIfAborted } from "@brokkr/common";
import { decodeRecord } from "../action_cache/_record.ts";
import type { DigestBatch } from "../blob_store.ts";
import { digestAt } from "../digest_batch.ts";
import { LmdbEnv } from "../metadata/lmdb_env.ts";
import type { MetadataChange } from "../metadata_store.ts";
import { isEmptyBlob } from "./_checks.ts";
import type { BlobIndexReader } from "./_fsck_index.ts";
import type { FsckContext } from "./_fsck_report.ts";
import { formatDigest } from "../digest.ts";

/** Keys of the metadata store's users begin with 1. */
const PREFIX = Uint8Array.of(1, ...new TextEncoder().encode("ac/"));
/** Records dropped in one transaction. */
const BATCH = 500;

/** Looks at every result in the metadata directory `dir`; `index` says what blobs there are. */
export async function checkResults(
  context: Pick<FsckContext, "files" | "found" | "repair" | "onProgress" | "signal">,
  dir: string,
  index: BlobIndexReader | undefined,
): Promise<void> {
  const { files, found, repair, onProgress, signal } = context;
  if (await files.size(`${dir}/data.mdb`) === undefined) return;
  let env: LmdbEnv;
  try {
    env = LmdbEnv.open(dir);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return found.add({ area: "results", level: "problem", where: "meta", problem });
  }
  await using _env = env;
  let drops: MetadataChange[] = [];
  let done = 0;
  for await (const slice of env.entries(PREFIX)) {
    throwIfAborted(signal);
    for (const { key, value } of slice) {
      const verdict = judge(value, index, found.lost);
      if (verdict === undefined) {
        found.counts.results++;
        continue;
      }
      if (repair && verdict.drop) drops.push({ op: "delete", key });
      found.add({
        area: "results",
        level: verdict.level,
        where: `meta ${key.subarray(PREFIX.length).toHex()}`,
        problem: verdict.problem,
        ...(repair && verdict.drop ? { repaired: "dropped" } : {}),
      });
    }
    done += slice.length;
    onProgress({ area: "results", done, total: undefined, unit: "entries" });
    if (drops.length >= BATCH) {
      await env.apply(drops);
      drops = [];
    }
  }
  await env.apply(drops);
}

interface Verdict {
  readonly level: "problem" | "note";
  readonly problem: string;
  readonly drop: boolean;
}

/** What is wrong with a record. */
function judge(
  value: Uint8Array,
  index: BlobIndexReader | undefined,
  lost: ReadonlySet<string>,
): Verdict | undefined {
  let closure: DigestBatch;
  try {
    ({ closure } = decodeRecord(value));
  } catch (error) {
    const later = error instanceof BrokkrError && error.code === Code.FAILED_PRECONDITION;
    const problem = error instanceof Error ? error.message : String(error);
    // What a later version wrote is not damaged.
    return { level: later ? "note" : "problem", problem, drop: !later };
  }
  if (index === undefined) return undefined;
  for (let i = 0; i < closure.length; i++) {
    const digest = digestAt(closure, i);
    if (isEmptyBlob(digest)) continue;
    const { fn, hash, sizeBytes } = digest;
    const there = index.find(fn.value, Uint8Array.fromHex(hash))?.sizeBytes === sizeBytes;
    if (there && !lost.has(`${fn.value}:${hash}`)) continue;
    // Blobs may be evicted before the results that name them: a note, and no answer.
    return {
      level: "note",
      problem: `a blob that it promises is not there: ${formatDigest(digest)}`,
      drop: true,
    };
  }
  return undefined;
}
