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

import type { FencingToken, LeaseId, OperationName, WorkerId } from "@brokkr/common";
import { BrokkrError, cancelled, Code, leaseIdOf, resourceExhausted, unavailable } from "@brokkr/common";
import { assert } from "../_assert.ts";
import { attemptsError, explainWaiting, faultsError, lossesError } from "./_errors.ts";
import { OperationTable } from "./_operations.ts";
import { platformKey, platformOffer } from "./platform.ts";
import { type Group, Queues } from "./_queues.ts";
import { freeSlots, type Job, type Lease, type Operation, type WorkerState } from "./_state.ts";
import { checkInvariants } from "./_invariants.ts";
import * as t from "./types.ts";

/** Bytes that a finished operation without a response is counted with. */
const ERROR_BYTES = 512;
const RETRY_MS = 1000;
const CLOSING = "The control plane is shutting down; run the action again";

/** The state of the grid. See the module's documentation. */
export class Scheduler<P, R, O> {
  readonly #epoch: number;
  readonly #limits: t.SchedulerLimits;
  readonly #workers = new Map<WorkerId, WorkerState<P>>();
  readonly #leases = new Map<string, Lease<P>>();
  readonly #jobs = new Set<Job<P>>();
  readonly #twins = new Map<string, Job<P>>();
  readonly #delayed = new Set<Job<P>>();
  readonly #operations: OperationTable<P>;
  readonly #queues: Queues<P>;
  /** Leases whose results were answered lately: a worker that missed the answer asks again. */
  readonly #answered = new Map<string, { readonly accepted: boolean; readonly atMs: number }>();
  readonly #needJobs = new Set<WorkerState<P>>();
  readonly #needWorkers = new Set<Group<P>>();
  #everyWorkerNeedsJobs = false;
  #payloadBytes = 0;
  #jobSeq = 0;
  #leaseCounter = 0;
  #settling = 0;
  #closing = false;
  #nowMs = 0;
  #effects: t.SchedulerEffect<P, R, O>[] = [];

  /** An empty grid. `epoch` is the boot epoch, synced to disk before the first lease. */
  constructor(epoch: number, limits: Partial<t.SchedulerLimits> = {}) {
    assert(Number.isSafeInteger(epoch) && epoch >= 0, "A boot epoch is a whole number");
    this.#epoch = epoch;
    this.#limits = { ...t.DEFAULT_LIMITS, ...limits };
    this.#operations = new OperationTable(this.#limits);
    this.#queues = new Queues(this.#workers);
  }

  /** Takes in an event that happened at `nowMs` (monotonic) and returns what is to be done, in order. */
  step(event: t.SchedulerEvent<P, R, O>, nowMs: number): readonly t.SchedulerEffect<P, R, O>[] {
    assert(nowMs >= this.#nowMs, "Time does not go back");
    this.#nowMs = nowMs;
    this.#handle(event);
    this.#dispatch();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Counts. */
  stat(): t.SchedulerStat {
    let workers = 0, slots = 0, slotsUsed = 0;
    for (const worker of this.#workers.values()) {
      slotsUsed += worker.slotsHeld;
      if (!worker.connected) continue;
      workers++;
      slots += worker.spec.slots;
    }
    const queued = this.#queues.size + this.#delayed.size;
    return {
      queued,
      running: this.#jobs.size - queued - this.#settling,
      settling: this.#settling,
      operations: this.#operations.unfinished,
      finished: this.#operations.finished,
      workers,
      slots,
      slotsUsed,
    };
  }

  /** Every worker that is connected or was lately. */
  workers(nowMs: number): t.WorkerView[] {
    return [...this.#workers.values()].map((worker) => ({
      spec: worker.spec,
      connected: worker.connected,
      draining: worker.draining,
      slotsUsed: worker.slotsHeld + worker.strays.size,
      leases: [...worker.leases].map((lease) => lease.id),
      silentMs: Math.max(0, nowMs - worker.lastHeardMs),
      completed: worker.completed,
    }));
  }

