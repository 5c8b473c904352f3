/**
 * `brokk run`: runs a command on the grid.
 *
 * @module
 */

import { formatDigest } from "@brokkr/cas/client";
import { asBrokkrError, BrokkrError, Code } from "@brokkr/common";
import { parseDuration } from "@brokkr/common/units";
import { Command, InvalidArgumentError } from "commander";
import type { Client } from "../client.ts";
import type { RunOptions, RunResult } from "../run_types.ts";
import { connectCommand, type ConnectionFlags } from "../_connection.ts";
import type { Stage } from "../_execution.ts";
import { ExitError, printError, USAGE_EXIT } from "../_exit.ts";
import { awakeClock } from "../_clock.ts";
import type { Input } from "../_inputs.ts";
import { QueueNote } from "../_queue_note.ts";
import { commandParent } from "../_tracing.ts";
import { ProgressLine, transferLine, writeErr, writeJson, writeOut } from "../_terminal.ts";
import { pair, repeatable, usageError, withConnection, withJson } from "./_shared.ts";

/** The action timed out, as timeout(1) says it. */
const TIMEOUT_EXIT = 124;
/** Brokk or the grid failed; the action's own exit code is not known. */
const INFRASTRUCTURE_EXIT = 125;

const HELP = `
Inputs are what the command finds in its directory, which is empty otherwise. A relative PATH lies at
the same place there, an absolute one at its last name; =DEST puts it elsewhere ("." is the root).
Symbolic links are kept as they are, executable bits too. Outputs are fetched into --output-dir.

The command inherits nothing: --env PATH passes this shell's PATH on, which a program without a slash needs.

Exit codes: the command's own (128 + n when signal n ended it); 124 when it timed out; 125 when brokk or
the grid failed; 2 for wrong flags; 130 when interrupted.

Examples:
  brokk run -- /bin/echo "hello world"
  brokk run --input main.c --input include --output main --env PATH -- gcc -Iinclude -o main main.c
  brokk run --input build/app=app --platform Pool=fast --timeout 5m -- ./app --selftest
  brokk run --json --no-cache -- /bin/date | jq .timings
`;

