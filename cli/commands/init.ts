/**
 * `brokk init`: writes a commented brokkr.toml.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { CONFIG_FILE, configReference } from "@brokkr/common/config";
import { Command } from "commander";
import { writeOut } from "../_terminal.ts";

interface InitFlags {
  readonly force?: boolean;
  readonly print?: boolean;
}

/** The definition of the command. */
export function command(): Command {
  return new Command("init").summary("write a commented brokkr.toml")
    .description("Writes a brokkr.toml that names every key with its documentation and default.")
    .argument("[file]", "where to write it", CONFIG_FILE)
    .option("--force", "replace a file that is there")
    .option("--print", "print it instead")
    .addHelpText("after", "\nExamples:\n  brokk init\n  brokk init --print | less\n")
    .action(initCommand);
}

async function initCommand(file: string, flags: InitFlags): Promise<void> {
  if (flags.print) return await writeOut(configReference());
  try {
    await Deno.writeTextFile(file, configReference(), { createNew: !flags.force });
  } catch (error) {
    const exists = error instanceof Deno.errors.AlreadyExists;
    throw new BrokkrError(
      exists ? Code.ALREADY_EXISTS : Code.PERMISSION_DENIED,
      exists
        ? `${file} exists; --force replaces it`
        : `${file} cannot be written; name a file that this user may write`,
      { cause: error },
    );
  }
  await writeOut(`${file} written; every key is commented out and shows its default\n`);
}
