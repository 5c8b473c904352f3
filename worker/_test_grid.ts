/**
 * A store and a scripted control over loopback, for the tests of this member.
 *
 * @module
 */

import {
  AsyncQueue,
  BrokkrError,
  Code,
  idTracer,
  type Logger,
  noLog,
  scopeOf,
  type Tracer,
} from "@brokkr/common";
import { type Digest, digestOf, MemoryBlobStore, SHA256, TreeBuilder } from "@brokkr/cas";
import { byteStreamRoutes, casRoutes } from "@brokkr/cas/services";
import {
  type Action,
  ActionCodec,
  type ActionResult,
  ActionResultCodec,
  type Command,
  CommandCodec,
  type ControlMessage,
  type Hello,
  type Init,
  type Lease,
  type LeaseResult,
  type StageUpdate,
  type WorkerMessage,
  Workers,
} from "@brokkr/proto";
import { bidi, createRpcServer, defaultPolicy, type RpcServer } from "@brokkr/proto/rpc/server";
import { Sandbox } from "@brokkr/sandbox";
import { durationOf } from "./metadata.ts";
import { startWorker, type WorkerHandle, type WorkerOptions } from "./worker.ts";

export const encoder = new TextEncoder();
export const decoder = new TextDecoder();

/** How the scripted control behaves. */
export interface TestGridOptions {
  readonly heartbeatMs?: number;
  readonly ttlMs?: number;
  /** Whether results are acknowledged; they are by default. */
  readonly acknowledge?: () => boolean;
}

/** Files by path: content, or `{ symlink }`, or `{ executable }`, or `null` for a directory. */
export type Files = Readonly<
  Record<string, string | Uint8Array | null | { readonly symlink: string } | { readonly executable: string }>
>;

/** What a finished lease left. */
export interface Finished {
  readonly result: LeaseResult;
  readonly action: ActionResult;
}

/** A store and a control. */
export class TestGrid implements AsyncDisposable {
  readonly store: MemoryBlobStore;
  readonly scope = scopeOf("main");
  readonly hellos: Hello[] = [];
  readonly stages: StageUpdate[] = [];
  readonly heartbeats: (readonly string[])[] = [];
  /** How often blobs were asked for. */
  readonly reads = new Map<string, number>();
  /** Calls that the store got, by method. */
  readonly calls = new Map<string, number>();
  readonly acked: string[] = [];
  /** Traces that calls belong to: method and trace id as the caller named it, `""` where it named none. */
  readonly traces: (readonly [method: string, traceId: string])[] = [];
  readonly endpoint: string;
  readonly #server: RpcServer;
  readonly #disposables: AsyncDisposable[];
  readonly #options: TestGridOptions;
  readonly #waiting = new Map<string, (result: LeaseResult) => void>();
  readonly #early = new Map<string, LeaseResult>();
  #out: AsyncQueue<Init<ControlMessage>> | undefined;
  #onHello: ((hello: Hello) => void)[] = [];
  #nextLease = 1;

  private constructor(
    endpoint: string,
    server: RpcServer,
    store: MemoryBlobStore,
    disposables: AsyncDisposable[],
    options: TestGridOptions,
  ) {
    this.endpoint = endpoint;
    this.#server = server;
    this.store = store;
    this.#disposables = disposables;
    this.#options = options;
  }

