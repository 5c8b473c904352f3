/**
 * Which workers the grid takes by what isolates their actions. A refused worker is told why with each attempt, so the
 * operator is reminded now and then only.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, type Logger } from "@brokkr/common";
import { isSandboxed } from "./environments.ts";

/** How often the log says that the same worker was refused; also how long it is in the warnings. */
const REMIND_MS = 60_000;
/** More are refused all the same, and not remembered. */
const MAX_REMEMBERED = 100;

/** Refuses workers without a sandbox, if it is to. */
export class SandboxRule {
  /** Whether only workers with a sandbox are taken. */
  readonly required: boolean;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** When refused workers were here last, and when the log said so. */
  readonly #refused = new Map<string, { seenMs: number; loggedMs: number }>();

  constructor(required: boolean, clock: Clock, log: Logger) {
    this.required = required;
    this.#clock = clock;
    this.#log = log;
  }

  /** @throws {BrokkrError} FAILED_PRECONDITION for a worker that is not taken. */
  check(worker: string, environment: string): void {
    if (!this.required || isSandboxed(environment)) {
      this.#refused.delete(worker);
      return;
    }
    this.#note(worker, environment);
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `This grid takes only workers that run actions in a sandbox, and the environment of worker ${worker} is ` +
        `${environment}; start it without --no-sandbox, or have control take it by control.require_sandbox = "never"`,
    );
  }

  /** Workers that were refused lately. */
  refused(): readonly string[] {
    this.#forget();
    return [...this.#refused.keys()];
  }

  #note(worker: string, environment: string): void {
    this.#forget();
    const nowMs = this.#clock.monotonicMs();
    const known = this.#refused.get(worker);
    if (known === undefined && this.#refused.size >= MAX_REMEMBERED) return;
    const loggedMs = known === undefined ? -Infinity : known.loggedMs;
    const remind = nowMs - loggedMs >= REMIND_MS;
    this.#refused.set(worker, { seenMs: nowMs, loggedMs: remind ? nowMs : loggedMs });
    if (!remind) return;
    this.#log.warn("A worker without a sandbox was refused (control.require_sandbox)", {
      worker,
      environment,
    });
  }

  #forget(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [worker, { seenMs }] of this.#refused) {
      if (nowMs - seenMs >= REMIND_MS) this.#refused.delete(worker);
    }
  }
}
