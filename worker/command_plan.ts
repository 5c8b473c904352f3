/**
 * Reads a Command: checks what the client wrote, and finds out which directories must be there before it runs.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, Slices } from "@brokkr/common";
import { splitPath } from "@brokkr/cas/client";
import { type Command, Command_OutputDirectoryFormat } from "@brokkr/proto";
import type { InputNodes } from "./materializer.ts";

/** What an output may be: anything (`output_paths`), or what the older field it was named in says. */
export type OutputKind = "any" | "file" | "directory";

/** One output that a Command names. */
export interface OutputRequest {
  /** As the client wrote it, relative to the working directory; so it goes into the result. */
  readonly path: string;
  /** Relative to the input root. */
  readonly rootPath: string;
  /** What it may be. */
  readonly kind: OutputKind;
}

/** A Command that was found to be sound. */
export interface CommandPlan {
  /** argv, at least one. */
  readonly argv: readonly string[];
  /** The whole environment. */
  readonly env: readonly (readonly [string, string])[];
  /** Working directory relative to the input root; `""` for the root itself. */
  readonly workingDirectory: string;
  /** Outputs, each once. */
  readonly outputs: readonly OutputRequest[];
  /** Whether output directories are reported as Tree messages. */
  readonly asTree: boolean;
  /** Whether output directories are reported by their root Directory. */
  readonly asDirectory: boolean;
  /** Whether times of last change are reported. */
  readonly reportMtime: boolean;
  /** Whether permission bits are reported. */
  readonly reportUnixMode: boolean;
}

/** Most outputs of one Command. */
const MAX_OUTPUTS = 100_000;

/**
 * Checks a Command.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the field and what is wrong with it.
 */
export function planCommand(command: Command): CommandPlan {
  const { arguments: argv, outputDirectoryFormat: format } = command;
  if (argv.length === 0) throw invalidArgument("command.arguments", "A command needs at least one argument");
  if (argv[0] === "") {
    throw invalidArgument("command.arguments", "The name of the program to run may not be empty");
  }
  for (const argument of argv) {
    if (argument.includes("\0")) {
      throw invalidArgument(
        "command.arguments",
        `Argument ${shown(argument)} holds a NUL, which no program can be given`,
      );
    }
  }
  const workingDirectory = relativePath("command.working_directory", command.workingDirectory);
  const { reportMtime, reportUnixMode } = reportedProperties(command.outputNodeProperties);
  return {
    argv,
    env: readEnvironment(command),
    workingDirectory,
    outputs: readOutputs(command, workingDirectory),
    asTree: format !== Command_OutputDirectoryFormat.DIRECTORY_ONLY,
    asDirectory: format === Command_OutputDirectoryFormat.DIRECTORY_ONLY ||
      format === Command_OutputDirectoryFormat.TREE_AND_DIRECTORY,
    reportMtime,
    reportUnixMode,
  };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/** A path that stays below where it starts. */
function relativePath(field: string, path: string): string {
  try {
    splitPath(path);
  } catch (error) {
    throw invalidArgument(field, error instanceof Error ? error.message : String(error), error);
  }
  return path;
}

function readEnvironment(command: Command): (readonly [string, string])[] {
  const names = new Set<string>();
  return command.environmentVariables.map(({ name, value }) => {
    const field = "command.environment_variables";
    if (name === "" || name.includes("=") || name.includes("\0")) {
      throw invalidArgument(field, `${shown(name)} cannot be the name of an environment variable`);
    }
    if (value.includes("\0")) throw invalidArgument(field, `The value of ${shown(name)} holds a NUL`);
    if (names.has(name)) throw invalidArgument(field, `Environment variable ${shown(name)} is given twice`);
    names.add(name);
    return [name, value];
  });
}

function readOutputs(command: Command, workingDirectory: string): OutputRequest[] {
  const requests = new Map<string, OutputRequest>();
  const add = (field: string, kind: OutputKind, paths: readonly string[]) => {
    if (requests.size + paths.length > MAX_OUTPUTS) {
      throw invalidArgument(field, `A command may name at most ${MAX_OUTPUTS} outputs`);
    }
    for (const path of paths) {
      if (path === "" && kind === "file") {
        throw invalidArgument(field, "The path of an output file may not be empty");
      }
      relativePath(field, path);
      const rootPath = [workingDirectory, path].filter((part) => part !== "").join("/");
      requests.set(`${kind}:${path}`, { path, rootPath, kind });
    }
  };
  if (command.outputPaths.length > 0) {
    add("command.output_paths", "any", command.outputPaths);
  } else {
    add("command.output_files", "file", command.outputFiles);
    add("command.output_directories", "directory", command.outputDirectories);
  }
  return [...requests.values()];
}

function reportedProperties(names: readonly string[]): { reportMtime: boolean; reportUnixMode: boolean } {
  for (const name of names) {
    if (name !== "mtime" && name !== "unix_mode") {
      throw invalidArgument(
        "command.output_node_properties",
        `Property ${shown(name)} is not known; known are mtime and unix_mode`,
      );
    }
  }
  return { reportMtime: names.includes("mtime"), reportUnixMode: names.includes("unix_mode") };
}

/**
 * The directories, relative to the root and parents first, that must be made besides those of the input root: the
 * parents of outputs, as the API asks. Directories named in the older `output_directories` are made themselves too: the
 * API does not ask for it, but Bazel's own local execution does so, and its rules rely on it.
 *
 * @param nodes what the input root holds.
 * @throws {BrokkrError} INVALID_ARGUMENT when a file or link of the input root is in the way, or when the working
 * directory is neither among the inputs nor a parent of an output.
 */
export async function planDirectories(
  plan: CommandPlan,
  nodes: InputNodes,
  signal?: AbortSignal,
): Promise<string[]> {
  const slices = new Slices(signal);
  const there = new Set([""]);
  const made = new Set<string>();
  const need = (path: string, what: string) => {
    let at = "";
    for (const name of path === "" ? [] : path.split("/")) {
      const below = made.has(at);
      at = at === "" ? name : `${at}/${name}`;
      if (there.has(at)) continue;
      const kind = below || made.has(at) ? undefined : nodes(at);
      if (kind === undefined) made.add(at);
      else if (kind === "directory") there.add(at);
      else throw inTheWay(at, kind, what);
    }
  };
  for (const { path, rootPath, kind } of plan.outputs) {
    const what = `output ${shown(path)}`;
    if (kind === "directory" || path === "") need(rootPath, what);
    else need(rootPath.slice(0, Math.max(0, rootPath.lastIndexOf("/"))), what);
    if (slices.spent) await slices.next();
  }
  const before = made.size;
  need(plan.workingDirectory, "the working directory");
  if (made.size > before) {
    throw invalidArgument(
      "command.working_directory",
      `Working directory ${shown(plan.workingDirectory)} is not a directory of the input root`,
    );
  }
  return [...made];
}

function inTheWay(at: string, kind: "file" | "link", what: string): BrokkrError {
  const is = kind === "file" ? "a file" : "a symbolic link, which is not followed";
  return new BrokkrError(
    Code.INVALID_ARGUMENT,
    `The input root has ${is} at ${shown(at)}, where ${what} needs a directory`,
  );
}
