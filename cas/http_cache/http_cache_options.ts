/**
 * How the HTTP cache is set up, and what applies when nothing is said.
 *
 * @module
 */

import type { ByteBudget, Clock, Logger, Metrics } from "@brokkr/common";
import type { Authorize, TlsOptions } from "@brokkr/proto/rpc/server";
import type { ActionCache } from "../action_cache/action_cache.ts";
import type { BlobStore } from "../blob_store.ts";

/** Limits of the HTTP cache. Times in milliseconds. */
export interface HttpCacheLimits {
  /** Connections at once. For further ones the oldest without a request are closed, or else the newest. */
  readonly maxConnections: number;
  /** How long a client may neither send what is waited for nor take what waits for it. */
  readonly stallTimeoutMs: number;
  /** How long a client may take for the handshake of TLS, and again for the head of a request. */
  readonly handshakeMs: number;
  /** How long a request waits for room in the byte budget. */
  readonly budgetWaitMs: number;
  /** Closes a connection without requests after so long. */
  readonly maxConnectionIdleMs: number;
}

/** The limits of an HTTP cache that is told nothing. */
export const DEFAULT_HTTP_CACHE_LIMITS: HttpCacheLimits = {
  maxConnections: 1024,
  stallTimeoutMs: 60_000,
  handshakeMs: 10_000,
  budgetWaitMs: 5000,
  // Clients keep connections and are taken by surprise when one ends in the moment of their next request.
  maxConnectionIdleMs: 1_800_000,
};

/** How the HTTP cache is set up. */
export interface HttpCacheOptions {
  /** Address, `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** Encrypts; with `clientCa` clients must show a certificate, whose common name becomes their principal. */
  readonly tls?: TlsOptions;
  /** Listen on an address that other machines can reach although clients need no certificate. */
  readonly allowInsecureRemote?: boolean;
  /** Decides on every request; see `defaultPolicy`. */
  readonly authorize: Authorize;
  /** Blobs; a store that can tell the size of a blob by its hash. */
  readonly store: BlobStore;
  /** Results. */
  readonly cache: ActionCache;
  /** Environments whose results clients may see, in order; only what clients brought themselves by default. */
  readonly environments?: () => readonly string[];
  /** Charged with what requests hold. */
  readonly budget?: ByteBudget;
  /** Whether somebody waits for memory elsewhere that requests hold, so that clients that stand still are let go sooner. */
  readonly pressed?: () => boolean;
  /** Largest blob taken, in bytes; as large as the store takes by default. */
  readonly maxBlobBytes?: number;
  /** Whether what is stored under /ac/ must be a complete ActionResult; true by default. */
  readonly validateAc?: boolean;
  /** Time; the machine's own by default. */
  readonly clock?: Clock;
  /** One line for each request at debug, failures of the server at warn. */
  readonly log?: Logger;
  /** Where requests are counted. */
  readonly metrics?: Metrics;
  /** What differs from the default limits. */
  readonly limits?: Partial<HttpCacheLimits>;
}
