/**
 * Ending a process in good order.
 *
 * @module
 */

import type { Logger } from "@brokkr/common";

/** Options of {@linkcode onTermination}. */
export interface TerminationOptions {
  /** Says what happens. */
  readonly log?: Logger;
  /** Signals that end the process; SIGTERM and SIGINT by default. */
  readonly signals?: readonly Deno.Signal[];
  /** Ends the process; `Deno.exit` unless a test says otherwise. */
  readonly exit?: (code: number) => void;
}

const NUMBERS: Readonly<Partial<Record<Deno.Signal, number>>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/**
 * Runs `end` on the first SIGTERM or SIGINT and exits with 0 when it is done, with 1 when it fails. A second signal exits
 * at once with 128 plus the signal's number.
 *
 * @returns takes the handlers away again.
 */
export function onTermination(end: () => Promise<void>, options: TerminationOptions = {}): Disposable {
  const exit = options.exit ?? Deno.exit;
  const handlers = new Map<Deno.Signal, () => void>();
  let ending = false;
  const first = async (signal: Deno.Signal) => {
    options.log?.info("Shutting down; a second signal ends at once", { signal });
    // Neither signal listeners nor the system clock's timers keep a process alive; an orderly end must not be cut short.
    const alive = setInterval(() => {}, 60_000);
    try {
      await end();
      exit(0);
    } catch (error) {
      options.log?.error("Shutdown failed", { error });
      exit(1);
    } finally {
      clearInterval(alive);
    }
  };
  for (const signal of options.signals ?? ["SIGTERM", "SIGINT"]) {
    const handler = () => {
      if (ending) return exit(128 + (NUMBERS[signal] ?? 15));
      ending = true;
      void first(signal);
    };
    handlers.set(signal, handler);
    Deno.addSignalListener(signal, handler);
  }
  return {
    [Symbol.dispose]() {
      for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
    },
  };
}
