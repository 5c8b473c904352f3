/**
 * The `brokkr-worker` process.
 *
 * @module
 */

import { onTermination } from "@brokkr/proto/rpc/shutdown";
import { hashLongStreamsOnTwoThreads } from "@brokkr/cas/threads";
import { checkExposure } from "@brokkr/proto/rpc/server";
import { createLogger, type HealthReport, type Logger } from "@brokkr/common";
import type { Config } from "@brokkr/common/config";
import { keepMemory } from "@brokkr/common/memory_keeper";
import {
  flushSpans,
  processTracer,
  readPem,
  runProcess,
  tellReady,
  watchParent,
} from "@brokkr/common/process";
import { type HttpServer, serveHttp } from "@brokkr/common/http";
import { instrumentProcess } from "@brokkr/common/process_metrics";
import { type PrometheusMetrics, prometheusMetrics } from "@brokkr/common/prometheus";
import { CHECK_HOST_FLAG, checkHostCode } from "./check_host.ts";
import { startWorker, type WorkerHandle, type WorkerOptions } from "./worker.ts";
import deno from "./deno.json" with { type: "json" };

const NAME = "brokkr-worker";

/** What is left of the grace at the end for results to reach control, before the process ends whatever happens. */
const LAST_WORDS_MS = 10_000;

async function optionsOf(
  config: Config,
): Promise<WorkerOptions & { readonly metrics: PrometheusMetrics; readonly log: Logger }> {
  const { worker, log } = config;
  const [ca, cert, key] = await Promise.all([
    readPem("worker.tls_ca", worker.tlsCa),
    readPem("worker.tls_cert", worker.tlsCert),
    readPem("worker.tls_key", worker.tlsKey),
  ]);
  const tls = ca === undefined && cert === undefined && key === undefined ? undefined : { ca, cert, key };
  const logger = createLogger(log);
  const metrics = prometheusMetrics();
  const tracer = await processTracer({ name: NAME, version: deno.version }, { log: logger, metrics });
  return {
    control: worker.control,
    ...(tls === undefined ? {} : { tls }),
    compression: worker.compression,
    chunking: worker.chunking,
    dataDir: worker.dataDir,
    ...(worker.id === "" ? {} : { id: worker.id }),
    ...(worker.slots === 0 ? {} : { slots: worker.slots }),
    platform: worker.platform,
    sandbox: worker.sandbox
      ? { settings: worker, binds: worker.sandboxBinds, uidBase: worker.sandboxUidBase }
      : false,
    cacheSizeBytes: worker.cacheSizeBytes,
    outputLimitBytes: worker.stdoutLimitBytes,
    memoryBudgetBytes: worker.memoryBudgetBytes,
    log: logger,
    metrics,
    ...(tracer === undefined ? {} : { tracer }),
  };
}

/** The pages: they answer from the first moment, and say that the worker is ready while control may give it leases. */
function servePages(
  { worker }: Config,
  { metrics, log }: { readonly metrics: PrometheusMetrics; readonly log: Logger },
  handle: () => WorkerHandle | undefined,
): HttpServer | undefined {
  const { httpListen: listen, allowInsecureRemote } = worker;
  if (listen === "") return undefined;
  checkExposure(listen, undefined, allowInsecureRemote);
  const report = (): HealthReport => {
    const started = handle();
    const why = started === undefined ? "It is starting" : started.idleBecause;
    return why === undefined ? { ready: true, waiting: {} } : { ready: false, waiting: { control: why } };
  };
  return serveHttp({ listen, health: { report }, metrics, log });
}

async function serve(config: Config): Promise<void> {
  // What actions and their directories look like must not depend on the shell that started the worker.
  Deno.umask(0o022);
  const options = await optionsOf(config);
  const { log, metrics } = options;
  using _watch = instrumentProcess(metrics, { process: "worker", version: deno.version });
  let started: WorkerHandle | undefined;
  const pages = servePages(config, options, () => started);
  const graceMs = config.worker.shutdownGraceMs;
  // Until control answers there may be nothing else that keeps the process alive.
  const alive = setInterval(() => {}, 1 << 30);
  const starting = startWorker(options);
  // Also while it starts: then it ends once it has started.
  const end = async () => {
    setTimeout(() => Deno.exit(1), graceMs + LAST_WORDS_MS);
    await (await starting).shutdown({ graceMs }).finally(flushSpans);
  };
  using _signals = onTermination(end, { log });
  const handle = started = await starting;
  using _memory = keepMemory({ limitBytes: config.worker.memoryBudgetBytes });
  void watchParent(() => void end());
  const http: Record<string, string> = pages === undefined
    ? {}
    : { http: pages.endpoint.replace("http://", "") };
  // It may end before it was ever ready: then there is nothing to tell.
  handle.ready.then(() => tellReady({ id: handle.id, ...http }), () => {});
  await handle.done;
  // Ended by shutdown, or because control drained it: what is still being closed is closed here.
  await handle.shutdown();
  await pages?.shutdown();
  clearInterval(alive);
}

/** The whole life of the process; ends it. `brokk` runs it in its own executable when it was compiled. */
export async function main(args: readonly string[] = Deno.args): Promise<void> {
  if (args.includes(CHECK_HOST_FLAG)) {
    Deno.exit(await checkHostCode(args, { name: NAME, version: deno.version }));
  }
  hashLongStreamsOnTwoThreads();
  await runProcess({
    process: "worker",
    name: NAME,
    about:
      "Runs actions for a Brokkr grid: leases them from the control plane, one for each slot. With --check-host it tells " +
      "whether actions can be isolated on this machine, and ends.",
    version: deno.version,
    serve,
  }, args);
}

if (import.meta.main) await main();
