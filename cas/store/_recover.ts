/**
 * Opening a store's directory: what is there is checked, and the index is caught up from the end of the log. All else
 * waits: the catalog is filled while the store serves (see `_loading.ts`).
 *
 * ```
 * FORMAT      format version and the store's id; written first
 * CLEAN       log position and name of the last clean shutdown; absent while the store is open
 * LOADING     how often reading the index was begun and not ended
 * segments/   the segment log
 * blobs/      files of large blobs
 * tmp/        files of unfinished writers
 * uploads/    what is there of interrupted uploads
 * index/      LMDB
 * ```
 *
 * @module
 */

import { BrokkrError, type Clock, Code, type Logger, type Random, randomHex } from "@brokkr/common";
import { digestFunctionByValue } from "../digest.ts";
import { BlobIndex, samePosition } from "./_blob_index.ts";
import { Catalog } from "./_catalog.ts";
import { FileBlobs } from "./_file_blobs.ts";
import { locationOf, MAX_RECORD_DATA, type Record, RecordKind, SALT_BYTES } from "./_record.ts";
import type { OpenIndexEnv } from "./_index_env.ts";
import { otherStore } from "./_first_record.ts";
import { catchUpSegment, isSealed } from "./_catch_up.ts";
import { Loading } from "./_loading.ts";
import type { LogPosition, SegmentInfo } from "./_segment_log.ts";
import { StoreTime } from "./_store_time.ts";
import {
  previousEndOf,
  SEGMENT_HEADER_BYTES,
  segmentHeaderFault,
  segmentIdOf,
  segmentName,
} from "./_segment_header.ts";
import {
  type FileLayer,
  hasCode,
  makeDirectories,
  readFully,
  readText,
  replaceText,
  writeAll,
} from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT } from "./membership_table.ts";

/** Version of everything in the directory. */
export const FORMAT_VERSION = 3;
/**
 * Oldest version that is upgraded in place: its index knew neither uses nor sums, and nothing was ever evicted. That of
 * version 2 knew records that hold their blob as it is, and no others.
 */
const OLDEST_VERSION = 1;

/** What recovery is given. */
export interface RecoverOptions {
  readonly dir: string;
  readonly files: FileLayer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly openIndex: OpenIndexEnv;
}

/** What recovery found. */
export interface Recovered {
  /** The store's id. */
  readonly id: string;
  readonly salt: Uint8Array;
  readonly catalog: Catalog;
  readonly index: BlobIndex;
  readonly blobs: FileBlobs;
  readonly segments: SegmentInfo[];
  /** Fills the catalog. */
  readonly loading: Loading;
}

/** Names in the directory. */
export const names = { format: "FORMAT", clean: "CLEAN", loading: "LOADING" } as const;

/** How long opening waits for the catalog to be filled: a small store is, and knows everything from the beginning. */
const GRACE_MS = 200;
/** What {@linkcode names.loading} says of an index that is known to be damaged. */
const DISTRUST = 1_000_000;

/** What the clean marker says: where the log ended, and the shutdown's name, which the index knows too. */
export function cleanText(position: LogPosition, closed: string | undefined): string {
  return `${position.segment} ${position.offset} ${closed}\n`;
}

/** Opens the directory and makes it ready for use. */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { dir, files } = options;
  const id = await openFormat(options);
  let isNew = false;
  for (const name of ["segments", "blobs", "tmp", "uploads"]) {
    isNew = await files.makeDirectory(`${dir}/${name}`) || isNew;
  }
  const clean = await readText(files, `${dir}/${names.clean}`);
  if (clean !== undefined) await files.remove(`${dir}/${names.clean}`);
  const synced = files.syncDirectory(dir);
  // Others may keep the disk busy for seconds. After a clean shutdown only what the marker speaks of has to wait until it
  // is gone for good; all else was made durable with it.
  if (isNew || clean === undefined) await synced;
  // An index that cannot be read is said to be damaged the first time, and is gone the second.
  return await openParts(options, id, clean, synced) ?? await openParts(options, id, undefined, synced) ??
    fail(dir);
}

