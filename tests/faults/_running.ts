/**
 * Control and worker as processes that a test starts by hand: under limits, in namespaces, behind a proxy.
 *
 * @module
 */

import { type Channel, connect } from "@brokkr/proto/rpc/client";
import { removeTree } from "@brokkr/sandbox";
import { start } from "../e2e/_processes.ts";

/** What to start. */
export interface RunOptions {
  /** Holds everything of it. */
  readonly dir: string;
  readonly flags?: readonly string[];
  /** Words before the command, such as `prlimit --nofile=64`. */
  readonly before?: readonly string[];
}

/** Lines of a stream as they come; ends with the stream. */
async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
}

/** A process that runs until it is disposed of. */
export class Running implements AsyncDisposable {
  /** What it said, on either stream. */
  readonly lines: string[] = [];
  readonly status: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #ready = Promise.withResolvers<Record<string, string>>();
  readonly #read: Promise<unknown>;
  readonly #wakers = new Set<() => void>();

  constructor(entry: "control" | "worker" | "cli", { dir, flags = [], before }: RunOptions) {
    this.#child = start(entry, { args: flags, cwd: dir, ...(before === undefined ? {} : { before }) });
    this.status = this.#child.status;
    this.#ready.promise.catch(() => {});
    this.#read = Promise.all([
      readLines(this.#child.stdout, (line) => this.#take(line)),
      readLines(this.#child.stderr, (line) => this.#take(line)),
    ]).then(() => {
      this.#ready.reject(new Error(`It ended before it was ready:\n${this.lines.join("\n")}`));
      this.#wake();
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What it says of itself once it serves. */
  get ready(): Promise<Record<string, string>> {
    return this.#ready.promise;
  }

  /** The first line from `from` on that holds these words, as soon as there is one. Rejects when it ends before. */
  async line(words: string | RegExp, from = 0): Promise<string> {
    let ended = false;
    void this.status.then(() => ended = true);
    for (;;) {
      const found = this.lines.slice(from).find((line) =>
        typeof words === "string" ? line.includes(words) : words.test(line)
      );
      if (found !== undefined) return found;
      if (ended) throw new Error(`It ended and never said ${words}:\n${this.lines.join("\n")}`);
      await new Promise<void>((resolve) => this.#wakers.add(resolve));
    }
  }

  /** Seconds of processor time that it has used. */
  async cpuSeconds(): Promise<number> {
    const stat = await Deno.readTextFile(`/proc/${this.pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Ends it in good order, or at once. */
  async end(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    try {
      this.#child.kill(signal);
    } catch {
      // it has ended already
    }
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), 30_000);
    const status = await this.status;
    clearTimeout(killer);
    await this.#read;
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #take(line: string): void {
    this.lines.push(line);
    const ready = /^READY (\{.*\})$/.exec(line);
    if (ready !== null) this.#ready.resolve(JSON.parse(ready[1]));
    this.#wake();
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }
}

/** A control plane that serves, with a channel that tries nothing twice. */
export interface RunningControl extends AsyncDisposable {
  readonly process: Running;
  readonly address: string;
  readonly http: string;
  readonly channel: Channel;
}

/** Starts control with its data in `dir/data`. */
export async function runControl(options: RunOptions): Promise<RunningControl> {
  const { dir, flags = [] } = options;
  const own = [`--data-dir=${dir}/data`, "--http-listen=127.0.0.1:0"];
  if (!flags.some((flag) => flag.startsWith("--listen="))) own.push("--listen=127.0.0.1:0");
  const process = new Running("control", { ...options, flags: [...own, ...flags] });
  try {
    const { grpc, http } = await process.ready;
    const channel = connect(`grpc://${grpc}`, { retry: { retries: 0 } });
    return {
      process,
      address: grpc,
      http: `http://${http}`,
      channel,
      async [Symbol.asyncDispose]() {
        await channel.close();
        await process.end();
      },
    };
  } catch (error) {
    await process.end();
    throw error;
  }
}

/** Starts a worker with its data in `dir/worker`, and does not wait for it. */
export function runWorker(options: RunOptions & { readonly control: string }): Running {
  const { dir, control, flags = [] } = options;
  return new Running("worker", {
    ...options,
    flags: [`--data-dir=${dir}/worker`, `--control=grpc://${control}`, "--slots=2", ...flags],
  });
}

/** Runs `test` in a directory of its own, removed at the end. */
export async function withDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-faults-" });
  try {
    await test(dir);
  } finally {
    // A worker's cache holds read-only directories, which Deno.remove cannot empty.
    await removeTree(dir);
  }
}

/** Tries until it succeeds; throws what it failed with last after a minute. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (const until = performance.now() + 60_000;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
