/**
 * What the processes of a grid have in common: how they are configured, how they tell that they serve, how they end.
 *
 * @module
 */

import { asBrokkrError, invalidArgument } from "./errors.ts";
import { type Config, loadProcessConfig } from "./config.ts";
import type { Tracer } from "./trace.ts";

const encoder = new TextEncoder();

/** Writes text to standard output at once. */
export function print(text: string): void {
  const bytes = encoder.encode(text);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

/** One line for who started the process: that it serves, and where. */
export function tellReady(ready: Readonly<Record<string, string>>): void {
  try {
    print(`READY ${JSON.stringify(ready)}\n`);
  } catch {
    // Nobody reads standard output: there is no one to tell.
  }
}

/**
 * The text of a PEM file; undefined when `path` is empty.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming `key` when the file cannot be read.
 */
export async function readPem(key: string, path: string): Promise<string | undefined> {
  if (path === "") return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw invalidArgument("", `${key}: ${path} cannot be read: ${asBrokkrError(error).message}`, error);
  }
}

/**
 * A tracer when Deno exports spans (`OTEL_DENO=true`). The library is loaded only then: it and a span for every call are
 * not free.
 */
export async function processTracer(name: string): Promise<Tracer | undefined> {
  const exporting = Deno.env.get("OTEL_DENO");
  if (exporting !== "true" && exporting !== "1") return undefined;
  const { otelTracer } = await import("./otel.ts");
  return otelTracer(name);
}

/**
 * With `BROKKR_PARENT_PIPE=1`, calls `end` when the parent that holds our standard input goes away, however it does.
 */
export async function watchParent(end: () => void): Promise<void> {
  if (Deno.env.get("BROKKR_PARENT_PIPE") !== "1") return;
  const buffer = new Uint8Array(256);
  try {
    while (await Deno.stdin.read(buffer) !== null);
  } catch {
    // A broken pipe says the same as its end.
  }
  end();
}

/** One kind of process. */
export interface ProcessKind {
  /** Its section of the configuration. */
  readonly process: "control" | "worker";
  /** Its name in messages, such as `brokkr-control`. */
  readonly name: string;
  /** What it does, for `--help`. */
  readonly about: string;
  /** Version of the software. */
  readonly version: string;
  /** Serves until it is told to end. */
  serve(config: Config): Promise<void>;
}

/** The whole life of a process; ends it: with 0 after it served, with 2 and a message when it could not. */
export async function runProcess(kind: ProcessKind, args: readonly string[]): Promise<void> {
  const { process, name, about, version } = kind;
  try {
    const { config, print: text } = await loadProcessConfig(process, args, {
      usage: `${name} [flags]`,
      about,
      version,
    });
    if (text !== undefined) return print(text);
    await kind.serve(config);
    Deno.exit(0);
  } catch (error) {
    console.error(`${name}: ${asBrokkrError(error).message}`);
    Deno.exit(2);
  }
}
