/**
 * The workers, their leases, and what is said to them.
 *
 * @module
 */

import type { BrokkrError, FencingToken, WorkerId } from "@brokkr/common";
import { fencingTokenOf, leaseIdOf } from "@brokkr/common";
import { assert } from "../_assert.ts";
import { platformOffer } from "./platform.ts";
import { freeSlots, type Job, type Lease, takesLeases, type WorkerState } from "./_state.ts";
import type { SchedulerEffect, SchedulerLimits, WorkerSpec } from "./types.ts";

/** Results that were answered are remembered for so many times a lease's life. */
const ANSWER_TTLS = 4;

/** The tables of workers and leases. */
export class Fleet<P> {
  readonly workers = new Map<WorkerId, WorkerState<P>>();
  readonly leases = new Map<string, Lease<P>>();
  /** Why workers, known or not, are drained. */
  readonly drains = new Map<WorkerId, string>();
  /** Leases of before our time whose results are being kept. */
  readonly salvaging = new Set<string>();
  /** Workers that may have slots to fill since the last step. */
  readonly needJobs = new Set<WorkerState<P>>();
  readonly #emit: (effect: SchedulerEffect<P, never, never>) => void;
  readonly #limits: SchedulerLimits;
  readonly #epoch: number;
  /** Results that were answered lately: a worker that missed the answer asks again. */
  readonly #answered = new Map<string, { readonly accepted: boolean; readonly atMs: number }>();
  #leaseCounter = 0;

  constructor(
    epoch: number,
    limits: SchedulerLimits,
    emit: (effect: SchedulerEffect<P, never, never>) => void,
  ) {
    this.#epoch = epoch;
    this.#limits = limits;
    this.#emit = emit;
  }

  get empty(): boolean {
    return this.workers.size + this.leases.size + this.drains.size + this.salvaging.size +
        this.#answered.size === 0;
  }

  /** A worker that was not known. */
  add(spec: WorkerSpec, session: number, nowMs: number): WorkerState<P> {
    const worker: WorkerState<P> = {
      spec,
      offer: platformOffer([]),
      session,
      connected: false,
      drained: this.drains.get(spec.id),
      leaving: false,
      lastHeardMs: nowMs,
      completed: 0,
      pausedUntilMs: undefined,
      faultsInRow: 0,
      leases: new Set(),
      slotsHeld: 0,
      strays: new Set(),
    };
    this.workers.set(spec.id, worker);
    return worker;
  }

  forget(worker: WorkerState<P>): void {
    assert(!worker.connected && worker.leases.size === 0, "A worker is forgotten when nothing is left of it");
    this.workers.delete(worker.spec.id);
    this.needJobs.delete(worker);
    this.#emit({ type: "forgetWorker", worker: worker.spec.id });
  }

  /** The worker that an event comes from, unless its stream was replaced. */
  current(event: { readonly worker: WorkerId; readonly session: number }): WorkerState<P> | undefined {
    const worker = this.workers.get(event.worker);
    return worker?.connected && worker.session === event.session ? worker : undefined;
  }

  /** Workers that take leases. */
  specs(): WorkerSpec[] {
    const specs: WorkerSpec[] = [];
    for (const worker of this.workers.values()) {
      if (takesLeases(worker)) specs.push(worker.spec);
    }
    return specs;
  }

  /** Workers that are connected and take none: they are drained, or about to end. */
  away(): WorkerSpec[] {
    const specs: WorkerSpec[] = [];
    for (const worker of this.workers.values()) {
      if (worker.connected && !takesLeases(worker)) specs.push(worker.spec);
    }
    return specs;
  }

  /** Workers that are not connected and may yet come back. */
  lost(): WorkerSpec[] {
    const specs: WorkerSpec[] = [];
    for (const worker of this.workers.values()) if (!worker.connected) specs.push(worker.spec);
    return specs;
  }

  /** Gives `worker` no leases for a while. */
  pause(worker: WorkerState<P>, forMs: number, nowMs: number): void {
    const untilMs = nowMs + Math.min(forMs, this.#limits.maxPauseMs);
    worker.pausedUntilMs = Math.max(worker.pausedUntilMs ?? 0, untilMs);
  }

  /** Ends a pause whose time is over. */
  unpause(worker: WorkerState<P>, nowMs: number): void {
    if (worker.pausedUntilMs === undefined || worker.pausedUntilMs > nowMs) return;
    worker.pausedUntilMs = undefined;
    this.needJobs.add(worker);
  }

  /** Leases `job`, which has been taken out of its queue, to `worker`. */
  grant(job: Job<P>, worker: WorkerState<P>, nowMs: number): void {
    assert(job.queueIndex === -1 && job.lease === undefined, "Only a job without a lease is leased");
    assert(freeSlots(worker) > 0, "Only a free slot is filled");
    const token: FencingToken = { epoch: this.#epoch, counter: ++this.#leaseCounter };
    const id = leaseIdOf(token);
    const lease: Lease<P> = {
      id,
      token,
      worker,
      grantedAtMs: nowMs,
      renewedAtMs: nowMs,
      seen: false,
      state: "active",
      job,
    };
    job.state = "leased";
    job.lease = lease;
    job.attempts++;
    worker.leases.add(lease);
    worker.slotsHeld++;
    this.leases.set(id, lease);
    this.#emit({
      type: "lease",
      session: worker.session,
      worker: worker.spec.id,
      leaseId: id,
      attempt: job.attempts,
      queuedForMs: nowMs - job.submittedAtMs,
      payload: job.payload,
    });
  }

