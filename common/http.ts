/**
 * The HTTP port of a process: whether it lives, whether it is ready, and what it measures.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument } from "./errors.ts";
import type { Health } from "./health.ts";
import { LastingServer } from "./_lasting_server.ts";
import type { Logger } from "./log.ts";
import type { PrometheusMetrics } from "./prometheus.ts";
import { parseHostPort } from "./units.ts";

/** What the HTTP port serves. */
export interface HttpOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** What `/readyz` tells. */
  readonly health: Pick<Health, "report">;
  /** What `/metrics` tells. */
  readonly metrics: PrometheusMetrics;
  /** Where failures are told. */
  readonly log: Logger;
}

/** A listening HTTP port. */
export interface HttpServer {
  /** Such as `http://127.0.0.1:8981`. */
  readonly endpoint: string;
  /** Stops listening; running requests end first, but are not waited for longer than two seconds. */
  shutdown(): Promise<void>;
}

/** How long requests that run are waited for at the end. */
const SHUTDOWN_MS = 2000;

const TEXT = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
const JSON_TEXT = { "content-type": "application/json", "cache-control": "no-store" };

/**
 * Serves `/livez`, `/readyz` and `/metrics`.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT for a malformed address; FAILED_PRECONDITION when the port is in use.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Health, noLog } from "@brokkr/common";
 * import { serveHttp } from "@brokkr/common/http";
 * import { prometheusMetrics } from "@brokkr/common/prometheus";
 * const health = new Health();
 * health.set("store", "The store is being opened");
 * const http = serveHttp({ listen: "127.0.0.1:0", health, metrics: prometheusMetrics(), log: noLog });
 * const response = await fetch(`${http.endpoint}/readyz`);
 * assertEquals(response.status, 503);
 * assertEquals(await response.json(), { ready: false, waiting: { store: "The store is being opened" } });
 * await http.shutdown();
 * ```
 */
export function serveHttp(options: HttpOptions): HttpServer {
  const parsed = parseHostPort(options.listen);
  if (parsed.error !== undefined) throw invalidArgument("http_listen", `HTTP address ${parsed.error}`);
  const { host: hostname, port } = parsed.value;
  const { log } = options;
  let server: LastingServer;
  try {
    server = new LastingServer({
      hostname,
      port,
      log,
      handler: (request) => answer(request, options),
      onError(error) {
        log.error("An HTTP request failed", { error });
        return new Response("Internal error; the log of the process tells more\n", {
          status: 500,
          headers: TEXT,
        });
      },
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `Cannot listen on ${options.listen} for HTTP: ${why}; stop what listens there or name another address`,
      { cause: error },
    );
  }
  const shownHost = server.addr.hostname.includes(":") ? `[${server.addr.hostname}]` : server.addr.hostname;
  return {
    endpoint: `http://${shownHost}:${server.addr.port}`,
    shutdown: () => within(server.shutdown(), SHUTDOWN_MS),
  };
}

/** Resolves with `ending`, or after `ms`: a peer that never sends the rest of its request would be waited for forever. */
async function within(ending: Promise<void>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([ending, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function answer(request: Request, { health, metrics }: HttpOptions): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("Only GET and HEAD are served\n", {
      status: 405,
      headers: { ...TEXT, allow: "GET, HEAD" },
    });
  }
  switch (pathname) {
    case "/livez":
      return new Response("ok\n", { headers: TEXT });
    case "/readyz": {
      const report = health.report();
      return new Response(JSON.stringify(report) + "\n", {
        status: report.ready ? 200 : 503,
        headers: JSON_TEXT,
      });
    }
    case "/metrics": {
      const { contentType, body } = await metrics.expose();
      return new Response(body, { headers: { "content-type": contentType, "cache-control": "no-store" } });
    }
  }
  return new Response("Not found; there are /livez, /readyz and /metrics\n", { status: 404, headers: TEXT });
}
