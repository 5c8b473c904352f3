/**
 * Builds that are made again and again while others flood the grid.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { digest } from "../e2e/_grid.ts";
import type { BazelClient } from "./clients.ts";
import { build, cacheHits, clean, outputs, remote } from "./_grid.ts";
import { openWorkspace, type Workspace } from "./workspace.ts";

const ACTIONS = 24;
const NAMES = Array.from({ length: ACTIONS }, (_, i) => `out${i}.bin`);
const INPUT_BYTES = 60_000;

/** Rules in chains of three, each of which makes a file of its input's size; `last` is made on this machine from all. */
function buildFile(): string {
  const rules = NAMES.map((name, i) => {
    const sources = [`"in${i % 4}.bin"`, ...(i % 3 === 0 ? [] : [`"out${i - 1}.bin"`])];
    const command = `cat $(SRCS) salt > $@ && echo ${i} >> $@`.replace("salt", "$(location salt)");
    return `genrule(name = "g${i}", srcs = [${sources.join(", ")}], tools = ["salt"], outs = ["${name}"], ` +
      `cmd = "${command}")\n`;
  });
  const all = NAMES.map((name) => `"${name}"`).join(", ");
  return `${rules.join("")}filegroup(name = "all", srcs = [${all}])\n` +
    `genrule(name = "last", srcs = [${all}], outs = ["last.bin"], cmd = "cat $(SRCS) > $@", local = 1)\n`;
}

function noise(sizeBytes: number): string {
  return crypto.getRandomValues(new Uint8Array(sizeBytes / 2)).toHex();
}

/** How often what was built. */
export interface Builds {
  cold: number;
  warm: number;
  minimal: number;
}

/**
 * Builds everything with nothing in the cache, everything from the cache, and again without downloading, followed by what
 * needs the outputs here, until `signal` is aborted; at least once.
 *
 * @throws {AssertionError} when a build fails or makes something else than it should.
 */
export async function buildAgainAndAgain(
  client: BazelClient,
  endpoint: string,
  signal: AbortSignal,
  counts: Builds,
): Promise<void> {
  const inputs = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`in${i}.bin`, noise(INPUT_BYTES)]));
  await using workspace = await openWorkspace(client, { BUILD: buildFile(), salt: "0\n", ...inputs });
  const flags = remote({ endpoint });
  do {
    await Deno.writeTextFile(`${workspace.path}/salt`, `${noise(2000)}\n`);
    await build(workspace, ...flags, "//:all");
    const made = await outputs(workspace, NAMES);
    const parts = await Promise.all(NAMES.map((name) => workspace.output(name)));
    counts.cold++;
    await clean(workspace);
    const warm = await build(workspace, ...flags, "//:all");
    assertEquals(cacheHits(warm), ACTIONS, warm);
    assertEquals(await outputs(workspace, NAMES), made);
    counts.warm++;
    await buildMinimal(workspace, flags, parts);
    counts.minimal++;
  } while (!signal.aborted);
}

/** Builds without downloading, then what needs on this machine what only the grid has: it is made of these parts. */
async function buildMinimal(
  workspace: Workspace,
  flags: readonly string[],
  parts: readonly Uint8Array[],
): Promise<void> {
  await clean(workspace);
  const minimal = [...flags, "--remote_download_minimal"];
  await build(workspace, ...minimal, "//:all");
  const both = ["--spawn_strategy=remote,local", "--genrule_strategy=remote,local"];
  await build(workspace, ...minimal, ...both, "//:last");
  const whole = new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  assertEquals(digest(await workspace.output("last.bin")), digest(whole));
}
