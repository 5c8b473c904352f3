// Made by `deno task gen` from the .proto files; changes belong there.
import * as statics from "./codecs.js";
import { type Codec, type Init, messageCodec } from "../codec.ts";

/** Values of brokkr.v1.ClosureBlob.Role. */
export const ClosureBlob_Role = {
  /** UNKNOWN, 0 on the wire. */
  UNKNOWN: 0,
  /** ACTION, 1 on the wire. */
  ACTION: 1,
  /** COMMAND, 2 on the wire. */
  COMMAND: 2,
  /** A directory of the input tree. */
  DIRECTORY: 3,
  /** INPUT, 4 on the wire. */
  INPUT: 4,
  /** A file, tree or stream that the result names. */
  OUTPUT: 5,
} as const;

/** A value of ClosureBlob_Role. Any number can come in: peers may know values that this version does not. */
export type ClosureBlob_Role = number;

/** Values of brokkr.v1.DamagedBlob.Outcome. */
export const DamagedBlob_Outcome = {
  /** Still there, and wrong. */
  LEFT: 0,
  /** Set aside, and missing to clients. */
  QUARANTINED: 1,
  /** Fetched again from another store. */
  REPAIRED: 2,
} as const;

/** A value of DamagedBlob_Outcome. Any number can come in: peers may know values that this version does not. */
export type DamagedBlob_Outcome = number;

/** Values of brokkr.v1.LeaseResult.Outcome. */
export const LeaseResult_Outcome = {
  /** OUTCOME_UNSPECIFIED, 0 on the wire. */
  OUTCOME_UNSPECIFIED: 0,
  /** The command ran to its end, whatever its exit code. */
  COMPLETED: 1,
  /** It could not be run or was stopped, and trying again would not help: status says why. */
  FAILED: 2,
  /** The worker could not do its part: the action goes back to the queue. */
  WORKER_FAULT: 3,
  /** It was cancelled by control. */
  CANCELLED: 4,
} as const;

/** A value of LeaseResult_Outcome. Any number can come in: peers may know values that this version does not. */
export type LeaseResult_Outcome = number;

/** Values of brokkr.v1.StageUpdate.Stage. */
export const StageUpdate_Stage = {
  /** STAGE_UNSPECIFIED, 0 on the wire. */
  STAGE_UNSPECIFIED: 0,
  /** FETCHING_INPUTS, 1 on the wire. */
  FETCHING_INPUTS: 1,
  /** EXECUTING, 2 on the wire. */
  EXECUTING: 2,
  /** UPLOADING_OUTPUTS, 3 on the wire. */
  UPLOADING_OUTPUTS: 3,
} as const;

/** A value of StageUpdate_Stage. Any number can come in: peers may know values that this version does not. */
export type StageUpdate_Stage = number;

/** Values of brokkr.v1.WhyGoneResponse.Reason. */
export const WhyGoneResponse_Reason = {
  /** The log knows nothing of it. */
  NOT_REMEMBERED: 0,
  /** The store was at its limit. */
  EVICTED: 1,
  /** The store was at its limit, and held nothing that was promised less lately. */
  PROMISE_BROKEN: 2,
  /** Somebody deleted it. */
  DELETED: 3,
  /** It was not what it should be any more. */
  DAMAGED: 4,
  /** An operator made room. */
  COLLECTED: 5,
} as const;

/** A value of WhyGoneResponse_Reason. Any number can come in: peers may know values that this version does not. */
export type WhyGoneResponse_Reason = number;

/** What cut a blob into chunks. */
export const ChunkingFunction = {
  /** UNKNOWN, 0 on the wire. */
  UNKNOWN: 0,
  /** FAST_CDC_2020, 1 on the wire. */
  FAST_CDC_2020: 1,
  /** REP_MAX_CDC, 2 on the wire. */
  REP_MAX_CDC: 2,
} as const;

/** A value of ChunkingFunction. Any number can come in: peers may know values that this version does not. */
export type ChunkingFunction = number;

/** How an output directory is reported. */
export const Command_OutputDirectoryFormat = {
  /** One Tree blob. */
  TREE_ONLY: 0,
  /** The root Directory, every Directory a blob of its own. */
  DIRECTORY_ONLY: 1,
  /** Both. */
  TREE_AND_DIRECTORY: 2,
} as const;

/** A value of Command_OutputDirectoryFormat. Any number can come in: peers may know values that this version does not. */
export type Command_OutputDirectoryFormat = number;

/** How data is compressed on its way. */
export const Compressor = {
  /** Not at all. Never needs to be advertised. */
  IDENTITY: 0,
  /** RFC 8878. */
  ZSTD: 1,
  /** RFC 1951, without a zlib or gzip header. */
  DEFLATE: 2,
  /** RFC 7932. */
  BROTLI: 3,
} as const;

/** A value of Compressor. Any number can come in: peers may know values that this version does not. */
export type Compressor = number;

/** What a hash was made with. */
export const DigestFunction = {
  /** To be told from the length of the hash, among the functions the server advertises. */
  UNKNOWN: 0,
  /** SHA256, 1 on the wire. */
  SHA256: 1,
  /** SHA1, 2 on the wire. */
  SHA1: 2,
  /** MD5, 3 on the wire. */
  MD5: 3,
  /** Blocks of 64 KiB, pages of 2 MiB, as Azure DevOps hashes. */
  VSO: 4,
  /** SHA384, 5 on the wire. */
  SHA384: 5,
  /** SHA512, 6 on the wire. */
  SHA512: 6,
  /** MURMUR3, 7 on the wire. */
  MURMUR3: 7,
  /** SHA-256 over a binary tree of 1 KiB chunks. */
  SHA256TREE: 8,
  /** BLAKE3, 9 on the wire. */
  BLAKE3: 9,
  /** SHA-1 of a git blob object. */
  GITSHA1: 10,
} as const;

/** A value of DigestFunction. Any number can come in: peers may know values that this version does not. */
export type DigestFunction = number;

/** Where an action is. */
export const ExecutionStage = {
  /** UNKNOWN, 0 on the wire. */
  UNKNOWN: 0,
  /** Looking for a result. */
  CACHE_CHECK: 1,
  /** Waiting for a worker. */
  QUEUED: 2,
  /** A worker has it. */
  EXECUTING: 3,
  /** Done, well or not. */
  COMPLETED: 4,
} as const;

/** A value of ExecutionStage. Any number can come in: peers may know values that this version does not. */
export type ExecutionStage = number;

/** Whether a symlink in an input tree may point to an absolute path. */
export const SymlinkAbsolutePathStrategy = {
  /** UNKNOWN, 0 on the wire. */
  UNKNOWN: 0,
  /** DISALLOWED, 1 on the wire. */
  DISALLOWED: 1,
  /** ALLOWED, 2 on the wire. */
  ALLOWED: 2,
} as const;

/** A value of SymlinkAbsolutePathStrategy. Any number can come in: peers may know values that this version does not. */
export type SymlinkAbsolutePathStrategy = number;

/** Whether calls to it are welcome. */
export const HealthCheckResponse_ServingStatus = {
  /** UNKNOWN, 0 on the wire. */
  UNKNOWN: 0,
  /** SERVING, 1 on the wire. */
  SERVING: 1,
  /** NOT_SERVING, 2 on the wire. */
  NOT_SERVING: 2,
  /** Only ever in answers of Watch. */
  SERVICE_UNKNOWN: 3,
} as const;

/** A value of HealthCheckResponse_ServingStatus. Any number can come in: peers may know values that this version does not. */
export type HealthCheckResponse_ServingStatus = number;

/** One operation, running or lately finished. */
export interface ActionRecord {
  /** Field 1. */
  operationName: string;
  /** Field 2. */
  instanceName: string;
  /** Field 3. */
  actionDigest?: Digest;
  /** Field 4. */
  digestFunction: DigestFunction;
  /** Field 5. */
  stage: ExecutionStage;
  /** Field 6. */
  cached: boolean;
  /** Field 7. */
  status?: Status;
  /** Field 8. */
  exitCode: number;
  /** Field 9. */
  workerId: string;
  /** Field 10. */
  attempts: number;
  /** Field 11. */
  created?: Timestamp;
  /** Steps in the order they began. */
  phases: readonly Phase[];
  /** Field 13. */
  requestMetadata?: RequestMetadata;
  /** Trace to look for in logs and spans. */
  traceId: string;
  /** Command line, for display. */
  arguments: readonly string[];
  /** Field 16. */
  usage?: ResourceUsage;
}

/** Encodes and decodes brokkr.v1.ActionRecord. */
export const ActionRecordCodec: Codec<ActionRecord, Init<ActionRecord>> = messageCodec<ActionRecord>("brokkr.v1.ActionRecord", statics.ActionRecord);

/** An action without its lease. */
export interface ActionReference {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  digestFunction: DigestFunction;
  /** Field 3. */
  actionDigest?: Digest;
}

/** Encodes and decodes brokkr.v1.ActionReference. */
export const ActionReferenceCodec: Codec<ActionReference, Init<ActionReference>> = messageCodec<ActionReference>("brokkr.v1.ActionReference", statics.ActionReference);

/** The message brokkr.v1.AgeClass. */
export interface AgeClass {
  /** Longest time since the last use; absent in the last. */
  upTo?: Duration;
  /** Field 2. */
  count?: BlobCount;
}

/** Encodes and decodes brokkr.v1.AgeClass. */
export const AgeClassCodec: Codec<AgeClass, Init<AgeClass>> = messageCodec<AgeClass>("brokkr.v1.AgeClass", statics.AgeClass);

/** The message brokkr.v1.BlobCount. */
export interface BlobCount {
  /** Field 1. */
  blobs: number;
  /** Field 2. */
  bytes: number;
}

/** Encodes and decodes brokkr.v1.BlobCount. */
export const BlobCountCodec: Codec<BlobCount, Init<BlobCount>> = messageCodec<BlobCount>("brokkr.v1.BlobCount", statics.BlobCount);

/** Stop an action and forget its lease. */
export interface Cancel {
  /** Field 1. */
  leaseId: string;
  /** For the log. */
  reason: string;
}

/** Encodes and decodes brokkr.v1.Cancel. */
export const CancelCodec: Codec<Cancel, Init<Cancel>> = messageCodec<Cancel>("brokkr.v1.Cancel", statics.Cancel);

/** The message brokkr.v1.ClosureBlob. */
export interface ClosureBlob {
  /** Field 1. */
  digest?: Digest;
  /** Field 2. */
  role: ClosureBlob_Role;
}

/** Encodes and decodes brokkr.v1.ClosureBlob. */
export const ClosureBlobCodec: Codec<ClosureBlob, Init<ClosureBlob>> = messageCodec<ClosureBlob>("brokkr.v1.ClosureBlob", statics.ClosureBlob);

/** The message brokkr.v1.CollectStoreRequest. */
export interface CollectStoreRequest {
  /** Bytes on disk to come down to; absent to free garbage only. */
  targetBytes?: number;
  /** Only tell what would go. */
  dryRun: boolean;
}

/** Encodes and decodes brokkr.v1.CollectStoreRequest. */
export const CollectStoreRequestCodec: Codec<CollectStoreRequest, Init<CollectStoreRequest>> = messageCodec<CollectStoreRequest>("brokkr.v1.CollectStoreRequest", statics.CollectStoreRequest);

/** The message brokkr.v1.CollectStoreResponse. */
export interface CollectStoreResponse {
  /** What went, or would go. */
  gone?: BlobCount;
  /** Bytes the store takes less on disk. */
  freedBytes: number;
  /** Bytes copied to free those. */
  copiedBytes: number;
  /** What it takes on disk afterwards. */
  diskBytes: number;
  /** Why it is not less; empty when the target was reached. */
  shortfall: string;
  /** What went by time since its last use; empty where that was not counted. */
  ages: readonly AgeClass[];
}

/** Encodes and decodes brokkr.v1.CollectStoreResponse. */
export const CollectStoreResponseCodec: Codec<CollectStoreResponse, Init<CollectStoreResponse>> = messageCodec<CollectStoreResponse>("brokkr.v1.CollectStoreResponse", statics.CollectStoreResponse);

