/**
 * What goes into the scheduler and what comes out of it: events, effects, limits, views.
 *
 * Three types are the driver's own and opaque here: `P`, what a worker needs to run a job; `R`, what a worker hands in;
 * `O`, what an operation is finished with.
 *
 * @module
 */

import type { BrokkrError, LeaseId, OperationName, WorkerId } from "@brokkr/common";
import type { SandboxGrant } from "@brokkr/common/sandbox_properties";

/** One property of a platform. */
export interface PlatformProperty {
  /** Such as `OSFamily`. */
  readonly name: string;
  /** Such as `linux`. */
  readonly value: string;
}

/** What a worker offers, from its Hello. */
export interface WorkerSpec {
  /** Unique in the grid and stable across restarts of the worker. */
  readonly id: WorkerId;
  /** What actions may ask for. A name that comes several times offers any of its values. */
  readonly platform: readonly PlatformProperty[];
  /** What actions may ask of its sandbox by properties that are not in `platform`; nothing by default. */
  readonly grants?: readonly SandboxGrant[];
  /** How many actions it runs at once. */
  readonly slots: number;
  /** Names what its actions run in, such as `sandbox-1`. */
  readonly environment: string;
}

/** Where an unfinished operation is. */
export type OperationStage = "queued" | "executing";

/**
 * How a lease ended, as the worker says: `fault` when it could not do its part, `declined` when it cannot take work for a
 * while (it drains, or what it needs cannot be reached), which says nothing about the action.
 */
export type ResultOutcome = "completed" | "failed" | "fault" | "declined" | "cancelled";

/** A client wants an action run. */
export interface SubmitEvent<P> {
  readonly type: "submit";
  /** Its new operation; it starts with one watcher. */
  readonly operation: OperationName;
  /** Merges with an unfinished job of the same key; undefined never merges. */
  readonly twinKey: string | undefined;
  /** Each must be offered by the worker. */
  readonly platform: readonly PlatformProperty[];
  /** Environments it may run in; undefined for any. */
  readonly environments?: readonly string[];
  /** Lower is sooner. */
  readonly priority: number;
  /** How long the command may run. */
  readonly timeoutMs: number;
  /** Its client wants a new run; one that joins a twin makes the twin such a run. */
  readonly fresh?: boolean;
  /** What holding the payload costs. */
  readonly sizeBytes: number;
  /** What holding the operation itself costs while it is unfinished, be it merged or not. */
  readonly operationBytes?: number;
  /** For the worker. */
  readonly payload: P;
}

/** An operation was answered without a worker (from the action cache) and is finished from its first moment. */
export interface CachedEvent {
  readonly type: "cached";
  readonly operation: OperationName;
  /** What holding its response costs. */
  readonly sizeBytes: number;
}

/** A finished operation turned out to cost more to remember than was known when it finished. */
export interface GrownEvent {
  readonly type: "grown";
  readonly operation: OperationName;
  /** What holding it costs now. */
  readonly sizeBytes: number;
}

/** A client began to watch an operation. */
export interface WatchEvent {
  readonly type: "watch";
  readonly operation: OperationName;
}

/** A client stopped watching. */
export interface UnwatchEvent {
  readonly type: "unwatch";
  readonly operation: OperationName;
}

/** Somebody cancels an operation. */
export interface CancelEvent {
  readonly type: "cancel";
  readonly operation: OperationName;
  readonly reason: string;
}

/** A worker said Hello on a new stream. Sessions are numbered by the driver and never used twice. */
export interface ConnectEvent {
  readonly type: "connect";
  readonly session: number;
  readonly worker: WorkerSpec;
  /** Leases that it still holds, or whose results it has not seen acknowledged. */
  readonly liveLeases: readonly string[];
  /** It has said before that it is about to end. */
  readonly leaving?: boolean;
}

/** A worker says that it is about to end. */
export interface GoodbyeEvent {
  readonly type: "goodbye";
  readonly session: number;
  readonly worker: WorkerId;
}

/** A worker's stream ended. */
export interface DisconnectEvent {
  readonly type: "disconnect";
  readonly session: number;
  readonly worker: WorkerId;
}

/** A worker names every lease it holds. */
export interface HeartbeatEvent {
  readonly type: "heartbeat";
  readonly session: number;
  readonly worker: WorkerId;
  readonly leases: readonly string[];
}

/** A worker began a step of a lease. */
export interface StageEvent {
  readonly type: "stage";
  readonly session: number;
  readonly worker: WorkerId;
  readonly leaseId: string;
}

/** A worker hands in how a lease ended. */
export interface ResultEvent<R> {
  readonly type: "result";
  readonly session: number;
  readonly worker: WorkerId;
  readonly leaseId: string;
  readonly outcome: ResultOutcome;
  /** Why, for `fault`, `declined` and `cancelled`. */
  readonly why: string;
  readonly result: R;
}

/** The driver has dealt with an accepted result (see the `settle` effect). */
export interface SettledEvent<O> {
  readonly type: "settled";
  readonly leaseId: LeaseId;
  /** `fault` when the result could not be used and the job must run again. */
  readonly verdict:
    | { readonly kind: "finish"; readonly outcome: O; readonly sizeBytes: number }
    | { readonly kind: "fault"; readonly why: string };
}

