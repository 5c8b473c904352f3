/**
 * The `brokkr-control` process.
 *
 * @module
 */

import { onTermination } from "@brokkr/proto/rpc/server"; // mends http2, so it comes before anything that uses it
import { asBrokkrError, createLogger, invalidArgument, type Tracer } from "@brokkr/common";
import { type Config, loadProcessConfig } from "@brokkr/common/config";
import { type ControlHandle, type ControlOptions, startControl } from "./control.ts";
import deno from "./deno.json" with { type: "json" };

const NAME = "brokkr-control";
const encoder = new TextEncoder();

/** Beyond the grace, for closing what is open, before the process ends whatever happens. */
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

/** Spans when Deno exports them; without one, calls and actions have ids all the same, for the log. */
async function processTracer(): Promise<Tracer | undefined> {
  const exporting = Deno.env.get("OTEL_DENO");
  // Loaded only then: the library and a span for every call are not free.
  if (exporting !== "true" && exporting !== "1") return undefined;
  const { otelTracer } = await import("@brokkr/common/otel");
  return otelTracer(NAME);
}

async function optionsOf({ control, log }: Config): Promise<ControlOptions> {
  const [cert, key, clientCa] = await Promise.all([
    readPem("control.tls_cert", control.tlsCert),
    readPem("control.tls_key", control.tlsKey),
    readPem("control.tls_client_ca", control.tlsClientCa),
  ]);
  const { tlsCert: _cert, tlsKey: _key, tlsClientCa: _ca, shutdownGraceMs: _grace, ...rest } = control;
  const tls = cert === undefined || key === undefined
    ? {}
    : { tls: { cert, key, ...(clientCa === undefined ? {} : { clientCa }) } };
  const tracer = await processTracer();
  return { ...rest, ...tls, log: createLogger(log), ...(tracer === undefined ? {} : { tracer }) };
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

/** One line for who started us: where we listen. */
function tellReady({ grpcEndpoint, httpEndpoint }: ControlHandle): void {
  const address = (endpoint: string) => endpoint.replace(/^[a-z]+:\/\//, "");
  const ready = { grpc: address(grpcEndpoint), http: address(httpEndpoint ?? "") };
  try {
    print(`READY ${JSON.stringify(ready)}\n`);
  } catch {
    // Nobody reads standard output: there is no one to tell.
  }
}

async function serve(config: Config): Promise<void> {
  const log = createLogger(config.log);
  const graceMs = config.control.shutdownGraceMs;
  const handle = await startControl(await optionsOf(config));
  const end = () => {
    setTimeout(() => Deno.exit(1), graceMs + LAST_WORDS_MS);
    return handle.shutdown({ graceMs });
  };
  using _signals = onTermination(end, { log });
  if (Deno.env.get("BROKKR_PARENT_PIPE") === "1") void watchParent(() => void end());
  tellReady(handle);
  await handle.done;
}

/** The whole life of the process; ends it. `brokk` runs it in its own executable when it was compiled. */
export async function main(args: readonly string[] = Deno.args): Promise<void> {
  try {
    const { config, print: text } = await loadProcessConfig("control", args, {
      usage: `${NAME} [flags]`,
      about: "The control plane of a Brokkr grid: takes actions, schedules them, keeps blobs and results.",
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
