/**
 * The scheduler's driver: feeds it events with the time, carries out its effects, and keeps what it holds opaque: the
 * workers' streams and what clients are told of their operations.
 *
 * @module
 */

import {
  asBrokkrError,
  BrokkrError,
  type Clock,
  Code,
  type LeaseId,
  type Logger,
  type OperationName,
  parseTraceparent,
  type Scope,
  type TimerHandle,
  type WorkerId,
} from "@brokkr/common";
import type { Digest } from "@brokkr/cas";
import {
  type ControlMessage,
  ControlMessageCodec,
  type Init,
  type LeaseResult,
  type Load,
} from "@brokkr/proto";
import type { GridMetrics } from "./_grid_metrics.ts";
import { encodeExecuteResponse } from "./_messages.ts";
import { NewestFirst } from "./_newest_first.ts";
import { statusOf } from "@brokkr/proto/rpc/status";
import { durationOf } from "./_times.ts";
import type { ExecuteEnd, OperationRecord } from "./operation_record.ts";
import {
  type OperationView,
  Scheduler,
  type SchedulerEffect,
  type SchedulerEvent,
  type SchedulerLimits,
  type SchedulerStat,
  type WorkerView,
} from "./scheduler/mod.ts";

/** What a job carries through the scheduler. */
export interface JobPayload {
  readonly scope: Scope;
  readonly digest: Digest;
  /** The Action as the client uploaded it. */
  readonly action: Uint8Array;
  /** The Command as the client uploaded it. */
  readonly command: Uint8Array;
  readonly timeoutMs: number;
  readonly doNotCache: boolean;
  /** The operation that it was made for; others may have joined it. */
  readonly operation: OperationName;
  /** W3C traceparent; `""` for none. */
  readonly traceparent: string;
  /** Encoded RequestMetadata of its client. */
  readonly clientMetadata: Uint8Array | undefined;
}

/** An event of the grid's scheduler. */
export type GridEvent = SchedulerEvent<JobPayload, LeaseResult, ExecuteEnd>;
type GridEffect = SchedulerEffect<JobPayload, LeaseResult, ExecuteEnd>;
type SettleEffect = Extract<GridEffect, { type: "settle" }>;
type SalvageEffect = Extract<GridEffect, { type: "salvage" }>;

/** What became of a result that a worker handed in. */
export type Verdict = Extract<GridEvent, { type: "settled" }>["verdict"];

/** A worker's stream. */
export interface WorkerSession {
  /** Sends an encoded ControlMessage. False when the worker takes no more; the stream is then closed. */
  send(message: Uint8Array): boolean;
  /** Ends the stream, with an error or after all that was sent. */
  close(error?: BrokkrError): void;
}

/** What a grid is made of. */
export interface GridOptions {
  /** Boot epoch, synced. */
  readonly epoch: number;
  readonly limits: Partial<SchedulerLimits>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: GridMetrics;
  /** Verifies and keeps a result. */
  readonly settle: (effect: SettleEffect) => Verdict | Promise<Verdict>;
  /** Verifies and keeps a result of before the start; false when it is not worth keeping. */
  readonly salvage: (effect: SalvageEffect) => Promise<boolean>;
  /** Puts contents that the client asked for into the result, as `end` with another response; undefined for nothing to do. */
  readonly inline: (record: OperationRecord, end: ExecuteEnd) => Promise<ExecuteEnd> | undefined;
  /** A worker came or was forgotten. */
  readonly onFleet: () => void;
  /** The state machine found itself contradicted: nothing it says can be relied on. */
  readonly onFatal: (error: unknown) => void;
}

/** What an operation may cost to remember beyond its job's response before the scheduler is told. */
const UNCOUNTED_BYTES = 4096;
/** How often time passes for the scheduler. */
const TICK_MS = 250;

/** The scheduler at work. */
export class Grid {
  readonly #options: GridOptions;
  readonly #scheduler: Scheduler<JobPayload, LeaseResult, ExecuteEnd>;
  readonly #records = new Map<OperationName, OperationRecord>();
  readonly #newest = new NewestFirst<OperationRecord>(({ init }) => init.sequence);
  readonly #sessions = new Map<number, WorkerSession>();
  readonly #loads = new Map<WorkerId, Load>();
  readonly #pending: GridEvent[] = [];
  #stepping = false;
  #sessionCounter = 0;
  /** Results of before the start that are being kept. */
  #salvaging = 0;
  #timer: TimerHandle | undefined;
  #idle: (() => void) | undefined;

  constructor(options: GridOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler(options.epoch, options.limits);
    this.#schedule();
  }

  /** Counts. */
  stat(): SchedulerStat {
    return this.#scheduler.stat();
  }

