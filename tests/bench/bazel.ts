/**
 * Bazel's warm build of 200 generated files: everything from the grid's cache against everything from `--disk_cache`.
 *
 * @module
 */

import { startGrid } from "@brokkr/cli/up";
import { type BazelClient, debianBazel, npmBazel } from "../bazel/clients.ts";
import { generated, openWorkspace, type Workspace } from "../bazel/workspace.ts";
import { type Bench, cpuMs, median, type Row, timeMs } from "./harness.ts";

const PAIRS = 9;
/** Builds before the first counted one: Bazel's server is a JVM and takes some to be at its speed. */
const WARM_UP = 4;

async function warm(workspace: Workspace, flags: readonly string[]): Promise<number> {
  const cleaned = await workspace.bazel("clean");
  if (cleaned.code !== 0) throw new Error(cleaned.text);
  return await timeMs(async () => {
    const { code, text } = await workspace.bazel("build", ...flags, "//:app");
    if (code !== 0) throw new Error(text);
  });
}

async function measure(client: BazelClient): Promise<Row> {
  await using workspace = await openWorkspace(client, generated(200));
  await using grid = await startGrid({ slots: 2 });
  const disk = [`--disk_cache=${workspace.path}/../disk`];
  const remote = ["--config=grid", "--jobs=64", `--remote_executor=${grid.endpoint}`];
  for (let round = 0; round < WARM_UP; round++) {
    await warm(workspace, disk);
    await warm(workspace, remote);
  }
  const control = grid.control.pid ?? 0;
  const before = cpuMs(control);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    theirs.push(await warm(workspace, disk));
    ours.push(await warm(workspace, remote));
  }
  return {
    name: `${client.name}: warm build of 200 files`,
    value: median(ours),
    unit: "ms",
    yardstick: { name: "--disk_cache", value: median(theirs) },
    aim: { of: "ratio", atMost: 1.1 },
    bound: `Bazel keeps both cores busy; the 600 calls take ${
      ((cpuMs(control) - before) / PAIRS).toFixed(0)
    } ms of control's CPU on top, which --disk_cache does not`,
  };
}

/** The benchmarks of this file. */
export const BAZEL: readonly Bench[] = [{
  name: "bazel",
  async run() {
    const rows: Row[] = [];
    for (const found of [await debianBazel(), await npmBazel()]) {
      if ("client" in found) rows.push(await measure(found.client));
      else console.error(`Skipped: ${found.reason}`);
    }
    return rows;
  },
}];
