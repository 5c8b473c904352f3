/**
 * `brokk cache pin`, `unpin` and `pins`: keeping what must not be evicted.
 *
 * @module
 */

import { humanSize } from "@brokkr/common/units";
import type { Pin, PinBlobsResponse } from "@brokkr/proto";
import { Command } from "commander";
import { plainText, table, writeErr, writeJson, writeOut } from "../_terminal.ts";
import {
  countText,
  digestArguments,
  durationArgument,
  isoTime,
  roundDuration,
  type StoreFlags,
  timeText,
} from "./_cache_shared.ts";
import { instanceText } from "./_cache_usage.ts";
import { digestText } from "../_digest_text.ts";
import { durationMs, timestampMs, usageError, withClient } from "./_shared.ts";

interface PinFlags extends StoreFlags {
  readonly for: number;
  readonly name?: string;
  readonly blob?: boolean;
  readonly inputs: boolean;
}

const DEFAULT_PIN_MS = 30 * 86_400_000;

/** `brokk cache pin`. */
export function pinCommand(): Command {
  return new Command("pin").summary("keep an action and what belongs to it from eviction")
    .description(
      "Keeps an action with its inputs, its result and its outputs from eviction, or single blobs. Pins may take their " +
        "share of the store and no more; what is missing cannot be pinned, and is told.",
    )
    .argument("<digest...>", "digests of actions, or with --blob of blobs", digestArguments)
    .option("--for <duration>", "how long (default: 30d)", durationArgument, DEFAULT_PIN_MS)
    .option("--name <name>", "what to call the pin (default: the digest)")
    .option("--blob", "each DIGEST names a single blob; they make one pin")
    .option("--no-inputs", "pin of an action only its result and outputs")
    .addHelpText(
      "after",
      "\nExamples:\n  brokk cache pin HASH/139\n  brokk cache pin --for 365d --name release-1.2 HASH/139\n",
    )
    .action(pin);
}

async function pin(named: readonly string[], flags: PinFlags): Promise<void> {
  if (!flags.blob && flags.name !== undefined && named.length > 1) {
    throw usageError("--name names one pin: name one action, or blobs with --blob");
  }
  const options = { durationMs: flags.for, name: flags.name, withoutInputs: !flags.inputs };
  const pinned = await withClient(flags, async (client) => {
    const store = await client.store();
    const digests = named.map((each) => client.digest(each));
    if (flags.blob) return [await store.pinBlobs(digests, options)];
    const done: PinBlobsResponse[] = [];
    for (const digest of digests) done.push(await store.pinAction(digest, options));
    return done;
  });
  if (flags.json) {
    return await writeJson(pinned.map(({ pin, missing, missingCount, notes }) => ({
      ...pinJson(pin),
      missing: missing.map((digest) => digestText(digest, pin?.digestFunction ?? 0)),
      missingBlobs: missingCount,
      notes,
    })));
  }
  for (const { pin, missing, missingCount, notes } of pinned) {
    await writeOut(
      `Pinned ${plainText(pin?.name ?? "")}: ${countText(pin?.count)}, until ${
        timeText(timestampMs(pin?.until))
      }\n`,
    );
    for (const note of notes) await writeErr(`brokk: ${plainText(note)}\n`);
    if (missingCount > 0) {
      await writeErr(
        `brokk: ${missingCount} ${
          missingCount === 1 ? "blob is" : "blobs are"
        } missing and not pinned, first ${digestText(missing[0], pin?.digestFunction ?? 0)}\n`,
      );
    }
  }
}

/** `brokk cache unpin`. */
export function unpinCommand(): Command {
  return new Command("unpin").summary("end pins")
    .description(
      "Ends pins. What they covered counts as promised to clients once more, and may be evicted when that is over.",
    )
    .argument("<name...>", 'names of pins, as "brokk cache pins" lists them')
    .addHelpText("after", "\nExample:\n  brokk cache unpin release-1.2\n")
    .action(unpin);
}

async function unpin(names: readonly string[], flags: StoreFlags): Promise<void> {
  await withClient(flags, async (client) => {
    const store = await client.store();
    for (const name of names) {
      const { pin, keptFor } = await store.unpin(name);
      await writeErr(
        `brokk: ${plainText(name)} is not pinned any more: ${countText(pin?.count)} may go when ${
          roundDuration(durationMs(keptFor))
        } are over\n`,
      );
    }
  });
}

/** `brokk cache pins`. */
export function pinsCommand(): Command {
  return new Command("pins").summary("list pins")
    .description("Lists every pin that holds, of all instances.")
    .addHelpText("after", "\nExamples:\n  brokk cache pins\n  brokk cache pins --json | jq '.[].name'\n")
    .action(pins);
}

async function pins(flags: StoreFlags): Promise<void> {
  const all = await withClient(flags, async (client) => await (await client.store()).pins());
  if (flags.json) return await writeJson(all.map(pinJson));
  if (all.length === 0) return await writeOut('Nothing is pinned; "brokk cache pin" pins an action\n');
  const rows = all.map(({ name, instanceName, actionDigest, count, until }) => [
    plainText(name),
    instanceText(instanceName),
    actionDigest === undefined ? "blobs" : "action",
    String(count?.blobs ?? 0),
    humanSize(count?.bytes ?? 0),
    timeText(timestampMs(until)),
  ]);
  const problems = all.filter(({ problem }) => problem !== "")
    .map(({ name, problem }) => `${plainText(name)} is not kept: ${plainText(problem)}\n`);
  await writeOut(table([["PIN", "INSTANCE", "OF", "BLOBS", "BYTES", "UNTIL"], ...rows]) + problems.join(""));
}

function pinJson(pin: Pin | undefined): Readonly<Record<string, unknown>> {
  return {
    name: pin?.name,
    instance: pin?.instanceName,
    action: pin?.actionDigest === undefined ? undefined : digestText(pin.actionDigest, pin.digestFunction),
    blobs: pin?.count?.blobs ?? 0,
    bytes: pin?.count?.bytes ?? 0,
    created: isoTime(pin?.created),
    until: isoTime(pin?.until),
    problem: pin === undefined || pin.problem === "" ? undefined : pin.problem,
  };
}
