/**
 * `deno task demo`: what a newcomer does first, on an empty directory and real processes. It starts a control plane and
 * a worker, runs a command twice, compiles a small program from a tree of sources, runs what came back, stops everything
 * and looks whether anything is left. What the commands print goes to standard output, what the demo says about it to
 * standard error. `--no-sandbox` is for machines that do not allow the sandbox.
 *
 * @module
 */

import { writeErr, writeOut } from "./_terminal.ts";
import { type Grid, startGrid } from "./up/mod.ts";

const decoder = new TextDecoder();
const MAIN = decodeURIComponent(new URL("./main.ts", import.meta.url).pathname);
const MAX_LOG_LINES = 400;
/** Passed on to the worker. */
const NO_SANDBOX = "--no-sandbox";

interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function say(text: string): Promise<void> {
  await writeErr(`demo: ${text}\n`);
}

async function execute(program: string, args: readonly string[], cwd: string): Promise<Printed> {
  const env = Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("BROKKR_")),
  );
  const output = await new Deno.Command(program, { args: [...args], cwd, env, clearEnv: true, stdin: "null" })
    .output();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

/** Runs `brokk` as a person would, shows what it prints, and holds it against what it should print. */
async function brokk(grid: Grid, cwd: string, args: readonly string[], expected: string): Promise<void> {
  const [command, ...rest] = args;
  const printed = await execute(Deno.execPath(), [
    "run",
    "-A",
    // On a first start Deno tells of what it downloads, on standard error.
    "--quiet",
    MAIN,
    command,
    "--endpoint",
    grid.endpoint,
    ...rest,
  ], cwd);
  await writeOut(printed.stdout + printed.stderr);
  const shown = `brokk ${args.join(" ")}`;
  if (printed.code !== 0) throw new Error(`${shown} ended with exit code ${printed.code}`);
  if (printed.stdout + printed.stderr !== expected) {
    throw new Error(`${shown} printed something else than ${JSON.stringify(expected)}`);
  }
}

/** Whether a program is on PATH, and where actions see it: in the sandbox they see none below /opt or in home directories. */
async function isThere(program: string, sandbox: boolean): Promise<boolean> {
  const { defaultBinds } = await import("@brokkr/sandbox");
  const seen = sandbox ? defaultBinds().map(({ source }) => `${source}/`) : ["/"];
  for (const directory of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      const path = await Deno.realPath(`${directory}/${program}`);
      if (seen.some((root) => path.startsWith(root)) && (await Deno.stat(path)).isFile) return true;
    } catch {
      // Not in this directory.
    }
  }
  return false;
}

const GREETING_H = `#define GREETING "Hello from a program that came back from the grid"\n`;
const MAIN_C = `#include <stdio.h>
#include "greeting.h"

int main(void) {
  puts(GREETING);
  return 0;
}
`;
const GREETING = "Hello from a program that came back from the grid\n";

/** Compiles a C program on the grid, from a tree of sources. */
async function compile(grid: Grid, cwd: string): Promise<void> {
  await say("compiling a C program whose sources go up as a Merkle tree");
  await Deno.mkdir(`${cwd}/include`);
  await Deno.writeTextFile(`${cwd}/include/greeting.h`, GREETING_H);
  await Deno.writeTextFile(`${cwd}/main.c`, MAIN_C);
  const gcc = ["gcc", "-Iinclude", "-o", "hello", "main.c"];
  const flags = ["--input", "main.c", "--input", "include", "--output", "hello", "--env", "PATH"];
  await brokk(grid, cwd, ["run", ...flags, "--", ...gcc], "[brokk] exit=0 cache_hit=false\n");
}

/** The same with /bin/sh, where there is no compiler. */
async function assemble(grid: Grid, cwd: string): Promise<void> {
  await say("there is no gcc on PATH that actions can see: /bin/sh puts a script together instead");
  await Deno.mkdir(`${cwd}/include`);
  await Deno.writeTextFile(`${cwd}/include/head.sh`, "#!/bin/sh\n");
  await Deno.writeTextFile(`${cwd}/main.sh`, `echo "${GREETING.trim()}"\n`);
  const script = 'while read -r line; do echo "$line"; done < include/head.sh > hello; ' +
    'while read -r line; do echo "$line"; done < main.sh >> hello; /bin/chmod +x hello';
  const flags = ["--input", "main.sh", "--input", "include", "--output", "hello"];
  await brokk(
    grid,
    cwd,
    ["run", ...flags, "--", "/bin/sh", "-c", script],
    "[brokk] exit=0 cache_hit=false\n",
  );
}

