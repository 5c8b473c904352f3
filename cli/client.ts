/**
 * A client of a grid: what `brokk`'s commands are written on.
 *
 * @module
 */

import {
  CasClient,
  type CasClientOptions,
  checkInstanceName,
  type Digest,
  type DigestFunction,
  digestFunctionNamed,
  formatDigest,
  makeDigest,
  parseDigestText,
  SHA256,
  type TransferStat,
  type UploadBlob,
} from "@brokkr/cas/client";
import {
  BrokkrError,
  Code,
  invalidArgument,
  randomHex,
  type Span,
  systemRandom,
  type TraceContext,
  type Tracer,
} from "@brokkr/common";
import { parseEndpoint } from "@brokkr/common/units";
import {
  ActionCache,
  type ActionResult,
  Admin,
  type GetActionResponse,
  type GetStatusResponse,
  RequestMetadataCodec,
  type WorkerInfo,
} from "@brokkr/proto";
import type { Channel, ClientTlsOptions, ConnectOptions } from "@brokkr/proto/rpc/client";
import { quickCall, quickCallsWork } from "@brokkr/proto/rpc/quick";
import { buildAction } from "./_action.ts";
import { requireFunction } from "./_digest_function.ts";
import { isDigestText } from "./_digest_text.ts";
import { buildInputs, type BuiltInputs, type Input } from "./_inputs.ts";
import { type BlobSet, type BlobSource, readSource } from "./_local_tree.ts";
import {
  downloadInto,
  type DownloadOptions,
  type DownloadResult,
  type Output,
  outputsOf,
} from "./_outputs.ts";
import { Cache } from "./cache.ts";
import { awakeClock } from "./_clock.ts";
import type { ListOptions, OperationInfo } from "./_operations.ts";
import type { RunOptions, RunResult } from "./run_types.ts";
import type { StoreClient } from "./_store_client.ts";
import { VERSION } from "./version.ts";

/** How a {@linkcode Client} is set up. */
export interface GridOptions {
  /** REAPI instance name; `""` by default. */
  readonly instance?: string;
  /** How long one call may take, in milliseconds; 30 s by default. Executions are not bounded by it. */
  readonly timeoutMs?: number;
  /** Certificates as PEM text, for `grpcs://`. */
  readonly tls?: ClientTlsOptions;
  /** How often a call that found the grid unavailable is tried again; 2 by default. */
  readonly retries?: number;
  /** Name of the tool on whose behalf calls are made, for logs; `brokk` by default. */
  readonly toolName?: string;
  /** Records what runs do here; nothing by default. */
  readonly tracer?: Tracer;
  /** Function of all digests made here, such as `blake3`, which the grid must offer; `sha256` by default. */
  readonly digest?: string;
  /** Whether blobs travel compressed, as {@linkcode CasClientOptions.compression} has it; `off` by default. */
  readonly compression?: "off" | "auto";
  /** Whether large blobs travel by chunks, as {@linkcode CasClientOptions.chunking} has it; `auto` by default. */
  readonly chunking?: "off" | "auto";
}

/** How blobs travel. */
type Transfer = Pick<CasClientOptions, "compression" | "chunking">;

/** What {@linkcode Client.upload} came to. */
export interface UploadResult extends TransferStat {
  /** Digest of the root's Directory. */
  readonly rootDigest: Digest;
}

const NOTHING: TransferStat = { blobs: 0, bytes: 0, sharedBytes: 0, skippedBlobs: 0, skippedBytes: 0 };

/** Named by variables: what a literal names Deno reads before anything runs, and a cached run has no time for that. */
const RPC_CLIENT = "@brokkr/proto/rpc/client" as string;
const EXECUTION = "./_execution.ts" as string;
const OPERATIONS = "./_operations.ts" as string;
const STORE_CLIENT = "./_store_client.ts" as string;

async function loadRpcClient(): Promise<typeof import("@brokkr/proto/rpc/client")> {
  return await import(RPC_CLIENT);
}

async function loadOperations(): Promise<typeof import("./_operations.ts")> {
  return await import(OPERATIONS);
}

interface Opened {
  readonly channel: Channel;
  /** The store by the client's function. */
  readonly cas: CasClient;
  /** The store by another function. */
  readonly casOf: (fn: DigestFunction) => CasClient;
}

