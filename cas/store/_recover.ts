/**
 * Opening a store's directory: what is there is checked, the index is loaded and caught up from segments and files.
 *
 * ```
 * FORMAT      format version and the store's id; written first
 * CLEAN       log position at the last clean shutdown; absent while the store is open
 * LOADING     how often loading the index was begun and not ended
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
import { type DigestFunction, digestFunctionByValue } from "../digest.ts";
import { BlobIndex, samePosition } from "./_blob_index.ts";
import { Catalog } from "./_catalog.ts";
import { FileBlobs } from "./_file_blobs.ts";
import { type Record, RecordKind, SALT_BYTES } from "./_record.ts";
import { replaySegment } from "./_replay.ts";
import type { OpenIndexEnv } from "./_index_env.ts";
import type { LogPosition, SegmentInfo } from "./_segment_log.ts";
import { StoreTime } from "./_store_time.ts";
import { SEGMENT_HEADER_BYTES, segmentHeaderFault, segmentIdOf, segmentName } from "./_segment_header.ts";
import { type FileLayer, makeDirectories, readFully, readText, replaceText } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT } from "./membership_table.ts";

/** Version of everything in the directory. */
export const FORMAT_VERSION = 1;

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
}

/** Names in the directory. */
export const names = { format: "FORMAT", clean: "CLEAN", loading: "LOADING" } as const;

/** What the clean marker says. */
export function cleanText(position: LogPosition): string {
  return `${position.segment} ${position.offset}\n`;
}

/** Opens the directory and makes it ready for use. */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { dir, files, log, clock, random } = options;
  const startedMs = clock.monotonicMs();
  const id = await openFormat(options);
  for (const name of ["segments", "blobs", "tmp", "uploads"]) await files.makeDirectory(`${dir}/${name}`);
  await files.syncDirectory(dir);
  const clean = await readText(files, `${dir}/${names.clean}`);
  if (clean !== undefined) {
    await files.remove(`${dir}/${names.clean}`);
    await files.syncDirectory(dir);
  }
  const blobs = new FileBlobs(files, `${dir}/blobs`, `${dir}/tmp`, random);
  const left = await blobs.clearTemporary();
  if (left > 0) log.info("Removed what unfinished writers left", { files: left });
  const segments = await findSegments(options);
  const catalog = new Catalog(random);
  const index = await fittingIndex(options, id, segments);
  try {
    const vanished = await loadIndex(options, index, catalog, segments);
    const from = index.position;
    const salt = Uint8Array.fromHex(id).subarray(0, SALT_BYTES);
    const usedS = new StoreTime(clock).now();
    await replay({ options, index, catalog, segments, salt, usedS }, from);
    if (clean !== cleanText(from)) await scanFiles(blobs, index, catalog, vanished, usedS);
    await files.remove(`${dir}/${names.loading}`);
    await index.flush();
    log.info("Opened the blob store", {
      dir,
      blobs: catalog.blobs,
      segments: segments.length,
      tookMs: Math.round(clock.monotonicMs() - startedMs),
    });
    return { id, salt, catalog, index, blobs, segments };
  } catch (error) {
    await index.close();
    throw error;
  }
}

/** The id of the store; makes the directory when it is new. */
async function openFormat({ dir, files, random }: RecoverOptions): Promise<string> {
  await makeDirectories(files, dir);
  const text = await readText(files, `${dir}/${names.format}`);
  if (text !== undefined) {
    const match = /^brokkr-blobs (\d+)\nid ([0-9a-f]{32})\n/.exec(text);
    if (match !== null && Number(match[1]) === FORMAT_VERSION) return match[2];
    const version = /^brokkr-blobs (\d+)\n/.exec(text)?.[1];
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      version === undefined || Number(version) === FORMAT_VERSION
        ? `${dir}/${names.format} is damaged: it must name the format and the id of the blob store`
        : `The blob store in ${dir} has format ${version}, but this version of Brokkr knows ${FORMAT_VERSION}; ` +
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
  await replaceText(files, dir, names.format, `brokkr-blobs ${FORMAT_VERSION}\nid ${id}\n`);
  return id;
}

/** Segments on disk, in order; one whose making was cut short is removed. */
async function findSegments({ dir, files, log }: RecoverOptions): Promise<SegmentInfo[]> {
  const segments: SegmentInfo[] = [];
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
    } finally {
      file.close();
    }
    segments.push({ id, sizeBytes });
  }
  return segments.sort((a, b) => a.id - b.id);
}

/** The index, a new one when there is none that fits the segments. */
async function fittingIndex(options: RecoverOptions, id: string, segments: readonly SegmentInfo[]) {
  const { dir, files, clock, log, openIndex } = options;
  const path = `${dir}/index`;
  const attempts = Number(await readText(files, `${dir}/${names.loading}`) ?? "0") || 0;
  await replaceText(files, dir, names.loading, `${attempts + 1}\n`);
  // LMDB ends the process when it meets a damaged page, so after two loads that never ended the index is not trusted.
  if (attempts < 2 && await files.size(`${path}/data.mdb`) !== undefined) {
    try {
      const index = await BlobIndex.open(path, id, clock, log, openIndex);
      if (index !== undefined) {
        if (fits(index.position, segments)) return index;
        await index.close();
      }
    } catch (error) {
      log.error("The blob index is damaged", { path, error });
    }
  }
  log.info("Making the blob index anew from segments and files", { path });
  await files.removeTree(path);
  return await BlobIndex.create(path, id, clock, log, openIndex);
}

