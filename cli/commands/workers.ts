/**
 * `brokk workers`: who does the work.
 *
 * @module
 */

import { sleep } from "@brokkr/common";
import { humanDuration, humanSize } from "@brokkr/common/units";
import type { WorkerInfo } from "@brokkr/proto";
import { Command } from "commander";
import type { Client } from "../client.ts";
import { awakeClock } from "../_clock.ts";
import type { ConnectionFlags } from "../_connection.ts";
import { plainText, table, writeErr, writeJson, writeOut } from "../_terminal.ts";
import { durationMs, withClient, withConnection, withJson } from "./_shared.ts";

interface WorkersFlags extends ConnectionFlags {
  readonly json?: boolean;
}

interface DrainFlags extends ConnectionFlags {
  readonly reason?: string;
  readonly end?: boolean;
  readonly wait?: boolean;
}

/** How often it is looked whether a drained worker is done. */
const WAIT_MS = 500;

const EXAMPLES = `
Examples:
  brokk workers
  brokk workers --json | jq '.[].slots'
  brokk workers drain build-7 --reason "new disk" --wait
  brokk workers resume build-7
`;

/** The definition of the command and those below it. */
export function command(): Command {
  const definition = new Command("workers").summary("list the grid's workers, drain one, resume it")
    .description("Lists every worker that is connected, or was within its lease time.")
    .addHelpText("after", EXAMPLES)
    .action(workersCommand);
  definition.addCommand(drainCommand()).addCommand(resumeCommand());
  return withConnection(withJson(definition));
}

function drainCommand(): Command {
  const definition = new Command("drain").summary("give a worker no more actions")
    .description(
      'Gives workers no more actions; those they run, they finish. It holds until "brokk workers resume", whatever is ' +
        "started anew meanwhile.",
    )
    .argument("<id...>", 'names of workers, as "brokk workers" lists them')
    .option("--reason <text>", "why, for the list and for logs")
    .option("--wait", "return when they have nothing left to do")
    .option("--end", "end the workers' processes, too, when they have nothing left to do")
    .addHelpText("after", '\nExamples:\n  brokk workers drain build-7 --reason "new disk" --wait\n')
    .action((ids: readonly string[], _flags: unknown, self: Command) => drain(ids, self.optsWithGlobals()));
  return withConnection(definition);
}

function resumeCommand(): Command {
  const definition = new Command("resume").summary("give a drained worker actions again")
    .description("Gives drained workers actions again.")
    .argument("<id...>", "names of workers")
    .addHelpText("after", "\nExamples:\n  brokk workers resume build-7 build-8\n")
    .action((ids: readonly string[], _flags: unknown, self: Command) => resume(ids, self.optsWithGlobals()));
  return withConnection(definition);
}

async function drain(ids: readonly string[], flags: DrainFlags): Promise<void> {
  await withClient(flags, async (client) => {
    let leases = 0;
    for (const id of ids) {
      leases += await client.drainWorker(id, { reason: flags.reason ?? "", end: flags.end ?? false });
    }
    const named = ids.map(plainText).join(", ");
    if (flags.wait) {
      await untilIdle(client, new Set(ids));
      await writeErr(`brokk: No action is left on ${named}\n`);
      return;
    }
    const left = leases === 0
      ? "no action is left"
      : `${leases} ${leases === 1 ? "action is" : "actions are"} left`;
    await writeErr(`brokk: No more actions for ${named}; ${left}\n`);
  });
}

async function resume(ids: readonly string[], flags: ConnectionFlags): Promise<void> {
  await withClient(flags, async (client) => {
    for (const id of ids) await client.resumeWorker(id);
    await writeErr(`brokk: Actions again for ${ids.map(plainText).join(", ")}\n`);
  });
}

/** Waits until workers hold no lease, or are gone. */
async function untilIdle(client: Client, ids: ReadonlySet<string>): Promise<void> {
  for (;;) {
    const workers = await client.workers();
    if (
      !workers.some(({ workerId, slotsUsed, leases }) => ids.has(workerId) && slotsUsed + leases.length > 0)
    ) {
      return;
    }
    await sleep(awakeClock, WAIT_MS);
  }
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
  if (!worker.connected) return worker.leaving ? "gone" : "lost";
  if (worker.leaving) return "leaving";
  if (!worker.draining) return "connected";
  return worker.slotsUsed > 0 ? "draining" : "drained";
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
  const notes = workers.filter(({ drainReason }) => drainReason !== "")
    .map(({ workerId, drainReason }) => `${plainText(workerId)} is drained: ${plainText(drainReason)}\n`);
  return table([head, ...rows]) + notes.join("");
}

function workerJson(worker: WorkerInfo): unknown {
  return {
    id: worker.workerId,
    state: stateOf(worker),
    ...(worker.drainReason === "" ? {} : { drainReason: worker.drainReason }),
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
