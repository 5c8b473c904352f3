/**
 * `brokk version`.
 *
 * @module
 */

import { Command } from "commander";
import { writeJson, writeOut } from "../_terminal.ts";
import { VERSION } from "../version.ts";
import { withJson } from "./_shared.ts";

/** The definition of the command. */
export function command(): Command {
  const definition = new Command("version").summary("show the version")
    .description("Shows the version of brokk and of what it runs on.")
    .addHelpText("after", "\nExample:\n  brokk version --json\n")
    .action(async (flags: { readonly json?: boolean }) => {
      const { deno, v8 } = Deno.version;
      if (flags.json) return await writeJson({ brokk: VERSION, deno, v8, target: Deno.build.target });
      await writeOut(`brokk ${VERSION} (deno ${deno}, ${Deno.build.target})\n`);
    });
  return withJson(definition);
}