/** The message brokkr.v1.ControlMessage. */
export interface ControlMessage {
  /** Field 1. */
  welcome?: Welcome;
  /** Field 2. */
  lease?: Lease;
  /** Field 3. */
  cancel?: Cancel;
  /** Field 4. */
  drain?: Drain;
  /** Field 5. */
  resultAck?: ResultAck;
  /** Which of these came; not looked at when encoding. */
  message?: "welcome" | "lease" | "cancel" | "drain" | "resultAck";
}

/** Encodes and decodes brokkr.v1.ControlMessage. */
export const ControlMessageCodec: Codec<ControlMessage, Init<ControlMessage>> = messageCodec<ControlMessage>("brokkr.v1.ControlMessage", statics.ControlMessage);

/** The message brokkr.v1.DamagedBlob. */
export interface DamagedBlob {
  /** Absent where its record does not even say that. */
  digest?: Digest;
  /** Field 2. */
  digestFunction: DigestFunction;
  /** File in the store, and the offset in a segment. */
  where: string;
  /** Field 4. */
  problem: string;
  /** Field 5. */
  outcome: DamagedBlob_Outcome;
}

/** Encodes and decodes brokkr.v1.DamagedBlob. */
export const DamagedBlobCodec: Codec<DamagedBlob, Init<DamagedBlob>> = messageCodec<DamagedBlob>("brokkr.v1.DamagedBlob", statics.DamagedBlob);

/** Changes to a Bloom filter over the digests in a worker's cache. */
export interface DigestFilterUpdate {
  /** Bits of the whole filter; a change of it starts the filter anew. */
  filterBits: number;
  /** Hash functions of the filter. */
  hashCount: number;
  /** Positions of bits set since the last update. */
  setBits: readonly number[];
}

/** Encodes and decodes brokkr.v1.DigestFilterUpdate. */
export const DigestFilterUpdateCodec: Codec<DigestFilterUpdate, Init<DigestFilterUpdate>> = messageCodec<DigestFilterUpdate>("brokkr.v1.DigestFilterUpdate", statics.DigestFilterUpdate);

/** No more leases will come, until it is over. */
export interface Drain {
  /** For the log. */
  reason: string;
  /** False: end when the running actions are done. True: stay connected, since leases may come again. */
  stay: boolean;
  /** An earlier one is over: leases may come again. Goes with stay. */
  over: boolean;
}

/** Encodes and decodes brokkr.v1.Drain. */
export const DrainCodec: Codec<Drain, Init<Drain>> = messageCodec<Drain>("brokkr.v1.Drain", statics.Drain);

/** The message brokkr.v1.DrainWorkerRequest. */
export interface DrainWorkerRequest {
  /** Field 1. */
  workerId: string;
  /** For logs and lists. */
  reason: string;
  /** Its process is to end, too, once it has nothing left to do. */
  end: boolean;
}

/** Encodes and decodes brokkr.v1.DrainWorkerRequest. */
export const DrainWorkerRequestCodec: Codec<DrainWorkerRequest, Init<DrainWorkerRequest>> = messageCodec<DrainWorkerRequest>("brokkr.v1.DrainWorkerRequest", statics.DrainWorkerRequest);

/** The message brokkr.v1.DrainWorkerResponse. */
export interface DrainWorkerResponse {
  /** Leases that it still has to finish. */
  leases: number;
}

/** Encodes and decodes brokkr.v1.DrainWorkerResponse. */
export const DrainWorkerResponseCodec: Codec<DrainWorkerResponse, Init<DrainWorkerResponse>> = messageCodec<DrainWorkerResponse>("brokkr.v1.DrainWorkerResponse", statics.DrainWorkerResponse);

/** The message brokkr.v1.FunctionUsage. */
export interface FunctionUsage {
  /** Field 1. */
  digestFunction: DigestFunction;
  /** Field 2. */
  count?: BlobCount;
}

/** Encodes and decodes brokkr.v1.FunctionUsage. */
export const FunctionUsageCodec: Codec<FunctionUsage, Init<FunctionUsage>> = messageCodec<FunctionUsage>("brokkr.v1.FunctionUsage", statics.FunctionUsage);

/** The message brokkr.v1.GetActionRequest. */
export interface GetActionRequest {
  /** Field 1. */
  instanceName: string;
  /** Either this... */
  actionDigest?: Digest;
  /** Field 3. */
  digestFunction: DigestFunction;
  /**
   * ...or this: the name of an operation, or at least 8 digits that an action's hash begins with, which stand for the
   * newest operation with such an action.
   */
  operationName: string;
}

/** Encodes and decodes brokkr.v1.GetActionRequest. */
export const GetActionRequestCodec: Codec<GetActionRequest, Init<GetActionRequest>> = messageCodec<GetActionRequest>("brokkr.v1.GetActionRequest", statics.GetActionRequest);

/** The message brokkr.v1.GetActionResponse. */
export interface GetActionResponse {
  /** Newest first. */
  records: readonly ActionRecord[];
  /** What the action cache holds for it now. */
  cachedResult?: ActionResult;
}

/** Encodes and decodes brokkr.v1.GetActionResponse. */
export const GetActionResponseCodec: Codec<GetActionResponse, Init<GetActionResponse>> = messageCodec<GetActionResponse>("brokkr.v1.GetActionResponse", statics.GetActionResponse);

/** The message brokkr.v1.GetClosureRequest. */
export interface GetClosureRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  actionDigest?: Digest;
  /** Field 3. */
  digestFunction: DigestFunction;
  /** Only the result and what it names. */
  withoutInputs: boolean;
}

/** Encodes and decodes brokkr.v1.GetClosureRequest. */
export const GetClosureRequestCodec: Codec<GetClosureRequest, Init<GetClosureRequest>> = messageCodec<GetClosureRequest>("brokkr.v1.GetClosureRequest", statics.GetClosureRequest);

/** The first message has everything but the blobs, which follow in the others. */
export interface GetClosureResponse {
  /** In order of their hashes, each once; the empty blob is left out, since it is always there. */
  blobs: readonly ClosureBlob[];
  /** What belongs to it and is not there; at most 100 of them. */
  missing: readonly Digest[];
  /** How many those are. */
  missingCount: number;
  /** The encoded ActionResult as it is cached; absent when there is none that is complete. */
  actionResult?: Uint8Array;
  /** What else there is to say, such as that the action has no result. */
  notes: readonly string[];
  /** All blobs. */
  count?: BlobCount;
}

/** Encodes and decodes brokkr.v1.GetClosureResponse. */
export const GetClosureResponseCodec: Codec<GetClosureResponse, Init<GetClosureResponse>> = messageCodec<GetClosureResponse>("brokkr.v1.GetClosureResponse", statics.GetClosureResponse);

/** The message brokkr.v1.GetStatusRequest. */
export interface GetStatusRequest {
}

/** Encodes and decodes brokkr.v1.GetStatusRequest. */
export const GetStatusRequestCodec: Codec<GetStatusRequest, Init<GetStatusRequest>> = messageCodec<GetStatusRequest>("brokkr.v1.GetStatusRequest", statics.GetStatusRequest);

/** The message brokkr.v1.GetStatusResponse. */
export interface GetStatusResponse {
  /** Version of the software. */
  softwareVersion: string;
  /** Counts the starts of this data directory. */
  bootEpoch: number;
  /** Since the process started. */
  uptime?: Duration;
  /** True when it serves; otherwise `waiting_for` says why not. */
  ready: boolean;
  /** Part and reason, for each part that is not ready. */
  waitingFor: Readonly<Record<string, string>>;
  /** Actions that wait for a worker. */
  queued: number;
  /** Actions that a worker has. */
  running: number;
  /** Connected workers. */
  workers: number;
  /** Slots of all of them. */
  slots: number;
  /** Field 10. */
  store?: StoreStat;
  /** Resident memory of the process, in bytes. */
  residentBytes: number;
  /** Actions finished since the start, and those answered from the action cache. */
  actionsExecuted: number;
  /** Field 13. */
  actionsCached: number;
  /** Warnings that an operator should read, such as workers without isolation. */
  warnings: readonly string[];
  /** Where the HTTP cache is, such as "http://127.0.0.1:8982"; empty when there is none. */
  httpCache: string;
}

/** Encodes and decodes brokkr.v1.GetStatusResponse. */
export const GetStatusResponseCodec: Codec<GetStatusResponse, Init<GetStatusResponse>> = messageCodec<GetStatusResponse>("brokkr.v1.GetStatusResponse", statics.GetStatusResponse);

/** The message brokkr.v1.GetStoreUsageRequest. */
export interface GetStoreUsageRequest {
}

/** Encodes and decodes brokkr.v1.GetStoreUsageRequest. */
export const GetStoreUsageRequestCodec: Codec<GetStoreUsageRequest, Init<GetStoreUsageRequest>> = messageCodec<GetStoreUsageRequest>("brokkr.v1.GetStoreUsageRequest", statics.GetStoreUsageRequest);

/** The message brokkr.v1.GetStoreUsageResponse. */
export interface GetStoreUsageResponse {
  /** All blobs. */
  blobs?: BlobCount;
  /** Bytes on disk, with headers and garbage. */
  diskBytes: number;
  /** Most bytes it may take on disk; absent where only the disk limits it. */
  maxBytes?: number;
  /** Most blobs it may hold. */
  maxBlobs?: number;
  /** Free bytes on the store's file system. */
  freeBytes: number;
  /** Bytes on disk that belong to no blob any more. */
  garbageBytes: number;
  /** By size, smallest first. */
  sizes: readonly SizeClass[];
  /** By time since the last use, latest first. */
  ages: readonly AgeClass[];
  /** Field 9. */
  functions: readonly FunctionUsage[];
  /** Action results, by instance. */
  instances: readonly InstanceUsage[];
  /** What clients were told to be there, and is kept for it. */
  promised?: BlobCount;
  /** What is pinned for longer than promises last. */
  pinned?: BlobCount;
  /** Since the process started. */
  evicted?: BlobCount;
  /** Field 14. */
  brokenPromises?: BlobCount;
  /** How long the most recently used of what was evicted last had not been used; absent before the first eviction. */
  retention?: Duration;
  /** What the operator should know; empty when all is well. */
  warning: string;
  /** Bytes of the blobs in the form in which they are kept. */
  storedBytes: number;
  /** How many more they would be if none were compressed. */
  savedBytes: number;
}

/** Encodes and decodes brokkr.v1.GetStoreUsageResponse. */
export const GetStoreUsageResponseCodec: Codec<GetStoreUsageResponse, Init<GetStoreUsageResponse>> = messageCodec<GetStoreUsageResponse>("brokkr.v1.GetStoreUsageResponse", statics.GetStoreUsageResponse);

/**
 * The worker is about to end: it takes no more leases, finishes those it has, as far as there is time, and gives back
 * the others with the outcome WORKER_FAULT and the status UNAVAILABLE.
 */
export interface Goodbye {
  /** For the log. */
  reason: string;
}

/** Encodes and decodes brokkr.v1.Goodbye. */
export const GoodbyeCodec: Codec<Goodbye, Init<Goodbye>> = messageCodec<Goodbye>("brokkr.v1.Goodbye", statics.Goodbye);

/** The message brokkr.v1.Heartbeat. */
export interface Heartbeat {
  /** Counts up from 1 on each stream. */
  sequence: number;
  /** Every lease the worker holds; renews them. One that control does not know is answered with Cancel. */
  leases: readonly string[];
  /** How busy the machine is. */
  load?: Load;
  /** What the worker's cache came to hold or lost since the last heartbeat. Only with feature "digest-filter". */
  digestFilter?: DigestFilterUpdate;
}

/** Encodes and decodes brokkr.v1.Heartbeat. */
export const HeartbeatCodec: Codec<Heartbeat, Init<Heartbeat>> = messageCodec<Heartbeat>("brokkr.v1.Heartbeat", statics.Heartbeat);

