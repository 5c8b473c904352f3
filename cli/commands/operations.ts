/**
 * `brokk operations`: what the grid is asked to do now, and was lately.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { Command, InvalidArgumentError } from "commander";
import type { Client } from "../client.ts";
import type { ConnectionFlags } from "../_connection.ts";
import type { OperationInfo } from "../_operations.ts";
import { plainText, table, writeErr, writeJson, writeOut } from "../_terminal.ts";
import { usageError, withClient, withConnection, withJson } from "./_shared.ts";

interface OperationsFlags extends ConnectionFlags {
  readonly json?: boolean;
}

interface ListFlags extends OperationsFlags {
  readonly filter?: string;
  readonly invocation?: string;
  readonly limit: number;
}

interface CancelFlags extends OperationsFlags {
  readonly invocation?: string;
}

/** Operations of one invocation that are cancelled at most. */
const MAX_CANCELLED = 100_000;
/** Calls at a time. */
const PARALLEL = 16;

function count(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("It must be a whole number above zero.");
}

/** The definition of the command and those below it. */
export function command(): Command {
  const list = new Command("list").description(
    "Lists operations, newest first: those that are under way, and those that ended lately.",
  )
    .option("--invocation <id>", "only those of one run of a tool, such as one bazel build")
    .option("--filter <conditions>", "only those for which all conditions hold, joined by AND")
    .option("--limit <count>", "how many at most", count, 100)
    .addHelpText(
      "after",
      `
A condition is FIELD=VALUE or FIELD!=VALUE. Fields: action, action_mnemonic, cached,
correlated_invocations_id, done, instance, invocation_id, name, stage, status, target_id, tool, worker.

Examples:
  brokk operations list
  brokk operations list --filter 'stage=queued AND tool=bazel'
  brokk operations list --invocation 7c0e2a1c-6d5f-4a3e-9b1d-0f2f6f1f8a11 --json | jq '.[].name'
`,
    )
    .action(listCommand);
  const show = new Command("show").description("Shows one operation.")
    .argument("<name>", "name of the operation")
    .addHelpText(
      "after",
      "\nbrokk action show NAME tells where its time went.\n\nExample:\n  brokk operations show operations/NAME\n",
    )
    .action(showCommand);
  const cancel = new Command("cancel").description(
    "Cancels operations. An action stops when no other operation waits for it; what has ended stays as it is.",
  )
    .argument("[name...]", "names of operations")
    .option("--invocation <id>", "all that are under way of one run of a tool")
    .addHelpText(
      "after",
      "\nExamples:\n  brokk operations cancel operations/NAME\n  brokk operations cancel --invocation ID\n",
    )
    .action(cancelCommand);
  const operations = new Command("operations").summary("list, show and cancel operations")
    .description("Looks at operations, which are what clients wait for, and cancels them.");
  for (const each of [list, show, cancel]) operations.addCommand(withConnection(withJson(each)));
  return operations.addHelpText(
    "after",
    "\nExamples:\n  brokk operations list\n  brokk operations cancel operations/NAME\n",
  );
}

function invocationFilter(id: string): string {
  return `invocation_id="${id.replaceAll(/["\\]/g, "\\$&")}"`;
}

async function listCommand(flags: ListFlags): Promise<void> {
  const { invocation, filter, limit } = flags;
  const conditions = [invocation === undefined ? "" : invocationFilter(invocation), filter ?? ""];
  const joined = conditions.filter((each) => each.trim() !== "").join(" AND ");
  const found = await withClient(flags, (client) => client.operations({ filter: joined, limit }));
  if (flags.json) return await writeJson(found);
  if (found.length === 0) return await writeOut("No such operation is under way or ended lately\n");
  await writeOut(operationsText(found));
  if (found.length === limit) await writeErr(`There may be more; --limit shows more than ${limit}\n`);
}

async function showCommand(name: string, flags: OperationsFlags): Promise<void> {
  const found = await withClient(flags, (client) => client.operation(name));
  if (flags.json) return await writeJson(found);
  await writeOut(operationText(found));
}

async function cancelCommand(names: readonly string[], flags: CancelFlags): Promise<void> {
  const { invocation } = flags;
  if ((names.length === 0) === (invocation === undefined)) {
    throw usageError("Name operations to cancel, or an invocation with --invocation");
  }
  const ended = await withClient(flags, async (client) => {
    const filter = invocation === undefined ? "" : `${invocationFilter(invocation)} AND done=false`;
    const all = invocation === undefined
      ? names
      : (await client.operations({ filter, limit: MAX_CANCELLED })).map(({ name }) => name);
    const told: (OperationInfo | undefined)[] = [];
    for (let at = 0; at < all.length; at += PARALLEL) {
      const some = all.slice(at, at + PARALLEL);
      const cancel = (name: string) => cancelKnown(client, name, invocation === undefined);
      told.push(...await Promise.all(some.map(cancel)));
    }
    return told.filter((each) => each !== undefined);
  });
  if (flags.json) return await writeJson(ended);
  if (ended.length === 0) return await writeOut("No operation of that invocation is under way\n");
  await writeOut(ended.map((each) => `${plainText(each.name)}: ${cancelledText(each)}\n`).join(""));
}

/** Cancels an operation. One that was listed may be forgotten by now: that is no reason to leave the others running. */
async function cancelKnown(client: Client, name: string, named: boolean): Promise<OperationInfo | undefined> {
  try {
    return await client.cancelOperation(name);
  } catch (error) {
    if (named || !(error instanceof BrokkrError) || error.code !== Code.NOT_FOUND) throw error;
    return undefined;
  }
}

function cancelledText(operation: OperationInfo): string {
  if (operation.status === "CANCELLED") return "cancelled";
  return operation.done ? `had ended before: ${outcomeText(operation)}` : "is being cancelled";
}

function outcomeText({ done, status, exitCode, cached, stage }: OperationInfo): string {
  if (!done) return stage;
  if (status !== "OK") return status ?? "unknown";
  return `exit ${exitCode ?? 0}${cached ? ", cached" : ""}`;
}

/** Operations as a table. */
export function operationsText(operations: readonly OperationInfo[]): string {
  const rows = operations.map((operation) =>
    [
      operation.name,
      outcomeText(operation),
      operation.worker,
      operation.actionDigest.slice(0, 12),
      operation.tool,
      operation.mnemonic,
      operation.target,
    ].map(plainText)
  );
  return table([["OPERATION", "STATE", "WORKER", "ACTION", "TOOL", "MNEMONIC", "TARGET"], ...rows]);
}

/** One operation as text. */
export function operationText(operation: OperationInfo): string {
  const rows = [
    ["operation", operation.name],
    ["state", outcomeText(operation)],
    ["message", operation.message],
    ["action", operation.actionDigest],
    ["worker", operation.worker],
    ["queued", operation.queued?.toISOString() ?? ""],
    ["tool", operation.tool],
    ["invocation", operation.invocationId],
    ["correlated", operation.correlatedInvocationsId],
    ["mnemonic", operation.mnemonic],
    ["target", operation.target],
  ];
  return table(rows.filter(([, value]) => value !== "").map(([name, value]) => [name, plainText(value)]));
}
