/**
 * `brokk status`: the grid in one look.
 *
 * @module
 */

import { humanDuration, humanSize } from "@brokkr/common/units";
import type { GetStatusResponse } from "@brokkr/proto";
import { Command } from "commander";
import type { ConnectionFlags } from "../_connection.ts";
import { ExitError } from "../_exit.ts";
import { plainText, table, writeJson, writeOut } from "../_terminal.ts";
import { durationMs, withClient, withConnection, withJson } from "./_shared.ts";

interface StatusFlags extends ConnectionFlags {
  readonly json?: boolean;
}

const NOT_READY_EXIT = 1;

/** The definition of the command. */
export function command(): Command {
  const definition = new Command("status").summary("show the grid in one look")
    .description("Shows the grid in one look; exit code 1 when it is not ready.")
    .addHelpText("after", "\nExamples:\n  brokk status\n  brokk status --json | jq .queued\n")
    .action(statusCommand);
  return withConnection(withJson(definition));
}

async function statusCommand(flags: StatusFlags): Promise<void> {
  const { status, endpoint } = await withClient(flags, async (client) => {
    return { status: await client.status(), endpoint: client.endpoint };
  });
  if (flags.json) {
    await writeJson({ endpoint, ...status, uptime: undefined, uptimeMs: durationMs(status.uptime) });
  } else await writeOut(statusText(endpoint, status));
  if (!status.ready) throw new ExitError(NOT_READY_EXIT);
}

/** The status as text. */
export function statusText(endpoint: string, status: GetStatusResponse): string {
  const store = status.store;
  // The store's own may be among the grid's.
  const warnings = new Set([store?.warning ?? "", ...status.warnings]);
  const rows = [
    [
      "grid",
      `${endpoint}, version ${plainText(status.softwareVersion)}, ${status.ready ? "ready" : "not ready"}`,
    ],
    ...Object.entries(status.waitingFor).map(([part, why]) => ["", plainText(`waits for ${part}: ${why}`)]),
    ["up", `${humanDuration(durationMs(status.uptime))}, start ${status.bootEpoch}`],
    ["workers", `${status.workers} with ${status.slots} slots`],
    [
      "actions",
      `${status.running} running, ${status.queued} waiting; ` +
      `${status.actionsExecuted} run and ${status.actionsCached} from the cache since the start`,
    ],
    [
      "store",
      store === undefined
        ? ""
        : `${store.blobs} blobs, ${humanSize(store.bytes)} (${humanSize(store.diskBytes)}${
          shareText(store)
        } on disk in ${store.segments} ` +
          `segments and ${store.files} files, ${
            humanSize(store.freeBytes)
          } free), ${store.actionResults} action results`,
    ],
    ["http cache", plainText(status.httpCache)],
    ["memory", humanSize(status.residentBytes)],
    ...[...warnings].map((warning) => ["warning", plainText(warning)]),
  ];
  return table(rows.filter(([, value]) => value !== ""));
}

/** ` of 50.0 GiB (38 %)`; nothing where only the disk limits the store. */
function shareText(
  { diskBytes, maxBytes }: { readonly diskBytes: number; readonly maxBytes: number },
): string {
  return maxBytes === 0 ? "" : ` of ${humanSize(maxBytes)} (${Math.round(100 * diskBytes / maxBytes)} %)`;
}
