/**
 * The one place that makes gRPC clients.
 *
 * @module
 */

import "./h2_mend.ts";
import "./_lost_transport.ts";
import { clientSessionsClosed } from "./h2_mend.ts";
import { Buffer } from "node:buffer";
import {
  Channel as GrpcChannel,
  ChannelCredentials,
  type ChannelInterface,
  logVerbosity,
  Metadata,
  setLogVerbosity,
} from "@grpc/grpc-js";
import {
  BrokkrError,
  cancelled,
  type Clock,
  Code,
  formatTraceparent,
  invalidArgument,
  type Random,
  systemRandom,
} from "@brokkr/common";
import type { Method } from "../codec.ts";
import { ClientCall } from "./_client_call.ts";
import { connectionError, droppedError, type Endpoint, foreignError, parseEndpoint } from "./_endpoint.ts";
import { asPlain } from "./_outbox.ts";
import { fitAddress } from "./_tls_target.ts";
import { MAX_RECEIVE_MESSAGE_BYTES } from "./limits.ts";
import { REQUEST_METADATA_KEY } from "./request_metadata.ts";
import { pause } from "./_pause.ts";
import { retryDelayMs, type RetryOptions } from "./_retry.ts";
import type { BidiCall, CallOptions, Channel } from "./types.ts";

export type { RetryOptions } from "./_retry.ts";
export * from "./limits.ts";
export { fromWireStatus } from "./status.ts";
export type * from "./types.ts";

/** Certificates of a client, as PEM text. */
export interface ClientTlsOptions {
  /** Authority that the server's certificate must come from; the system's own ones by default. */
  readonly ca?: string;
  /** The client's certificate; goes with `key`. */
  readonly cert?: string;
  /** Its private key. */
  readonly key?: string;
  /** Name the server's certificate must be for, when it is not the endpoint's host. */
  readonly serverName?: string;
}

/** How a channel is set up. Times in milliseconds, sizes in bytes. */
export interface ConnectOptions {
  /** Certificates for `grpcs://`. */
  readonly tls?: ClientTlsOptions;
  /** Time of a unary call that says none; 60 s by default. */
  readonly defaultTimeoutMs?: number;
  /** When unary calls are tried again. */
  readonly retry?: Partial<RetryOptions>;
  /** How much of one response stream the server may send ahead of the reader; 4 MiB by default. */
  readonly windowBytes?: number;
  /** How much of one request stream may be under way before `send` waits; 512 KiB by default. */
  readonly sendAheadBytes?: number;
  /** Pings a connection with calls this often; 120 s by default, well above the time a server drains. */
  readonly keepaliveMs?: number;
  /** Encoded RequestMetadata to send with every call that has none of its own. */
  readonly clientMetadataBytes?: Uint8Array;
  /** Time; the machine's own by default. */
  readonly clock?: Clock;
  /** Jitter. */
  readonly random?: Random;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_RETRY: RetryOptions = { retries: 3, firstDelayMs: 100, maxDelayMs: 5000 };
const CLOSE_LIMIT_MS = 1000;

function credentials(endpoint: Endpoint, tls: ClientTlsOptions | undefined): ChannelCredentials {
  if (!endpoint.secure) {
    if (tls !== undefined) {
      throw invalidArgument("tls", `Certificates are of no use for ${endpoint.url}; write grpcs:// for TLS`);
    }
    return ChannelCredentials.createInsecure();
  }
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) {
    throw invalidArgument("tls", "A client certificate and its private key go together");
  }
  const pem = (name: string, text: string | undefined) => {
    if (text === undefined) return null;
    if (!text.includes("-----BEGIN ")) {
      throw invalidArgument(`tls.${name}`, "Text is not PEM: it has no -----BEGIN line");
    }
    return Buffer.from(text);
  };
  const made = ChannelCredentials.createSsl(pem("ca", tls?.ca), pem("key", tls?.key), pem("cert", tls?.cert));
  return tls?.serverName === undefined ? fitAddress(made, endpoint.host) : made;
}

class GrpcClientChannel implements Channel {
  readonly #endpoint: Endpoint;
  readonly #options: ConnectOptions;
  readonly #retry: RetryOptions;
  readonly #running = new Set<ClientCall>();
  readonly #credentials: ChannelCredentials;
  #channel: ChannelInterface | undefined;
  #closed: Promise<void> | undefined;

  constructor(endpoint: string, options: ConnectOptions) {
    this.#endpoint = parseEndpoint(endpoint);
    this.#options = options;
    this.#retry = { ...DEFAULT_RETRY, ...options.retry };
    this.#credentials = credentials(this.#endpoint, options.tls);
  }

  get endpoint(): string {
    return this.#endpoint.url;
  }

