/**
 * Worker threads of tests.
 *
 * @module
 */

/** Some workers of one program, which says `ready` when it runs and answers each message with one. */
export class TestWorkers implements Disposable {
  readonly #workers: Worker[] = [];

  private constructor() {}

  /**
   * Starts them, one after the other: the program of each is type-checked where tests are, which takes seconds, but what was
   * found for the first is known for the others.
   */
  static async start(program: URL, count: number): Promise<TestWorkers> {
    const started = new TestWorkers();
    try {
      for (let i = 0; i < count; i++) {
        const worker = new Worker(program, { type: "module" });
        started.#workers.push(worker);
        await nextMessage(worker);
      }
      return started;
    } catch (error) {
      started[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends each worker what `question` makes for its number, all at once; their answers. */
  ask(question: (index: number) => unknown): Promise<unknown[]> {
    return Promise.all(this.#workers.map((worker, index) => {
      const answer = nextMessage(worker);
      worker.postMessage(question(index));
      return answer;
    }));
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

function nextMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
}
