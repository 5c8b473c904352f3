/**
 * The face of the RPC layer: what a handler is given, how a service is registered, what a client can call. Services and
 * clients are written against these types and know nothing of grpc-js.
 *
 * @module
 */

import type { Access, Logger, Principal, Scope, TraceContext } from "@brokkr/common";
import type { Method } from "../codec.ts";

/** What the client told of itself in `build.bazel.remote.execution.v2.requestmetadata-bin`. */
export interface ClientMetadata {
  /** Name of the tool, such as `bazel`. */
  readonly toolName: string;
  /** Its version. */
  readonly toolVersion: string;
  /** The action it works on. */
  readonly actionId: string;
  /** One run of the tool. */
  readonly toolInvocationId: string;
  /** Ties several runs together. */
  readonly correlatedInvocationsId: string;
  /** Kind of action, such as `CppCompile`. */
  readonly actionMnemonic: string;
  /** Target that needs it. */
  readonly targetId: string;
  /** Configuration of the target. */
  readonly configurationId: string;
}

/** What a handler knows of its call. */
export interface CallContext {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Who calls. */
  readonly principal: Principal;
  /** Address of the peer, for logs. */
  readonly peer: string;
  /** Aborts when the client cancels, the deadline passes, the peer stalls, or the server must end. */
  readonly signal: AbortSignal;
  /** Time the client still gives, in milliseconds, measured when read; Infinity without a deadline. */
  remainingMs(): number;
  /** Span of the call; pass it on to what the call causes. */
  readonly trace: TraceContext;
  /** Writes lines that carry trace id, method, and the client's invocation where it names one. */
  readonly log: Logger;
  /** What the client says of itself; decoded on first use, undefined when absent or malformed. */
  readonly clientMetadata: ClientMetadata | undefined;
  /** The bytes of it, as they came. */
  readonly clientMetadataBytes: Uint8Array | undefined;
  /**
   * The scope of `instance` for this caller.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT for a malformed instance name, PERMISSION_DENIED when the caller may not use it.
   */
  scope(instance: string): Scope;
}

/** One request, one response. A handler that has its answer at hand returns it without a promise: that is faster. */
export type UnaryHandler<Req, Res> = (request: Req, context: CallContext) => Res | Promise<Res>;
/**
 * One request, many responses, pulled as fast as the client takes them. A handler whose few responses are at hand (they
 * count against the byte budget together) returns them as an array: that is faster.
 */
export type ServerStreamHandler<Req, Res> = (
  request: Req,
  context: CallContext,
) => AsyncIterable<Res> | readonly Res[] | Promise<readonly Res[]>;
/** Many requests, one response; returning early ends the call with success while the client still sends. */
export type ClientStreamHandler<Req, Res> = (
  requests: AsyncIterable<Req>,
  context: CallContext,
) => Promise<Res>;
/** Many requests, many responses. */
export type BidiHandler<Req, Res> = (
  requests: AsyncIterable<Req>,
  context: CallContext,
) => AsyncIterable<Res>;

/** What a route may set apart from the server's defaults. Times in milliseconds, Infinity for no limit. */
export interface RouteOptions {
  /** How long the peer may send nothing while the handler waits for it. Infinity for bidi, the server's for others. */
  readonly receiveStallMs?: number;
  /** How long the peer may take nothing of what waits to be sent. */
  readonly sendStallMs?: number;
  /** Longest time of a call. Infinity for streams, the server's for unary calls. */
  readonly maxDurationMs?: number;
  /** Ends the call with UNAVAILABLE as soon as the server begins to shut down, for calls that never end themselves. */
  readonly endOnDrain?: boolean;
}

/** One method as a server offers it. Made by `unary` and its siblings; `access` has no default on purpose. */
export interface Route {
  /** The method. */
  readonly method: Method<unknown, unknown>;
  /** What the caller must be allowed to do. */
  readonly access: Access;
  /** What answers it; its form follows `method.kind`. */
  readonly handler: (request: never, context: CallContext) => unknown;
  /** What differs from the server's defaults. */
  readonly options?: RouteOptions;
}

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  /** Deadline from now in milliseconds; a channel has a default for unary calls. */
  readonly timeoutMs?: number;
  /** Span that causes the call; sent as `traceparent`. */
  readonly trace?: TraceContext;
  /** Encoded RequestMetadata to send. */
  readonly clientMetadataBytes?: Uint8Array;
  /** How often to try again on UNAVAILABLE and hinted RESOURCE_EXHAUSTED (unary calls only); the channel's default else. */
  readonly retries?: number;
}

/** A bidirectional call under way. */
export interface BidiCall<Req, Res> {
  /** Sends one message, waiting while the peer does not take more. False once the call has ended. */
  send(message: Req): Promise<boolean>;
  /** Says that no more will be sent. */
  end(): void;
  /** What comes back; throws a BrokkrError when the call fails. */
  readonly responses: AsyncIterable<Res>;
  /** Ends the call at once. */
  cancel(): void;
}

/** A connection to one endpoint. All failures are BrokkrErrors with the server's code, message and details. */
export interface Channel extends AsyncDisposable {
  /** Where it goes, such as `grpc://127.0.0.1:8980`. */
  readonly endpoint: string;
  /** One request, one response. */
  unary<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    request: NoInfer<ReqInit>,
    options?: CallOptions,
  ): Promise<Res>;
  /** One request, many responses; breaking out of the loop cancels the call. */
  serverStream<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    request: NoInfer<ReqInit>,
    options?: CallOptions,
  ): AsyncIterable<Res>;
  /** Many requests, one response. Stops pulling `requests` once the server has answered. */
  clientStream<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    requests: AsyncIterable<NoInfer<ReqInit>>,
    options?: CallOptions,
  ): Promise<Res>;
  /** Many requests, many responses. */
  bidi<Req, Res, ReqInit, ResInit>(
    method: Method<Req, Res, ReqInit, ResInit>,
    options?: CallOptions,
  ): BidiCall<ReqInit, Res>;
  /** Cancels running calls and closes. */
  close(): Promise<void>;
}
