/**
 * `brokk cache verify`, `gc` and `why-gone`: whether the store is sound, making room in it, what became of a blob.
 *
 * @module
 */

import { formatDigest } from "@brokkr/cas/client";
import { humanDuration, humanSize } from "@brokkr/common/units";
import {
  type CollectStoreResponse,
  type DamagedBlob,
  DamagedBlob_Outcome as Outcome,
  type WhyGoneResponse,
  WhyGoneResponse_Reason as Reason,
} from "@brokkr/proto";
import { Command } from "commander";
import { ExitError } from "../_exit.ts";
import { plainText, ProgressLine, transferLine, writeJson, writeOut } from "../_terminal.ts";
import {
  countText,
  digestArgument,
  interruptible,
  isoTime,
  roundDuration,
  sizeArgument,
  type StoreFlags,
  timeText,
} from "./_cache_shared.ts";
import { classes } from "./_cache_usage.ts";
import { digestText } from "../_digest_text.ts";
import { durationMs, timestampMs, withClient } from "./_shared.ts";

interface VerifyFlags extends StoreFlags {
  readonly rate?: number;
}

interface GcFlags extends StoreFlags {
  readonly to?: number;
  readonly dryRun?: boolean;
}

/** Damage was found, a target was not reached, or nothing is known. */
const NOT_WELL_EXIT = 1;
/** Damaged blobs that are told in JSON; text tells all of them as they come. */
const MAX_TOLD = 100_000;

const OUTCOMES: ReadonlyMap<number, string> = new Map([
  [Outcome.LEFT, "left as it is"],
  [Outcome.QUARANTINED, "set aside"],
  [Outcome.REPAIRED, "fetched again"],
]);
const OUTCOME_NAMES: ReadonlyMap<number, string> = new Map([
  [Outcome.LEFT, "left"],
  [Outcome.QUARANTINED, "quarantined"],
  [Outcome.REPAIRED, "repaired"],
]);
const REASON_NAMES: ReadonlyMap<number, string> = new Map([
  [Reason.EVICTED, "evicted"],
  [Reason.PROMISE_BROKEN, "promise broken"],
  [Reason.DELETED, "deleted"],
  [Reason.DAMAGED, "damaged"],
  [Reason.COLLECTED, "collected"],
]);

/** `brokk cache verify`. */
export function verifyCommand(): Command {
  return new Command("verify").summary("read all that the store holds and compare it with its digests")
    .description(
      "Has the grid read all that its store holds and compare it with its digests. What is damaged is set aside, so that " +
        "clients upload it again. Exit code 1 when something was damaged. Interrupting it ends the reading.",
    )
    .option(
      "--rate <size>",
      "bytes to read a second at most, such as 50MiB (default: as fast as it goes)",
      sizeArgument,
    )
    .addHelpText("after", "\nExamples:\n  brokk cache verify\n  brokk cache verify --rate 50MiB --json\n")
    .action(verify);
}

async function verify(flags: VerifyFlags): Promise<void> {
  const progress = new ProgressLine(flags.json === true);
  const startMs = performance.now();
  const told: unknown[] = [];
  let damaged = 0;
  let read = { blobs: 0, bytes: 0 };
  await interruptible(async (signal) => {
    await withClient(flags, async (client) => {
      const store = await client.store();
      for await (const message of store.verify(flags.rate ?? 0, signal)) {
        read = message.read ?? read;
        damaged += message.damaged.length;
        if (message.damaged.length > 0) progress.clear();
        for (const each of message.damaged) {
          if (told.length < MAX_TOLD) told.push(damagedJson(each));
          if (!flags.json) await writeOut(damagedLine(each));
        }
        progress.show(transferLine("brokk: verifying", read.bytes, message.totalBytes));
      }
    });
  }).finally(() => progress.clear());
  if (flags.json) await writeJson({ ...read, damagedBlobs: damaged, damaged: told });
  else {
    await writeOut(
      `Read ${countText(read)} in ${humanDuration(performance.now() - startMs)}: ` +
        (damaged === 0 ? "all as it should be\n" : `${damaged} ${damaged === 1 ? "was" : "were"} damaged\n`),
    );
  }
  if (damaged > 0) throw new ExitError(NOT_WELL_EXIT);
}

function damagedLine({ digest, digestFunction, where, problem, outcome }: DamagedBlob): string {
  const named = digest === undefined ? "something" : digestText(digest, digestFunction);
  return `damaged  ${named}  ${plainText(where)}: ${plainText(problem)}; ${OUTCOMES.get(outcome) ?? "?"}\n`;
}

function damagedJson({ digest, digestFunction, where, problem, outcome }: DamagedBlob): unknown {
  return {
    digest: digest === undefined ? undefined : digestText(digest, digestFunction),
    where,
    problem,
    outcome: OUTCOME_NAMES.get(outcome) ?? String(outcome),
  };
}

/** `brokk cache gc`. */
export function gcCommand(): Command {
  return new Command("gc").summary("make room in the store")
    .description(
      "Frees what belongs to no blob any more; with --to also evicts what was not used for longest. What clients were " +
        "told to be there lately and what is pinned stays. Exit code 1 when the target is not reached. The store makes " +
        "room by itself when it needs some: this is for when the disk is wanted for something else.",
    )
    .option("--to <size>", "bytes on disk to come down to, such as 50GiB", sizeArgument)
    .option("--dry-run", "only tell what would go")
    .addHelpText("after", "\nExamples:\n  brokk cache gc\n  brokk cache gc --to 50GiB --dry-run\n")
    .action(gc);
}

