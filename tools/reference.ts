/**
 * Writes the pages of `docs/reference/` from what the programs themselves are made of: the configuration's type and the
 * tree of `brokk`'s commands. Run by `deno task docs`; a test holds the pages to it.
 *
 * @module
 */

import { configFlags, configHelp, type ConfigKey, configKeys, configSections } from "@brokkr/common/config";
import type { Argument, Command, Option } from "commander";
import { program } from "../cli/program.ts";

/** How to bring the pages up to date. */
export const REMEDY = "deno task docs";

const ROOT = new URL("../", import.meta.url);

/** One page. */
export interface Page {
  /** Path from the root of the repository. */
  readonly path: string;
  /** Its Markdown, as `deno fmt` leaves it. */
  readonly text: string;
}

const GENERATED = `<!-- Written by \`${REMEDY}\`; changes made here are lost. -->`;

/** A command without those that it has inherited, and what its help adds at the end. */
interface Told {
  readonly command: Command;
  /** With the program's name, such as `brokk cache put`. */
  readonly name: string;
  readonly after: string;
}

/** What a command's help says after its options. */
function textAfter(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => text += part });
  command.outputHelp();
  return text.slice(command.helpInformation().length).trim();
}

/** Every command of `brokk`, those below commands too. */
async function commands(): Promise<readonly Told[]> {
  const told: Told[] = [];
  const add = (command: Command, name: string) => {
    told.push({ command, name, after: textAfter(command) });
    for (const child of command.commands) {
      if (child.name() !== "help") add(child, `${name} ${child.name()}`);
    }
  };
  for (const name of (await program(undefined)).commands.map((command) => command.name())) {
    const found = (await program(name)).commands.find((command) => command.name() === name);
    if (found !== undefined) add(found, `brokk ${name}`);
  }
  return told;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  return [
    `| ${head.join(" | ")} |`,
    `|${" --- |".repeat(head.length)}`,
    ...rows.map((row) => `| ${row.join(" | ")} |`),
    "",
  ];
}

function argumentRow(argument: Argument): readonly string[] {
  return [code(argument.name()), cell(argument.description)];
}

function optionRow({ flags, description, defaultValue }: Option): readonly string[] {
  const shown = defaultValue === undefined ? "" : ` (default: \`${JSON.stringify(defaultValue)}\`)`;
  return [code(flags), cell(description) + shown];
}

function commandSection({ command, name, after }: Told): string[] {
  const options = command.options.filter(({ hidden }) => !hidden);
  const usage = command.usage();
  return [
    `## ${name}`,
    "",
    command.description(),
    "",
    "```text",
    `${name}${usage === "" ? "" : ` ${usage}`}`,
    "```",
    "",
    ...table(
      ["argument", "what it is"],
      (command.registeredArguments as readonly Argument[]).map(argumentRow),
    ),
    // Those of `up` are keys of the configuration, which has a page of its own.
    ...table(["flag", "what it is"], options.map(optionRow)),
    ...(after === "" ? [] : ["```text", after, "```", ""]),
  ];
}

const CLI_HEAD = `# Command line

${GENERATED}

What every program takes. What the flags of \`brokk up\`, \`brokkr-control\` and \`brokkr-worker\` mean in full, with their
defaults and limits, is in [configuration.md](configuration.md): they are its keys.

A command finds the grid by \`--endpoint\`, then \`BROKKR_CLIENT_ENDPOINT\`, then \`[client]\` in \`brokkr.toml\`, then
\`grpc://127.0.0.1:8980\`.

## Exit codes

| program | code | when |
| --- | --- | --- |
| \`brokk run\` | the command's own | it ran; 128 + n when signal n ended it |
| \`brokk run\` | 124 | it ran into its timeout |
| \`brokk run\` | 125 | brokk or the grid failed: what the command would have done is not known |
| \`brokk sandbox run\` | the command's own | it ran; 128 + n when signal n ended it, 137 when it took too much memory |
| \`brokk sandbox run\` | 124 | it ran into its timeout |
| \`brokk sandbox run\` | 125 | the sandbox failed |
| \`brokk sandbox run\`, \`enter\` | 126, 127 | the command could not be executed, was not found |
| \`brokk doctor\`, \`brokkr-worker --check-host\` | 0 | actions can be isolated on this machine, with warnings or without |
| \`brokk doctor\`, \`brokkr-worker --check-host\` | 1 | they cannot |
| \`brokk cache fsck\` | 1 | there were problems, repaired or not |
| \`brokk cache fsck\` | 2 | the directory cannot be checked |
| other commands | 0 | it succeeded |
| other commands | 1 | it failed, or what was asked for is not there |
| every command | 2 | wrong flags, arguments or settings |
| every command | 130, 143 | ended by SIGINT, SIGTERM |
| \`brokkr-control\`, \`brokkr-worker\` | 0 | served, and ended in order after SIGTERM or SIGINT |
| \`brokkr-control\`, \`brokkr-worker\` | 1 | did not end in order within its grace |
| \`brokkr-control\`, \`brokkr-worker\` | 2 | could not start, or had to give up; the last line says why |

Results go to standard output, everything else to standard error. \`BROKKR_DEBUG=1\` shows where an error came from.
`;

