/**
 * The scheduler: which action runs where, and what becomes of it when something dies.
 *
 * It is a pure state machine. An event and the time go in, effects come out; it reads no clock, does no I/O and throws no
 * dice, so the same code runs in production and, from a seed, in a simulation.
 *
 * **Jobs and operations.** A client's Execute makes an operation. Operations that want the same action at the same time
 * share one job, unless the action forbids it. A job is queued (or delayed after a fault), leased to a worker, settling
 * (its result is being kept) and ended. An operation finishes once, is cancelled when nobody has watched it for a minute,
 * and can be waited for ten minutes after it has finished. A job all of whose operations were cancelled is cancelled.
 *
 * **Leases.** A lease's id is a fencing token: boot epoch and a counter, so every lease is newer than all before it, also
 * across restarts. A worker renews its leases by naming them in heartbeats. A lease ends when its result comes, when it
 * was not renewed for its time to live, when heartbeats leave it out, or when a new stream of its worker does not name
 * it. A result under a lease that has ended is refused. A slot is free again when the worker has handed in the result or
 * has said that it does not hold the lease, or must have killed its action; never at the mere wish of control.
 *
 * **Failures.** A worker that vanishes with a job it had begun is a loss: the job goes back to the queue, and after
 * `maxLosses` it fails with FAILED_PRECONDITION and the story, because clients send a retriable status again and the
 * action would take down the next workers. A worker that says it could not do its part is a fault: the job goes to
 * another worker if there is one, and after `maxFaults` it fails with UNAVAILABLE. Whatever the reasons, no job is leased
 * more than `maxAttempts` times.
 *
 * @module
 */

import type { OperationName, WorkerId } from "@brokkr/common";
import { BrokkrError, cancelled, Code, resourceExhausted, unavailable } from "@brokkr/common";
import { assert } from "../_assert.ts";
import { Dispatcher } from "./_dispatcher.ts";
import { attemptsError, faultsError, lossesError } from "./_errors.ts";
import { Fleet } from "./_fleet.ts";
import { checkInvariants } from "./_invariants.ts";
import { JobTable } from "./_jobs.ts";
import { OperationTable } from "./_operations.ts";
import { Queues } from "./_queues.ts";
import type { Job, Lease, Operation, WorkerState } from "./_state.ts";
import { operationView, statOf, unmatched, workerView } from "./_views.ts";
import { platformOffer } from "./platform.ts";
import * as t from "./types.ts";

/** Bytes that a finished operation without a response is counted with. */
const ERROR_BYTES = 512;
const RETRY_MS = 1000;
const CLOSING = "The control plane is shutting down; run the action again";

/** The state of the grid. See the module's documentation. */
export class Scheduler<P, R, O> {
  readonly #limits: t.SchedulerLimits;
  readonly #fleet: Fleet<P>;
  readonly #jobs: JobTable<P>;
  readonly #operations: OperationTable<P>;
  readonly #queues: Queues<P>;
  readonly #dispatcher: Dispatcher<P>;
  #closing = false;
  #nowMs = 0;
  #effects: t.SchedulerEffect<P, R, O>[] = [];

  /** An empty grid. `epoch` is the boot epoch, synced to disk before the first lease. */
  constructor(epoch: number, limits: Partial<t.SchedulerLimits> = {}) {
    assert(Number.isSafeInteger(epoch) && epoch >= 0, "A boot epoch is a whole number");
    this.#limits = { ...t.DEFAULT_LIMITS, ...limits };
    this.#fleet = new Fleet(epoch, this.#limits, (effect) => void this.#effects.push(effect));
    this.#operations = new OperationTable(this.#limits);
    this.#queues = new Queues(this.#fleet.workers);
    this.#dispatcher = new Dispatcher(this.#fleet, this.#queues);
    this.#jobs = new JobTable(this.#queues, this.#limits);
  }

