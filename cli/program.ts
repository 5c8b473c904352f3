/**
 * The tree of `brokk`'s commands. Only the command that was asked for is loaded: a cached run takes less time than
 * loading all of them.
 *
 * @module
 */

import { BrokkrError } from "@brokkr/common";
import { Command, CommanderError } from "commander";
import { ExitError, FAILURE_EXIT, printError, USAGE_EXIT } from "./_exit.ts";
import { VERSION } from "./version.ts";

interface Entry {
  readonly summary: string;
  /** Read only when it is asked for: a literal in an import would have Deno read every command each time. */
  readonly module: string;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  run: { summary: "run a command on the grid", module: "./commands/run.ts" },
  up: { summary: "start a grid on this machine", module: "./commands/up.ts" },
  cache: { summary: "put into the grid's store, get from it, look after it", module: "./commands/cache.ts" },
  action: { summary: "look at what became of an action", module: "./commands/action.ts" },
  operations: { summary: "list, show and cancel operations", module: "./commands/operations.ts" },
  workers: { summary: "list the grid's workers", module: "./commands/workers.ts" },
  status: { summary: "show the grid in one look", module: "./commands/status.ts" },
  doctor: { summary: "check whether this machine can isolate actions", module: "./commands/doctor.ts" },
  sandbox: {
    summary: "run one command in the sandbox, look into running ones",
    module: "./commands/sandbox.ts",
  },
  init: { summary: "write a commented brokkr.toml", module: "./commands/init.ts" },
  version: { summary: "show the version", module: "./commands/version.ts" },
};

const EXAMPLES = `
Examples:
  brokk up                                    start a grid on this machine
  brokk run -- /bin/echo "hello world"        run a command on it
  brokk run --input main.c --output main --env PATH -- gcc -o main main.c
  brokk status                                see how the grid is

brokk COMMAND --help shows a command's flags. Settings come from flags, then from
BROKKR_SECTION_KEY variables, then from brokkr.toml. BROKKR_DEBUG=1 shows where an error came from.
`;

/** Gives a command, and those below it, the program's ways with errors. */
function adopt(command: Command): Command {
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, "brokk: ")),
  }).showHelpAfterError("brokk COMMAND --help shows what is allowed");
  command.commands.forEach(adopt);
  return command;
}

async function load(module: string): Promise<{ readonly command: () => Command }> {
  return await import(module);
}

/** The program with `asked` loaded and the other commands by name only. */
export async function program(asked: string | undefined): Promise<Command> {
  const root = new Command("brokk")
    .description("Runs build and compute jobs on a Brokkr grid.")
    .version(VERSION, "--version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command")
    .enablePositionalOptions()
    .addHelpText("after", EXAMPLES);
  for (const [name, { summary, module }] of Object.entries(COMMANDS)) {
    root.addCommand(
      name === asked
        ? (await load(module)).command()
        : new Command(name).summary(summary).description(summary),
    );
  }
  return adopt(root);
}

/** `help run` means `run --help`. */
function normalized(args: readonly string[]): readonly string[] {
  return args[0] === "help" && args[1] !== undefined && Object.hasOwn(COMMANDS, args[1])
    ? [...args.slice(1), "--help"]
    : args;
}

/** Runs `brokk` with the given arguments and gives its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const asked = normalized(args);
  try {
    await (await program(asked[0])).parseAsync([...asked], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof ExitError) return error.exitCode;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT;
    await printError(error);
    const usage = error instanceof BrokkrError && error.codeName === "INVALID_ARGUMENT";
    return usage ? USAGE_EXIT : FAILURE_EXIT;
  }
}
