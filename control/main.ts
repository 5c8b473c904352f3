/**
 * The `brokkr-control` process.
 *
 * @module
 */

import { onTermination } from "@brokkr/proto/rpc/server"; // mends http2, so it comes before anything that uses it
import { hashLongStreamsOnTwoThreads } from "@brokkr/cas/threads";
import { createLogger } from "@brokkr/common";
import { keepMemory } from "@brokkr/common/memory_keeper";
import { instrumentProcess } from "@brokkr/common/process_metrics";
import { type PrometheusMetrics, prometheusMetrics } from "@brokkr/common/prometheus";
import type { Config } from "@brokkr/common/config";
import {
  flushSpans,
  processTracer,
  readPem,
  runProcess,
  tellReady,
  watchParent,
} from "@brokkr/common/process";
import { startControl } from "./control.ts";
import type { ControlOptions } from "./control_options.ts";
import deno from "./deno.json" with { type: "json" };

const NAME = "brokkr-control";

/** Beyond the grace, for closing what is open, before the process ends whatever happens. */
const LAST_WORDS_MS = 10_000;

async function optionsOf(
  { control, log }: Config,
): Promise<ControlOptions & { readonly metrics: PrometheusMetrics }> {
  const [cert, key, clientCa] = await Promise.all([
    readPem("control.tls_cert", control.tlsCert),
    readPem("control.tls_key", control.tlsKey),
    readPem("control.tls_client_ca", control.tlsClientCa),
  ]);
  const { tlsCert: _cert, tlsKey: _key, tlsClientCa: _ca, shutdownGraceMs: _grace, ...rest } = control;
  const tls = cert === undefined || key === undefined
    ? {}
    : { tls: { cert, key, ...(clientCa === undefined ? {} : { clientCa }) } };
  const metrics = prometheusMetrics();
  const logger = createLogger(log);
  const about = { name: NAME, version: deno.version };
  const tracer = await processTracer(about, { log: logger, metrics });
  return { ...rest, ...tls, log: logger, metrics, ...(tracer === undefined ? {} : { tracer }) };
}

/** `host:port` of an endpoint. */
function address(endpoint = ""): string {
  return endpoint.replace(/^[a-z]+:\/\//, "");
}

async function serve(config: Config): Promise<void> {
  const log = createLogger(config.log);
  const graceMs = config.control.shutdownGraceMs;
  const options = await optionsOf(config);
  using _watch = instrumentProcess(options.metrics, { process: "control", version: deno.version });
  const starting = startControl(options);
  // Also while it starts, which takes a while with a large store: then it ends once it has started.
  const end = async () => {
    setTimeout(() => Deno.exit(1), graceMs + LAST_WORDS_MS);
    await (await starting).shutdown({ graceMs }).finally(flushSpans);
  };
  using _signals = onTermination(end, { log });
  const handle = await starting;
  using _memory = keepMemory({ limitBytes: 0.5 * config.control.memoryBudgetBytes });
  void watchParent(() => void end());
  tellReady({
    grpc: address(handle.grpcEndpoint),
    http: address(handle.httpEndpoint),
    httpCache: address(handle.httpCacheEndpoint),
  });
  await handle.done;
}

/** The whole life of the process; ends it. `brokk` runs it in its own executable when it was compiled. */
export async function main(args: readonly string[] = Deno.args): Promise<void> {
  hashLongStreamsOnTwoThreads();
  await runProcess({
    process: "control",
    name: NAME,
    about: "The control plane of a Brokkr grid: takes actions, schedules them, keeps blobs and results.",
    version: deno.version,
    serve,
  }, args);
}

if (import.meta.main) await main();
