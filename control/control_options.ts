/**
 * How a control plane is set up, and what its owner holds of it.
 *
 * @module
 */

import type { TlsOptions } from "@brokkr/proto/rpc/server";
import type { Clock, Logger, Random, Tracer } from "@brokkr/common";
import type { PrometheusMetrics } from "@brokkr/common/prometheus";
import type { SchedulerLimits } from "./scheduler/mod.ts";

/** How a control plane is set up. */
export interface ControlOptions {
  /** Directory of all state; it is locked. Undefined keeps everything in memory. */
  readonly dataDir: string | undefined;
  /** gRPC address, `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** HTTP address; `""`, the default, for none. */
  readonly httpListen?: string;
  /** PEM texts; plain text without. With `clientCa` only clients with a certificate of it are served. */
  readonly tls?: TlsOptions;
  /** Listen beyond loopback without client certificates. */
  readonly allowInsecureRemote?: boolean;
  /** Bytes that the process may take beyond what it has when idle, however many calls there are; 512 MiB by default. */
  readonly memoryBudgetBytes?: number;
  /** Largest blob taken, in bytes; 16 GiB by default. */
  readonly maxBlobSizeBytes?: number;
  /** Bytes the store may take; 0, the default, for no limit but the disk's (or the memory budget's). */
  readonly casMaxSizeBytes?: number;
  /** Blobs the store may hold; 0, the default, for no limit but its size. */
  readonly casMaxBlobs?: number;
  /** How long blobs are kept that a client was told to be there, in milliseconds; 3 hours by default. */
  readonly casPromiseMs?: number;
  /** How fast the scrubber reads what is stored, in bytes a second; 0, the default, for not at all. */
  readonly casScrubBytesPerSecond?: number;
  /** How blobs of at most 1 MiB are kept; `zstd` by default. */
  readonly casCompression?: "zstd" | "off";
  /** Which reads are compared with the digest; `first` by default. */
  readonly casVerifyReads?: "first" | "always";
  /** How long a result is kept that nobody asks for, in milliseconds; 30 days by default. */
  readonly acTtlMs?: number;
  /** Address of the HTTP cache; `""`, the default, for none. */
  readonly httpCacheListen?: string;
  /** Whether what is stored under /ac/ of the HTTP cache must be a complete ActionResult; it must by default. */
  readonly httpCacheValidateAc?: boolean;
  /** How long a lease lives without a heartbeat, in milliseconds; 30 s by default. */
  readonly leaseTtlMs?: number;
  /** How often workers send heartbeats, in milliseconds; 5 s by default. */
  readonly heartbeatIntervalMs?: number;
  /**
   * Whether workers are refused whose actions nothing isolates, and their results with them; `auto`, the default: where
   * `listen` is reached from other machines.
   */
  readonly requireSandbox?: "auto" | "always" | "never";
  /** Actions that may wait. */
  readonly maxQueue?: number;
  /** Workers that one action may take down before it is failed; 3 by default. */
  readonly maxAttempts?: number;
  /** Timeout of actions that name none, in milliseconds; one hour by default. */
  readonly defaultTimeoutMs?: number;
  /** Longest timeout that an action may ask for, in milliseconds; one day by default. */
  readonly maxTimeoutMs?: number;
  /** How long an operation lives that nobody watches, in milliseconds; one minute by default. */
  readonly unwatchedTtlMs?: number;
  /** How long a finished operation can be waited for, in milliseconds; ten minutes by default. */
  readonly finishedTtlMs?: number;
  /** How long an interrupted upload is kept, in milliseconds; an hour by default. */
  readonly uploadKeepMs?: number;
  /** Interrupted uploads that are kept; 256 by default. */
  readonly maxKeptUploads?: number;
  /** Bytes of interrupted uploads that are kept; 4 GiB by default. */
  readonly maxKeptUploadBytes?: number;
  /** Connections at once; 1024 by default. */
  readonly maxConnections?: number;
  /** How long a peer may stand still in the middle of a call, in milliseconds; one minute by default. */
  readonly stallTimeoutMs?: number;
  /** Further limits of the scheduler, over all of the above. */
  readonly schedulerLimits?: Partial<SchedulerLimits>;
  /** Time; the machine's by default. */
  readonly clock?: Clock;
  /** Randomness; the system's by default. */
  readonly random?: Random;
  /** Lines for the operator; none by default. */
  readonly log?: Logger;
  /** Instruments; a registry of its own by default. */
  readonly metrics?: PrometheusMetrics;
  /** Spans; ids only by default. */
  readonly tracer?: Tracer;
}

/** A control plane that serves. */
export interface ControlHandle extends AsyncDisposable {
  /** Such as `grpc://127.0.0.1:8980`, or `grpcs://` with TLS. */
  readonly grpcEndpoint: string;
  /** Such as `http://127.0.0.1:8981`; undefined without an HTTP port. */
  readonly httpEndpoint: string | undefined;
  /** Such as `http://127.0.0.1:8982`, or `https://` with TLS; undefined without an HTTP cache. */
  readonly httpCacheEndpoint: string | undefined;
  /** Resolves when it has ended; rejects when it had to give up. */
  readonly done: Promise<void>;
  /**
   * Ends in good order: no new work, what waits is sent away with UNAVAILABLE, what runs has `graceMs` (10 s by default)
   * to end; then everything is closed.
   */
  shutdown(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Bytes that a process may take when nothing is said. */
export const DEFAULT_BUDGET_BYTES = 512 * 2 ** 20;
/** Share of the budget that calls may buffer, and the store as well. The rest is for what calls take besides. */
export const BUFFER_SHARE = 5 / 16;
/** Largest blob when nothing is said. */
export const DEFAULT_MAX_BLOB_BYTES = 16 * 2 ** 30;
