/**
 * Every key of the configuration: the types that programs see, and beside them each key's documentation, default and
 * kind, from which validation, flags, environment variables, `brokkr.toml` and the reference are derived.
 *
 * @module
 */

import {
  boolean,
  duration,
  endpoint,
  hostPort,
  integer,
  oneOf,
  path,
  type Properties,
  properties,
  size,
  text,
} from "./_config_kinds.ts";
import { key, type SectionSpec } from "./_config_spec.ts";
import { sandboxKeys, type WorkerSandboxConfig } from "./_config_sandbox_keys.ts";
import { type StoreConfig, storeKeys } from "./_config_store_keys.ts";
import type { LogLevel } from "./log.ts";
import { DEFAULT_ENDPOINT } from "./units.ts";

export type { Properties } from "./_config_kinds.ts";
export type { WorkerSandboxConfig } from "./_config_sandbox_keys.ts";
export type { StoreConfig } from "./_config_store_keys.ts";
export type { KeySpec, SectionSpec } from "./_config_spec.ts";

/** `[client]`: how commands and the SDK reach a grid. */
export interface ClientConfig {
  /** Where the grid is, such as `grpc://127.0.0.1:8980`. */
  readonly endpoint: string;
  /** REAPI instance name. */
  readonly instance: string;
  /** How long one call may take in milliseconds; executions are not bounded by it. */
  readonly timeoutMs: number;
  /** PEM file of authorities to trust; `""` for the system's. */
  readonly tlsCa: string;
  /** PEM file of the client's certificate; `""` for none. */
  readonly tlsCert: string;
  /** PEM file of its key; `""` for none. */
  readonly tlsKey: string;
  /** Whether blobs travel compressed. */
  readonly compression: "off" | "auto";
  /** Whether large blobs travel by chunks. */
  readonly chunking: "off" | "auto";
  /** Function of all digests made by commands. */
  readonly digest: "sha256" | "blake3" | "sha384" | "sha512" | "sha1" | "md5" | "sha256tree";
}

/** `[control]`: the control plane. */
export interface ControlConfig extends StoreConfig {
  /** Directory of all its state; absolute. */
  readonly dataDir: string;
  /** gRPC address, `host:port`. */
  readonly listen: string;
  /** Address of health, metrics and pages, `host:port`; `""` for none. */
  readonly httpListen: string;
  /** PEM file of the server's certificate; `""` for plain text. */
  readonly tlsCert: string;
  /** PEM file of its key; `""` for plain text. */
  readonly tlsKey: string;
  /** PEM file of the authorities whose client certificates are demanded; `""` for none. */
  readonly tlsClientCa: string;
  /** Whether it may listen beyond loopback without client certificates. */
  readonly allowInsecureRemote: boolean;
  /** Bytes that all buffers together may hold. */
  readonly memoryBudgetBytes: number;
  /** Largest blob taken, in bytes. */
  readonly maxBlobSizeBytes: number;
  /** How long a lease lives without a heartbeat, in milliseconds. */
  readonly leaseTtlMs: number;
  /** How often workers send heartbeats, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** Whether workers without a sandbox are refused; `auto`: where it listens beyond loopback. */
  readonly requireSandbox: "auto" | "always" | "never";
  /** Actions that may wait at once. */
  readonly maxQueue: number;
  /** Workers that one action may take down before it is failed. */
  readonly maxAttempts: number;
  /** Timeout of actions that name none, in milliseconds. */
  readonly defaultTimeoutMs: number;
  /** Longest timeout that an action may ask for, in milliseconds. */
  readonly maxTimeoutMs: number;
  /** How long an operation lives that nobody watches, in milliseconds. */
  readonly unwatchedTtlMs: number;
  /** How long a finished operation can still be waited for, in milliseconds. */
  readonly finishedTtlMs: number;
  /** How long an interrupted upload is kept, in milliseconds. */
  readonly uploadKeepMs: number;
  /** Interrupted uploads that are kept. */
  readonly maxKeptUploads: number;
  /** Bytes of interrupted uploads that are kept. */
  readonly maxKeptUploadBytes: number;
  /** Connections at once. */
  readonly maxConnections: number;
  /** How long a peer may stand still in the middle of a call, in milliseconds. */
  readonly stallTimeoutMs: number;
  /** How long running calls may take to finish at shutdown, in milliseconds. */
  readonly shutdownGraceMs: number;
}

