/**
 * Turns at what has a name: one at a time for each, all others meanwhile.
 *
 * @module
 */

/** The turns. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `fn` after all that came before it under this name have ended, however they did. */
  async run<T>(name: string, fn: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const turn = before === undefined ? fn() : before.then(fn, fn);
    this.#last.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(name) === turn) this.#last.delete(name);
    }
  }
}