function fail(dir: string): never {
  throw new BrokkrError(
    Code.DATA_LOSS,
    `The index of the blob store in ${dir} cannot be read, not even a new one`,
  );
}

/** Undefined when the index cannot be read and has to be made anew. */
async function openParts(
  options: RecoverOptions,
  id: string,
  clean: string | undefined,
  synced: Promise<void>,
): Promise<Recovered | undefined> {
  const { dir, files, log, clock, random } = options;
  const startedMs = clock.monotonicMs();
  const blobs = new FileBlobs(files, `${dir}/blobs`, `${dir}/tmp`, random);
  blobs.holdUntil(synced, () => files.syncDirectory(dir));
  const left = await blobs.clearTemporary();
  if (left > 0) log.info("Removed what unfinished writers left", { files: left });
  const segments = await findSegments(options);
  const salt = Uint8Array.fromHex(id).subarray(0, SALT_BYTES);
  await checkSalt(options, segments, salt);
  const catalog = new Catalog(random);
  const { index, rebuilds } = await fittingIndex(options, id, segments);
  index.totals = () => catalog.totals;
  const usedS = new StoreTime(clock).now();
  const loading = new Loading({
    ...options,
    salt,
    index,
    catalog,
    blobs,
    segments,
    usedS,
    rebuilds,
    filesKnown: !rebuilds && clean === cleanText(index.position, index.found.closed),
    onEnd: (trusted) => endReading(options, trusted),
  });
  try {
    const state = { options, index, catalog, segments, salt, usedS };
    if (!rebuilds) await replay(state, index.position);
    // An index without sums is read before anything is served, since nobody knows how much room there is.
    await loadAwhile(options, loading, !rebuilds && index.found.totals === undefined);
    log.info("Opened the blob store", {
      dir,
      blobs: catalog.blobs,
      segments: segments.length,
      tookMs: Math.round(clock.monotonicMs() - startedMs),
      loading: catalog.isLoading,
    });
    return { id, salt, catalog, index, blobs, segments, loading };
  } catch (error) {
    await loading.close();
    await index.close();
    if (loading.fault !== undefined) return undefined;
    throw error;
  }
}

/** Loads for as long as opening may take; what is left goes on in the background. */
async function loadAwhile({ clock }: RecoverOptions, loading: Loading, wholly: boolean): Promise<void> {
  const load = loading.load();
  const { promise: late, resolve } = Promise.withResolvers<void>();
  using _timer = wholly ? undefined : clock.setTimer(GRACE_MS, resolve);
  // What fails by then fails opening.
  await Promise.race([load, late]);
  loading.continue(load);
}

async function endReading(options: RecoverOptions, trusted: boolean): Promise<void> {
  const { dir, files, log } = options;
  try {
    if (trusted) await files.remove(`${dir}/${names.loading}`);
    else await noteReading(options, DISTRUST);
  } catch (error) {
    log.warn("Cannot note that the blob index was read", { dir, error });
  }
}

/** Not synced: it is there for who is ended by what it reads, not for power cuts. */
async function noteReading({ dir, files }: RecoverOptions, attempts: number): Promise<void> {
  const path = `${dir}/${names.loading}`;
  await files.remove(path);
  const file = await files.open(path, "create");
  try {
    await writeAll(file, new TextEncoder().encode(`${attempts}\n`), 0);
  } finally {
    file.close();
  }
}

