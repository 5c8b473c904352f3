/**
 * `brokk up`: a whole grid on this machine, until it is told to end.
 *
 * @module
 */

import { type Config, type ConfigFlag, configFlags, flagArgument, loadConfig } from "@brokkr/common/config";
import { Command, Option } from "commander";
import { writeErr, writeOut } from "../_terminal.ts";
import { type Grid, startGrid } from "../up/mod.ts";
import { collect } from "./_shared.ts";

const HELP = `
Everything is kept below --data-dir: control/, worker/, worker-2/ and so on. Ctrl-C, or SIGTERM, ends all of it in order; running
actions get the worker's shutdown_grace to finish. Should brokk up itself be killed, its processes end too.

Examples:
  brokk up
  brokk up --data-dir ./grid --listen 127.0.0.1:9000 --slots 4
  brokk up --workers 4 --slots 2
  brokk up --no-sandbox
  brokk up --log-level debug
`;

/** The definition of the command; its flags are those of the configuration. */
export function command(): Command {
  const definition = new Command("up").summary("start a grid on this machine")
    .description("Starts a control plane and workers on this machine and keeps them running.")
    .option("--config <file>", "configuration to read instead of ./brokkr.toml");
  for (const flag of configFlags("up")) definition.addOption(asOption(flag));
  return definition.addHelpText("after", HELP).action(upCommand);
}

function asOption(flag: ConfigFlag): Option {
  if (flag.placeholder === "") return new Option(flag.name, flag.doc);
  const option = new Option(`${flag.name} <${flag.placeholder.toLowerCase()}>`, flag.doc);
  return flag.repeatable ? option.argParser(collect).default(undefined) : option;
}

/** Texts of the flags that were given, by key. */
function givenFlags(values: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const flag of configFlags("up")) {
    const value = values[asOption(flag).attributeName()];
    // Commander gives `true` for a switch that was not turned off.
    if (flag.negated && value === true) continue;
    if (value !== undefined) texts[flag.path] = Array.isArray(value) ? value.join(",") : String(value);
  }
  return texts;
}

/** The flags of one process that pass on what was given to `brokk up`. */
function passedOn(process: "control" | "worker", texts: Readonly<Record<string, string>>): readonly string[] {
  return configFlags(process).flatMap((flag) =>
    Object.hasOwn(texts, flag.path) ? [flagArgument(flag, texts[flag.path])] : []
  );
}

/** Keys that are handed on by themselves: a control plane that is started again must be where it was. */
const ADDRESSES = ["control.listen", "control.http_listen", "control.http_cache_listen"];

/** Ids that each worker may use for its slots; it has no more of those. */
const IDS_OF_A_WORKER = 4096;

/** What differs between several workers: their names, where their pages are, and who their actions run as. */
function ownFlags(
  { up, worker: { id, httpListen, sandboxUidBase } }: Config,
  index: number,
): readonly string[] {
  if (up.workers <= 1 || index === 0) return [];
  return [
    `--sandbox-uid-base=${sandboxUidBase + index * IDS_OF_A_WORKER}`,
    ...(id === "" ? [] : [`--id=${id}-${index + 1}`]),
    ...(httpListen === "" ? [] : [`--http-listen=${httpListen.replace(/:\d+$/, ":0")}`]),
  ];
}

async function upCommand(values: Record<string, unknown> & { readonly config?: string }): Promise<void> {
  const texts = givenFlags(values);
  const names = new Map(configFlags("up").map(({ path, name }) => [path, name]));
  const config = await loadConfig({
    file: values.config,
    flags: texts,
    flagName: (path) => names.get(path) ?? path,
  });
  const file = values.config === undefined ? [] : [`--config=${values.config}`];
  const stop = untilTold();
  // Before anything is started: a group with processes in it can hand no controllers on to its workers.
  (await import("@brokkr/sandbox")).stepAside("up");
  await writeErr(`brokk: starting a grid over ${config.up.dataDir}\n`);
  const grid = await startGrid({
    dataDir: config.up.dataDir,
    listen: config.control.listen,
    httpListen: config.control.httpListen,
    httpCacheListen: config.control.httpCacheListen,
    controlFlags: [...file, ...passedOn("control", without(texts, ...ADDRESSES))],
    workers: config.up.workers,
    workerFlags: (index) => [...file, ...passedOn("worker", texts), ...ownFlags(config, index)],
    useConfiguration: true,
    tls: config.control.tlsCert !== "",
    stopGraceMs: Math.max(config.control.shutdownGraceMs, config.worker.shutdownGraceMs) + 15_000,
    onLog: (process, line) => log(process, line),
    onDeath: (message) => log("up", message),
  });
  await writeOut(greeting(grid, config));
  const signal = await stop.told;
  await writeErr(`brokk: ${signal}: ending; once more ends everything at once\n`);
  stop.onAgain = () => grid.kill();
  await grid.stop();
  await writeErr("brokk: ended\n");
}

function without(
  texts: Readonly<Record<string, string>>,
  ...paths: readonly string[]
): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).filter(([path]) => !paths.includes(path)));
}

function log(process: string, line: string): void {
  const bytes = new TextEncoder().encode(`${process.padEnd(7)} | ${line}\n`);
  try {
    Deno.stderr.writeSync(bytes);
  } catch {
    // Nobody reads it any more; the grid goes on.
  }
}

/** What a person needs to know of a grid that has come up. */
export function greeting(
  grid: Pick<Grid, "endpoint" | "httpUrl" | "httpCacheUrl" | "dataDir">,
  config: Pick<Config, "worker" | "client" | "up">,
): string {
  const flag = grid.endpoint === config.client.endpoint ? "" : ` --endpoint ${grid.endpoint}`;
  const slots = config.worker.slots === 0
    ? "one slot for each processor"
    : config.worker.slots === 1
    ? "one slot"
    : `${config.worker.slots} slots`;
  const { workers } = config.up;
  const crew = workers === 0
    ? "without workers"
    : `${workers === 1 ? "one worker" : `${workers} workers, each`} with ${slots}`;
  return [
    `Brokkr is up on ${grid.endpoint}, ${crew}`,
    ...(grid.httpUrl === "" ? [] : [`  metrics   ${grid.httpUrl}/metrics`]),
    ...(grid.httpCacheUrl === ""
      ? []
      : [`  cache     bazel build --remote_cache=${grid.httpCacheUrl} //...`]),
    `  data      ${grid.dataDir}`,
    `  try       brokk run${flag} -- /bin/echo "hello world"`,
    `  bazel     bazel build --remote_executor=${grid.endpoint} //...`,
    "  end       Ctrl-C",
    "",
  ].join("\n");
}

interface Told {
  /** Resolves with the first signal's name. */
  readonly told: Promise<Deno.Signal>;
  /** Called on the second signal. */
  onAgain: () => void;
}

function untilTold(): Told {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  const state = { told: promise, onAgain: () => Deno.exit(130) };
  let signals = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(name, () => signals++ === 0 ? resolve(name) : state.onAgain());
  }
  return state;
}
