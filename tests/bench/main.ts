/**
 * `deno task bench`: the figures that the project promises, each beside its yardstick from the same run.
 *
 * Flags: `--json` prints rows as JSON, `--only=NAME[,NAME]` runs some, `--quick` does the least that shows
 * that they work and whose figures mean nothing.
 *
 * @module
 */

import { BAZEL } from "./bazel.ts";
import { BAZEL_THOUSAND } from "./bazel_thousand.ts";
import { GRID } from "./grid.ts";
import { type Bench, meetsAim, ratioOf, report, type Row } from "./harness.ts";
import { KERNELS } from "./kernels.ts";
import { RATES } from "./rates.ts";
import { RPC } from "./rpc.ts";
import { SANDBOX } from "./sandbox.ts";
import { STORE } from "./store.ts";
import { STREAMS_AT_ONCE } from "./streams.ts";
import { TRACING } from "./tracing.ts";
import { TREE } from "./tree.ts";
import { UPLOADS } from "./uploads.ts";
import { VARIANTS } from "./variants.ts";

const ALL: readonly Bench[] = [
  ...KERNELS,
  ...STORE,
  ...RPC,
  ...RATES,
  ...VARIANTS,
  ...STREAMS_AT_ONCE,
  ...TREE,
  ...UPLOADS,
  ...GRID,
  ...SANDBOX,
  ...TRACING,
  ...BAZEL,
  ...BAZEL_THOUSAND,
];

function selected(args: readonly string[]): readonly Bench[] {
  const only = args.find((arg) => arg.startsWith("--only="))?.slice("--only=".length).split(",");
  if (only === undefined) return ALL;
  const unknown = only.filter((name) => !ALL.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    console.error(`No benchmark ${unknown.join(", ")}; there are: ${ALL.map(({ name }) => name).join(", ")}`);
    Deno.exit(2);
  }
  return ALL.filter(({ name }) => only.includes(name));
}

const rows: Row[] = [];
for (const bench of selected(Deno.args)) {
  console.error(`Running ${bench.name} ...`);
  rows.push(...await bench.run());
}
if (Deno.args.includes("--json")) {
  console.log(
    JSON.stringify(rows.map((row) => ({ ...row, ratio: ratioOf(row), met: meetsAim(row) })), undefined, 2),
  );
} else {
  const cpu = /model name\s*: (.*)/.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? Deno.build.arch;
  console.log(
    `${navigator.hardwareConcurrency} cores (${cpu}), Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}\n`,
  );
  console.log(report(rows));
}
