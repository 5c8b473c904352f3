/**
 * A control plane over loopback, a worker that does what a test tells it, and a client, for the tests of this member.
 *
 * @module
 */

import { connect } from "@brokkr/proto/rpc/client";
import { CasClient, type Digest, digestOf, SHA256 } from "@brokkr/cas/client";
import { AsyncQueue, systemRandom } from "@brokkr/common";
import {
  type Action,
  ActionCodec,
  type ActionResult,
  ActionResultCodec,
  type Command,
  CommandCodec,
  type ControlMessage,
  type ExecuteOperationMetadata,
  ExecuteOperationMetadataCodec,
  type ExecuteRequest,
  type ExecuteResponse,
  ExecuteResponseCodec,
  Execution,
  ExecutionStage,
  type Hello,
  type Init,
  type Lease,
  type LeaseResult,
  LeaseResult_Outcome,
  type Operation,
  StageUpdate_Stage,
  type Welcome,
  type WorkerMessage,
  Workers,
} from "@brokkr/proto";
import type { BidiCall, Channel } from "@brokkr/proto/rpc";
import { startControl } from "./control.ts";
import type { ControlHandle, ControlOptions } from "./control_options.ts";

export const encoder = new TextEncoder();
const EMPTY = digestOf(SHA256, new Uint8Array());
export const INSTANCE = "main";

export function wire(digest: Digest): { hash: string; sizeBytes: number } {
  return { hash: digest.hash, sizeBytes: digest.sizeBytes };
}

/** A control plane with a client; all in memory unless told otherwise. */
export class TestGrid implements AsyncDisposable {
  readonly control: ControlHandle;
  readonly channel: Channel;
  readonly cas: CasClient;
  readonly #workers: FakeWorker[] = [];

  private constructor(control: ControlHandle, channel: Channel) {
    this.control = control;
    this.channel = channel;
    this.cas = new CasClient({ channel, instance: INSTANCE, fn: SHA256, random: systemRandom });
  }

  static async start(options: Partial<ControlOptions> = {}): Promise<TestGrid> {
    const control = await startControl({ dataDir: undefined, listen: "127.0.0.1:0", ...options });
    return new TestGrid(control, connect(control.grpcEndpoint, { retry: { retries: 0 } }));
  }

  /** Uploads a blob. */
  async put(data: Uint8Array): Promise<Digest> {
    const digest = digestOf(SHA256, data);
    await this.cas.upload([{ digest, data }]);
    return digest;
  }

  /** Uploads an action that runs `argument`, and what it needs. */
  async action(command: Init<Command> | string, action: Init<Action> = {}): Promise<Digest> {
    const sound = typeof command === "string" ? { arguments: [command] } : command;
    const commandDigest = wire(await this.put(CommandCodec.encode(sound)));
    return await this.put(ActionCodec.encode({ commandDigest, inputRootDigest: wire(EMPTY), ...action }));
  }

  /** Follows an execution; `stages` fills as it goes. */
  execute(actionDigest: Digest, request: Init<ExecuteRequest> = {}): Followed {
    const abort = new AbortController();
    const stream = this.channel.serverStream(Execution.execute, {
      instanceName: INSTANCE,
      actionDigest: wire(actionDigest),
      ...request,
    }, { signal: abort.signal });
    return new Followed(stream, abort);
  }

  /** Joins an operation. */
  wait(name: string): Followed {
    const abort = new AbortController();
    return new Followed(
      this.channel.serverStream(Execution.waitExecution, { name }, { signal: abort.signal }),
      abort,
    );
  }

  /** Connects a worker. */
  async worker(hello: Init<Hello> = {}): Promise<FakeWorker> {
    const worker = new FakeWorker(this.channel.bidi(Workers.connect));
    this.#workers.push(worker);
    await worker.hello(hello);
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) worker.cancel();
    await this.channel.close();
    await this.control[Symbol.asyncDispose]();
  }
}

/** What a client sees of one operation. */
export class Followed {
  readonly stages: string[] = [];
  name = "";
  readonly #abort: AbortController;
  readonly #end: Promise<{ readonly operation: Operation; readonly response: ExecuteResponse }>;
  readonly #waiters = new Set<() => void>();

  constructor(stream: AsyncIterable<Operation>, abort: AbortController) {
    this.#abort = abort;
    this.#end = this.#follow(stream);
    this.#end.catch(() => {});
  }

  /** How it ended. */
  get end(): Promise<{ readonly operation: Operation; readonly response: ExecuteResponse }> {
    return this.#end;
  }