  /** Every worker that is connected or was lately. */
  workers(): WorkerView[] {
    return this.#scheduler.workers(this.#options.clock.monotonicMs());
  }

  /** A worker that is connected or was lately. */
  worker(id: WorkerId): WorkerView | undefined {
    return this.#scheduler.worker(id, this.#options.clock.monotonicMs());
  }

  /** Why workers are drained, also those that are away. */
  get drains(): ReadonlyMap<WorkerId, string> {
    return this.#scheduler.drains;
  }

  /** What a worker last said of its machine. */
  loadOf(worker: WorkerId): Load | undefined {
    return this.#loads.get(worker);
  }

  /** An operation that is unfinished or can still be waited for. */
  record(name: OperationName): OperationRecord | undefined {
    return this.#records.get(name);
  }

  /** Those that were begun before the one of sequence number `before`, newest first. */
  newestFirst(before = Infinity): Iterable<OperationRecord> {
    return this.#newest.below(before);
  }

  /** Where an unfinished operation is, in more detail than clients are told. */
  view(name: OperationName): OperationView | undefined {
    return this.#scheduler.operation(name);
  }

  /** For each platform that is waited for and not offered, how many jobs wait, and why. */
  unmatched(): { readonly jobs: number; readonly why: string }[] {
    return this.#scheduler.unmatched();
  }

  /** Remembers an operation; an event that names it must follow. */
  add(record: OperationRecord): void {
    this.#records.set(record.name, record);
    this.#newest.add(record);
  }

  /** Takes a worker's new stream; the number names it in events. */
  openSession(session: WorkerSession): number {
    this.#sessions.set(++this.#sessionCounter, session);
    return this.#sessionCounter;
  }

  /** A worker's stream is over. */
  closeSession(number: number, worker: WorkerId): void {
    if (this.#sessions.delete(number)) this.post({ type: "disconnect", session: number, worker });
  }

  /** Notes what a worker says of its machine, on a stream that it still has. */
  setLoad(session: number, worker: WorkerId, load: Load): void {
    if (this.#scheduler.isCurrent(session, worker)) this.#loads.set(worker, load);
  }

  /** Takes in an event and carries out what follows from it, also from what that causes. */
  post(event: GridEvent): void {
    this.#pending.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
        const effects = this.#scheduler.step(next, this.#options.clock.monotonicMs());
        for (const effect of effects) this.#carryOut(effect);
      }
    } catch (error) {
      this.#options.onFatal(error);
      throw error;
    } finally {
      this.#stepping = false;
    }
    if (this.#idle !== undefined && this.#workLeft() === 0) this.#idle();
  }

  /** Takes no more work, lets what runs end within `graceMs` and fails the rest. */
  async shutdown(graceMs: number): Promise<void> {
    this.post({ type: "shutdown", abort: false });
    await this.#untilIdle(graceMs);
    this.post({ type: "shutdown", abort: true });
    await this.#untilIdle(1000); // What settles is being written.
    this.#timer?.cancel();
    // Without an error, which would overtake what was sent to them before.
    for (const session of this.#sessions.values()) session.close();
  }

  #workLeft(): number {
    const { running, queued, settling } = this.#scheduler.stat();
    return running + queued + settling + this.#salvaging;
  }

  async #untilIdle(ms: number): Promise<void> {
    if (this.#workLeft() === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    using _timer = this.#options.clock.setTimer(ms, resolve);
    await promise;
    this.#idle = undefined;
  }

  /** One timer for everything that waits. */
  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(TICK_MS, () => {
      this.#schedule();
      this.post({ type: "tick" });
    });
  }

