/**
 * Workers: the stream of each worker, from Hello to its end.
 *
 * @module
 */

import {
  asBrokkrError,
  AsyncQueue,
  BrokkrError,
  type Clock,
  Code,
  invalidArgument,
  type Logger,
  type WorkerId,
} from "@brokkr/common";
import { isSandboxProperty, type SandboxGrant } from "@brokkr/common/sandbox_properties";
import {
  BytesCodec,
  type ControlMessage,
  ControlMessageCodec,
  type Hello,
  type Init,
  type LeaseResult,
  LeaseResult_Outcome,
  type Method,
  type WorkerMessage,
  Workers,
} from "@brokkr/proto";
import { bidi, type CallContext, type Route } from "@brokkr/proto/rpc/server";
import type { Grid } from "./grid.ts";
import type { SandboxRule } from "./_sandbox_rule.ts";
import type { ResultOutcome, WorkerSpec } from "./scheduler/mod.ts";
import { durationOf } from "./_times.ts";

/** Versions of the protocol that control speaks. */
export const PROTOCOL_VERSIONS = { oldest: 1, newest: 1 } as const;
/** Optional behaviours that control offers; none yet. */
const FEATURES: readonly string[] = [];

/** What the Workers service is made of. */
export interface WorkersOptions {
  readonly grid: Grid;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sandboxRule: SandboxRule;
  readonly epoch: number;
  readonly leaseTtlMs: number;
  readonly heartbeatIntervalMs: number;
  /** A worker came with this Hello. */
  readonly onHello: (hello: Hello) => void;
}

const HELLO_TIMEOUT_MS = 10_000;
const MAX_NAME_LENGTH = 200;
const MAX_REASON_LENGTH = 1000;
const MAX_SLOTS = 4096;
const MAX_PROPERTIES = 1024;
const MAX_PROPERTY_LENGTH = 4096;
const MAX_GRANTED_WORDS = 64;
/** Leases a worker may name beside those that fill its slots: results that wait for their acknowledgement. */
const MAX_EXTRA_LEASES = 4096;
/** Messages that wait for a worker to take them, beside a lease for each slot. */
const MAX_WAITING_MESSAGES = 8192;

const RawConnect: Method<WorkerMessage, Uint8Array, Init<WorkerMessage>, Uint8Array> = {
  ...Workers.connect,
  response: BytesCodec,
};

/** Speaks with workers. */
export class WorkersService {
  readonly #options: WorkersOptions;

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  /** Its route. */
  routes(): Route[] {
    return [
      bidi(RawConnect, "worker", (requests, context) => this.#connect(requests, context)),
    ];
  }

  async *#connect(
    requests: AsyncIterable<WorkerMessage>,
    context: CallContext,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const incoming = requests[Symbol.asyncIterator]();
    const hello = await this.#hello(incoming, context.signal);
    const spec = checkHello(hello);
    this.#options.sandboxRule.check(spec.id, spec.environment);
    const outbox = new AsyncQueue<Uint8Array>(MAX_WAITING_MESSAGES + spec.slots);
    const abort = () => outbox.close(asBrokkrError(context.signal.reason, Code.CANCELLED));
    context.signal.addEventListener("abort", abort, { once: true });
    const { grid, log } = this.#options;
    const session = grid.openSession({
      send: (message) => outbox.tryPush(message),
      close: (error) => outbox.close(error),
    });
    try {
      outbox.tryPush(ControlMessageCodec.encode({ welcome: this.#welcome() }));
      log.info("Worker connected", {
        worker: spec.id,
        slots: spec.slots,
        environment: spec.environment,
        live: hello.liveLeases.length,
        peer: context.peer,
      });
      const { liveLeases, leaving } = hello;
      grid.post({ type: "connect", session, worker: spec, liveLeases, leaving });
      this.#options.onHello(hello);
      void this.#receive(incoming, session, spec).then(() => outbox.close(), (error) => outbox.close(error));
      for await (const message of outbox) yield message;
    } finally {
      context.signal.removeEventListener("abort", abort);
      outbox.close();
      grid.closeSession(session, spec.id);
      log.info("Worker disconnected", { worker: spec.id });
    }
  }

  /** The first message, which must come soon and be Hello. */
  async #hello(incoming: AsyncIterator<WorkerMessage>, signal: AbortSignal): Promise<Hello> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const fail = () => reject(asBrokkrError(signal.reason, Code.CANCELLED));
    signal.addEventListener("abort", fail, { once: true });
    using _timer = this.#options.clock.setTimer(HELLO_TIMEOUT_MS, () => {
      reject(
        new BrokkrError(
          Code.DEADLINE_EXCEEDED,
          `No Hello came within ${HELLO_TIMEOUT_MS / 1000} seconds; a worker begins with it`,
        ),
      );
    });
    try {
      const first = await Promise.race([incoming.next(), late]);
      const hello = first.done ? undefined : first.value.hello;
      if (hello === undefined) {
        throw invalidArgument("message", "The first message of a worker must be Hello");
      }
      return hello;
    } finally {
      signal.removeEventListener("abort", fail);
    }
  }