/** A connection to a grid. Made by {@linkcode connectGrid}; connects when it is first used. */
export class Client implements AsyncDisposable {
  /** Where it goes, such as `grpc://127.0.0.1:8980`. */
  readonly endpoint: string;
  /** Blobs of the grid's store. */
  readonly cache: Cache;
  readonly #fn: DigestFunction;
  readonly #instance: string;
  readonly #connect: ConnectOptions & { readonly clientMetadataBytes: Uint8Array<ArrayBuffer> };
  readonly #tracer: Tracer | undefined;
  readonly #transfer: Transfer;
  #opened: Promise<Opened> | undefined;
  #closed = false;

  /** @internal */
  constructor(
    endpoint: string,
    instance: string,
    options: ConnectOptions & { readonly clientMetadataBytes: Uint8Array<ArrayBuffer> },
    tracer?: Tracer,
    transfer: Transfer = {},
    fn: DigestFunction = SHA256,
  ) {
    this.endpoint = endpoint;
    this.#fn = fn;
    this.#transfer = transfer;
    this.#instance = instance;
    this.#connect = options;
    this.#tracer = tracer;
    this.cache = new Cache(fn, async (asked) => (await this.#open()).casOf(asked));
  }

  /** The RPC layer is loaded when it is needed: a cached run does without. */
  #open(): Promise<Opened> {
    if (this.#closed) throw new BrokkrError(Code.CANCELLED, `The client of ${this.endpoint} was closed`);
    return this.#opened ??= loadRpcClient().then(({ connect }) => {
      const channel = connect(this.endpoint, this.#connect);
      const clients = new Map<DigestFunction, CasClient>();
      const casOf = (fn: DigestFunction) => {
        let cas = clients.get(fn);
        if (cas === undefined) clients.set(fn, cas = this.#makeCas(channel, fn));
        return cas;
      };
      return { channel, cas: casOf(this.#fn), casOf };
    });
  }

  #makeCas(channel: Channel, fn: DigestFunction): CasClient {
    return new CasClient({
      channel,
      instance: this.#instance,
      fn,
      random: systemRandom,
      clock: awakeClock,
      ...this.#transfer,
    });
  }

  /**
   * A digest as a person writes it, `hash/size` or `fn:hash/size`; without a function it is the client's own, if its
   * hashes are as long.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when it is not of that form.
   */
  digest(text: string): Digest {
    return parseDigestText(text, this.#fn);
  }

  /** What the action cache holds for an action. */
  async #cached(
    actionDigest: Digest,
    signal: AbortSignal | undefined,
    trace: TraceContext | undefined,
  ): Promise<ActionResult | undefined> {
    if (this.#opened === undefined && quickCallsWork(this.endpoint)) {
      const answer = await quickCall(this.endpoint, ActionCache.getActionResult, {
        instanceName: this.#instance,
        actionDigest,
        digestFunction: actionDigest.fn.value,
        inlineStdout: true,
        inlineStderr: true,
      }, { signal, trace, clientMetadataBytes: this.#connect.clientMetadataBytes });
      if (answer.kind !== "unclear") return answer.kind === "response" ? answer.response : undefined;
    }
    const { cas } = await this.#open();
    await requireFunction(cas);
    return await cas.getActionResult(actionDigest, { signal, trace, inline: true });
  }

  /**
   * Runs a command on the grid, or answers from its cache, and gives what came of it.
   *
   * The command finds `inputs` in an otherwise empty directory. A non-zero exit code is no error here. A run that timed
   * out has `error` set and what the command wrote until then.
   *
   * @throws {BrokkrError} when the command could not be run: INVALID_ARGUMENT, UNAVAILABLE, CANCELLED and others.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { connectGrid } from "@brokkr/cli";
   * import { startGrid } from "@brokkr/cli/up";
   *
   * await using grid = await startGrid();
   * await using client = connectGrid(grid.endpoint);
   * const result = await client.run({
   *   argv: ["/bin/sh", "-c", "cat name.txt; echo made > out.txt"],
   *   inputs: [{ path: "name.txt", content: "Brokkr" }],
   *   outputs: ["out.txt"],
   * });
   * assertEquals(result.exitCode, 0);
   * assertEquals(new TextDecoder().decode(result.stdout), "Brokkr");
   * assertEquals(result.outputs.map((output) => output.path), ["out.txt"]);
   * ```
   */
  async run(options: RunOptions): Promise<RunResult> {
    using span = this.#tracer?.start("run", options.trace);
    try {
      const result = await this.#run(options, span);
      span?.set("brokkr.action", formatDigest(result.actionDigest));
      span?.set("brokkr.cache_hit", result.cacheHit);
      span?.set("process.exit.code", result.exitCode);
      if (result.operationName !== "") span?.set("brokkr.operation", result.operationName);
      if (result.error !== undefined) span?.fail(result.error);
      return result;
    } catch (error) {
      span?.fail(error);
      throw error;
    }
  }

  /** Does a part of a run as a span of its own, if there are spans. */
  async #step<T>(
    name: string,
    parent: Span | undefined,
    { trace }: RunOptions,
    work: (trace: TraceContext | undefined) => Promise<T>,
  ): Promise<T> {
    if (parent === undefined) return await work(trace);
    using span = this.#tracer?.start(name, parent.context);
    try {
      return await work(span?.context);
    } catch (error) {
      span?.fail(error);
      throw error;
    }
  }

  async #run(options: RunOptions, span: Span | undefined): Promise<RunResult> {
    const { signal, noCache = false } = options;
    const clock = new Stopwatch();
    const step = <T>(name: string, work: (trace: TraceContext | undefined) => Promise<T>) =>
      this.#step(name, span, options, work);
    const built = await step("build inputs", () => buildInputs(options.inputs ?? [], this.#fn, signal));
    const { actionDigest } = buildAction(options, built.rootDigest, this.#fn, built.blobs);
    const buildMs = clock.lap();
    const cached = noCache
      ? undefined
      : await step("ask cache", (trace) => this.#cached(actionDigest, signal, trace));
    const cacheMs = clock.lap();
    const streamsOf = (result: ActionResult) =>
      step("fetch streams", (trace) => this.#streams(result, signal, trace));
    // A failure can only have been brought by a client; whether it still fails is worth finding out.
    if (cached?.exitCode === 0) {
      const streams = await streamsOf(cached);
      const timings = { buildMs, cacheMs, uploadMs: 0, executeMs: 0, fetchMs: clock.lap() };
      return { ...describe(cached, actionDigest), ...streams, ...CACHED, timings };
    }
    const uploaded = await step(
      "upload inputs",
      (trace) => this.#uploadBlobs(built.blobs.sources(), { ...options, trace }),
    );
    const uploadMs = clock.lap();
    const { operationName, response, error } = await step(
      "execute",
      (trace) => this.#execute({ ...options, trace }, actionDigest, built.blobs),
    );
    const executeMs = clock.lap();
    const result = response.result;
    if (result === undefined) {
      throw error ?? new BrokkrError(Code.INTERNAL, `Operation ${operationName} ended without a result`);
    }
    const streams = await streamsOf(result);
    return {
      ...describe(result, actionDigest),
      ...streams,
      cacheHit: response.cachedResult,
      operationName,
      error,
      message: response.message,
      uploaded,
      timings: { buildMs, cacheMs, uploadMs, executeMs, fetchMs: clock.lap() },
    };
  }

  async #execute(options: RunOptions, actionDigest: Digest, blobs: BlobSet) {
    const { channel, cas } = await this.#open();
    const { runToEnd, statusOf }: typeof import("./_execution.ts") = await import(EXECUTION);
    const end = await runToEnd({
      channel,
      instance: this.#instance,
      clock: awakeClock,
      random: systemRandom,
    }, {
      actionDigest,
      skipCacheLookup: options.noCache ?? false,
      call: { signal: options.signal, trace: options.trace },
      onStage: options.onStage,
      onResume: options.onResume,
      uploadMissing: async (subjects) => {
        const wanted = blobs.sources().filter(({ digest }) =>
          subjects.some((subject) => subject.endsWith(`/${digest.hash}/${digest.sizeBytes}`))
        );
        await cas.uploadKnownMissing(wanted.map(asUpload), { signal: options.signal, trace: options.trace });
        return wanted.length > 0;
      },
    });
    return { ...end, error: statusOf(end.response) };
  }

  /** Output and error of a command: from the result where they are small, else from the store. */
  async #streams(
    result: ActionResult,
    signal: AbortSignal | undefined,
    trace: TraceContext | undefined,
  ): Promise<{ readonly stdout: Uint8Array; readonly stderr: Uint8Array }> {
    const read = async (raw: Uint8Array, message: ActionResult["stdoutDigest"]) => {
      if (raw.length > 0 || message === undefined || message.sizeBytes === 0) return raw;
      const { cas } = await this.#open();
      return await cas.get(makeDigest(this.#fn, message.hash, message.sizeBytes), { signal, trace });
    };
    const [stdout, stderr] = await Promise.all([
      read(result.stdoutRaw, result.stdoutDigest),
      read(result.stderrRaw, result.stderrDigest),
    ]);
    return { stdout, stderr };
  }

  /**
   * Builds the Merkle tree of inputs and uploads what the grid lacks of it.
   *
   * @throws {BrokkrError} NOT_FOUND for a path that does not exist, INVALID_ARGUMENT for names that cannot be.
   */
  async upload(
    inputs: readonly Input[],
    options: { readonly signal?: AbortSignal; readonly onUpload?: RunOptions["onUpload"] } = {},
  ): Promise<UploadResult> {
    const built: BuiltInputs = await buildInputs(inputs, this.#fn, options.signal);
    const stat = await this.#uploadBlobs(built.blobs.sources(), options);
    return { ...stat, rootDigest: built.rootDigest };
  }

  async #uploadBlobs(
    sources: readonly BlobSource[],
    options: Pick<RunOptions, "signal" | "onUpload" | "trace">,
  ): Promise<TransferStat> {
    const { cas } = await this.#open();
    await requireFunction(cas);
    return await cas.upload(sources.map(asUpload), {
      signal: options.signal,
      trace: options.trace,
      onProgress: options.onUpload,
    });
  }

  /**
   * Fetches outputs of a run into a directory of this machine. Everything is verified before anything shows, files are
   * replaced by renaming, and nothing is written outside of `destination`.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION naming blobs that the grid lost, or what is in the way here.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { connectGrid } from "@brokkr/cli";
   * import { startGrid } from "@brokkr/cli/up";
   *
   * await using grid = await startGrid();
   * await using client = connectGrid(grid.endpoint);
   * const { outputs } = await client.run({ argv: ["/bin/sh", "-c", "echo hi > a; ln -s a b"], outputs: ["a", "b"] });
   * const destination = await Deno.makeTempDir();
   * await client.download(outputs, destination);
   * assertEquals(await Deno.readTextFile(`${destination}/b`), "hi\n");
   * await Deno.remove(destination, { recursive: true });
   * ```
   */
  async download(
    outputs: readonly Output[],
    destination: string,
    options: DownloadOptions = {},
  ): Promise<DownloadResult> {
    const { cas } = await this.#open();
    return await downloadInto(destination, outputs, cas, systemRandom, options);
  }

  /**
   * What the grid remembers of an action, by its digest (`hash/size` or `fn:hash/size`) or by the name of an operation.
   *
   * @throws {BrokkrError} NOT_FOUND when it knows nothing of it.
   */
  async actionShow(reference: string): Promise<GetActionResponse> {
    const digest = isDigestText(reference) ? this.digest(reference) : undefined;
    const { channel } = await this.#open();
    return await channel.unary(Admin.getAction, {
      instanceName: this.#instance,
      actionDigest: digest,
      digestFunction: digest?.fn.value ?? 0,
      operationName: digest === undefined ? reference : "",
    });
  }

  /**
   * Operations that are under way or ended lately, newest first: those of the client's instance, or of all instances
   * when it has none.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT for a filter that cannot be read.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { connectGrid } from "@brokkr/cli";
   * import { startGrid } from "@brokkr/cli/up";
   *
   * await using grid = await startGrid();
   * await using client = connectGrid(grid.endpoint);
   * const { operationName } = await client.run({ argv: ["/bin/true"] });
   * const operations = await client.operations({ filter: "stage=completed AND status=ok" });
   * assertEquals(operations.map(({ name, exitCode }) => [name, exitCode]), [[operationName, 0]]);
   * ```
   */
  async operations(options: ListOptions = {}): Promise<readonly OperationInfo[]> {
    const { channel } = await this.#open();
    return await (await loadOperations()).listOperations(channel, this.#instance, options);
  }

  /**
   * One operation.
   *
   * @throws {BrokkrError} NOT_FOUND when the grid does not know it.
   */
  async operation(name: string): Promise<OperationInfo> {
    const { channel } = await this.#open();
    return await (await loadOperations()).getOperation(channel, name);
  }

  /**
   * Cancels an operation for all who wait for it, and tells what it came to; one that has ended stays as it is.
   *
   * @throws {BrokkrError} NOT_FOUND when the grid does not know it.
   */
  async cancelOperation(name: string): Promise<OperationInfo> {
    const { channel } = await this.#open();
    return await (await loadOperations()).cancelOperation(channel, name);
  }

  /** Every worker that is connected, or was within its lease time. */
  async workers(): Promise<readonly WorkerInfo[]> {
    const { channel } = await this.#open();
    return (await channel.unary(Admin.listWorkers, {})).workers;
  }

  /**
   * Gives a worker no more leases, until {@linkcode Client.resumeWorker}; with `end` its process ends, too, when it has
   * nothing left to do. Tells how many leases it still has.
   *
   * @throws {BrokkrError} NOT_FOUND for a worker that is not listed.
   */
  async drainWorker(
    workerId: string,
    options: { readonly reason?: string; readonly end?: boolean } = {},
  ): Promise<number> {
    const { channel } = await this.#open();
    const { reason = "", end = false } = options;
    return (await channel.unary(Admin.drainWorker, { workerId, reason, end })).leases;
  }

  /**
   * Gives a drained worker leases again.
   *
   * @throws {BrokkrError} NOT_FOUND for a worker that is neither listed nor drained.
   */
  async resumeWorker(workerId: string): Promise<void> {
    const { channel } = await this.#open();
    await channel.unary(Admin.resumeWorker, { workerId });
  }

  /** The grid's store as its operator uses it: usage, verification, pins, archives. */
  async store(): Promise<StoreClient> {
    const { channel, cas, casOf } = await this.#open();
    const { StoreClient }: typeof import("./_store_client.ts") = await import(STORE_CLIENT);
    return new StoreClient(channel, cas, casOf);
  }

  /** The grid in one look. */
  async status(): Promise<GetStatusResponse> {
    const { channel } = await this.#open();
    return await channel.unary(Admin.getStatus, {});
  }

  /** Ends what is under way and closes the connection. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#opened === undefined) return;
    const { channel } = await this.#opened;
    await channel.close();
  }

  /** Same as {@linkcode Client.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const CACHED = { cacheHit: true, operationName: "", error: undefined, message: "", uploaded: NOTHING };

function describe(result: ActionResult, actionDigest: Digest) {
  return {
    exitCode: result.exitCode,
    outputs: outputsOf(result, actionDigest.fn.value),
    actionDigest,
    metadata: result.executionMetadata,
  };
}

function asUpload(source: BlobSource): UploadBlob {
  return { digest: source.digest, data: source.data ?? (() => readSource(source)) };
}

class Stopwatch {
  #since = performance.now();

  /** Milliseconds since the last lap. */
  lap(): number {
    const now = performance.now();
    const elapsed = now - this.#since;
    this.#since = now;
    return elapsed;
  }
}

/**
 * A client of the grid at `endpoint`, such as `grpc://127.0.0.1:8980`. It connects when it is first used.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT for a malformed endpoint or instance name, or an unknown digest function.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connectGrid } from "@brokkr/cli";
 * import { startGrid } from "@brokkr/cli/up";
 *
 * await using grid = await startGrid();
 * await using client = connectGrid(grid.endpoint);
 * const command = { argv: ["/bin/echo", "hello world"] };
 * assertEquals((await client.run(command)).cacheHit, false);
 * assertEquals((await client.run(command)).cacheHit, true);
 * ```
 */
export function connectGrid(endpoint: string, options: GridOptions = {}): Client {
  const parsed = parseEndpoint(endpoint);
  if (parsed.error !== undefined) {
    throw invalidArgument("", `Endpoint ${JSON.stringify(endpoint)} ${parsed.error}`);
  }
  const { instance = "" } = options;
  checkInstanceName(instance);
  return new Client(
    parsed.value,
    instance,
    {
      defaultTimeoutMs: options.timeoutMs ?? 30_000,
      retry: { retries: options.retries ?? 2 },
      tls: options.tls,
      clock: awakeClock,
      clientMetadataBytes: new Uint8Array(RequestMetadataCodec.encode({
        toolDetails: { toolName: options.toolName ?? "brokk", toolVersion: VERSION },
        toolInvocationId: randomHex(systemRandom, 16),
      })),
    },
    options.tracer,
    { compression: options.compression, chunking: options.chunking },
    options.digest === undefined ? SHA256 : digestFunctionNamed(options.digest),
  );
}