  async unary<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    request: ReqInit,
    options: CallOptions = {},
  ): Promise<Res> {
    const bytes = method.request.encode(request);
    const timeoutMs = options.timeoutMs ?? this.#options.defaultTimeoutMs ?? DEFAULT_TIMEOUT_MS;
    const deadline = Date.now() + timeoutMs;
    const retries = options.retries ?? this.#retry.retries;
    for (let attempt = 1;; attempt++) {
      try {
        const call = this.#start(method.path, deadline, options);
        call.post(bytes);
        call.halfClose();
        return await this.#single(method, call);
      } catch (error) {
        if (!(error instanceof BrokkrError) || attempt > retries) throw error;
        const delayMs = retryDelayMs(error, attempt, this.#retry, this.#options.random ?? systemRandom);
        if (delayMs === undefined || Date.now() + delayMs >= deadline || this.#closed !== undefined) {
          throw error;
        }
        await pause(delayMs, options.signal, this.#options.clock);
      }
    }
  }

  async *serverStream<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    request: ReqInit,
    options: CallOptions = {},
  ): AsyncGenerator<Res, void, undefined> {
    const bytes = method.request.encode(request);
    const call = this.#start(method.path, this.#deadline(options), options);
    try {
      call.post(bytes);
      call.halfClose();
      for (let next = await call.next(); next !== undefined; next = await call.next()) {
        yield method.response.decode(asPlain(next));
      }
    } finally {
      call.cancel();
    }
  }

  async clientStream<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    requests: AsyncIterable<ReqInit>,
    options: CallOptions = {},
  ): Promise<Res> {
    const call = this.#start(method.path, this.#deadline(options), options);
    const answer = this.#single(method, call);
    answer.catch(() => {}); // awaited below; a failure while sending must not count as unhandled until then
    const iterator = requests[Symbol.asyncIterator]();
    try {
      while (!call.ended) {
        const step = await call.unlessOver(iterator.next());
        if (step === undefined) break;
        if (step.done === true) {
          call.halfClose();
          return await answer;
        }
        await call.send(method.request.encode(step.value));
      }
    } catch (error) {
      call.cancel();
      throw error;
    }
    // The server has answered already; let the producer clean up, without waiting for what it may be stuck in.
    iterator.return?.().catch(() => {});
    return await answer;
  }

  bidi<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    options: CallOptions = {},
  ): BidiCall<ReqInit, Res> {
    const call = this.#start(method.path, this.#deadline(options), options);
    async function* responses(): AsyncGenerator<Res, void, undefined> {
      try {
        for (let next = await call.next(); next !== undefined; next = await call.next()) {
          yield method.response.decode(asPlain(next));
        }
      } finally {
        call.cancel();
      }
    }
    return {
      // Encoded at once: the caller may change the message while this waits.
      send: (message) => call.send(method.request.encode(message)),
      end: () => call.halfClose(),
      responses: responses(),
      cancel: () => call.cancel(),
    };
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const running = [...this.#running];
    for (const call of running) call.cancel(cancelled("The channel was closed"));
    await Promise.all(running.map((call) => call.settled));
    if (this.#channel === undefined) return;
    this.#channel.close();
    await clientSessionsClosed(CLOSE_LIMIT_MS);
  }

  #deadline(options: CallOptions): number {
    return options.timeoutMs === undefined ? Infinity : Date.now() + options.timeoutMs;
  }

  #open(): ChannelInterface {
    const options = this.#options;
    setLogVerbosity(logVerbosity.NONE);
    const { serverName } = options.tls ?? {};
    return this.#channel ??= new GrpcChannel(this.#endpoint.target, this.#credentials, {
      "grpc.max_receive_message_length": MAX_RECEIVE_MESSAGE_BYTES,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": options.keepaliveMs ?? 120_000,
      "grpc.keepalive_timeout_ms": 20_000,
      "grpc.initial_reconnect_backoff_ms": 100,
      // A server that is back is found within a second: calls made meanwhile fail at once, they do not wait for it.
      "grpc.max_reconnect_backoff_ms": 750,
      "grpc.enable_retries": 0, // done here, with the server's hints
      "grpc.enable_channelz": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc-node.flow_control_window": options.windowBytes ?? 4 << 20,
      ...(serverName === undefined
        ? {}
        : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
    });
  }

  #start(path: string, deadline: number, options: CallOptions): ClientCall {
    if (this.#closed !== undefined) throw cancelled(`The channel to ${this.endpoint} was closed`);
    const metadata = new Metadata();
    if (options.trace !== undefined) metadata.set("traceparent", formatTraceparent(options.trace));
    const told = options.clientMetadataBytes ?? this.#options.clientMetadataBytes;
    if (told !== undefined) metadata.set(REQUEST_METADATA_KEY, Buffer.from(told));
    const start = {
      path,
      deadline,
      metadata,
      signal: options.signal,
      sendAheadBytes: this.#options.sendAheadBytes ?? 512 << 10,
      explain: (code: number, details: string) => this.#explain(path, code, details),
    };
    const call = new ClientCall(this.#open(), start, (ended) => this.#running.delete(ended));
    if (!call.ended) this.#running.add(call);
    return call;
  }

  #explain(path: string, code: number, details: string): BrokkrError | undefined {
    if (code === Code.UNAVAILABLE) return connectionError(this.#endpoint, details);
    if (code === Code.RESOURCE_EXHAUSTED) return foreignError(this.#endpoint, details);
    if (code === Code.INTERNAL) return droppedError(this.#endpoint, details);
    if (code !== Code.DEADLINE_EXCEEDED || !details.startsWith("Deadline exceeded")) return undefined;
    return new BrokkrError(Code.DEADLINE_EXCEEDED, `No answer from ${this.endpoint} to ${path} in time`, {
      cause: new Error(details),
    });
  }

  /** The one response of a call, after its status has come. */
  async #single<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    call: ClientCall,
  ): Promise<Res> {
    const bytes = await call.next();
    await call.next(); // the end, or the error that came after the message
    if (bytes !== undefined) return method.response.decode(asPlain(bytes));
    throw new BrokkrError(Code.INTERNAL, `${this.endpoint} ended ${method.path} without an answer`);
  }
}

/**
 * A channel to `grpc://host:port` or `grpcs://host:port`. It connects with its first call, and again when the connection
 * is lost.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the endpoint or a certificate cannot be read.
 */
export function connect(endpoint: string, options: ConnectOptions = {}): Channel {
  return new GrpcClientChannel(endpoint, options);
}
