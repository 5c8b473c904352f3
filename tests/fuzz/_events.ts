/**
 * Events for the scheduler that no honest worker and no honest client brings about: unknown sessions, leases of others,
 * results twice and for what was never leased. Whatever comes, its tables agree with one another.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { OperationName, WorkerId } from "@brokkr/common";
import { Scheduler, type SchedulerEffect, type SchedulerEvent } from "@brokkr/control/_scheduler";
import { HOSTILE_NAMES, type Mutator } from "./_mutator.ts";
import type { Target } from "./_targets.ts";

type Event = SchedulerEvent<number, number, number>;
type Effect = SchedulerEffect<number, number, number>;

/** Events that one scheduler gets before the next takes its place. */
const LIFE = 2000;
const LIMITS = {
  maxQueued: 30,
  maxOperations: 60,
  maxPlatforms: 8,
  maxWorkers: 10,
  maxFinished: 20,
  leaseTtlMs: 3000,
  unwatchedMs: 4000,
  finishedMs: 9000,
};

/** A scheduler in bad company. */
class Company {
  readonly #scheduler: Scheduler<number, number, number> = new Scheduler(1, LIMITS);
  readonly #leases: string[] = [
    "1.1",
    "0.5",
    "9.9",
    "1.999999999999999999",
    "",
    ...HOSTILE_NAMES.slice(0, 5),
  ];
  readonly #operations: string[] = ["nobody"];
  /** What control owes an answer to. */
  readonly #settling: Extract<Effect, { type: "settle" }>[] = [];
  readonly #salvaging: Extract<Effect, { type: "salvage" }>[] = [];
  /** Operations whose first watcher has not left yet: who does not watch cannot leave. */
  readonly #watched: string[] = [];
  #session = 0;
  #nowMs = 0;
  #count = 0;

  get old(): boolean {
    return this.#count >= LIFE;
  }

  step(mutator: Mutator, note: (input: string) => void): void {
    const event = this.#event(mutator);
    this.#nowMs += mutator.pick([0, 0, 1, 10, 500, 4000]);
    note(JSON.stringify({ event, nowMs: this.#nowMs, life: this.#count }));
    this.#count++;
    for (const effect of this.#scheduler.step(event, this.#nowMs)) this.#take(effect);
    if (this.#count % 8 === 0) this.#scheduler.check();
    const { queued } = this.#scheduler.stat();
    assert(queued <= LIMITS.maxQueued + 100, `${queued} wait`);
  }

  #take(effect: Effect): void {
    if (effect.type === "lease") this.#leases.push(effect.leaseId);
    if (effect.type === "settle") this.#settling.push(effect);
    if (effect.type === "salvage") this.#salvaging.push(effect);
    if (this.#leases.length > 60) this.#leases.splice(10, 20);
    if (this.#operations.length > 100) this.#operations.splice(1, 40);
  }

  #event(m: Mutator): Event {
    const worker = `w${m.below(12)}` as WorkerId;
    const session = m.chance(0.8) ? Math.max(1, this.#session - m.below(6)) : m.pick([0, -1, 999_999]);
    const operation = m.pick(this.#operations) as OperationName;
    const leaseId = m.pick(this.#leases);
    const leases = Array.from({ length: m.below(4) }, () => m.pick(this.#leases));
    const settled = this.#settling.length > 0 && m.chance(0.5) ? this.#settling.shift() : undefined;
    if (settled !== undefined) {
      const verdict = m.chance(0.7)
        ? { kind: "finish", outcome: 1, sizeBytes: m.below(1000) } as const
        : { kind: "fault", why: "fuzz" } as const;
      return { type: "settled", leaseId: settled.leaseId, verdict };
    }
    const salvage = this.#salvaging.shift();
    if (salvage !== undefined) {
      return { type: "salvaged", worker: salvage.worker, leaseId: salvage.leaseId, accepted: m.chance(0.5) };
    }
    switch (m.below(12)) {
      case 0:
      case 1:
        return this.#submit(m);
      case 2:
        return { type: "watch", operation };
      case 3:
        return { type: "unwatch", operation: (this.#watched.shift() ?? "nobody") as OperationName };
      case 4:
        return { type: "cancel", operation, reason: m.pick(HOSTILE_NAMES) };
      case 5:
        return {
          type: "connect",
          session: ++this.#session,
          worker: {
            id: worker,
            platform: this.#platform(m),
            slots: m.pick([1, 2, 100]),
            environment: m.pick(["a", "b", "__proto__"]),
          },
          liveLeases: leases,
          leaving: m.chance(0.1),
        };
      case 6:
        return { type: m.pick(["disconnect", "goodbye"]), session, worker };
      case 7:
        return { type: "heartbeat", session, worker, leases };
      case 8:
        return { type: "stage", session, worker, leaseId };
      case 9:
      case 10: {
        const outcome = m.pick(["completed", "failed", "fault", "declined", "cancelled"] as const);
        return { type: "result", session, worker, leaseId, outcome, why: m.pick(HOSTILE_NAMES), result: 1 };
      }
      default:
        return m.pick<Event>([
          { type: "tick" },
          { type: "drainWorker", worker, reason: "fuzz", end: m.chance(0.2) },
          { type: "resumeWorker", worker },
        ]);
    }
  }

  #platform(m: Mutator) {
    return Array.from(
      { length: m.below(3) },
      () => ({ name: m.pick(["a", "__proto__", ""]), value: m.pick(["", "x"]) }),
    );
  }

  #submit(m: Mutator): Event {
    const operation = `o${this.#count}` as OperationName;
    this.#operations.push(operation);
    this.#watched.push(operation);
    if (m.chance(0.2)) return { type: "cached", operation, sizeBytes: m.below(5000) };
    return {
      type: "submit",
      operation,
      twinKey: m.chance(0.5) ? m.pick(HOSTILE_NAMES) : undefined,
      platform: this.#platform(m),
      environments: m.chance(0.3) ? ["a"] : undefined,
      priority: m.pick([0, -2147483648, 2147483647]),
      timeoutMs: m.pick([1, 1000, 86_400_000]),
      sizeBytes: m.below(1 << 20),
      payload: this.#count,
    };
  }
}

/** The scheduler among liars. */
export function hostileEvents(): Target {
  let company = new Company();
  return {
    name: "events of the scheduler",
    weight: 6,
    run(mutator, note) {
      if (company.old) company = new Company();
      company.step(mutator, note);
    },
  };
}
