/**
 * Ties the stream to control, the table of leases and the executor together.
 *
 * @module
 */

import {
  asBrokkrError,
  BrokkrError,
  cancelled,
  type Clock,
  Code,
  fencingTokenOf,
  type Logger,
  parseTraceparent,
  type Random,
  type TimerHandle,
} from "@brokkr/common";
import type { Channel } from "@brokkr/proto/rpc";
import {
  type Drain,
  type Hello,
  type Init,
  type Lease,
  type LeaseResult,
  LeaseResult_Outcome as Outcome,
  type Load,
  type StageUpdate_Stage,
  type Welcome,
} from "@brokkr/proto";
import { statusOf } from "@brokkr/proto/rpc/status";
import type { ActionExecutor } from "./action_executor.ts";
import { ControlLink } from "./control_link.ts";
import { killMarginMs, LeaseTable } from "./lease_table.ts";
import { durationMs } from "./metadata.ts";

/** What a {@linkcode LeaseRunner} works with. */
export interface LeaseRunnerOptions {
  /** Opens a connection to control. */
  readonly connect: () => Channel;
  /** Executes leases. */
  readonly executor: ActionExecutor;
  /** How many at once. */
  readonly slots: number;
  /** What the worker is. */
  readonly hello: Init<Hello>;
  /** How busy the machine is. */
  readonly load: (slotsUsed: number) => Init<Load>;
  /** Time. */
  readonly clock: Clock;
  /** Spreads attempts to reconnect. */
  readonly random: Random;
  /** Log. */
  readonly log: Logger;
  /** Told how many actions run now. */
  readonly onRunning?: (running: number) => void;
  /** Told of each result. */
  readonly onResult?: (result: Init<LeaseResult>) => void;
}

/** Whom {@linkcode LeaseRunner.run} tells what. */
export interface LeaseRunnerEvents {
  /** Control has welcomed the worker for the first time. */
  readonly onReady: () => void;
  /** Control wants the worker to end once its actions have. */
  readonly onDrained: () => void;
}

/** How often it is looked whether leases ran out, as a share of the time that is kept for killing. */
const WATCH_SHARE = 1 / 5;
/** Directories of ended actions that may wait for removal, for each slot; beyond, removal holds up the next action. */
const CLEANUPS_PER_SLOT = 4;

/** An action that runs. */
interface Running {
  /** Kills it. */
  readonly abort: AbortController;
  /** The trace it belongs to, for the log. */
  readonly trace: string | undefined;
}

/** Executes what control leases. */
export class LeaseRunner {
  readonly #options: LeaseRunnerOptions;
  readonly #table: LeaseTable;
  readonly #link: ControlLink;
  readonly #stop = new AbortController();
  /** What kills each running action, and the trace it belongs to. */
  readonly #kill = new Map<string, Running>();
  /** Those of them whose command has ended. */
  readonly #ran = new Set<string>();
  /** Boot epoch of the control plane that welcomed the worker last. */
  #epoch = 0;
  /** Actions under way, with the removal of their directories. */
  readonly #work = new Set<Promise<void>>();
  readonly #cleanups = new Set<Promise<void>>();
  #events: LeaseRunnerEvents | undefined;
  /** Why control gives no leases for now. */
  #drained: string | undefined;
  #watch: TimerHandle | undefined;
  #onAcknowledged: (() => void) | undefined;