  #welcome(): Init<ControlMessage["welcome"]> {
    const { heartbeatIntervalMs, leaseTtlMs, epoch } = this.#options;
    return {
      protocolVersion: PROTOCOL_VERSIONS.newest,
      features: FEATURES,
      heartbeatInterval: durationOf(heartbeatIntervalMs),
      leaseTtl: durationOf(leaseTtlMs),
      bootEpoch: epoch,
    };
  }

  async #receive(incoming: AsyncIterator<WorkerMessage>, session: number, spec: WorkerSpec): Promise<void> {
    const { grid, log } = this.#options;
    const { id: worker } = spec;
    for (let next = await incoming.next(); !next.done; next = await incoming.next()) {
      const { heartbeat, stage, result, hello, goodbye } = next.value;
      if (heartbeat !== undefined) {
        if (heartbeat.leases.length > spec.slots + MAX_EXTRA_LEASES) {
          throw tooManyLeases("heartbeat.leases", heartbeat.leases.length, spec.slots);
        }
        if (heartbeat.load !== undefined) grid.setLoad(session, worker, heartbeat.load);
        grid.post({ type: "heartbeat", session, worker, leases: heartbeat.leases });
      } else if (stage !== undefined) {
        grid.post({ type: "stage", session, worker, leaseId: stage.leaseId });
      } else if (result !== undefined) {
        grid.post({
          type: "result",
          session,
          worker,
          leaseId: result.leaseId,
          outcome: outcomeOf(result),
          why: why(result),
          result,
        });
      } else if (goodbye !== undefined) {
        log.info("A worker is about to end", { worker, reason: goodbye.reason.slice(0, MAX_REASON_LENGTH) });
        grid.post({ type: "goodbye", session, worker });
      } else if (hello !== undefined) {
        throw invalidArgument("hello", "Hello comes once, as the first message of a stream");
      }
      // Anything else is of a newer protocol and not for us.
    }
  }
}

const OUTCOMES: Readonly<Record<number, ResultOutcome>> = {
  [LeaseResult_Outcome.COMPLETED]: "completed",
  [LeaseResult_Outcome.FAILED]: "failed",
  [LeaseResult_Outcome.WORKER_FAULT]: "fault",
  [LeaseResult_Outcome.CANCELLED]: "cancelled",
};

/**
 * An outcome that we do not know says that the worker could not do what we understand. A fault that is UNAVAILABLE will
 * pass: the worker drains, its slots are full, or the store cannot be reached. One that is RESOURCE_EXHAUSTED, such as a
 * full disk, may be of the action's own making, and does not pass soon.
 */
