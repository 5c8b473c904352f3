/**
 * What the second thread of BLAKE3 does.
 *
 * @module
 */

import { SHARED_LAYOUT, SLOT_STATE, SLOTS, SUBTREE_BYTES } from "./_blake3_layout.ts";

/** How long the thread waits for the bell before it goes to sleep, from which it is woken more slowly. */
const LINGER_MS = 20;

/** What the thread is given. */
export interface WorkerTask {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly layout: typeof SHARED_LAYOUT;
  readonly state: typeof SLOT_STATE;
  readonly slots: number;
  readonly slotBytes: number;
  readonly lingerMs: number;
}

/** The module and the memory, with the numbers that the thread needs. */
export function workerTask(module: WebAssembly.Module, memory: WebAssembly.Memory): WorkerTask {
  return {
    ...{ module, memory, layout: SHARED_LAYOUT, state: SLOT_STATE },
    ...{ slots: SLOTS, slotBytes: SUBTREE_BYTES, lingerMs: LINGER_MS },
  };
}

/** The first thread, seen from the second. */
interface Port {
  on(event: "message", listener: () => void): void;
  postMessage(message: null): void;
}

/**
 * Computes the chaining values of slots for ever. It waits for the bell while there is work and a little longer, as that
 * wakes it fastest, and then for a message, so that it can be ended. It must use nothing but its parameters: the thread is
 * started from its text.
 */
function serve(port: Port, task: WorkerTask): void {
  const { layout, state, slots } = task;
  const kernel = new WebAssembly.Instance(task.module, { env: { memory: task.memory } }).exports as {
    init(): void;
    tree(p: number, length: number, counter: number, root: number, to: number): void;
  };
  kernel.init();
  const words = new Int32Array(task.memory.buffer);
  const counters = new Float64Array(task.memory.buffer, layout.counters, slots);
  const [states, bell, asleep] = [layout.states >> 2, layout.bell >> 2, layout.asleep >> 2];
  let next = 0;
  const takeOne = (): boolean => {
    for (let tried = 0; tried < slots; tried++) {
      const slot = (next + tried) % slots;
      if (Atomics.compareExchange(words, states + slot, state.ready, state.busy) !== state.ready) continue;
      const from = layout.slots + slot * task.slotBytes;
      kernel.tree(from, task.slotBytes, counters[slot], 0, layout.values + slot * 32);
      Atomics.store(words, states + slot, state.done);
      next = slot + 1;
      return true;
    }
    return false;
  };
  const work = () => {
    while (true) {
      const heard = Atomics.load(words, bell);
      if (takeOne()) continue;
      if (Atomics.wait(words, bell, heard, task.lingerMs) !== "timed-out") continue;
      // Whoever rings after this sees it; whoever rang before is heard by the comparison.
      Atomics.store(words, asleep, 1);
      if (Atomics.load(words, bell) === heard) return;
      Atomics.store(words, asleep, 0);
    }
  };
  port.on("message", work);
  Atomics.store(words, layout.alive >> 2, 1);
  port.postMessage(null);
}

/**
 * The program of the thread, as an URL that carries it: a file of its own would have to be found at run time, which
 * compiled executables and readers without permissions make difficult.
 */
export function workerUrl(): URL {
  const code = `import { parentPort, workerData } from "node:worker_threads";
(${serve})(parentPort, workerData);`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
