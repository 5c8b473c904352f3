/**
 * A grid under a flood of uploads, with readers that hold it to its word.
 *
 * @module
 */

import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { seededRandom } from "@brokkr/common";
import type { Grid } from "@brokkr/cli/up";
import type { Channel } from "@brokkr/proto/rpc/client";
import { Flood, pause } from "./_flood.ts";
import { PromiseReader, ResultReader } from "./_flood_readers.ts";
import { FloodWatch } from "./_flood_watch.ts";

const MIB = 1 << 20;
const LANES = 6;
/** Of what may be promised, how much the readers together bring about. */
const READERS_SHARE = 0.4;
const REPORT_MS = 60_000;

/** What is flooded, how long, and what else happens meanwhile. */
export interface FloodedOptions {
  readonly grid: Grid;
  readonly channel: Channel;
  readonly instance: string;
  /** The limit of the grid's store. */
  readonly limitBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond?: number;
  /** How long the grid's promises last. */
  readonly promiseMs: number;
  readonly seed: number;
  /** What goes on until the signal is aborted. */
  readonly others: (signal: AbortSignal) => readonly Promise<unknown>[];
}

/** What came of it. */
export interface Flooded {
  readonly flood: Flood;
  readonly results: ResultReader;
  readonly promises: PromiseReader;
  readonly watch: FloodWatch;
  /** All of it, for reports. */
  text(): string;
  /** Asserts what has to hold always: every promise kept, nobody refused, the limit kept. */
  check(): void;
}

/** Floods a grid; returns when all was uploaded and the others came to their end. */
export async function floodGrid(options: FloodedOptions): Promise<Flooded> {
  const { grid, channel, instance, limitBytes, promiseMs, seed, others } = options;
  const reader = { channel, instance };
  const share = READERS_SHARE / 2 * limitBytes / (promiseMs / 1000);
  const results = new ResultReader({ ...reader, random: seededRandom(seed + 1) }, share);
  const promises = new PromiseReader({ ...reader, random: seededRandom(seed + 2) }, promiseMs, share);
  const watch = new FloodWatch(grid);
  const flood = new Flood({
    ...options,
    endpoint: grid.endpoint,
    lanes: LANES,
    random: seededRandom(seed),
    onStored: (blob) => promises.note(blob),
  });
  const text = () => textOf(flood, results, promises, watch);
  const done = new AbortController();
  const all = [
    results.run(done.signal),
    promises.run(done.signal),
    watch.run(done.signal),
    reportMinutes(done.signal, text),
    ...others(done.signal),
  ];
  try {
    await Promise.race([flood.run(done.signal), Promise.all(all)]);
  } finally {
    done.abort();
    await Promise.allSettled(all);
  }
  await Promise.all(all);
  const check = () => {
    assertEquals([...results.violations, ...promises.violations], [], text());
    assertEquals(flood.refusals, 0, text());
    assertEquals(watch.last?.broken, 0, text());
    assertGreater(watch.last?.evictedBytes ?? 0, options.totalBytes - 2 * limitBytes, text());
    // Of one segment what stays is copied before its file goes, and files take whole blocks.
    assertLess(watch.maxBlobBytes, limitBytes * 1.03, text());
  };
  return { flood, results, promises, watch, text, check };
}

function textOf(flood: Flood, results: ResultReader, promises: PromiseReader, watch: FloodWatch): string {
  const mib = (bytes = 0) => `${(bytes / MIB).toFixed(0)} MiB`;
  const { evicted, evictedBytes, broken, retentionS } = watch.last ?? {};
  return [
    `${
      mib(flood.storedBytes)
    } stored in ${flood.storedBlobs} blobs, refused ${flood.refusals} times ${flood.refusal}`,
    `batches: ${flood.batches.text()}`,
    `streams: ${flood.streams.text()}`,
    `evicted ${evicted} blobs of ${
      mib(evictedBytes)
    }, ${retentionS} s after their last use; ${broken} promises broken`,
    `${results.hits} results handed out, ${results.gone} gone, ${results.read} blobs of them read`,
    `${promises.there} of ${promises.asked} blobs said to be there, ${promises.read} of them read later`,
    `most on disk ${mib(watch.maxBlobBytes)} of blobs, ${mib(watch.maxStoreBytes)} of everything`,
    `control's event loop held up ${watch.maxLagMs.toFixed(0)} ms at most, resident ${
      mib(watch.maxResidentBytes)
    }`,
  ].join("\n");
}

/** For those who watch a long run. */
async function reportMinutes(signal: AbortSignal, text: () => string): Promise<void> {
  const start = performance.now();
  for (let minute = 1; !signal.aborted; await pause(200)) {
    if (performance.now() - start < minute * REPORT_MS) continue;
    console.log(`minute ${minute++}\n${text()}`);
  }
}
