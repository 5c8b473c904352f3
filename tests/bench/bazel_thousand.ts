/**
 * A thousand Bazel actions over four workers against the same run by Bazel itself, and the same again from the cache.
 *
 * @module
 */

import { startGrid } from "@brokkr/cli/up";
import { type BazelClient, debianBazel, npmBazel } from "../bazel/clients.ts";
import { openWorkspace, type Workspace } from "../bazel/workspace.ts";
import { type Bench, cpuMs, QUICK, rounds, type Row, summary, timeMs } from "./harness.ts";

const ACTIONS = QUICK ? 100 : 1000;
const WORKERS = 4;
/** What Bazel has under way: enough to keep every worker busy, at what Bazel itself costs. */
const JOBS = 32;

const FILES: Readonly<Record<string, string>> = {
  "BUILD":
    `[genrule(name = "g%d" % i, srcs = ["in/%d" % (i % 10)], outs = ["out/%d.txt" % i], cmd = "cat $< > $@; echo %d >> $@" % i) for i in range(${ACTIONS})]\n` +
    `filegroup(name = "all", srcs = [":g%d" % i for i in range(${ACTIONS})])\n`,
  ...Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`in/${i}`, `input ${i}\n`])),
};

/** Milliseconds of a build after everything it made was removed, and what Bazel said. */
async function build(workspace: Workspace, ...flags: string[]): Promise<{ ms: number; text: string }> {
  const cleaned = await workspace.bazel("clean");
  if (cleaned.code !== 0) throw new Error(cleaned.text);
  let said = "";
  const ms = await timeMs(async () => {
    const { code, text } = await workspace.bazel("build", ...flags, "//:all");
    if (code !== 0) throw new Error(text);
    said = text;
  });
  return { ms, text: said };
}

function expect(text: string, pattern: RegExp): void {
  if (Number(pattern.exec(text)?.[1]) !== ACTIONS) {
    throw new Error(`Expected ${ACTIONS} of ${pattern}:\n${text}`);
  }
}

interface Figures {
  readonly local: number[];
  readonly cold: number[];
  readonly warm: number[];
  readonly cpu: number[];
}

async function measure(client: BazelClient): Promise<Row[]> {
  await using workspace = await openWorkspace(client, FILES);
  await using grid = await startGrid({ workers: WORKERS, slots: 1 });
  const pids = () => [grid.control, ...grid.workers].map(({ pid }) => pid ?? 0);
  const cpu = () => pids().reduce((sum, pid) => sum + cpuMs(pid), 0);
  const remote = ["--config=grid", `--jobs=${JOBS}`, `--remote_executor=${grid.endpoint}`];
  const seen: Figures = { local: [], cold: [], warm: [], cpu: [] };
  const once = async (tag: string, into: Figures) => {
    // Other actions in each round, so that no cache knows them.
    const round = `--action_env=BENCH_ROUND=${tag}`;
    into.local.push((await build(workspace, round)).ms);
    const before = cpu();
    const cold = await build(workspace, round, ...remote);
    into.cpu.push((cpu() - before) / ACTIONS);
    expect(cold.text, /(\d+) remote\b(?! cache)/);
    into.cold.push(cold.ms);
    const warm = await build(workspace, round, ...remote);
    expect(warm.text, /(\d+) remote cache hit/);
    into.warm.push(warm.ms);
  };
  // The JVM compiles what it runs often.
  await once("warm-up", { local: [], cold: [], warm: [], cpu: [] });
  for (let round = 0; round < rounds(3); round++) await once(String(round), seen);
  const yardstick = { name: "--spawn_strategy=local", value: summary(seen.local).value };
  const what = `${client.name}: ${ACTIONS.toLocaleString("en-US")} actions over ${WORKERS} workers`;
  return [{
    name: `${what}, none known`,
    ...summary(seen.cold),
    unit: "ms",
    yardstick,
    bound: `the workers share their cores with Bazel, so that nothing is gained; control and workers use ${
      summary(seen.cpu).value.toFixed(1)
    } ms of CPU for an action`,
  }, {
    name: `${what}, all from the cache`,
    ...summary(seen.warm),
    unit: "ms",
    yardstick,
    bound: "Bazel, which asks for each and fetches its output",
  }];
}

async function thousand(): Promise<Row[]> {
  const reasons: string[] = [];
  // One Bazel is enough: what differs between them is theirs.
  for (const found of [await debianBazel(), await npmBazel()]) {
    if ("client" in found) return await measure(found.client);
    reasons.push(found.reason);
  }
  console.error(`Skipped: ${reasons.join("; ")}`);
  return [];
}

/** The benchmarks of this file. */
export const BAZEL_THOUSAND: readonly Bench[] = [{ name: "bazel-1000", run: thousand }];
