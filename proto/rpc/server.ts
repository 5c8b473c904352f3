/**
 * The one place that makes gRPC servers: every call passes authentication and a default-deny policy, is charged to the
 * byte budget, timed, traced, and ends within its limits.
 *
 * @module
 */

import "./h2_mend.ts";
import type { Buffer } from "node:buffer";
import {
  logVerbosity,
  Server,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  setLogVerbosity,
} from "@grpc/grpc-js";
import {
  BrokkrError,
  type ByteBudget,
  type Clock,
  Code,
  invalidArgument,
  type Logger,
  noLog,
  type Principal,
  systemClock,
  type TimerHandle,
  unavailable,
} from "@brokkr/common";
import { defaultAuthenticate } from "./auth.ts";
import { coalesceWrites } from "./_coalesce.ts";
import { callMeters } from "./_call_meter.ts";
import { connectionsWithin, descriptorLimit } from "./_descriptors.ts";
import { h2Servers, keepAccepting, setH2Options, socketOf, streamOf } from "./_grpc_internals.ts";
import { bind, checkExposure, formatHostPort, parseHostPort, serverCredentials } from "./_listen.ts";
import type { CallCore, RouteEntry } from "./_call_core.ts";
import { ServerCall } from "./_server_call.ts";
import { DEFAULT_LIMITS, type RpcServerOptions, type ServerLimits } from "./_server_options.ts";
import { charge } from "./_charge.ts";
import type { IntakeRoom } from "./_intake.ts";
import { pause } from "./_pause.ts";
import { Connections } from "./_connections.ts";
import { Departures } from "./_departures.ts";
import { Prefaces } from "./_prefaces.ts";
import { HealthState } from "./health.ts";
import { ReceiveWindows } from "./_receive_windows.ts";
import { SendShares } from "./_send_shares.ts";
import type { Route } from "./types.ts";

export { type Authorize, checkInstanceName, defaultAuthenticate, defaultPolicy } from "./auth.ts";
export type { PeerInfo, PolicyOptions } from "./auth.ts";
export { Connections, type CountedSession } from "./_connections.ts";
export { connectionsWithin, descriptorLimit } from "./_descriptors.ts";
export { type NodeListener, wakeListener } from "./_grpc_internals.ts";
export { bindError, checkExposure, formatHostPort, isExposed, parseHostPort } from "./_listen.ts";
export type { HostPort, TlsOptions } from "./_listen.ts";
export { DEFAULT_LIMITS, type RpcServerOptions, type ServerLimits } from "./_server_options.ts";
export * from "./limits.ts";
export { clientAttributes } from "./request_metadata.ts";
export { bidi, clientStream, serverStream, unary } from "./route.ts";
export { onTermination, type TerminationOptions } from "./shutdown.ts";
export type * from "./types.ts";

/** Where a server listens. */
export interface BoundAddress {
  /** The host as it was given. */
  readonly host: string;
  /** The port, found by the system when 0 was given. */
  readonly port: number;
  /** `host:port`. */
  readonly address: string;
}

