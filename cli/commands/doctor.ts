/**
 * `brokk doctor`: whether actions can be isolated on this machine.
 *
 * @module
 */

import { loadConfig } from "@brokkr/common/config";
import { checkHost, hostReport, isFunctional } from "@brokkr/sandbox";
import { Command } from "commander";
import { ExitError, FAILURE_EXIT } from "../_exit.ts";
import { writeJson, writeOut } from "../_terminal.ts";
import { withJson } from "./_shared.ts";

interface DoctorFlags {
  readonly dataDir?: string;
  readonly slots?: string;
  readonly config?: string;
  readonly json?: boolean;
}

const HELP = `
Each thing that the sandbox is made of is tried, and nothing of this machine is changed. OK: it is there. WARN: the
sandbox works without it, and what that means is said. FAIL: it does not, and the remedy is said. Run it as the user
that the worker runs as: root and others need different things.

Exit codes: 0 when the sandbox works here, with warnings or without; 1 when it does not.

Examples:
  brokk doctor
  brokk doctor --data-dir /var/lib/brokkr/worker
  brokk doctor --json | jq '.[] | select(.level != "OK")'
`;

/** The definition of the command. */
export function command(): Command {
  const definition = new Command("doctor").summary("check whether this machine can isolate actions")
    .description(
      "Checks whether a worker on this machine can isolate actions, and says what mends it where it cannot.",
    )
    .option("--data-dir <dir>", "the worker's data directory (default: the configured one)")
    .option("--slots <number>", "how many actions the worker runs at once (default: the configured number)")
    .option("--config <file>", "configuration to read instead of ./brokkr.toml")
    .addHelpText("after", HELP)
    .action(doctor);
  return withJson(definition);
}

async function doctor(flags: DoctorFlags): Promise<void> {
  const { worker } = await loadConfig({
    file: flags.config,
    flags: {
      ...(flags.dataDir === undefined ? {} : { "worker.data_dir": flags.dataDir }),
      ...(flags.slots === undefined ? {} : { "worker.slots": flags.slots }),
    },
  });
  const findings = await checkHost({
    dataDir: worker.dataDir,
    slots: worker.slots === 0 ? navigator.hardwareConcurrency : worker.slots,
    uidBase: worker.sandboxUidBase,
  });
  if (flags.json) await writeJson(findings);
  else await writeOut(hostReport(findings, { colour: Deno.stdout.isTerminal() && !Deno.noColor }));
  if (!isFunctional(findings)) throw new ExitError(FAILURE_EXIT);
}
