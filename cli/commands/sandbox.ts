/**
 * `brokk sandbox`: the sandbox of workers without a grid.
 *
 * @module
 */

import { parseDuration, parseSize } from "@brokkr/common/units";
import { Command, InvalidArgumentError, Option } from "commander";
import type { ExplainOptions } from "@brokkr/sandbox";
import type { SandboxRunFlags } from "../_sandbox_run.ts";
import { repeatable, withJson } from "./_shared.ts";

const RUN_HELP = `
The command finds --input, read-only to begin with, as /work, where it starts. What it writes goes into a layer on top
that is gone afterwards; --output copies something out of it. Of this machine it sees programs and libraries, and what
--bind names. It has no network, no user's name, no variable of this shell: --env PATH passes PATH on.

Files that only their owner may read are readable inside when they are yours; as root, when they are root's.

Exit codes: the command's own (128 + n when signal n ended it, 137 when it took too much memory); 124 when it timed out;
125 when the sandbox failed; 126 and 127 when the command could not be executed or was not found; 130 when interrupted.

Examples:
  brokk sandbox run -- id
  brokk sandbox run --input src --output main -- gcc -o main main.c
  brokk sandbox run --memory 1GiB --cpu 2 --pids 256 --timeout 5m --stats -- make -j2
  brokk sandbox run --no-input --network host --bind /opt/jdk -- sh
`;

const EXAMPLES = `
Examples:
  brokk sandbox run -- id
  brokk sandbox list
  brokk sandbox enter
  brokk sandbox explain | less
`;

const LIST_HELP = `
INIT is the process id on this machine of the sandbox's PID 1: brokk sandbox enter takes it, or the name of a grid's
operation, with which NAME begins where there are control groups. Whoever may start processes
can make one look like a sandbox.

Examples:
  brokk sandbox list
  brokk sandbox list --json | jq '.[].argv'
`;

const ENTER_HELP = `
The program runs as the action does: its user, its namespaces, its control groups where this user may join them, its
filter, no privileges. What it gets of your terminal the action can get too. It ends with the sandbox at the latest.

Examples:
  brokk sandbox enter
  brokk sandbox enter 4711
  brokk sandbox enter operations/1-1-eb688c62b7545e69
  brokk sandbox enter 4711 -- ls -l /work
`;

const EXPLAIN_HELP = `
Examples:
  brokk sandbox explain | less
  brokk sandbox explain action
  brokk sandbox explain filter --arch aarch64
`;

function parsed<T>(parse: (text: string) => { readonly value?: T; readonly error?: string }) {
  return (text: string): T => {
    const { value, error } = parse(text);
    if (value !== undefined) return value;
    throw new InvalidArgumentError(`${JSON.stringify(text)} ${error ?? "is not allowed"}.`);
  };
}