async function gc(flags: GcFlags): Promise<void> {
  const { to: targetBytes, dryRun = false } = flags;
  await interruptible(async (signal) => {
    const collected = await withClient(flags, async (client) => {
      const options = { ...(targetBytes === undefined ? {} : { targetBytes }), dryRun, signal };
      return await (await client.store()).collect(options);
    });
    if (flags.json) await writeJson(collectedJson(collected, dryRun));
    else await writeOut(collectedText(collected, dryRun));
    if (collected.shortfall !== "") throw new ExitError(NOT_WELL_EXIT);
  });
}

/** What a collection did, or would do. */
export function collectedText(collected: CollectStoreResponse, dryRun: boolean): string {
  const { gone, freedBytes, copiedBytes, diskBytes, shortfall, ages } = collected;
  const blobs = gone?.blobs ?? 0;
  const evicted = blobs === 0
    ? dryRun ? "No blob would be evicted" : "No blob was evicted"
    : dryRun
    ? `${countText(gone)} would be evicted`
    : `${countText(gone)} evicted`;
  const freed = dryRun ? "would be freed" : "freed";
  const copied = copiedBytes === 0 ? "" : ` by copying ${humanSize(copiedBytes)}`;
  const left = dryRun ? "would be left on disk" : "are left on disk";
  const counted = ages.filter(({ count }) => (count?.blobs ?? 0) > 0);
  return `${evicted}; ${humanSize(freedBytes)} ${freed}${copied}; ${humanSize(diskBytes)} ${left}\n` +
    (shortfall === "" ? "" : `Not less: ${plainText(shortfall)}\n`) +
    (counted.length === 0 ? "" : "\n" + classes(
      "LAST USED",
      ages,
      ({ upTo }) => upTo === undefined ? undefined : durationMs(upTo),
      (ms) => `${roundDuration(ms)} ago`,
    ));
}

function collectedJson(collected: CollectStoreResponse, dryRun: boolean): unknown {
  const { gone, freedBytes, copiedBytes, diskBytes, shortfall, ages } = collected;
  return {
    dryRun,
    blobs: gone?.blobs ?? 0,
    bytes: gone?.bytes ?? 0,
    freedBytes,
    copiedBytes,
    diskBytes,
    shortfall: shortfall === "" ? undefined : shortfall,
    ages: ages.map(({ upTo, count }) => ({
      upToMs: upTo === undefined ? undefined : durationMs(upTo),
      ...count,
    })),
  };
}

/** `brokk cache why-gone`. */
export function whyGoneCommand(): Command {
  return new Command("why-gone").summary("tell when and why a blob went")
    .description(
      "Tells when a blob went from the store and why, as far as the store's log remembers. Exit code 1 when it does not.",
    )
    .argument("<digest>", "the blob, written HASH/SIZE", digestArgument)
    .addHelpText("after", "\nExample:\n  brokk cache why-gone HASH/12\n")
    .action(whyGone);
}

async function whyGone(named: string, flags: StoreFlags): Promise<void> {
  const [digest, answer] = await withClient(flags, async (client) => {
    const digest = client.digest(named);
    return [digest, await (await client.store()).whyGone(digest)] as const;
  });
  if (flags.json) {
    const { present, gone, used, reason, logSince } = answer;
    await writeJson({
      digest: formatDigest(digest),
      present,
      reason: REASON_NAMES.get(reason),
      gone: isoTime(gone),
      used: isoTime(used),
      logSince: isoTime(logSince),
    });
  } else await writeOut(`${whyGoneText(answer, Date.now())}\n`);
  if (!answer.present && answer.reason === Reason.NOT_REMEMBERED) throw new ExitError(NOT_WELL_EXIT);
}

/** What became of a blob, in a sentence. `nowMs` is wall time. */
export function whyGoneText(
  { present, gone, used, reason, logSince }: WhyGoneResponse,
  nowMs: number,
): string {
  if (present) return "It is there";
  if (gone === undefined) {
    return "It is not there, and not in the log of what went" +
      (logSince === undefined ? "" : ` (which goes back to ${timeText(timestampMs(logSince))})`) +
      ": it was never there, or went before";
  }
  const goneMs = timestampMs(gone);
  const when = `${timeText(goneMs)} (${humanDuration(Math.max(0, nowMs - goneMs))} ago)`;
  const unused = used === undefined ? "" : `, unused for ${roundDuration(goneMs - timestampMs(used))} before`;
  switch (reason) {
    case Reason.EVICTED:
      return `Evicted ${when}${unused}; the store was at its limit`;
    case Reason.PROMISE_BROKEN:
      return `Evicted ${when}${unused}, although a client had been told that it is there: the store is too small for ` +
        "what its builds use at a time";
    case Reason.DELETED:
      return `Deleted ${when}${unused}`;
    case Reason.DAMAGED:
      return `Set aside ${when}${unused}; it was damaged`;
    case Reason.COLLECTED:
      return `Evicted ${when}${unused}; an operator made room ("brokk cache gc")`;
    default:
      return `Gone ${when}${unused}`;
  }
}
