/**
 * `brokk workers`: who does the work.
 *
 * @module
 */

import { humanDuration, humanSize } from "@brokkr/common/units";
import type { WorkerInfo } from "@brokkr/proto";
import { Command } from "commander";
import type { ConnectionFlags } from "../_connection.ts";
import { plainText, table, writeJson, writeOut } from "../_terminal.ts";
import { durationMs, withClient, withConnection, withJson } from "./_shared.ts";

interface WorkersFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** The definition of the command. */
export function command(): Command {
  const definition = new Command("workers").summary("list the grid's workers")
    .description("Lists every worker that is connected, or was within its lease time.")
    .addHelpText("after", "\nExamples:\n  brokk workers\n  brokk workers --json | jq '.[].slots'\n")
    .action(workersCommand);
  return withConnection(withJson(definition));
}

async function workersCommand(flags: WorkersFlags): Promise<void> {
  const workers = await withClient(flags, (client) => client.workers());
  if (flags.json) return await writeJson(workers.map(workerJson));
  if (workers.length === 0) {
    return await writeOut('No worker is connected; "brokk up" starts a grid that has one\n');
  }
  await writeOut(workersText(workers));
}

function stateOf(worker: WorkerInfo): string {
  if (!worker.connected) return "lost";
  return worker.draining ? "draining" : "connected";
}

/** Workers as a table. */
export function workersText(workers: readonly WorkerInfo[]): string {
  const rows = workers.map((worker) => [
    plainText(worker.workerId),
    stateOf(worker),
    `${worker.slotsUsed}/${worker.slots}`,
    ((worker.load?.loadMillis ?? 0) / 1000).toFixed(2),
    humanSize(worker.load?.memoryFreeBytes ?? 0),
    humanSize(worker.load?.diskFreeBytes ?? 0),
    String(worker.completed),
    `${humanDuration(durationMs(worker.lastHeartbeatAgo))} ago`,
    plainText(worker.environment),
    (worker.platform?.properties ?? []).map(({ name, value }) => plainText(`${name}=${value}`)).join(" "),
  ]);
  const head = [
    "WORKER",
    "STATE",
    "SLOTS",
    "LOAD",
    "MEMORY FREE",
    "DISK FREE",
    "DONE",
    "HEARD",
    "ENVIRONMENT",
    "PLATFORM",
  ];
  return table([head, ...rows]);
}

function workerJson(worker: WorkerInfo): unknown {
  return {
    id: worker.workerId,
    state: stateOf(worker),
    slots: worker.slots,
    slotsUsed: worker.slotsUsed,
    platform: worker.platform?.properties ?? [],
    resources: worker.resources,
    load: worker.load,
    environment: worker.environment,
    softwareVersion: worker.softwareVersion,
    lastHeartbeatAgoMs: durationMs(worker.lastHeartbeatAgo),
    leases: worker.leases,
    completed: worker.completed,
  };
}
