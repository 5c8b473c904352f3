/**
 * The second thread of BLAKE3, seen from the first: slots in a shared memory through which subtrees go.
 *
 * The first thread never waits for the second. It fills free slots, computes other subtrees itself meanwhile, and in the
 * end takes back what the second has not begun and repeats what it does not finish soon. So a thread that is slow, did not
 * start or died costs time and nothing else.
 *
 * @module
 */

import { SHARED_LAYOUT, SHARED_PAGES, SLOT_STATE, SLOTS, SUBTREE_BYTES } from "./_blake3_layout.ts";
import { workerTask, workerUrl } from "./_blake3_worker.ts";
import { kernelModule } from "./_load.ts";
import type { Blake3 } from "./blake3.ts";

/** How long an unfinished subtree is waited for: twice what it takes to compute one. */
const PATIENCE_MS = 0.06;

/** What is used of a thread. */
interface Thread {
  postMessage(message: null): void;
  terminate(): Promise<unknown>;
}

/** A subtree that was handed over. */
export interface Task {
  /** The number of its first chunk. */
  readonly counter: number;
  /** Where it is, while there is no value. */
  slot: number;
  /** Its chaining value. */
  value?: Uint8Array;
}

/** A second thread. */
export class SecondThread {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #counters: Float64Array;
  readonly #memory: WebAssembly.Memory;
  /** What each slot is for; a slot without a task that is not free was given up. */
  readonly #tasks: (Task | undefined)[] = new Array(SLOTS).fill(undefined);
  #thread: Thread | undefined;
  #failed = false;
  #next = 0;
  readonly #created: Promise<Thread>;
  readonly #answered = Promise.withResolvers<void>();

  /** Begins to start the thread, which takes many milliseconds and does not keep the process alive. */
  constructor(url: () => URL = workerUrl) {
    this.#memory = new WebAssembly.Memory({ initial: SHARED_PAGES, maximum: SHARED_PAGES, shared: true });
    this.#words = new Int32Array(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#counters = new Float64Array(this.#memory.buffer, SHARED_LAYOUT.counters, SLOTS);
    Atomics.store(this.#words, SHARED_LAYOUT.asleep >> 2, 1);
    this.#created = this.#create(url);
    this.#created.catch(() => void (this.#failed = true));
  }

  async #create(url: () => URL): Promise<Thread> {
    // Nobody pays for the import who does not hash large blobs.
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(url(), { workerData: workerTask(kernelModule("blake3_shared"), this.#memory) });
    // It may end for reasons of its own; the first thread goes on alone.
    const fail = () => {
      this.#failed = true;
      this.#answered.resolve();
    };
    worker.on("error", fail);
    worker.on("exit", fail);
    worker.on("message", () => this.#answered.resolve());
    worker.unref();
    this.#thread = worker;
    return worker;
  }

  /** Resolves when the thread runs or has failed; nothing needs to wait for it. */
  async started(): Promise<void> {
    await this.#created.catch(() => {});
    if (!this.#failed) await this.#answered.promise;
  }

  /** Whether the thread did not start or has ended. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Whether the thread takes what is offered. */
  get running(): boolean {
    return !this.#failed && Atomics.load(this.#words, SHARED_LAYOUT.alive >> 2) === 1;
  }

  /** Ends the thread; what it has not finished is computed by the first. */
  async stop(): Promise<void> {
    this.#failed = true;
    const thread = await this.#created.catch(() => undefined);
    await thread?.terminate();
  }

  /**
   * Hands over a subtree, the first `headBytes` of `head` and then `rest`, unless there are `depth` already.
   */
  offer(
    head: Uint8Array,
    headBytes: number,
    rest: Uint8Array,
    counter: number,
    depth: number,
  ): Task | undefined {
    if (!this.running) return undefined;
    const slot = this.#freeSlot(Math.min(depth, SLOTS));
    if (slot === undefined) return undefined;
    const at = SHARED_LAYOUT.slots + slot * SUBTREE_BYTES;
    if (headBytes > 0) this.#bytes.set(head, at);
    this.#bytes.set(rest, at + headBytes);
    this.#counters[slot] = counter;
    const task: Task = { counter, slot };
    this.#tasks[slot] = task;
    Atomics.store(this.#words, this.#state(slot), SLOT_STATE.ready);
    this.#ring();
    return task;
  }

  #ring(): void {
    Atomics.add(this.#words, SHARED_LAYOUT.bell >> 2, 1);
    Atomics.notify(this.#words, SHARED_LAYOUT.bell >> 2);
    if (Atomics.exchange(this.#words, SHARED_LAYOUT.asleep >> 2, 0) === 1) this.#thread?.postMessage(null);
  }

  #state(slot: number): number {
    return (SHARED_LAYOUT.states >> 2) + slot;
  }

  /** A slot of the first `depth` that may be filled. */
  #freeSlot(depth: number): number | undefined {
    for (let tried = 0; tried < depth; tried++) {
      const slot = (this.#next + tried) % depth;
      this.#harvest(slot);
      if (Atomics.load(this.#words, this.#state(slot)) !== SLOT_STATE.free) continue;
      this.#next = slot + 1;
      return slot;
    }
    return undefined;
  }

  /** Frees a slot whose value is there, whoever wants that: who hands over may never come back for it. */
  #harvest(slot: number): void {
    if (Atomics.load(this.#words, this.#state(slot)) !== SLOT_STATE.done) return;
    const task = this.#tasks[slot];
    const at = SHARED_LAYOUT.values + slot * 32;
    // A plain copy: a slice of shared memory would be shared memory.
    if (task !== undefined) task.value = new Uint8Array(this.#bytes.subarray(at, at + 32));
    this.#tasks[slot] = undefined;
    Atomics.store(this.#words, this.#state(slot), SLOT_STATE.free);
  }

  /** The value of a subtree that was handed over, if it is there. */
  poll(task: Task): Uint8Array | undefined {
    if (task.value === undefined) this.#harvest(task.slot);
    return task.value;
  }

  /** Computes a subtree in this thread that the other has not begun; whether it was so. */
  takeBack(task: Task, kernel: Blake3): boolean {
    if (task.value !== undefined) return false;
    const state = this.#state(task.slot);
    const { ready, busy, free } = SLOT_STATE;
    if (Atomics.compareExchange(this.#words, state, ready, busy) !== ready) return false;
    task.value = this.#compute(task, kernel);
    this.#tasks[task.slot] = undefined;
    Atomics.store(this.#words, state, free);
    return true;
  }

  /** The value of a subtree; it is computed in this thread if the other does not finish soon. */
  finish(task: Task, kernel: Blake3): Uint8Array {
    if (this.poll(task) === undefined) this.takeBack(task, kernel);
    const untilMs = performance.now() + PATIENCE_MS;
    while (this.poll(task) === undefined && !this.#failed && performance.now() < untilMs);
    if (task.value === undefined) {
      task.value = this.#compute(task, kernel);
      // The other thread may still be reading the slot: it is freed when that says that it is done.
      this.#tasks[task.slot] = undefined;
    }
    return task.value;
  }

  #compute(task: Task, kernel: Blake3): Uint8Array {
    const at = SHARED_LAYOUT.slots + task.slot * SUBTREE_BYTES;
    const bytes = this.#bytes.subarray(at, at + SUBTREE_BYTES);
    return kernel.subtree(bytes, bytes.length, undefined, task.counter, false).take();
  }
}
