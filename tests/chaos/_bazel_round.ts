/**
 * One round of chaos with a real Bazel: it must not notice.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { cacheHits, clean, outputs, remote } from "../bazel/_grid.ts";
import { openWorkspace, type Workspace } from "../bazel/workspace.ts";
import type { BazelClient } from "../bazel/clients.ts";
import { noProcessOf } from "../e2e/_processes.ts";
import { Arena, openPlace } from "./_arena.ts";
import { type Plan, planOf, planText, type Strike } from "./_plan.ts";

const ACTIONS = 60;
const NAMES = Array.from({ length: ACTIONS }, (_, i) => `out${i}.txt`);
/** A control plane that is away for longer than this is more than Bazel's default retries bear. */
const BORNE_OUTAGE_MS = 2000;

/** Rules that depend on one another, each a moment long. */
function files(mark: string): Record<string, string> {
  const rule = (i: number) => {
    // Each fourth is made from the one before.
    const source = i % 4 === 3 ? `out${i - 1}.txt` : "in.txt";
    const command = `export MARK=${mark}; sleep 0.${i % 3 + 1}; cat $< > $@; echo ${i} >> $@; head -c ${
      i * 5000
    } /dev/zero >> $@`;
    return `genrule(name = "g${i}", srcs = ["${source}"], outs = ["out${i}.txt"], cmd = "${command}")\n`;
  };
  const all = NAMES.map((_, i) => `":g${i}"`).join(", ");
  return {
    "BUILD": `${NAMES.map((_, i) => rule(i)).join("")}filegroup(name = "all", srcs = [${all}])\n`,
    "in.txt": "input\n",
  };
}

/** What the rules must give: hashes by name. */
async function expected(): Promise<Record<string, string>> {
  const contents: Uint8Array<ArrayBuffer>[] = [];
  const encoder = new TextEncoder();
  const hashes: Record<string, string> = {};
  for (const [i, name] of NAMES.entries()) {
    const source = i % 4 === 3 ? contents[i - 1] : encoder.encode("input\n");
    contents[i] = new Uint8Array([...source, ...encoder.encode(`${i}\n`), ...new Uint8Array(i * 5000)]);
    hashes[name] = new Uint8Array(await crypto.subtle.digest("SHA-256", contents[i])).toHex();
  }
  return hashes;
}

/** What a round with Bazel saw. */
export interface BazelRound {
  readonly longestOutageMs: number;
  /** Whether control was away for so long that Bazel may give up, and did. */
  readonly gaveUp: boolean;
  readonly struck: Readonly<Record<string, number>>;
}

/**
 * Builds while processes are struck, once more in peace, and once more from the cache.
 *
 * @throws {Error} With the plan, what Bazel said, and the processes' last lines.
 */
export async function bazelRound(client: BazelClient, seed: number): Promise<BazelRound> {
  const drawn = planOf(seed);
  // One restart of control, always: Bazel counts its retries for each call, and a second one may meet the same call.
  const [first] = drawn.control;
  const kill: Strike = { ...first, blow: "kill", holdMs: 0 };
  const plan: Plan = { ...drawn, control: first.blow === "stop" ? [first, kill] : [kill] };
  let arena: Arena | undefined;
  try {
    await using place = await openPlace();
    const mark = place.path.slice(place.path.lastIndexOf("/") + 1);
    await using workspace = await openWorkspace(client, files(mark));
    // That an action takes down worker after worker is the strikes' fault here.
    arena = await Arena.start(place, plan, ["--max-attempts=20"]);
    let gaveUp: boolean;
    try {
      gaveUp = await struckBuild(workspace, arena, plan);
      await arena.settle();
      await noProcessOf(`MARK=${mark}`);
      await peacefulBuilds(workspace, arena);
    } finally {
      assertEquals(await arena.stop(), []);
    }
    return { longestOutageMs: arena.longestOutageMs, gaveUp, struck: arena.struck };
  } catch (error) {
    const told = [planText(plan), `control away for ${arena?.longestOutageMs} ms`, arena?.log() ?? ""];
    throw new Error(`${error instanceof Error ? error.stack : error}\n${told.join("\n")}`);
  }
}

/** Builds under strikes; whether Bazel gave up for a reason. */
async function struckBuild(workspace: Workspace, arena: Arena, plan: Plan): Promise<boolean> {
  const flags = remote({ endpoint: arena.grid.endpoint });
  // Bazel's own start is not what is to be struck.
  const analysed = await workspace.bazel("build", ...flags, "--nobuild", "//:all");
  assertEquals(analysed.code, 0, analysed.text);
  const [{ code, text }] = await Promise.all([
    workspace.bazel("build", ...flags, "//:all"),
    arena.strike(plan),
  ]);
  if (code === 0) assertEquals(await outputs(workspace, NAMES), await expected());
  else if (arena.longestOutageMs <= BORNE_OUTAGE_MS) throw new Error(`Bazel ended with ${code}:\n${text}`);
  return code !== 0;
}

async function peacefulBuilds(workspace: Workspace, arena: Arena): Promise<void> {
  const flags = remote({ endpoint: arena.grid.endpoint });
  // Finishes what a build that gave up left.
  const rest = await workspace.bazel("build", ...flags, "//:all");
  assertEquals(rest.code, 0, rest.text);
  await clean(workspace);
  const { code, text } = await workspace.bazel("build", ...flags, "//:all");
  assertEquals(code, 0, text);
  assertEquals(cacheHits(text), ACTIONS, text);
  assertEquals(await outputs(workspace, NAMES), await expected());
}
