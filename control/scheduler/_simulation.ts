/**
 * A simulated grid: the real scheduler among workers that crash, stall, repeat themselves and come back late, on streams
 * that delay and break, all from one seed. Used by tests.
 *
 * @module
 */

import { assert } from "@std/assert";
import {
  compareFencingTokens,
  type FencingToken,
  fencingTokenOf,
  type LeaseId,
  type OperationName,
  type Random,
  seededRandom,
  type WorkerId,
} from "@brokkr/common";
import { Scheduler } from "./scheduler.ts";
import type { PlatformProperty, SchedulerEffect, SchedulerEvent, SchedulerLimits } from "./types.ts";

/** What a job carries: its own identity, and what it does to workers. */
interface Payload {
  readonly id: number;
  readonly durationMs: number;
  /** Kills the worker that runs it. */
  readonly poison: boolean;
}

type Effect = SchedulerEffect<Payload, number, number>;
type Event = SchedulerEvent<Payload, number, number>;

/** The limits of simulated grids: the production ratios, shorter. */
export const SIMULATION_LIMITS: Partial<SchedulerLimits> = {
  maxQueued: 40,
  leaseTtlMs: 3000,
  absentGraceMs: 1200,
  overrunMs: 20_000,
  faultBackoffMs: 200,
  declinePauseMs: 300,
  faultPauseMs: 200,
  maxPauseMs: 3000,
  unwatchedMs: 6000,
  finishedMs: 20_000,
  maxFinished: 60,
};

const TTL_MS = 3000;
const BEAT_MS = 500;
const MAX_DELAY_MS = 300;
const PLATFORMS: readonly (readonly PlatformProperty[])[] = [
  [],
  [{ name: "OSFamily", value: "linux" }],
  [{ name: "OSFamily", value: "linux" }, { name: "Pool", value: "big" }],
];

/** One stream between a worker and control. Messages keep their order; a broken one delivers nothing more. */
interface Stream {
  readonly session: number;
  broken: boolean;
  upAtMs: number;
  downAtMs: number;
}

type Outcome = "completed" | "fault" | "declined" | "cancelled";

interface SimWorker {
  readonly id: WorkerId;
  readonly slots: number;
  readonly platform: readonly PlatformProperty[];
  readonly faulty: number;
  up: boolean;
  /** Counts its lives, so that what it planned in an earlier life does not happen. */
  life: number;
  stream: Stream | undefined;
  /** Its end of the stream may believe in a broken stream for a while. */
  lastGoodMs: number;
  readonly running: Map<string, Payload>;
  readonly unacked: Map<
    string,
    { readonly outcome: Outcome; readonly id: number }
  >;
  /** It has said goodbye; it ends when nothing runs any more. */
  leaving: boolean;
}

/** Counts what happened, to be sure that a simulation is not about nothing. */
export interface SimulationStat {
  finished: number;
  failed: number;
  refused: number;
  lost: number;
  faults: number;
  lateResults: number;
  restarts: number;
  drains: number;
  goodbyes: number;
  salvaged: number;
}

