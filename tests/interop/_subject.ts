/**
 * The grid under test, over plain text, TLS or mutual TLS, and what must be true of it after every group of cases.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { startGrid } from "@brokkr/cli/up";
import type { Certificates } from "./_certs.ts";
import { type CaseResult, PythonClient, type Request, type TlsFiles } from "./_python.ts";

/** How clients reach the grid. */
export type Transport = "plain text" | "TLS" | "mutual TLS";

/** Most that the control process may ever hold beyond what it began with: its budget, and garbage not collected yet. */
const GROWTH_BYTES = 4 * 256 * 2 ** 20;
const SETTLE_MS = 60_000;

/** A grid of real processes and a client in Python. */
export class Subject implements AsyncDisposable {
  readonly instance = "snake/case";
  /** What clients need to be let in; null without TLS. */
  readonly tls: TlsFiles | null;
  readonly #parts: AsyncDisposableStack;
  readonly #grid: Awaited<ReturnType<typeof startGrid>>;
  readonly #client: PythonClient;
  readonly #lines: string[];
  readonly #deaths: string[];
  #idle: Record<string, number> = {};
  #residentBytes = 0;

  private constructor(parts: {
    readonly stack: AsyncDisposableStack;
    readonly grid: Awaited<ReturnType<typeof startGrid>>;
    readonly client: PythonClient;
    readonly tls: TlsFiles | null;
    readonly lines: string[];
    readonly deaths: string[];
  }) {
    this.#parts = parts.stack;
    this.#grid = parts.grid;
    this.#client = parts.client;
    this.tls = parts.tls;
    this.#lines = parts.lines;
    this.#deaths = parts.deaths;
  }

  /** Starts it. With TLS, `certificates` makes those of the grid's own processes. */
  static async start(transport: Transport, certificates?: Certificates): Promise<Subject> {
    await using stack = new AsyncDisposableStack();
    const client = stack.use(await PythonClient.open());
    const lines: string[] = [], deaths: string[] = [];
    const controlFlags = ["--unwatched-ttl=1s"], workerFlags: string[] = [];
    let tls: TlsFiles | null = null;
    if (transport !== "plain text") {
      if (certificates === undefined) throw new Error("TLS needs certificates");
      const ca = certificates.ca();
      const [server, worker, python] = await Promise.all(
        ["/CN=control", "/CN=worker", "/CN=python"].map((subject) => certificates.issue(subject)),
      );
      controlFlags.push(`--tls-cert=${server.cert}`, `--tls-key=${server.key}`);
      workerFlags.push(`--tls-ca=${ca}`);
      if (transport === "mutual TLS") {
        controlFlags.push(`--tls-client-ca=${ca}`);
        workerFlags.push(`--tls-cert=${worker.cert}`, `--tls-key=${worker.key}`);
      }
      tls = transport === "mutual TLS" ? { ca, ...python } : { ca };
    }
    const grid = await startGrid({
      slots: 2,
      tls: tls !== null,
      controlFlags,
      workerFlags,
      onDeath: (message) => deaths.push(message),
      onLog: (process, line) => lines.push(`${process}: ${line}`),
    });
    const subject = new Subject({ stack: stack.move(), grid, client, tls, lines, deaths });
    subject.#idle = await subject.#rest();
    subject.#residentBytes = await subject.#peak();
    return subject;
  }

  /** What a client is told, for some cases. */
  request(cases: readonly string[], tls: TlsFiles | null = this.tls): Request {
    const endpoint = this.#grid.endpoint.replace(/^grpcs?:\/\//, "");
    return { endpoint, instance: this.instance, tls, cases };
  }

  /** Runs cases in one client. */
  run(cases: readonly string[], tls?: TlsFiles | null, given = ""): Promise<CaseResult[]> {
    return this.#client.run({ ...this.request(cases, tls), given });
  }

  /** Has a client begin something, and kills it in the middle: what it said. */
  kill(name: string): Promise<string> {
    return this.#client.killWhenHeld(this.request([name]));
  }

  /** Asserts that no call is under way that was not before, that memory is within its budget, and that an action runs. */
  async assertHealthy(): Promise<void> {
    const until = performance.now() + SETTLE_MS;
    for (;;) {
      const now = await this.#inflight();
      const left = Object.entries(now).filter(([method, calls]) => calls > (this.#idle[method] ?? 0));
      if (left.length === 0) break;
      // Another process ends its calls without telling us.
      if (performance.now() > until) assertEquals(left, [], "Calls that are still under way");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const grown = await this.#peak() - this.#residentBytes;
    assert(grown < GROWTH_BYTES, `The control process had grown by ${grown} bytes`);
    const [result] = await this.run(["the_whole_way"]);
    assertEquals(result.error, undefined);
    assertEquals(this.#deaths, [], this.#lines.slice(-40).join("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = await this.#grid.stop();
    await this.#parts.disposeAsync();
    const log = this.#lines.slice(-60).join("\n");
    assertEquals(this.#deaths, [], log);
    assertEquals(ends.filter(({ code }) => code !== 0), [], log);
    const faults = this.#lines.filter((line) => / ERROR |INTERNAL/.test(line));
    assertEquals(faults, [], "The grid took the faults of clients for its own");
  }

  /** Calls that are always under way: the least of some looks, as a worker's questions come and go. */
  async #rest(): Promise<Record<string, number>> {
    const least = await this.#inflight();
    for (let look = 0; look < 10; look++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const now = await this.#inflight();
      for (const method of Object.keys(least)) least[method] = Math.min(least[method], now[method] ?? 0);
    }
    return least;
  }

  /** Calls under way, by method. */
  async #inflight(): Promise<Record<string, number>> {
    const response = await fetch(`${this.#grid.httpUrl}/metrics`);
    const found = (await response.text()).matchAll(/^brokkr_rpc_inflight\{method="([^"]+)"\} (\d+)$/gm);
    return Object.fromEntries([...found].map(([, method, calls]) => [method, Number(calls)]));
  }

  /** Most bytes that the control process has held. */
  async #peak(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.#grid.control.pid}/status`);
    return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
  }
}
