/**
 * The HTTP port: whether the process lives, whether it is ready, and what it measures.
 *
 * @module
 */

import type { Health, Logger } from "@brokkr/common";
import { parseHostPort } from "@brokkr/common/units";
import { BrokkrError, Code, invalidArgument } from "@brokkr/common";
import type { PrometheusMetrics } from "@brokkr/common/prometheus";

/** What the HTTP port serves. */
export interface HttpOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly health: Health;
  readonly metrics: PrometheusMetrics;
  readonly log: Logger;
}

/** A listening HTTP port. */
export interface HttpServer {
  /** Such as `http://127.0.0.1:8981`. */
  readonly endpoint: string;
  /** Stops listening; running requests end first. */
  shutdown(): Promise<void>;
}

const TEXT = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };

/**
 * Serves `/livez`, `/readyz` and `/metrics`.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when the port is in use.
 */
export function serveHttp(options: HttpOptions): HttpServer {
  const parsed = parseHostPort(options.listen);
  if (parsed.error !== undefined) throw invalidArgument("http_listen", `HTTP address ${parsed.error}`);
  const { host: hostname, port } = parsed.value;
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve(
      {
        hostname,
        port,
        onListen: () => {},
        onError(error) {
          options.log.error("An HTTP request failed", { error });
          return new Response("Internal error; the server's log tells more\n", {
            status: 500,
            headers: TEXT,
          });
        },
      },
      (request) => answer(request, options),
    );
  } catch (error) {
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `Cannot listen on ${options.listen} for HTTP: ${
        error instanceof Error ? error.message : String(error)
      }; ` +
        "stop what listens there or name another address",
      { cause: error },
    );
  }
  const shownHost = server.addr.hostname.includes(":") ? `[${server.addr.hostname}]` : server.addr.hostname;
  return {
    endpoint: `http://${shownHost}:${server.addr.port}`,
    shutdown: () => server.shutdown(),
  };
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
      const { ready, waiting } = health.report();
      const lines = Object.entries(waiting).map(([part, reason]) => `${part}: ${reason}\n`).join("");
      return new Response(ready ? "ok\n" : lines, { status: ready ? 200 : 503, headers: TEXT });
    }
    case "/metrics": {
      const { contentType, body } = await metrics.expose();
      return new Response(body, { headers: { "content-type": contentType, "cache-control": "no-store" } });
    }
  }
  return new Response("Not found; there are /livez, /readyz and /metrics\n", { status: 404, headers: TEXT });
}
