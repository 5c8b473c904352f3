/**
 * Reads Action and Command as far as scheduling needs them, and refuses what no worker could run.
 *
 * @module
 */

import { type Digest, type DigestFunction, makeDigest, splitPath } from "@brokkr/cas";
import { BrokkrError, Code, invalidArgument } from "@brokkr/common";
import {
  ActionCodec,
  type Command,
  CommandCodec,
  type Digest as WireDigest,
  type Platform,
} from "@brokkr/proto";
import { durationMs } from "./_times.ts";
import type { PlatformProperty } from "./scheduler/mod.ts";

/** Largest Action, in bytes. */
export const MAX_ACTION_BYTES: number = 256 << 10;
/** Largest Command, in bytes: with the Action it must fit one message to a worker. */
export const MAX_COMMAND_BYTES: number = 3 << 20;

const MAX_PROPERTIES = 256;
const MAX_PROPERTY_LENGTH = 4096;
const MAX_OUTPUTS = 100_000;
const KNOWN_NODE_PROPERTIES: readonly string[] = ["mtime", "unix_mode"];

/** What is to be known of an Action. */
export interface CheckedAction {
  /** Its Command. */
  readonly commandDigest: Digest;
  /** The Directory it runs in. */
  readonly inputRootDigest: Digest;
  /** How long the command may run, in milliseconds: the action's own timeout or the default. */
  readonly timeoutMs: number;
  /** Neither answered from the cache, nor put there, nor merged with a running twin. */
  readonly doNotCache: boolean;
  /** What the worker must offer; undefined when the Command says. */
  readonly platform: readonly PlatformProperty[] | undefined;
}

/** How long actions may run, in milliseconds. */
export interface TimeoutLimits {
  /** For actions that do not say. */
  readonly defaultTimeoutMs: number;
  /** What an action may ask for at most. */
  readonly maxTimeoutMs: number;
}

/**
 * Checks an encoded Action. All digests in it are of function `fn`.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the field and what is wrong with it.
 */
export function checkAction(bytes: Uint8Array, fn: DigestFunction, limits: TimeoutLimits): CheckedAction {
  const action = ActionCodec.decode(bytes);
  const commandDigest = digestField(action.commandDigest, fn, "action.command_digest");
  const inputRootDigest = digestField(action.inputRootDigest, fn, "action.input_root_digest");
  if (commandDigest.sizeBytes > MAX_COMMAND_BYTES) {
    throw invalidArgument(
      "action.command_digest",
      `A Command may have at most ${MAX_COMMAND_BYTES} bytes, not ${commandDigest.sizeBytes}`,
    );
  }
  const asked = action.timeout === undefined ? 0 : durationMs(action.timeout);
  if (!(asked >= 0) || asked > limits.maxTimeoutMs) {
    throw invalidArgument(
      "action.timeout",
      `A timeout of ${asked / 1000} seconds is not allowed; at most ${limits.maxTimeoutMs / 1000} are`,
    );
  }
  return {
    commandDigest,
    inputRootDigest,
    timeoutMs: asked === 0 ? limits.defaultTimeoutMs : asked,
    doNotCache: action.doNotCache,
    platform: checkPlatform(action.platform, "action.platform"),
  };
}

/**
 * Checks an encoded Command and returns the platform it asks for.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the field and what is wrong with it.
 */
export function checkCommand(bytes: Uint8Array): readonly PlatformProperty[] | undefined {
  const command = CommandCodec.decode(bytes);
  if (command.arguments.length === 0 || command.arguments[0] === "") {
    throw invalidArgument("command.arguments", "A command needs a program as its first argument");
  }
  for (const argument of command.arguments) {
    if (argument.includes("\0")) {
      throw invalidArgument("command.arguments", `Argument ${shown(argument)} holds a NUL`);
    }
  }
  checkEnvironment(command);
  checkPaths("command.working_directory", [command.workingDirectory]);
  checkOutputs(command);
  for (const name of command.outputNodeProperties) {
    if (KNOWN_NODE_PROPERTIES.includes(name)) continue;
    throw invalidArgument(
      "command.output_node_properties",
      `Property ${shown(name)} is not known; known are ${KNOWN_NODE_PROPERTIES.join(" and ")}`,
    );
  }
  return checkPlatform(command.platform, "command.platform");
}

function checkEnvironment({ environmentVariables }: Command): void {
  const names = new Set<string>();
  for (const { name, value } of environmentVariables) {
    if (name === "" || /[=\0]/.test(name) || value.includes("\0")) {
      throw invalidArgument(
        "command.environment_variables",
        `Variable ${shown(name)} needs a name without = and NUL, and a value without NUL`,
      );
    }
    if (names.has(name)) {
      throw invalidArgument(
        "command.environment_variables",
        `Environment variable ${shown(name)} is given twice`,
      );
    }
    names.add(name);
  }
}

/** `output_paths` wins over the older fields, which are not looked at then. */
function checkOutputs(command: Command): void {
  const { outputPaths, outputFiles, outputDirectories } = command;
  if (outputPaths.length + outputFiles.length + outputDirectories.length > MAX_OUTPUTS) {
    throw invalidArgument("command.output_paths", `A command may name at most ${MAX_OUTPUTS} outputs`);
  }
  if (outputPaths.length > 0) return checkPaths("command.output_paths", outputPaths);
  if (outputFiles.includes("")) {
    throw invalidArgument("command.output_files", "The path of an output file may not be empty");
  }
  checkPaths("command.output_files", outputFiles);
  checkPaths("command.output_directories", outputDirectories);
}

function checkPaths(field: string, paths: readonly string[]): void {
  for (const path of paths) {
    try {
      splitPath(path);
    } catch (error) {
      throw invalidArgument(field, error instanceof Error ? error.message : String(error), error);
    }
  }
}

function checkPlatform(platform: Platform | undefined, field: string): PlatformProperty[] | undefined {
  if (platform === undefined || platform.properties.length === 0) return undefined;
  if (platform.properties.length > MAX_PROPERTIES) {
    throw invalidArgument(field, `A platform may have at most ${MAX_PROPERTIES} properties`);
  }
  return platform.properties.map(({ name, value }) => {
    if (name !== "" && name.length <= MAX_PROPERTY_LENGTH && value.length <= MAX_PROPERTY_LENGTH) {
      return { name, value };
    }
    throw invalidArgument(
      field,
      `Property ${shown(name)} needs a name, and both may have at most ${MAX_PROPERTY_LENGTH} characters`,
    );
  });
}

function digestField(message: WireDigest | undefined, fn: DigestFunction, field: string): Digest {
  if (message === undefined) throw invalidArgument(field, "A digest is missing");
  try {
    return makeDigest(fn, message.hash, message.sizeBytes);
  } catch (error) {
    if (!(error instanceof BrokkrError) || error.code !== Code.INVALID_ARGUMENT) throw error;
    throw invalidArgument(field, error.message, error);
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
