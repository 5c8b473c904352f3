/**
 * How a server is set up, and what applies when nothing is said.
 *
 * @module
 */

import type { ByteBudget, Clock, Health, Logger, Metrics, Principal, Tracer } from "@brokkr/common";
import type { Authorize, PeerInfo } from "./auth.ts";
import type { TlsOptions } from "./_listen.ts";
import type { Route } from "./types.ts";

/** Limits of a server. Times in milliseconds, sizes in bytes. */
export interface ServerLimits {
  /** Largest message accepted. */
  readonly maxReceiveMessageBytes: number;
  /**
   * How much of one upload the peer may send ahead of its handler (HTTP/2's initial window). Larger is faster over long
   * distances. With a byte budget it shrinks while there are many uploads, so that all together hold no more than half of
   * the budget unread.
   */
  readonly streamWindowBytes: number;
  /** The same for a whole connection; it bounds what is in the network, not what waits for handlers. */
  readonly connectionWindowBytes: number;
  /** Calls one connection may have under way; more wait at the client. */
  readonly maxConcurrentStreams: number;
  /** Connections at once. For further ones the oldest without a call are closed, or else the newest. */
  readonly maxConnections: number;
  /** How long a peer may take for the handshake of TLS, and again until it has said that it speaks HTTP/2. */
  readonly handshakeMs: number;
  /** How much of a response stream may be under way before its producer must wait. */
  readonly sendAheadBytes: number;
  /** How long a peer may neither send what is waited for nor take what waits for it. */
  readonly stallTimeoutMs: number;
  /** Longest unary call. */
  readonly maxUnaryMs: number;
  /** How long a streamed message waits for room in the byte budget. */
  readonly budgetWaitMs: number;
  /** Pings an idle connection this often. */
  readonly keepaliveMs: number;
  /** Closes a connection whose ping was not answered for so long. */
  readonly keepaliveTimeoutMs: number;
  /** Closes a connection without calls after so long; clients connect again by themselves. */
  readonly maxConnectionIdleMs: number;
}

/** The limits of a server that is told nothing. */
export const DEFAULT_LIMITS: ServerLimits = {
  maxReceiveMessageBytes: 4_194_304 + 65_536,
  streamWindowBytes: 1 << 20,
  connectionWindowBytes: 16 << 20,
  maxConcurrentStreams: 256,
  maxConnections: 1024,
  handshakeMs: 10_000,
  sendAheadBytes: 512 << 10,
  stallTimeoutMs: 60_000,
  maxUnaryMs: 300_000,
  budgetWaitMs: 5000,
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  maxConnectionIdleMs: 1_800_000,
};

/** How a server is set up. */
export interface RpcServerOptions {
  /** What it serves; methods that are not among them answer UNIMPLEMENTED. */
  readonly routes: readonly Route[];
  /** Addresses, `host:port`; port 0 takes a free one. */
  readonly listen: readonly string[];
  /** Encrypts; with `clientCa` clients must show a certificate, whose common name becomes their principal. */
  readonly tls?: TlsOptions;
  /** Listen on addresses that other machines can reach although clients need no certificate. */
  readonly allowInsecureRemote?: boolean;
  /** Makes the principal of a connection; the certificate's name or anonymous by default. */
  readonly authenticate?: (peer: PeerInfo) => Principal;
  /** Decides on every call; see `defaultPolicy`. */
  readonly authorize: Authorize;
  /** Charged with the bytes of messages under way. */
  readonly byteBudget?: ByteBudget;
  /** Whether somebody waits for memory elsewhere that calls hold, so that peers that stand still are let go sooner. */
  readonly pressed?: () => boolean;
  /** Answered as grpc.health.v1.Health. */
  readonly health?: Health;
  /** Time; the machine's own by default. */
  readonly clock?: Clock;
  /** One line for each call at debug, failures of the server at warn. */
  readonly log?: Logger;
  /** Where calls are counted. */
  readonly metrics?: Metrics;
  /** Records a span for each call. */
  readonly tracer?: Tracer;
  /**
   * Joins small writes to a connection within one turn of the event loop: more calls per second when many run at once.
   * Off by default.
   */
  readonly coalesceWrites?: boolean;
  /** What differs from the default limits. */
  readonly limits?: Partial<ServerLimits>;
}