const positiveSize = parsed((text) => {
  const size = parseSize(text);
  return size.value === 0 ? { error: "is nothing at all" } : size;
});
const duration = parsed((text) => {
  const time = parseDuration(text);
  return time.value === 0 ? { error: "is not longer than nothing" } : time;
});
const count = parsed((text) =>
  /^[1-9]\d{0,8}$/.test(text) ? { value: Number(text) } : { error: "is not a number above 0" }
);
const processors = parsed((text) => {
  const value = /^\d{1,6}(?:\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : 0;
  return value > 0 ? { value } : { error: "is not a number of processors, such as 2 or 0.5" };
});

/** The definition of the command and those below it. */
export function command(): Command {
  return new Command("sandbox").summary("run one command in the sandbox, look into running ones")
    .description("Runs commands in the sandbox that workers run actions in, and shows what it is made of.")
    .addHelpText("after", EXAMPLES)
    .enablePositionalOptions()
    .addCommand(runCommand())
    .addCommand(listCommand())
    .addCommand(enterCommand())
    .addCommand(explainCommand());
}

function runCommand(): Command {
  return new Command("run").summary("run one command in the sandbox, without a grid")
    .description("Runs one command in the sandbox, without a grid, and ends with its exit code.")
    .usage("[flags] [--] COMMAND [ARGUMENTS...]")
    .argument("<command...>", "program and arguments")
    .passThroughOptions()
    .option("-i, --input <dir>", "directory that the command finds as /work", ".")
    .option("--no-input", "let it begin with an empty one")
    .addOption(repeatable("-o, --output <path>", "file or directory below /work to copy out afterwards"))
    .option("--output-dir <dir>", "where outputs go", ".")
    .addOption(repeatable("-e, --env <name[=value]>", "environment variable; without a value, this shell's"))
    .option("-C, --chdir <dir>", "start in this directory below /work", "")
    .option("-t, --timeout <duration>", "how long it may run, such as 30s or 5m", duration)
    .option("--memory <size>", "most memory, what it writes included", positiveSize)
    .option("--cpu <number>", "most processors kept busy, such as 2 or 0.5", processors)
    .option("--pids <number>", "most processes and threads", count, 4096)
    .addOption(
      new Option("--network <which>", "its network").choices(["none", "loopback", "host"]).default("none"),
    )
    .addOption(
      new Option("--writable <where>", "where what it writes is kept").choices(["memory", "disk"])
        .default("memory"),
    )
    .option("--disk <size>", "most that it may write, in memory too", positiveSize)
    .addOption(repeatable("--bind <path[:inside]>", "path of this machine that it sees, read-only"))
    .option("--no-aslr", "put programs at the same addresses in every run")
    .option("--stats", "print at the end what it used")
    .addHelpText("after", RUN_HELP)
    .action(async (argv: readonly string[], flags: SandboxRunFlags) => {
      const { sandboxRun } = await import("../_sandbox_run.ts");
      await sandboxRun(argv, flags);
    });
}

function listCommand(): Command {
  const definition = new Command("list").summary("list the sandboxes that run on this machine")
    .description(
      "Lists the sandboxes that run on this machine, of every worker, as far as this user may see them.",
    )
    .addHelpText("after", LIST_HELP)
    .action(async (flags: { readonly json?: boolean }) => {
      const { sandboxList } = await import("../_sandbox_list.ts");
      await sandboxList(flags.json ?? false);
    });
  return withJson(definition);
}

function enterCommand(): Command {
  return new Command("enter").summary("join a running sandbox")
    .description("Joins a running sandbox and runs a shell, or another program, in it.")
    .usage("[id] [-- COMMAND [ARGUMENTS...]]")
    .argument("[id]", 'INIT of "brokk sandbox list", or an operation; the only one by default')
    .argument("[command...]", "program and arguments")
    .option("-C, --chdir <dir>", "start in this directory, as seen from inside", "/work")
    .passThroughOptions()
    .addHelpText("after", ENTER_HELP)
    .action(async (id: string | undefined, argv: readonly string[], flags: { readonly chdir: string }) => {
      const { sandboxEnter } = await import("../_sandbox_list.ts");
      await sandboxEnter(id, argv, flags.chdir);
    });
}

function explainCommand(): Command {
  return new Command("explain").summary("print what the sandbox is made of")
    .description(
      "Prints the programs of system calls that make a sandbox, the code that runs them, and the filter of system calls.",
    )
    .argument("[part]", "template, zygote, action, interpreter or filter; all of them by default")
    .addOption(new Option("--arch <name>", "for which processor").choices(["x86_64", "aarch64"]))
    .addOption(new Option("--network <which>", "the action's network").choices(["none", "loopback", "host"]))
    .addOption(new Option("--writable <where>", "where the action writes").choices(["memory", "disk"]))
    .addHelpText("after", EXPLAIN_HELP)
    .action(async (part: string | undefined, flags: ExplainOptions) => {
      const { sandboxExplain } = await import("../_sandbox_explain.ts");
      await sandboxExplain(part, flags);
    });
}