/** `[worker]`: one worker. */
export interface WorkerConfig extends WorkerSandboxConfig {
  /** Directory of its cache and of running actions; absolute. */
  readonly dataDir: string;
  /** The control plane's endpoint. */
  readonly control: string;
  /** Its name in the grid; `""` for one made from the host's name and kept in the data directory. */
  readonly id: string;
  /** Address of its pages and metrics, `host:port`; `""` for none. */
  readonly httpListen: string;
  /** Whether it listens beyond loopback without authentication. */
  readonly allowInsecureRemote: boolean;
  /** Actions at once; 0 for one per processor. */
  readonly slots: number;
  /** What it offers to actions, beside OSFamily and ISA, which it finds out unless they are named here. */
  readonly platform: Properties;
  /** Bytes its input cache may take. */
  readonly cacheSizeBytes: number;
  /** Bytes kept of standard output, and as many of standard error, of one action. */
  readonly stdoutLimitBytes: number;
  /** Bytes that all buffers together may hold. */
  readonly memoryBudgetBytes: number;
  /** PEM file of authorities to trust; `""` for the system's. */
  readonly tlsCa: string;
  /** PEM file of the worker's certificate; `""` for none. */
  readonly tlsCert: string;
  /** PEM file of its key; `""` for none. */
  readonly tlsKey: string;
  /** Whether blobs travel compressed. */
  readonly compression: "off" | "auto";
  /** Whether large blobs travel by chunks. */
  readonly chunking: "off" | "auto";
  /** How long running actions may take to finish at shutdown, in milliseconds. */
  readonly shutdownGraceMs: number;
}

/** `[up]`: a whole grid on this machine. */
export interface UpConfig {
  /** Directory under which control and workers have theirs; absolute. */
  readonly dataDir: string;
  /** How many workers. */
  readonly workers: number;
}

/** `[log]`: what all processes write to standard error. */
export interface LogConfig {
  /** Least level written. */
  readonly level: LogLevel;
  /** Text for people or JSON lines for machines. */
  readonly format: "text" | "json";
}

/** The sections, by name. */
export interface Sections {
  /** How commands and the SDK reach a grid. */
  readonly client: ClientConfig;
  /** The control plane. */
  readonly control: ControlConfig;
  /** One worker. */
  readonly worker: WorkerConfig;
  /** A whole grid on this machine. */
  readonly up: UpConfig;
  /** What all processes write to standard error. */
  readonly log: LogConfig;
}

const PEM = "path of a PEM file";
const INSTANCE = /^(?:[A-Za-z0-9._~+=@-]+(?:\/[A-Za-z0-9._~+=@-]+)*)?$/;

const compression = key(
  "compression",
  oneOf("off", "auto"),
  "off",
  "auto: blobs travel compressed (zstd, else brotli or deflate) where the grid takes it and they get smaller. Pays on links below about 1 Gbit/s.",
);

/** Those that the store can compute: its own list lies above this member. */
const DIGESTS = ["sha256", "blake3", "sha384", "sha512", "sha1", "md5", "sha256tree"] as const;

const chunking = key(
  "chunking",
  oneOf("auto", "off"),
  "auto",
  "auto: of large blobs only the chunks travel that the other side lacks, where the grid offers it. off: they travel whole.",
);

const client: SectionSpec<ClientConfig> = {
  endpoint: key("endpoint", endpoint(), DEFAULT_ENDPOINT, "Where the grid is. grpcs:// means TLS."),
  instance: key(
    "instance",
    text("NAME", "an instance name, such as main or team/project", INSTANCE),
    "",
    "Instance name sent with every request. Results of one instance never answer in another.",
  ),
  timeoutMs: key(
    "timeout",
    duration({ min: "100ms", max: "1h" }),
    "30s",
    "How long one call may take. Executions are not bounded by it.",
  ),
  tlsCa: key("tls_ca", path(PEM), "", "Authorities to trust instead of the system's."),
  tlsCert: key("tls_cert", path(PEM), "", "Certificate that names this client, where the grid asks for one."),
  tlsKey: key("tls_key", path(PEM), "", "Key of that certificate."),
  compression,
  chunking,
  digest: key(
    "digest",
    oneOf(...DIGESTS),
    "sha256",
    "Function of all digests made by commands and the SDK. Results and blobs of one function never answer in another; " +
      "blake3 is the fastest where files are large.",
  ),
};