/** First message of a worker. */
export interface Hello {
  /** Newest version of this protocol that the worker speaks. Version 1 is the first. */
  protocolVersion: number;
  /** Oldest version that it still speaks. */
  minProtocolVersion: number;
  /** Optional behaviours that it offers, by name. Those that both sides name are in force. */
  features: readonly string[];
  /** Its own name, unique in the grid and stable across restarts. */
  workerId: string;
  /** What it offers to actions; matched against their platform. */
  platform?: Platform;
  /** How many actions it runs at once. */
  slots: number;
  /** Size of the machine. */
  resources?: Resources;
  /**
   * Names the environment in which actions run, such as "sandbox-1". Results of differing environments never answer
   * for one another.
   */
  environment: string;
  /** Leases that it still works on, or whose results it has not seen acknowledged, from before this stream. */
  liveLeases: readonly string[];
  /** Version of the worker's software, for display. */
  softwareVersion: string;
  /** It has said Goodbye before, on another stream. */
  leaving: boolean;
  /**
   * What actions may ask of its sandbox by platform properties that it does not offer in platform. None without a
   * sandbox.
   */
  sandboxGrants: readonly SandboxGrant[];
}

/** Encodes and decodes brokkr.v1.Hello. */
export const HelloCodec: Codec<Hello, Init<Hello>> = messageCodec<Hello>("brokkr.v1.Hello", statics.Hello);

/** The message brokkr.v1.InstanceUsage. */
export interface InstanceUsage {
  /** Field 1. */
  instanceName: string;
  /** Action results kept, and the bytes they take themselves: what they name counts with the blobs. */
  results: number;
  /** Field 3. */
  bytes: number;
  /** These do not say whose they are, or belong to more instances than are told apart; the name is empty. */
  unknown: boolean;
}

/** Encodes and decodes brokkr.v1.InstanceUsage. */
export const InstanceUsageCodec: Codec<InstanceUsage, Init<InstanceUsage>> = messageCodec<InstanceUsage>("brokkr.v1.InstanceUsage", statics.InstanceUsage);

/** One action for one worker. The lease id carries the fencing token. */
export interface Lease {
  /** "<boot epoch>.<counter>". */
  leaseId: string;
  /** Instance the blobs belong to. */
  instanceName: string;
  /** Field 3. */
  digestFunction: DigestFunction;
  /** Field 4. */
  actionDigest?: Digest;
  /** The Action message as the client uploaded it. */
  action: Uint8Array;
  /** The Command message as the client uploaded it. */
  command: Uint8Array;
  /** How long the command may run. Never unset: control puts its default in. */
  timeout?: Duration;
  /** 1 for the first try, counting up. */
  attempt: number;
  /** W3C traceparent of the operation's span; empty when there is none. */
  traceparent: string;
  /** How long the action waited in the queue, for the result's metadata. */
  queuedFor?: Duration;
  /** Name of the operation, for logs and spans. Others may have joined it. */
  operation: string;
  /** Its client's RequestMetadata as it came, for logs and spans; empty when there is none. */
  requestMetadata: Uint8Array;
}

/** Encodes and decodes brokkr.v1.Lease. */
export const LeaseCodec: Codec<Lease, Init<Lease>> = messageCodec<Lease>("brokkr.v1.Lease", statics.Lease);

/** How an action ended. Sent again after a reconnect until it is acknowledged. */
export interface LeaseResult {
  /** Field 1. */
  leaseId: string;
  /** Field 2. */
  outcome: LeaseResult_Outcome;
  /** Why, unless COMPLETED. */
  status?: Status;
  /** An ActionResult; after a timeout the partial one. Bytes, since control stores and hands it out as it is. */
  actionResult: Uint8Array;
  /** Human words for the client, such as "Killed: out of memory". */
  message: string;
  /**
   * What it is the result of, unless it must not be cached. A control plane that was started anew, and knows nothing of
   * the lease, can keep the result by it.
   */
  action?: ActionReference;
}

/** Encodes and decodes brokkr.v1.LeaseResult. */
export const LeaseResultCodec: Codec<LeaseResult, Init<LeaseResult>> = messageCodec<LeaseResult>("brokkr.v1.LeaseResult", statics.LeaseResult);

/** The message brokkr.v1.ListPinsRequest. */
export interface ListPinsRequest {
}

/** Encodes and decodes brokkr.v1.ListPinsRequest. */
export const ListPinsRequestCodec: Codec<ListPinsRequest, Init<ListPinsRequest>> = messageCodec<ListPinsRequest>("brokkr.v1.ListPinsRequest", statics.ListPinsRequest);

/** The message brokkr.v1.ListPinsResponse. */
export interface ListPinsResponse {
  /** In order of their names. */
  pins: readonly Pin[];
}

/** Encodes and decodes brokkr.v1.ListPinsResponse. */
export const ListPinsResponseCodec: Codec<ListPinsResponse, Init<ListPinsResponse>> = messageCodec<ListPinsResponse>("brokkr.v1.ListPinsResponse", statics.ListPinsResponse);

/** The message brokkr.v1.ListWorkersRequest. */
export interface ListWorkersRequest {
}

/** Encodes and decodes brokkr.v1.ListWorkersRequest. */
export const ListWorkersRequestCodec: Codec<ListWorkersRequest, Init<ListWorkersRequest>> = messageCodec<ListWorkersRequest>("brokkr.v1.ListWorkersRequest", statics.ListWorkersRequest);

/** The message brokkr.v1.ListWorkersResponse. */
export interface ListWorkersResponse {
  /** Field 1. */
  workers: readonly WorkerInfo[];
}

/** Encodes and decodes brokkr.v1.ListWorkersResponse. */
export const ListWorkersResponseCodec: Codec<ListWorkersResponse, Init<ListWorkersResponse>> = messageCodec<ListWorkersResponse>("brokkr.v1.ListWorkersResponse", statics.ListWorkersResponse);

/** The message brokkr.v1.Load. */
export interface Load {
  /** Slots in use. */
  slotsUsed: number;
  /** Load average over one minute, in thousandths. */
  loadMillis: number;
  /** Memory that is free, in bytes. */
  memoryFreeBytes: number;
  /** Disk that is free, in bytes. */
  diskFreeBytes: number;
}

/** Encodes and decodes brokkr.v1.Load. */
export const LoadCodec: Codec<Load, Init<Load>> = messageCodec<Load>("brokkr.v1.Load", statics.Load);

/** One step of an action's way. */
export interface Phase {
  /** Field 1. */
  name: string;
  /** Since the operation was created. */
  start?: Duration;
  /** Field 3. */
  duration?: Duration;
}

/** Encodes and decodes brokkr.v1.Phase. */
export const PhaseCodec: Codec<Phase, Init<Phase>> = messageCodec<Phase>("brokkr.v1.Phase", statics.Phase);

/** The message brokkr.v1.Pin. */
export interface Pin {
  /** Field 1. */
  name: string;
  /** Field 2. */
  instanceName: string;
  /** Field 3. */
  digestFunction: DigestFunction;
  /** The action; absent where single blobs are pinned. */
  actionDigest?: Digest;
  /** Field 5. */
  count?: BlobCount;
  /** Field 6. */
  created?: Timestamp;
  /** Field 7. */
  until?: Timestamp;
  /** Why the store does not keep it, although it should; empty when all is well. */
  problem: string;
}

/** Encodes and decodes brokkr.v1.Pin. */
export const PinCodec: Codec<Pin, Init<Pin>> = messageCodec<Pin>("brokkr.v1.Pin", statics.Pin);

/** The message brokkr.v1.PinBlobsRequest. */
export interface PinBlobsRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  digestFunction: DigestFunction;
  /** Either an action, to pin with all that belongs to it... */
  actionDigest?: Digest;
  /** ...or these blobs. */
  blobDigests: readonly Digest[];
  /** How long; at most 366 days. */
  duration?: Duration;
  /** Names the pin; the digest of the action, or of the first blob, by default. A pin of the same name is replaced. */
  name: string;
  /** Of an action pin only the result and what it names. */
  withoutInputs: boolean;
}

/** Encodes and decodes brokkr.v1.PinBlobsRequest. */
export const PinBlobsRequestCodec: Codec<PinBlobsRequest, Init<PinBlobsRequest>> = messageCodec<PinBlobsRequest>("brokkr.v1.PinBlobsRequest", statics.PinBlobsRequest);

/** The message brokkr.v1.PinBlobsResponse. */
export interface PinBlobsResponse {
  /** Field 1. */
  pin?: Pin;
  /** What belongs to the action and is not there, so that it could not be pinned; at most 100 of them. */
  missing: readonly Digest[];
  /** How many those are. */
  missingCount: number;
  /** What else there is to say, such as that the action has no result. */
  notes: readonly string[];
}

/** Encodes and decodes brokkr.v1.PinBlobsResponse. */
export const PinBlobsResponseCodec: Codec<PinBlobsResponse, Init<PinBlobsResponse>> = messageCodec<PinBlobsResponse>("brokkr.v1.PinBlobsResponse", statics.PinBlobsResponse);

/** What an action used. Travels in ExecutedActionMetadata.auxiliary_metadata. */
export interface ResourceUsage {
  /** Processor time in user mode. */
  cpuUser?: Duration;
  /** Processor time in the kernel. */
  cpuSystem?: Duration;
  /** Largest resident set of any one process, in bytes. See memory_peak_bytes for all of them together. */
  maxRssBytes: number;
  /** True when the kernel killed it for memory. */
  outOfMemory: boolean;
  /** Bytes of standard output that were dropped past the limit. */
  stdoutDroppedBytes: number;
  /** Bytes of standard error that were dropped past the limit. */
  stderrDroppedBytes: number;
  /** Input bytes that had to be fetched. */
  inputFetchedBytes: number;
  /** Input blobs that had to be fetched. */
  inputFetchedBlobs: number;
  /** What isolated the action: "none", or the sandbox's name. */
  isolation: string;
  /** Most memory at one time, in bytes: of processes, of files in memory, and of the page cache charged to it. */
  memoryPeakBytes?: number;
  /** Most processes and threads at one time. */
  pidsPeak?: number;
  /** Bytes read from disks. */
  ioReadBytes?: number;
  /** Bytes written to disks. */
  ioWriteBytes?: number;
  /** Time in which it wanted to run and was held back by its limit of processor time. Absent when it was not counted. */
  cpuThrottled?: Duration;
  /** How often a process or thread was refused for the limit on them. */
  pidsRefused?: number;
  /** What it ran under. Absent without a sandbox. */
  sandbox?: SandboxTerms;
}

/** Encodes and decodes brokkr.v1.ResourceUsage. */
export const ResourceUsageCodec: Codec<ResourceUsage, Init<ResourceUsage>> = messageCodec<ResourceUsage>("brokkr.v1.ResourceUsage", statics.ResourceUsage);

/** The message brokkr.v1.Resources. */
export interface Resources {
  /** Processors, in thousandths. */
  cpuMillis: number;
  /** Memory in bytes. */
  memoryBytes: number;
  /** Disk for caches and action directories, in bytes. */
  diskBytes: number;
}

/** Encodes and decodes brokkr.v1.Resources. */
export const ResourcesCodec: Codec<Resources, Init<Resources>> = messageCodec<Resources>("brokkr.v1.Resources", statics.Resources);

/** Control has the result; the worker may forget it. */
export interface ResultAck {
  /** Field 1. */
  leaseId: string;
  /** False when the lease was no longer the worker's, and the result was not used. */
  accepted: boolean;
}

/** Encodes and decodes brokkr.v1.ResultAck. */
export const ResultAckCodec: Codec<ResultAck, Init<ResultAck>> = messageCodec<ResultAck>("brokkr.v1.ResultAck", statics.ResultAck);

/** The message brokkr.v1.ResumeWorkerRequest. */
export interface ResumeWorkerRequest {
  /** Field 1. */
  workerId: string;
}

/** Encodes and decodes brokkr.v1.ResumeWorkerRequest. */
export const ResumeWorkerRequestCodec: Codec<ResumeWorkerRequest, Init<ResumeWorkerRequest>> = messageCodec<ResumeWorkerRequest>("brokkr.v1.ResumeWorkerRequest", statics.ResumeWorkerRequest);

/** The message brokkr.v1.ResumeWorkerResponse. */
export interface ResumeWorkerResponse {
}