/** The driver has dealt with a result of before its start (see the `salvage` effect). */
export interface SalvagedEvent {
  readonly type: "salvaged";
  readonly worker: WorkerId;
  readonly leaseId: string;
  /** Whether it was kept. */
  readonly accepted: boolean;
}

/** Time passed. */
export interface TickEvent {
  readonly type: "tick";
}

/** A worker is to get no more leases until it is resumed, whether it is known now or comes later. */
export interface DrainWorkerEvent {
  readonly type: "drainWorker";
  readonly worker: WorkerId;
  readonly reason: string;
  /** It is to end, too, when it has nothing left to do. */
  readonly end?: boolean;
}

/** A drained worker may get leases again. */
export interface ResumeWorkerEvent {
  readonly type: "resumeWorker";
  readonly worker: WorkerId;
}

/**
 * The process is to end. `abort` false: no new work, what waits fails with UNAVAILABLE, what runs goes on; true: what
 * runs fails too.
 */
export interface ShutdownEvent {
  readonly type: "shutdown";
  readonly abort: boolean;
}

/** Everything that can happen to a scheduler. */
export type SchedulerEvent<P, R, O> =
  | SubmitEvent<P>
  | CachedEvent
  | GrownEvent
  | WatchEvent
  | UnwatchEvent
  | CancelEvent
  | ConnectEvent
  | GoodbyeEvent
  | DisconnectEvent
  | HeartbeatEvent
  | StageEvent
  | ResultEvent<R>
  | SettledEvent<O>
  | SalvagedEvent
  | TickEvent
  | DrainWorkerEvent
  | ResumeWorkerEvent
  | ShutdownEvent;

/** Send a lease to a worker. */
export interface LeaseEffect<P> {
  readonly type: "lease";
  readonly session: number;
  readonly worker: WorkerId;
  readonly leaseId: LeaseId;
  /** 1 for the first try. */
  readonly attempt: number;
  /** Since the job was submitted. */
  readonly queuedForMs: number;
  readonly payload: P;
}

/** Tell a worker to stop an action and forget its lease. */
export interface CancelEffect {
  readonly type: "cancelLease";
  readonly session: number;
  readonly worker: WorkerId;
  readonly leaseId: string;
  readonly reason: string;
}

/** Tell a worker that its result arrived. */
export interface AckEffect {
  readonly type: "ack";
  readonly session: number;
  readonly worker: WorkerId;
  readonly leaseId: string;
  readonly accepted: boolean;
}

/** Tell a worker that it gets no more leases, or that this is over. */
export interface DrainEffect {
  readonly type: "drain";
  readonly session: number;
  readonly worker: WorkerId;
  readonly reason: string;
  /** It is to end, too. */
  readonly end: boolean;
  /** It may get leases again. */
  readonly over: boolean;
}

/** End a worker's stream with an error. */
export interface CloseEffect {
  readonly type: "close";
  readonly session: number;
  readonly worker: WorkerId;
  readonly error: BrokkrError;
}

/** An operation came to a stage. */
export interface StageEffect {
  readonly type: "stage";
  readonly operation: OperationName;
  readonly stage: OperationStage;
  /** Who runs it, once somebody does. */
  readonly worker: WorkerId | undefined;
  readonly attempt: number;
}

/** An operation was not taken. It is not known to the scheduler. */
export interface RefuseEffect {
  readonly type: "refuse";
  readonly operation: OperationName;
  readonly error: BrokkrError;
}

/**
 * A result was accepted: verify and keep it, then send a `settled` event, exactly one for each. Until then twins still
 * merge with the job, so that nothing runs twice between the end of a job and its result being in the cache.
 */
export interface SettleEffect<P, R> {
  readonly type: "settle";
  readonly leaseId: LeaseId;
  readonly worker: WorkerId;
  readonly environment: string;
  readonly outcome: "completed" | "failed";
  readonly attempt: number;
  /** Some client wants a new run: an older result is no answer. */
  readonly fresh: boolean;
  readonly payload: P;
  readonly result: R;
}

/**
 * A worker hands in a completed result of a lease that was given before the scheduler's time. Nobody waits for it, but
 * it may be worth keeping: do so or not, then send a `salvaged` event, exactly one for each.
 */
export interface SalvageEffect<R> {
  readonly type: "salvage";
  readonly leaseId: string;
  readonly worker: WorkerId;
  readonly environment: string;
  readonly result: R;
}

/** An operation is finished: with what the driver settled on, or with an error of the scheduler's. */
export interface FinishEffect<O> {
  readonly type: "finish";
  readonly operation: OperationName;
  readonly end: { readonly outcome: O } | { readonly error: BrokkrError };
}

/** An operation need not be remembered any more. */
export interface ForgetOperationEffect {
  readonly type: "forgetOperation";
  readonly operation: OperationName;
}

/** A worker need not be remembered any more. */
export interface ForgetWorkerEffect {
  readonly type: "forgetWorker";
  readonly worker: WorkerId;
}