function fits(position: LogPosition, segments: readonly SegmentInfo[]): boolean {
  if (position.segment === 0) return true;
  const info = segments.find((segment) => segment.id === position.segment);
  return info !== undefined && position.offset <= info.sizeBytes;
}

/** Fills the catalog from the index; returns the keys of its files, for {@linkcode scanFiles}. */
async function loadIndex(
  { log }: RecoverOptions,
  index: BlobIndex,
  catalog: Catalog,
  segments: readonly SegmentInfo[],
): Promise<Set<string>> {
  const sizes = new Map(segments.map((info) => [info.id, info.sizeBytes]));
  const files = new Set<string>();
  let dropped = 0;
  await index.load((fnValue, hash, location, usedS) => {
    const fn = digestFunctionByValue(fnValue);
    if (fn === undefined || fn.hashBytes !== hash.length) return;
    const isFile = location.segment === FILE_SEGMENT;
    if (!isFile && !((sizes.get(location.segment) ?? 0) > location.offset + location.sizeBytes)) {
      index.delete(fnValue, hash);
      dropped++;
      return;
    }
    if (isFile) files.add(`${fnValue}:${hash.toHex()}`);
    catalog.set(fn, hash, location, usedS);
  });
  if (dropped > 0) log.error("Blobs are gone with their segments", { blobs: dropped });
  return files;
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

/** Reads the log from where the index left off, cuts a torn tail, and makes what was read durable. */
async function replay(state: Replay, from: LogPosition): Promise<void> {
  const { options: { dir, files, log }, segments, salt, index } = state;
  for (const info of segments) {
    if (info.id < from.segment) continue;
    const start = Math.max(SEGMENT_HEADER_BYTES, info.id === from.segment ? from.offset : 0);
    const isLast = info === segments[segments.length - 1];
    if (start < info.sizeBytes) {
      const file = await files.open(`${dir}/segments/${segmentName(info.id)}`, isLast ? "update" : "read");
      try {
        const seen = await replaySegment(file, start, info.sizeBytes, salt, (record, offset) => {
          applyRecord(state, record, { segment: info.id, offset, sizeBytes: record.sizeBytes });
        });
        const tornBytes = info.sizeBytes - seen.endBytes;
        if (tornBytes > 0 || seen.skippedBytes > 0) {
          const { skippedBytes } = seen;
          log.warn("A segment has damaged bytes", { segment: segmentName(info.id), tornBytes, skippedBytes });
        }
        if (isLast && tornBytes > 0) {
          await file.truncate(seen.endBytes);
          info.sizeBytes = seen.endBytes;
        }
        // A killed process may have left records that are in the page cache only.
        await file.syncData();
      } finally {
        file.close();
      }
    }
    index.advance({ segment: info.id, offset: info.sizeBytes });
  }
}

function applyRecord({ index, catalog, usedS }: Replay, record: Record, location: BlobLocation): void {
  const fn = digestFunctionByValue(record.fnValue);
  if (fn === undefined || fn.hashBytes !== record.hash.length) return;
  if (record.kind === RecordKind.BLOB) {
    catalog.set(fn, record.hash, location, usedS);
    index.put(record.fnValue, record.hash, location, usedS);
    return;
  }
  // A tombstone speaks of the records before it, never of a file.
  if (catalog.findRaw(fn, record.hash)?.segment === FILE_SEGMENT) return;
  catalog.delete(fn, record.hash);
  index.delete(record.fnValue, record.hash);
}

/** Brings the catalog's files in line with those on disk; `known` are the keys of those the index named. */
async function scanFiles(
  blobs: FileBlobs,
  index: BlobIndex,
  catalog: Catalog,
  known: Set<string>,
  usedS: number,
): Promise<void> {
  await blobs.scan((fn: DigestFunction, hash, sizeBytes) => {
    known.delete(`${fn.value}:${hash.toHex()}`);
    const found = catalog.findRaw(fn, hash);
    if (found !== undefined && (found.segment !== FILE_SEGMENT || found.sizeBytes === sizeBytes)) return;
    const location = { segment: FILE_SEGMENT, offset: 0, sizeBytes };
    catalog.set(fn, hash, location, usedS);
    index.put(fn.value, hash, location, usedS);
  });
  for (const key of known) {
    const [value, hex] = key.split(":");
    const fn = digestFunctionByValue(Number(value));
    const hash = Uint8Array.fromHex(hex);
    if (fn === undefined || catalog.findRaw(fn, hash)?.segment !== FILE_SEGMENT) continue;
    catalog.delete(fn, hash);
    index.delete(fn.value, hash);
  }
}

/** Notes a clean shutdown: the next open trusts the index and need not look at every file. */
export async function markClean(
  files: FileLayer,
  dir: string,
  index: BlobIndex,
  end: LogPosition,
): Promise<void> {
  if (!index.complete || !samePosition(index.position, end)) return;
  await replaceText(files, dir, names.clean, cleanText(end));
}
