/**
 * The waiting jobs, in one queue for each platform, and which workers each queue can go to.
 *
 * @module
 */

import type { WorkerId } from "@brokkr/common";
import { assert } from "../_assert.ts";
import { JobQueue } from "./job_queue.ts";
import { firstMismatch } from "./platform.ts";
import { freeSlots, type Job, takesLeases, type WorkerState } from "./_state.ts";

/** Jobs that can go to the same workers. */
export interface Group<P> {
  readonly key: string;
  readonly sample: Pick<Job<P>, "platform" | "environments">;
  readonly avoid: ReadonlySet<WorkerId>;
  readonly queue: JobQueue<Job<P>>;
  candidates: readonly WorkerState<P>[];
  candidateSet: ReadonlySet<WorkerState<P>>;
  /** Version of the fleet that the candidates were chosen from. */
  fleetVersion: number;
  usedAtMs: number;
}

/** Queues by platform. An empty one is kept a while, so that a stream of like jobs does not look for workers each time. */
export class Queues<P> {
  readonly #fleet: ReadonlyMap<WorkerId, WorkerState<P>>;
  readonly #groups = new Map<string, Group<P>>();
  #fleetVersion = 0;
  #size = 0;

  constructor(fleet: ReadonlyMap<WorkerId, WorkerState<P>>) {
    this.#fleet = fleet;
  }

  /** Jobs in all queues. */
  get size(): number {
    return this.#size;
  }

  /** Platforms that are remembered, waited for or not. */
  get platforms(): number {
    return this.#groups.size;
  }

  /** To be called whenever a worker came, went, drains or offers something else. */
  fleetChanged(): void {
    this.#fleetVersion++;
  }

  groups(): IterableIterator<Group<P>> {
    return this.#groups.values();
  }

  /** Whether a job of this kind would need a queue that is not there. */
  isNew(job: Job<P>): boolean {
    return !this.#groups.has(groupKey(job));
  }

  add(job: Job<P>, nowMs: number): Group<P> {
    const key = groupKey(job);
    let group = this.#groups.get(key);
    if (group === undefined) {
      const { platform, environments } = job;
      group = {
        key,
        sample: { platform, environments },
        avoid: new Set(job.avoid),
        queue: new JobQueue(),
        candidates: [],
        candidateSet: new Set(),
        fleetVersion: -1,
        usedAtMs: nowMs,
      };
      this.#groups.set(key, group);
    }
    group.usedAtMs = nowMs;
    group.queue.add(job);
    this.#size++;
    return group;
  }

  remove(job: Job<P>): void {
    this.#groupOf(job).queue.remove(job);
    this.#size--;
  }

  raise(job: Job<P>): void {
    this.#groupOf(job).queue.raise(job);
  }

  /** Drops empty queues that were not used since `beforeMs`. */
  prune(beforeMs: number): void {
    for (const group of this.#groups.values()) {
      if (group.queue.size === 0 && group.usedAtMs <= beforeMs) this.#groups.delete(group.key);
    }
  }

  /** Workers that a queue can go to: those that match, without those to avoid as long as others match. */
  candidates(group: Group<P>): readonly WorkerState<P>[] {
    if (group.fleetVersion === this.#fleetVersion) return group.candidates;
    const { platform, environments } = group.sample;
    const able: WorkerState<P>[] = [];
    for (const worker of this.#fleet.values()) {
      if (environments !== undefined && !environments.includes(worker.spec.environment)) continue;
      if (firstMismatch(platform, worker.offer, true) === undefined) able.push(worker);
    }
    const granting = able.filter((worker) => firstMismatch(platform, worker.offer) === undefined);
    // What none grants, of those that may come back either, is refused by one that can say why.
    const matching = (granting.length > 0 ? granting : able).filter(takesLeases);
    const preferred = matching.filter((worker) => !group.avoid.has(worker.spec.id));
    group.candidates = preferred.length > 0 ? preferred : matching;
    group.candidateSet = new Set(group.candidates);
    group.fleetVersion = this.#fleetVersion;
    return group.candidates;
  }

  /** The job that `worker` should run next: the first of all queues that can go to it. */
  bestFor(worker: WorkerState<P>): Job<P> | undefined {
    let best: Job<P> | undefined;
    for (const group of this.#groups.values()) {
      const head = group.queue.peek();
      if (head === undefined) continue;
      this.candidates(group);
      if (!group.candidateSet.has(worker)) continue;
      const sooner = best === undefined || head.priority < best.priority ||
        (head.priority === best.priority && head.seq < best.seq);
      if (sooner) best = head;
    }
    return best;
  }

  /** The worker that a job of `group` should go to: the one with the largest share of free slots. */
  leastLoaded(group: Group<P>): WorkerState<P> | undefined {
    let best: WorkerState<P> | undefined;
    let bestShare = 0;
    for (const worker of this.candidates(group)) {
      const share = freeSlots(worker) / worker.spec.slots;
      if (share > bestShare) {
        best = worker;
        bestShare = share;
      }
    }
    return best;
  }

  check(): void {
    let size = 0;
    for (const group of this.#groups.values()) size += group.queue.size;
    assert(size === this.#size, "The sizes of the queues add up");
  }

  #groupOf(job: Job<P>): Group<P> {
    const group = this.#groups.get(groupKey(job));
    assert(group !== undefined, "A queued job's queue is there");
    return group;
  }
}

function groupKey<P>(job: Job<P>): string {
  if (job.avoid.size === 0 && job.environments === undefined) return job.platformKey;
  return JSON.stringify([job.platformKey, job.environments ?? null, [...job.avoid].sort()]);
}