  /** The worker names the lease: it lives on. */
  renew(lease: Lease<P>, nowMs: number): void {
    lease.renewedAtMs = nowMs;
    lease.seen = true;
  }

  /** Forgets a lease and frees its slot. */
  release(lease: Lease<P>): void {
    const { worker, job } = lease;
    assert(worker.leases.delete(lease) && this.leases.delete(lease.id), "A lease is released once");
    if (lease.state !== "settling") worker.slotsHeld--;
    if (job !== undefined) job.lease = undefined;
    lease.job = undefined;
    this.needJobs.add(worker);
  }

  /** Takes the job off a lease and tells its worker to stop; the slot is held until it has. */
  stop(lease: Lease<P>, reason: string): void {
    assert(lease.state === "active", "A lease that is stopped has no result yet");
    lease.state = "cancelling";
    if (lease.job !== undefined) lease.job.lease = undefined;
    lease.job = undefined;
    this.sendCancel(lease.worker, lease.id, reason);
  }

  /** Notes that a lease's result is being kept: it needs no slot any more. */
  settle(lease: Lease<P>): void {
    assert(lease.state === "active", "A lease settles once");
    lease.state = "settling";
    lease.worker.slotsHeld--;
    this.needJobs.add(lease.worker);
  }

  /** Whether a lease was given before our time. */
  isOlder(leaseId: string): boolean {
    const token = fencingTokenOf(leaseId);
    return token !== undefined && token.epoch < this.#epoch;
  }

  /**
   * Answers leases that are not the worker's: with the result's acknowledgement it missed, or with Cancel. In a Hello
   * (`patient`) those of before our time are left alone: results of them follow at once, before the first heartbeat.
   */
  setStrays(worker: WorkerState<P>, named: ReadonlySet<string>, patient = false): void {
    const had = worker.strays.size;
    worker.strays = new Set();
    for (const leaseId of named) {
      if (this.leases.get(leaseId)?.worker === worker || this.salvaging.has(leaseId)) continue;
      if (this.#answered.has(leaseId)) {
        this.answerAgain(worker, leaseId);
      } else if (patient && this.isOlder(leaseId)) {
        worker.strays.add(leaseId);
      } else {
        worker.strays.add(leaseId);
        this.sendCancel(worker, leaseId, "Control does not know this lease");
      }
    }
    if (worker.strays.size < had) this.needJobs.add(worker);
  }

  /** Acknowledges a result and remembers the answer, for a worker that misses it. */
  answer(worker: WorkerState<P>, leaseId: string, accepted: boolean, nowMs: number): void {
    this.note(leaseId, accepted, nowMs);
    this.#sendAck(worker, leaseId, accepted);
  }

  /** Remembers the answer to a result. */
  note(leaseId: string, accepted: boolean, nowMs: number): void {
    this.#answered.set(leaseId, { accepted, atMs: nowMs });
  }

  /** Whether a result of before our time is to be kept: once each, and not too many at once. */
  salvage(worker: WorkerState<P>, leaseId: string): boolean {
    const can = this.isOlder(leaseId) && !this.#answered.has(leaseId) &&
      this.salvaging.size < this.#limits.maxSalvages;
    if (!can) return false;
    this.salvaging.add(leaseId);
    if (worker.strays.delete(leaseId)) this.needJobs.add(worker);
    return true;
  }

  /** The answer to a result under a lease that is over. */
  answerAgain(worker: WorkerState<P>, leaseId: string): void {
    if (worker.strays.delete(leaseId)) this.needJobs.add(worker);
    this.#sendAck(worker, leaseId, this.#answered.get(leaseId)?.accepted ?? false);
  }

  /** Forgets old answers. */
  expireAnswers(nowMs: number): void {
    for (const [leaseId, { atMs }] of this.#answered) {
      if (atMs + ANSWER_TTLS * this.#limits.leaseTtlMs > nowMs) break;
      this.#answered.delete(leaseId);
    }
  }

  sendCancel(worker: WorkerState<P>, leaseId: string, reason: string): void {
    if (!worker.connected) return;
    const { session, spec: { id } } = worker;
    this.#emit({ type: "cancelLease", session, worker: id, leaseId, reason });
  }

  sendDrain(
    worker: WorkerState<P>,
    reason: string,
    how: { readonly end?: boolean; readonly over?: boolean },
  ): void {
    if (!worker.connected) return;
    const { session, spec: { id } } = worker;
    const { end = false, over = false } = how;
    this.#emit({ type: "drain", session, worker: id, reason, end, over });
  }

  sendClose(worker: WorkerId, session: number, error: BrokkrError): void {
    this.#emit({ type: "close", session, worker, error });
  }

  #sendAck(worker: WorkerState<P>, leaseId: string, accepted: boolean): void {
    if (!worker.connected) return;
    this.#emit({ type: "ack", session: worker.session, worker: worker.spec.id, leaseId, accepted });
  }
}
