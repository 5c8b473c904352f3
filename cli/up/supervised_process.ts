/**
 * One process that is kept running: started, waited for until it serves, started again when it dies, ended cleanly.
 *
 * The child holds the reading end of a pipe as its standard input. When this process goes away, however it goes, the
 * pipe closes and the child ends by itself: no orphan is left.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, type Clock, Code, sleep } from "@brokkr/common";

/** Set in a child's environment: standard input is a pipe that its parent holds, and its end means to shut down. */
export const PARENT_PIPE_VARIABLE = "BROKKR_PARENT_PIPE";

/** How a process is started. */
export interface ProcessSpec {
  /** What it is called in messages. */
  readonly name: string;
  /** Program. */
  readonly program: string;
  /** Arguments; asked for anew on each start. */
  readonly args: () => readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly cwd: string;
  /** How long it gets to end after SIGTERM, in milliseconds, before it is killed. */
  readonly stopGraceMs: number;
  /** How long it gets to say that it serves, in milliseconds. */
  readonly readyTimeoutMs: number;
  /** Told each line that it writes. */
  readonly onLine: (line: string) => void;
  /** Told that it died and when it is started again. */
  readonly onDeath?: (message: string) => void;
  /** Time. */
  readonly clock: Clock;
}

/** What a process says when it serves: the JSON after `READY`. */
export type Ready = Readonly<Record<string, unknown>>;

/** How a process ended when it was told to. */
export interface ProcessEnd {
  /** What it is called. */
  readonly name: string;
  /** Exit code; undefined when it did not run at that moment. */
  readonly code: number | undefined;
  /** The signal that killed it, if one did. */
  readonly signal: string | undefined;
}

const READY_PREFIX = "READY ";
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 10_000;
/** A process that lived so long starts again with the first delay. */
const STEADY_MS = 30_000;
const KEPT_LINES = 40;
const TOLD_LINES = 8;
/** How a process begins that could not serve and says why: what it logged before is then of no interest. */
const OWN_WORDS = /^brokkr-(?:control|worker): /;

interface Life {
  readonly child: Deno.ChildProcess;
  /** What it said when it served; rejects when it ends before that. */
  readonly ready: Promise<Ready>;
  /** Resolves when it has ended and all its lines have come. */
  readonly ended: Promise<Deno.CommandStatus>;
}

/** A process that is kept running. */
export class SupervisedProcess {
  readonly #spec: ProcessSpec;
  readonly #stopping = new AbortController();
  readonly #recent: string[] = [];
  #life: Life | undefined;
  #supervision: Promise<void> = Promise.resolve();
  #ready: Ready = {};
  #launchFailure = "";

  /** Nothing runs before {@linkcode SupervisedProcess.start}. */
  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  /** Process id; undefined while none runs. */
  get pid(): number | undefined {
    return this.#life?.child.pid;
  }

  /** What it said when it last began to serve. */
  get ready(): Ready {
    return this.#ready;
  }