const controlNetwork = {
  dataDir: key(
    "data_dir",
    path("path of a directory"),
    "~/.local/share/brokkr/control",
    "Holds the store, the action cache and all other state. One process owns it. ($XDG_DATA_HOME/brokkr/control where " +
      "that variable is set.)",
  ),
  listen: key("listen", hostPort(), "127.0.0.1:8980", "Address of the gRPC services: clients and workers."),
  httpListen: key(
    "http_listen",
    hostPort(true),
    "127.0.0.1:8981",
    "Address of /livez, /readyz, /metrics and the pages.",
  ),
  tlsCert: key("tls_cert", path(PEM), "", "Certificate of the server. Without it gRPC is plain text."),
  tlsKey: key("tls_key", path(PEM), "", "Key of that certificate."),
  tlsClientCa: key(
    "tls_client_ca",
    path(PEM),
    "",
    "Demand client certificates signed by these authorities (mTLS), from clients and workers.",
  ),
  allowInsecureRemote: key(
    "allow_insecure_remote",
    boolean(),
    false,
    "Listen beyond loopback although nobody has to authenticate: gRPC without client certificates, or the pages and " +
      "metrics of http_listen. Whoever reaches such a gRPC port can run commands on the workers.",
  ),
};

/** What is granted to peers that leave, stand still, or are many. */
const controlPeers = {
  uploadKeepMs: key(
    "upload_keep",
    duration({ max: "7d" }),
    "1h",
    "How long an upload that was broken off is kept for its client to go on with, also over a restart; 0s for not at all.",
  ),
  maxKeptUploads: key(
    "max_kept_uploads",
    integer({ min: 0, max: 100_000 }),
    256,
    "Uploads broken off that are kept at once. Beyond, the oldest are dropped and begin anew.",
  ),
  maxKeptUploadBytes: key(
    "max_kept_upload_size",
    size(),
    "4GiB",
    "What uploads broken off may take on disk together. Beyond, the oldest are dropped and begin anew.",
  ),
  maxConnections: key(
    "max_connections",
    integer({ min: 8, max: 100_000 }),
    1024,
    "Connections of clients and workers at once. For further ones the oldest without a call are closed, or else the newest. " +
      "Each takes a file descriptor (ulimit -n).",
  ),
  stallTimeoutMs: key(
    "stall_timeout",
    duration({ min: "1s", max: "1h" }),
    "60s",
    "How long a peer may neither send what is waited for nor take what waits for it, before its call is ended.",
  ),
};

const control: SectionSpec<ControlConfig> = {
  ...controlNetwork,
  memoryBudgetBytes: key(
    "memory_budget",
    size({ min: "16MiB" }),
    "256MiB",
    "What the process may take beyond what it has when idle. Calls and the store buffer no more than their shares of it; " +
      "what finds no room waits, and is refused with RESOURCE_EXHAUSTED when it has waited long enough.",
  ),
  maxBlobSizeBytes: key("max_blob_size", size({ min: "4MiB" }), "16GiB", "Larger blobs are refused."),
  ...storeKeys,
  leaseTtlMs: key(
    "lease_ttl",
    duration({ min: "1s", max: "1h" }),
    "30s",
    "An action whose worker is silent for so long goes to another worker. At least twice heartbeat_interval.",
  ),
  heartbeatIntervalMs: key(
    "heartbeat_interval",
    duration({ min: "100ms", max: "10m" }),
    "5s",
    "How often workers are told to send heartbeats.",
  ),
  requireSandbox: key(
    "require_sandbox",
    oneOf("auto", "always", "never"),
    "auto",
    "Refuse workers whose actions nothing isolates, and their results. auto: where `listen` is reached from other machines, " +
      "since whoever reaches it can run commands on the workers.",
  ),
  maxQueue: key(
    "max_queue",
    integer({ min: 1, max: 10_000_000 }),
    100_000,
    "Actions that may wait for a worker; further ones are refused until some have run.",
  ),
  maxAttempts: key(
    "max_attempts",
    integer({ min: 1, max: 100 }),
    3,
    "An action that took down this many workers is failed.",
  ),
  defaultTimeoutMs: key(
    "default_timeout",
    duration({ min: "1s" }),
    "1h",
    "How long an action may run that names no timeout. Not longer than max_timeout.",
  ),
  maxTimeoutMs: key(
    "max_timeout",
    duration({ min: "1s" }),
    "1d",
    "Longest timeout that an action may ask for; actions that ask for more are refused.",
  ),
  unwatchedTtlMs: key(
    "unwatched_ttl",
    duration({ min: "1s" }),
    "60s",
    "An operation that no client watches for so long is cancelled.",
  ),
  finishedTtlMs: key(
    "finished_ttl",
    duration({ min: "1s" }),
    "10m",
    "How long a finished operation is remembered for clients that wait for it.",
  ),
  ...controlPeers,
  shutdownGraceMs: key(
    "shutdown_grace",
    duration({ max: "1h" }),
    "10s",
    "On SIGTERM, how long running calls may take to finish.",
  ),
};

