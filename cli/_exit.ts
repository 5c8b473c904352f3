/**
 * Ending with an exit code, and saying why.
 *
 * @module
 */

import { writeErr } from "./_terminal.ts";

/** Exit code for wrong flags and arguments. */
export const USAGE_EXIT = 2;
/** Exit code of commands other than `run` when they fail. */
export const FAILURE_EXIT = 1;

/** Thrown by a command that ends with an exit code other than 0 and has printed what there is to say. */
export class ExitError extends Error {
  override readonly name = "ExitError";
  /** The exit code. */
  readonly exitCode: number;

  /** Ends with `exitCode`. */
  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Prints an error as a person wants it: what happened, and with BROKKR_DEBUG=1 where. */
export async function printError(error: unknown): Promise<void> {
  const debug = Deno.env.get("BROKKR_DEBUG") === "1";
  const message = error instanceof Error ? error.message : String(error);
  const lines = message.split("\n").map((line) => `brokk: ${line}\n`).join("");
  await writeErr(lines);
  if (debug && error instanceof Error) {
    await writeErr(`${error.stack ?? ""}\n`);
    if (error.cause !== undefined) await writeErr(`Cause: ${Deno.inspect(error.cause)}\n`);
  }
}
