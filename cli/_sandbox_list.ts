/**
 * `brokk sandbox list` and `enter`: sandboxes that run.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { humanDuration } from "@brokkr/common/units";
import { enterSandbox, type RunningSandbox, runningSandboxes, SHELLS } from "@brokkr/sandbox";
import { usageError } from "./commands/_shared.ts";
import { ExitError } from "./_exit.ts";
import { plainText, table, writeErr, writeJson, writeOut } from "./_terminal.ts";
import { candidates } from "./_sandbox_run.ts";

const SHOWN_COMMAND = 60;
/** A process id, or the name of an operation. */
const ID = /^(?:\d+|operations\/\S+|\d+-\d+-[0-9a-f]+)$/;

/** Sandboxes as a table. */
export function sandboxesText(sandboxes: readonly RunningSandbox[]): string {
  const rows = sandboxes.map(({ initPid, workerPid, workerUid, name, ageMs, argv }) => {
    const command = plainText(argv.join(" "));
    return [
      String(initPid),
      String(workerPid),
      String(workerUid),
      plainText(name),
      humanDuration(ageMs),
      command.length > SHOWN_COMMAND ? `${command.slice(0, SHOWN_COMMAND - 1)}…` : command,
    ];
  });
  return table([["INIT", "WORKER", "UID", "NAME", "AGE", "COMMAND"], ...rows]);
}

/** Prints them. */
export async function sandboxList(json: boolean): Promise<void> {
  const sandboxes = runningSandboxes();
  if (json) return await writeJson(sandboxes);
  await writeOut(sandboxes.length === 0 ? "No sandbox runs on this machine\n" : sandboxesText(sandboxes));
}

/** The one that is meant. */
export function choose(sandboxes: readonly RunningSandbox[], id: string | undefined): RunningSandbox {
  if (id !== undefined) {
    const operation = id.slice(id.lastIndexOf("/") + 1);
    const found = sandboxes.find(({ initPid, name }) =>
      String(initPid) === id || name === operation || name.startsWith(`${operation}-`)
    );
    if (found !== undefined) return found;
    throw new BrokkrError(Code.NOT_FOUND, `No sandbox ${id} runs; "brokk sandbox list" shows those that do`);
  }
  if (sandboxes.length === 1) return sandboxes[0];
  if (sandboxes.length === 0) throw new BrokkrError(Code.NOT_FOUND, "No sandbox runs on this machine");
  throw usageError(
    `${sandboxes.length} sandboxes run; say which one:\n${sandboxesText(sandboxes).trimEnd()}`,
  );
}

/** Runs a shell, or `argv`, in a running sandbox, and ends with its exit code. */
export async function sandboxEnter(
  first: string | undefined,
  rest: readonly string[],
  cwd: string,
): Promise<void> {
  // Without an id, the first word is the command's.
  const named = first !== undefined && ID.test(first);
  const words = named || first === undefined ? rest : [first, ...rest];
  // Behind an id it comes through as it was typed.
  const argv = words[0] === "--" ? words.slice(1) : words;
  const sandbox = choose(runningSandboxes(), named ? first : undefined);
  const { exitCode, message } = await enterSandbox(sandbox, {
    executables: argv.length === 0 ? SHELLS : candidates(argv[0], "/usr/local/bin:/usr/bin:/bin"),
    argv: argv.length === 0 ? ["bash"] : argv,
    cwd,
  });
  if (message !== undefined) await writeErr(`brokk: ${message}\n`);
  if (exitCode !== 0) throw new ExitError(exitCode);
}