  /** An unfinished operation; undefined for one that is finished or unknown. */
  operation(name: OperationName): t.OperationView | undefined {
    const job = this.#operations.get(name)?.job;
    if (job === undefined) return undefined;
    return {
      stage: job.executing ? "executing" : "queued",
      worker: job.lease?.worker.spec.id,
      attempts: job.attempts,
      story: [...job.story],
      waitingFor: job.state === "queued" || job.state === "delayed"
        ? explainWaiting(job, this.#specs())
        : undefined,
    };
  }

  /** For each platform that jobs wait for and nobody offers: how many jobs, and why. */
  unmatched(): { readonly jobs: number; readonly why: string }[] {
    const list: { jobs: number; why: string }[] = [];
    for (const group of this.#queues.groups()) {
      const first = group.queue.peek();
      if (first === undefined || this.#queues.candidates(group).length > 0) continue;
      list.push({ jobs: group.queue.size, why: explainWaiting(first, this.#specs()) });
    }
    return list;
  }

  /** Throws when the tables contradict one another. For tests: it looks at everything. */
  check(): void {
    this.#operations.check();
    this.#queues.check();
    checkInvariants({
      limits: this.#limits,
      workers: this.#workers,
      leases: this.#leases,
      jobs: this.#jobs,
      twins: this.#twins,
      delayed: this.#delayed,
      queued: this.#queues.size,
      settling: this.#settling,
      payloadBytes: this.#payloadBytes,
    });
  }

  /** Whether nothing is remembered at all: no job, operation, lease, worker or answer. For tests that look for leaks. */
  get empty(): boolean {
    return this.#workers.size + this.#leases.size + this.#jobs.size + this.#twins.size + this.#delayed.size +
        this.#operations.unfinished + this.#operations.finished + this.#queues.size + this.#queues.platforms +
        this.#answered.size + this.#payloadBytes + this.#settling === 0;
  }

  #handle(event: t.SchedulerEvent<P, R, O>): void {
    switch (event.type) {
      case "submit":
        return this.#submit(event);
      case "cached":
        return this.#remember(this.#operations.add(event.operation, undefined), event.sizeBytes);
      case "watch": {
        const operation = this.#operations.get(event.operation);
        return operation === undefined ? undefined : this.#operations.watch(operation);
      }
      case "unwatch": {
        const operation = this.#operations.get(event.operation);
        return operation === undefined ? undefined : this.#operations.unwatch(operation, this.#nowMs);
      }
      case "cancel": {
        const operation = this.#operations.get(event.operation);
        if (operation?.job !== undefined) this.#cancel(operation, event.reason);
        return;
      }
      case "connect":
        return this.#connect(event);
      case "disconnect": {
        const worker = this.#current(event);
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
      case "drainWorker":
        return this.#drainWorker(event);
      case "shutdown":
        return this.#shutdown(event.abort);
    }
  }

  #submit(event: t.SubmitEvent<P>): void {
    assert(this.#operations.get(event.operation) === undefined, "An operation is submitted once");
    const refuse = (error: BrokkrError) =>
      void this.#effects.push({ type: "refuse", operation: event.operation, error });
    if (this.#closing) return refuse(unavailable(CLOSING, RETRY_MS));
    if (this.#operations.unfinished >= this.#limits.maxOperations) {
      return refuse(resourceExhausted(`${this.#limits.maxOperations} operations are under way`, RETRY_MS));
    }
    const twin = event.twinKey === undefined ? undefined : this.#twins.get(event.twinKey);
    if (twin !== undefined) return this.#join(twin, event);
    const job = this.#newJob(event);
    const overload = this.#overload(job);
    if (overload !== undefined) return refuse(resourceExhausted(overload, RETRY_MS));
    this.#jobs.add(job);
    this.#payloadBytes += job.sizeBytes;
    if (job.twinKey !== undefined) this.#twins.set(job.twinKey, job);
    this.#operations.add(event.operation, job);
    this.#needWorkers.add(this.#queues.add(job, this.#nowMs));
    this.#tellStage(job);
  }

  #newJob(event: t.SubmitEvent<P>): Job<P> {
    return {
      seq: ++this.#jobSeq,
      queueIndex: -1,
      priority: event.priority,
      twinKey: event.twinKey,
      platform: event.platform,
      environments: event.environments,
      platformKey: platformKey(event.platform),
      timeoutMs: event.timeoutMs,
      sizeBytes: event.sizeBytes,
      payload: event.payload,
      submittedAtMs: this.#nowMs,
      operations: new Set(),
      avoid: new Set(),
      story: [],
      state: "queued",
      readyAtMs: 0,
      executing: false,
      attempts: 0,
      losses: 0,
      faults: 0,
      lease: undefined,
    };
  }

  /** Why one more job is too much, or undefined. */
  #overload(job: Job<P>): string | undefined {
    const { maxQueued, maxPayloadBytes, maxPlatforms } = this.#limits;
    if (this.#queues.size + this.#delayed.size >= maxQueued) return `${maxQueued} actions wait for workers`;
    if (this.#payloadBytes + job.sizeBytes > maxPayloadBytes) {
      return `Actions and commands of ${this.#payloadBytes} bytes are held, of at most ${maxPayloadBytes}`;
    }
    if (this.#queues.platforms >= maxPlatforms && this.#queues.isNew(job)) {
      this.#queues.prune(this.#nowMs);
      if (this.#queues.platforms >= maxPlatforms) {
        return `Actions for ${maxPlatforms} different platforms wait`;
      }
    }
    return undefined;
  }

  #join(job: Job<P>, event: t.SubmitEvent<P>): void {
    assert(job.state !== "ended", "A twin that ended is not in the table");
    const operation = this.#operations.add(event.operation, job);
    if (event.priority < job.priority) {
      job.priority = event.priority;
      if (job.state === "queued") this.#queues.raise(job);
    }
    this.#tellStage(job, operation);
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
    this.#end(job);
    if (lease === undefined) return;
    assert(lease.state === "active", "A job that is stopped has no result yet");
    lease.state = "cancelling";
    lease.job = undefined;
    this.#sendCancel(lease.worker, lease.id, reason);
  }

  #connect(event: t.ConnectEvent): void {
    const { worker: spec, session } = event;
    assert(spec.slots >= 1, "A worker has a slot");
    let worker = this.#workers.get(spec.id);
    if (worker === undefined) {
      if (this.#workers.size >= this.#limits.maxWorkers) {
        const error = resourceExhausted(`${this.#limits.maxWorkers} workers are known already`, 60_000);
        this.#effects.push({ type: "close", session, worker: spec.id, error });
        return;
      }
      worker = {
        spec,
        offer: new Map(),
        session,
        connected: false,
        draining: false,
        lastHeardMs: this.#nowMs,
        completed: 0,
        pausedUntilMs: undefined,
        faultsInRow: 0,
        leases: new Set(),
        slotsHeld: 0,
        strays: new Set(),
      };
      this.#workers.set(spec.id, worker);
    } else if (session <= worker.session) return this.#replaced(spec.id, session);
    if (worker.connected && worker.session !== session) this.#replaced(spec.id, worker.session);
    // With live leases it is the same process that was told to drain, without it is a new one.
    const draining = worker.draining && event.liveLeases.length > 0;
    Object.assign(worker, { spec, session, connected: true, draining, pausedUntilMs: undefined });
    worker.offer = platformOffer(spec.platform);
    worker.lastHeardMs = this.#nowMs;
    this.#takeStock(worker, new Set(event.liveLeases));
    this.#fleetChanged();
  }

  #replaced(worker: WorkerId, session: number): void {
    const error = new BrokkrError(Code.ABORTED, `Worker ${worker} has a newer stream than this one`);
    this.#effects.push({ type: "close", session, worker, error });
  }

  /** Compares a reconnected worker's leases with ours: what it does not name it does not have any more. */
  #takeStock(worker: WorkerState<P>, named: ReadonlySet<string>): void {
    for (const lease of [...worker.leases]) {
      if (lease.state === "settling") continue;
      if (named.has(lease.id)) {
        this.#renew(lease);
        if (lease.state === "cancelling") this.#sendCancel(worker, lease.id, "The action was cancelled");
      } else if (lease.state === "cancelling") {
        this.#release(lease);
      } else {
        this.#lose(lease, `worker ${worker.spec.id} came back without it`);
      }
    }
    this.#setStrays(worker, named);
  }

  #heartbeat(event: t.HeartbeatEvent): void {
    const worker = this.#current(event);
    if (worker === undefined) return;
    worker.lastHeardMs = this.#nowMs;
    const named = new Set(event.leases);
    for (const lease of [...worker.leases]) {
      if (lease.state === "settling") continue;
      if (named.has(lease.id)) {
        this.#renew(lease);
      } else if (lease.renewedAtMs + this.#limits.absentGraceMs <= this.#nowMs) {
        if (lease.state === "cancelling") this.#release(lease);
        else {
          this.#sendCancel(worker, lease.id, "Heartbeats left the lease out");
          this.#lose(lease, `worker ${worker.spec.id} stopped naming it in its heartbeats`);
        }
      }
    }
    this.#setStrays(worker, named);
  }

