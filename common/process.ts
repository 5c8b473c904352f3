/**
 * What the processes of a grid have in common: how they are configured, how they tell that they serve, how they end.
 *
 * @module
 */

import { asBrokkrError, invalidArgument } from "./errors.ts";
import { type Config, loadProcessConfig } from "./config.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { otlpWanted } from "./_otlp_settings.ts";
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

/** Time for the last spans to leave at the end. */
const LAST_SPANS_MS = 2000;
let closeTracer: (() => Promise<void>) | undefined;

/** Sends what spans there are, for two seconds at most; to be awaited before the process ends. */
export async function flushSpans(): Promise<void> {
  await closeTracer?.();
}

/**
 * A tracer when the environment says by `OTEL_EXPORTER_OTLP_ENDPOINT` and its siblings where spans go. What is wrong with
 * them is logged, and no reason not to serve: they are not ours alone. The exporter is loaded only then.
 */
export async function processTracer(
  about: { readonly name: string; readonly version: string },
  { log, metrics }: { readonly log: Logger; readonly metrics: Metrics },
): Promise<Tracer | undefined> {
  const env = Deno.env.toObject();
  if (!otlpWanted(env)) return undefined;
  const { otlpSettings, otlpTracer } = await import("./otlp.ts");
  const { value: settings, error } = otlpSettings(env, about.name);
  if (error !== undefined) log.warn("Spans are not exported", { error });
  if (settings === undefined) return undefined;
  const spans = metrics.counter("brokkr_spans_total", "Spans recorded, by what became of them", ["outcome"]);
  const tracer = otlpTracer(settings, {
    scope: about,
    events: {
      exported: (count) => spans.add({ outcome: "exported" }, count),
      dropped: (count) => spans.add({ outcome: "dropped" }, count),
      trouble: (why) => {
        if (why === undefined) log.info("Spans are exported again");
        else log.warn("Spans cannot be exported; they are dropped until they can", { error: why });
      },
    },
  });
  closeTracer = () => tracer.close(LAST_SPANS_MS);
  log.info("Exporting spans", { protocol: settings.protocol });
  return tracer;
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
    await flushSpans();
    Deno.exit(0);
  } catch (error) {
    console.error(`${name}: ${asBrokkrError(error).message}`);
    Deno.exit(2);
  }
}