/** Encodes and decodes brokkr.v1.ResumeWorkerResponse. */
export const ResumeWorkerResponseCodec: Codec<ResumeWorkerResponse, Init<ResumeWorkerResponse>> = messageCodec<ResumeWorkerResponse>("brokkr.v1.ResumeWorkerResponse", statics.ResumeWorkerResponse);

/**
 * What a worker grants of one platform property that asks something of the sandbox: one of some words, or an amount. An
 * action that asks for more than any worker grants goes to one that knows the property, which refuses it in words.
 */
export interface SandboxGrant {
  /** Such as "network" or "memory". */
  name: string;
  /** Words that are granted, such as "none" and "loopback". None for an amount. */
  words: readonly string[];
  /** Greatest amount granted: bytes of memory and disk, thousandths of a processor for cpu, a number of pids. 0 for words. */
  most: number;
}

/** Encodes and decodes brokkr.v1.SandboxGrant. */
export const SandboxGrantCodec: Codec<SandboxGrant, Init<SandboxGrant>> = messageCodec<SandboxGrant>("brokkr.v1.SandboxGrant", statics.SandboxGrant);

/** What an action got of the sandbox: the operator's limits, and what it asked for itself by platform properties. */
export interface SandboxTerms {
  /** Its network: "none", "loopback" or "host". */
  network: string;
  /** Where what it wrote was kept: "memory" or "disk". */
  writableLayer: string;
  /** Most bytes of that layer. */
  writableLayerBytes: number;
  /** Most files, directories and links in it; 0 for no limit. */
  writableLayerInodes: number;
  /** True when it was killed because its layer on disk outgrew its limit. */
  writableLayerExceeded: boolean;
  /** Most memory, in bytes. */
  memoryLimitBytes?: number;
  /** Most processes and threads. */
  pidsLimit?: number;
  /** Most processor time, in thousandths of a processor. */
  cpuLimitMillis?: number;
  /** Most bytes read from disks in a second. */
  ioReadLimitBytes?: number;
  /** Most bytes written to disks in a second. */
  ioWriteLimitBytes?: number;
  /** True when addresses were not randomized. */
  aslrOff: boolean;
  /** True when the processor's time stamp could not be read. */
  rdtscOff: boolean;
}

/** Encodes and decodes brokkr.v1.SandboxTerms. */
export const SandboxTermsCodec: Codec<SandboxTerms, Init<SandboxTerms>> = messageCodec<SandboxTerms>("brokkr.v1.SandboxTerms", statics.SandboxTerms);

/** The message brokkr.v1.SizeClass. */
export interface SizeClass {
  /** Largest size of the class; absent in the last. */
  upToBytes?: number;
  /** Field 2. */
  count?: BlobCount;
}

/** Encodes and decodes brokkr.v1.SizeClass. */
export const SizeClassCodec: Codec<SizeClass, Init<SizeClass>> = messageCodec<SizeClass>("brokkr.v1.SizeClass", statics.SizeClass);

/** Where an action is. Sent when the stage begins. */
export interface StageUpdate {
  /** Field 1. */
  leaseId: string;
  /** Field 2. */
  stage: StageUpdate_Stage;
}

/** Encodes and decodes brokkr.v1.StageUpdate. */
export const StageUpdateCodec: Codec<StageUpdate, Init<StageUpdate>> = messageCodec<StageUpdate>("brokkr.v1.StageUpdate", statics.StageUpdate);

/** The message brokkr.v1.StoreStat. */
export interface StoreStat {
  /** Blobs held. */
  blobs: number;
  /** Their bytes. */
  bytes: number;
  /** Bytes on disk, with headers and garbage. */
  diskBytes: number;
  /** Segments and large files. */
  segments: number;
  /** Field 5. */
  files: number;
  /** Action results held. */
  actionResults: number;
  /** Free bytes on the store's file system. */
  freeBytes: number;
  /** Most bytes it may take on disk, and most blobs it may hold; 0 where only the disk limits it, or it is not known yet. */
  maxBytes: number;
  /** Field 9. */
  maxBlobs: number;
  /** What the operator should know of the store, such as that it is too small; empty when all is well. */
  warning: string;
}

/** Encodes and decodes brokkr.v1.StoreStat. */
export const StoreStatCodec: Codec<StoreStat, Init<StoreStat>> = messageCodec<StoreStat>("brokkr.v1.StoreStat", statics.StoreStat);

/** The message brokkr.v1.UnpinBlobsRequest. */
export interface UnpinBlobsRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  name: string;
}

/** Encodes and decodes brokkr.v1.UnpinBlobsRequest. */
export const UnpinBlobsRequestCodec: Codec<UnpinBlobsRequest, Init<UnpinBlobsRequest>> = messageCodec<UnpinBlobsRequest>("brokkr.v1.UnpinBlobsRequest", statics.UnpinBlobsRequest);

/** The message brokkr.v1.UnpinBlobsResponse. */
export interface UnpinBlobsResponse {
  /** Field 1. */
  pin?: Pin;
  /** How long the store still keeps what was pinned. */
  keptFor?: Duration;
}

/** Encodes and decodes brokkr.v1.UnpinBlobsResponse. */
export const UnpinBlobsResponseCodec: Codec<UnpinBlobsResponse, Init<UnpinBlobsResponse>> = messageCodec<UnpinBlobsResponse>("brokkr.v1.UnpinBlobsResponse", statics.UnpinBlobsResponse);

/** The message brokkr.v1.VerifyStoreRequest. */
export interface VerifyStoreRequest {
  /** Most bytes to read a second; 0 for as fast as it goes. */
  bytesPerSecond: number;
}

/** Encodes and decodes brokkr.v1.VerifyStoreRequest. */
export const VerifyStoreRequestCodec: Codec<VerifyStoreRequest, Init<VerifyStoreRequest>> = messageCodec<VerifyStoreRequest>("brokkr.v1.VerifyStoreRequest", statics.VerifyStoreRequest);

/** Sent now and then, and at the end. */
export interface VerifyStoreResponse {
  /** Read so far. */
  read?: BlobCount;
  /** Bytes there are to read, about. */
  totalBytes: number;
  /** Found since the last message. */
  damaged: readonly DamagedBlob[];
  /** True in the last message of a walk that came to its end. */
  done: boolean;
}

/** Encodes and decodes brokkr.v1.VerifyStoreResponse. */
export const VerifyStoreResponseCodec: Codec<VerifyStoreResponse, Init<VerifyStoreResponse>> = messageCodec<VerifyStoreResponse>("brokkr.v1.VerifyStoreResponse", statics.VerifyStoreResponse);

/** Answer to Hello. */
export interface Welcome {
  /** Version both sides speak from here on. */
  protocolVersion: number;
  /** Features in force. */
  features: readonly string[];
  /** How often the worker sends a Heartbeat. */
  heartbeatInterval?: Duration;
  /** How long a lease lives without a heartbeat that names it. The worker kills its action before that. */
  leaseTtl?: Duration;
  /** Boot epoch of the control plane: leases of an older epoch that it did not take over are void. */
  bootEpoch: number;
}

/** Encodes and decodes brokkr.v1.Welcome. */
export const WelcomeCodec: Codec<Welcome, Init<Welcome>> = messageCodec<Welcome>("brokkr.v1.Welcome", statics.Welcome);