  static async start(options: TestGridOptions = {}): Promise<TestGrid> {
    const started: { grid?: TestGrid } = {};
    const own = () => {
      if (started.grid === undefined) throw new Error("The grid is not up yet");
      return started.grid;
    };
    const store = new MemoryBlobStore(1 << 30);
    const counting: MemoryBlobStore = new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (name === "uploads") return countingUploads(store.uploads, own);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          const calls = own().calls;
          calls.set(String(name), (calls.get(String(name)) ?? 0) + 1);
          if (name === "get" || name === "read") {
            const { hash } = args[1] as Digest;
            own().reads.set(hash, (own().reads.get(hash) ?? 0) + 1);
          }
          return value.apply(target, args);
        };
      },
    });
    const ids = idTracer();
    const tracer: Tracer = {
      start(name, parent) {
        own().traces.push([name.slice(name.lastIndexOf("/") + 1), parent?.traceId ?? ""]);
        return ids.start(name, parent);
      },
    };
    const byteStream = byteStreamRoutes({ store: counting });
    const server = createRpcServer({
      routes: [
        ...casRoutes({ store: counting }),
        ...byteStream.routes,
        bidi(Workers.connect, "worker", (requests, context) => own().#connect(requests, context.signal)),
      ],
      listen: ["127.0.0.1:0"],
      authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write", "worker"] }),
      tracer,
    });
    const [{ address }] = await server.listen();
    return started.grid = new TestGrid(`grpc://${address}`, server, store, [byteStream, store], options);
  }

  async *#connect(
    requests: AsyncIterable<WorkerMessage>,
    signal: AbortSignal,
  ): AsyncGenerator<Init<ControlMessage>> {
    const out = new AsyncQueue<Init<ControlMessage>>(1000);
    signal.addEventListener("abort", () => out.close(), { once: true });
    void this.#read(requests, out).catch(() => out.close());
    for await (const message of out) yield message;
  }

  async #read(requests: AsyncIterable<WorkerMessage>, out: AsyncQueue<Init<ControlMessage>>): Promise<void> {
    for await (const { hello, heartbeat, stage, result } of requests) {
      if (hello !== undefined) {
        this.hellos.push(hello);
        this.#out = out;
        out.tryPush({
          welcome: {
            protocolVersion: 1,
            heartbeatInterval: durationOf(this.#options.heartbeatMs ?? 100),
            leaseTtl: durationOf(this.#options.ttlMs ?? 60_000),
            bootEpoch: 1,
          },
        });
        for (const tell of this.#onHello.splice(0)) tell(hello);
      } else if (heartbeat !== undefined) this.heartbeats.push(heartbeat.leases);
      else if (stage !== undefined) this.stages.push(stage);
      else if (result !== undefined) this.#result(result, out);
    }
    out.close();
  }

  #result(result: LeaseResult, out: AsyncQueue<Init<ControlMessage>>): void {
    if (this.#options.acknowledge?.() ?? true) {
      this.acked.push(result.leaseId);
      out.tryPush({ resultAck: { leaseId: result.leaseId, accepted: true } });
    }
    const waiting = this.#waiting.get(result.leaseId);
    this.#waiting.delete(result.leaseId);
    if (waiting === undefined) this.#early.set(result.leaseId, result);
    else waiting(result);
  }

  /** The next Hello that comes in. */
  nextHello(): Promise<Hello> {
    return new Promise((resolve) => this.#onHello.push(resolve));
  }

  /** Sends a message to the worker. */
  send(message: Init<ControlMessage>): void {
    this.#out?.tryPush(message);
  }

  /** Ends the worker's stream. */
  breakStream(): void {
    this.#out?.close();
  }

  /** Keeps a blob in the store. */
  async put(data: Uint8Array | string): Promise<Digest> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const digest = digestOf(SHA256, bytes);
    await this.store.put(this.scope, digest, bytes);
    return digest;
  }

  /** Keeps a tree in the store; its root. */
  async tree(files: Files): Promise<Digest> {
    const builder = new TreeBuilder();
    for (const [path, file] of Object.entries(files)) {
      if (file === null) builder.addDirectory(path);
      else if (typeof file === "string" || file instanceof Uint8Array) {
        builder.addFile(path, await this.put(file));
      } else if ("symlink" in file) builder.addSymlink(path, file.symlink);
      else builder.addFile(path, await this.put(file.executable), true);
    }
    const { rootDigest, directories } = builder.build(SHA256);
    for (const { data } of directories) await this.put(data);
    return rootDigest;
  }

  /** Makes a lease. */
  lease(
    command: Init<Command>,
    inputRoot: Digest,
    more: Init<Action> & { readonly timeoutMs?: number } = {},
  ): Lease {
    const { timeoutMs = 30_000, ...action } = more;
    const commandBytes = CommandCodec.encode(command);
    const actionBytes = ActionCodec.encode({
      commandDigest: digestOf(SHA256, commandBytes),
      inputRootDigest: inputRoot,
      ...action,
    });
    return {
      leaseId: `1.${this.#nextLease++}`,
      instanceName: "main",
      digestFunction: 1,
      actionDigest: { hash: digestOf(SHA256, actionBytes).hash, sizeBytes: actionBytes.length },
      action: actionBytes,
      command: commandBytes,
      timeout: durationOf(timeoutMs),
      attempt: 1,
      traceparent: "",
      operation: "",
      requestMetadata: new Uint8Array(),
      queuedFor: durationOf(5),
    };
  }

  /** How a lease ends. */
  finished(leaseId: string): Promise<Finished> {
    const early = this.#early.get(leaseId);
    this.#early.delete(leaseId);
    const result = early !== undefined
      ? Promise.resolve(early)
      : new Promise<LeaseResult>((resolve) => this.#waiting.set(leaseId, resolve));
    return result.then((result) => ({ result, action: ActionResultCodec.decode(result.actionResult) }));
  }

  /** Leases an action to the worker and waits for its end. */
  async run(
    command: Init<Command>,
    files: Files | Digest = {},
    more: Init<Action> & { readonly timeoutMs?: number } = {},
  ): Promise<Finished> {
    const root = "hash" in files && typeof files.hash === "string" && "fn" in files
      ? files as Digest
      : await this.tree(files as Files);
    const lease = this.lease(command, root, more);
    this.send({ lease });
    return await this.finished(lease.leaseId);
  }

  /** A blob as text. */
  async text(digest: { readonly hash: string; readonly sizeBytes: number } | undefined): Promise<string> {
    if (digest === undefined) return "";
    return decoder.decode(await this.bytes(digest));
  }

  /** A blob. */
  bytes(digest: { readonly hash: string; readonly sizeBytes: number }): Promise<Uint8Array> {
    return this.store.get(this.scope, { fn: SHA256, ...digest } as Digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#out?.close();
    await this.#server.shutdown({ graceMs: 100 });
    for (const each of this.#disposables) await each[Symbol.asyncDispose]();
  }
}

/** A worker of a grid, in a directory of its own that is removed at the end. */
export interface TestWorker extends AsyncDisposable {
  readonly handle: WorkerHandle;
  readonly dataDir: string;
}

let sandboxFailure: Promise<string | undefined> | undefined;

/** Why this machine does not allow the sandbox; undefined if it does. */
export function whyNoSandbox(): Promise<string | undefined> {
  const look = async () => {
    const lowersPath = await Deno.makeTempDir({ prefix: "brokkr-probe-" });
    try {
      await using _sandbox = await Sandbox.open({ slots: 1, lowersPath });
      return undefined;
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.FAILED_PRECONDITION) return error.message;
      throw error;
    } finally {
      await Deno.remove(lowersPath, { recursive: true });
    }
  };
  return sandboxFailure ??= look();
}

/** Starts a worker and waits until control has it. With a sandbox where the machine allows it, unless `sandbox` says. */
export async function startTestWorker(
  grid: TestGrid,
  options: Partial<WorkerOptions> & { readonly log?: Logger } = {},
): Promise<TestWorker> {
  const dataDir = options.dataDir ?? await Deno.makeTempDir({ prefix: "brokkr-worker-" });
  const handle = await startWorker({
    control: grid.endpoint,
    id: "w1",
    slots: 4,
    log: noLog,
    sandbox: await whyNoSandbox() === undefined ? {} : false,
    ...options,
    dataDir,
  });
  await handle.ready;
  return {
    handle,
    dataDir,
    async [Symbol.asyncDispose]() {
      await handle.shutdown({ graceMs: 0 });
      if (options.dataDir === undefined) await Deno.remove(dataDir, { recursive: true });
    },
  };
}

/** A shell command. */
export function sh(script: string, more: Init<Command> = {}): Init<Command> {
  return {
    arguments: ["/bin/sh", "-c", script],
    environmentVariables: [{ name: "PATH", value: "/usr/bin:/bin" }],
    ...more,
  };
}

/** Command lines of processes that hold `mark`. */
export function processesNamed(mark: string): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      if (line.includes(mark)) found.push(line.replaceAll("\0", " "));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Waits until a condition holds; what it waits for is another process or the other side of a socket. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const limitMs = 60_000;
  for (const startMs = performance.now(); performance.now() - startMs < limitMs;) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`Waited ${limitMs} ms in vain until ${what}`);
}

/** What single actions have on disk now: input roots, and layers that they write. */
export function leftovers(dataDir: string): string[] {
  return [...Deno.readDirSync(`${dataDir}/work`)].flatMap(({ name }) =>
    [...Deno.readDirSync(`${dataDir}/work/${name}`)].map((entry) => entry.name).filter((entry) =>
      entry === "root" || entry === "layer"
    )
  );
}

/** Counts the streams that begin. */
function countingUploads(
  uploads: MemoryBlobStore["uploads"],
  own: () => TestGrid,
): MemoryBlobStore["uploads"] {
  return {
    keptBytes: (id) => uploads.keptBytes(id),
    begin: (id) => {
      own().calls.set("begin", (own().calls.get("begin") ?? 0) + 1);
      return uploads.begin(id);
    },
    resume: (id, offset, signal) => uploads.resume(id, offset, signal),
    stat: () => uploads.stat(),
  };
}
