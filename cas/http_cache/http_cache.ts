/**
 * The store and the action cache over plain HTTP/1.1, for clients that do not speak gRPC: GET, HEAD and PUT of
 * `[/instance]/ac/<key>` and `[/instance]/cas/<sha256>`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { type PeerCertificate, TLSSocket } from "node:tls";
import {
  type Access,
  BrokkrError,
  type Clock,
  Code,
  type Logger,
  noLog,
  type Principal,
  type Scope,
  scopeOf,
  systemClock,
  type TimerHandle,
  unavailable,
} from "@brokkr/common";
import {
  bindError,
  checkExposure,
  connectionsWithin,
  defaultAuthenticate,
  descriptorLimit,
  formatHostPort,
  parseHostPort,
  wakeListener,
} from "@brokkr/proto/rpc/server";
import { CLIENT_ENVIRONMENT } from "../action_cache/action_cache.ts";
import type { Backend } from "./_backend.ts";
import { serveBlob, takeBlob } from "./_blobs.ts";
import { Exchange } from "./_exchange.ts";
import {
  DEFAULT_HTTP_CACHE_LIMITS,
  type HttpCacheLimits,
  type HttpCacheOptions,
} from "./http_cache_options.ts";
import { HttpError } from "./_http_error.ts";
import { Lines } from "./_lines.ts";
import { httpCacheMeters, type Meters, type Outcome } from "./_meters.ts";
import { serveResult, takeResult } from "./_results.ts";
import { parseTarget, USAGE } from "./_target.ts";

/** An HTTP cache that serves. */
export interface HttpCacheServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:8982`. */
  readonly endpoint: string;
  /** Stops listening; running requests have `graceMs` (10 s by default) to end. */
  shutdown(options?: { readonly graceMs?: number }): Promise<void>;
}

const DEFAULT_GRACE_MS = 10_000;
/** Largest head of a request, in bytes. */
const MAX_HEAD_BYTES = 16 << 10;
/** Who was refused memory does not wait for it, and still wants it for so long. */
const REFUSED_MS = 2000;
const ONLY_CLIENTS: readonly string[] = [CLIENT_ENVIRONMENT];
const NO_INSTANCE = { allow: "GET, HEAD, PUT" };

/** What a malformed request is told; by the parser's code. */
const PARSE_ERRORS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/**
 * Starts to serve.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when the port is in use, when others can reach the address and nothing would
 * check who they are, or when the store cannot tell the size of a blob by its hash.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ActionCache, digestOf, MemoryBlobStore, MemoryMetadataStore, SHA256 } from "@brokkr/cas";
 * import { serveHttpCache } from "@brokkr/cas/http_cache";
 * import { defaultPolicy } from "@brokkr/proto/rpc/server";
 * await using metadata = new MemoryMetadataStore();
 * await using store = new MemoryBlobStore(1 << 20);
 * await using http = await serveHttpCache({
 *   listen: "127.0.0.1:0",
 *   authorize: defaultPolicy({ anonymousAccess: ["read", "write"] }),
 *   store,
 *   cache: new ActionCache({ metadata, blobs: store }),
 * });
 * const data = new TextEncoder().encode("hello");
 * const url = `${http.endpoint}/cas/${digestOf(SHA256, data).hash}`;
 * assertEquals((await fetch(url, { method: "PUT", body: data })).status, 200);
 * assertEquals(await (await fetch(url, { headers: { range: "bytes=1-3" } })).text(), "ell");
 * ```
 */
export async function serveHttpCache(options: HttpCacheOptions): Promise<HttpCacheServer> {
  checkExposure(options.listen, options.tls, options.allowInsecureRemote ?? false);
  if (options.store.sizeOf === undefined) {
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      "This store cannot tell the size of a blob by its hash, which is all that HTTP clients know of it",
    );
  }
  const cache = new HttpCache(options);
  await cache.listen();
  return cache;
}

class HttpCache implements HttpCacheServer {
  endpoint = "";
  readonly #options: HttpCacheOptions;
  readonly #limits: HttpCacheLimits;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #meters: Meters;
  readonly #backend: Backend;
  readonly #server: Server;
  readonly #lines: Lines;
  readonly #exchanges = new Set<Exchange>();
  #refusedMs = -Infinity;
  #draining = false;
  #drained: (() => void) | undefined;
  #sweep: TimerHandle | undefined;
  #shutdown: Promise<void> | undefined;

  constructor(options: HttpCacheOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_HTTP_CACHE_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? noLog;
    this.#meters = httpCacheMeters(options.metrics);
    this.#backend = {
      store: options.store,
      cache: options.cache,
      environments: options.environments ?? (() => ONLY_CLIENTS),
      budget: options.budget,
      maxBlobBytes: options.maxBlobBytes ?? Infinity,
      validateAc: options.validateAc ?? true,
      budgetWaitMs: this.#limits.budgetWaitMs,
      clock: this.#clock,
      meters: this.#meters,
      onRefused: () => this.#refusedMs = this.#clock.monotonicMs(),
    };
    const most = connectionsWithin(this.#limits.maxConnections, descriptorLimit(), this.#log);
    this.#lines = new Lines(most, this.#clock, this.#log, (count) => this.#meters.connections(count));
    this.#server = this.#makeServer();
  }

