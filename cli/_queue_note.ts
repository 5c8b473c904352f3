/**
 * Says why an action waits, when it waits long: a person who looks at a silent terminal wants to know whether it hangs.
 *
 * @module
 */

import type { Clock, TimerHandle } from "@brokkr/common";
import type { Stage } from "./_execution.ts";

/** How long an action may be queued in silence, in milliseconds. */
export const QUEUE_SILENCE_MS = 5000;

/** What is asked of a grid. */
export interface GridView {
  /** Actions that wait. */
  readonly queued: number;
  /** Connected workers. */
  readonly workers: number;
  /** Slots of all of them. */
  readonly slots: number;
  /** What an operator should read. */
  readonly warnings: readonly string[];
}

/** Why actions wait on a grid, in one sentence. */
export function whyQueued({ queued, workers, slots, warnings }: GridView): string {
  if (workers === 0) return "no worker is connected";
  const unmatched = warnings.filter((warning) => /^\d+ actions? waits?: /.test(warning));
  if (unmatched.length > 0) return unmatched.join("; ");
  return `${queued} ${queued === 1 ? "action is" : "actions are"} queued for ${slots} ${
    slots === 1 ? "slot" : "slots"
  }`;
}

/** Watches the stages of one action and speaks once when it stays queued. */
export class QueueNote implements Disposable {
  readonly #clock: Clock;
  readonly #look: () => Promise<GridView>;
  readonly #say: (text: string) => void;
  #timer: TimerHandle | undefined;
  #over = false;

  /** `look` asks the grid, `say` writes a line. */
  constructor(clock: Clock, look: () => Promise<GridView>, say: (text: string) => void) {
    this.#clock = clock;
    this.#look = look;
    this.#say = say;
  }

  /** Tells it that the action came to a stage. */
  stage(stage: Stage): void {
    if (stage === "executing" || stage === "completed") return this[Symbol.dispose]();
    if (stage === "queued") this.#timer ??= this.#clock.setTimer(QUEUE_SILENCE_MS, () => void this.#speak());
  }

  async #speak(): Promise<void> {
    let why = "the grid does not say why";
    try {
      why = whyQueued(await this.#look());
    } catch {
      // The run itself will say what is wrong with the grid.
    }
    if (!this.#over) this.#say(`still waiting for a worker: ${why}`);
  }

  /** It will not speak any more. */
  [Symbol.dispose](): void {
    this.#over = true;
    this.#timer?.cancel();
  }
}