const worker: SectionSpec<WorkerConfig> = {
  dataDir: key(
    "data_dir",
    path("path of a directory"),
    "~/.local/share/brokkr/worker",
    "Holds the input cache and the directories of running actions. One process owns it. " +
      "($XDG_DATA_HOME/brokkr/worker where that variable is set.)",
  ),
  control: key("control", endpoint(), DEFAULT_ENDPOINT, "Where the control plane is. grpcs:// means TLS."),
  id: key(
    "id",
    text("NAME", "a name of letters, digits and ._- (at most 64)", /^[A-Za-z0-9._-]{0,64}$/),
    "",
    "Its name, unique in the grid. Empty: made from the host's name and kept in the data directory.",
  ),
  httpListen: key(
    "http_listen",
    hostPort(true),
    "",
    "Address of its /livez, /readyz and /metrics, such as 127.0.0.1:8982; none by default, since several workers may share " +
      "a machine.",
  ),
  allowInsecureRemote: key(
    "allow_insecure_remote",
    boolean(),
    false,
    "Let http_listen be reached from other machines: whoever reaches it can read the metrics.",
  ),
  slots: key(
    "slots",
    integer({ min: 0, max: 4096 }),
    0,
    "Actions that run at once; 0 for as many as there are processors.",
  ),
  platform: key(
    "platform",
    properties(),
    {},
    "What the worker offers to actions. OSFamily and ISA are found out unless they are named here.",
  ),
  cacheSizeBytes: key("cache_size", size({ min: "16MiB" }), "10GiB", "What cached inputs may take on disk."),
  stdoutLimitBytes: key(
    "stdout_limit",
    size({ min: "4KiB", max: "1GiB" }),
    "16MiB",
    "What is kept of an action's standard output, and as much of its standard error; the rest is dropped and counted.",
  ),
  memoryBudgetBytes: key(
    "memory_budget",
    size({ min: "16MiB" }),
    "128MiB",
    "All downloads and uploads together buffer no more.",
  ),
  tlsCa: key("tls_ca", path(PEM), "", "Authorities to trust instead of the system's."),
  tlsCert: key("tls_cert", path(PEM), "", "Certificate that names this worker."),
  tlsKey: key("tls_key", path(PEM), "", "Key of that certificate."),
  compression,
  chunking,
  ...sandboxKeys,
  shutdownGraceMs: key(
    "shutdown_grace",
    duration({ max: "1h" }),
    "10s",
    "On SIGTERM, how long running actions may take to finish before they are given back to the queue.",
  ),
};

const up: SectionSpec<UpConfig> = {
  dataDir: key(
    "data_dir",
    path("path of a directory"),
    "~/.local/share/brokkr",
    "`brokk up` keeps everything here: control/ and worker/. ($XDG_DATA_HOME/brokkr where that variable is set.)",
  ),
  workers: key(
    "workers",
    integer({ min: 0, max: 64 }),
    1,
    "How many workers `brokk up` starts, each with its own slots and cache.",
  ),
};

const log: SectionSpec<LogConfig> = {
  level: key(
    "level",
    oneOf("debug", "info", "warn", "error"),
    "info",
    "Least level written to standard error.",
  ),
  format: key("format", oneOf("text", "json"), "text", "Text for people, or JSON lines for machines."),
};

/** All keys of all sections. */
export const SECTIONS: { readonly [S in keyof Sections]: SectionSpec<Sections[S]> } = {
  client,
  control,
  worker,
  up,
  log,
};

/** What each section is about, for the head of its reference. */
export const SECTION_DOCS: { readonly [S in keyof Sections]: string } = {
  client: "How commands and the SDK reach a grid.",
  control: "The control plane: brokkr-control.",
  worker: "A worker: brokkr-worker.",
  up:
    "A whole grid on this machine: brokk up. Its control plane and worker are set up by [control] and [worker].",
  log: "What all processes write to standard error.",
};