const PROCESSES = [
  ["control", "brokkr-control", "deno task control", "The control plane."],
  [
    "worker",
    "brokkr-worker",
    "deno task worker",
    "A worker; as many as there are machines. With --check-host [--json] it checks the machine and ends.",
  ],
] as const;

async function cliPage(): Promise<string> {
  const lines = [CLI_HEAD];
  for (const each of await commands()) lines.push(...commandSection(each));
  for (const [process, name, task, about] of PROCESSES) {
    const help = configHelp(process, `${name} [flags]`, about);
    lines.push(`## ${name}`, "", `\`${task}\` starts it.`, "", "```text", help.trimEnd(), "```", "");
  }
  return lines.join("\n");
}

/** The flags that set a key, as one types them. */
function flagsOf({ section, name }: ConfigKey, gridFlags: ReadonlySet<string>): readonly string[] {
  const path = `${section}.${name}`;
  if (section === "client") {
    const flag = `--${name.replaceAll("_", "-")}`;
    return gridFlags.has(flag) ? [`brokk ${flag}`] : [];
  }
  const programs = { control: "brokkr-control", worker: "brokkr-worker", up: "brokk up" } as const;
  return (Object.keys(programs) as (keyof typeof programs)[]).flatMap((process) =>
    configFlags(process).filter((flag) => flag.path === path).map(({ name: flag, placeholder }) =>
      `${programs[process]} ${flag}${placeholder === "" ? "" : ` ${placeholder}`}`
    )
  );
}

const CONFIG_HEAD = `# Configuration

${GENERATED}

Every setting of every program. A flag goes over its environment variable, and that over its key in \`brokkr.toml\`, which
is read from the working directory unless \`--config FILE\` or \`BROKKR_CONFIG\` names another. \`brokk init\` writes one
with everything in it, commented out.

Relative paths are relative to the file that names them, or to the working directory where a flag or a variable does.
Sizes are numbers with a unit, \`"512KiB"\` or \`"4GiB"\` (1024) and \`"1MB"\` (1000); durations are \`"500ms"\`, \`"30s"\`,
\`"1h30m"\`. Unknown keys, and variables that begin with \`BROKKR_\` and mean nothing, are refused: a setting that is
misspelled is never left out silently.
`;

async function configPage(): Promise<string> {
  const status = (await commands()).find(({ name }) => name === "brokk status");
  const gridFlags = new Set(status?.command.options.map(({ long }) => long ?? ""));
  const lines = [CONFIG_HEAD];
  const keys = configKeys();
  for (const [section, about] of Object.entries(configSections())) {
    const own = keys.filter((key) => key.section === section);
    lines.push(`## [${section}]`, "", about, "");
    lines.push(own.map(({ name }) => `[${name}](#${section}${name})`).join(", "), "");
    for (const key of own) {
      const flags = flagsOf(key, gridFlags).map((flag) => `\`${flag}\``);
      lines.push(`### ${section}.${key.name}`, "", key.doc, "");
      lines.push(`- default \`${key.fallback}\`; ${key.allowed}`);
      lines.push(`- ${[`\`${key.variable}\``, ...flags].join(", ")}`, "");
    }
  }
  return lines.join("\n");
}

/** Markdown as `deno fmt` leaves it, so that the pages pass the house's own check. */
async function formatted(text: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "fmt",
      "--quiet",
      "--config",
      decodeURIComponent(new URL("deno.json", ROOT).pathname),
      "--ext",
      "md",
      "-",
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  if (code !== 0) throw new Error(`deno fmt failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** The pages as they should be. */
export async function referencePages(): Promise<readonly Page[]> {
  return [
    { path: "docs/reference/configuration.md", text: await formatted(await configPage()) },
    { path: "docs/reference/cli.md", text: await formatted(await cliPage()) },
  ];
}

if (import.meta.main) {
  for (const { path, text } of await referencePages()) {
    const file = new URL(path, ROOT);
    await Deno.mkdir(new URL("./", file), { recursive: true });
    await Deno.writeTextFile(file, text);
    console.log(`Wrote ${path}`);
  }
}