  /** The response. */
  async response(): Promise<ExecuteResponse> {
    return (await this.#end).response;
  }

  /** Resolves when the stage was seen; rejects when the stream ends before. */
  async until(stage: keyof typeof ExecutionStage): Promise<void> {
    while (!this.stages.includes(stage)) {
      const change = new Promise<void>((resolve) => this.#waiters.add(resolve));
      await Promise.race([change, this.#end]);
    }
  }

  /** Breaks the stream. */
  break(): void {
    this.#abort.abort();
  }

  async #follow(stream: AsyncIterable<Operation>) {
    for await (const operation of stream) {
      this.name = operation.name;
      const { stage } = metadataOf(operation);
      this.stages.push(Object.entries(ExecutionStage).find(([, value]) => value === stage)?.[0] ?? "?");
      for (const wake of this.#waiters) wake();
      this.#waiters.clear();
      if (operation.done) {
        return {
          operation,
          response: ExecuteResponseCodec.decode(operation.response?.value ?? new Uint8Array()),
        };
      }
    }
    throw new Error("The stream ended before the operation was done");
  }
}

export function metadataOf(operation: Operation): ExecuteOperationMetadata {
  return ExecuteOperationMetadataCodec.decode(operation.metadata?.value ?? new Uint8Array());
}

/** A worker that speaks the protocol and leaves the rest to the test. */
export class FakeWorker {
  readonly #call: BidiCall<Init<WorkerMessage>, ControlMessage>;
  /** Leases apart from the rest: a lease may come before the acknowledgement of the one before it. */
  readonly #leases = new AsyncQueue<Lease>(1000);
  readonly #others = new AsyncQueue<ControlMessage>(1000);
  readonly #nextLease: AsyncIterator<Lease>;
  readonly #nextOther: AsyncIterator<ControlMessage>;
  /** How the stream ended. */
  readonly ended: Promise<unknown>;
  welcome: Welcome | undefined;

  constructor(call: BidiCall<Init<WorkerMessage>, ControlMessage>) {
    this.#call = call;
    this.#nextLease = this.#leases[Symbol.asyncIterator]();
    this.#nextOther = this.#others[Symbol.asyncIterator]();
    this.ended = this.#receive();
  }

  async hello(hello: Init<Hello>): Promise<void> {
    await this.send({
      hello: {
        protocolVersion: 1,
        minProtocolVersion: 1,
        workerId: "w1",
        slots: 1,
        environment: "test-1",
        platform: { properties: [{ name: "OSFamily", value: "linux" }] },
        ...hello,
      },
    });
    const { welcome } = await this.next();
    if (welcome === undefined) throw new Error("Welcome must come first");
    this.welcome = welcome;
  }

  async send(message: Init<WorkerMessage>): Promise<void> {
    await this.#call.send(message);
  }

  /** What control sends next, leases apart. */
  async next(): Promise<ControlMessage> {
    const next = await this.#nextOther.next();
    if (next.done) throw new Error("Control ended the stream");
    return next.value;
  }

  /** The next lease. */
  async lease(): Promise<Lease> {
    const next = await this.#nextLease.next();
    if (next.done) throw new Error("Control ended the stream");
    return next.value;
  }

  async begin(lease: Lease): Promise<void> {
    await this.send({ stage: { leaseId: lease.leaseId, stage: StageUpdate_Stage.EXECUTING } });
  }

  async beat(...leases: readonly string[]): Promise<void> {
    await this.send({ heartbeat: { sequence: 1, leases, load: { slotsUsed: leases.length } } });
  }

  /** Hands in a result. */
  async finish(
    lease: Lease,
    actionResult: Init<ActionResult> = {},
    more: Init<LeaseResult> = {},
  ): Promise<void> {
    await this.send({
      result: {
        leaseId: lease.leaseId,
        outcome: LeaseResult_Outcome.COMPLETED,
        actionResult: ActionResultCodec.encode(actionResult),
        ...more,
      },
    });
  }

  /** Takes a lease, begins it, hands in the result and waits for the acknowledgement. */
  async run(actionResult: Init<ActionResult> = {}, more: Init<LeaseResult> = {}): Promise<Lease> {
    const lease = await this.lease();
    await this.begin(lease);
    await this.finish(lease, actionResult, more);
    const { resultAck } = await this.next();
    if (resultAck?.leaseId !== lease.leaseId) throw new Error("The result's acknowledgement was expected");
    return lease;
  }

  cancel(): void {
    this.#call.cancel();
  }

  async #receive(): Promise<unknown> {
    try {
      for await (const message of this.#call.responses) {
        if (message.lease === undefined) this.#others.tryPush(message);
        else this.#leases.tryPush(message.lease);
      }
      return undefined;
    } catch (error) {
      return error;
    } finally {
      this.#leases.close();
      this.#others.close();
    }
  }
}
