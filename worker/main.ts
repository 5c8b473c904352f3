/**
 * The `brokkr-worker` process.
 *
 * @module
 */

import { onTermination } from "@brokkr/proto/rpc/server"; // mends http2, so it comes before anything that uses it
import { asBrokkrError, createLogger, invalidArgument, type Tracer } from "@brokkr/common";
import { type Config, loadProcessConfig } from "@brokkr/common/config";
import { startWorker, type WorkerHandle, type WorkerOptions } from "./worker.ts";
import deno from "./deno.json" with { type: "json" };

const NAME = "brokkr-worker";
const encoder = new TextEncoder();

/** What is left of the grace at the end for results to reach control, before the process ends whatever happens. */
const LAST_WORDS_MS = 10_000;

function print(text: string): void {
  const bytes = encoder.encode(text);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

async function readPem(key: string, path: string): Promise<string | undefined> {
  if (path === "") return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw invalidArgument("", `${key}: ${path} cannot be read: ${asBrokkrError(error).message}`, error);
  }
}

/** Spans where Deno exports them; the library is not even loaded where it does not. */
async function processTracer(): Promise<Tracer | undefined> {
  const exporting = Deno.env.get("OTEL_DENO");
  if (exporting !== "true" && exporting !== "1") return undefined;
  const { otelTracer } = await import("@brokkr/common/otel");
  return otelTracer(NAME);
}

async function optionsOf(config: Config): Promise<WorkerOptions> {
  const { worker, log } = config;
  const [ca, cert, key] = await Promise.all([
    readPem("worker.tls_ca", worker.tlsCa),
    readPem("worker.tls_cert", worker.tlsCert),
    readPem("worker.tls_key", worker.tlsKey),
  ]);
  const tls = ca === undefined && cert === undefined && key === undefined ? undefined : { ca, cert, key };
  const tracer = await processTracer();
  return {
    control: worker.control,
    ...(tls === undefined ? {} : { tls }),
    dataDir: worker.dataDir,
    ...(worker.id === "" ? {} : { id: worker.id }),
    ...(worker.slots === 0 ? {} : { slots: worker.slots }),
    platform: worker.platform,
    cacheSizeBytes: worker.cacheSizeBytes,
    outputLimitBytes: worker.stdoutLimitBytes,
    memoryBudgetBytes: worker.memoryBudgetBytes,
    log: createLogger(log),
    ...(tracer === undefined ? {} : { tracer }),
  };
}

/** Calls `end` when the parent that holds our standard input goes away, however it does. */
async function watchParent(end: () => void): Promise<void> {
  const buffer = new Uint8Array(256);
  try {
    while (await Deno.stdin.read(buffer) !== null);
  } catch {
    // A broken pipe says the same as its end.
  }
  end();
}

async function tellReady(handle: WorkerHandle): Promise<void> {
  try {
    await handle.ready;
    print(`READY ${JSON.stringify({ id: handle.id })}\n`);
  } catch {
    // It ended before, or nobody reads its standard output: there is no one to tell.
  }
}

async function serve(config: Config): Promise<void> {
  // What actions and their directories look like must not depend on the shell that started the worker.
  Deno.umask(0o022);
  const options = await optionsOf(config);
  const log = createLogger(config.log);
  const graceMs = config.worker.shutdownGraceMs;
  // Until control answers there may be nothing else that keeps the process alive.
  const alive = setInterval(() => {}, 1 << 30);
  const handle: WorkerHandle = await startWorker(options);
  const end = () => {
    setTimeout(() => Deno.exit(1), graceMs + LAST_WORDS_MS);
    return handle.shutdown({ graceMs });
  };
  using _signals = onTermination(end, { log });
  if (Deno.env.get("BROKKR_PARENT_PIPE") === "1") void watchParent(() => void end());
  void tellReady(handle);
  await handle.done;
  // Ended by shutdown, or because control drained it: what is still being closed is closed here.
  await handle.shutdown();
  clearInterval(alive);
}

/** The whole life of the process; ends it. `brokk` runs it in its own executable when it was compiled. */
export async function main(args: readonly string[] = Deno.args): Promise<void> {
  try {
    const { config, print: text } = await loadProcessConfig("worker", args, {
      usage: `${NAME} [flags]`,
      about: "Runs actions for a Brokkr grid: leases them from the control plane, one for each slot.",
      version: deno.version,
    });
    if (text !== undefined) return print(text);
    await serve(config);
    Deno.exit(0);
  } catch (error) {
    const { message } = asBrokkrError(error);
    console.error(`${NAME}: ${message}`);
    Deno.exit(2);
  }
}

if (import.meta.main) await main();
