/**
 * What the sandbox costs an action of the whole grid: the same actions on two grids, one of them without it, in turns.
 *
 * @module
 */

import { type Grid, startGrid } from "@brokkr/cli/up";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { meanInterval } from "./_interval.ts";
import { prepare, runAll } from "./grid.ts";
import { rounds, type Row } from "./harness.ts";
import { clientOf } from "./rpc.ts";

const TICK_MS = 10;
/** Where version 1 of control groups counts the processor's time, to the nanosecond and with all that was forked. */
const ACCOUNTING = "/sys/fs/cgroup/cpuacct";

/** A way to count the processor's time of a grid's processes. */
interface Meter extends Disposable {
  readonly of: string;
  ms(): number;
}

/** All that the machine did, in ticks: also what the kernel does after a process has ended, and what others do. */
function machineMs(): number {
  const [user, nice, system, , , irq, softirq] = Deno.readTextFileSync("/proc/stat").split("\n")[0].split(
    /\s+/,
  )
    .slice(1).map(Number);
  return (user + nice + system + irq + softirq) * TICK_MS;
}

function below(root: number): number[] {
  const children = Deno.readTextFileSync(`/proc/${root}/task/${root}/children`).split(" ").filter(Boolean)
    .map(Number);
  return [root, ...children.flatMap(below)];
}

/** Counts what a grid's processes and all they start take; undefined where that cannot be had. */
function groupMeter(name: string, grid: Grid): Meter | undefined {
  const path = `${ACCOUNTING}/brokkr-bench-${Deno.pid}-${name}`;
  try {
    Deno.mkdirSync(path);
    for (const { pid } of [grid.control, ...grid.workers]) {
      for (const each of below(pid ?? 0)) Deno.writeTextFileSync(`${path}/cgroup.procs`, String(each));
    }
  } catch {
    return undefined; // no root, or another version of control groups: the machine as a whole must do
  }
  return {
    of: "the grid's processes and all they started",
    ms: () => Number(Deno.readTextFileSync(`${path}/cpuacct.usage`)) / 1e6,
    [Symbol.dispose]: () => Deno.removeSync(path),
  };
}

/** One grid that is measured. */
interface Side {
  readonly grid: Grid;
  readonly channel: Channel;
  readonly meter: Meter | undefined;
  readonly name: string;
  readonly groupMs: number[];
  readonly machineMs: number[];
}

async function side(name: string, flags: readonly string[], stack: AsyncDisposableStack): Promise<Side> {
  const late = new DisposableStack();
  // After the grid's end: only a group without processes can be removed.
  stack.use(late);
  const grid = stack.use(await startGrid({ slots: 4, workerFlags: flags }));
  const channel = stack.use(connect(grid.endpoint));
  await runAll(channel, await prepare(clientOf(channel), 200, `warm-${name}`));
  const meter = late.use(groupMeter(name, grid));
  return { grid, channel, meter, name, groupMs: [], machineMs: [] };
}

async function batch(
  { channel, meter, name, groupMs, machineMs: machine }: Side,
  round: number,
  count: number,
) {
  const actions = await prepare(clientOf(channel), count, `${name}${round}-`);
  const before = { group: meter?.ms() ?? NaN, machine: machineMs() };
  await runAll(channel, actions);
  groupMs.push(((meter?.ms() ?? NaN) - before.group) / count);
  machine.push((machineMs() - before.machine) / count);
}

/** The benchmark. */
export async function sandboxGrid(): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const sides = [await side("sandbox", [], stack), await side("plain", ["--no-sandbox"], stack)];
  const count = rounds(100, 10);
  for (let round = 0; round < rounds(16, 2); round++) {
    for (const each of round % 2 === 0 ? sides : sides.toReversed()) await batch(each, round, count);
  }
  const [inside, plain] = sides;
  const row = (of: string, a: readonly number[], b: readonly number[]): Row => {
    const { mean, low, high } = meanInterval(a.map((ms, index) => ms - b[index]));
    return {
      name: `CPU that the sandbox adds to an action of the whole grid, ${of}`,
      value: mean,
      unit: "ms",
      aim: { of: "value", atMost: 1.5 },
      bound: `${low.toFixed(2)} to ${high.toFixed(2)} ms with 95 % confidence; ${
        (a.reduce((x, y) => x + y) / a.length).toFixed(2)
      } ms with it, ${(b.reduce((x, y) => x + y) / b.length).toFixed(2)} ms without`,
    };
  };
  return [
    ...(inside.meter === undefined || plain.meter === undefined
      ? []
      : [row(inside.meter.of, inside.groupMs, plain.groupMs)]),
    row("the whole machine, what the kernel does later included", inside.machineMs, plain.machineMs),
  ];
}
