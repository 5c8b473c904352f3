/**
 * What a process holds while something happens.
 *
 * @module
 */

import { residentMiB } from "./harness.ts";

/** Resident memory in MiB. */
export interface Watched<T> {
  readonly value: T;
  readonly beforeMiB: number;
  readonly peakMiB: number;
  readonly ms: number;
}

const EVERY_MS = 20;

/** Does `fn` and looks at the process's resident memory all the while. */
export async function watchMemory<T>(pid: number, fn: () => Promise<T>): Promise<Watched<T>> {
  const beforeMiB = residentMiB(pid);
  let peakMiB = beforeMiB;
  const timer = setInterval(() => peakMiB = Math.max(peakMiB, residentMiB(pid)), EVERY_MS);
  try {
    const start = performance.now();
    const value = await fn();
    return { value, beforeMiB, peakMiB: Math.max(peakMiB, residentMiB(pid)), ms: performance.now() - start };
  } finally {
    clearInterval(timer);
  }
}
