/**
 * `brokk cache stat` without digests: what the store holds.
 *
 * @module
 */

import { humanSize } from "@brokkr/common/units";
import { DigestFunction, type GetStoreUsageResponse } from "@brokkr/proto";
import { plainText, table, writeJson, writeOut } from "../_terminal.ts";
import { countText, roundDuration, type StoreFlags } from "./_cache_shared.ts";
import { durationMs, withClient } from "./_shared.ts";

const FUNCTION_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(DigestFunction).map(([name, value]) => [Number(value), name]),
);

/** Prints what the store holds. */
export async function usageCommand(flags: StoreFlags): Promise<void> {
  const usage = await withClient(flags, async (client) => await (await client.store()).usage());
  if (flags.json) await writeJson(usageJson(usage));
  else await writeOut(usageText(usage));
}

/** Usage as text. */
export function usageText(usage: GetStoreUsageResponse): string {
  const { maxBytes, maxBlobs, diskBytes } = usage;
  const share = maxBytes === undefined || maxBytes === 0
    ? ""
    : ` of ${humanSize(maxBytes)} (${Math.round(100 * diskBytes / maxBytes)} %)`;
  const retention = usage.retention === undefined
    ? ""
    : `; what is evicted now had not been used for ${roundDuration(durationMs(usage.retention))}`;
  const broken = usage.brokenPromises?.blobs ?? 0;
  const head = table([
    ["holds", countText(usage.blobs) + (maxBlobs === undefined ? "" : ` of at most ${maxBlobs} blobs`)],
    ["on disk", `${humanSize(diskBytes)}${share}, ${humanSize(usage.freeBytes)} free on the disk`],
    ...packed(usage),
    ["garbage", humanSize(usage.garbageBytes)],
    ["promised", `${countText(usage.promised)} that clients were told to be there`],
    ["pinned", countText(usage.pinned)],
    ["evicted", `${countText(usage.evicted)} since the start${retention}`],
    ...(broken === 0
      ? []
      : [["broken", `${countText(usage.brokenPromises)} promised and evicted all the same`]]),
    ...(usage.warning === "" ? [] : [["warning", plainText(usage.warning)]]),
  ]);
  const sizes = classes("SIZE", usage.sizes, ({ upToBytes }) => upToBytes, humanSize);
  const ages = classes(
    "LAST USED",
    usage.ages,
    ({ upTo }) => upTo === undefined ? undefined : durationMs(upTo),
    (ms) => `${roundDuration(ms)} ago`,
  );
  const functions = usage.functions.map(({ digestFunction, count }) => [
    FUNCTION_NAMES.get(digestFunction) ?? String(digestFunction),
    ...cells(count),
  ]);
  const instances = usage.instances.map(({ instanceName, results, bytes, unknown }) => [
    unknown ? "(not known)" : instanceText(instanceName),
    String(results),
    humanSize(bytes),
  ]);
  return [
    head,
    sizes,
    ages,
    table([["FUNCTION", "BLOBS", "BYTES"], ...functions]),
    ...(instances.length === 0 ? [] : [table([["INSTANCE", "RESULTS", "BYTES"], ...instances])]),
  ].join("\n");
}

/** What compression saves, where it saves anything. */
function packed({ storedBytes, savedBytes }: GetStoreUsageResponse): readonly string[][] {
  if (savedBytes <= 0 || storedBytes <= 0) return [];
  const plain = storedBytes + savedBytes;
  const ratio = (plain / storedBytes).toFixed(1);
  return [["compressed", `${humanSize(plain)} kept as ${humanSize(storedBytes)} (${ratio} to 1)`]];
}

/** An instance's name, where the default one has none. */
export function instanceText(name: string): string {
  return name === "" ? "(default)" : plainText(name);
}

function cells(count: { readonly blobs: number; readonly bytes: number } | undefined): readonly string[] {
  return [String(count?.blobs ?? 0), humanSize(count?.bytes ?? 0)];
}

/** Classes with a limit each, and one beyond the last limit. */
export function classes<T extends { readonly count?: { readonly blobs: number; readonly bytes: number } }>(
  title: string,
  all: readonly T[],
  limitOf: (each: T) => number | undefined,
  show: (limit: number) => string,
): string {
  let before = "";
  const rows = all.map((each) => {
    const limit = limitOf(each);
    const shown = limit === undefined ? `over ${before}` : `up to ${show(limit)}`;
    if (limit !== undefined) before = show(limit);
    return [shown, ...cells(each.count)];
  });
  return table([[title, "BLOBS", "BYTES"], ...rows]);
}

/** Usage for scripts: durations in milliseconds, names instead of numbers. */
function usageJson(usage: GetStoreUsageResponse): unknown {
  return {
    blobs: usage.blobs?.blobs ?? 0,
    bytes: usage.blobs?.bytes ?? 0,
    storedBytes: usage.storedBytes,
    savedBytes: usage.savedBytes,
    diskBytes: usage.diskBytes,
    maxBytes: usage.maxBytes,
    maxBlobs: usage.maxBlobs,
    freeBytes: usage.freeBytes,
    garbageBytes: usage.garbageBytes,
    promised: usage.promised,
    pinned: usage.pinned,
    evicted: usage.evicted,
    brokenPromises: usage.brokenPromises,
    retentionMs: usage.retention === undefined ? undefined : durationMs(usage.retention),
    warning: usage.warning === "" ? undefined : usage.warning,
    sizes: usage.sizes.map(({ upToBytes, count }) => ({ upToBytes, ...count })),
    ages: usage.ages.map(({ upTo, count }) => ({
      upToMs: upTo === undefined ? undefined : durationMs(upTo),
      ...count,
    })),
    functions: usage.functions.map(({ digestFunction, count }) => ({
      function: FUNCTION_NAMES.get(digestFunction) ?? String(digestFunction),
      ...count,
    })),
    instances: usage.instances.map(({ instanceName, results, bytes, unknown }) => ({
      instance: unknown ? undefined : instanceName,
      results,
      bytes,
    })),
  };
}
