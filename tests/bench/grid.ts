/**
 * The whole grid: actions a second, `brokk run` from the cache, memory at rest.
 *
 * @module
 */

import { type Digest, digestOf, SHA256 } from "@brokkr/cas";
import type { CasClient } from "@brokkr/cas/client";
import { ActionCodec, CommandCodec, ExecuteResponseCodec, Execution } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { startGrid } from "@brokkr/cli/up";
import { type Bench, cpuMs, median, residentMiB, type Row, timeMs } from "./harness.ts";
import { clientOf, INSTANCE } from "./rpc.ts";

const ACTIONS = 2000;
const IN_FLIGHT = 32;
const wire = ({ hash, sizeBytes }: Digest) => ({ hash, sizeBytes });

/** Distinct actions with an empty root that make one small file each; their blobs are uploaded. */
export async function prepare(client: CasClient, count: number, tag: string): Promise<Digest[]> {
  const empty = { digest: digestOf(SHA256, new Uint8Array()), data: new Uint8Array() };
  const blobs = [];
  const actions: Digest[] = [];
  for (let i = 0; i < count; i++) {
    const command = CommandCodec.encode({
      arguments: ["/bin/sh", "-c", `echo ${tag}${i} > out`],
      outputPaths: ["out"],
    });
    const commandDigest = digestOf(SHA256, command);
    const action = ActionCodec.encode({
      commandDigest: wire(commandDigest),
      inputRootDigest: wire(empty.digest),
    });
    const digest = digestOf(SHA256, action);
    blobs.push({ digest: commandDigest, data: command }, { digest, data: action });
    actions.push(digest);
  }
  await client.upload(blobs);
  return actions;
}

async function execute(channel: Channel, action: Digest): Promise<void> {
  const request = { instanceName: INSTANCE, actionDigest: wire(action) };
  let last: Uint8Array | undefined;
  // To the end of the stream: one that is broken off costs the connection.
  for await (const { response } of channel.serverStream(Execution.execute, request)) {
    last = response?.value ?? last;
  }
  if (last === undefined) throw new Error("An operation ended without a result");
  const { result, status } = ExecuteResponseCodec.decode(last);
  if ((status?.code ?? 0) !== 0 || result?.exitCode !== 0 || result.outputFiles.length !== 1) {
    throw new Error(`An action failed: ${JSON.stringify(status)} ${JSON.stringify(result)}`);
  }
}

/** Executes them, so many at once; how many milliseconds it took. */
export async function runAll(channel: Channel, actions: readonly Digest[]): Promise<number> {
  let next = 0;
  return await timeMs(() =>
    Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
      while (next < actions.length) await execute(channel, actions[next++]);
    }))
  );
}

async function noopActions(): Promise<Row[]> {
  await using grid = await startGrid({ slots: 8 });
  await using channel = connect(grid.endpoint);
  const client = clientOf(channel);
  await runAll(channel, await prepare(client, 300, "warm"));
  const actions = await prepare(client, ACTIONS, "x");
  const [control, worker] = [grid.control.pid ?? 0, grid.workers[0].pid ?? 0];
  const before = { control: cpuMs(control), worker: cpuMs(worker) };
  const ms = await runAll(channel, actions);
  const perAction = (pid: number, start: number) => (cpuMs(pid) - start) / ACTIONS;
  const bound = "two cores shared by client, control, worker and the actions themselves";
  const cached = await runAll(channel, actions);
  return [
    {
      name: "No-op actions through the whole grid, synced",
      value: ACTIONS / (ms / 1000),
      unit: "actions/s",
      aim: { of: "value", atLeast: 300 },
      bound,
    },
    {
      name: "CPU of control for each",
      value: perAction(control, before.control),
      unit: "ms",
      bound: "four RPCs and two synced writes",
    },
    {
      name: "CPU of the worker for each",
      value: perAction(worker, before.worker),
      unit: "ms",
      bound: "starting a process (the processes themselves not counted)",
    },
    {
      name: "The same actions again, from the cache",
      value: ACTIONS / (cached / 1000),
      unit: "actions/s",
      bound,
    },
  ];
}

async function brokkRun(): Promise<Row[]> {
  await using grid = await startGrid({ slots: 1 });
  const main = new URL("../../cli/main.ts", import.meta.url).pathname;
  const once = async (script: string[]) => {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ...script],
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    const said = new TextDecoder().decode(stderr);
    if (!success) throw new Error(said);
    return said;
  };
  const brokk = () => once([main, "run", `--endpoint=${grid.endpoint}`, "--", "/bin/echo", "hello world"]);
  await brokk();
  const empty = await Deno.makeTempFile({ suffix: ".ts" });
  const ours: number[] = [];
  const runtime: number[] = [];
  for (let round = 0; round < 15; round++) {
    runtime.push(await timeMs(() => once([empty])));
    ours.push(
      await timeMs(async () => {
        if (!(await brokk()).includes("cache_hit=true")) throw new Error("not from the cache");
      }),
    );
  }
  await Deno.remove(empty);
  return [{
    name: "`brokk run` answered from the cache, wall time",
    value: median(ours),
    unit: "ms",
    yardstick: { name: "deno running an empty file", value: median(runtime) },
    aim: { of: "value", atMost: 100 },
    bound: "starting Deno, then loading commander and node:crypto; one HTTP/2 request",
  }];
}

async function memory(): Promise<Row[]> {
  await using grid = await startGrid({ slots: 2 });
  await using channel = connect(grid.endpoint);
  const client = clientOf(channel);
  // Idle, but not unborn: what a first action loads is there.
  await runAll(channel, await prepare(client, 20, "idle"));
  await channel.close();
  return [
    {
      name: "Resident memory of an idle worker",
      value: residentMiB(grid.workers[0].pid ?? 0),
      unit: "MiB",
      aim: { of: "value", atMost: 100 },
      bound: "Deno itself takes about 60",
    },
    {
      name: "Resident memory of an idle control plane",
      value: residentMiB(grid.control.pid ?? 0),
      unit: "MiB",
      aim: { of: "value", atMost: 150 },
      bound: "Deno itself takes about 60, then LMDB's pages and the membership table",
    },
  ];
}

/** The benchmarks of this file. */
export const GRID: readonly Bench[] = [
  { name: "noop", run: noopActions },
  { name: "brokk-run", run: brokkRun },
  { name: "memory", run: memory },
];
