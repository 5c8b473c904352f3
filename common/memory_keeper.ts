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
  /** Resident bytes, without pages of files: the system takes those back by itself, and no collection frees them. */
  residentBytes(): number;
  /** Processor time used so far, in milliseconds. */
  cpuMs(): number;
  /** Collects garbage and gives free pages back. The process stands still: some 50 ms, one second with a heap of 500 MiB. */
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
  /**
   * Growth that is not waited out, in bytes: beyond it garbage is collected although the process is busy. Buffers lie
   * outside of V8's heap, whose collector lets hundreds of MiB of them go by. None by default.
   */
  readonly limitBytes?: number;
}

const EVERY_MS = 2000;
/** How often it looks for growth beyond the limit, and how soon it collects again when that brought something. */
const LIMIT_EVERY_MS = 100;
const LIMIT_PAUSE_MS = 1000;
const MAX_LIMIT_PAUSE_MS = 60_000;
/** Growth since the last time that is worth a collection. */
const GROWTH_BYTES = 24 * 2 ** 20;
/** So is so much work since the last time, whose garbage may lie in what was resident before. */
const WORK_MS = 100;
/** A collection that brought less was not worth it: the next one needs twice the work. */
const WORTH_BYTES = 8 * 2 ** 20;
const MAX_WORK_MS = 60_000;
/** Below this share of one processor hardly anybody notices a pause. */
const QUIET_SHARE = 0.1;
/** What a collection took, times this, passes until the next: the process stands still for 2 % of its time at most, */
const QUIET_REST = 50;
/** and for 10 % while it is larger than it should be, */
const LIMIT_REST = 10;
/** and for 25 % while it is larger than that by half: what it is spared then is to be killed for want of memory. */
const URGENT = 1.5;
const URGENT_REST = 3;
const URGENT_PAUSE_MS = 250;

/** This process. Without glibc, or without leave to load it, pages are not given back but garbage is collected. */
export function thisProcess(): MemoryHost {
  let collect: (() => void) | undefined;
  let giveBack: (() => void) | undefined;
  return {
    residentBytes: anonymousBytes,
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

/** The store's index is mapped from a file and would count, however little of it is ours to give back. */
function anonymousBytes(): number {
  try {
    const kib = /^RssAnon:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // No /proc here, or no file can be opened now.
  }
  return Deno.memoryUsage().rss;
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
  let nextMs = 0;
  const look = () => {
    const cpuMs = host.cpuMs();
    const residentBytes = host.residentBytes();
    keptBytes = Math.min(keptBytes, residentBytes); // what shrank by itself
    const share = (cpuMs - lastCpuMs) / Math.max(1, clock.monotonicMs() - lastMs);
    if (share > QUIET_SHARE) workMs = WORK_MS; // a burst: it may have left garbage, however little the last time brought
    const due = residentBytes - keptBytes >= GROWTH_BYTES || cpuMs - trimmedCpuMs >= workMs;
    if (share <= QUIET_SHARE && due && clock.monotonicMs() >= nextMs) {
      nextMs = QUIET_REST * timed(clock, host) + clock.monotonicMs();
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
  const limit = options.limitBytes === undefined ? undefined : keepLimit(clock, host, options.limitBytes);
  return {
    [Symbol.dispose]: () => {
      timer?.cancel();
      limit?.[Symbol.dispose]();
    },
  };
}

/** Collects; how long that took, in milliseconds. */
function timed(clock: Clock, host: MemoryHost): number {
  const startMs = clock.monotonicMs();
  host.trim();
  return clock.monotonicMs() - startMs;
}

/** Collects as soon as the process is larger than the least it was by more than `limitBytes`. */
function keepLimit(clock: Clock, host: MemoryHost, limitBytes: number): Disposable {
  let leastBytes = Infinity;
  let pauseMs = LIMIT_PAUSE_MS;
  let nextMs = 0;
  let urgentMs = 0;
  let timer: TimerHandle | undefined;
  const look = () => {
    const residentBytes = host.residentBytes();
    leastBytes = Math.min(leastBytes, residentBytes);
    const grownBytes = residentBytes - leastBytes;
    const nowMs = clock.monotonicMs();
    if (grownBytes > limitBytes && nowMs >= nextMs || grownBytes > URGENT * limitBytes && nowMs >= urgentMs) {
      const tookMs = timed(clock, host);
      // What is in use does not go: then it is not tried again soon.
      const worth = residentBytes - host.residentBytes() >= WORTH_BYTES;
      pauseMs = worth ? LIMIT_PAUSE_MS : Math.min(2 * pauseMs, MAX_LIMIT_PAUSE_MS);
      nextMs = clock.monotonicMs() + Math.max(pauseMs, LIMIT_REST * tookMs);
      urgentMs = worth ? clock.monotonicMs() + Math.max(URGENT_PAUSE_MS, URGENT_REST * tookMs) : nextMs;
    }
    timer = clock.setTimer(LIMIT_EVERY_MS, look);
  };
  timer = clock.setTimer(LIMIT_EVERY_MS, look);
  return { [Symbol.dispose]: () => timer?.cancel() };
}
