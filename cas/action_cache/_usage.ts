/**
 * Counting results by whose they are.
 *
 * @module
 */

import type { StoredResult } from "./stored_result.ts";

/** Results of one instance and environment. */
export interface ResultUsage {
  /** The instance; undefined for results that do not say, and for those beyond the groups that are told apart. */
  readonly instance: string | undefined;
  /** The tenant; `""` until there are several. */
  readonly tenant: string;
  /** The trust lane; `""` is the default one. */
  readonly lane: string;
  /** How they came about; undefined as `instance`. */
  readonly environment: string | undefined;
  /** How many. */
  readonly results: number;
  /** Bytes of their records. */
  readonly bytes: number;
  /** Blobs they promise; one that several promise counts for each. */
  readonly blobs: number;
  /** Bytes of those. */
  readonly blobBytes: number;
  /** When the one not used for longest was used last, in milliseconds of wall time; undefined when none says. */
  readonly oldestUseMs: number | undefined;
  /** When the one used last was. */
  readonly latestUseMs: number | undefined;
}

/** Groups told apart: who makes up names of instances must not fill the memory. */
const MAX_GROUPS = 1000;

type Tally = { -readonly [K in keyof ResultUsage]: ResultUsage[K] };

/** Counts. */
export class UsageTally {
  readonly #groups = new Map<string, Tally>();
  readonly #rest = emptyTally(undefined);

  /** Counts a result. */
  add({ origin, usedMs, closure, storedBytes }: StoredResult): void {
    const group = this.#group(origin);
    group.results++;
    group.bytes += storedBytes;
    group.blobs += closure.length;
    for (const size of closure.sizes) group.blobBytes += size;
    if (usedMs === undefined) return;
    group.oldestUseMs = Math.min(group.oldestUseMs ?? Infinity, usedMs);
    group.latestUseMs = Math.max(group.latestUseMs ?? -Infinity, usedMs);
  }

  /** What was counted, most bytes first; what says not whose it is comes last. */
  get all(): ResultUsage[] {
    const all: ResultUsage[] = [...this.#groups.values()].sort((a, b) => b.bytes - a.bytes);
    if (this.#rest.results > 0) all.push(this.#rest);
    return all;
  }

  #group(origin: StoredResult["origin"]): Tally {
    if (origin === undefined) return this.#rest;
    const { scope: { instance, tenant, lane }, environment } = origin;
    const name = JSON.stringify([instance, tenant, lane, environment]);
    let group = this.#groups.get(name);
    if (group === undefined) {
      if (this.#groups.size >= MAX_GROUPS) return this.#rest;
      group = emptyTally(origin);
      this.#groups.set(name, group);
    }
    return group;
  }
}

function emptyTally(origin: StoredResult["origin"]): Tally {
  return {
    instance: origin?.scope.instance,
    tenant: origin?.scope.tenant ?? "",
    lane: origin?.scope.lane ?? "",
    environment: origin?.environment,
    results: 0,
    bytes: 0,
    blobs: 0,
    blobBytes: 0,
    oldestUseMs: undefined,
    latestUseMs: undefined,
  };
}