  /** Takes in an event that happened at `nowMs` (monotonic) and returns what is to be done, in order. */
  step(event: t.SchedulerEvent<P, R, O>, nowMs: number): readonly t.SchedulerEffect<P, R, O>[] {
    assert(nowMs >= this.#nowMs, "Time does not go back");
    this.#nowMs = nowMs;
    this.#handle(event);
    this.#dispatcher.dispatch(nowMs);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Counts. */
  stat(): t.SchedulerStat {
    return statOf(this.#fleet, this.#jobs, this.#operations);
  }

  /** Every worker that is connected or was lately. */
  workers(nowMs: number): t.WorkerView[] {
    return [...this.#fleet.workers.values()].map((worker) => workerView(worker, nowMs));
  }

  /** A worker that is connected or was lately. */
  worker(id: WorkerId, nowMs: number): t.WorkerView | undefined {
    const worker = this.#fleet.workers.get(id);
    return worker === undefined ? undefined : workerView(worker, nowMs);
  }

  /** Why workers are drained, also those that are away. */
  get drains(): ReadonlyMap<WorkerId, string> {
    return this.#fleet.drains;
  }

  /** Whether a worker is connected by this stream and no newer one. */
  isCurrent(session: number, worker: WorkerId): boolean {
    return this.#fleet.current({ session, worker }) !== undefined;
  }

  /** An unfinished operation; undefined for one that is finished or unknown. */
  operation(name: OperationName): t.OperationView | undefined {
    const job = this.#operations.get(name)?.job;
    return job === undefined ? undefined : operationView(job, this.#fleet);
  }

  /** For each platform that jobs wait for and nobody offers: how many jobs, and why. */
  unmatched(): { readonly jobs: number; readonly why: string }[] {
    return unmatched(this.#jobs, this.#fleet);
  }

  /** Throws when the tables contradict one another. For tests: it looks at everything. */
  check(): void {
    this.#operations.check();
    this.#queues.check();
    checkInvariants(this.#limits, this.#fleet, this.#jobs);
  }

  /** Whether nothing is remembered at all: no job, operation, lease, worker or answer. For tests that look for leaks. */
  get empty(): boolean {
    return this.#fleet.empty && this.#jobs.empty &&
      this.#operations.unfinished + this.#operations.finished === 0;
  }

  #handle(event: t.SchedulerEvent<P, R, O>): void {
    switch (event.type) {
      case "submit":
        return this.#submit(event);
      case "cached":
        return this.#remember(this.#operations.add(event.operation, undefined), event.sizeBytes);
      case "grown":
        return this.#grown(event);
      case "watch":
      case "unwatch":
      case "cancel":
        return this.#client(event);
      case "connect":
        return this.#connect(event);
      case "goodbye":
        return this.#goodbye(event);
      case "disconnect": {
        const worker = this.#fleet.current(event);
        return worker === undefined ? undefined : this.#disconnected(worker);
      }
      case "heartbeat":
        return this.#heartbeat(event);
      case "stage":
        return this.#stage(event);
      case "result":
        return this.#result(event);
      case "settled":
        return this.#settled(event);
      case "tick":
        return this.#tick();
      case "salvaged":
        return this.#salvaged(event);
      case "drainWorker":
        return this.#drainWorker(event);
      case "resumeWorker":
        return this.#resumeWorker(event);
      case "shutdown":
        return this.#shutdown(event.abort);
    }
  }

  // What clients do.

  #submit(event: t.SubmitEvent<P>): void {
    assert(this.#operations.get(event.operation) === undefined, "An operation is submitted once");
    const refuse = (error: BrokkrError) =>
      void this.#effects.push({ type: "refuse", operation: event.operation, error });
    if (this.#closing) return refuse(unavailable(CLOSING, RETRY_MS));
    if (this.#operations.unfinished >= this.#limits.maxOperations) {
      const words =
        `${this.#limits.maxOperations} operations are under way, as many as there may be; try again soon`;
      return refuse(resourceExhausted(words, RETRY_MS));
    }
    const { operationBytes = 0 } = event;
    const { heldBytes } = this.#operations;
    const twin = event.twinKey === undefined ? undefined : this.#jobs.twins.get(event.twinKey);
    if (twin !== undefined) {
      assert(twin.state !== "ended", "A twin that ended is not in the table");
      const overweight = this.#jobs.overweight(operationBytes, heldBytes);
      if (overweight !== undefined) return refuse(resourceExhausted(overweight, RETRY_MS));
      this.#jobs.raise(twin, event.priority);
      twin.fresh ||= event.fresh ?? false;
      return this.#tellStage(twin, this.#operations.add(event.operation, twin, operationBytes));
    }
    const job = this.#jobs.make(event, this.#nowMs);
    const overload = this.#jobs.overload(job, this.#nowMs) ??
      this.#jobs.overweight(operationBytes + job.sizeBytes, heldBytes);
    if (overload !== undefined) return refuse(resourceExhausted(overload, RETRY_MS));
    this.#operations.add(event.operation, job, operationBytes);
    this.#dispatcher.needsWorker(this.#jobs.admit(job, this.#nowMs));
    this.#tellStage(job);
  }

  #client(event: t.WatchEvent | t.UnwatchEvent | t.CancelEvent): void {
    const operation = this.#operations.get(event.operation);
    if (operation === undefined) return;
    if (event.type === "watch") this.#operations.watch(operation);
    else if (event.type === "unwatch") this.#operations.unwatch(operation, this.#nowMs);
    else if (operation.job !== undefined) this.#cancel(operation, event.reason);
  }

  /** Tells the job's operations (or one of them) where it is. */
  #tellStage(job: Job<P>, only?: Operation<P>): void {
    const stage = job.executing ? "executing" : "queued";
    const worker = job.executing ? job.lease?.worker.spec.id : undefined;
    const { attempts: attempt } = job;
    for (const { name: operation } of only === undefined ? job.operations : [only]) {
      this.#effects.push({ type: "stage", operation, stage, worker, attempt });
    }
  }

  #cancel(operation: Operation<P>, reason: string): void {
    const job = operation.job;
    assert(job !== undefined, "Only an unfinished operation is cancelled");
    this.#finish(operation, { error: cancelled(reason) }, ERROR_BYTES);
    // A result that is being kept is worth keeping, whoever still wants it.
    if (job.operations.size > 0 || job.state === "settling") return;
    this.#stopWork(job, reason);
  }

  /** Ends a job before its time; a worker that has it is told to stop and keeps the slot until it has. */
  #stopWork(job: Job<P>, reason: string): void {
    const lease = job.lease;
    this.#jobs.end(job);
    if (lease !== undefined) this.#fleet.stop(lease, reason);
  }

  // What workers do.

  #connect(event: t.ConnectEvent): void {
    const { worker: spec, session, liveLeases } = event;
    assert(spec.slots >= 1, "A worker has a slot");
    let worker = this.#fleet.workers.get(spec.id);
    if (worker === undefined) {
      if (this.#fleet.workers.size >= this.#limits.maxWorkers) {
        const words =
          `Control knows ${this.#limits.maxWorkers} workers already and takes no more; let others end first`;
        const error = resourceExhausted(words, 60_000);
        return this.#fleet.sendClose(spec.id, session, error);
      }
      worker = this.#fleet.add(spec, session, this.#nowMs);
    } else if (session <= worker.session) return this.#replaced(spec.id, session);
    if (worker.connected) this.#replaced(spec.id, worker.session);
    const { leaving = false } = event;
    const offer = platformOffer(spec.platform, spec.grants);
    Object.assign(worker, { spec, session, offer, connected: true, leaving, pausedUntilMs: undefined });
    worker.lastHeardMs = this.#nowMs;
    if (worker.drained !== undefined) this.#fleet.sendDrain(worker, worker.drained, {});
    this.#takeStock(worker, new Set(liveLeases));
    this.#dispatcher.fleetChanged();
  }

  #goodbye(event: t.GoodbyeEvent): void {
    const worker = this.#fleet.current(event);
    if (worker === undefined || worker.leaving) return;
    worker.leaving = true;
    worker.lastHeardMs = this.#nowMs;
    this.#dispatcher.fleetChanged();
  }

  #replaced(worker: WorkerId, session: number): void {
    const error = new BrokkrError(Code.ABORTED, `Worker ${worker} has a newer stream than this one`);
    this.#fleet.sendClose(worker, session, error);
  }

