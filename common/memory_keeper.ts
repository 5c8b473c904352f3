/**
 * Gives memory back to the system after a burst of load. The garbage of a process that has become idle stays where it is:
 * V8 collects when more is allocated, and the C library keeps what was freed for the next time.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import v8 from "node:v8";
import vm from "node:vm";
import type { Clock, TimerHandle } from "./clock.ts";
import { systemClock } from "./clock.ts";

/** The parts of a process that a {@linkcode keepMemory} works on. */
export interface MemoryHost {
  /** Resident bytes. */
  residentBytes(): number;
  /** Processor time used so far, in milliseconds. */
  cpuMs(): number;
  /** Collects garbage and gives free pages back; takes some tens of milliseconds. */
  trim(): void;
}

/** How a {@linkcode keepMemory} is set up. */
export interface MemoryKeeperOptions {
  /** Time; the machine's by default. */
  readonly clock?: Clock;
  /** The process; this one by default. */
  readonly host?: MemoryHost;
  /** How often it looks, in milliseconds; 2 s by default. */
  readonly everyMs?: number;
}

const EVERY_MS = 2000;
/** Growth since the last time that is worth a collection. */
const GROWTH_BYTES = 24 * 2 ** 20;
/** So is so much work since the last time, whose garbage may lie in what was resident before. */
const WORK_MS = 300;
/** A collection that brought less was not worth it: the next one needs twice the work. */
const WORTH_BYTES = 8 * 2 ** 20;
const MAX_WORK_MS = 60_000;
/** Below this share of one processor nobody notices a pause. */
const QUIET_SHARE = 0.1;

/** This process. Without glibc, or without leave to load it, pages are not given back but garbage is collected. */
export function thisProcess(): MemoryHost {
  let collect: (() => void) | undefined;
  let giveBack: (() => void) | undefined;
  return {
    residentBytes: () => Deno.memoryUsage().rss,
    cpuMs: () => {
      const { user, system } = cpuUsage();
      return (user + system) / 1000;
    },
    trim: () => {
      collect ??= collector();
      giveBack ??= mallocTrim();
      collect();
      giveBack();
    },
  };
}

/** V8's collector, which only a flag shows; set late, it shows in contexts that are made after. */
function collector(): () => void {
  v8.setFlagsFromString("--expose-gc");
  const gc: unknown = vm.runInNewContext("gc");
  return typeof gc === "function" ? () => void gc() : () => {};
}

function mallocTrim(): () => void {
  try {
    const libc = Deno.dlopen("libc.so.6", { malloc_trim: { parameters: ["usize"], result: "i32" } });
    // SAFETY: takes a number and no pointer; glibc locks its own arenas.
    return () => void libc.symbols.malloc_trim(0n);
  } catch {
    return () => {}; // another C library
  }
}

/**
 * Looks every now and then whether the process has grown and is quiet, and gives memory back then. Dispose of it to stop.
 *
 * @example
 * ```ts
 * import { keepMemory } from "@brokkr/common/memory_keeper";
 * using _keeper = keepMemory();
 * ```
 */
export function keepMemory(options: MemoryKeeperOptions = {}): Disposable {
  const { clock = systemClock, host = thisProcess(), everyMs = EVERY_MS } = options;
  let timer: TimerHandle | undefined;
  let lastCpuMs = host.cpuMs();
  let lastMs = clock.monotonicMs();
  let trimmedCpuMs = lastCpuMs;
  let keptBytes = 0;
  let workMs = WORK_MS;
  const look = () => {
    const cpuMs = host.cpuMs();
    const residentBytes = host.residentBytes();
    keptBytes = Math.min(keptBytes, residentBytes); // what shrank by itself
    const quiet = cpuMs - lastCpuMs <= (clock.monotonicMs() - lastMs) * QUIET_SHARE;
    const due = residentBytes - keptBytes >= GROWTH_BYTES || cpuMs - trimmedCpuMs >= workMs;
    if (quiet && due) {
      host.trim();
      keptBytes = host.residentBytes();
      const worth = residentBytes - keptBytes >= WORTH_BYTES;
      workMs = worth ? WORK_MS : Math.min(2 * workMs, MAX_WORK_MS);
      trimmedCpuMs = host.cpuMs();
    }
    lastCpuMs = host.cpuMs();
    lastMs = clock.monotonicMs();
    timer = clock.setTimer(everyMs, look);
  };
  timer = clock.setTimer(everyMs, look);
  return { [Symbol.dispose]: () => timer?.cancel() };
}