  #carryOut(effect: GridEffect): void {
    const { log, metrics } = this.#options;
    switch (effect.type) {
      case "lease":
        metrics.leased(effect.queuedForMs);
        log.debug("Action leased", {
          ...namesOf(effect.payload),
          worker: effect.worker,
          lease: effect.leaseId,
          attempt: effect.attempt,
        });
        return this.#send(effect.session, effect.worker, { lease: leaseMessage(effect) });
      case "cancelLease": {
        const { leaseId, reason } = effect;
        return this.#send(effect.session, effect.worker, { cancel: { leaseId, reason } });
      }
      case "ack": {
        const { leaseId, accepted } = effect;
        if (!accepted) log.info("A result came too late", { worker: effect.worker, lease: leaseId });
        return this.#send(effect.session, effect.worker, { resultAck: { leaseId, accepted } });
      }
      case "drain":
        return this.#send(effect.session, effect.worker, {
          drain: { reason: effect.reason, stay: !effect.end, over: effect.over },
        });
      case "close":
        log.warn("Closing a worker's stream", { worker: effect.worker, error: effect.error.message });
        return this.#sessions.get(effect.session)?.close(effect.error);
      case "stage": {
        const record = this.#records.get(effect.operation);
        if (effect.stage === "queued") record?.queued(effect.attempt);
        else record?.executing(effect.worker ?? "", effect.attempt);
        return;
      }
      case "refuse":
        metrics.refused();
        this.#records.get(effect.operation)?.refuse(effect.error);
        return this.#forget(effect.operation);
      case "settle":
        return this.#settle(effect);
      case "salvage":
        return this.#salvage(effect);
      case "finish":
        return this.#finish(effect.operation, effect.end);
      case "forgetOperation":
        return this.#forget(effect.operation);
      case "forgetWorker":
        log.info("Worker forgotten", { worker: effect.worker });
        this.#loads.delete(effect.worker);
        return this.#options.onFleet();
      case "lost":
        metrics.lost();
        log.warn("Lease lost", {
          ...namesOf(effect.payload),
          worker: effect.worker,
          lease: effect.leaseId,
          why: effect.why,
        });
    }
  }

  #forget(name: OperationName): void {
    const record = this.#records.get(name);
    if (record === undefined) return;
    this.#records.delete(name);
    this.#newest.delete(record);
  }

  #send(session: number, worker: WorkerId, message: Init<ControlMessage>): void {
    const stream = this.#sessions.get(session);
    if (stream === undefined || stream.send(ControlMessageCodec.encode(message))) return;
    stream.close(
      new BrokkrError(Code.RESOURCE_EXHAUSTED, `Worker ${worker} does not take what is sent to it`),
    );
  }

  #settle(effect: SettleEffect): void {
    const { leaseId } = effect;
    let verdict: Verdict | Promise<Verdict>;
    try {
      verdict = this.#options.settle(effect);
    } catch (error) {
      verdict = unsettled(error);
    }
    if (verdict instanceof Promise) {
      void verdict.catch(unsettled).then((late) => this.post({ type: "settled", leaseId, verdict: late }));
    } else {
      this.post({ type: "settled", leaseId, verdict });
    }
  }

  #salvage(effect: SalvageEffect): void {
    const { worker, leaseId } = effect;
    const done = (accepted: boolean) => {
      this.#salvaging--;
      this.post({ type: "salvaged", worker, leaseId, accepted });
    };
    this.#salvaging++;
    this.#options.salvage(effect).then(done, (error) => {
      this.#options.log.warn("A result of before the start was not kept", { worker, lease: leaseId, error });
      done(false);
    });
  }

  #finish(
    name: OperationName,
    end: { readonly outcome: ExecuteEnd } | { readonly error: BrokkrError },
  ): void {
    const record = this.#records.get(name);
    if (record === undefined) return;
    const known = "outcome" in end ? end.outcome : failedEnd(end.error);
    const finish = (last: ExecuteEnd) => {
      record.finish(last);
      this.#options.metrics.finished(last, this.#options.clock.monotonicMs() - record.createdMs);
      const { sizeBytes } = record;
      // The scheduler knows what all operations of the job share; little more is not worth an event.
      if (sizeBytes > known.response.length + UNCOUNTED_BYTES) {
        this.post({ type: "grown", operation: name, sizeBytes });
      }
    };
    const inlined = this.#options.inline(record, known);
    if (inlined === undefined) return finish(known);
    // Contents are a convenience; the client can read them itself.
    void inlined.catch(() => known).then(finish);
  }
}

/** The end of an operation that came to nothing. */
export function failedEnd(error: BrokkrError): ExecuteEnd {
  const { code, message } = error;
  const encoded = encodeExecuteResponse({ cached: false, status: statusOf(error), message });
  return { ...encoded, cached: false, code, message, exitCode: 0 };
}

function unsettled(error: unknown): Verdict {
  const end = failedEnd(asBrokkrError(error));
  return { kind: "finish", outcome: end, sizeBytes: end.response.length };
}

/** By what a job is found in a trace and among operations. */
function namesOf({ traceparent, operation }: JobPayload): { trace: string | undefined; operation: string } {
  return { trace: parseTraceparent(traceparent)?.traceId, operation };
}

function leaseMessage(effect: {
  readonly leaseId: LeaseId;
  readonly attempt: number;
  readonly queuedForMs: number;
  readonly payload: JobPayload;
}): Init<ControlMessage["lease"]> {
  const { operation, scope, digest, action, command, timeoutMs, traceparent, clientMetadata } =
    effect.payload;
  return {
    leaseId: effect.leaseId,
    instanceName: scope.instance,
    digestFunction: digest.fn.value,
    actionDigest: { hash: digest.hash, sizeBytes: digest.sizeBytes },
    action,
    command,
    timeout: durationOf(timeoutMs),
    attempt: effect.attempt,
    traceparent,
    queuedFor: durationOf(effect.queuedForMs),
    operation,
    requestMetadata: clientMetadata,
  };
}