async function show(grid: Grid, cwd: string, sandbox: boolean): Promise<void> {
  const hello = ["run", "--", "/bin/echo", "hello world"];
  await say('running /bin/echo "hello world" twice');
  await brokk(grid, cwd, hello, "hello world\n[brokk] exit=0 cache_hit=false\n");
  await brokk(grid, cwd, hello, "hello world\n[brokk] exit=0 cache_hit=true\n");
  await (await isThere("gcc", sandbox) ? compile : assemble)(grid, cwd);
  await say("running what came back, here");
  const here = await execute(`${cwd}/hello`, [], cwd);
  await writeOut(here.stdout);
  if (here.code !== 0 || here.stdout !== GREETING) {
    throw new Error(`The program did not say ${GREETING.trim()}`);
  }
  await say("and on the grid");
  const there = ["run", "--input", "hello", "--", "./hello"];
  await brokk(grid, cwd, there, `${GREETING}[brokk] exit=0 cache_hit=false\n`);
}

/** Processes whose command line names `path`, without this one. */
async function processesNaming(path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || name === String(Deno.pid)) continue;
    try {
      const line = (await Deno.readTextFile(`/proc/${name}/cmdline`)).replaceAll("\0", " ");
      if (line.includes(path)) found.push(`${name}: ${line}`);
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

async function namesIn(directory: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(directory)) names.push(name);
  return names;
}

/** Stops the grid and holds what is left against nothing. */
async function clean(grid: Grid | undefined, root: string): Promise<void> {
  const pids = grid?.pids ?? [];
  await grid?.stop();
  const running = await processesNaming(root);
  if (running.length > 0) throw new Error(`Processes are left: ${running.join("; ")}`);
  for (const pid of pids) {
    if ((await processesNaming("")).some((line) => line.startsWith(`${pid}: `))) {
      throw new Error(`Process ${pid} is left`);
    }
  }
  const temporary = await namesIn(`${root}/tmp`);
  if (temporary.length > 0) throw new Error(`Temporary files are left: ${temporary.join(", ")}`);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg !== NO_SANDBOX)) {
    await say(`the only argument is ${NO_SANDBOX}, not ${args.join(" ")}`);
    return 2;
  }
  const root = await Deno.makeTempDir({ prefix: "brokkr-demo-" });
  const logs: string[] = [];
  let grid: Grid | undefined;
  let failure: unknown;
  const interrupted = onInterrupt(() => grid, root);
  try {
    for (const name of ["tmp", "grid", "work"]) await Deno.mkdir(`${root}/${name}`);
    // Whatever a process of the demo leaves in its temporary directory is found there afterwards.
    Deno.env.set("TMPDIR", `${root}/tmp`);
    await say(`starting a control plane and a worker on the empty directory ${root}/grid`);
    grid = await startGrid({
      dataDir: `${root}/grid`,
      workerFlags: args,
      onLog: (process, line) => logs.push(`${process}: ${line}`) > MAX_LOG_LINES && logs.shift(),
    });
    await show(grid, `${root}/work`, !args.includes(NO_SANDBOX));
  } catch (error) {
    failure = error;
  }
  try {
    await clean(grid, root);
  } catch (error) {
    failure ??= error;
  }
  await remove(root);
  interrupted.ignore();
  if (failure === undefined) {
    await say("all stopped; no process and no file is left");
    return 0;
  }
  // A process that could not start has said why in the failure.
  if (grid !== undefined) await writeErr(logs.map((line) => `${line}\n`).join(""));
  await say(`failed: ${failure instanceof Error ? failure.message : String(failure)}`);
  return 1;
}

async function remove(root: string): Promise<void> {
  // The worker's cache holds read-only directories, which Deno.remove cannot empty.
  const { removeTree } = await import("@brokkr/sandbox");
  await removeTree(root);
}

/** Ctrl-C leaves nothing behind either. */
function onInterrupt(grid: () => Grid | undefined, root: string): { readonly ignore: () => void } {
  const listener = async () => {
    await grid()?.stop();
    await remove(root);
    Deno.exit(130);
  };
  const listen = () => void listener();
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, listen);
  return {
    ignore: () => {
      for (const name of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(name, listen);
    },
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