/** The id of the store; makes the directory when it is new. */
async function openFormat({ dir, files, random, log }: RecoverOptions): Promise<string> {
  await makeDirectories(files, dir);
  const text = await readText(files, `${dir}/${names.format}`);
  if (text !== undefined) {
    const match = /^brokkr-blobs (\d+)\nid ([0-9a-f]{32})\n/.exec(text);
    if (match !== null && Number(match[1]) === FORMAT_VERSION) return match[2];
    const version = match === null ? 0 : Number(match[1]);
    if (match !== null && version >= OLDEST_VERSION && version < FORMAT_VERSION) {
      // First of all: what is written from now on, an older version must not touch.
      await replaceText(files, dir, names.format, formatText(match[2]));
      log.info("The blob store has the format of this version now", { dir, before: version });
      return match[2];
    }
    const other = /^brokkr-blobs (\d+)\n/.exec(text)?.[1];
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      other === undefined || Number(other) <= FORMAT_VERSION
        ? `${dir}/${names.format} is damaged: it must name the format and the id of the blob store`
        : `The blob store in ${dir} has format ${other}, but this version of Brokkr knows ${FORMAT_VERSION}; ` +
          "use the version that wrote it, or another directory",
    );
  }
  for (const entry of await files.list(dir)) {
    if (entry.name !== "segments" && entry.name !== "blobs" && entry.name !== "index") continue;
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `${dir} holds ${entry.name} but no ${names.format}, so it is not known what wrote it; name another directory`,
    );
  }
  // Who made the directory may have been killed before its name was durable.
  await files.syncDirectory(`${dir}/..`);
  const id = randomHex(random, 16);
  await replaceText(files, dir, names.format, formatText(id));
  return id;
}

function formatText(id: string): string {
  return `brokkr-blobs ${FORMAT_VERSION}\nid ${id}\n`;
}

/**
 * Segments on disk, in order, as far as they count; one whose making was cut short is removed. Their names are durable
 * afterwards: whoever made one may have been killed before they were.
 */
async function findSegments({ dir, files, log }: RecoverOptions): Promise<SegmentInfo[]> {
  const segments: SegmentInfo[] = [];
  const previousEnds = new Map<number, number>();
  for (const { name } of await files.list(`${dir}/segments`)) {
    const id = segmentIdOf(name);
    if (id === undefined) continue;
    const path = `${dir}/segments/${name}`;
    const sizeBytes = await files.size(path) ?? 0;
    if (sizeBytes < SEGMENT_HEADER_BYTES) {
      log.warn("Removed a segment whose making was cut short", { segment: name });
      await files.remove(path);
      continue;
    }
    const file = await files.open(path, "read");
    try {
      const header = new Uint8Array(SEGMENT_HEADER_BYTES);
      await readFully(file, header, 0);
      const fault = segmentHeaderFault(header, id);
      // Records prove themselves, so a damaged header alone loses nothing.
      if (fault !== undefined) log.error("A segment's header is damaged", { segment: name, fault });
      else previousEnds.set(id - 1, previousEndOf(header));
    } finally {
      file.close();
    }
    segments.push({ id, sizeBytes });
  }
  await files.syncDirectory(`${dir}/segments`);
  for (const info of segments) {
    info.sizeBytes = Math.min(info.sizeBytes, previousEnds.get(info.id) ?? Infinity);
  }
  return segments.sort((a, b) => a.id - b.id);
}

/**
 * Refuses segments of which all that say whose they are say another store: with the wrong id every record is garbage, and
 * would be cut off and cleaned away.
 */
async function checkSalt(
  { dir, files }: RecoverOptions,
  segments: readonly SegmentInfo[],
  salt: Uint8Array,
): Promise<void> {
  const other = await otherStore(files, dir, segments.map(({ id }) => id), salt);
  if (other === undefined) return;
  throw new BrokkrError(
    Code.FAILED_PRECONDITION,
    `The segments in ${dir} are not of the store that ${names.format} names: the id there must begin with ${other}. ` +
      `Put back the right ${names.format}, or name another directory`,
  );
}

