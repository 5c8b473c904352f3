/**
 * A priority queue from which any element can be taken: a binary heap whose elements know their place.
 *
 * @module
 */

import { assert } from "../_assert.ts";

/** What a {@linkcode JobQueue} holds. */
export interface Queued {
  /** Lower is sooner. */
  priority: number;
  /** Orders equals: first come, first served. Unique. */
  readonly seq: number;
  /** Place in the queue; -1 when in none. The queue's own. */
  queueIndex: number;
}

function before(a: Queued, b: Queued): boolean {
  return a.priority !== b.priority ? a.priority < b.priority : a.seq < b.seq;
}

/**
 * Lowest priority first, then lowest sequence number.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { JobQueue } from "./job_queue.ts";
 * const queue = new JobQueue();
 * queue.add({ priority: 1, seq: 1, queueIndex: -1 });
 * queue.add({ priority: 0, seq: 2, queueIndex: -1 });
 * assertEquals(queue.shift()?.seq, 2);
 * ```
 */
export class JobQueue<T extends Queued> {
  readonly #heap: T[] = [];

  /** How many wait. */
  get size(): number {
    return this.#heap.length;
  }

  /** The first, which stays. */
  peek(): T | undefined {
    return this.#heap[0];
  }

  /** Takes the first. */
  shift(): T | undefined {
    const first = this.#heap[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Adds an element that is in no queue. */
  add(item: T): void {
    assert(item.queueIndex === -1, "An element is in one queue at most");
    item.queueIndex = this.#heap.length;
    this.#heap.push(item);
    this.#up(item.queueIndex);
  }

  /** Takes an element that is in this queue. */
  remove(item: T): void {
    const index = item.queueIndex;
    assert(this.#heap[index] === item, "An element removed is in this queue");
    const last = this.#heap.pop();
    item.queueIndex = -1;
    if (last === undefined || last === item) return;
    this.#heap[index] = last;
    last.queueIndex = index;
    this.#up(index);
    this.#down(last.queueIndex);
  }

  /** Puts an element of this queue in its new place after its priority became lower. */
  raise(item: T): void {
    assert(this.#heap[item.queueIndex] === item, "An element raised is in this queue");
    this.#up(item.queueIndex);
  }

  #swap(i: number, j: number): void {
    const a = this.#heap[i];
    const b = this.#heap[j];
    this.#heap[i] = b;
    this.#heap[j] = a;
    b.queueIndex = i;
    a.queueIndex = j;
  }

  #up(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(this.#heap[index], this.#heap[parent])) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #down(start: number): void {
    const size = this.#heap.length;
    for (let index = start;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let least = index;
      if (left < size && before(this.#heap[left], this.#heap[least])) least = left;
      if (right < size && before(this.#heap[right], this.#heap[least])) least = right;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }
}
