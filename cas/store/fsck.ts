/**
 * Checking a stopped data directory, and repairing it: everything that is stored is read and compared, with each other and
 * with what it should be.
 *
 * What is lost stays lost; repairing makes the rest usable again. Damaged bytes are set aside in `quarantine/` and made
 * harmless where they were, the index is made anew where it does not agree, and results go that cannot be read, or promise
 * what is not there.
 *
 * @module
 */

import { BrokkrError, Code, noLog, openDataDirectory, systemClock, systemRandom } from "@brokkr/common";
import { openDiskCore } from "./_disk_core.ts";
import { checkRest, FileCheck } from "./_fsck_files.ts";
import { BlobIndexReader, checkIndex } from "./_fsck_index.ts";
import {
  Findings,
  type FsckContext,
  type FsckCounts,
  type FsckFinding,
  type FsckProgress,
} from "./_fsck_report.ts";
import { checkLists } from "./_fsck_lists.ts";
import { checkResults } from "./_fsck_results.ts";
import { otherStore } from "./_first_record.ts";
import { SegmentCheck } from "./_fsck_segments.ts";
import { Quarantine } from "./_quarantine.ts";
import { SALT_BYTES } from "./_record.ts";
import { FORMAT_VERSION, names } from "./_recover.ts";
import { segmentIdOf } from "./_segment_header.ts";
import { settleOptions } from "./disk_store_options.ts";
import { readText, replaceText, systemFiles } from "./file_layer.ts";

export type { FsckArea, FsckCounts, FsckFinding, FsckProgress } from "./_fsck_report.ts";

