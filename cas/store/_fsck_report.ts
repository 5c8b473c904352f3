/**
 * What a check of a stopped data directory finds, and what it works with.
 *
 * @module
 */

import type { BlobIndexReader } from "./_fsck_index.ts";
import type { Quarantine } from "./_quarantine.ts";
import type { FileLayer } from "./file_layer.ts";

/** Which part of the directory something was found in. */
export type FsckArea =
  | "format"
  | "segments"
  | "files"
  | "index"
  | "results"
  | "uploads"
  | "directory";

/** Something that was found. */
export interface FsckFinding {
  /** The part of the directory. */
  readonly area: FsckArea;
  /** `problem`: not as it should be. `note`: as it may be after a crash or at any time, and no harm. */
  readonly level: "problem" | "note";
  /** The path in the directory, and the offset in a segment. */
  readonly where: string;
  /** What is wrong, in words. */
  readonly problem: string;
  /** The blob that it costs, `hash/size`. */
  readonly digest?: string;
  /** What was done about it; undefined when nothing was, or is to be. */
  readonly repaired?: string;
}

/** What there is, as far as it was looked at. */
export interface FsckCounts {
  /** Segments. */
  segments: number;
  /** Good records. */
  records: number;
  /** Their bytes, with headers. */
  recordBytes: number;
  /** Good files. */
  files: number;
  /** Their bytes. */
  fileBytes: number;
  /** Entries of the index. */
  entries: number;
  /** Action results that are whole. */
  results: number;
}

/** How far a check is. */
export interface FsckProgress {
  /** What is being read. */
  readonly area: FsckArea;
  /** Bytes read of it, or entries looked at where `unit` says so. */
  readonly done: number;
  /** What there is; undefined when that is not known. */
  readonly total: number | undefined;
  /** What is counted. */
  readonly unit: "bytes" | "entries";
}

/** Findings that are kept word for word; beyond, they are counted. */
export const MAX_FINDINGS = 1000;
/** Blobs that are remembered to be lost, so that results that name them can be told. */
const MAX_LOST = 1_000_000;

/** Gathers what is found. */
export class Findings {
  readonly list: FsckFinding[] = [];
  readonly counts: FsckCounts = {
    segments: 0,
    records: 0,
    recordBytes: 0,
    files: 0,
    fileBytes: 0,
    entries: 0,
    results: 0,
  };
  problems = 0;
  notes = 0;
  repaired = 0;
  /** Keys of blobs that are lost; see {@linkcode lostKey}. */
  readonly lost = new Set<string>();
  /** Whether the index is to be made anew. */
  rebuild = false;

  /** Notes something found. */
  add(finding: FsckFinding): void {
    if (finding.level === "problem") {
      this.problems++;
      if (finding.repaired !== undefined) this.repaired++;
    } else this.notes++;
    if (this.list.length < MAX_FINDINGS) this.list.push(finding);
  }

  /** Notes that a blob is lost. */
  lose(fnValue: number, hash: string): void {
    if (this.lost.size < MAX_LOST) this.lost.add(`${fnValue}:${hash}`);
  }
}

/** What the parts of a check work with. */
export interface FsckContext {
  /** The store's directory. */
  readonly dir: string;
  readonly files: FileLayer;
  readonly salt: Uint8Array;
  /** Whether it is to be repaired. */
  readonly repair: boolean;
  /** Whether the store was closed in good order, so that everything should agree. */
  readonly clean: boolean;
  readonly found: Findings;
  readonly quarantine: Quarantine;
  /** The index; undefined when it cannot be read. */
  readonly index: BlobIndexReader | undefined;
  readonly onProgress: (progress: FsckProgress) => void;
  readonly signal: AbortSignal | undefined;
}
