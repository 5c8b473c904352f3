/**
 * What the commands that look after the store have in common.
 *
 * @module
 */

import { parseDigestText } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import { formatDuration, humanSize, parseDuration, parseSize } from "@brokkr/common/units";
import { InvalidArgumentError } from "commander";
import type { ConnectionFlags } from "../_connection.ts";
import { ExitError } from "../_exit.ts";
import { writeErr } from "../_terminal.ts";
import { timestampMs } from "./_shared.ts";

/** Flags that most of them have. */
export interface StoreFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** Checks a digest on the command line; of which function it is, is known when the flags are: {@linkcode Client.digest}. */
export function digestArgument(text: string): string {
  if (/^(?:[a-z0-9]+:)?[0-9a-f]{32,128}$/.test(text)) {
    throw new InvalidArgumentError("A hash alone does not name a blob; write it as HASH/SIZE.");
  }
  try {
    parseDigestText(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(
      error instanceof Error ? `${error.message.replace(/ \(field .*\)$/, "")}.` : "",
    );
  }
}

/** Checks several of them. */
export function digestArguments(text: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), digestArgument(text)];
}

/** Reads a size off the command line. */
export function sizeArgument(text: string): number {
  const { value, error } = parseSize(text);
  if (error === undefined) return value;
  throw new InvalidArgumentError(`${JSON.stringify(text)} ${error}.`);
}

/** Reads a duration off the command line. */
export function durationArgument(text: string): number {
  const { value, error } = parseDuration(text);
  if (error !== undefined) throw new InvalidArgumentError(`${JSON.stringify(text)} ${error}.`);
  if (value === 0) throw new InvalidArgumentError(`${JSON.stringify(text)} is not longer than nothing.`);
  return value;
}

/** A count as it is sent. */
export type WireCount = { readonly blobs: number; readonly bytes: number } | undefined;

/** `12 blobs, 3.4 MiB`. */
export function countText(count: WireCount): string {
  const { blobs, bytes } = count ?? { blobs: 0, bytes: 0 };
  return `${blobs} ${blobs === 1 ? "blob" : "blobs"}, ${humanSize(bytes)}`;
}

/** A whole number of hours, days or whatever fits: `3h`, `30d`. */
export function roundDuration(ms: number): string {
  for (const unitMs of [86_400_000, 3_600_000, 60_000, 1000]) {
    if (ms >= 2 * unitMs) return formatDuration(Math.round(ms / unitMs) * unitMs).replace(/(?<=d).*/, "");
  }
  return formatDuration(Math.round(ms));
}

/** Time for people, to the second: `2026-11-21 18:20:11Z`. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");
}

/** A Timestamp as JSON has it; undefined when there is none. */
export function isoTime(timestamp: Parameters<typeof timestampMs>[0]): string | undefined {
  return timestamp === undefined ? undefined : new Date(timestampMs(timestamp)).toISOString();
}

/** Does work that SIGINT and SIGTERM end: its signal aborts, and the exit code says so. A second one ends at once. */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const listeners = ([["SIGINT", 130], ["SIGTERM", 143]] as const).map(([name, code]) => {
    const listener = () => {
      if (exitCode !== undefined) Deno.exit(code);
      exitCode = code;
      controller.abort(new BrokkrError(Code.CANCELLED, "Interrupted"));
    };
    Deno.addSignalListener(name, listener);
    return () => Deno.removeSignalListener(name, listener);
  });
  try {
    await work(controller.signal);
  } catch (error) {
    if (exitCode === undefined || error instanceof ExitError) throw error;
    await writeErr("brokk: interrupted\n");
    throw new ExitError(exitCode);
  } finally {
    for (const remove of listeners) remove();
  }
}

/** Writes pieces to a file that shows only when it is whole. */
export async function writeWhole(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const at = path.lastIndexOf("/") + 1;
  const temporary = await Deno.makeTempFile({
    dir: at === 0 ? "." : path.slice(0, at),
    prefix: ".brokkr-",
    suffix: ".tmp",
  });
  try {
    using file = await Deno.open(temporary, { write: true });
    for await (const piece of pieces) {
      for (let done = 0; done < piece.length;) done += await file.write(piece.subarray(done));
    }
    await Deno.chmod(temporary, 0o666 & ~Deno.umask());
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary);
    throw error;
  }
}
