/**
 * `brokk cache`: the grid's store, by hand.
 *
 * @module
 */

import { formatDigest } from "@brokkr/cas/client";
import { humanSize } from "@brokkr/common/units";
import { Command } from "commander";
import { ExitError } from "../_exit.ts";
import { plainText, ProgressLine, table, transferLine, writeErr, writeJson, writeOut } from "../_terminal.ts";
import { fsckCommand } from "./_cache_fsck.ts";
import { pinCommand, pinsCommand, unpinCommand } from "./_cache_pins.ts";
import { digestArgument, digestArguments, type StoreFlags, writeWhole } from "./_cache_shared.ts";
import { exportCommand, importCommand } from "./_cache_transfer.ts";
import { gcCommand, verifyCommand, whyGoneCommand } from "./_cache_upkeep.ts";
import { usageCommand } from "./_cache_usage.ts";
import { usageError, withClient, withConnection, withJson } from "./_shared.ts";

interface CacheFlags extends StoreFlags {
  readonly tree?: boolean;
}

const NOT_THERE_EXIT = 1;

/** The definition of the command and those below it. */
export function command(): Command {
  const cache = new Command("cache").summary("put into the grid's store, get from it, look after it")
    .description(
      "Puts into the grid's content-addressed store, gets from it, and looks after it. A DIGEST is written HASH/SIZE, or " +
        "FUNCTION:HASH/SIZE when it is not of the function of --digest.",
    );
  const put = new Command("put").summary("upload files and directories").description(
    "Uploads files, and directories with all that is in them; prints digests.",
  )
    .argument("<path...>", "what to upload")
    .addHelpText(
      "after",
      "\nExamples:\n  brokk cache put main.c\n  brokk cache put --json src | jq -r .[0].digest\n",
    )
    .action(putCommand);
  const get = new Command("get").summary("fetch a blob or a directory").description(
    "Fetches a blob, or with --tree a directory, and verifies it.",
  )
    .argument("<digest>", "what to fetch", digestArgument)
    .argument("[destination]", "file or, with --tree, directory to write; standard output without it")
    .option("--tree", "DIGEST names a directory: fetch all that is in it")
    .addHelpText(
      "after",
      "\nExamples:\n  brokk cache get HASH/12 > blob\n  brokk cache get --tree HASH/170 src\n",
    )
    .action(getCommand);
  const tree = new Command("tree").summary("list a directory").description(
    "Lists a directory of the store with all that is in it.",
  )
    .argument("<digest>", "digest of a directory", digestArgument)
    .addHelpText("after", "\nExample:\n  brokk cache tree HASH/170\n")
    .action(treeCommand);
  const stat = new Command("stat").summary("tell what the store holds").description(
    "Tells what the store holds: how much, by size, time of last use, digest function and instance. With DIGESTs it tells " +
      "which of those blobs are there; exit code 1 when one is missing.",
  )
    .argument("[digest...]", "blobs to look for", digestArguments)
    .addHelpText("after", "\nExamples:\n  brokk cache stat\n  brokk cache stat HASH/12 && echo there\n")
    .action(statCommand);
  // `get` and `export` write the bytes themselves: there is nothing to say in JSON.
  const silent = [get, exportCommand()];
  const telling = [
    put,
    tree,
    stat,
    verifyCommand(),
    gcCommand(),
    pinCommand(),
    pinsCommand(),
    importCommand(),
    whyGoneCommand(),
  ];
  telling.forEach(withJson);
  for (const each of [...telling, ...silent, unpinCommand()]) cache.addCommand(withConnection(each));
  // Talks to no grid: there must be none.
  cache.addCommand(fsckCommand());
  return cache.addHelpText("after", "\nExample:\n  brokk cache put src\n");
}

async function putCommand(paths: string[], flags: CacheFlags): Promise<void> {
  const progress = new ProgressLine(flags.json === true);
  const results = await withClient(flags, async (client) => {
    const done = [];
    for (const path of paths) {
      const result = await client.cache.put(path, {
        onProgress: ({ bytes, totalBytes }) => progress.show(transferLine(`${path}:`, bytes, totalBytes)),
      });
      done.push({ path, ...result, digest: formatDigest(result.digest) });
    }
    return done;
  }).finally(() => progress.clear());
  if (flags.json) return await writeJson(results);
  for (const { path, digest, kind, bytes, sharedBytes, skippedBytes } of results) {
    await writeOut(`${digest}  ${path}\n`);
    if (Deno.stderr.isTerminal()) {
      const there = humanSize(sharedBytes + skippedBytes);
      await writeErr(`  ${kind}, ${humanSize(bytes)} uploaded, ${there} were there\n`);
    }
  }
}

async function getCommand(digest: string, destination: string | undefined, flags: CacheFlags): Promise<void> {
  await withClient(flags, async (client) => {
    if (flags.tree) {
      if (destination === undefined) throw usageError("--tree needs a directory to write to");
      const { files, bytes, sharedBytes } = await client.cache.getTree(digest, destination);
      const shared = sharedBytes === 0 ? "" : `, ${humanSize(sharedBytes)} of it from files that were there`;
      return await writeErr(`${files} files, ${humanSize(bytes)}${shared}\n`);
    }
    if (destination === undefined) {
      for await (const chunk of client.cache.read(digest)) await writeOut(chunk);
    } else await writeWhole(destination, client.cache.read(digest, { replaces: destination }));
  });
}

async function treeCommand(digest: string, flags: CacheFlags): Promise<void> {
  await withClient(flags, async (client) => {
    const entries = [];
    for await (const entry of client.cache.tree(digest)) entries.push(entry);
    if (flags.json) {
      return await writeJson(
        entries.map((entry) =>
          entry.digest === undefined ? entry : { ...entry, digest: formatDigest(entry.digest) }
        ),
      );
    }
    entries.sort((a, b) => a.path < b.path ? -1 : 1);
    await writeOut(table(entries.map((entry) => {
      const path = plainText(entry.path);
      if (entry.kind === "symlink") return ["link", "", `${path} -> ${plainText(entry.target ?? "")}`];
      const kind = entry.kind === "directory" ? "dir" : entry.executable ? "exec" : "file";
      const named = entry.digest === undefined ? "" : formatDigest(entry.digest);
      return [kind, named, entry.kind === "directory" ? `${path}/` : path];
    })));
  });
}

async function statCommand(asked: readonly string[] | undefined, flags: CacheFlags): Promise<void> {
  if (asked === undefined || asked.length === 0) return await usageCommand(flags);
  const found = await withClient(flags, (client) => client.cache.stat(asked));
  const rows = found.map(({ digest, present }) => ({
    digest: formatDigest(digest),
    sizeBytes: digest.sizeBytes,
    present,
  }));
  if (flags.json) await writeJson(rows);
  else {for (const { digest, present } of rows) {
      await writeOut(`${present ? "present" : "missing"}  ${digest}\n`);
    }}
  if (rows.some(({ present }) => !present)) throw new ExitError(NOT_THERE_EXIT);
}
