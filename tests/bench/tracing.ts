/**
 * What tracing costs: CPU of control and worker for an action with every span sent to a collector, against the same with
 * tracing off, in turns on two grids.
 *
 * @module
 */

import { connect } from "@brokkr/proto/rpc/client";
import { type Grid, startGrid } from "@brokkr/cli/up";
import { startSpanSink } from "./_span_sink.ts";
import { prepare, runAll } from "./grid.ts";
import { type Bench, cpuMs, QUICK, rounds, type Row, summary } from "./harness.ts";
import { clientOf } from "./rpc.ts";

const ACTIONS = QUICK ? 100 : 500;
const VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT";

/** A grid whose processes send their spans to `url`, or nowhere. */
async function gridOf(url: string | undefined): Promise<Grid> {
  const before = Deno.env.get(VARIABLE);
  // Processes take it from this one's environment when they start.
  if (url === undefined) Deno.env.delete(VARIABLE);
  else Deno.env.set(VARIABLE, url);
  try {
    return await startGrid({ slots: 8 });
  } finally {
    if (before === undefined) Deno.env.delete(VARIABLE);
    else Deno.env.set(VARIABLE, before);
  }
}

interface Costs {
  readonly fresh: number[];
  readonly cached: number[];
}

/** Runs the round's actions, then the same from the cache. */
async function round(grid: Grid, tag: string, into: Costs): Promise<void> {
  await using channel = connect(grid.endpoint);
  const cpu = () => cpuMs(grid.control.pid ?? 0) + cpuMs(grid.workers[0].pid ?? 0);
  const actions = await prepare(clientOf(channel), ACTIONS, tag);
  for (const figures of [into.fresh, into.cached]) {
    const before = cpu();
    await runAll(channel, actions);
    figures.push((cpu() - before) / ACTIONS);
  }
}

async function tracing(): Promise<Row[]> {
  await using sink = await startSpanSink();
  const on: Costs = { fresh: [], cached: [] };
  const off: Costs = { fresh: [], cached: [] };
  {
    await using traced = await gridOf(sink.url);
    await using plain = await gridOf(undefined);
    for (const grid of [traced, plain]) await round(grid, "warm-up", { fresh: [], cached: [] });
    for (let i = 0; i < rounds(5); i++) {
      const turns = [() => round(traced, `x${i}-`, on), () => round(plain, `x${i}-`, off)];
      for (const turn of i % 2 === 0 ? turns : turns.toReversed()) await turn();
    }
  }
  if (await sink.stop() === 0) throw new Error("No span came to the collector");
  const row = (name: string, ours: readonly number[], theirs: readonly number[]): Row => ({
    name: `CPU of control and worker for ${name}, traced`,
    ...summary(ours),
    unit: "ms",
    yardstick: { name: "tracing off", value: summary(theirs).value },
    bound: "making the spans, encoding and sending them",
  });
  return [
    row("a no-op action", on.fresh, off.fresh),
    row("an action from the cache", on.cached, off.cached),
  ];
}

/** The benchmarks of this file. */
export const TRACING: readonly Bench[] = [{ name: "tracing", run: tracing }];
