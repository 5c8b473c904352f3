/**
 * A grid whose processes are watched as an operator watches them: a receiver of spans, the lines of their logs, and the
 * pages of both.
 *
 * @module
 */

import { type Ended, run, start } from "./_processes.ts";

/** A span as it came by OTLP. */
export interface SeenSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: SeenSpan["attributes"] };
    readonly scopeSpans: readonly { readonly spans: readonly Omit<SeenSpan, "service">[] }[];
  }[];
}

/** The value of an attribute, as text; undefined without. */
export function attribute({ attributes }: Pick<SeenSpan, "attributes">, key: string): string | undefined {
  const value = attributes.find((each) => each.key === key)?.value;
  return value === undefined ? undefined : String(Object.values(value)[0]);
}

/** Receives spans by OTLP over HTTP, as JSON. */
export class SpanReceiver implements AsyncDisposable {
  readonly spans: SeenSpan[] = [];
  /** Requests that came. */
  requests = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #hung = Promise.withResolvers<void>();

  /** With `hangs` it never answers. */
  constructor({ hangs = false } = {}) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      this.requests++;
      if (hangs) {
        await this.#hung.promise;
        return Response.json({});
      }
      this.#take(await request.json());
      return Response.json({});
    });
  }

  /** What tells a process to send its spans here, at once. */
  get env(): Readonly<Record<string, string>> {
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
    };
  }

  #take({ resourceSpans }: Body): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = attribute(resource, "service.name") ?? "";
      for (const { spans } of scopeSpans) this.spans.push(...spans.map((span) => ({ service, ...span })));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hung.resolve();
    await this.#server.shutdown();
  }
}

/** A process and what it wrote. */
class Watched {
  readonly lines: string[] = [];
  readonly ready: Promise<Readonly<Record<string, string>>>;
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, string>>>();
    this.ready = promise;
    promise.catch(() => {});
    const out = eachLine(child.stdout, (line) => {
      if (line.startsWith("READY ")) resolve(JSON.parse(line.slice(6)));
    });
    const err = eachLine(child.stderr, (line) => this.lines.push(line));
    this.#read = Promise.all([out, err]).then(() => reject(new Error(this.lines.join("\n"))));
  }

  /** Ends it as an operator does; its exit code and how long that took, in milliseconds. */
  async stop(): Promise<{ readonly code: number; readonly ms: number }> {
    const from = performance.now();
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended by itself; its exit code says how.
    }
    const { code } = await this.#child.status;
    await this.#read;
    return { code, ms: performance.now() - from };
  }
}

async function eachLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>, take: (line: string) => void) {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
}

/** How an {@linkcode ObservedGrid} is started. */
export interface ObservedOptions {
  /** For all processes: where spans go, the format of logs. */
  readonly env?: Readonly<Record<string, string>>;
  /** Certificate, which is its own authority, and key: paths. TLS when given. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Control, a worker, and `brokk`, with pages on both. */
export class ObservedGrid {
  readonly control: Watched;
  readonly worker: Watched;
  readonly endpoint: string;
  readonly controlPages: string;
  readonly workerPages: string;
  readonly directory: string;
  readonly #options: ObservedOptions;

  private constructor(
    parts: Pick<
      ObservedGrid,
      "control" | "worker" | "endpoint" | "controlPages" | "workerPages" | "directory"
    >,
    options: ObservedOptions,
  ) {
    this.control = parts.control;
    this.worker = parts.worker;
    this.endpoint = parts.endpoint;
    this.controlPages = parts.controlPages;
    this.workerPages = parts.workerPages;
    this.directory = parts.directory;
    this.#options = options;
  }

  static async start(options: ObservedOptions = {}): Promise<ObservedGrid> {
    const directory = await Deno.makeTempDir({ prefix: "brokkr-observed-" });
    const { env = {}, tls } = options;
    const pages = "--http-listen=127.0.0.1:0";
    const certificates = tls === undefined ? [] : [`--tls-cert=${tls.cert}`, `--tls-key=${tls.key}`];
    const control = new Watched(start("control", {
      args: [
        "--listen=127.0.0.1:0",
        pages,
        "--http-cache-listen=127.0.0.1:0",
        `--data-dir=${directory}/control`,
        ...certificates,
      ],
      env,
      cwd: directory,
    }));
    const { grpc, http } = await control.ready;
    const endpoint = `${tls === undefined ? "grpc" : "grpcs"}://${grpc}`;
    const worker = new Watched(start("worker", {
      args: [
        `--control=${endpoint}`,
        `--data-dir=${directory}/worker`,
        "--slots=2",
        pages,
        ...(tls === undefined ? [] : [`--tls-ca=${tls.cert}`]),
      ],
      env,
      cwd: directory,
    }));
    const { http: workerHttp } = await worker.ready;
    const parts = { control, worker, endpoint, directory };
    return new ObservedGrid(
      { ...parts, controlPages: `http://${http}`, workerPages: `http://${workerHttp}` },
      options,
    );
  }

  /** Runs `brokk` against it. */
  async brokk(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const { env: shared, tls } = this.#options;
    return await run("cli", {
      args: [args[0], `--endpoint=${this.endpoint}`, ...args.slice(1)],
      env: { ...shared, ...(tls === undefined ? {} : { BROKKR_CLIENT_TLS_CA: tls.cert }), ...env },
      cwd: this.directory,
    });
  }

  /** Ends worker and control, and removes everything. */
  async stop(): Promise<{ readonly codes: readonly number[]; readonly ms: number }> {
    const worker = await this.worker.stop();
    const control = await this.control.stop();
    await Deno.remove(this.directory, { recursive: true });
    return { codes: [worker.code, control.code], ms: worker.ms + control.ms };
  }
}