/** How a check is made. */
export interface FsckOptions {
  /** Repairs what is wrong; without it nothing is changed. */
  readonly repair?: boolean;
  /** Told now and then how far it is. */
  readonly onProgress?: (progress: FsckProgress) => void;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What a check found. */
export interface FsckReport {
  /** The data directory. */
  readonly dir: string;
  /** What there is that is good. */
  readonly counts: Readonly<FsckCounts>;
  /** What was found, the first thousand. */
  readonly findings: readonly FsckFinding[];
  /** How much is not as it should be, */
  readonly problems: number;
  /** and how much of it was repaired. */
  readonly repaired: number;
  /** How much else there is to say. */
  readonly notes: number;
}

/** Says that LMDB is reading the index: it ends the process when it meets a damaged page. */
const READING_NAME = "FSCK";
/** Checks that ended while they read the index, after which it is not read again. */
const MAX_ATTEMPTS = 2;

/**
 * Checks the data directory `dir` of a control plane that does not run; `dir` may also be that of `brokk up`.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when a process owns it, or it is of another format; NOT_FOUND when there is no
 * store; what `signal` was aborted with.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { fsck, openDiskBlobStore } from "@brokkr/cas/disk";
 * const dir = await Deno.makeTempDir();
 * await (await openDiskBlobStore(`${dir}/cas`))[Symbol.asyncDispose]();
 * assertEquals((await fsck(dir)).problems, 0);
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function fsck(dir: string, options: FsckOptions = {}): Promise<FsckReport> {
  const place = await findStore(dir);
  // Holds it until the end, as its owner would.
  using owned = openDataDirectory(place.lock, "fsck");
  const found = new Findings();
  await checkStore(`${owned.path}${place.store}`, options, found, `${owned.path}/meta`);
  const { counts, list, problems, repaired, notes } = found;
  return { dir: owned.path, counts, findings: list, problems, repaired, notes };
}

/** Which directory is locked, and where in it the store lies. */
async function findStore(dir: string): Promise<{ readonly lock: string; readonly store: string }> {
  const exists = async (path: string) => await systemFiles.size(path) !== undefined;
  for (const [lock, store] of [[dir, "/cas"], [`${dir}/control`, "/cas"]]) {
    if (await exists(`${lock}${store}`)) return { lock, store };
  }
  if (await exists(`${dir}/segments`)) {
    // The store itself was named; who owns it locks the directory above.
    if (await exists(`${dir}/../LOCK`)) {
      const path = await Deno.realPath(dir);
      const at = path.lastIndexOf("/");
      return { lock: path.slice(0, at), store: path.slice(at) };
    }
    return { lock: dir, store: "" };
  }
  throw new BrokkrError(
    Code.NOT_FOUND,
    `${dir} holds no store to check: name the data directory of a control plane, or that of brokk up`,
  );
}

async function checkStore(dir: string, options: FsckOptions, found: Findings, meta: string): Promise<void> {
  const { repair = false, onProgress = () => {}, signal } = options;
  const files = systemFiles;
  const results = { files, found, repair, onProgress, signal };
  const index = await openIndex(dir, found, repair);
  try {
    const usable = await readStore(dir, { repair, onProgress, signal }, found, index);
    if (!repair) return await checkResults(results, meta, usable);
  } finally {
    await closeIndex(dir, index);
  }
  if (found.rebuild) await rebuild(dir);
  // What is lost now the index does not name any more.
  found.lost.clear();
  const now = await files.size(`${dir}/index/data.mdb`) === undefined
    ? undefined
    : BlobIndexReader.open(`${dir}/index`);
  try {
    const salt = now?.id === undefined ? undefined : saltOf(now.id);
    if (now !== undefined && salt !== undefined) {
      await checkLists({ dir, files, salt, index: now, found, tells: false, signal });
    }
    await checkResults(results, meta, now);
  } finally {
    await now?.[Symbol.asyncDispose]();
  }
}

/** Reads all of the store; the index, if it is its own. */
async function readStore(
  dir: string,
  options: Pick<FsckContext, "repair" | "onProgress" | "signal">,
  found: Findings,
  index: BlobIndexReader | undefined,
): Promise<BlobIndexReader | undefined> {
  const { repair, signal } = options;
  const files = systemFiles;
  const id = await readFormat(dir, found, repair, index);
  if (index !== undefined && index.id !== id) {
    unusable(found, repair, "it belongs to another store, or was not finished");
  }
  const quarantine = new Quarantine({
    files,
    dir: `${dir}/quarantine`,
    clock: systemClock,
    random: systemRandom,
    log: noLog,
  });
  const context: FsckContext = {
    ...options,
    dir,
    files,
    salt: saltOf(id),
    clean: await files.size(`${dir}/${names.clean}`) !== undefined,
    found,
    quarantine,
    index: index?.id === id ? index : undefined,
  };
  const segments = new SegmentCheck(context);
  await segments.read();
  await new FileCheck(context).read();
  await checkIndex(context, segments);
  await segments.settle();
  if (context.index !== undefined) {
    await checkLists({ dir, files, salt: context.salt, index: context.index, found, tells: true, signal });
  }
  await checkRest(context);
  return context.index;
}

function saltOf(id: string): Uint8Array {
  return Uint8Array.fromHex(id).subarray(0, SALT_BYTES);
}

function unusable(found: Findings, repair: boolean, problem: string): void {
  found.rebuild = true;
  found.add({
    area: "index",
    level: "problem",
    where: "index",
    problem,
    ...(repair ? { repaired: "the index was made anew" } : {}),
  });
}

/** The index, if it can be read. */
async function openIndex(
  dir: string,
  found: Findings,
  repair: boolean,
): Promise<BlobIndexReader | undefined> {
  const files = systemFiles;
  if (await files.size(`${dir}/index/data.mdb`) === undefined) {
    const empty = (await files.list(`${dir}/segments`)).length === 0;
    if (!empty) unusable(found, repair, "there is none");
    return undefined;
  }
  const attempts = Number(await readText(files, `${dir}/${READING_NAME}`) ?? "0") || 0;
  if (attempts >= MAX_ATTEMPTS) {
    unusable(found, repair, "it is damaged: the last checks ended while they read it");
    return undefined;
  }
  await replaceText(files, dir, READING_NAME, `${attempts + 1}\n`);
  try {
    return BlobIndexReader.open(`${dir}/index`);
  } catch (error) {
    unusable(found, repair, error instanceof Error ? error.message : String(error));
    await files.remove(`${dir}/${READING_NAME}`);
    return undefined;
  }
}

async function closeIndex(dir: string, index: BlobIndexReader | undefined): Promise<void> {
  // One that was not read stays distrusted.
  if (index === undefined) return;
  await index[Symbol.asyncDispose]();
  await systemFiles.remove(`${dir}/${READING_NAME}`);
}

/** The store's id. */
async function readFormat(
  dir: string,
  found: Findings,
  repair: boolean,
  index: BlobIndexReader | undefined,
): Promise<string> {
  const text = await readText(systemFiles, `${dir}/${names.format}`);
  const match = /^brokkr-blobs (\d+)\nid ([0-9a-f]{32})\n/.exec(text ?? "");
  const version = Number(/^brokkr-blobs (\d+)\n/.exec(text ?? "")?.[1] ?? FORMAT_VERSION);
  if (version > FORMAT_VERSION) {
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `The blob store in ${dir} has format ${version}, but this version of Brokkr knows ${FORMAT_VERSION}; ` +
        "check it with the version that wrote it",
    );
  }
  const fault = text === undefined
    ? "it is gone"
    : match === null
    ? "it is damaged: it does not say the format and the store's id"
    : "it names another store than the one that wrote the segments";
  const other = match === null ? "" : await otherThan(dir, match[2]);
  if (match !== null && other === undefined) return match[2];
  const id = index?.id;
  if (id === undefined || !/^[0-9a-f]{32}$/.test(id) || !id.startsWith(other ?? "")) {
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `${dir}/${names.format}: ${fault}, and the index does not know the store's ` +
        "id, without which its records cannot be told from other bytes; restore that file from a backup",
    );
  }
  if (repair) await replaceText(systemFiles, dir, names.format, `brokkr-blobs ${FORMAT_VERSION}\nid ${id}\n`);
  found.add({
    area: "format",
    level: "problem",
    where: names.format,
    problem: fault,
    ...(repair ? { repaired: "written again from what the index knows" } : {}),
  });
  return id;
}

/** What the id begins with of the store that wrote the segments, when that is not the one with `id`. */
async function otherThan(dir: string, id: string): Promise<string | undefined> {
  const ids: number[] = [];
  for (const { name } of await systemFiles.list(`${dir}/segments`)) {
    const segment = segmentIdOf(name);
    if (segment !== undefined) ids.push(segment);
  }
  return await otherStore(systemFiles, dir, ids, saltOf(id));
}

/** Makes the index anew, as the store does when there is none. */
async function rebuild(dir: string): Promise<void> {
  await systemFiles.removeTree(`${dir}/index`);
  await systemFiles.remove(`${dir}/${names.loading}`);
  await systemFiles.remove(`${dir}/${READING_NAME}`);
  const core = await openDiskCore(dir, settleOptions({}));
  // The catalog, and with it the index, is filled while the store serves.
  await core.finished();
  await core[Symbol.asyncDispose]();
}