function outcomeOf({ outcome, status }: LeaseResult): ResultOutcome {
  const passing = status?.code === Code.UNAVAILABLE;
  if (outcome === LeaseResult_Outcome.WORKER_FAULT && passing) return "declined";
  return OUTCOMES[outcome] ?? "fault";
}

function why({ status, message, outcome }: LeaseResult): string {
  if (OUTCOMES[outcome] === undefined) return `it sent the unknown outcome ${outcome}`;
  if (outcome === LeaseResult_Outcome.CANCELLED) return "it cancelled the action unasked";
  return (status?.message || message || "it did not say why").slice(0, MAX_REASON_LENGTH);
}

/** What the scheduler is to know of a worker, if its Hello is sound. */
function checkHello(hello: Hello): WorkerSpec {
  checkVersion(hello);
  checkName("hello.worker_id", hello.workerId);
  checkName("hello.environment", hello.environment);
  const { slots, platform, liveLeases } = hello;
  if (slots < 1 || slots > MAX_SLOTS) {
    throw invalidArgument("hello.slots", `A worker has between 1 and ${MAX_SLOTS} slots, not ${slots}`);
  }
  const properties = platform?.properties ?? [];
  if (properties.length > MAX_PROPERTIES) {
    throw invalidArgument("hello.platform", `A worker may have at most ${MAX_PROPERTIES} properties`);
  }
  for (const { name, value } of properties) {
    if (name !== "" && name.length <= MAX_PROPERTY_LENGTH && value.length <= MAX_PROPERTY_LENGTH) continue;
    throw invalidArgument(
      "hello.platform",
      `A property needs a name, and both may have at most ${MAX_PROPERTY_LENGTH} characters`,
    );
  }
  if (liveLeases.length > slots + MAX_EXTRA_LEASES) {
    throw tooManyLeases("hello.live_leases", liveLeases.length, slots);
  }
  const id = hello.workerId as WorkerId;
  const grants = checkGrants(hello.sandboxGrants);
  return { id, slots, platform: properties, grants, environment: hello.environment };
}

/** Grants of properties that are not known here are of a newer worker: nobody can ask for them by what they mean. */
function checkGrants(grants: readonly SandboxGrant[]): readonly SandboxGrant[] {
  const known = grants.filter(({ name }) => isSandboxProperty(name));
  for (const { name, words, most } of known) {
    const sound = words.length <= MAX_GRANTED_WORDS && words.every((word) =>
      word.length <= MAX_NAME_LENGTH
    ) &&
      most >= 0 && (words.length > 0) !== (most > 0);
    if (sound) continue;
    throw invalidArgument(
      "hello.sandbox_grants",
      `The grant of ${name} needs either words, at most ${MAX_GRANTED_WORDS}, or an amount`,
    );
  }
  return known;
}

function tooManyLeases(field: string, count: number, slots: number): BrokkrError {
  const most = slots + MAX_EXTRA_LEASES;
  return invalidArgument(field, `A worker of ${slots} slots may name ${most} leases, not ${count}`);
}

function checkVersion({ protocolVersion, minProtocolVersion }: Hello): void {
  const { oldest, newest } = PROTOCOL_VERSIONS;
  if (protocolVersion >= oldest && minProtocolVersion <= newest) return;
  throw new BrokkrError(
    Code.FAILED_PRECONDITION,
    `The worker speaks versions ${minProtocolVersion} to ${protocolVersion} of the protocol, control ${oldest} to ` +
      `${newest}; upgrade ${protocolVersion < oldest ? "the worker" : "control"}`,
  );
}

function checkName(field: string, name: string): void {
  // deno-lint-ignore no-control-regex -- control characters are what it looks for
  if (name !== "" && name.length <= MAX_NAME_LENGTH && !/[\u0000-\u001f\u007f]/.test(name)) return;
  throw invalidArgument(
    field,
    `A name of 1 to ${MAX_NAME_LENGTH} characters without control characters is needed`,
  );
}
