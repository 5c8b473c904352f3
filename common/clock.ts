/**
 * Time, handed in: real in production, moved by hand in tests and simulations.
 *
 * @module
 */

import { asBrokkrError, Code } from "./errors.ts";

/** A timer that can be taken back. */
export interface TimerHandle extends Disposable {
  /** Takes the timer back; harmless when it has fired. */
  cancel(): void;
}

/** A source of time. Durations use {@linkcode Clock.monotonicMs}; wall time is for display and records only. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01T00:00:00Z; may jump. */
  wallMs(): number;
  /** Calls `fn` once after `delayMs`. The timer does not keep the process alive. */
  setTimer(delayMs: number, fn: () => void): TimerHandle;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => performance.timeOrigin + performance.now(),
  setTimer(delayMs, fn) {
    const id = setTimeout(fn, Math.max(0, delayMs));
    Deno.unrefTimer(id);
    const cancel = () => clearTimeout(id);
    return { cancel, [Symbol.dispose]: cancel };
  },
};

/**
 * Resolves after `ms` on `clock`; rejects when `signal` aborts first.
 *
 * @throws {BrokkrError} with what `signal` was aborted with.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(asBrokkrError(signal.reason, Code.CANCELLED));
    const onAbort = () => {
      timer.cancel();
      reject(asBrokkrError(signal?.reason, Code.CANCELLED));
    };
    const timer = clock.setTimer(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * A clock that stands still until {@linkcode ManualClock.advance} moves it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ManualClock } from "@brokkr/common";
 * const clock = new ManualClock();
 * let fired = 0;
 * clock.setTimer(10, () => fired++);
 * clock.advance(9);
 * assertEquals(fired, 0);
 * clock.advance(1);
 * assertEquals(fired, 1);
 * ```
 */
export class ManualClock implements Clock {
  #nowMs = 0;
  #seq = 0;
  readonly #wallStartMs: number;
  #timers: { atMs: number; seq: number; fn: () => void }[] = [];

  /** Starts at monotonic 0 and the given wall time. */
  constructor(wallStartMs = 1_700_000_000_000) {
    this.#wallStartMs = wallStartMs;
  }

  /** See {@linkcode Clock.monotonicMs}. */
  monotonicMs(): number {
    return this.#nowMs;
  }

  /** See {@linkcode Clock.wallMs}. */
  wallMs(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  /** See {@linkcode Clock.setTimer}. */
  setTimer(delayMs: number, fn: () => void): TimerHandle {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), seq: this.#seq++, fn };
    this.#timers.push(timer);
    const cancel = () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
    return { cancel, [Symbol.dispose]: cancel };
  }

  /** Moves time on by `ms`, firing due timers in order, each at its own moment. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      let next: { atMs: number; seq: number; fn: () => void } | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs > endMs) continue;
        if (
          next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.seq < next.seq)
        ) {
          next = timer;
        }
      }
      if (next === undefined) break;
      const due = next;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.fn();
    }
    this.#nowMs = endMs;
  }

  /** How many timers wait. */
  get pendingTimers(): number {
    return this.#timers.length;
  }
}