  /**
   * Starts it and waits until it serves. From then on it is started again whenever it dies.
   *
   * @throws {BrokkrError} UNAVAILABLE with its last lines when it ends, or does not serve in time.
   */
  async start(): Promise<Ready> {
    const life = this.#launch();
    const late = new AbortController();
    const timer = sleep(this.#spec.clock, this.#spec.readyTimeoutMs, late.signal).then(() => {
      throw this.#failure(`did not serve within ${Math.round(this.#spec.readyTimeoutMs / 1000)} s`);
    });
    timer.catch(() => {}); // raced below; a timer taken back must not count as unhandled
    try {
      this.#ready = await Promise.race([life.ready, timer]);
    } catch (error) {
      await this.stop();
      throw error;
    } finally {
      late.abort();
    }
    this.#supervision = this.#keepRunning(life);
    return this.#ready;
  }

  /** Ends it: SIGTERM, then SIGKILL when it takes too long. Resolves when it is gone, with how it ended. */
  async stop(): Promise<ProcessEnd> {
    this.#stopping.abort(new BrokkrError(Code.CANCELLED, `${this.#spec.name} is being stopped`));
    const life = this.#life;
    let status: Deno.CommandStatus | undefined;
    if (life !== undefined) {
      const killer = this.#spec.clock.setTimer(this.#spec.stopGraceMs, () => this.kill("SIGKILL"));
      this.kill("SIGTERM");
      status = await life.ended;
      killer.cancel();
    }
    await this.#supervision;
    return { name: this.#spec.name, code: status?.code, signal: status?.signal ?? undefined };
  }

  /** Sends it a signal; harmless when it is gone. */
  kill(signal: Deno.Signal): void {
    try {
      this.#life?.child.kill(signal);
    } catch (error) {
      // It has ended already, which is what the signal was for.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Its last lines, for a message about why it failed. */
  get recentLines(): readonly string[] {
    return this.#recent;
  }

  #launch(): Life {
    const { program, args, env, cwd } = this.#spec;
    this.#recent.length = 0;
    const child = new Deno.Command(program, {
      args: [...args()],
      env: { ...env, [PARENT_PIPE_VARIABLE]: "1", NO_COLOR: "1" },
      clearEnv: true,
      cwd,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // Its own session: Ctrl-C reaches this process only, which then ends its children in order.
      detached: true,
    }).spawn();
    const ready = Promise.withResolvers<Ready>();
    ready.promise.catch(() => {}); // start() awaits it; on later starts a failure shows as the end of the process
    const told = this.#readLines(child.stdout, (line) => {
      if (!line.startsWith(READY_PREFIX)) return this.#line(line);
      ready.resolve(parseReady(line.slice(READY_PREFIX.length)));
    });
    const logged = this.#readLines(child.stderr, (line) => this.#line(line));
    const ended = Promise.all([child.status, told, logged]).then(([status]) => {
      this.#life = undefined;
      ready.reject(this.#failure(`ended with ${how(status)} before it served`));
      return status;
    });
    return this.#life = { child, ready: ready.promise, ended };
  }

  async #keepRunning(first: Life): Promise<void> {
    let life: Life | undefined = first;
    let delayMs = FIRST_DELAY_MS;
    const { clock, name, onDeath } = this.#spec;
    for (;;) {
      const bornMs = clock.monotonicMs();
      let what: string;
      if (life === undefined) what = `${name} cannot be started: ${this.#launchFailure}`;
      else {
        life.ready.then((ready) => this.#ready = ready, () => {});
        what = `${name} ended with ${how(await life.ended)}`;
      }
      if (this.#stopping.signal.aborted) return;
      if (clock.monotonicMs() - bornMs >= STEADY_MS) delayMs = FIRST_DELAY_MS;
      onDeath?.(`${what}; starting it again in ${delayMs} ms`);
      try {
        await sleep(clock, delayMs, this.#stopping.signal);
      } catch {
        return; // stopped while it waited
      }
      delayMs = Math.min(MAX_DELAY_MS, delayMs * 2);
      life = this.#tryLaunch();
    }
  }

  /** Out of processes or descriptors, or its program was replaced this moment: that may pass. */
  #tryLaunch(): Life | undefined {
    try {
      return this.#launch();
    } catch (error) {
      this.#launchFailure = asBrokkrError(error).message;
      return undefined;
    }
  }

  #failure(what: string): BrokkrError {
    const ownWords = this.#recent.findLastIndex((line) => OWN_WORDS.test(line));
    const told = this.#recent.slice(ownWords < 0 ? -TOLD_LINES : ownWords);
    const last = told.map((line) => `\n  ${line}`).join("");
    return new BrokkrError(
      Code.UNAVAILABLE,
      `The ${this.#spec.name} process ${what}${last === "" ? "" : `:${last}`}`,
    );
  }

  #line(line: string): void {
    this.#recent.push(line);
    if (this.#recent.length > KEPT_LINES) this.#recent.shift();
    this.#spec.onLine(line);
  }

  async #readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of stream) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = (lines.pop() ?? "").slice(-MAX_LINE_LENGTH);
        lines.forEach(onLine);
      }
    } catch (error) {
      rest = asBrokkrError(error).message;
    }
    if (rest !== "") onLine(rest);
  }
}

const MAX_LINE_LENGTH = 64 * 1024;

function how({ code, signal }: Deno.CommandStatus): string {
  return signal === null ? `exit code ${code}` : signal;
}

function parseReady(text: string): Ready {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {}; // a line that merely looks like it
  }
}
