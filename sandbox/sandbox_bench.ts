/**
 * How fast actions start and end: `deno run --allow-all sandbox_bench.ts [--json]`.
 *
 * @module
 */

import { Launcher, type LauncherOptions } from "./launcher.ts";

/** One measurement. */
export interface LaunchMeasurement {
  /** What was run. */
  readonly name: string;
  /** Actions at a time. */
  readonly inFlight: number;
  /** Actions each second. */
  readonly perSecond: number;
  /** Median time from launch() until done. */
  readonly medianMs: number;
  /** Time launch() itself holds the event loop: median. */
  readonly launchCallMs: number;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

async function measure(
  name: string,
  count: number,
  inFlight: number,
  one: () => { done: Promise<unknown> },
): Promise<LaunchMeasurement> {
  const callMs: number[] = [];
  const doneMs: number[] = [];
  let left = count;
  const startMs = performance.now();
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) {
      const beginMs = performance.now();
      const { done } = one();
      callMs.push(performance.now() - beginMs);
      await done;
      doneMs.push(performance.now() - beginMs);
    }
  }));
  const perSecond = count / (performance.now() - startMs) * 1000;
  return { name, inFlight, perSecond, medianMs: median(doneMs), launchCallMs: median(callMs) };
}

/** Measures `/bin/true` in one way of holding trees together, alone and eight at a time. */
export async function measureLaunches(
  options: LauncherOptions = {},
  count = 1000,
): Promise<LaunchMeasurement[]> {
  using launcher = await Launcher.open(options);
  const target = { path: "/dev/null" };
  const action = {
    executable: "/bin/true",
    argv: ["true"],
    env: { PATH: "/usr/bin:/bin" },
    cwd: "/",
    stdout: target,
    stderr: target,
  };
  const name = `${launcher.probe.mode}${launcher.probe.userNamespace ? " with user namespace" : ""}`;
  const results: LaunchMeasurement[] = [];
  for (const inFlight of [1, 8]) {
    await measure(name, 50, inFlight, () => launcher.launch(action));
    results.push(await measure(name, count, inFlight, () => launcher.launch(action)));
  }
  return results;
}

/** The yardstick: Deno.Command alone, which holds nothing together. */
export async function measurePlain(count = 1000): Promise<LaunchMeasurement[]> {
  const one = () => {
    const options = { stdin: "null", stdout: "null", stderr: "null" } as const;
    return { done: new Deno.Command("/bin/true", options).spawn().status };
  };
  return [
    await measure("plain Deno.Command", count, 1, one),
    await measure("plain Deno.Command", count, 8, one),
  ];
}

if (import.meta.main) {
  const results = [
    ...await measurePlain(),
    ...await measureLaunches(),
    ...await measureLaunches({ mode: "subreaper" }),
  ];
  if (Deno.args.includes("--json")) console.log(JSON.stringify(results));
  else {
    console.table(results.map((result) => ({
      ...result,
      perSecond: Math.round(result.perSecond),
      medianMs: Number(result.medianMs.toFixed(2)),
      launchCallMs: Number(result.launchCallMs.toFixed(2)),
    })));
  }
}
