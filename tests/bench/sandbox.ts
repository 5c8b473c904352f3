/**
 * The sandbox: beside bubblewrap, what it adds to a compilation and to an action of the grid, and inputs seen before.
 *
 * @module
 */

import { asPlainUser, IS_ROOT } from "../_plain_user.ts";
import type { LaunchReport } from "./_sandbox_launches.ts";
import { openArena } from "./_sandbox_rivals.ts";
import { type Bench, rounds, type Row } from "./harness.ts";
import { compilePairs } from "./_sandbox_compile.ts";
import { sandboxGrid } from "./sandbox_grid.ts";
import { sandboxInputs } from "./sandbox_inputs.ts";
import { meanInterval } from "./_interval.ts";

const SCRIPT = "tests/bench/_sandbox_launches.ts";
const AIM_RATIO = 0.6;

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

function launchRows(text: string): Row[] {
  const report = JSON.parse(text) as LaunchReport;
  const who = report.uid === 0 ? "as root" : `as user ${report.uid}`;
  const groups = report.cgroups === undefined ? "no control groups" : `control groups ${report.cgroups}`;
  return report.figures.flatMap(({ inFlight, sandboxMs, bwrapMs }) =>
    ([["median", 0.5], ["p99", 0.99]] as const).map(([name, part]): Row => ({
      name:
        `/bin/true in the sandbox, ${who}, ${groups}, ${inFlight} at a time: ${name} of ${sandboxMs.length}`,
      value: quantile(sandboxMs, part),
      unit: "ms",
      ...(bwrapMs.length === 0 ? {} : {
        yardstick: { name: "bwrap", value: quantile(bwrapMs, part) },
        aim: { of: "ratio", atMost: AIM_RATIO },
      }),
      bound: report.missing === undefined
        ? "making and ending namespaces, the network's before all; the processor"
        : `nothing to compare with: ${report.missing.split("\n")[0]}`,
    }))
  );
}

async function launches(): Promise<Row[]> {
  const path = new URL("_sandbox_launches.ts", import.meta.url).pathname;
  // A process of its own, as for the ordinary user: a small heap, nothing else loaded.
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", "--no-lock", path, String(rounds(1000, 8))],
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return launchRows(new TextDecoder().decode(stdout));
}

async function rootless(): Promise<Row[]> {
  if (!IS_ROOT) return []; // the other one is root-less already
  return launchRows(await asPlainUser(SCRIPT, [String(rounds(1000, 8))]));
}

async function compile(): Promise<Row[]> {
  await using arena = await openArena();
  const { sandboxMs, plainMs } = await compilePairs(arena, rounds(30, 2));
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  const { low, high } = meanInterval(sandboxMs.map((ms, index) => (ms / plainMs[index] - 1) * 100));
  return [{
    name: `user+sys of a gcc compilation in the sandbox (${sandboxMs.length} pairs)`,
    value: mean(sandboxMs),
    unit: "ms",
    yardstick: { name: "the same without a sandbox", value: mean(plainMs) },
    aim: { of: "ratio", atMost: 1.01 },
    bound: `the difference is ${low.toFixed(2)} % to ${high.toFixed(2)} % with 95 % confidence; ` +
      "the filter is run for each system call",
  }];
}

/** The benchmarks of this file. */
export const SANDBOX: readonly Bench[] = [
  { name: "sandbox", run: launches },
  { name: "sandbox-rootless", run: rootless },
  { name: "sandbox-compile", run: compile },
  { name: "sandbox-grid", run: sandboxGrid },
  { name: "sandbox-inputs", run: sandboxInputs },
];
