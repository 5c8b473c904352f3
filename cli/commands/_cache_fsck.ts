/**
 * `brokk cache fsck`: checking the directory of a store that does not run.
 *
 * @module
 */

import type { FsckFinding, FsckReport } from "@brokkr/cas/disk";
import { humanSize } from "@brokkr/common/units";
import { Command } from "commander";
import { ExitError, printError, USAGE_EXIT } from "../_exit.ts";
import { plainText, ProgressLine, transferLine, writeJson, writeOut } from "../_terminal.ts";
import { interruptible } from "./_cache_shared.ts";
import { withJson } from "./_shared.ts";

interface FsckFlags {
  readonly repair?: boolean;
  readonly config?: string;
  readonly json?: boolean;
}

/** Read only when it is asked for: a literal in an import would have Deno read LMDB and zod for every command. */
const DISK: string = "@brokkr/cas/disk";
const CONFIG: string = "@brokkr/common/config";
/** Something was not as it should be, whether it was repaired or not. */
const DAMAGED_EXIT = 1;

const HELP = `
Reads everything: segments record by record, files, the index, results of actions, and compares it all. Nothing else may
run on the directory meanwhile, nor is anything changed in it without --repair.

--repair sets damaged bytes aside in quarantine/, cuts off what was not written to its end, makes the index anew where it
does not agree (after which all blobs count as used now), and drops results that cannot be read or promise what is gone.
What was damaged stays lost; clients upload it again.

Exit codes: 0 when all is well, notes or not; 1 when there were problems, repaired or not; 2 when it cannot be checked.

Examples:
  brokk cache fsck
  brokk cache fsck /var/lib/brokkr/control --repair
  brokk cache fsck --json | jq '.findings[] | select(.level == "problem")'
`;

/** `brokk cache fsck`. */
export function fsckCommand(): Command {
  const fsck = new Command("fsck").summary("check the store of a grid that does not run, and repair it")
    .description(
      "Checks the data directory of a control plane, or of brokk up, that does not run, and repairs it.",
    )
    .argument("[dir]", "the data directory (default: the configured one)")
    .option("--repair", "repair what is wrong")
    .option("--config <file>", "configuration to read instead of ./brokkr.toml")
    .addHelpText("after", HELP)
    .action(run);
  return withJson(fsck);
}

async function run(named: string | undefined, flags: FsckFlags): Promise<void> {
  const progress = new ProgressLine(flags.json === true);
  let report: FsckReport | undefined;
  await interruptible(async (signal) => {
    try {
      const dir = named ?? await configuredDir(flags.config);
      const { fsck }: typeof import("@brokkr/cas/disk") = await import(DISK);
      report = await fsck(dir, {
        repair: flags.repair === true,
        signal,
        onProgress: ({ area, done, total, unit }) =>
          progress.show(
            unit === "entries"
              ? `${area}: ${done} looked at`
              : total === undefined
              ? `${area}: ${humanSize(done)} read`
              : transferLine(`${area}:`, done, total),
          ),
      });
    } catch (error) {
      if (signal.aborted) throw error;
      progress.clear();
      await printError(error);
      throw new ExitError(USAGE_EXIT);
    } finally {
      progress.clear();
    }
  });
  if (report === undefined) return;
  if (flags.json) await writeJson(report);
  else await writeOut(reportText(report, flags.repair === true));
  if (report.problems > 0) throw new ExitError(DAMAGED_EXIT);
}

async function configuredDir(file: string | undefined): Promise<string> {
  const { loadConfig }: typeof import("@brokkr/common/config") = await import(CONFIG);
  return (await loadConfig({ file })).control.dataDir;
}

function findingLine({ level, where, problem, digest, repaired }: FsckFinding): string {
  const blob = digest === undefined || problem.includes(digest) ? "" : ` (blob ${digest})`;
  const done = repaired === undefined ? "" : `: ${repaired}`;
  return plainText(`${level.padEnd(7)}  ${where}: ${problem}${blob}${done}`) + "\n";
}

/** A report as a person wants it. */
export function reportText(report: FsckReport, repair: boolean): string {
  const { counts, findings, problems, repaired, notes } = report;
  const more = problems + notes - findings.length;
  const lines = findings.map(findingLine);
  if (more > 0) lines.push(`and ${more} more\n`);
  lines.push(
    `${counts.records} records in ${counts.segments} segments (${
      humanSize(counts.recordBytes)
    }), ${counts.files} files ` +
      `(${
        humanSize(counts.fileBytes)
      }), ${counts.entries} index entries and ${counts.results} results are well\n`,
  );
  const each = (count: number) => `${count} ${count === 1 ? "problem" : "problems"}`;
  if (problems === 0) lines.push("No problems\n");
  else if (!repair) lines.push(`${each(problems)}; --repair makes the rest usable\n`);
  else lines.push(`${each(problems)}, ${repaired === problems ? "all" : repaired} repaired\n`);
  return lines.join("");
}
