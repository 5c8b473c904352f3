/**
 * `brokk cache export` and `import`: an action with all that belongs to it, as one file.
 *
 * @module
 */

import { formatDigest } from "@brokkr/cas/client";
import { Command } from "commander";
import type { Manifest } from "../_archive.ts";
import { plainText, ProgressLine, transferLine, writeErr, writeJson, writeOut } from "../_terminal.ts";
import { countText, digestArgument, interruptible, type StoreFlags, writeWhole } from "./_cache_shared.ts";
import { instanceText } from "./_cache_usage.ts";
import { usageError, withClient } from "./_shared.ts";

interface ExportFlags extends StoreFlags {
  readonly inputs: boolean;
}

/** `brokk cache export`. */
export function exportCommand(): Command {
  return new Command("export").summary("write an action and what belongs to it to a file")
    .description(
      "Writes an action with its command, its inputs, its result and its outputs to a tar archive, to look into or to " +
        "import elsewhere. The same action gives the same bytes.",
    )
    .argument("<action-digest>", "the action, written HASH/SIZE", digestArgument)
    .argument("<file>", "file to write, or - for standard output")
    .option("--no-inputs", "only the result and the outputs, such as when inputs are gone")
    .addHelpText(
      "after",
      "\nExamples:\n  brokk cache export HASH/139 action.tar\n  brokk cache export HASH/139 - | zstd > action.tar.zst\n",
    )
    .action(exportAction);
}

async function exportAction(action: string, file: string, flags: ExportFlags): Promise<void> {
  if (file === "-" && Deno.stdout.isTerminal()) {
    throw usageError("An archive is not for a terminal; name a file");
  }
  const progress = new ProgressLine(false);
  await interruptible(async (signal) => {
    const { manifest, notes } = await withClient(flags, async (client) => {
      const archive = await (await client.store()).exportAction(client.digest(action), {
        withoutInputs: !flags.inputs,
        onProgress: (bytes, total) => progress.show(transferLine("brokk: exporting", bytes, total)),
        signal,
      });
      if (file !== "-") await writeWhole(file, archive.bytes());
      else for await (const piece of archive.bytes()) await writeOut(piece);
      return archive;
    });
    progress.clear();
    for (const note of notes) await writeErr(`brokk: ${plainText(note)}\n`);
    await writeErr(`brokk: exported ${contentsText(manifest)}\n`);
  }).finally(() => progress.clear());
}

/** `brokk cache import`. */
export function importCommand(): Command {
  return new Command("import").summary("bring an exported action into the grid")
    .description(
      "Uploads what an archive holds and the grid lacks, then puts the action's result into the action cache. Whatever " +
        "does not have its digest is refused, and so is an archive that is not whole. Its result is believed: import " +
        "only what you trust.",
    )
    .argument("<file>", "archive to read, or - for standard input")
    .addHelpText(
      "after",
      "\nExamples:\n  brokk cache import action.tar\n  zstd -dc action.tar.zst | brokk cache import -\n",
    )
    .action(importAction);
}

async function importAction(file: string, flags: StoreFlags): Promise<void> {
  const progress = new ProgressLine(flags.json === true);
  await interruptible(async (signal) => {
    const { manifest, blobs, bytes } = await withClient(flags, async (client) => {
      const source = file === "-" ? Deno.stdin.readable : (await Deno.open(file)).readable;
      return await (await client.store()).importArchive(source, {
        onProgress: (bytes, total) => progress.show(transferLine("brokk: importing", bytes, total)),
        signal,
      });
    });
    progress.clear();
    const action = formatDigest(manifest.action);
    if (flags.json) {
      return await writeJson({
        action,
        result: manifest.result !== undefined,
        blobs: manifest.blobs,
        bytes: manifest.bytes,
        uploadedBlobs: blobs,
        uploadedBytes: bytes,
      });
    }
    await writeOut(`${action}\n`);
    const result = manifest.result === undefined ? "it has no result" : "its result is in the action cache";
    await writeErr(
      `brokk: imported ${contentsText(manifest)}; new here: ${countText({ blobs, bytes })}; ${result}\n`,
    );
  }).finally(() => progress.clear());
}

function contentsText(manifest: Manifest): string {
  const roles = Object.entries(manifest.roles)
    .filter(([role, count]) => role !== "action" && role !== "command" && count > 0)
    .map(([role, count]) => `${count} ${plainText(role)}`);
  const of = roles.length === 0 ? "" : ` (${roles.join(", ")})`;
  return `${countText(manifest)}${of}, of instance ${instanceText(manifest.instance)}`;
}