/** The index, or an empty one when there is none that fits the segments. */
async function fittingIndex(
  options: RecoverOptions,
  id: string,
  segments: readonly SegmentInfo[],
): Promise<{ readonly index: BlobIndex; readonly rebuilds: boolean }> {
  const { dir, files, log } = options;
  const path = `${dir}/index`;
  const indexOptions = { ...options, dir: path, id };
  const attempts = Number(await readText(files, `${dir}/${names.loading}`) ?? "0") || 0;
  try {
    await noteReading(options, attempts + 1);
  } catch (error) {
    // A full disk must not keep a store from being opened: what it has is there to be read, and evicting makes room.
    if (!hasCode(error, "ENOSPC") && !hasCode(error, "EDQUOT")) throw error;
    log.warn("Cannot note that the blob index is being read", { path, error });
  }
  // LMDB ends the process when it meets a damaged page, so after two readings that never ended the index is not trusted.
  if (attempts < 2 && await files.size(`${path}/data.mdb`) !== undefined) {
    try {
      const index = await BlobIndex.open(indexOptions);
      if (index !== undefined) {
        if (fits(index.position, segments)) return { index, rebuilds: false };
        log.error("The end of the log is gone, and blobs with it", {
          dir: `${dir}/segments`,
          known: index.found.totals?.blobs,
          segment: segmentName(index.position.segment),
        });
        await index.close();
      }
    } catch (error) {
      log.error("The blob index is damaged", { path, error });
    }
  }
  if (segments.length > 0) log.info("Making the blob index anew from segments and files", { path });
  await files.removeTree(path);
  return { index: BlobIndex.create(indexOptions), rebuilds: true };
}

/**
 * Whether an index may belong to these segments. Eviction removes segments, the newest never: where the one is gone up to
 * which the index was told, it goes on with the next.
 */
function fits(position: LogPosition, segments: readonly SegmentInfo[]): boolean {
  if (position.segment === 0) return true;
  const info = segments.find((segment) => segment.id === position.segment);
  if (info !== undefined) return position.offset <= info.sizeBytes;
  return segments.some((segment) => segment.id > position.segment);
}

interface Replay {
  readonly options: RecoverOptions;
  readonly index: BlobIndex;
  readonly catalog: Catalog;
  readonly segments: SegmentInfo[];
  readonly salt: Uint8Array;
  /** When what is found counts as used last. */
  readonly usedS: number;
}

/** Reads the log from where the index left off. */
async function replay(state: Replay, from: LogPosition): Promise<void> {
  const { options: { dir, files, log }, segments, salt, index } = state;
  for (const [at, info] of segments.entries()) {
    if (info.id < from.segment) continue;
    const endBytes = await catchUpSegment({
      path: `${dir}/segments/${segmentName(info.id)}`,
      files,
      log,
      salt,
      info,
      start: Math.max(SEGMENT_HEADER_BYTES, info.id === from.segment ? from.offset : 0),
      isLast: at === segments.length - 1,
      isSealed: isSealed(segments, at),
      onRecord: (record, offset) => applyRecord(state, record, locationOf(record, info.id, offset)),
    });
    index.advance({ segment: info.id, offset: endBytes });
  }
}

function applyRecord({ index, catalog, usedS }: Replay, record: Record, location: BlobLocation): void {
  const fn = digestFunctionByValue(record.fnValue);
  if (fn === undefined || fn.hashBytes !== record.hash.length) return;
  if (record.kind === RecordKind.BLOB) {
    catalog.replay(fn, record.hash, location, usedS);
    index.put(record.fnValue, record.hash, location, usedS);
  } else if (record.sizeBytes > MAX_RECORD_DATA) {
    catalog.replayBurial(fn, record.hash);
    if (index.get(fn.value, record.hash)?.location.segment !== FILE_SEGMENT) {
      index.delete(fn.value, record.hash);
    }
  } else {
    catalog.replay(fn, record.hash, undefined, usedS);
    index.delete(record.fnValue, record.hash);
  }
}

/** Notes a clean shutdown: the next open trusts the index and need not look at every file. */
export async function markClean(
  { files, random }: Pick<RecoverOptions, "files" | "random">,
  dir: string,
  { index, loading }: Pick<Recovered, "index" | "loading">,
  end: LogPosition,
): Promise<void> {
  if (!loading.filesKnown || !index.complete || !samePosition(index.position, end)) return;
  // An older index may have been put in the place of this one: it knows the same end of the log, but not the same files.
  const closed = randomHex(random, 8);
  await index.nameClosing(closed);
  await replaceText(files, dir, names.clean, cleanText(end, closed));
}