  /** See {@linkcode LeaseRunnerOptions}. */
  constructor(options: LeaseRunnerOptions) {
    this.#options = options;
    this.#table = new LeaseTable(options.slots);
    this.#link = new ControlLink({
      connect: options.connect,
      table: this.#table,
      hello: options.hello,
      load: () => options.load(this.#table.running),
      clock: options.clock,
      random: options.random,
      log: options.log,
      onWelcome: (welcome) => this.#welcome(welcome),
      onLease: (lease) => this.#lease(lease),
      onCancel: (leaseId, reason) => this.#cancel(leaseId, reason),
      onAcknowledged: (leaseId, accepted) => this.#acknowledged(leaseId, accepted),
      onDrain: (drain) => this.#drainedBy(drain),
    });
  }

  /** Whether control has the worker now. */
  get connected(): boolean {
    return this.#link.connected;
  }

  /** Why it gets or takes no leases; undefined when it does. */
  get idleBecause(): string | undefined {
    if (!this.connected) return "Control has not taken it in, or is out of reach";
    if (this.#table.draining) return "It is about to end and takes no more leases";
    return this.#drained === undefined ? undefined : `Control gives it no leases for now: ${this.#drained}`;
  }

  /** Works until {@linkcode LeaseRunner.stop}. */
  async run(events: LeaseRunnerEvents): Promise<void> {
    this.#events = events;
    try {
      await this.#link.run(this.#stop.signal);
    } finally {
      this.#watch?.cancel();
    }
  }

  /** Takes no more leases, and says so to control: the worker is about to end. */
  drain(reason: string): void {
    if (!this.#table.draining) this.#options.log.info("Taking no more leases", { reason });
    this.#table.drain();
    this.#link.goodbye(reason);
  }

  /** Resolves when no action runs and no directory is left. */
  async idle(): Promise<void> {
    while (this.#work.size > 0 || this.#cleanups.size > 0) {
      await Promise.all([...this.#work, ...this.#cleanups]);
    }
  }

  /** Resolves when control has every result. */
  async acknowledged(): Promise<void> {
    while (this.#table.size > 0) await new Promise<void>((resolve) => this.#onAcknowledged = resolve);
  }

  /** Kills what runs. */
  killAll(reason: BrokkrError): void {
    for (const { abort } of this.#kill.values()) abort.abort(reason);
  }

  /** Leaves control. */
  stop(): void {
    this.#stop.abort(cancelled("The worker ends"));
  }

  #welcome(welcome: Welcome): void {
    const { log, clock } = this.#options;
    this.#epoch = welcome.bootEpoch;
    // Control says so again if it still holds.
    this.#drained = undefined;
    log.info("Control took this worker in", { protocol: welcome.protocolVersion, epoch: welcome.bootEpoch });
    this.#watch?.cancel();
    const everyMs = Math.max(5, killMarginMs(durationMs(welcome.leaseTtl)) * WATCH_SHARE);
    const look = () => {
      for (const leaseId of this.#table.expire(clock.monotonicMs())) {
        const running = this.#kill.get(leaseId);
        const names = { trace: running?.trace, lease: leaseId };
        log.error("Control is out of reach: killing an action before its lease runs out", names);
        running?.abort.abort(new BrokkrError(Code.UNAVAILABLE, "The lease ran out"));
      }
      this.#watch = clock.setTimer(everyMs, look);
    };
    this.#watch = clock.setTimer(everyMs, look);
    this.#events?.onReady();
  }

  #drainedBy({ reason, stay, over }: Drain): void {
    const { log } = this.#options;
    this.#drained = over ? undefined : reason || "it did not say why";
    if (over) return log.info("Control gives this worker leases again", { reason });
    if (stay) return log.info("Control gives this worker no leases for now", { reason });
    log.info("Control wants this worker to end", { reason });
    this.#events?.onDrained();
  }

  #lease(lease: Lease): void {
    const { leaseId } = lease;
    const answer = this.#table.take(leaseId);
    if (answer === "held") return;
    if (answer === "run") {
      const work = this.#execute(lease).finally(() => this.#work.delete(work));
      this.#work.add(work);
      return;
    }
    const why = answer === "full" ? "Every slot of the worker is in use" : "The worker takes no more leases";
    // Nothing was begun, so nothing needs to be held or sent again: without an answer control misses it in heartbeats.
    const status = statusOf(new BrokkrError(Code.UNAVAILABLE, why));
    this.#link.send({ result: { leaseId, outcome: Outcome.WORKER_FAULT, status } });
  }

  async #execute(lease: Lease): Promise<void> {
    const { executor, log, onRunning, onResult, slots } = this.#options;
    const { leaseId } = lease;
    const abort = new AbortController();
    const trace = parseTraceparent(lease.traceparent)?.traceId;
    this.#kill.set(leaseId, { abort, trace });
    onRunning?.(this.#table.running);
    let result: Init<LeaseResult>;
    try {
      while (this.#cleanups.size >= slots * CLEANUPS_PER_SLOT) await Promise.race(this.#cleanups);
      const executed = await executor.execute(
        lease,
        abort.signal,
        (stage) => this.#link.send({ stage: { leaseId, stage: stage satisfies StageUpdate_Stage } }),
        () => this.#ran.add(leaseId),
      );
      result = executed.result;
      const cleanup = executed.cleanup.finally(() => this.#cleanups.delete(cleanup));
      this.#cleanups.add(cleanup);
    } catch (thrown) {
      const error = asBrokkrError(thrown);
      log.error("An action could not be executed", { trace, lease: leaseId, error });
      result = { leaseId, outcome: Outcome.WORKER_FAULT, status: statusOf(error) };
    }
    this.#kill.delete(leaseId);
    this.#ran.delete(leaseId);
    onResult?.(result);
    if (this.#table.finish(leaseId, result)) this.#link.send({ result });
    onRunning?.(this.#table.running);
    this.#onAcknowledged?.();
  }

  #cancel(leaseId: string, reason: string): void {
    const running = this.#kill.get(leaseId);
    // Control was started anew and knows nothing of the lease. Of what is done but for the upload it keeps the result.
    if (this.#ran.has(leaseId) && (fencingTokenOf(leaseId)?.epoch ?? this.#epoch) < this.#epoch) return;
    this.#options.log.info("Control cancelled a lease", {
      trace: running?.trace,
      lease: leaseId,
      reason,
      running: running !== undefined,
    });
    // A running one is answered once nothing of it runs any more; that frees the slot at control.
    if (running !== undefined) {
      running.abort.abort(cancelled(reason === "" ? "Cancelled by control" : reason));
    } else this.#table.drop(leaseId);
    this.#onAcknowledged?.();
  }

  #acknowledged(leaseId: string, accepted: boolean): void {
    if (!accepted) this.#options.log.info("Control had no more use for a result", { lease: leaseId });
    this.#table.acknowledge(leaseId);
    this.#onAcknowledged?.();
  }
}
