/**
 * What a process has grown by, looked at many times a second.
 *
 * @module
 */

const EVERY_MS = 20;

/** Resident memory of a process without pages of files, in MiB: the system takes those back whenever it needs them. */
export async function ownMib(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** Looks at a process until it is disposed of. */
export class GrowthWatch implements AsyncDisposable {
  /** The most that it had, in MiB. */
  mostMib = 0;
  /** Looks that were taken. */
  looks = 0;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  /** Begins to look at process `pid`. */
  constructor(pid: number) {
    this.#done = (async () => {
      while (!this.#stop.signal.aborted) {
        this.mostMib = Math.max(this.mostMib, await ownMib(pid));
        this.looks++;
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      }
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}
