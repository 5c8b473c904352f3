/**
 * One call on the server, from its headers to its end, for all four kinds. It sits directly on grpc-js's innermost call
 * object: messages are read one by one as the handler wants them and counted until the connection has taken them.
 *
 * @module
 */

import { Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import {
  ANONYMOUS,
  BrokkrError,
  type ByteLease,
  cancelled,
  Code,
  type Logger,
  type Principal,
  type Span,
  type TraceContext,
  unavailable,
} from "@brokkr/common";
import { checkInstanceName } from "./auth.ts";
import { ServerCallContext } from "./_call_context.ts";
import { dataStreamOf, resetStream, streamOf, wasBrokenOff } from "./_grpc_internals.ts";
import { Inbox } from "./_inbox.ts";
import type { CallCore, RouteEntry } from "./_call_core.ts";
import { logCall } from "./_call_log.ts";
import { beginCallSpan, endCallSpan } from "./_call_span.ts";
import { charge, CHARGE_FLOOR_BYTES, chargeNow } from "./_charge.ts";
import type { Departures } from "./_departures.ts";
import { type Arrived, Intake } from "./_intake.ts";
import { asBuffer, asPlain, Outbox } from "./_outbox.ts";
import { MAX_SEND_MESSAGE_BYTES } from "./limits.ts";
import { DETAILS_KEY, publicError, toWireStatus } from "./status.ts";
import {
  ACCEPT_ENCODING_KEY,
  ACCEPTED_ENCODINGS,
  type Encoding,
  inTurn,
  isFolded,
  takeEncoding,
  unfold,
  unprefixed,
} from "./_unfold.ts";

const EMPTY = new Metadata();
const NONE = -1;
/** When a client that was cut off for its slowness is told to come back. */
const RETRY_MS = 1000;
/** While others wait for memory, a peer may let what is sent to it lie, or send nothing, for so long. */
const PRESSED_STALL_MS = 3000;
/** A client that was cut off in the middle of a message gets so long to notice. */
const LINGER_MS = 1000;

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** One call. grpc-js calls its `on...` methods. */
export class ServerCall {
  readonly #core: CallCore;
  readonly #entry: RouteEntry;
  readonly #call: ServerInterceptingCallInterface;
  readonly #context: ServerCallContext;
  #metadata: Metadata = EMPTY;
  #principal: Principal | undefined;
  #span: Span | undefined;
  #startedMs = 0;
  #request: Uint8Array | undefined;
  /** With one, messages come as they were sent: with their prefix, and perhaps compressed. */
  #encoding: Encoding | undefined;
  #halfClosed = false;
  #inbox: Inbox | undefined;
  #intake: Intake | undefined;
  #departures: Departures | undefined;
  #receiving = false;
  /** Shares of messages that were delivered and not decoded yet. */
  readonly #arrived: Arrived[] = [];
  #outbox: Outbox | undefined;
  #responses: AsyncIterator<unknown> | undefined;
  #requestLease: ByteLease | undefined;
  #responseLeases: Set<ByteLease> | undefined;
  #receiveSinceMs = NONE;
  #sendSinceMs = NONE;
  #finishedMs = NONE;
  #aborted: BrokkrError | undefined;

  /** A call that {@linkcode ServerCall.start} begins. */
  constructor(core: CallCore, entry: RouteEntry, call: ServerInterceptingCallInterface) {
    this.#core = core;
    this.#entry = entry;
    this.#call = call;
    this.#context = new ServerCallContext(this);
  }

  /** Whether it must end as soon as the server drains. */
  get endOnDrain(): boolean {
    return this.#entry.endOnDrain;
  }

  get path(): string {
    return this.#entry.method.path;
  }

  get principal(): Principal {
    return this.#principal ?? ANONYMOUS; // a call that was refused at the door
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  get log(): Logger {
    return this.#core.log;
  }

  get aborted(): BrokkrError | undefined {
    return this.#aborted;
  }

  get spanContext(): TraceContext | undefined {
    return this.#span?.context;
  }

  metadataValue(key: string): string | Uint8Array | undefined {
    return this.#metadata.get(key)[0];
  }

  remainingMs(): number {
    const limitMs = this.#startedMs + this.#entry.maxDurationMs - this.#core.clock.monotonicMs();
    return Math.max(0, Math.min(Number(this.#call.getDeadline()) - Date.now(), limitMs));
  }

  checkInstance(instance: string): void {
    const name = checkInstanceName(instance);
    const { access } = this.#entry;
    if (this.#core.authorize(this.principal, access, this.path, name)) return;
    throw new BrokkrError(
      Code.PERMISSION_DENIED,
      `${this.principal.name} has no ${access} access to instance "${instance}"`,
    );
  }

  /** Begins to listen to the call. */
  start(): void {
    this.#call.start(this);
  }

  onReceiveMetadata(metadata: Metadata): void {
    const core = this.#core;
    this.#metadata = metadata;
    this.#startedMs = core.clock.monotonicMs();
    this.#receiveSinceMs = this.#startedMs;
    core.calls.add(this);
    this.#entry.meter?.began();
    if (core.tracer !== undefined) {
      this.#span = beginCallSpan(core.tracer, this.#entry.method, this.#context);
    }
    try {
      this.#admit();
    } catch (error) {
      return this.end(error);
    }
    this.#receiving = true;
    core.windows?.began();
    this.#watchIntake();
    if (!this.#entry.requestStream) return this.#startRead();
    this.#receiveSinceMs = NONE;
    this.#inbox = new Inbox(() => this.#startRead());
    this.#run(this.#requests(this.#inbox));
  }

  onReceiveMessage(bytes: Uint8Array): void {
    if (this.#intake !== undefined) this.#arrived.push(this.#intake.take());
    if (this.#inbox !== undefined) return this.#inbox.deliver(bytes);
    if (this.#request !== undefined) {
      return this.end(new BrokkrError(Code.INVALID_ARGUMENT, `${this.path} takes one request message`));
    }
    this.#request = bytes;
    this.#startRead();
  }

  onReceiveHalfClose(): void {
    if (wasBrokenOff(this.#call)) return; // onCancel is on its way
    this.#halfClosed = true;
    this.#receiveSinceMs = NONE;
    this.#received();
    if (this.#inbox !== undefined) return this.#inbox.end();
    const bytes = this.#request;
    this.#request = undefined;
    if (this.#finishedMs !== NONE) return;
    if (bytes === undefined) {
      return this.end(new BrokkrError(Code.INVALID_ARGUMENT, `${this.path} got no request message`));
    }
    if (this.#encoding !== undefined) {
      this.#unfold(bytes, this.#encoding).then((whole) => this.#decodeAndRun(whole))
        .catch((error) => this.end(error));
      return;
    }
    const arrived = this.#arrived[0];
    if (arrived?.waiting === undefined) return this.#begin(bytes);
    // What it waits for ends the call when it fails.
    arrived.waiting.then(() => this.#begin(bytes)).catch((error) => this.end(error));
  }

  /** The one request is here and has been charged. */
  #begin(bytes: Uint8Array): void {
    if (this.#finishedMs !== NONE) return;
    try {
      const arrived = this.#arrived.shift();
      this.#requestLease = arrived?.lease;
      if (bytes.byteLength > (arrived?.chargedBytes ?? 0)) {
        this.#requestLease?.release();
        this.#requestLease = chargeNow(this.#core.budget, bytes.byteLength);
      }
    } catch (error) {
      return this.end(error);
    }
    this.#decodeAndRun(bytes);
  }

  #decodeAndRun(bytes: Uint8Array): void {
    if (this.#finishedMs !== NONE) return this.#requestLease?.release();
    let request: unknown;
    try {
      request = this.#decode(bytes);
    } catch (error) {
      return this.end(error);
    }
    this.#run(request);
  }

  /** The transport is done with the call: it was answered, cancelled, or its deadline passed. */
  onCancel(): void {
    this.#core.calls.delete(this);
    if (this.#finishedMs === NONE) {
      const late = Number(this.#call.getDeadline()) <= Date.now();
      const reason = late
        ? new BrokkrError(Code.DEADLINE_EXCEEDED, "The client's deadline passed")
        : cancelled("The client cancelled the call");
      this.#finish(reason.code, reason, undefined);
    }
    this.#outbox?.close();
    const leases = this.#responseLeases;
    if (leases !== undefined && leases.size > 0) {
      this.#departed(() => {
        for (const lease of leases) lease.release();
      });
    }
    if (!this.#halfClosed && streamOf(this.#call)?.destroyed === false) this.#core.lingering.add(this);
  }

  /** Ends the call with an error, unless it has ended. */
  end(thrown: unknown): void {
    if (this.#finishedMs !== NONE) return;
    const error = publicError(thrown, () => this.#context.trace.traceId);
    this.#finish(error.code, error, thrown);
    const wire = toWireStatus(error);
    const metadata = new Metadata();
    if (wire.detailsBin !== undefined) metadata.set(DETAILS_KEY, asBuffer(wire.detailsBin));
    if (wire.code === Code.UNIMPLEMENTED) metadata.set(ACCEPT_ENCODING_KEY, ACCEPTED_ENCODINGS);
    this.#call.sendStatus({ code: wire.code || Code.UNKNOWN, details: wire.message, metadata });
  }

  /** Looks for what has taken too long; called every now and then. */
  sweep(nowMs: number): void {
    const { sendStallMs, maxDurationMs } = this.#entry;
    if (this.#finishedMs !== NONE) {
      if (nowMs - this.#finishedMs > sendStallMs) this.#reset();
      return;
    }
    if (nowMs - this.#startedMs > maxDurationMs) {
      const limit = `The call ran longer than the server's limit of ${seconds(maxDurationMs)}`;
      return this.end(new BrokkrError(Code.DEADLINE_EXCEEDED, limit));
    }
    const stalled = this.#stalled(nowMs);
    if (stalled === undefined) return;
    const taken = this.#sendSinceMs === NONE;
    this.end(stalled);
    if (!taken) this.#reset(); // the status would wait behind the data that the peer does not take
  }

  /** Why a peer is not waited for any longer: not for long by itself, and less when others wait for the memory it holds. */
  #stalled(nowMs: number): BrokkrError | undefined {
    const { receiveStallMs, sendStallMs } = this.#entry;
    const pressed = this.#core.pressed();
    const late = (what: string, sinceMs: number, limitMs: number) => {
      const lay = nowMs - sinceMs;
      if (lay > limitMs) return new BrokkrError(Code.DEADLINE_EXCEEDED, `${what} for ${seconds(lay)}`);
      if (!pressed || lay <= PRESSED_STALL_MS || limitMs === Infinity) return undefined;
      return unavailable(`${what} for ${seconds(lay)} while others waited for the memory it holds`, RETRY_MS);
    };
    if (this.#sendSinceMs !== NONE) return late("The peer took nothing", this.#sendSinceMs, sendStallMs);
    if (this.#intake?.held) return undefined; // it is we who do not take what it sends
    if (pressed && this.#intake?.tooSlow(nowMs)) {
      return unavailable("A message came too slowly while others waited for the memory it holds", RETRY_MS);
    }
    if (this.#receiveSinceMs === NONE) return undefined;
    const heardMs = Math.max(this.#receiveSinceMs, this.#intake?.lastMs ?? 0);
    return late("The peer sent nothing", heardMs, receiveStallMs);
  }

  /** Cuts off a client that still sends long after its call has ended; true when there is nothing left to do. */
  sweepLingering(nowMs: number): boolean {
    const stream = streamOf(this.#call);
    if (stream === undefined || stream.destroyed || stream.closed) return true;
    // Half a message stays in memory as long as its stream.
    const { sendStallMs } = this.#entry;
    const limitMs = this.#intake?.partial ? Math.min(LINGER_MS, sendStallMs) : sendStallMs;
    if (nowMs - this.#finishedMs <= limitMs) return false;
    resetStream(this.#call);
    return true;
  }

  #startRead(): void {
    if (this.#intake === undefined) this.#call.startRead();
    else this.#intake.read(() => this.#call.startRead());
  }

  /** Has messages charged while they arrive. */
  #watchIntake(): void {
    const { budget, clock, maxReceiveMessageBytes } = this.#core;
    const stream = budget === undefined ? undefined : dataStreamOf(this.#call);
    if (budget === undefined || stream === undefined) return;
    this.#intake = new Intake(stream, maxReceiveMessageBytes, {
      tryCharge: (sizeBytes) => budget.tryAcquire(sizeBytes),
      charge: (sizeBytes) => this.#charge(sizeBytes),
      refuse: (error) => this.end(error),
      nowMs: () => clock.monotonicMs(),
    });
  }

  /** No more comes, or nobody wants it. */
  #received(): void {
    if (!this.#receiving) return;
    this.#receiving = false;
    this.#core.windows?.ended();
  }

  #reset(): void {
    this.#core.calls.delete(this);
    resetStream(this.#call);
  }

  #admit(): void {
    const core = this.#core;
    if (core.draining) throw unavailable("The server is shutting down");
    this.#encoding = takeEncoding(this.#call);
    this.#principal = core.principalOf(this.#call);
    const { access } = this.#entry;
    if (core.authorize(this.#principal, access, this.path)) return;
    throw new BrokkrError(
      Code.PERMISSION_DENIED,
      `${this.#principal.name} may not call ${this.path}: it needs ${access} access`,
    );
  }

  #run(request: unknown): void {
    let result: unknown;
    try {
      result = this.#entry.handler(request as never, this.#context);
    } catch (error) {
      return this.end(error);
    }
    if (Array.isArray(result)) {
      this.#answerAll(result);
    } else if (this.#entry.responseStream && result instanceof Promise) {
      result.then((values) => this.#answerAll(values), (error) => this.end(error));
    } else if (this.#entry.responseStream) {
      this.#outbox = new Outbox(this.#core.sendAheadBytes);
      this.#pump(result as AsyncIterable<unknown>, this.#outbox).catch((error) => this.end(error));
    } else if (result instanceof Promise) {
      result.then((value) => this.#answer(value), (error) => this.end(error));
    } else {
      this.#answer(result);
    }
  }

  /** Sends the one response of a call and ends it. */
  #answer(value: unknown): void {
    if (this.#finishedMs !== NONE) return;
    try {
      const bytes = this.#encode(value);
      const lease = chargeNow(this.#core.budget, bytes.byteLength);
      this.#send(bytes, lease, undefined);
    } catch (error) {
      return this.end(error);
    }
    this.#succeed();
  }

  /** Sends responses that are all at hand and ends the call, within one turn. */
  #answerAll(values: readonly unknown[]): void {
    if (this.#finishedMs !== NONE) return;
    try {
      for (const value of values) {
        const bytes = this.#encode(value);
        this.#send(bytes, chargeNow(this.#core.budget, bytes.byteLength), undefined);
      }
    } catch (error) {
      return this.end(error);
    }
    this.#succeed();
  }

  #succeed(): void {
    if (this.#finishedMs !== NONE) return;
    this.#finish(Code.OK, undefined, undefined);
    this.#call.sendStatus({ code: Code.OK, details: "", metadata: null });
  }

  async #pump(responses: AsyncIterable<unknown>, outbox: Outbox): Promise<void> {
    const iterator = responses[Symbol.asyncIterator]();
    this.#responses = iterator;
    for (;;) {
      // Before the next response is made: what is made and cannot be sent is memory that nobody counts.
      if (outbox.full) {
        this.#sendSinceMs = this.#core.clock.monotonicMs();
        await outbox.room();
        this.#sendSinceMs = NONE;
      }
      const step = await iterator.next();
      if (this.#finishedMs !== NONE) return this.#stopResponses();
      if (step.done === true) return this.#succeed();
      try {
        const bytes = this.#encode(step.value);
        const lease = bytes.byteLength < CHARGE_FLOOR_BYTES
          ? undefined
          : await this.#charge(bytes.byteLength);
        if (this.#finishedMs !== NONE) {
          lease?.release();
          return this.#stopResponses();
        }
        this.#send(bytes, lease, outbox);
      } catch (error) {
        this.end(error);
        return this.#stopResponses();
      }
    }
  }

  #send(bytes: Uint8Array, lease: ByteLease | undefined, outbox: Outbox | undefined): void {
    const sizeBytes = bytes.byteLength;
    outbox?.add(sizeBytes);
    if (lease !== undefined) (this.#responseLeases ??= new Set()).add(lease);
    this.#call.sendMetadata(EMPTY);
    this.#call.sendMessage(asBuffer(bytes), () => {
      if (outbox === undefined && lease === undefined) return;
      this.#departed(() => {
        if (this.#sendSinceMs !== NONE) this.#sendSinceMs = this.#core.clock.monotonicMs();
        outbox?.sent(sizeBytes);
        if (lease === undefined) return;
        lease.release();
        this.#responseLeases?.delete(lease);
      });
    });
  }

  /** Calls `then` when what this call handed to its connection has left the process. */
  #departed(then: () => void): void {
    const departures = this.#departures ??= this.#core.departuresOf(this.#call);
    if (departures === undefined) then();
    else departures.after(then);
  }

  async *#requests(inbox: Inbox): AsyncGenerator<unknown, void, undefined> {
    try {
      for (;;) {
        this.#receiveSinceMs = this.#core.clock.monotonicMs();
        let bytes = await inbox.next();
        this.#receiveSinceMs = NONE;
        if (bytes === undefined) return;
        if (this.#encoding !== undefined) bytes = await this.#unfold(bytes, this.#encoding);
        else this.#requestLease = await this.#shareOf(bytes.byteLength);
        if (this.#finishedMs !== NONE) return; // answered meanwhile: nobody would give the bytes back
        let request: unknown = this.#decode(bytes);
        bytes = undefined; // neither is held while the next is waited for, which may be for long
        yield request;
        request = undefined;
        this.#requestLease?.release();
      }
    } finally {
      this.#receiveSinceMs = NONE;
      this.#requestLease?.release();
    }
  }

  /** The share of the budget that the next message of a stream holds. */
  async #shareOf(sizeBytes: number): Promise<ByteLease | undefined> {
    const arrived = this.#arrived[0];
    await arrived?.waiting;
    if (this.#finishedMs !== NONE) return undefined;
    this.#arrived.shift();
    if (sizeBytes <= (arrived?.chargedBytes ?? 0) || sizeBytes < CHARGE_FLOOR_BYTES) return arrived?.lease;
    arrived?.lease?.release();
    return await this.#charge(sizeBytes);
  }

  /** The content of a message that came with its prefix; `#requestLease` is its share of the budget. */
  async #unfold(message: Uint8Array, encoding: Encoding): Promise<Uint8Array> {
    const arrived = this.#arrived[0];
    await arrived?.waiting;
    if (this.#finishedMs !== NONE) throw this.#aborted ?? cancelled("The call has ended");
    this.#arrived.shift();
    this.#requestLease = arrived?.lease;
    if (!isFolded(message)) return unprefixed(message);
    return await inTurn(() => this.#unfoldNow(message, encoding));
  }

  async #unfoldNow(message: Uint8Array, encoding: Encoding): Promise<Uint8Array> {
    const { budget, maxReceiveMessageBytes } = this.#core;
    // How large it is shows only when it is unfolded: until then it holds as much as it may become.
    const most = await this.#charge(Math.min(maxReceiveMessageBytes, budget?.limitBytes ?? Infinity));
    let share = most;
    try {
      const whole = await unfold(message, encoding, maxReceiveMessageBytes);
      if (this.#finishedMs !== NONE) throw this.#aborted ?? cancelled("The call has ended");
      share = budget?.tryAcquire(whole.byteLength) ?? most;
      this.#requestLease?.release();
      this.#requestLease = share;
      return whole;
    } catch (error) {
      share = undefined;
      throw error;
    } finally {
      if (share !== most) most?.release();
    }
  }

  #decode(bytes: Uint8Array): unknown {
    try {
      return this.#entry.method.request.decode(asPlain(bytes));
    } catch (error) {
      // A new error: the stack of the old one holds the message for as long as the call is remembered.
      if (error instanceof BrokkrError) {
        throw new BrokkrError(error.code, error.message, { details: error.details });
      }
      const why = error instanceof Error ? error.message : String(error);
      throw new BrokkrError(Code.INVALID_ARGUMENT, `Malformed request for ${this.path}: ${why}`);
    }
  }

  #encode(value: unknown): Uint8Array {
    const bytes = this.#entry.method.response.encode(value);
    if (bytes.byteLength <= MAX_SEND_MESSAGE_BYTES) return bytes;
    throw new BrokkrError(
      Code.RESOURCE_EXHAUSTED,
      `Response of ${bytes.byteLength} bytes to ${this.path} exceeds ${MAX_SEND_MESSAGE_BYTES} bytes; ask for less at once`,
    );
  }

  #charge(sizeBytes: number): Promise<ByteLease | undefined> {
    const { budget, clock, budgetWaitMs } = this.#core;
    return charge(budget, sizeBytes, { clock, limitMs: budgetWaitMs, signal: this.#context.signal });
  }

  #stopResponses(): void {
    const stopped = this.#responses?.return?.();
    stopped?.then(undefined, (error) => this.#core.log.debug("A handler failed after its call", { error }));
  }

  /** Settles the outcome: once for each call. */
  #finish(code: Code, error: BrokkrError | undefined, thrown: unknown): void {
    const nowMs = this.#core.clock.monotonicMs();
    this.#finishedMs = nowMs;
    this.#receiveSinceMs = NONE;
    this.#sendSinceMs = NONE;
    this.#requestLease?.release();
    this.#intake?.close();
    for (const { lease } of this.#arrived.splice(0)) lease?.release();
    this.#received();
    this.#entry.meter?.ended(code, nowMs - this.#startedMs);
    if (this.#span !== undefined) endCallSpan(this.#span, code, error);
    logCall(this.#core.log, this.#context, { code, ms: nowMs - this.#startedMs, error, thrown });
    if (error === undefined) return;
    this.#aborted = error;
    this.#context.abort(error);
    this.#inbox?.end(error);
    this.#stopResponses();
  }
}