/** The message brokkr.v1.WhyGoneRequest. */
export interface WhyGoneRequest {
  /** Field 1. */
  digest?: Digest;
  /** Field 2. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes brokkr.v1.WhyGoneRequest. */
export const WhyGoneRequestCodec: Codec<WhyGoneRequest, Init<WhyGoneRequest>> = messageCodec<WhyGoneRequest>("brokkr.v1.WhyGoneRequest", statics.WhyGoneRequest);

/** The message brokkr.v1.WhyGoneResponse. */
export interface WhyGoneResponse {
  /** It is there. */
  present: boolean;
  /** It went: when, when it was used last (absent when that is not known), and why. */
  gone?: Timestamp;
  /** Field 3. */
  used?: Timestamp;
  /** Field 4. */
  reason: WhyGoneResponse_Reason;
  /** How far back the log goes; absent when that is not known. */
  logSince?: Timestamp;
}

/** Encodes and decodes brokkr.v1.WhyGoneResponse. */
export const WhyGoneResponseCodec: Codec<WhyGoneResponse, Init<WhyGoneResponse>> = messageCodec<WhyGoneResponse>("brokkr.v1.WhyGoneResponse", statics.WhyGoneResponse);

/** The message brokkr.v1.WorkerInfo. */
export interface WorkerInfo {
  /** Field 1. */
  workerId: string;
  /** Field 2. */
  connected: boolean;
  /** Field 3. */
  draining: boolean;
  /** Field 4. */
  slots: number;
  /** Field 5. */
  slotsUsed: number;
  /** Field 6. */
  platform?: Platform;
  /** Field 7. */
  resources?: Resources;
  /** Field 8. */
  load?: Load;
  /** Field 9. */
  environment: string;
  /** Field 10. */
  softwareVersion: string;
  /** Since its last heartbeat. */
  lastHeartbeatAgo?: Duration;
  /** Leases it holds. */
  leases: readonly string[];
  /** Actions it completed since it connected. */
  completed: number;
  /** Why an operator drained it; empty when none did. */
  drainReason: string;
  /** It said itself that it is about to end. It is draining then, too. */
  leaving: boolean;
}

/** Encodes and decodes brokkr.v1.WorkerInfo. */
export const WorkerInfoCodec: Codec<WorkerInfo, Init<WorkerInfo>> = messageCodec<WorkerInfo>("brokkr.v1.WorkerInfo", statics.WorkerInfo);

/** The message brokkr.v1.WorkerMessage. */
export interface WorkerMessage {
  /** Field 1. */
  hello?: Hello;
  /** Field 2. */
  heartbeat?: Heartbeat;
  /** Field 3. */
  stage?: StageUpdate;
  /** Field 4. */
  result?: LeaseResult;
  /** Field 5. */
  goodbye?: Goodbye;
  /** Which of these came; not looked at when encoding. */
  message?: "hello" | "heartbeat" | "stage" | "result" | "goodbye";
}

/** Encodes and decodes brokkr.v1.WorkerMessage. */
export const WorkerMessageCodec: Codec<WorkerMessage, Init<WorkerMessage>> = messageCodec<WorkerMessage>("brokkr.v1.WorkerMessage", statics.WorkerMessage);

/**
 * What to run: a command and the tree it runs in. Its digest is the key of the action cache, so whatever
 * changes the result must be part of it.
 */
export interface Action {
  /** Digest of a Command. */
  commandDigest?: Digest;
  /** Digest of the Directory at the root of the inputs. */
  inputRootDigest?: Digest;
  /** How long the command may run; the server's default when unset. Part of the key. */
  timeout?: Duration;
  /** Neither answer from the cache, nor store the result, nor share a running twin. */
  doNotCache: boolean;
  /** Bytes that set keys apart which would be the same. */
  salt: Uint8Array;
  /** What the worker must offer. Wins over the command's. */
  platform?: Platform;
}

/** Encodes and decodes build.bazel.remote.execution.v2.Action. */
export const ActionCodec: Codec<Action, Init<Action>> = messageCodec<Action>("build.bazel.remote.execution.v2.Action", statics.Action);

/** Whether this client may write to the action cache. */
export interface ActionCacheUpdateCapabilities {
  /** Field 1. */
  updateEnabled: boolean;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ActionCacheUpdateCapabilities. */
export const ActionCacheUpdateCapabilitiesCodec: Codec<ActionCacheUpdateCapabilities, Init<ActionCacheUpdateCapabilities>> = messageCodec<ActionCacheUpdateCapabilities>("build.bazel.remote.execution.v2.ActionCacheUpdateCapabilities", statics.ActionCacheUpdateCapabilities);

/** What an action left behind. */
export interface ActionResult {
  /** Files that came to be. One that did not is absent; that is no error. */
  outputFiles: readonly OutputFile[];
  /** Directories that came to be. */
  outputDirectories: readonly OutputDirectory[];
  /** 128 + n when signal n ended it. */
  exitCode: number;
  /** Standard output, when small or asked for. */
  stdoutRaw: Uint8Array;
  /** Standard output as a blob. */
  stdoutDigest?: Digest;
  /** Standard error, when small or asked for. */
  stderrRaw: Uint8Array;
  /** Standard error as a blob. */
  stderrDigest?: Digest;
  /** Field 9. */
  executionMetadata?: ExecutedActionMetadata;
  /** Symlinks to files, for commands that use output_files. */
  outputFileSymlinks: readonly OutputSymlink[];
  /** Symlinks to directories, for commands that use output_directories. */
  outputDirectorySymlinks: readonly OutputSymlink[];
  /** All symlinks, for commands that use output_paths. */
  outputSymlinks: readonly OutputSymlink[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.ActionResult. */
export const ActionResultCodec: Codec<ActionResult, Init<ActionResult>> = messageCodec<ActionResult>("build.bazel.remote.execution.v2.ActionResult", statics.ActionResult);

/** See ContentAddressableStorage.BatchReadBlobs. */
export interface BatchReadBlobsRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  digests: readonly Digest[];
  /** What the client can unpack besides plain data. */
  acceptableCompressors: readonly Compressor[];
  /** Field 4. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.BatchReadBlobsRequest. */
export const BatchReadBlobsRequestCodec: Codec<BatchReadBlobsRequest, Init<BatchReadBlobsRequest>> = messageCodec<BatchReadBlobsRequest>("build.bazel.remote.execution.v2.BatchReadBlobsRequest", statics.BatchReadBlobsRequest);

/** The answer to BatchReadBlobsRequest. */
export interface BatchReadBlobsResponse {
  /** Field 1. */
  responses: readonly BatchReadBlobsResponse_Response[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.BatchReadBlobsResponse. */
export const BatchReadBlobsResponseCodec: Codec<BatchReadBlobsResponse, Init<BatchReadBlobsResponse>> = messageCodec<BatchReadBlobsResponse>("build.bazel.remote.execution.v2.BatchReadBlobsResponse", statics.BatchReadBlobsResponse);

/** One blob, or why it is not here. */
export interface BatchReadBlobsResponse_Response {
  /** Field 1. */
  digest?: Digest;
  /** Field 2. */
  data: Uint8Array;
  /** Field 3. */
  status?: Status;
  /** How the data is compressed. */
  compressor: Compressor;
}

/** Encodes and decodes build.bazel.remote.execution.v2.BatchReadBlobsResponse.Response. */
export const BatchReadBlobsResponse_ResponseCodec: Codec<BatchReadBlobsResponse_Response, Init<BatchReadBlobsResponse_Response>> = messageCodec<BatchReadBlobsResponse_Response>("build.bazel.remote.execution.v2.BatchReadBlobsResponse.Response", statics.BatchReadBlobsResponse_Response);

/** See ContentAddressableStorage.BatchUpdateBlobs. */
export interface BatchUpdateBlobsRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  requests: readonly BatchUpdateBlobsRequest_Request[];
  /** Field 5. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.BatchUpdateBlobsRequest. */
export const BatchUpdateBlobsRequestCodec: Codec<BatchUpdateBlobsRequest, Init<BatchUpdateBlobsRequest>> = messageCodec<BatchUpdateBlobsRequest>("build.bazel.remote.execution.v2.BatchUpdateBlobsRequest", statics.BatchUpdateBlobsRequest);

/** One blob. */
export interface BatchUpdateBlobsRequest_Request {
  /** Of the blob itself, not of its compressed form. */
  digest?: Digest;
  /** Field 2. */
  data: Uint8Array;
  /** How the data is compressed. */
  compressor: Compressor;
}

/** Encodes and decodes build.bazel.remote.execution.v2.BatchUpdateBlobsRequest.Request. */
export const BatchUpdateBlobsRequest_RequestCodec: Codec<BatchUpdateBlobsRequest_Request, Init<BatchUpdateBlobsRequest_Request>> = messageCodec<BatchUpdateBlobsRequest_Request>("build.bazel.remote.execution.v2.BatchUpdateBlobsRequest.Request", statics.BatchUpdateBlobsRequest_Request);

/** The answer to BatchUpdateBlobsRequest. */
export interface BatchUpdateBlobsResponse {
  /** Field 1. */
  responses: readonly BatchUpdateBlobsResponse_Response[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.BatchUpdateBlobsResponse. */
export const BatchUpdateBlobsResponseCodec: Codec<BatchUpdateBlobsResponse, Init<BatchUpdateBlobsResponse>> = messageCodec<BatchUpdateBlobsResponse>("build.bazel.remote.execution.v2.BatchUpdateBlobsResponse", statics.BatchUpdateBlobsResponse);

/** How one blob fared. */
export interface BatchUpdateBlobsResponse_Response {
  /** Field 1. */
  digest?: Digest;
  /** Field 2. */
  status?: Status;
}

/** Encodes and decodes build.bazel.remote.execution.v2.BatchUpdateBlobsResponse.Response. */
export const BatchUpdateBlobsResponse_ResponseCodec: Codec<BatchUpdateBlobsResponse_Response, Init<BatchUpdateBlobsResponse_Response>> = messageCodec<BatchUpdateBlobsResponse_Response>("build.bazel.remote.execution.v2.BatchUpdateBlobsResponse.Response", statics.BatchUpdateBlobsResponse_Response);

/** What the store and the action cache can do. */
export interface CacheCapabilities {
  /** Field 1. */
  digestFunctions: readonly DigestFunction[];
  /** Field 2. */
  actionCacheUpdateCapabilities?: ActionCacheUpdateCapabilities;
  /** Field 3. */
  cachePriorityCapabilities?: PriorityCapabilities;
  /** Largest batch, in bytes of blobs. 0: no limit but that of a message. */
  maxBatchTotalSizeBytes: number;
  /** Field 5. */
  symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy;
  /** For ByteStream. */
  supportedCompressors: readonly Compressor[];
  /** For BatchUpdateBlobs. */
  supportedBatchUpdateCompressors: readonly Compressor[];
  /** Largest blob. 0: no limit. */
  maxCasBlobSizeBytes: number;
  /** Field 9. */
  splitBlobSupport: boolean;
  /** Field 10. */
  spliceBlobSupport: boolean;
  /** How to cut so that chunks are shared. Unset when FAST_CDC_2020 is not offered. */
  fastCdc2020Params?: FastCdc2020Params;
  /** Unset when REP_MAX_CDC is not offered. */
  repMaxCdcParams?: RepMaxCdcParams;
}

/** Encodes and decodes build.bazel.remote.execution.v2.CacheCapabilities. */
export const CacheCapabilitiesCodec: Codec<CacheCapabilities, Init<CacheCapabilities>> = messageCodec<CacheCapabilities>("build.bazel.remote.execution.v2.CacheCapabilities", statics.CacheCapabilities);

/** A command line and what it leaves behind. */
export interface Command {
  /**
   * argv. The first is a path below the working directory, an absolute path, or (without a slash) looked up
   * in PATH.
   */
  arguments: readonly string[];
  /** The whole environment, sorted by name. */
  environmentVariables: readonly Command_EnvironmentVariable[];
  /** Before output_paths: files to collect. Not looked at when output_paths has any. */
  outputFiles: readonly string[];
  /** Before output_paths: directories to collect; "" is the working directory itself. */
  outputDirectories: readonly string[];
  /** Before Action.platform: what the worker must offer. */
  platform?: Platform;
  /** Below the input root; must exist among the inputs. Empty for the root. */
  workingDirectory: string;
  /**
   * Files, directories or symlinks to collect, relative to the working directory, sorted and distinct. Their
   * parents are made before the command starts.
   */
  outputPaths: readonly string[];
  /** Properties to report of outputs, by name. */
  outputNodeProperties: readonly string[];
  /** How to report directories among the outputs. */
  outputDirectoryFormat: Command_OutputDirectoryFormat;
}

/** Encodes and decodes build.bazel.remote.execution.v2.Command. */
export const CommandCodec: Codec<Command, Init<Command>> = messageCodec<Command>("build.bazel.remote.execution.v2.Command", statics.Command);

/** One variable. */
export interface Command_EnvironmentVariable {
  /** Field 1. */
  name: string;
  /** Field 2. */
  value: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.Command.EnvironmentVariable. */
export const Command_EnvironmentVariableCodec: Codec<Command_EnvironmentVariable, Init<Command_EnvironmentVariable>> = messageCodec<Command_EnvironmentVariable>("build.bazel.remote.execution.v2.Command.EnvironmentVariable", statics.Command_EnvironmentVariable);

/** Names a blob by its content. Which function made the hash is said beside it, or follows from its length. */
export interface Digest {
  /** Lower-case hexadecimal. */
  hash: string;
  /** Length of the blob. */
  sizeBytes: number;
}

/** Encodes and decodes build.bazel.remote.execution.v2.Digest. */
export const DigestCodec: Codec<Digest, Init<Digest>> = messageCodec<Digest>("build.bazel.remote.execution.v2.Digest", statics.Digest);

/**
 * One directory of a tree. Equal directories must have equal bytes, so each list is sorted by name (as
 * bytes), and a name comes once among all three.
 */
export interface Directory {
  /** Field 1. */
  files: readonly FileNode[];
  /** Field 2. */
  directories: readonly DirectoryNode[];
  /** Field 3. */
  symlinks: readonly SymlinkNode[];
  /** Properties of the directory itself. */
  nodeProperties?: NodeProperties;
}

/** Encodes and decodes build.bazel.remote.execution.v2.Directory. */
export const DirectoryCodec: Codec<Directory, Init<Directory>> = messageCodec<Directory>("build.bazel.remote.execution.v2.Directory", statics.Directory);

/** A directory in a directory. */
export interface DirectoryNode {
  /** One path segment. */
  name: string;
  /** Digest of its Directory message. */
  digest?: Digest;
}

/** Encodes and decodes build.bazel.remote.execution.v2.DirectoryNode. */
export const DirectoryNodeCodec: Codec<DirectoryNode, Init<DirectoryNode>> = messageCodec<DirectoryNode>("build.bazel.remote.execution.v2.DirectoryNode", statics.DirectoryNode);

/** Where an execution is. Travels in Operation.metadata. */
export interface ExecuteOperationMetadata {
  /** Field 1. */
  stage: ExecutionStage;
  /** Field 2. */
  actionDigest?: Digest;
  /** ByteStream name to follow standard output by; empty if there is none. */
  stdoutStreamName: string;
  /** ByteStream name to follow standard error by; empty if there is none. */
  stderrStreamName: string;
  /** What is known so far. */
  partialExecutionMetadata?: ExecutedActionMetadata;
  /** Field 6. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ExecuteOperationMetadata. */
export const ExecuteOperationMetadataCodec: Codec<ExecuteOperationMetadata, Init<ExecuteOperationMetadata>> = messageCodec<ExecuteOperationMetadata>("build.bazel.remote.execution.v2.ExecuteOperationMetadata", statics.ExecuteOperationMetadata);

/** See Execution.Execute. */
export interface ExecuteRequest {
  /** Field 1. */
  instanceName: string;
  /** Run it even if there is a result; the new one takes its place. */
  skipCacheLookup: boolean;
  /** Digest of an Action that is in the store. */
  actionDigest?: Digest;
  /** Field 7. */
  executionPolicy?: ExecutionPolicy;
  /** Field 8. */
  resultsCachePolicy?: ResultsCachePolicy;
  /** Function of every digest that the action reaches. */
  digestFunction: DigestFunction;
  /** A wish to have stdout in the result. */
  inlineStdout: boolean;
  /** A wish to have stderr in the result. */
  inlineStderr: boolean;
  /** A wish to have these files in the result, by path. */
  inlineOutputFiles: readonly string[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.ExecuteRequest. */
export const ExecuteRequestCodec: Codec<ExecuteRequest, Init<ExecuteRequest>> = messageCodec<ExecuteRequest>("build.bazel.remote.execution.v2.ExecuteRequest", statics.ExecuteRequest);

/** How an execution ended. Travels in Operation.response. */
export interface ExecuteResponse {
  /** Field 1. */
  result?: ActionResult;
  /** True when nothing was run for this call. */
  cachedResult: boolean;
  /** Not OK when the action could not be run or did not end; the command's own failure is its exit code. */
  status?: Status;
  /** By name. */
  serverLogs: Readonly<Record<string, LogFile>>;
  /** Words for the person who waits. */
  message: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ExecuteResponse. */
export const ExecuteResponseCodec: Codec<ExecuteResponse, Init<ExecuteResponse>> = messageCodec<ExecuteResponse>("build.bazel.remote.execution.v2.ExecuteResponse", statics.ExecuteResponse);

/** Who ran an action, and when each step of it began and ended. */
export interface ExecutedActionMetadata {
  /** Name of the worker. */
  worker: string;
  /** When the action came in. */
  queuedTimestamp?: Timestamp;
  /** When the worker took it. */
  workerStartTimestamp?: Timestamp;
  /** When the worker was done, uploads included. */
  workerCompletedTimestamp?: Timestamp;
  /** Field 5. */
  inputFetchStartTimestamp?: Timestamp;
  /** Field 6. */
  inputFetchCompletedTimestamp?: Timestamp;
  /** Field 7. */
  executionStartTimestamp?: Timestamp;
  /** Field 8. */
  executionCompletedTimestamp?: Timestamp;
  /** Field 9. */
  outputUploadStartTimestamp?: Timestamp;
  /** Field 10. */
  outputUploadCompletedTimestamp?: Timestamp;
  /** Whatever else the worker tells, such as resource use. */
  auxiliaryMetadata: readonly Any[];
  /** Time the command had, without pauses of its machine. */
  virtualExecutionDuration?: Duration;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ExecutedActionMetadata. */
export const ExecutedActionMetadataCodec: Codec<ExecutedActionMetadata, Init<ExecutedActionMetadata>> = messageCodec<ExecutedActionMetadata>("build.bazel.remote.execution.v2.ExecutedActionMetadata", statics.ExecutedActionMetadata);

/** What the execution service can do. */
export interface ExecutionCapabilities {
  /** One of digest_functions, for clients that do not know that field. */
  digestFunction: DigestFunction;
  /** Field 2. */
  execEnabled: boolean;
  /** Field 3. */
  executionPriorityCapabilities?: PriorityCapabilities;
  /** Names that output_node_properties may hold. */
  supportedNodeProperties: readonly string[];
  /** Field 5. */
  digestFunctions: readonly DigestFunction[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.ExecutionCapabilities. */
export const ExecutionCapabilitiesCodec: Codec<ExecutionCapabilities, Init<ExecutionCapabilities>> = messageCodec<ExecutionCapabilities>("build.bazel.remote.execution.v2.ExecutionCapabilities", statics.ExecutionCapabilities);

/** How to queue an action. */
export interface ExecutionPolicy {
  /** Lower runs sooner. 0 is the default. */
  priority: number;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ExecutionPolicy. */
export const ExecutionPolicyCodec: Codec<ExecutionPolicy, Init<ExecutionPolicy>> = messageCodec<ExecutionPolicy>("build.bazel.remote.execution.v2.ExecutionPolicy", statics.ExecutionPolicy);

/** How FAST_CDC_2020 cuts. */
export interface FastCdc2020Params {
  /** A power of two; least is a quarter of it, most four times it. */
  avgChunkSizeBytes: number;
  /** Changes the gear table. */
  seed: number;
}

/** Encodes and decodes build.bazel.remote.execution.v2.FastCdc2020Params. */
export const FastCdc2020ParamsCodec: Codec<FastCdc2020Params, Init<FastCdc2020Params>> = messageCodec<FastCdc2020Params>("build.bazel.remote.execution.v2.FastCdc2020Params", statics.FastCdc2020Params);

/** A file in a directory. */
export interface FileNode {
  /** One path segment. */
  name: string;
  /** Field 2. */
  digest?: Digest;
  /** Whether it can be run. */
  isExecutable: boolean;
  /** Field 6. */
  nodeProperties?: NodeProperties;
}

/** Encodes and decodes build.bazel.remote.execution.v2.FileNode. */
export const FileNodeCodec: Codec<FileNode, Init<FileNode>> = messageCodec<FileNode>("build.bazel.remote.execution.v2.FileNode", statics.FileNode);

/** See ContentAddressableStorage.FindMissingBlobs. */
export interface FindMissingBlobsRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  blobDigests: readonly Digest[];
  /** Field 3. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.FindMissingBlobsRequest. */
export const FindMissingBlobsRequestCodec: Codec<FindMissingBlobsRequest, Init<FindMissingBlobsRequest>> = messageCodec<FindMissingBlobsRequest>("build.bazel.remote.execution.v2.FindMissingBlobsRequest", statics.FindMissingBlobsRequest);

/** The answer to FindMissingBlobsRequest. */
export interface FindMissingBlobsResponse {
  /** Those of the request that the store lacks. */
  missingBlobDigests: readonly Digest[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.FindMissingBlobsResponse. */
export const FindMissingBlobsResponseCodec: Codec<FindMissingBlobsResponse, Init<FindMissingBlobsResponse>> = messageCodec<FindMissingBlobsResponse>("build.bazel.remote.execution.v2.FindMissingBlobsResponse", statics.FindMissingBlobsResponse);

/** See ActionCache.GetActionResult. */
export interface GetActionResultRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  actionDigest?: Digest;
  /** A wish to have stdout in the result. */
  inlineStdout: boolean;
  /** A wish to have stderr in the result. */
  inlineStderr: boolean;
  /** A wish to have these files in the result, by path. */
  inlineOutputFiles: readonly string[];
  /** Field 6. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.GetActionResultRequest. */
export const GetActionResultRequestCodec: Codec<GetActionResultRequest, Init<GetActionResultRequest>> = messageCodec<GetActionResultRequest>("build.bazel.remote.execution.v2.GetActionResultRequest", statics.GetActionResultRequest);

/** See Capabilities.GetCapabilities. */
export interface GetCapabilitiesRequest {
  /** Field 1. */
  instanceName: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.GetCapabilitiesRequest. */
export const GetCapabilitiesRequestCodec: Codec<GetCapabilitiesRequest, Init<GetCapabilitiesRequest>> = messageCodec<GetCapabilitiesRequest>("build.bazel.remote.execution.v2.GetCapabilitiesRequest", statics.GetCapabilitiesRequest);

/** See ContentAddressableStorage.GetTree. */
export interface GetTreeRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  rootDigest?: Digest;
  /** A wish for how many directories a page holds; 0 leaves it to the server. */
  pageSize: number;
  /** From an earlier answer, to go on from there. */
  pageToken: string;
  /** Field 5. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.GetTreeRequest. */
export const GetTreeRequestCodec: Codec<GetTreeRequest, Init<GetTreeRequest>> = messageCodec<GetTreeRequest>("build.bazel.remote.execution.v2.GetTreeRequest", statics.GetTreeRequest);

/** One page of a tree. */
export interface GetTreeResponse {
  /** Field 1. */
  directories: readonly Directory[];
  /** Empty on the last page. */
  nextPageToken: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.GetTreeResponse. */
export const GetTreeResponseCodec: Codec<GetTreeResponse, Init<GetTreeResponse>> = messageCodec<GetTreeResponse>("build.bazel.remote.execution.v2.GetTreeResponse", statics.GetTreeResponse);

/** A log of the server about an action. */
export interface LogFile {
  /** Field 1. */
  digest?: Digest;
  /** True when it can be shown to a person. */
  humanReadable: boolean;
}

/** Encodes and decodes build.bazel.remote.execution.v2.LogFile. */
export const LogFileCodec: Codec<LogFile, Init<LogFile>> = messageCodec<LogFile>("build.bazel.remote.execution.v2.LogFile", statics.LogFile);

/** Properties of a node, beyond name and content. */
export interface NodeProperties {
  /** Sorted by name. */
  properties: readonly NodeProperty[];
  /** Time of last change. */
  mtime?: Timestamp;
  /** Mode bits, as chmod takes them. */
  unixMode?: UInt32Value;
}

/** Encodes and decodes build.bazel.remote.execution.v2.NodeProperties. */
export const NodePropertiesCodec: Codec<NodeProperties, Init<NodeProperties>> = messageCodec<NodeProperties>("build.bazel.remote.execution.v2.NodeProperties", statics.NodeProperties);

/** One named property of a file, directory or symlink. */
export interface NodeProperty {
  /** Field 1. */
  name: string;
  /** Field 2. */
  value: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.NodeProperty. */
export const NodePropertyCodec: Codec<NodeProperty, Init<NodeProperty>> = messageCodec<NodeProperty>("build.bazel.remote.execution.v2.NodeProperty", statics.NodeProperty);

/** A directory among the outputs. */
export interface OutputDirectory {
  /** Relative to the working directory; empty for that directory itself. */
  path: string;
  /** Digest of its Tree. */
  treeDigest?: Digest;
  /** True when every Directory in the Tree comes after one that names it. */
  isTopologicallySorted: boolean;
  /** Digest of its Directory. */
  rootDirectoryDigest?: Digest;
}

/** Encodes and decodes build.bazel.remote.execution.v2.OutputDirectory. */
export const OutputDirectoryCodec: Codec<OutputDirectory, Init<OutputDirectory>> = messageCodec<OutputDirectory>("build.bazel.remote.execution.v2.OutputDirectory", statics.OutputDirectory);

/** A file among the outputs. */
export interface OutputFile {
  /** Relative to the working directory. */
  path: string;
  /** Field 2. */
  digest?: Digest;
  /** Field 4. */
  isExecutable: boolean;
  /** The content itself, when asked for and small. */
  contents: Uint8Array;
  /** Field 7. */
  nodeProperties?: NodeProperties;
}

/** Encodes and decodes build.bazel.remote.execution.v2.OutputFile. */
export const OutputFileCodec: Codec<OutputFile, Init<OutputFile>> = messageCodec<OutputFile>("build.bazel.remote.execution.v2.OutputFile", statics.OutputFile);

/** A symlink among the outputs. */
export interface OutputSymlink {
  /** Relative to the working directory. */
  path: string;
  /** Field 2. */
  target: string;
  /** Field 4. */
  nodeProperties?: NodeProperties;
}

/** Encodes and decodes build.bazel.remote.execution.v2.OutputSymlink. */
export const OutputSymlinkCodec: Codec<OutputSymlink, Init<OutputSymlink>> = messageCodec<OutputSymlink>("build.bazel.remote.execution.v2.OutputSymlink", statics.OutputSymlink);

/** What an action needs of a worker. */
export interface Platform {
  /** Sorted by name, then value. A name may come more than once. */
  properties: readonly Platform_Property[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.Platform. */
export const PlatformCodec: Codec<Platform, Init<Platform>> = messageCodec<Platform>("build.bazel.remote.execution.v2.Platform", statics.Platform);

/** One need. The server says how it is matched. */
export interface Platform_Property {
  /** Field 1. */
  name: string;
  /** Field 2. */
  value: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.Platform.Property. */
export const Platform_PropertyCodec: Codec<Platform_Property, Init<Platform_Property>> = messageCodec<Platform_Property>("build.bazel.remote.execution.v2.Platform.Property", statics.Platform_Property);

/** Which priorities are told apart. */
export interface PriorityCapabilities {
  /** Field 1. */
  priorities: readonly PriorityCapabilities_PriorityRange[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.PriorityCapabilities. */
export const PriorityCapabilitiesCodec: Codec<PriorityCapabilities, Init<PriorityCapabilities>> = messageCodec<PriorityCapabilities>("build.bazel.remote.execution.v2.PriorityCapabilities", statics.PriorityCapabilities);

/** Both ends belong to it. */
export interface PriorityCapabilities_PriorityRange {
  /** Field 1. */
  minPriority: number;
  /** Field 2. */
  maxPriority: number;
}

/** Encodes and decodes build.bazel.remote.execution.v2.PriorityCapabilities.PriorityRange. */
export const PriorityCapabilities_PriorityRangeCodec: Codec<PriorityCapabilities_PriorityRange, Init<PriorityCapabilities_PriorityRange>> = messageCodec<PriorityCapabilities_PriorityRange>("build.bazel.remote.execution.v2.PriorityCapabilities.PriorityRange", statics.PriorityCapabilities_PriorityRange);

/** How REP_MAX_CDC cuts. */
export interface RepMaxCdcParams {
  /** Field 1. */
  minChunkSizeBytes: number;
  /** How far past the minimum it looks for the best place. */
  horizonSizeBytes: number;
}

/** Encodes and decodes build.bazel.remote.execution.v2.RepMaxCdcParams. */
export const RepMaxCdcParamsCodec: Codec<RepMaxCdcParams, Init<RepMaxCdcParams>> = messageCodec<RepMaxCdcParams>("build.bazel.remote.execution.v2.RepMaxCdcParams", statics.RepMaxCdcParams);

/**
 * Who asks, and for what. Travels in call metadata under
 * "build.bazel.remote.execution.v2.requestmetadata-bin".
 */
export interface RequestMetadata {
  /** Field 1. */
  toolDetails?: ToolDetails;
  /** Hash of the action the call is for. */
  actionId: string;
  /** One run of the tool. */
  toolInvocationId: string;
  /** Joins runs that belong together. */
  correlatedInvocationsId: string;
  /** Kind of action, such as "CppCompile". */
  actionMnemonic: string;
  /** What is being built, such as "//app:main". */
  targetId: string;
  /** Configuration it is built in. */
  configurationId: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.RequestMetadata. */
export const RequestMetadataCodec: Codec<RequestMetadata, Init<RequestMetadata>> = messageCodec<RequestMetadata>("build.bazel.remote.execution.v2.RequestMetadata", statics.RequestMetadata);

/** How to keep a result. */
export interface ResultsCachePolicy {
  /** Lower is kept longer. 0 is the default. */
  priority: number;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ResultsCachePolicy. */
export const ResultsCachePolicyCodec: Codec<ResultsCachePolicy, Init<ResultsCachePolicy>> = messageCodec<ResultsCachePolicy>("build.bazel.remote.execution.v2.ResultsCachePolicy", statics.ResultsCachePolicy);

/** What a server can do. A part is unset when the server does not have that part. */
export interface ServerCapabilities {
  /** Field 1. */
  cacheCapabilities?: CacheCapabilities;
  /** Field 2. */
  executionCapabilities?: ExecutionCapabilities;
  /** The oldest version that is still served, though advised against. */
  deprecatedApiVersion?: SemVer;
  /** The oldest version in good standing. */
  lowApiVersion?: SemVer;
  /** The newest version. */
  highApiVersion?: SemVer;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ServerCapabilities. */
export const ServerCapabilitiesCodec: Codec<ServerCapabilities, Init<ServerCapabilities>> = messageCodec<ServerCapabilities>("build.bazel.remote.execution.v2.ServerCapabilities", statics.ServerCapabilities);

/** See ContentAddressableStorage.SpliceBlob. */
export interface SpliceBlobRequest {
  /** Field 1. */
  instanceName: string;
  /** What the chunks are together. */
  blobDigest?: Digest;
  /** In order. */
  chunkDigests: readonly Digest[];
  /** Field 4. */
  digestFunction: DigestFunction;
  /** How it was cut; UNKNOWN when by other means. */
  chunkingFunction: ChunkingFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.SpliceBlobRequest. */
export const SpliceBlobRequestCodec: Codec<SpliceBlobRequest, Init<SpliceBlobRequest>> = messageCodec<SpliceBlobRequest>("build.bazel.remote.execution.v2.SpliceBlobRequest", statics.SpliceBlobRequest);

/** The answer to SpliceBlobRequest. */
export interface SpliceBlobResponse {
  /** Field 1. */
  blobDigest?: Digest;
}

/** Encodes and decodes build.bazel.remote.execution.v2.SpliceBlobResponse. */
export const SpliceBlobResponseCodec: Codec<SpliceBlobResponse, Init<SpliceBlobResponse>> = messageCodec<SpliceBlobResponse>("build.bazel.remote.execution.v2.SpliceBlobResponse", statics.SpliceBlobResponse);

/** See ContentAddressableStorage.SplitBlob. */
export interface SplitBlobRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  blobDigest?: Digest;
  /** Field 3. */
  digestFunction: DigestFunction;
  /** A wish for how it is cut. */
  chunkingFunction: ChunkingFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.SplitBlobRequest. */
export const SplitBlobRequestCodec: Codec<SplitBlobRequest, Init<SplitBlobRequest>> = messageCodec<SplitBlobRequest>("build.bazel.remote.execution.v2.SplitBlobRequest", statics.SplitBlobRequest);

/** The answer to SplitBlobRequest. */
export interface SplitBlobResponse {
  /** In order. */
  chunkDigests: readonly Digest[];
  /** How it was cut. */
  chunkingFunction: ChunkingFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.SplitBlobResponse. */
export const SplitBlobResponseCodec: Codec<SplitBlobResponse, Init<SplitBlobResponse>> = messageCodec<SplitBlobResponse>("build.bazel.remote.execution.v2.SplitBlobResponse", statics.SplitBlobResponse);

/** A symlink in a directory. */
export interface SymlinkNode {
  /** One path segment. */
  name: string;
  /**
   * Where it points, with "/" between segments: relative to its own directory, or absolute where the server
   * allows that.
   */
  target: string;
  /** Field 4. */
  nodeProperties?: NodeProperties;
}

/** Encodes and decodes build.bazel.remote.execution.v2.SymlinkNode. */
export const SymlinkNodeCodec: Codec<SymlinkNode, Init<SymlinkNode>> = messageCodec<SymlinkNode>("build.bazel.remote.execution.v2.SymlinkNode", statics.SymlinkNode);

/** The program that calls. */
export interface ToolDetails {
  /** Field 1. */
  toolName: string;
  /** Field 2. */
  toolVersion: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.ToolDetails. */
export const ToolDetailsCodec: Codec<ToolDetails, Init<ToolDetails>> = messageCodec<ToolDetails>("build.bazel.remote.execution.v2.ToolDetails", statics.ToolDetails);

/** A directory with all below it, in one message. */
export interface Tree {
  /** Field 1. */
  root?: Directory;
  /** Each distinct Directory below the root, once. */
  children: readonly Directory[];
}

/** Encodes and decodes build.bazel.remote.execution.v2.Tree. */
export const TreeCodec: Codec<Tree, Init<Tree>> = messageCodec<Tree>("build.bazel.remote.execution.v2.Tree", statics.Tree);

/** See ActionCache.UpdateActionResult. */
export interface UpdateActionResultRequest {
  /** Field 1. */
  instanceName: string;
  /** Field 2. */
  actionDigest?: Digest;
  /** Field 3. */
  actionResult?: ActionResult;
  /** Field 4. */
  resultsCachePolicy?: ResultsCachePolicy;
  /** Field 5. */
  digestFunction: DigestFunction;
}

/** Encodes and decodes build.bazel.remote.execution.v2.UpdateActionResultRequest. */
export const UpdateActionResultRequestCodec: Codec<UpdateActionResultRequest, Init<UpdateActionResultRequest>> = messageCodec<UpdateActionResultRequest>("build.bazel.remote.execution.v2.UpdateActionResultRequest", statics.UpdateActionResultRequest);

/** See Execution.WaitExecution. */
export interface WaitExecutionRequest {
  /** Name of the operation. */
  name: string;
}

/** Encodes and decodes build.bazel.remote.execution.v2.WaitExecutionRequest. */
export const WaitExecutionRequestCodec: Codec<WaitExecutionRequest, Init<WaitExecutionRequest>> = messageCodec<WaitExecutionRequest>("build.bazel.remote.execution.v2.WaitExecutionRequest", statics.WaitExecutionRequest);

/** One version. */
export interface SemVer {
  /** Clients and servers of differing majors do not understand each other. */
  major: number;
  /** Field 2. */
  minor: number;
  /** Field 3. */
  patch: number;
  /** Empty for a release. */
  prerelease: string;
}

/** Encodes and decodes build.bazel.semver.SemVer. */
export const SemVerCodec: Codec<SemVer, Init<SemVer>> = messageCodec<SemVer>("build.bazel.semver.SemVer", statics.SemVer);

/** See ByteStream.QueryWriteStatus. */
export interface QueryWriteStatusRequest {
  /** Field 1. */
  resourceName: string;
}

/** Encodes and decodes google.bytestream.QueryWriteStatusRequest. */
export const QueryWriteStatusRequestCodec: Codec<QueryWriteStatusRequest, Init<QueryWriteStatusRequest>> = messageCodec<QueryWriteStatusRequest>("google.bytestream.QueryWriteStatusRequest", statics.QueryWriteStatusRequest);

/** The answer to QueryWriteStatusRequest. */
export interface QueryWriteStatusResponse {
  /** Bytes the resource has so far. */
  committedSize: number;
  /** True when nothing is left to write. */
  complete: boolean;
}

/** Encodes and decodes google.bytestream.QueryWriteStatusResponse. */
export const QueryWriteStatusResponseCodec: Codec<QueryWriteStatusResponse, Init<QueryWriteStatusResponse>> = messageCodec<QueryWriteStatusResponse>("google.bytestream.QueryWriteStatusResponse", statics.QueryWriteStatusResponse);

/** See ByteStream.Read. */
export interface ReadRequest {
  /** Field 1. */
  resourceName: string;
  /** Field 2. */
  readOffset: number;
  /** Most bytes to send. 0: all. */
  readLimit: number;
}

/** Encodes and decodes google.bytestream.ReadRequest. */
export const ReadRequestCodec: Codec<ReadRequest, Init<ReadRequest>> = messageCodec<ReadRequest>("google.bytestream.ReadRequest", statics.ReadRequest);

/** One piece. */
export interface ReadResponse {
  /** Field 10. */
  data: Uint8Array;
}

/** Encodes and decodes google.bytestream.ReadResponse. */
export const ReadResponseCodec: Codec<ReadResponse, Init<ReadResponse>> = messageCodec<ReadResponse>("google.bytestream.ReadResponse", statics.ReadResponse);

/** One piece. */
export interface WriteRequest {
  /** Needed in the first message; in later ones empty or the same. */
  resourceName: string;
  /** In the first message, where to go on; in later ones, that plus what was sent. */
  writeOffset: number;
  /** True on the last message. */
  finishWrite: boolean;
  /** Field 10. */
  data: Uint8Array;
}

/** Encodes and decodes google.bytestream.WriteRequest. */
export const WriteRequestCodec: Codec<WriteRequest, Init<WriteRequest>> = messageCodec<WriteRequest>("google.bytestream.WriteRequest", statics.WriteRequest);

/** The answer to a write. */
export interface WriteResponse {
  /** Bytes the resource has; -1 for one that was there already and was being written compressed. */
  committedSize: number;
}

/** Encodes and decodes google.bytestream.WriteResponse. */
export const WriteResponseCodec: Codec<WriteResponse, Init<WriteResponse>> = messageCodec<WriteResponse>("google.bytestream.WriteResponse", statics.WriteResponse);

/** See Operations.CancelOperation. */
export interface CancelOperationRequest {
  /** Field 1. */
  name: string;
}

/** Encodes and decodes google.longrunning.CancelOperationRequest. */
export const CancelOperationRequestCodec: Codec<CancelOperationRequest, Init<CancelOperationRequest>> = messageCodec<CancelOperationRequest>("google.longrunning.CancelOperationRequest", statics.CancelOperationRequest);

/** See Operations.DeleteOperation. */
export interface DeleteOperationRequest {
  /** Field 1. */
  name: string;
}

/** Encodes and decodes google.longrunning.DeleteOperationRequest. */
export const DeleteOperationRequestCodec: Codec<DeleteOperationRequest, Init<DeleteOperationRequest>> = messageCodec<DeleteOperationRequest>("google.longrunning.DeleteOperationRequest", statics.DeleteOperationRequest);

/** See Operations.GetOperation. */
export interface GetOperationRequest {
  /** Field 1. */
  name: string;
}

/** Encodes and decodes google.longrunning.GetOperationRequest. */
export const GetOperationRequestCodec: Codec<GetOperationRequest, Init<GetOperationRequest>> = messageCodec<GetOperationRequest>("google.longrunning.GetOperationRequest", statics.GetOperationRequest);

/** See Operations.ListOperations. */
export interface ListOperationsRequest {
  /** Field 1. */
  filter: string;
  /** Field 2. */
  pageSize: number;
  /** Field 3. */
  pageToken: string;
  /** Collection to list. */
  name: string;
  /** Answer even if a part cannot be asked; its name is then in `unreachable`. */
  returnPartialSuccess: boolean;
}

/** Encodes and decodes google.longrunning.ListOperationsRequest. */
export const ListOperationsRequestCodec: Codec<ListOperationsRequest, Init<ListOperationsRequest>> = messageCodec<ListOperationsRequest>("google.longrunning.ListOperationsRequest", statics.ListOperationsRequest);

/** One page. */
export interface ListOperationsResponse {
  /** Field 1. */
  operations: readonly Operation[];
  /** Empty on the last page. */
  nextPageToken: string;
  /** Field 3. */
  unreachable: readonly string[];
}

/** Encodes and decodes google.longrunning.ListOperationsResponse. */
export const ListOperationsResponseCodec: Codec<ListOperationsResponse, Init<ListOperationsResponse>> = messageCodec<ListOperationsResponse>("google.longrunning.ListOperationsResponse", statics.ListOperationsResponse);

/** One piece of work. */
export interface Operation {
  /** Given by the server. */
  name: string;
  /** How far it is: an ExecuteOperationMetadata. */
  metadata?: Any;
  /** Field 3. */
  done: boolean;
  /** Never set by an Execution service. */
  error?: Status;
  /** An ExecuteResponse. */
  response?: Any;
  /** Which of these came; not looked at when encoding. */
  result?: "error" | "response";
}

/** Encodes and decodes google.longrunning.Operation. */
export const OperationCodec: Codec<Operation, Init<Operation>> = messageCodec<Operation>("google.longrunning.Operation", statics.Operation);

/** Says which types an operation carries. */
export interface OperationInfo {
  /** Field 1. */
  responseType: string;
  /** Field 2. */
  metadataType: string;
}

/** Encodes and decodes google.longrunning.OperationInfo. */
export const OperationInfoCodec: Codec<OperationInfo, Init<OperationInfo>> = messageCodec<OperationInfo>("google.longrunning.OperationInfo", statics.OperationInfo);

/** See Operations.WaitOperation. */
export interface WaitOperationRequest {
  /** Field 1. */
  name: string;
  /** Field 2. */
  timeout?: Duration;
}

/** Encodes and decodes google.longrunning.WaitOperationRequest. */
export const WaitOperationRequestCodec: Codec<WaitOperationRequest, Init<WaitOperationRequest>> = messageCodec<WaitOperationRequest>("google.longrunning.WaitOperationRequest", statics.WaitOperationRequest);

/** A message of any type, with the name of its type. */
export interface Any {
  /** `"type.googleapis.com/"` and the full name of the message. */
  typeUrl: string;
  /** The encoded message. */
  value: Uint8Array;
}

/** Encodes and decodes google.protobuf.Any. */
export const AnyCodec: Codec<Any, Init<Any>> = messageCodec<Any>("google.protobuf.Any", statics.Any);

/** A span of time. */
export interface Duration {
  /** Whole seconds; negative for a negative span. */
  seconds: number;
  /** The rest, with the sign of `seconds`. */
  nanos: number;
}

/** Encodes and decodes google.protobuf.Duration. */
export const DurationCodec: Codec<Duration, Init<Duration>> = messageCodec<Duration>("google.protobuf.Duration", statics.Duration);

/** Nothing. */
export interface Empty {
}

/** Encodes and decodes google.protobuf.Empty. */
export const EmptyCodec: Codec<Empty, Init<Empty>> = messageCodec<Empty>("google.protobuf.Empty", statics.Empty);

/** A moment. */
export interface Timestamp {
  /** Since 1970-01-01T00:00:00Z. */
  seconds: number;
  /** The rest; never negative. */
  nanos: number;
}

/** Encodes and decodes google.protobuf.Timestamp. */
export const TimestampCodec: Codec<Timestamp, Init<Timestamp>> = messageCodec<Timestamp>("google.protobuf.Timestamp", statics.Timestamp);

/** A number that may be absent. */
export interface UInt32Value {
  /** The number. */
  value: number;
}

/** Encodes and decodes google.protobuf.UInt32Value. */
export const UInt32ValueCodec: Codec<UInt32Value, Init<UInt32Value>> = messageCodec<UInt32Value>("google.protobuf.UInt32Value", statics.UInt32Value);

/** What is wrong with the request. */
export interface BadRequest {
  /** Field 1. */
  fieldViolations: readonly BadRequest_FieldViolation[];
}

/** Encodes and decodes google.rpc.BadRequest. */
export const BadRequestCodec: Codec<BadRequest, Init<BadRequest>> = messageCodec<BadRequest>("google.rpc.BadRequest", statics.BadRequest);

/** One field. */
export interface BadRequest_FieldViolation {
  /** Path to it, with dots. */
  field: string;
  /** Field 2. */
  description: string;
  /** Field 3. */
  reason: string;
  /** Field 4. */
  localizedMessage?: LocalizedMessage;
}

/** Encodes and decodes google.rpc.BadRequest.FieldViolation. */
export const BadRequest_FieldViolationCodec: Codec<BadRequest_FieldViolation, Init<BadRequest_FieldViolation>> = messageCodec<BadRequest_FieldViolation>("google.rpc.BadRequest.FieldViolation", statics.BadRequest_FieldViolation);

/** For the developers of the server. */
export interface DebugInfo {
  /** Field 1. */
  stackEntries: readonly string[];
  /** Field 2. */
  detail: string;
}

/** Encodes and decodes google.rpc.DebugInfo. */
export const DebugInfoCodec: Codec<DebugInfo, Init<DebugInfo>> = messageCodec<DebugInfo>("google.rpc.DebugInfo", statics.DebugInfo);

/** Why, as a word that programs can compare. */
export interface ErrorInfo {
  /** UPPER_SNAKE_CASE, unique within the domain. */
  reason: string;
  /** Who coined the reason. */
  domain: string;
  /** Field 3. */
  metadata: Readonly<Record<string, string>>;
}

/** Encodes and decodes google.rpc.ErrorInfo. */
export const ErrorInfoCodec: Codec<ErrorInfo, Init<ErrorInfo>> = messageCodec<ErrorInfo>("google.rpc.ErrorInfo", statics.ErrorInfo);

/** Where to read on. */
export interface Help {
  /** Field 1. */
  links: readonly Help_Link[];
}

/** Encodes and decodes google.rpc.Help. */
export const HelpCodec: Codec<Help, Init<Help>> = messageCodec<Help>("google.rpc.Help", statics.Help);

/** One page. */
export interface Help_Link {
  /** Field 1. */
  description: string;
  /** Field 2. */
  url: string;
}

/** Encodes and decodes google.rpc.Help.Link. */
export const Help_LinkCodec: Codec<Help_Link, Init<Help_Link>> = messageCodec<Help_Link>("google.rpc.Help.Link", statics.Help_Link);

/** The message in a person's language. */
export interface LocalizedMessage {
  /** Such as "en-US". */
  locale: string;
  /** Field 2. */
  message: string;
}

/** Encodes and decodes google.rpc.LocalizedMessage. */
export const LocalizedMessageCodec: Codec<LocalizedMessage, Init<LocalizedMessage>> = messageCodec<LocalizedMessage>("google.rpc.LocalizedMessage", statics.LocalizedMessage);

/** What must be so before the call can work. */
export interface PreconditionFailure {
  /** Field 1. */
  violations: readonly PreconditionFailure_Violation[];
}

/** Encodes and decodes google.rpc.PreconditionFailure. */
export const PreconditionFailureCodec: Codec<PreconditionFailure, Init<PreconditionFailure>> = messageCodec<PreconditionFailure>("google.rpc.PreconditionFailure", statics.PreconditionFailure);

/** One thing that is not so. */
export interface PreconditionFailure_Violation {
  /** "MISSING" for a blob that is not in the store. */
  type: string;
  /** For MISSING: "blobs/{hash}/{size}", with the digest function before the hash where names carry one. */
  subject: string;
  /** Field 3. */
  description: string;
}

/** Encodes and decodes google.rpc.PreconditionFailure.Violation. */
export const PreconditionFailure_ViolationCodec: Codec<PreconditionFailure_Violation, Init<PreconditionFailure_Violation>> = messageCodec<PreconditionFailure_Violation>("google.rpc.PreconditionFailure.Violation", statics.PreconditionFailure_Violation);

/** Which limits were hit. */
export interface QuotaFailure {
  /** Field 1. */
  violations: readonly QuotaFailure_Violation[];
}

/** Encodes and decodes google.rpc.QuotaFailure. */
export const QuotaFailureCodec: Codec<QuotaFailure, Init<QuotaFailure>> = messageCodec<QuotaFailure>("google.rpc.QuotaFailure", statics.QuotaFailure);

/** One limit. */
export interface QuotaFailure_Violation {
  /** Whose limit. */
  subject: string;
  /** Field 2. */
  description: string;
  /** Field 3. */
  apiService: string;
  /** Field 4. */
  quotaMetric: string;
  /** Field 5. */
  quotaId: string;
  /** Field 6. */
  quotaDimensions: Readonly<Record<string, string>>;
  /** Field 7. */
  quotaValue: number;
  /** Field 8. */
  futureQuotaValue?: number;
}

/** Encodes and decodes google.rpc.QuotaFailure.Violation. */
export const QuotaFailure_ViolationCodec: Codec<QuotaFailure_Violation, Init<QuotaFailure_Violation>> = messageCodec<QuotaFailure_Violation>("google.rpc.QuotaFailure.Violation", statics.QuotaFailure_Violation);

/** Names the request, to ask about it. */
export interface RequestInfo {
  /** Field 1. */
  requestId: string;
  /** Field 2. */
  servingData: string;
}

/** Encodes and decodes google.rpc.RequestInfo. */
export const RequestInfoCodec: Codec<RequestInfo, Init<RequestInfo>> = messageCodec<RequestInfo>("google.rpc.RequestInfo", statics.RequestInfo);

/** The thing the error is about. */
export interface ResourceInfo {
  /** Field 1. */
  resourceType: string;
  /** Field 2. */
  resourceName: string;
  /** Field 3. */
  owner: string;
  /** Field 4. */
  description: string;
}

/** Encodes and decodes google.rpc.ResourceInfo. */
export const ResourceInfoCodec: Codec<ResourceInfo, Init<ResourceInfo>> = messageCodec<ResourceInfo>("google.rpc.ResourceInfo", statics.ResourceInfo);

/** Trying again makes sense. */
export interface RetryInfo {
  /** But not before this has passed. */
  retryDelay?: Duration;
}

/** Encodes and decodes google.rpc.RetryInfo. */
export const RetryInfoCodec: Codec<RetryInfo, Init<RetryInfo>> = messageCodec<RetryInfo>("google.rpc.RetryInfo", statics.RetryInfo);

/** A code for machines, a message for people, details for both. */
export interface Status {
  /** One of the codes of gRPC; 0 is OK. */
  code: number;
  /** Field 2. */
  message: string;
  /** Messages of error_details.proto. */
  details: readonly Any[];
}

/** Encodes and decodes google.rpc.Status. */
export const StatusCodec: Codec<Status, Init<Status>> = messageCodec<Status>("google.rpc.Status", statics.Status);

/** See Health.Check. */
export interface HealthCheckRequest {
  /** Field 1. */
  service: string;
}

/** Encodes and decodes grpc.health.v1.HealthCheckRequest. */
export const HealthCheckRequestCodec: Codec<HealthCheckRequest, Init<HealthCheckRequest>> = messageCodec<HealthCheckRequest>("grpc.health.v1.HealthCheckRequest", statics.HealthCheckRequest);

/** The answer to HealthCheckRequest. */
export interface HealthCheckResponse {
  /** Field 1. */
  status: HealthCheckResponse_ServingStatus;
}

/** Encodes and decodes grpc.health.v1.HealthCheckResponse. */
export const HealthCheckResponseCodec: Codec<HealthCheckResponse, Init<HealthCheckResponse>> = messageCodec<HealthCheckResponse>("grpc.health.v1.HealthCheckResponse", statics.HealthCheckResponse);
