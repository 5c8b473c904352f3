/**
 * What a flooded grid says of itself and takes on disk, second by second.
 *
 * @module
 */

import type { Grid } from "@brokkr/cli/up";
import { pause } from "./_flood.ts";
import { readExposition } from "./_exposition.ts";

/** One look at a grid. */
export interface Look {
  readonly evicted: number;
  readonly evictedBytes: number;
  readonly broken: number;
  readonly retentionS: number;
  /** The longest that control's event loop was held up within a minute, in milliseconds. */
  readonly lagMs: number;
  readonly residentBytes: number;
}

/** Files below some directories, with what they take on disk. One that is renamed meanwhile counts once, one that goes not. */
async function filesBelow(
  paths: readonly string[],
  files = new Map<number, number>(),
): Promise<Map<number, number>> {
  for (const path of paths) {
    try {
      for await (const { name, isDirectory } of Deno.readDir(path)) {
        const at = `${path}/${name}`;
        if (isDirectory) await filesBelow([at], files);
        else {
          const { ino, blocks } = await Deno.lstat(at);
          files.set(ino ?? 0, (blocks ?? 0) * 512);
        }
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return files;
}

/** Bytes that files below some directories take on disk. */
export async function diskUse(...paths: readonly string[]): Promise<number> {
  return (await filesBelow(paths)).values().reduce((sum, each) => sum + each, 0);
}

/** Watches a grid with a store on disk. */
export class FloodWatch {
  readonly #grid: Grid;
  readonly #everyMs: number;
  /** Most that blobs took on disk: segments, files of their own, and uploads under way or kept. */
  maxBlobBytes = 0;
  /** Most that all of the store took, with its index and its log of evictions. */
  maxStoreBytes = 0;
  /** The longest that control's event loop was held up, in milliseconds. */
  maxLagMs = 0;
  maxResidentBytes = 0;
  last: Look | undefined;

  constructor(grid: Grid, everyMs = 500) {
    this.#grid = grid;
    this.#everyMs = everyMs;
  }

  /** Goes on until `signal` is aborted; looks once more then. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await pause(this.#everyMs);
    }
    await this.look();
  }

  async look(): Promise<Look> {
    const store = `${this.#grid.dataDir}/control/cas`;
    const blobs = await diskUse(...["segments", "blobs", "tmp", "uploads"].map((name) => `${store}/${name}`));
    this.maxBlobBytes = Math.max(this.maxBlobBytes, blobs);
    this.maxStoreBytes = Math.max(this.maxStoreBytes, await diskUse(store));
    const response = await fetch(`${this.#grid.httpUrl}/metrics`);
    const families = readExposition(await response.text());
    const value = (name: string) => families.get(name)?.samples.get(name) ?? NaN;
    const look = {
      evicted: value("brokkr_cas_evicted_total"),
      evictedBytes: value("brokkr_cas_evicted_bytes_total"),
      broken: value("brokkr_cas_promises_broken_total"),
      retentionS: value("brokkr_cas_retention_seconds"),
      lagMs: 1000 * value("brokkr_event_loop_lag_max_seconds"),
      residentBytes: value("process_resident_memory_bytes"),
    };
    this.maxLagMs = Math.max(this.maxLagMs, look.lagMs);
    this.maxResidentBytes = Math.max(this.maxResidentBytes, look.residentBytes);
    this.last = look;
    return look;
  }
}