/** A lease was taken back from a worker that did not keep it; for logs and metrics. */
export interface LostEffect<P> {
  readonly type: "lost";
  readonly worker: WorkerId;
  readonly leaseId: LeaseId;
  readonly why: string;
  readonly payload: P;
}

/** Everything a scheduler can ask for. The driver carries effects out in order. */
export type SchedulerEffect<P, R, O> =
  | LeaseEffect<P>
  | CancelEffect
  | AckEffect
  | DrainEffect
  | CloseEffect
  | StageEffect
  | RefuseEffect
  | SettleEffect<P, R>
  | SalvageEffect<R>
  | FinishEffect<O>
  | ForgetOperationEffect
  | ForgetWorkerEffect
  | LostEffect<P>;

/** The scheduler's limits. Times in milliseconds. */
export interface SchedulerLimits {
  /** Jobs that may wait; beyond it submissions get RESOURCE_EXHAUSTED. */
  readonly maxQueued: number;
  /** Bytes of payloads and unfinished operations that may be held. */
  readonly maxPayloadBytes: number;
  /** Unfinished operations. */
  readonly maxOperations: number;
  /** Distinct platforms among waiting jobs. */
  readonly maxPlatforms: number;
  /** Workers; also drains that are remembered. */
  readonly maxWorkers: number;
  /** Results of before the start that are being kept at once; beyond it they are refused. */
  readonly maxSalvages: number;
  /** How long a lease lives without a heartbeat that names it. */
  readonly leaseTtlMs: number;
  /** How long heartbeats may leave out a lease that was given before its worker is taken not to have it. */
  readonly absentGraceMs: number;
  /** How much longer than its timeout a job may be leased (inputs and outputs take time too). */
  readonly overrunMs: number;
  /** Workers that may be lost under one job before it fails. */
  readonly maxLosses: number;
  /** Faults of workers before a job fails with UNAVAILABLE. */
  readonly maxFaults: number;
  /** Leases of one job, whatever ended them. */
  readonly maxAttempts: number;
  /** First wait after a fault when no other worker could take the job; doubles each time. */
  readonly faultBackoffMs: number;
  /** How long a worker that declined a lease gets no other. */
  readonly declinePauseMs: number;
  /** Faults in a row after which a worker is paused, lest it swallow one job after the other. */
  readonly faultsBeforePause: number;
  /** First pause after these; doubles with each further fault. */
  readonly faultPauseMs: number;
  /** Longest pause. */
  readonly maxPauseMs: number;
  /** How long an operation that nobody watches lives. */
  readonly unwatchedMs: number;
  /** How long a finished operation can be waited for. */
  readonly finishedMs: number;
  /** Finished operations that are remembered. */
  readonly maxFinished: number;
  /** Bytes of responses that are remembered. */
  readonly maxFinishedBytes: number;
}

/** What holds unless told otherwise. */
export const DEFAULT_LIMITS: SchedulerLimits = Object.freeze({
  maxQueued: 100_000,
  maxPayloadBytes: 256 * 2 ** 20,
  maxOperations: 100_000,
  maxPlatforms: 1000,
  maxWorkers: 10_000,
  maxSalvages: 1000,
  leaseTtlMs: 30_000,
  absentGraceMs: 12_000,
  overrunMs: 3_600_000,
  maxLosses: 3,
  maxFaults: 3,
  maxAttempts: 8,
  faultBackoffMs: 1000,
  declinePauseMs: 3000,
  faultsBeforePause: 3,
  faultPauseMs: 1000,
  maxPauseMs: 30_000,
  unwatchedMs: 60_000,
  finishedMs: 600_000,
  maxFinished: 10_000,
  maxFinishedBytes: 64 * 2 ** 20,
});

/** Counts of a scheduler. */
export interface SchedulerStat {
  /** Jobs that wait for a worker. */
  readonly queued: number;
  /** Jobs that a worker has. */
  readonly running: number;
  /** Jobs whose result is being kept. */
  readonly settling: number;
  /** Unfinished operations. */
  readonly operations: number;
  /** Finished operations that are remembered. */
  readonly finished: number;
  /** Connected workers. */
  readonly workers: number;
  /** Their slots. */
  readonly slots: number;
  /** Slots in use. */
  readonly slotsUsed: number;
}

/** A worker as the scheduler sees it. */
export interface WorkerView {
  readonly spec: WorkerSpec;
  readonly connected: boolean;
  /** Why an operator drained it; undefined when none did. */
  readonly drained: string | undefined;
  /** It said that it is about to end. */
  readonly leaving: boolean;
  readonly slotsUsed: number;
  readonly leases: readonly LeaseId[];
  /** Since it was last heard of. */
  readonly silentMs: number;
  /** Results accepted since it was first seen. */
  readonly completed: number;
}

/** An unfinished operation as the scheduler sees it. */
export interface OperationView {
  readonly stage: OperationStage;
  readonly worker: WorkerId | undefined;
  readonly attempts: number;
  /** What went wrong so far, oldest first. */
  readonly story: readonly string[];
  /** Why it waits, when it does. */
  readonly waitingFor: string | undefined;
}