  /** Compares a reconnected worker's leases with ours: what it does not name it does not have any more. */
  #takeStock(worker: WorkerState<P>, named: ReadonlySet<string>): void {
    for (const lease of [...worker.leases]) {
      if (lease.state === "settling") continue;
      if (named.has(lease.id)) {
        this.#fleet.renew(lease, this.#nowMs);
        if (lease.state === "cancelling") {
          this.#fleet.sendCancel(worker, lease.id, "The action was cancelled");
        }
      } else if (lease.state === "cancelling") {
        this.#fleet.release(lease);
      } else {
        this.#lose(lease, `worker ${worker.spec.id} came back without it`);
      }
    }
    this.#fleet.setStrays(worker, named, true);
  }

  #heartbeat(event: t.HeartbeatEvent): void {
    const worker = this.#fleet.current(event);
    if (worker === undefined) return;
    worker.lastHeardMs = this.#nowMs;
    const named = new Set(event.leases);
    for (const lease of [...worker.leases]) {
      if (lease.state === "settling") continue;
      if (named.has(lease.id)) {
        this.#fleet.renew(lease, this.#nowMs);
      } else if (lease.renewedAtMs + this.#limits.absentGraceMs <= this.#nowMs) {
        if (lease.state === "cancelling") this.#fleet.release(lease);
        else {
          this.#fleet.sendCancel(worker, lease.id, "Heartbeats left the lease out");
          this.#lose(lease, `worker ${worker.spec.id} stopped naming it in its heartbeats`);
        }
      }
    }
    this.#fleet.setStrays(worker, named);
  }

  #stage(event: t.StageEvent): void {
    const worker = this.#fleet.current(event);
    if (worker === undefined) return;
    worker.lastHeardMs = this.#nowMs;
    const lease = this.#fleet.leases.get(event.leaseId);
    if (lease?.worker !== worker || lease.state !== "active") return;
    this.#fleet.renew(lease, this.#nowMs);
    const job = lease.job;
    assert(job !== undefined, "An active lease has a job");
    if (job.executing) return;
    job.executing = true;
    this.#tellStage(job);
  }

  #result(event: t.ResultEvent<R>): void {
    const worker = this.#fleet.current(event);
    if (worker === undefined) return;
    worker.lastHeardMs = this.#nowMs;
    const lease = this.#fleet.leases.get(event.leaseId);
    if (lease?.worker !== worker) return this.#foreign(worker, event);
    if (lease.state === "settling") return; // Sent twice; the answer comes when the first has been kept.
    const job = lease.job;
    const { outcome, why } = event;
    if (job !== undefined && (outcome === "completed" || outcome === "failed")) {
      return this.#settle(lease, job, outcome, event.result);
    }
    this.#fleet.release(lease);
    this.#fleet.answer(worker, lease.id, job !== undefined, this.#nowMs);
    if (job === undefined) assert(lease.state === "cancelling", "A lease without a job is being cancelled");
    else if (outcome === "declined") this.#declined(job, worker, why);
    else this.#fault(job, worker, why);
  }

  /**
   * A result under a lease that is not the worker's, and ends nothing. One that we took back is refused. One of before
   * our time was taken back by nobody: control was started anew, and its clients will ask for the action again.
   */
  #foreign(worker: WorkerState<P>, { leaseId, outcome, result }: t.ResultEvent<R>): void {
    if (this.#fleet.salvaging.has(leaseId)) return; // Sent twice; the answer comes when the first has been kept.
    if (outcome !== "completed" || !this.#fleet.salvage(worker, leaseId)) {
      return this.#fleet.answerAgain(worker, leaseId);
    }
    const { id, environment } = worker.spec;
    this.#effects.push({ type: "salvage", leaseId, worker: id, environment, result });
  }

  #salvaged({ worker: id, leaseId, accepted }: t.SalvagedEvent): void {
    assert(this.#fleet.salvaging.delete(leaseId), "What was salvaged was being kept");
    const worker = this.#fleet.workers.get(id);
    if (worker === undefined) this.#fleet.note(leaseId, accepted, this.#nowMs);
    else this.#fleet.answer(worker, leaseId, accepted, this.#nowMs);
  }

  #settle(lease: Lease<P>, job: Job<P>, outcome: "completed" | "failed", result: R): void {
    this.#fleet.settle(lease);
    job.state = "settling";
    this.#jobs.settling++;
    this.#effects.push({
      type: "settle",
      leaseId: lease.id,
      worker: lease.worker.spec.id,
      environment: lease.worker.spec.environment,
      outcome,
      attempt: job.attempts,
      fresh: job.fresh,
      payload: job.payload,
      result,
    });
  }

  #settled({ leaseId, verdict }: t.SettledEvent<O>): void {
    const lease = this.#fleet.leases.get(leaseId);
    const job = lease?.job;
    assert(
      lease !== undefined && job !== undefined && lease.state === "settling",
      "What settled was settling",
    );
    this.#jobs.settling--;
    this.#fleet.release(lease);
    this.#fleet.answer(lease.worker, lease.id, verdict.kind === "finish", this.#nowMs);
    if (verdict.kind === "fault") return this.#fault(job, lease.worker, verdict.why);
    lease.worker.completed++;
    lease.worker.faultsInRow = 0;
    this.#finishAll(job, { outcome: verdict.outcome }, verdict.sizeBytes);
  }

  // What goes wrong.

  #declined(job: Job<P>, worker: WorkerState<P>, why: string): void {
    this.#fleet.pause(worker, this.#limits.declinePauseMs, this.#nowMs);
    job.story.push(`attempt ${job.attempts}: worker ${worker.spec.id} declined it: ${why}`);
    this.#requeue(job, 0);
  }

  #fault(job: Job<P>, worker: WorkerState<P>, why: string): void {
    const { id } = worker.spec;
    const { faultsBeforePause, faultPauseMs, maxFaults, faultBackoffMs } = this.#limits;
    const beyond = ++worker.faultsInRow - faultsBeforePause;
    if (beyond >= 0) this.#fleet.pause(worker, faultPauseMs * 2 ** Math.min(beyond, 20), this.#nowMs);
    job.faults++;
    job.avoid.add(id);
    job.story.push(`attempt ${job.attempts}: worker ${id} could not do its part: ${why}`);
    if (job.faults >= maxFaults) return this.#fail(job, faultsError(job));
    const others = this.#fleet.specs().some((other) => !job.avoid.has(other.id));
    this.#requeue(job, others ? 0 : faultBackoffMs * 2 ** (job.faults - 1));
  }

  /** A lease is gone without a result. */
  #lose(lease: Lease<P>, how: string): void {
    const job = lease.job;
    assert(job !== undefined && lease.state === "active", "Only an active lease is lost");
    this.#fleet.release(lease);
    // A lease that never reached its worker says nothing about the action.
    this.#lost(lease, job, how, lease.seen);
  }

  #lost(lease: Lease<P>, job: Job<P>, how: string, blame: boolean): void {
    const { id: leaseId, worker: { spec: { id: worker } } } = lease;
    this.#effects.push({ type: "lost", worker, leaseId, why: how, payload: job.payload });
    job.story.push(`attempt ${job.attempts}: ${how}`);
    if (blame) job.losses++;
    if (job.losses >= this.#limits.maxLosses) this.#fail(job, lossesError(job));
    else this.#requeue(job, 0);
  }

  #requeue(job: Job<P>, delayMs: number): void {
    assert(job.lease === undefined && job.queueIndex === -1, "A job that is queued again has no lease");
    if (job.operations.size === 0) return this.#jobs.end(job);
    if (this.#closing) return this.#fail(job, unavailable(CLOSING, RETRY_MS));
    if (job.attempts >= this.#limits.maxAttempts) return this.#fail(job, attemptsError(job));
    const told = job.executing;
    job.executing = false;
    if (delayMs > 0) this.#jobs.delay(job, this.#nowMs + delayMs);
    else this.#dispatcher.needsWorker(this.#jobs.enqueue(job, this.#nowMs));
    if (told) this.#tellStage(job);
  }

  // What time does.

  #tick(): void {
    for (const lease of [...this.#fleet.leases.values()]) this.#checkLease(lease);
    for (const worker of [...this.#fleet.workers.values()]) this.#checkWorker(worker);
    for (const job of [...this.#jobs.delayed]) {
      if (job.readyAtMs <= this.#nowMs) this.#dispatcher.needsWorker(this.#jobs.enqueue(job, this.#nowMs));
    }
    for (const operation of this.#operations.longUnwatched(this.#nowMs)) {
      this.#cancel(operation, `Nobody watched the operation for ${this.#limits.unwatchedMs / 1000} seconds`);
    }
    this.#forget(this.#operations.expireFinished(this.#nowMs));
    this.#fleet.expireAnswers(this.#nowMs);
    this.#queues.prune(this.#nowMs - this.#limits.unwatchedMs);
  }

  #checkLease(lease: Lease<P>): void {
    if (lease.state === "settling") return;
    const { worker, job } = lease;
    const { leaseTtlMs, overrunMs } = this.#limits;
    if (lease.renewedAtMs + leaseTtlMs <= this.#nowMs) {
      this.#fleet.sendCancel(worker, lease.id, "The lease was not renewed in time");
      if (lease.state === "cancelling") this.#fleet.release(lease);
      else this.#lose(lease, `worker ${worker.spec.id} did not renew it for ${leaseTtlMs / 1000} seconds`);
    } else if (job !== undefined && lease.grantedAtMs + job.timeoutMs + overrunMs <= this.#nowMs) {
      // The worker still works on it, and its slot is free when it has let go.
      this.#fleet.stop(lease, "The action is long past its timeout");
      const how = `worker ${worker.spec.id} held it ${overrunMs / 1000} seconds past its timeout`;
      this.#lost(lease, job, how, true);
    }
  }

  #checkWorker(worker: WorkerState<P>): void {
    this.#fleet.unpause(worker, this.#nowMs);
    const { leaseTtlMs } = this.#limits;
    if (worker.lastHeardMs + leaseTtlMs > this.#nowMs) return;
    const { spec: { id }, session } = worker;
    if (worker.connected) {
      const words = `Worker ${id} sent nothing for ${leaseTtlMs / 1000} seconds; it may connect again`;
      this.#fleet.sendClose(id, session, new BrokkrError(Code.DEADLINE_EXCEEDED, words));
      this.#disconnected(worker);
    }
    if (this.#fleet.workers.has(id) && worker.leases.size === 0) this.#fleet.forget(worker);
  }

  // What the operator does.

  #drainWorker({ worker: id, reason, end = false }: t.DrainWorkerEvent): void {
    const { drains, workers } = this.#fleet;
    if (!drains.has(id) && drains.size >= this.#limits.maxWorkers) return;
    drains.set(id, reason);
    const worker = workers.get(id);
    if (worker === undefined) return;
    const before = worker.drained;
    worker.drained = reason;
    if (end || before === undefined) this.#fleet.sendDrain(worker, reason, { end });
    if (before === undefined) this.#dispatcher.fleetChanged();
  }

  #resumeWorker({ worker: id }: t.ResumeWorkerEvent): void {
    if (!this.#fleet.drains.delete(id)) return;
    const worker = this.#fleet.workers.get(id);
    if (worker === undefined) return;
    worker.drained = undefined;
    this.#fleet.sendDrain(worker, "An operator resumed it", { over: true });
    this.#dispatcher.fleetChanged();
  }

  #shutdown(abort: boolean): void {
    this.#closing = true;
    for (const job of [...this.#jobs.all]) {
      if (job.state === "settling" || (job.state === "leased" && !abort)) continue;
      this.#finishAll(
        job,
        { error: unavailable(CLOSING, RETRY_MS) },
        ERROR_BYTES,
        "Control is shutting down",
      );
    }
  }

  // What follows.

  #disconnected(worker: WorkerState<P>): void {
    worker.connected = false;
    worker.strays = new Set();
    this.#dispatcher.fleetChanged();
    // It said so, and nothing of it is left to come back for.
    if (worker.leaving && worker.leases.size === 0) this.#fleet.forget(worker);
  }

  #fail(job: Job<P>, error: BrokkrError): void {
    this.#finishAll(job, { error }, ERROR_BYTES + error.message.length);
  }

  /** Finishes all operations of a job and ends it, stopping its worker if there is one. */
  #finishAll(
    job: Job<P>,
    end: t.FinishEffect<O>["end"],
    sizeBytes: number,
    reason = "The action ended",
  ): void {
    for (const operation of [...job.operations]) this.#finish(operation, end, sizeBytes);
    this.#stopWork(job, reason);
  }

  #finish(operation: Operation<P>, end: t.FinishEffect<O>["end"], sizeBytes: number): void {
    assert(operation.job !== undefined, "An operation finishes once");
    this.#effects.push({ type: "finish", operation: operation.name, end });
    this.#remember(operation, sizeBytes);
  }

  #remember(operation: Operation<P>, sizeBytes: number): void {
    this.#forget(this.#operations.finish(operation, sizeBytes, this.#nowMs));
  }

  #grown(event: t.GrownEvent): void {
    const operation = this.#operations.get(event.operation);
    // It may be forgotten by now.
    if (operation !== undefined) this.#forget(this.#operations.resize(operation, event.sizeBytes));
  }

  #forget(names: readonly OperationName[]): void {
    for (const operation of names) this.#effects.push({ type: "forgetOperation", operation });
  }
}