  /** Answers leases that are not the worker's: with the result's acknowledgement it missed, or with Cancel. */
  #setStrays(worker: WorkerState<P>, named: ReadonlySet<string>): void {
    const had = worker.strays.size;
    worker.strays = new Set();
    for (const leaseId of named) {
      if (this.#leases.get(leaseId)?.worker === worker) continue;
      const answer = this.#answered.get(leaseId);
      if (answer !== undefined) {
        this.#sendAck(worker, leaseId, answer.accepted);
      } else {
        worker.strays.add(leaseId);
        this.#sendCancel(worker, leaseId, "Control does not know this lease");
      }
    }
    if (worker.strays.size < had) this.#needJobs.add(worker);
  }

  #stage(event: t.StageEvent): void {
    const worker = this.#current(event);
    if (worker === undefined) return;
    worker.lastHeardMs = this.#nowMs;
    const lease = this.#leases.get(event.leaseId);
    if (lease?.worker !== worker || lease.state !== "active") return;
    this.#renew(lease);
    const job = lease.job;
    assert(job !== undefined, "An active lease has a job");
    if (job.executing) return;
    job.executing = true;
    this.#tellStage(job);
  }

  #result(event: t.ResultEvent<R>): void {
    const worker = this.#current(event);
    if (worker === undefined) return;
    worker.lastHeardMs = this.#nowMs;
    const lease = this.#leases.get(event.leaseId);
    if (lease?.worker !== worker) {
      if (worker.strays.delete(event.leaseId)) this.#needJobs.add(worker);
      this.#sendAck(worker, event.leaseId, this.#answered.get(event.leaseId)?.accepted ?? false);
      return;
    }
    if (lease.state === "settling") return; // Sent twice; the answer comes when the first has been kept.
    const job = lease.job;
    if (job === undefined) {
      assert(lease.state === "cancelling", "A lease without a job is being cancelled");
      this.#release(lease);
      this.#answer(lease, false);
      return;
    }
    if (event.outcome === "declined") {
      this.#release(lease);
      this.#answer(lease, true);
      this.#pause(worker, this.#limits.declinePauseMs);
      job.story.push(`attempt ${job.attempts}: worker ${worker.spec.id} declined it: ${event.why}`);
      this.#requeue(job, 0);
      return;
    }
    if (event.outcome === "fault" || event.outcome === "cancelled") {
      this.#release(lease);
      this.#answer(lease, true);
      this.#fault(job, worker, event.why);
      return;
    }
    lease.state = "settling";
    job.state = "settling";
    this.#settling++;
    worker.slotsHeld--;
    this.#needJobs.add(worker);
    this.#effects.push({
      type: "settle",
      leaseId: lease.id,
      worker: worker.spec.id,
      environment: worker.spec.environment,
      outcome: event.outcome,
      attempt: job.attempts,
      payload: job.payload,
      result: event.result,
    });
  }

  #settled({ leaseId, verdict }: t.SettledEvent<O>): void {
    const lease = this.#leases.get(leaseId);
    const job = lease?.job;
    assert(
      lease !== undefined && job !== undefined && lease.state === "settling",
      "What settled was settling",
    );
    this.#settling--;
    this.#release(lease);
    this.#answer(lease, verdict.kind === "finish");
    if (verdict.kind === "fault") return this.#fault(job, lease.worker, verdict.why);
    lease.worker.completed++;
    lease.worker.faultsInRow = 0;
    this.#finishAll(job, { outcome: verdict.outcome }, verdict.sizeBytes);
  }

  #fault(job: Job<P>, worker: WorkerState<P>, why: string): void {
    const { id } = worker.spec;
    const { faultsBeforePause, faultPauseMs } = this.#limits;
    const beyond = ++worker.faultsInRow - faultsBeforePause;
    if (beyond >= 0) this.#pause(worker, faultPauseMs * 2 ** Math.min(beyond, 20));
    job.faults++;
    job.avoid.add(id);
    job.story.push(`attempt ${job.attempts}: worker ${id} could not do its part: ${why}`);
    if (job.faults >= this.#limits.maxFaults) return this.#fail(job, faultsError(job));
    const others = [...this.#workers.values()].some((other) =>
      !job.avoid.has(other.spec.id) && other.connected
    );
    this.#requeue(job, others ? 0 : this.#limits.faultBackoffMs * 2 ** (job.faults - 1));
  }

  #pause(worker: WorkerState<P>, forMs: number): void {
    const untilMs = this.#nowMs + Math.min(forMs, this.#limits.maxPauseMs);
    worker.pausedUntilMs = Math.max(worker.pausedUntilMs ?? 0, untilMs);
  }

  /** A lease is gone without a result. */
  #lose(lease: Lease<P>, how: string): void {
    const job = lease.job;
    assert(job !== undefined && lease.state === "active", "Only an active lease is lost");
    this.#release(lease);
    this.#effects.push({ type: "lost", worker: lease.worker.spec.id, leaseId: lease.id, why: how });
    job.story.push(`attempt ${job.attempts}: ${how}`);
    // A lease that never reached its worker says nothing about the action.
    if (lease.seen) job.losses++;
    if (job.losses >= this.#limits.maxLosses) return this.#fail(job, lossesError(job));
    this.#requeue(job, 0);
  }

  #requeue(job: Job<P>, delayMs: number): void {
    assert(job.lease === undefined && job.queueIndex === -1, "A job that is queued again has no lease");
    if (job.operations.size === 0) return this.#end(job);
    if (this.#closing) return this.#fail(job, unavailable(CLOSING, RETRY_MS));
    if (job.attempts >= this.#limits.maxAttempts) return this.#fail(job, attemptsError(job));
    const told = job.executing;
    job.executing = false;
    if (delayMs > 0) {
      job.state = "delayed";
      job.readyAtMs = this.#nowMs + delayMs;
      this.#delayed.add(job);
    } else {
      job.state = "queued";
      this.#needWorkers.add(this.#queues.add(job, this.#nowMs));
    }
    if (told) this.#tellStage(job);
  }

  #tick(): void {
    for (const lease of [...this.#leases.values()]) this.#checkLease(lease);
    for (const worker of [...this.#workers.values()]) this.#checkWorker(worker);
    for (const job of [...this.#delayed]) {
      if (job.readyAtMs > this.#nowMs) continue;
      this.#delayed.delete(job);
      job.state = "queued";
      this.#needWorkers.add(this.#queues.add(job, this.#nowMs));
    }
    for (const operation of this.#operations.longUnwatched(this.#nowMs)) {
      this.#cancel(operation, `Nobody watched the operation for ${this.#limits.unwatchedMs / 1000} seconds`);
    }
    for (const operation of this.#operations.expireFinished(this.#nowMs)) {
      this.#effects.push({ type: "forgetOperation", operation });
    }
    for (const [leaseId, { atMs }] of this.#answered) {
      if (atMs + 4 * this.#limits.leaseTtlMs > this.#nowMs) break;
      this.#answered.delete(leaseId);
    }
    this.#queues.prune(this.#nowMs - this.#limits.unwatchedMs);
  }

  #checkLease(lease: Lease<P>): void {
    if (lease.state === "settling") return;
    const { worker, job } = lease;
    const { leaseTtlMs, overrunMs } = this.#limits;
    if (lease.renewedAtMs + leaseTtlMs <= this.#nowMs) {
      this.#sendCancel(worker, lease.id, "The lease was not renewed in time");
      if (lease.state === "cancelling") this.#release(lease);
      else this.#lose(lease, `worker ${worker.spec.id} did not renew it for ${leaseTtlMs / 1000} seconds`);
    } else if (job !== undefined && lease.grantedAtMs + job.timeoutMs + overrunMs <= this.#nowMs) {
      job.story.push(
        `attempt ${job.attempts}: worker ${worker.spec.id} held it ${
          overrunMs / 1000
        } seconds past its timeout`,
      );
      this.#detach(lease, "The action is long past its timeout");
      job.losses++;
      if (job.losses >= this.#limits.maxLosses) this.#fail(job, lossesError(job));
      else this.#requeue(job, 0);
    }
  }

  /** Takes the job off a lease whose worker still works on it. */
  #detach(lease: Lease<P>, reason: string): void {
    const job = lease.job;
    assert(job !== undefined && lease.state === "active", "Only an active lease is detached");
    lease.state = "cancelling";
    lease.job = undefined;
    job.lease = undefined;
    this.#sendCancel(lease.worker, lease.id, reason);
    this.#effects.push({ type: "lost", worker: lease.worker.spec.id, leaseId: lease.id, why: reason });
  }

  #checkWorker(worker: WorkerState<P>): void {
    if (worker.pausedUntilMs !== undefined && worker.pausedUntilMs <= this.#nowMs) {
      worker.pausedUntilMs = undefined;
      this.#needJobs.add(worker);
    }
    if (worker.lastHeardMs + this.#limits.leaseTtlMs > this.#nowMs) return;
    const { spec: { id }, session } = worker;
    if (worker.connected) {
      const seconds = this.#limits.leaseTtlMs / 1000;
      const error = new BrokkrError(
        Code.DEADLINE_EXCEEDED,
        `Worker ${id} sent nothing for ${seconds} seconds; it may connect again`,
      );
      this.#effects.push({ type: "close", session, worker: id, error });
      this.#disconnected(worker);
    }
    if (worker.leases.size > 0) return;
    this.#workers.delete(id);
    this.#needJobs.delete(worker);
    this.#effects.push({ type: "forgetWorker", worker: id });
  }

  #drainWorker({ worker: id, reason }: t.DrainWorkerEvent): void {
    const worker = this.#workers.get(id);
    if (worker === undefined || !worker.connected || worker.draining) return;
    worker.draining = true;
    this.#effects.push({ type: "drain", session: worker.session, worker: id, reason });
    this.#fleetChanged();
  }

  #shutdown(abort: boolean): void {
    this.#closing = true;
    for (const job of [...this.#jobs]) {
      if (job.state === "settling" || (job.state === "leased" && !abort)) continue;
      this.#finishAll(
        job,
        { error: unavailable(CLOSING, RETRY_MS) },
        ERROR_BYTES,
        "Control is shutting down",
      );
    }
  }

  #disconnected(worker: WorkerState<P>): void {
    worker.connected = false;
    worker.strays = new Set();
    this.#fleetChanged();
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
    for (const name of this.#operations.finish(operation, sizeBytes, this.#nowMs)) {
      this.#effects.push({ type: "forgetOperation", operation: name });
    }
  }

  /** Takes a job out of every table but that of its lease. */
  #end(job: Job<P>): void {
    assert(job.state !== "ended" && job.operations.size === 0, "A job ends once, after its operations");
    if (job.state === "queued" && job.queueIndex >= 0) this.#queues.remove(job);
    this.#delayed.delete(job);
    if (job.twinKey !== undefined) this.#twins.delete(job.twinKey);
    this.#jobs.delete(job);
    this.#payloadBytes -= job.sizeBytes;
    job.state = "ended";
    job.lease = undefined;
  }

  #renew(lease: Lease<P>): void {
    lease.renewedAtMs = this.#nowMs;
    lease.seen = true;
  }

  /** Forgets a lease and frees its slot. */
  #release(lease: Lease<P>): void {
    const { worker, job } = lease;
    assert(worker.leases.delete(lease) && this.#leases.delete(lease.id), "A lease is released once");
    if (lease.state !== "settling") worker.slotsHeld--;
    if (job !== undefined) job.lease = undefined;
    lease.job = undefined;
    this.#needJobs.add(worker);
  }

  /** Acknowledges a result and remembers the answer, for a worker that misses it. */
  #answer(lease: Lease<P>, accepted: boolean): void {
    this.#answered.set(lease.id, { accepted, atMs: this.#nowMs });
    this.#sendAck(lease.worker, lease.id, accepted);
  }

  #sendAck(worker: WorkerState<P>, leaseId: string, accepted: boolean): void {
    if (!worker.connected) return;
    this.#effects.push({ type: "ack", session: worker.session, worker: worker.spec.id, leaseId, accepted });
  }

  #sendCancel(worker: WorkerState<P>, leaseId: string, reason: string): void {
    if (!worker.connected) return;
    this.#effects.push({
      type: "cancelLease",
      session: worker.session,
      worker: worker.spec.id,
      leaseId,
      reason,
    });
  }

  /** The worker that an event comes from, unless its stream was replaced. */
  #current(event: { readonly worker: WorkerId; readonly session: number }): WorkerState<P> | undefined {
    const worker = this.#workers.get(event.worker);
    return worker?.connected && worker.session === event.session ? worker : undefined;
  }

  #fleetChanged(): void {
    this.#queues.fleetChanged();
    this.#everyWorkerNeedsJobs = true;
  }

  /**
   * Brings waiting jobs and free slots together. Between steps no free slot has a job that could fill it, so only what
   * changed in this step has to be looked at.
   */
  #dispatch(): void {
    const workers = this.#everyWorkerNeedsJobs ? this.#workers.values() : this.#needJobs;
    for (const worker of workers) {
      while (this.#queues.size > 0 && freeSlots(worker) > 0) {
        const job = this.#queues.bestFor(worker);
        if (job === undefined) break;
        this.#grant(job, worker);
      }
    }
    for (const group of this.#needWorkers) {
      for (let job = group.queue.peek(); job !== undefined; job = group.queue.peek()) {
        const worker = this.#queues.leastLoaded(group);
        if (worker === undefined) break;
        this.#grant(job, worker);
      }
    }
    this.#everyWorkerNeedsJobs = false;
    this.#needJobs.clear();
    this.#needWorkers.clear();
  }

  #grant(job: Job<P>, worker: WorkerState<P>): void {
    assert(job.state === "queued" && job.lease === undefined, "Only a queued job is leased");
    assert(freeSlots(worker) > 0, "Only a free slot is filled");
    this.#queues.remove(job);
    const token: FencingToken = { epoch: this.#epoch, counter: ++this.#leaseCounter };
    const id: LeaseId = leaseIdOf(token);
    const lease: Lease<P> = {
      id,
      token,
      worker,
      grantedAtMs: this.#nowMs,
      renewedAtMs: this.#nowMs,
      seen: false,
      state: "active",
      job,
    };
    job.state = "leased";
    job.lease = lease;
    job.attempts++;
    worker.leases.add(lease);
    worker.slotsHeld++;
    this.#leases.set(id, lease);
    this.#effects.push({
      type: "lease",
      session: worker.session,
      worker: worker.spec.id,
      leaseId: id,
      attempt: job.attempts,
      queuedForMs: this.#nowMs - job.submittedAtMs,
      payload: job.payload,
    });
  }

  #specs(): t.WorkerSpec[] {
    const specs: t.WorkerSpec[] = [];
    for (const worker of this.#workers.values()) {
      if (worker.connected && !worker.draining) specs.push(worker.spec);
    }
    return specs;
  }
}