/** A server that was made by {@linkcode createRpcServer}. */
export interface RpcServer extends AsyncDisposable {
  /**
   * Begins to listen on all addresses.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION when a port is in use, or when an address is open to others without
   * `tls.clientCa` or `allowInsecureRemote`; nothing listens then.
   */
  listen(): Promise<readonly BoundAddress[]>;
  /** Calls under way. */
  readonly activeCalls: number;
  /** Aborts as soon as {@linkcode RpcServer.shutdown} begins. */
  readonly draining: AbortSignal;
  /**
   * Ends in good order: health says NOT_SERVING, no new calls, running ones finish within `graceMs` (10 s by default) and
   * are then ended with UNAVAILABLE. Resolves when all connections are closed.
   */
  shutdown(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Time that is left for last words when calls are cut off, in milliseconds. */
const LAST_WORDS_MS = 250;
const DEFAULT_GRACE_MS = 10_000;
/** Who was refused memory does not wait for it, and still wants it for so long: clients come back within seconds. */
const REFUSED_MS = 2000;

/** Hands calls to {@linkcode ServerCall} instead of grpc-js's own handlers. */
class Dispatch extends ServerInterceptingCall {
  readonly #call: ServerCall;

  constructor(next: ServerInterceptingCallInterface, core: CallCore, entry: RouteEntry) {
    super(next);
    this.#call = new ServerCall(core, entry, next);
  }

  override start(): void {
    this.#call.start();
  }
}

function prepare(
  route: Route,
  limits: ServerLimits,
  meter: ((path: string) => RouteEntry["meter"]) | undefined,
): RouteEntry {
  const { method, options = {} } = route;
  const requestStream = method.kind === "clientStream" || method.kind === "bidi";
  const responseStream = method.kind === "serverStream" || method.kind === "bidi";
  return {
    method,
    access: route.access,
    handler: route.handler,
    requestStream,
    responseStream,
    receiveStallMs: options.receiveStallMs ?? limits.stallTimeoutMs,
    sendStallMs: options.sendStallMs ?? limits.stallTimeoutMs,
    maxDurationMs: options.maxDurationMs ?? (method.kind === "unary" ? limits.maxUnaryMs : Infinity),
    endOnDrain: options.endOnDrain ?? false,
    meter: meter?.(method.path),
  };
}

function intakeRoom(budget: ByteBudget, clock: Clock, limits: ServerLimits): IntakeRoom {
  return {
    maxBytes: limits.maxReceiveMessageBytes,
    tryCharge: (sizeBytes) => budget.tryAcquire(sizeBytes),
    charge: (sizeBytes, signal) => charge(budget, sizeBytes, { clock, limitMs: limits.budgetWaitMs, signal }),
    nowMs: () => clock.monotonicMs(),
  };
}

class GrpcServer implements RpcServer {
  readonly #options: RpcServerOptions;
  readonly #limits: ServerLimits;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #server: Server;
  readonly #core: CallCore;
  readonly #health: HealthState;
  readonly #entries = new Map<string, RouteEntry>();
  readonly #principals = new WeakMap<object, Principal>();
  readonly #departures = new WeakMap<object, Departures>();
  readonly #draining = new AbortController();
  readonly #connections: Connections;
  readonly #prefaces: Prefaces;
  #sweep: TimerHandle | undefined;
  #shutdown: Promise<void> | undefined;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? noLog;
    this.#connections = new Connections(
      connectionsWithin(this.#limits.maxConnections, descriptorLimit(), this.#log),
      () => new Set([...this.#core.calls].map(({ session }) => session)),
      this.#clock,
      this.#log,
    );
    this.#prefaces = new Prefaces(this.#limits.handshakeMs, this.#clock);
    this.#health = new HealthState(
      options.health,
      options.routes.map((route) => route.method.service),
    );
    this.#core = {
      clock: this.#clock,
      log: this.#log,
      tracer: options.tracer,
      budget: options.byteBudget,
      room: options.byteBudget === undefined
        ? undefined
        : intakeRoom(options.byteBudget, this.#clock, this.#limits),
      maxReceiveMessageBytes: this.#limits.maxReceiveMessageBytes,
      windows: options.byteBudget === undefined
        ? undefined
        : new ReceiveWindows(options.byteBudget.limitBytes / 2, this.#limits.streamWindowBytes),
      departuresOf: (call) => this.#departuresOf(call),
      refusedMs: -Infinity,
      pressed: () =>
        (options.byteBudget?.waiters ?? 0) > 0 || options.pressed?.() === true ||
        this.#clock.monotonicMs() - this.#core.refusedMs < REFUSED_MS,
      shares: new SendShares(options.byteBudget),
      sendAheadBytes: this.#limits.sendAheadBytes,
      budgetWaitMs: this.#limits.budgetWaitMs,
      principalOf: (call) => this.#principalOf(call),
      authorize: options.authorize,
      calls: new Set(),
      lingering: new Set(),
      draining: false,
    };
    // grpc-js would print to standard error; what goes wrong reaches our own log by the errors themselves.
    setLogVerbosity(logVerbosity.NONE);
    this.#server = this.#makeServer();
    this.#register([...options.routes, ...this.#health.routes()]);
  }

  get activeCalls(): number {
    return this.#core.calls.size;
  }

  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  async listen(): Promise<readonly BoundAddress[]> {
    const { tls, listen, allowInsecureRemote } = this.#options;
    for (const address of listen) checkExposure(address, tls, allowInsecureRemote ?? false);
    const credentials = serverCredentials(tls);
    const bound: BoundAddress[] = [];
    try {
      for (const address of listen) {
        const port = await bind(this.#server, address, credentials);
        const { host } = parseHostPort(address);
        bound.push({ host, port, address: formatHostPort(host, port) });
      }
    } catch (error) {
      this.#server.forceShutdown();
      throw error;
    }
    this.#watchSessions();
    this.#scheduleSweep();
    return bound;
  }

  shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    return this.#shutdown ??= this.#end(options.graceMs ?? DEFAULT_GRACE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown({ graceMs: 0 });
  }

  #makeServer(): Server {
    const limits = this.#limits;
    const server = new Server({
      "grpc.max_receive_message_length": limits.maxReceiveMessageBytes,
      "grpc.max_send_message_length": -1, // checked before, with a better message
      "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
      "grpc.keepalive_time_ms": limits.keepaliveMs,
      "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
      "grpc.max_connection_idle_ms": limits.maxConnectionIdleMs,
      "grpc.enable_channelz": 0,
      interceptors: [(method, call) => {
        const entry = this.#entries.get(method.path);
        if (entry === undefined) throw new BrokkrError(Code.INTERNAL, `No route for ${method.path}`);
        return new Dispatch(call, this.#core, entry);
      }],
    });
    setH2Options(server, { initialWindowSize: limits.streamWindowBytes }, limits.handshakeMs);
    return server;
  }

  #register(routes: readonly Route[]): void {
    const meter = this.#options.metrics === undefined ? undefined : callMeters(this.#options.metrics);
    const same = (bytes: Buffer) => bytes;
    for (const route of routes) {
      const { path, kind } = route.method;
      if (this.#entries.has(path)) throw invalidArgument("routes", `Method ${path} has two handlers`);
      this.#entries.set(path, prepare(route, this.#limits, meter));
      this.#server.register(path, () => {}, same, same, kind);
    }
  }

  #principalOf(call: ServerInterceptingCallInterface): Principal {
    const { tls, authenticate = defaultAuthenticate } = this.#options;
    const session = streamOf(call)?.session;
    const known = session === undefined ? undefined : this.#principals.get(session);
    if (known !== undefined) return known;
    // Empty unless the certificate was verified against the client CA.
    const name = tls?.clientCa === undefined
      ? undefined
      : call.getAuthContext().sslPeerCertificate?.subject?.CN;
    if (tls?.clientCa !== undefined && (name === undefined || name === "")) {
      throw new BrokkrError(
        Code.UNAUTHENTICATED,
        "Client certificate is missing, unverified, or has no common name",
      );
    }
    const principal = authenticate({
      address: call.getPeer(),
      encrypted: tls !== undefined,
      certificateName: name,
    });
    if (session !== undefined) this.#principals.set(session, principal);
    return principal;
  }

  #departuresOf(call: ServerInterceptingCallInterface): Departures | undefined {
    const session = streamOf(call)?.session;
    if (session === undefined) return undefined;
    const known = this.#departures.get(session);
    if (known !== undefined) return known;
    const socket = socketOf(session);
    if (socket === undefined) return undefined;
    const made = new Departures(socket, session);
    this.#departures.set(session, made);
    return made;
  }

  #watchSessions(): void {
    for (const server of h2Servers(this.#server)) {
      server.on("sessionError", (error) => this.#log.debug("A connection failed", { error: error.message }));
      if (this.#options.coalesceWrites === true) {
        const event = this.#options.tls === undefined ? "connection" : "secureConnection";
        server.prependListener(event, coalesceWrites);
      }
      server.on("session", (session) => {
        if (!this.#connections.admit(session)) return;
        this.#prefaces.add(session);
        session.setLocalWindowSize(this.#limits.connectionWindowBytes);
        this.#core.windows?.add(session);
      });
    }
  }

  /** One timer looks after all calls, which costs a call nothing. */
  #scheduleSweep(): void {
    const { stallTimeoutMs, maxUnaryMs, handshakeMs } = this.#limits;
    const everyMs = Math.min(Math.max(Math.min(stallTimeoutMs, maxUnaryMs, handshakeMs) / 4, 10), 1000);
    this.#sweep = this.#clock.setTimer(everyMs, () => {
      const nowMs = this.#clock.monotonicMs();
      keepAccepting(this.#server);
      this.#prefaces.sweep(nowMs);
      this.#core.windows?.relax();
      for (const call of this.#core.calls) call.sweep(nowMs);
      for (const call of this.#core.lingering) {
        if (call.sweepLingering(nowMs)) this.#core.lingering.delete(call);
      }
      this.#scheduleSweep();
    });
  }

  async #end(graceMs: number): Promise<void> {
    const core = this.#core;
    core.draining = true;
    this.#health.drain();
    this.#draining.abort(unavailable("The server is shutting down"));
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    for (const call of core.calls) {
      if (call.endOnDrain) call.end(unavailable("The server is shutting down"));
    }
    if (core.calls.size > 0) this.#log.info("Waiting for running calls", { calls: core.calls.size, graceMs });
    await this.#within(closed, graceMs);
    if (core.calls.size > 0) {
      this.#log.warn("Ending calls that did not finish in time", { calls: core.calls.size });
      for (const call of core.calls) call.end(unavailable("The server is shutting down"));
      await this.#within(closed, LAST_WORDS_MS);
    }
    this.#sweep?.cancel();
    this.#server.forceShutdown();
    await this.#within(closed, LAST_WORDS_MS);
  }

  /** Resolves with `promise`, or after `ms`. */
  async #within(promise: Promise<void>, ms: number): Promise<void> {
    const waiting = new AbortController();
    const late = pause(ms, waiting.signal, this.#options.clock).catch(() => {}); // called off below
    await Promise.race([promise, late]);
    waiting.abort();
  }
}

/**
 * Makes a server; {@linkcode RpcServer.listen} starts it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { HealthService } from "@brokkr/proto";
 * import { connect } from "@brokkr/proto/rpc/client";
 * import { createRpcServer, defaultPolicy } from "@brokkr/proto/rpc/server";
 * await using server = createRpcServer({
 *   routes: [],
 *   listen: ["127.0.0.1:0"],
 *   authorize: defaultPolicy({ anonymousAccess: ["public"] }),
 * });
 * const [{ address }] = await server.listen();
 * await using channel = connect(`grpc://${address}`);
 * assertEquals((await channel.unary(HealthService.check, { service: "" })).status, 1);
 * ```
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when two routes are of one method.
 */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  return new GrpcServer(options);
}