interface RunFlags extends ConnectionFlags {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly outputDir: string;
  readonly env?: readonly string[];
  readonly platform?: readonly string[];
  readonly timeout?: number;
  readonly cache: boolean;
  readonly chdir?: string;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

function timeout(text: string): number {
  const { value, error } = parseDuration(text);
  if (value !== undefined && value > 0) return value;
  throw new InvalidArgumentError(`${JSON.stringify(text)} ${error ?? "is not longer than nothing"}.`);
}

/** The definition of the command. */
export function command(): Command {
  const definition = new Command("run")
    .summary("run a command on the grid")
    .description("Runs a command on the grid, or answers from its cache, and ends with its exit code.")
    .usage("[flags] [--] COMMAND [ARGUMENTS...]")
    .argument("<command...>", "program and arguments")
    .passThroughOptions()
    .addOption(repeatable("-i, --input <path[=dest]>", "file or directory that the command finds"))
    .addOption(repeatable("-o, --output <path>", "file or directory to fetch afterwards"))
    .option("--output-dir <dir>", "where outputs go", ".")
    .addOption(repeatable("-e, --env <name[=value]>", "environment variable; without a value, this shell's"))
    .addOption(repeatable("-p, --platform <name=value>", "property that the worker must offer"))
    .option(
      "-t, --timeout <duration>",
      "how long it may run, such as 30s or 5m (default: the grid's)",
      timeout,
    )
    .option("--no-cache", "run it in any case, and do not keep the result")
    .option("-C, --chdir <dir>", "start in this directory below the inputs' root")
    .option("-q, --quiet", "leave out the [brokk] line and progress");
  return withConnection(withJson(definition)).addHelpText("after", HELP)
    .action((argv: string[], flags: RunFlags) => runCommand(argv, flags));
}

/** `PATH[=DEST]` as an input. */
export function parseInput(text: string): Input {
  const at = text.lastIndexOf("=");
  if (at < 0) return { from: text };
  if (at === 0) {
    throw usageError(`--input needs PATH or PATH=DEST, not ${JSON.stringify(text)}`);
  }
  return { from: text.slice(0, at), to: text.slice(at + 1) };
}

/** `NAME=VALUE`, or `NAME` for this process's own value. */
export function parseVariable(
  text: string,
  own: (name: string) => string | undefined,
): readonly [string, string] {
  if (text.includes("=")) return pair("--env", text);
  const value = own(text);
  if (value === undefined) {
    throw usageError(`--env ${text}: no such variable here; write ${text}=VALUE`);
  }
  return [text, value];
}

function optionsOf(argv: readonly string[], flags: RunFlags): RunOptions {
  const platform: Record<string, string[]> = {};
  for (const text of flags.platform ?? []) {
    const [name, value] = pair("--platform", text);
    (platform[name] ??= []).push(value);
  }
  return {
    argv,
    inputs: (flags.input ?? []).map(parseInput),
    outputs: flags.output ?? [],
    env: Object.fromEntries(
      (flags.env ?? []).map((text) => parseVariable(text, (name) => Deno.env.get(name))),
    ),
    platform,
    timeoutMs: flags.timeout,
    noCache: !flags.cache,
    workingDirectory: flags.chdir,
  };
}

const STAGE_TEXT: Readonly<Record<Stage, string>> = {
  "cache-check": "looking into the cache",
  queued: "waiting for a worker",
  executing: "running",
  completed: "done",
};

async function runCommand(argv: readonly string[], flags: RunFlags): Promise<void> {
  const options = optionsOf(argv, flags);
  const interrupt = new Interrupt();
  const progress = new ProgressLine(flags.quiet === true || flags.json === true);
  let begun = false;
  try {
    const client = await connectCommand(flags);
    const silent = flags.quiet === true || flags.json === true;
    using note = new QueueNote(awakeClock, () => client.status(), (text) => {
      progress.clear();
      if (!silent) void writeErr(`brokk: ${text}\n`);
    });
    const result = await client.run({
      ...options,
      signal: interrupt.signal,
      trace: commandParent(),
      onStage: (stage) => {
        begun = true;
        note.stage(stage);
        progress.show(`brokk: ${STAGE_TEXT[stage]}`, true);
      },
      onUpload: ({ bytes, totalBytes }) => progress.show(transferLine("brokk: uploading", bytes, totalBytes)),
      onResume: ({ code, message }) =>
        progress.show(
          code === Code.RESOURCE_EXHAUSTED
            ? `brokk: the grid has no room: ${message}; trying again`
            : "brokk: the connection broke; joining the action again",
          true,
        ),
    });
    await fetchOutputs(client, result, flags, interrupt.signal, progress);
    progress.clear();
    await report(result, flags);
  } catch (error) {
    progress.clear();
    await fail(error, flags, interrupt, begun);
  }
}

async function fetchOutputs(
  client: Client,
  result: RunResult,
  flags: RunFlags,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<void> {
  if (result.outputs.length === 0) return;
  await client.download(result.outputs, flags.outputDir, {
    signal,
    onProgress: ({ bytes, totalBytes }) => progress.show(transferLine("brokk: fetching", bytes, totalBytes)),
  });
}

/** Prints what came of the run and ends with its exit code. */
async function report(result: RunResult, flags: RunFlags): Promise<void> {
  const timedOut = result.error?.code === Code.DEADLINE_EXCEEDED;
  const exitCode = result.error === undefined
    ? result.exitCode
    : timedOut
    ? TIMEOUT_EXIT
    : INFRASTRUCTURE_EXIT;
  if (flags.json) await writeJson(asJson(result, exitCode));
  else {
    await writeOut(result.stdout);
    await writeErr(result.stderr);
  }
  if (result.error !== undefined) await printError(result.error);
  else if (result.message !== "" && !flags.quiet) await writeErr(`brokk: ${result.message}\n`);
  const missing = missingOutputs(result, flags.output ?? []);
  if (missing.length > 0 && exitCode === 0 && !flags.quiet) {
    await writeErr(`brokk: the command did not make ${missing.join(", ")}\n`);
  }
  if (!flags.quiet && !flags.json) await writeErr(summary(result, exitCode));
  if (exitCode !== 0) throw new ExitError(exitCode);
}

/** The line that ends every run. */
export function summary(result: { readonly cacheHit: boolean }, exitCode: number): string {
  return `[brokk] exit=${exitCode} cache_hit=${result.cacheHit}\n`;
}

function missingOutputs(result: RunResult, asked: readonly string[]): readonly string[] {
  const made = new Set(result.outputs.map(({ path }) => path));
  const clean = (path: string) => path.split("/").filter((name) => name !== "" && name !== ".").join("/");
  return asked.filter((path) => !made.has(clean(path)));
}

function streamJson(name: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [name]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { [`${name}Base64`]: bytes.toBase64() };
  }
}

function asJson(result: RunResult, exitCode: number): unknown {
  return {
    exitCode,
    cacheHit: result.cacheHit,
    ...streamJson("stdout", result.stdout),
    ...streamJson("stderr", result.stderr),
    actionDigest: formatDigest(result.actionDigest),
    operationName: result.operationName,
    worker: result.metadata?.worker ?? "",
    outputs: result.outputs.map((output) =>
      output.kind === "symlink" ? output : { ...output, digest: formatDigest(output.digest) }
    ),
    ...(result.message === "" ? {} : { message: result.message }),
    ...(result.error === undefined ? {} : { error: errorJson(result.error) }),
    uploaded: result.uploaded,
    timings: result.timings,
  };
}

function errorJson(error: BrokkrError): unknown {
  return { code: error.codeName, message: error.message };
}

async function fail(thrown: unknown, flags: RunFlags, interrupt: Interrupt, begun: boolean): Promise<never> {
  if (thrown instanceof ExitError) throw thrown;
  const error = asBrokkrError(thrown);
  if (interrupt.exitCode !== undefined) {
    await writeErr("brokk: cancelled; the grid stops the action unless others wait for it\n");
    throw new ExitError(interrupt.exitCode);
  }
  // What is refused before the grid begins is for the person at the keyboard to write otherwise.
  const exitCode = error.code === Code.INVALID_ARGUMENT && !begun ? USAGE_EXIT : INFRASTRUCTURE_EXIT;
  if (flags.json) await writeJson({ exitCode, error: errorJson(error) });
  await printError(error === thrown ? error : thrown);
  throw new ExitError(exitCode);
}

/** SIGINT and SIGTERM abort the run; a second one ends the process at once. */
class Interrupt {
  readonly #controller = new AbortController();
  /** Set once a signal has come. */
  exitCode: number | undefined;

  constructor() {
    for (const [name, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      Deno.addSignalListener(name, () => {
        if (this.exitCode !== undefined) Deno.exit(exitCode);
        this.exitCode = exitCode;
        this.#controller.abort(new BrokkrError(Code.CANCELLED, "Interrupted"));
      });
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }
}