/** One run from one seed. */
export class Simulation {
  readonly stat: SimulationStat = {
    finished: 0,
    failed: 0,
    refused: 0,
    lost: 0,
    faults: 0,
    lateResults: 0,
    restarts: 0,
    drains: 0,
    goodbyes: 0,
    salvaged: 0,
  };
  readonly #random: Random;
  #scheduler: Scheduler<Payload, number, number>;
  #epoch = 1;
  #nowMs = 0;
  #seq = 0;
  #plan: { readonly atMs: number; readonly seq: number; readonly fn: () => void }[] = [];
  readonly #workers: SimWorker[] = [];
  #sessions = 0;
  #newest: FencingToken = { epoch: 0, counter: 0 };
  #payloads = 0;
  #operations = 0;
  #chaos = true;
  #over = false;
  /** Operations that control owes an end, with whether somebody watches. */
  readonly #open = new Map<OperationName, { watched: boolean }>();
  readonly #finishedPayloads = new Set<number>();
  readonly #settling = new Map<LeaseId, Payload>();
  readonly #salvaging = new Set<string>();
  /** Workers that an operator drained. */
  readonly #drained = new Set<WorkerId>();

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#scheduler = new Scheduler(this.#epoch, SIMULATION_LIMITS);
  }

  /** Runs `chaosMs` of disorder, then order until all is done, then silence until all is forgotten. */
  run(chaosMs: number): void {
    const workers = 1 + this.#below(5);
    for (let i = 0; i < workers; i++) this.#addWorker(i);
    this.#every(250, () => this.#step({ type: "tick" }));
    this.#every(40, () => this.#chance(0.5) && this.#submit());
    this.#every(100, () => this.#disturb());
    this.#until(chaosMs);
    this.#chaos = false;
    for (const worker of this.#drained) this.#resume(worker);
    for (const worker of this.#workers) if (!worker.up) this.#start(worker);
    this.#until(chaosMs + 120_000);
    assert(this.#open.size === 0, `${this.#open.size} operations never finished: ${[...this.#open.keys()]}`);
    this.#over = true;
    for (const worker of this.#workers) this.#crash(worker);
    this.#until(chaosMs + 300_000);
    assert(this.#scheduler.empty, `Something is left: ${JSON.stringify(this.#scheduler.stat())}`);
  }

  #below(n: number): number {
    return Math.floor(this.#random.next() * n);
  }

  #chance(p: number): boolean {
    return this.#random.next() < p;
  }

  #at(atMs: number, fn: () => void): void {
    this.#plan.push({ atMs: Math.max(atMs, this.#nowMs), seq: this.#seq++, fn });
  }

  #every(ms: number, fn: () => void): void {
    const again = () => {
      fn();
      this.#at(this.#nowMs + ms, again);
    };
    this.#at(this.#nowMs + ms, again);
  }

  #until(endMs: number): void {
    for (;;) {
      let index = -1;
      for (let i = 0; i < this.#plan.length; i++) {
        const one = this.#plan[i], best = this.#plan[index];
        if (one.atMs > endMs) continue;
        if (index < 0 || one.atMs < best.atMs || (one.atMs === best.atMs && one.seq < best.seq)) index = i;
      }
      if (index < 0) break;
      const [next] = this.#plan.splice(index, 1);
      this.#nowMs = next.atMs;
      next.fn();
    }
    this.#nowMs = endMs;
  }

  // Control's side.

  #step(event: Event): void {
    const effects = this.#scheduler.step(event, this.#nowMs);
    this.#scheduler.check();
    if (event.type === "goodbye") this.#checkLeaving(event);
    const stat = this.#scheduler.stat();
    assert(stat.queued <= 40 + stat.slots + 40, "The queue is bounded");
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case "lease": {
        const token = fencingTokenOf(effect.leaseId);
        assert(
          token !== undefined && compareFencingTokens(this.#newest, token) < 0,
          "Tokens strictly increase",
        );
        this.#newest = token;
        assert(!this.#finishedPayloads.has(effect.payload.id), "What is finished is not leased again");
        assert(!this.#drained.has(effect.worker), `${effect.worker} is drained and gets nothing`);
        assert(
          this.#scheduler.worker(effect.worker, this.#nowMs)?.leaving === false,
          `${effect.worker} said goodbye and gets nothing`,
        );
        return this.#down(effect.session, (worker) => this.#onLease(worker, effect.leaseId, effect.payload));
      }
      case "cancelLease":
        return this.#down(effect.session, (worker) => this.#onCancel(worker, effect.leaseId));
      case "ack":
        if (!effect.accepted) this.stat.lateResults++;
        return this.#down(effect.session, (worker) => void worker.unacked.delete(effect.leaseId));
      case "close":
        return this.#down(effect.session, (worker) => this.#hangUp(worker));
      case "drain":
        assert(this.#drained.has(effect.worker) === !effect.over, "Only the drained are told so");
        return;
      case "salvage":
        return this.#salvage(effect.worker, effect.leaseId);
      case "settle":
        return this.#settle(effect.leaseId, effect.payload);
      case "finish":
        assert(this.#open.delete(effect.operation), `${effect.operation} finishes once`);
        if ("outcome" in effect.end) this.stat.finished++;
        else this.stat.failed++;
        return;
      case "refuse":
        assert(this.#open.delete(effect.operation), `${effect.operation} is refused once`);
        this.stat.refused++;
        return;
      case "lost":
        this.stat.lost++;
    }
  }

  #settle(leaseId: LeaseId, payload: Payload): void {
    assert(!this.#settling.has(leaseId), "A lease settles once");
    assert(!this.#finishedPayloads.has(payload.id), "No two results of one job are accepted");
    this.#settling.set(leaseId, payload);
    const epoch = this.#epoch;
    const bad = this.#chaos && this.#chance(0.03);
    if (!bad) this.#finishedPayloads.add(payload.id);
    this.#at(this.#nowMs + this.#below(400), () => {
      if (epoch !== this.#epoch) return;
      this.#settling.delete(leaseId);
      const verdict = bad
        ? { kind: "fault", why: "incomplete" } as const
        : { kind: "finish", outcome: payload.id, sizeBytes: 10 } as const;
      this.#step({ type: "settled", leaseId, verdict });
    });
  }

  #salvage(worker: WorkerId, leaseId: string): void {
    assert((fencingTokenOf(leaseId)?.epoch ?? this.#epoch) < this.#epoch, "Only older results are salvaged");
    assert(!this.#salvaging.has(leaseId), "An old result is kept once at a time");
    this.#salvaging.add(leaseId);
    this.stat.salvaged++;
    const epoch = this.#epoch;
    this.#at(this.#nowMs + this.#below(400), () => {
      if (epoch !== this.#epoch) return;
      this.#salvaging.delete(leaseId);
      this.#step({ type: "salvaged", worker, leaseId, accepted: this.#chance(0.9) });
    });
  }

  /** A worker that has said goodbye gets nothing from then on. */
  #checkLeaving({ worker: id, session }: { readonly worker: WorkerId; readonly session: number }): void {
    if (!this.#scheduler.isCurrent(session, id)) return;
    assert(this.#scheduler.worker(id, this.#nowMs)?.leaving === true, `${id} is known to leave`);
  }

  #drain(worker: WorkerId): void {
    this.stat.drains++;
    this.#drained.add(worker);
    this.#step({ type: "drainWorker", worker, reason: "test" });
  }

  #resume(worker: WorkerId): void {
    this.#drained.delete(worker);
    this.#step({ type: "resumeWorker", worker });
  }

  #submit(): void {
    if (!this.#chaos) return;
    const operation = `op${++this.#operations}` as OperationName;
    const key = this.#chance(0.7) ? `k${this.#below(30)}` : undefined;
    const payload = {
      id: ++this.#payloads,
      durationMs: this.#chance(0.1) ? this.#below(8000) : this.#below(400),
      poison: this.#chance(0.01),
    };
    this.#open.set(operation, { watched: true });
    this.#step({
      type: "submit",
      operation,
      twinKey: key,
      platform: PLATFORMS[this.#below(PLATFORMS.length)],
      priority: this.#below(3),
      timeoutMs: 9000,
      sizeBytes: 10,
      operationBytes: 7,
      payload,
    });
  }

  // The world's side.

  #disturb(): void {
    if (!this.#chaos) return;
    const worker = this.#workers[this.#below(this.#workers.length)];
    if (worker.up && this.#chance(0.02)) this.#crash(worker);
    if (!worker.up && this.#chance(0.2)) this.#start(worker);
    if (worker.up && this.#chance(0.02)) this.#goodbye(worker);
    if (this.#drained.has(worker.id) ? this.#chance(0.1) : this.#chance(0.01)) {
      if (this.#drained.has(worker.id)) this.#resume(worker.id);
      else this.#drain(worker.id);
    }
    if (worker.stream !== undefined && this.#chance(0.04)) this.#break(worker.stream);
    if (this.#chance(0.002)) this.#restartControl();
    if (this.#open.size > 0 && this.#chance(0.1)) {
      const names = [...this.#open.keys()];
      const operation = names[this.#below(names.length)];
      const client = this.#open.get(operation);
      assert(client !== undefined);
      if (this.#chance(0.3)) return this.#step({ type: "cancel", operation, reason: "test" });
      client.watched = !client.watched;
      this.#step({ type: client.watched ? "watch" : "unwatch", operation });
    }
  }

  /** All of control's memory is gone; clients do not come back for these operations, workers do. */
  #restartControl(): void {
    this.stat.restarts++;
    this.#scheduler = new Scheduler(++this.#epoch, SIMULATION_LIMITS);
    this.#open.clear();
    this.#settling.clear();
    this.#salvaging.clear();
    // Drains are kept on disk.
    for (const worker of this.#drained) this.#step({ type: "drainWorker", worker, reason: "test" });
    for (const worker of this.#workers) if (worker.stream !== undefined) this.#break(worker.stream);
  }

  #break(stream: Stream): void {
    if (stream.broken) return;
    stream.broken = true;
    const worker = this.#workers.find((other) => other.stream === stream);
    if (worker === undefined) return;
    const epoch = this.#epoch;
    const event = { type: "disconnect", worker: worker.id, session: stream.session } as const;
    // Either end may notice first, or only by its own timeout.
    if (this.#chance(0.7)) {
      this.#at(this.#nowMs + this.#below(2000), () => this.#epoch === epoch && this.#step(event));
    }
    this.#at(this.#nowMs + this.#below(2500), () => worker.stream === stream && this.#hangUp(worker));
  }

  // The workers' side.

  #addWorker(index: number): void {
    const worker: SimWorker = {
      id: `w${index}` as WorkerId,
      slots: 1 + this.#below(4),
      // The first can do everything, so that nothing waits for ever.
      platform: index === 0 ? PLATFORMS[2] : PLATFORMS[this.#below(PLATFORMS.length)],
      faulty: this.#chance(0.2) ? 0.3 : 0.01,
      up: false,
      life: 0,
      stream: undefined,
      lastGoodMs: 0,
      running: new Map(),
      unacked: new Map(),
      leaving: false,
    };
    this.#workers.push(worker);
    this.#start(worker);
    this.#every(BEAT_MS, () => this.#beat(worker));
  }

  /** It takes no more leases, gives back what it does not finish in time, and ends. */
  #goodbye(worker: SimWorker): void {
    if (worker.leaving) return;
    this.stat.goodbyes++;
    worker.leaving = true;
    this.#up(worker, { type: "goodbye", session: worker.stream?.session ?? 0, worker: worker.id });
    const life = worker.life;
    this.#at(this.#nowMs + this.#below(2000), () => {
      if (worker.life !== life) return;
      for (const leaseId of [...worker.running.keys()]) this.#finish(worker, leaseId, "declined", 0);
    });
    this.#at(this.#nowMs + 3000, () => {
      if (worker.life !== life) return;
      this.#crash(worker);
      this.#at(this.#nowMs + 500, () => !worker.up && !this.#over && this.#start(worker));
    });
  }

  #start(worker: SimWorker): void {
    worker.leaving = false;
    worker.up = true;
    worker.life++;
    this.#connect(worker);
  }

  #crash(worker: SimWorker): void {
    worker.up = false;
    worker.life++;
    worker.running.clear();
    worker.unacked.clear();
    if (worker.stream !== undefined) this.#break(worker.stream);
    worker.stream = undefined;
  }

  #connect(worker: SimWorker): void {
    if (!worker.up) return;
    const session = ++this.#sessions;
    worker.stream = { session, broken: false, upAtMs: 0, downAtMs: 0 };
    worker.lastGoodMs = this.#nowMs;
    const liveLeases = [...worker.running.keys(), ...worker.unacked.keys()];
    const { id, slots, platform } = worker;
    this.#up(worker, {
      type: "connect",
      session,
      worker: { id, slots, platform, environment: "sim" },
      liveLeases,
      leaving: worker.leaving,
    });
    for (const [leaseId, { outcome, id: result }] of worker.unacked) {
      this.#up(worker, { type: "result", session, worker: id, leaseId, outcome, why: "x", result });
    }
  }

  #hangUp(worker: SimWorker): void {
    if (worker.stream === undefined) return;
    worker.stream.broken = true;
    worker.stream = undefined;
    const life = worker.life;
    this.#at(this.#nowMs + this.#below(1000), () => {
      if (worker.life === life && worker.stream === undefined) this.#connect(worker);
    });
  }

  #up(worker: SimWorker, event: Event): void {
    const stream = worker.stream;
    if (stream === undefined || stream.broken) return;
    stream.upAtMs = Math.max(stream.upAtMs, this.#nowMs + this.#below(MAX_DELAY_MS));
    const epoch = this.#epoch;
    // What was on its way when the stream broke may still arrive, as a late message of an old session.
    this.#at(stream.upAtMs, () => {
      if (epoch !== this.#epoch || (stream.broken && this.#chance(0.5))) return;
      this.#step(event);
      if (event.type === "result" && this.#chaos && this.#chance(0.1)) this.#step(event);
    });
  }

  #down(session: number, deliver: (worker: SimWorker) => void): void {
    const worker = this.#workers.find((other) => other.stream?.session === session);
    const stream = worker?.stream;
    if (worker === undefined || stream === undefined) return;
    stream.downAtMs = Math.max(stream.downAtMs, this.#nowMs + this.#below(MAX_DELAY_MS));
    this.#at(stream.downAtMs, () => !stream.broken && worker.stream === stream && deliver(worker));
  }

  #beat(worker: SimWorker): void {
    if (!worker.up) return;
    if (worker.stream === undefined || worker.stream.broken) {
      // It kills its actions before control lets the leases go.
      if (worker.lastGoodMs + TTL_MS - BEAT_MS - MAX_DELAY_MS <= this.#nowMs) worker.running.clear();
      return;
    }
    worker.lastGoodMs = this.#nowMs;
    const leases = [...worker.running.keys(), ...worker.unacked.keys()];
    this.#up(worker, { type: "heartbeat", session: worker.stream.session, worker: worker.id, leases });
  }

  #onLease(worker: SimWorker, leaseId: string, payload: Payload): void {
    if (worker.leaving) {
      // It was on its way when the worker said goodbye. Nothing was begun, and nothing is held.
      const { id, stream } = worker;
      const result = { outcome: "declined", why: "x", result: 0 } as const;
      return this.#up(worker, {
        type: "result",
        session: stream?.session ?? 0,
        worker: id,
        leaseId,
        ...result,
      });
    }
    worker.running.set(leaseId, payload);
    assert(worker.running.size <= worker.slots, `${worker.id} got more leases than it has slots`);
    const session = worker.stream?.session ?? 0;
    if (this.#chance(0.9)) this.#up(worker, { type: "stage", session, worker: worker.id, leaseId });
    const life = worker.life;
    this.#at(this.#nowMs + payload.durationMs, () => {
      if (worker.life !== life || !worker.running.has(leaseId)) return;
      if (payload.poison) {
        this.#crash(worker);
        this.#at(this.#nowMs + 500, () => !worker.up && !this.#over && this.#start(worker));
        return;
      }
      const fault = this.#chaos && this.#chance(worker.faulty);
      if (fault) this.stat.faults++;
      this.#finish(
        worker,
        leaseId,
        fault ? (this.#chance(0.5) ? "fault" : "declined") : "completed",
        payload.id,
      );
    });
  }

  #onCancel(worker: SimWorker, leaseId: string): void {
    worker.unacked.delete(leaseId);
    const life = worker.life;
    this.#at(this.#nowMs + this.#below(300), () => {
      if (worker.life === life && worker.running.has(leaseId)) this.#finish(worker, leaseId, "cancelled", 0);
    });
  }

  #finish(
    worker: SimWorker,
    leaseId: string,
    outcome: Outcome,
    id: number,
  ): void {
    worker.running.delete(leaseId);
    worker.unacked.set(leaseId, { outcome, id });
    const session = worker.stream?.session ?? 0;
    this.#up(worker, { type: "result", session, worker: worker.id, leaseId, outcome, why: "x", result: id });
  }
}
