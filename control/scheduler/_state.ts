/**
 * What the scheduler keeps in mind. Every reference has its counterpart, which `checkInvariants` verifies.
 *
 * @module
 */

import type { FencingToken, LeaseId, OperationName, WorkerId } from "@brokkr/common";
import type { Queued } from "./job_queue.ts";
import type { PlatformOffer } from "./platform.ts";
import type { PlatformProperty, WorkerSpec } from "./types.ts";

/** One action to run, for one or several operations. */
export interface Job<P> extends Queued {
  readonly twinKey: string | undefined;
  readonly platform: readonly PlatformProperty[];
  readonly environments: readonly string[] | undefined;
  readonly platformKey: string;
  readonly timeoutMs: number;
  readonly sizeBytes: number;
  readonly payload: P;
  readonly submittedAtMs: number;
  readonly operations: Set<Operation<P>>;
  /** Some client wants a new run. */
  fresh: boolean;
  /** Workers that failed it. */
  readonly avoid: Set<WorkerId>;
  /** What went wrong so far. */
  readonly story: string[];
  /** `ended` once it is out of all tables. */
  state: "queued" | "delayed" | "leased" | "settling" | "ended";
  /** When a delayed job may be queued. */
  readyAtMs: number;
  /** Whether its worker has said that it began. */
  executing: boolean;
  attempts: number;
  losses: number;
  faults: number;
  lease: Lease<P> | undefined;
}

/** What one client waits for. */
export interface Operation<P> {
  readonly name: OperationName;
  /** Undefined once it is finished. */
  job: Job<P> | undefined;
  watchers: number;
  unwatchedAtMs: number;
  finishedAtMs: number;
  /** Of what is held for it while it is unfinished. */
  heldBytes: number;
  /** Of its response. */
  sizeBytes: number;
}

/** A job, or the remains of one, on a worker. */
export interface Lease<P> {
  readonly id: LeaseId;
  readonly token: FencingToken;
  readonly worker: WorkerState<P>;
  readonly grantedAtMs: number;
  /** When the worker last named it. */
  renewedAtMs: number;
  /** Whether the worker ever named it. */
  seen: boolean;
  /**
   * `active` has a job; `cancelling` has none and holds its slot until the worker lets go; `settling` has a job whose
   * result is being kept, and no slot.
   */
  state: "active" | "cancelling" | "settling";
  job: Job<P> | undefined;
}

/** A worker that is connected, or was within the time of a lease. */
export interface WorkerState<P> {
  spec: WorkerSpec;
  offer: PlatformOffer;
  session: number;
  connected: boolean;
  /** Why an operator drained it; undefined when none did. */
  drained: string | undefined;
  /** It said that it is about to end. */
  leaving: boolean;
  lastHeardMs: number;
  completed: number;
  /** Until when it gets no leases; undefined when it may. */
  pausedUntilMs: number | undefined;
  faultsInRow: number;
  readonly leases: Set<Lease<P>>;
  /** Leases in a slot: active and cancelling. */
  slotsHeld: number;
  /** Leases that the worker named and nobody here knows; they fill slots until it lets go of them. */
  strays: Set<string>;
}

/** Whether a worker is one to give leases to, if not at once. */
export function takesLeases<P>(worker: WorkerState<P>): boolean {
  return worker.connected && worker.drained === undefined && !worker.leaving;
}

/** How many more leases a worker can take. */
export function freeSlots<P>(worker: WorkerState<P>): number {
  if (!takesLeases(worker) || worker.pausedUntilMs !== undefined) return 0;
  return Math.max(0, worker.spec.slots - worker.slotsHeld - worker.strays.size);
}
