/**
 * The table of jobs: where each waits, which of them have twins, and what they weigh.
 *
 * @module
 */

import { assert } from "../_assert.ts";
import { platformKey } from "./platform.ts";
import type { Queues } from "./_queues.ts";
import type { Group } from "./_queues.ts";
import type { Job } from "./_state.ts";
import type { SchedulerLimits, SubmitEvent } from "./types.ts";

/** Every job that has not ended. */
export class JobTable<P> {
  readonly all = new Set<Job<P>>();
  readonly twins = new Map<string, Job<P>>();
  readonly delayed = new Set<Job<P>>();
  readonly queues: Queues<P>;
  readonly #limits: SchedulerLimits;
  /** Jobs whose result is being kept. */
  settling = 0;
  payloadBytes = 0;
  #seq = 0;

  constructor(queues: Queues<P>, limits: SchedulerLimits) {
    this.queues = queues;
    this.#limits = limits;
  }

  /** Jobs that wait, for a worker or for their time. */
  get waiting(): number {
    return this.queues.size + this.delayed.size;
  }

  get empty(): boolean {
    return this.all.size + this.twins.size + this.waiting + this.queues.platforms + this.payloadBytes +
        this.settling === 0;
  }

  /** A job that is in no table yet. */
  make(event: SubmitEvent<P>, nowMs: number): Job<P> {
    return {
      seq: ++this.#seq,
      queueIndex: -1,
      priority: event.priority,
      twinKey: event.twinKey,
      platform: event.platform,
      environments: event.environments,
      platformKey: platformKey(event.platform),
      timeoutMs: event.timeoutMs,
      sizeBytes: event.sizeBytes,
      payload: event.payload,
      submittedAtMs: nowMs,
      operations: new Set(),
      fresh: event.fresh ?? false,
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

  /** Why `sizeBytes` more are too much beside `heldBytes` of operations, or undefined. */
  overweight(sizeBytes: number, heldBytes: number): string | undefined {
    const { maxPayloadBytes } = this.#limits;
    const before = this.payloadBytes + heldBytes;
    if (before + sizeBytes <= maxPayloadBytes) return undefined;
    return `Actions, commands and operations of ${before} bytes are held, and ${sizeBytes} more are beyond the limit of ` +
      `${maxPayloadBytes}; try again soon`;
  }

  /** Why one more job is too much, or undefined. */
  overload(job: Job<P>, nowMs: number): string | undefined {
    const { maxQueued, maxPlatforms } = this.#limits;
    if (this.waiting >= maxQueued) {
      return `The queue is full: ${maxQueued} actions wait for workers, and max_queue allows no more`;
    }
    if (this.queues.platforms >= maxPlatforms && this.queues.isNew(job)) {
      this.queues.prune(nowMs);
      if (this.queues.platforms >= maxPlatforms) {
        return `Actions for ${maxPlatforms} different platforms wait, as many as may; ask for one of those, or try again soon`;
      }
    }
    return undefined;
  }

  /** Takes a new job in and queues it. */
  admit(job: Job<P>, nowMs: number): Group<P> {
    this.all.add(job);
    this.payloadBytes += job.sizeBytes;
    if (job.twinKey !== undefined) this.twins.set(job.twinKey, job);
    return this.queues.add(job, nowMs);
  }

  /** Queues a job that lost its lease, or whose time has come. */
  enqueue(job: Job<P>, nowMs: number): Group<P> {
    this.delayed.delete(job);
    job.state = "queued";
    return this.queues.add(job, nowMs);
  }

  /** Lets a job that lost its lease wait until `readyAtMs`. */
  delay(job: Job<P>, readyAtMs: number): void {
    job.state = "delayed";
    job.readyAtMs = readyAtMs;
    this.delayed.add(job);
  }

  /** Makes a job at least as urgent as `priority`. */
  raise(job: Job<P>, priority: number): void {
    if (priority >= job.priority) return;
    job.priority = priority;
    if (job.state === "queued") this.queues.raise(job);
  }

  /** Takes a job out of every table but that of its lease. */
  end(job: Job<P>): void {
    assert(job.state !== "ended" && job.operations.size === 0, "A job ends once, after its operations");
    if (job.state === "queued" && job.queueIndex >= 0) this.queues.remove(job);
    this.delayed.delete(job);
    if (job.twinKey !== undefined) this.twins.delete(job.twinKey);
    this.all.delete(job);
    this.payloadBytes -= job.sizeBytes;
    job.state = "ended";
    job.lease = undefined;
  }
}