  async listen(): Promise<void> {
    const { listen, tls } = this.#options;
    const { host, port } = parseHostPort(listen);
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error) => reject(bindError(listen, error)));
      this.#server.listen({ host, port }, () => resolve());
    });
    this.#server.on("error", (error) => this.#log.error("The HTTP cache failed to listen", { error }));
    const address = this.#server.address();
    const bound = typeof address === "object" && address !== null ? address.port : port;
    this.endpoint = `${tls === undefined ? "http" : "https"}://${formatHostPort(host, bound)}`;
    this.#scheduleSweep();
  }

  shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    return this.#shutdown ??= this.#end(options.graceMs ?? DEFAULT_GRACE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown({ graceMs: 0 });
  }

  #makeServer(): Server {
    const { tls } = this.#options;
    const { handshakeMs, maxConnectionIdleMs } = this.#limits;
    const common = {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: handshakeMs,
      // Uploads may take as long as they go on; see Patience.
      requestTimeout: 0,
      keepAliveTimeout: maxConnectionIdleMs,
      connectionsCheckingInterval: Math.min(1000, Math.max(10, handshakeMs / 4)),
    };
    const server = tls === undefined ? createServer(common) : createTlsServer({
      ...common,
      cert: Buffer.from(tls.cert),
      key: Buffer.from(tls.key),
      handshakeTimeout: handshakeMs,
      ...(tls.clientCa === undefined
        ? {}
        : { ca: Buffer.from(tls.clientCa), requestCert: true, rejectUnauthorized: true }),
    });
    server.on("connection", (socket: Socket) => this.#lines.add(socket));
    server.on("request", (request, response) => this.#onRequest(request, response, false));
    server.on("checkContinue", (request, response) => this.#onRequest(request, response, true));
    server.on("clientError", (error, socket) => this.#onMalformed(error, socket as Socket));
    server.on("tlsClientError", (error: Error, socket: Socket) => {
      this.#log.debug("A connection failed", { error: error.message });
      socket.destroy();
    });
    return server;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const exchange = new Exchange({
      request,
      response,
      expectsContinue,
      closing: () => this.#draining,
      stallMs: this.#limits.stallTimeoutMs,
      clock: this.#clock,
    });
    this.#exchanges.add(exchange);
    const run = () => this.#run(exchange, request).finally(() => this.#leave(exchange));
    if (request.httpVersionMajor >= 1 && this.#lines.enqueue(request.socket, run)) return;
    this.#leave(exchange);
    request.socket.destroy();
  }

  #leave(exchange: Exchange): void {
    this.#exchanges.delete(exchange);
    if (this.#exchanges.size === 0) this.#drained?.();
  }

  async #run(exchange: Exchange, request: IncomingMessage): Promise<void> {
    if (request.socket.destroyed) return; // it waited for its turn, and its client did not
    let principal: Principal | undefined;
    this.#meters.began();
    try {
      // It was malformed before its turn came.
      if (exchange.error !== undefined) throw exchange.error;
      if (this.#draining) throw unavailable("The server is shutting down");
      principal = this.#principalOf(request.socket);
      await this.#handle(exchange, request.url ?? "", principal);
    } catch (error) {
      await exchange.fail(error);
    } finally {
      this.#ended(exchange, request, principal);
    }
  }

  async #handle(exchange: Exchange, url: string, principal: Principal): Promise<void> {
    const target = parseTarget(url);
    const { method } = exchange;
    const access = ACCESS[method];
    if (access === undefined) {
      throw new HttpError(405, `${JSON.stringify(method)} is not served. ${USAGE}`, NO_INSTANCE);
    }
    if (target.kind === "status") {
      if (access !== "read") {
        throw new HttpError(405, `Nothing can be put here. ${USAGE}`, { allow: "GET, HEAD" });
      }
      this.#authorize(principal, "public", method);
      return await exchange.say(200, `Brokkr's HTTP cache. ${USAGE}`);
    }
    exchange.cache = target.kind;
    const scope = this.#scope(principal, access, method, target.instance);
    if (target.kind === "cas") {
      await (access === "read" ? serveBlob : takeBlob)(this.#backend, exchange, scope, target.hash);
    } else {
      await (access === "read" ? serveResult : takeResult)(this.#backend, exchange, scope, target.hash);
    }
  }

  /** Empty unless the certificate was verified against the client CA. */
  #principalOf(socket: Socket): Principal {
    const { tls } = this.#options;
    const peer = { address: `${socket.remoteAddress}:${socket.remotePort}`, encrypted: tls !== undefined };
    if (tls?.clientCa === undefined) return defaultAuthenticate(peer);
    const certificateName = socket instanceof TLSSocket && socket.authorized
      ? commonName(socket.getPeerCertificate())
      : undefined;
    if (certificateName !== undefined) return defaultAuthenticate({ ...peer, certificateName });
    throw new HttpError(401, "Client certificate is missing, unverified, or has no common name");
  }

  #scope(principal: Principal, access: Access, method: string, instance: string): Scope {
    const scope = scopeOf(instance);
    this.#authorize(principal, access, method, scope);
    return scope;
  }

  #authorize(principal: Principal, access: Access, method: string, scope?: Scope): void {
    const path = `/HttpCache/${method}`;
    const { authorize } = this.#options;
    if (
      authorize(principal, access, path) &&
      (scope === undefined || authorize(principal, access, path, scope.instance))
    ) {
      return;
    }
    const where = scope === undefined ? "" : ` to instance ${JSON.stringify(scope.instance)}`;
    throw new HttpError(403, `${principal.name} has no ${access} access${where}`);
  }

  /** The parser does not understand what came, or it took too long. */
  #onMalformed(error: Error, socket: Socket): void {
    const { code = "" } = error as { code?: string };
    this.#log.debug("A request to the HTTP cache was malformed", { code, error: error.message });
    const exchange = [...this.#exchanges].find((each) => each.isOn(socket) && !each.body.ended);
    if (exchange !== undefined && socket.writable) {
      return exchange.cut(new HttpError(400, "The body is malformed, or broke off"));
    }
    // An answer that is under way must not be continued with another.
    if (socket.destroyed || !socket.writable || this.#lines.isBusy(socket)) return void socket.destroy();
    const status = PARSE_ERRORS[code] ?? "400 Bad Request";
    const answer = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
    socket.end(answer, () => socket.destroy());
    // Who does not even take that is not waited for.
    this.#clock.setTimer(this.#limits.handshakeMs, () => socket.destroy());
  }

  #ended(exchange: Exchange, request: IncomingMessage, principal: Principal | undefined): void {
    const { method, cache, error, status } = exchange;
    const ms = this.#clock.monotonicMs() - exchange.startedMs;
    this.#meters.ended(method, cache, outcomeOf(exchange), ms);
    const fields = {
      method: `HTTP ${method}`,
      status,
      ms: Math.round(ms * 100) / 100,
      path: (request.url ?? "").slice(0, 200),
      peer: `${request.socket.remoteAddress}:${request.socket.remotePort}`,
      principal: principal?.name,
      ...(error === undefined ? {} : { error: error.message }),
    };
    if (error?.code === Code.INTERNAL) this.#log.warn("Call failed", { ...fields, error });
    else this.#log.debug("Call ended", fields);
  }

  get #pressed(): boolean {
    return (this.#options.budget?.waiters ?? 0) > 0 || this.#options.pressed?.() === true ||
      this.#clock.monotonicMs() - this.#refusedMs < REFUSED_MS;
  }

  #scheduleSweep(): void {
    const everyMs = Math.min(Math.max(this.#limits.stallTimeoutMs / 4, 10), 1000);
    this.#sweep = this.#clock.setTimer(everyMs, () => {
      wakeListener(this.#server as Parameters<typeof wakeListener>[0]);
      const nowMs = this.#clock.monotonicMs();
      const pressed = this.#pressed;
      for (const exchange of [...this.#exchanges]) exchange.sweep(nowMs, pressed);
      this.#scheduleSweep();
    });
  }

  async #end(graceMs: number): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#lines.close("idle");
    if (this.#exchanges.size > 0 && graceMs > 0) {
      const { promise: late, resolve } = Promise.withResolvers<void>();
      using _timer = this.#clock.setTimer(graceMs, resolve);
      this.#drained = resolve;
      await late;
    }
    for (const exchange of this.#exchanges) exchange.cut(unavailable("The server is shutting down"));
    this.#sweep?.cancel();
    this.#lines.close("all");
    await closed;
  }
}

const ACCESS: Readonly<Record<string, "read" | "write">> = { GET: "read", HEAD: "read", PUT: "write" };

function commonName(certificate: PeerCertificate | undefined): string | undefined {
  const name: unknown = certificate?.subject?.CN;
  return typeof name === "string" && name !== "" ? name : undefined;
}

function outcomeOf({ outcome, status, error }: Exchange): Outcome {
  if (error === undefined) return outcome ?? "other";
  if (error.code === Code.CANCELLED || status === 0) return "gone";
  // Broken off in the middle of an answer.
  if (status < 400) return error.code === Code.INTERNAL ? "failed" : "gone";
  if (status === 404) return "miss";
  if (status === 507) return "full";
  if (status === 503) return "unavailable";
  return status >= 500 ? "failed" : "refused";
}
