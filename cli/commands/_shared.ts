/**
 * What the commands have in common.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { type Command, Option } from "commander";
import type { Client } from "../client.ts";
import { connectCommand, type ConnectionFlags } from "../_connection.ts";

/** Adds the flags that say which grid is meant. */
export function withConnection(command: Command): Command {
  return command
    .option("--endpoint <endpoint>", "where the grid is (default: grpc://127.0.0.1:8980)")
    .option("--instance <name>", "REAPI instance name")
    .option("--digest <function>", "function of all digests, such as blake3 (default: sha256)")
    .option("--config <file>", "configuration to read instead of ./brokkr.toml");
}

/** Adds `--json`. */
export function withJson(command: Command): Command {
  return command.option("--json", "print one JSON value for scripts");
}

/** Collects a flag that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

/** A repeatable flag. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description} (repeatable)`).argParser(collect).default(undefined);
}

/** What to throw for flags that a person has to write otherwise. */
export function usageError(message: string): BrokkrError {
  return new BrokkrError(Code.INVALID_ARGUMENT, message);
}

/** Splits `NAME=VALUE`. */
export function pair(flag: string, text: string): readonly [name: string, value: string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw usageError(`${flag} needs NAME=VALUE, not ${JSON.stringify(text)}`);
}

/** Connects, lets `use` work, and closes. */
export async function withClient<T>(flags: ConnectionFlags, use: (client: Client) => Promise<T>): Promise<T> {
  await using client = await connectCommand(flags);
  return await use(client);
}

/** A protobuf Duration in milliseconds. */
export function durationMs(value: { readonly seconds: number; readonly nanos: number } | undefined): number {
  return value === undefined ? 0 : value.seconds * 1000 + value.nanos / 1e6;
}

/** A protobuf Timestamp in milliseconds since 1970. */
export const timestampMs = durationMs;
