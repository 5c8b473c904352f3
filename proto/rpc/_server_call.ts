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
import type { CallCore, CallOwner, RouteEntry, SweptCall } from "./_call_core.ts";
import { logCall } from "./_call_log.ts";
import { beginCallSpan, endCallSpan } from "./_call_span.ts";
import { resetStream, streamOf, wasBrokenOff } from "./_grpc_internals.ts";
import { asBuffer } from "./_outbox.ts";
import { lingeringMs, seconds, stalled, takingMs } from "./_patience.ts";
import { Requests } from "./_requests.ts";
import { Responses } from "./_responses.ts";
import { DETAILS_KEY, publicError, toWireStatus } from "./status.ts";
import { ACCEPT_ENCODING_KEY, ACCEPTED_ENCODINGS, takeEncoding } from "./_unfold.ts";

const EMPTY = new Metadata();
const NONE = -1;

/** One call. grpc-js calls its `on...` methods. */
export class ServerCall implements CallOwner, SweptCall {
  readonly #core: CallCore;
  readonly #entry: RouteEntry;
  readonly #call: ServerInterceptingCallInterface;
  readonly #context: ServerCallContext;
  #metadata: Metadata = EMPTY;
  #principal: Principal | undefined;
  #span: Span | undefined;
  #startedMs = 0;
  #requests: Requests | undefined;
  readonly #responses: Responses;
  #halfClosed = false;
  #finishedMs = NONE;
  #aborted: BrokkrError | undefined;

  /** A call that {@linkcode ServerCall.start} begins. */
  constructor(core: CallCore, entry: RouteEntry, call: ServerInterceptingCallInterface) {
    this.#core = core;
    this.#entry = entry;
    this.#call = call;
    this.#context = new ServerCallContext(this);
    this.#responses = new Responses(core, entry, call, this);
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

  get finished(): boolean {
    return this.#finishedMs !== NONE;
  }

  get session(): object | undefined {
    return streamOf(this.#call)?.session;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
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
    core.calls.add(this);
    this.#entry.meter?.began();
    if (core.tracer !== undefined) {
      this.#span = beginCallSpan(core.tracer, this.#entry.method, this.#context);
    }
    try {
      this.#requests = this.#admit();
    } catch (error) {
      return this.end(error);
    }
    this.#requests.begin();
  }

  onReceiveMessage(bytes: Uint8Array): void {
    this.#requests?.deliver(bytes);
  }

  onReceiveHalfClose(): void {
    if (wasBrokenOff(this.#call)) return; // onCancel is on its way
    this.#halfClosed = true;
    this.#requests?.halfClose();
  }

  /** The transport is done with the call: it was answered, cancelled, or its deadline passed. */
  onCancel(): void {
    this.#core.calls.delete(this);
    if (!this.finished) {
      const late = Number(this.#call.getDeadline()) <= Date.now();
      const reason = late
        ? new BrokkrError(Code.DEADLINE_EXCEEDED, "The client's deadline passed")
        : cancelled("The client cancelled the call");
      this.#finish(reason.code, reason, undefined);
    }
    this.#responses.close();
    if (!this.#halfClosed && streamOf(this.#call)?.destroyed === false) this.#core.lingering.add(this);
  }

  /** Ends the call with an error, unless it has ended. */
  end(thrown: unknown): void {
    if (this.finished) return;
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
    const entry = this.#entry;
    const pressed = this.#core.pressed();
    if (this.finished) {
      if (nowMs - this.#finishedMs > takingMs(entry, pressed, this.#responses.heldBytes)) this.#reset();
      return;
    }
    if (nowMs - this.#startedMs > entry.maxDurationMs) {
      const limit = `The call ran longer than the server's limit of ${seconds(entry.maxDurationMs)}`;
      return this.end(new BrokkrError(Code.DEADLINE_EXCEEDED, limit));
    }
    const requests = this.#requests, responses = this.#responses;
    const error = stalled(entry, pressed, nowMs, { requests, responses });
    if (error === undefined) return;
    const taken = responses.untakenSinceMs === undefined;
    this.end(error);
    if (!taken) this.#reset(); // the status would wait behind the data that the peer does not take
  }

  /** Cuts off a client that still sends long after its call has ended; true when there is nothing left to do. */
  sweepLingering(nowMs: number): boolean {
    const stream = streamOf(this.#call);
    if (stream === undefined || stream.destroyed || stream.closed) return true;
    if (nowMs - this.#finishedMs <= lingeringMs(this.#entry, this.#requests?.partial === true)) return false;
    resetStream(this.#call);
    return true;
  }

  #reset(): void {
    this.#core.calls.delete(this);
    resetStream(this.#call);
  }

  #admit(): Requests {
    const core = this.#core;
    if (core.draining) throw unavailable("The server is shutting down");
    const encoding = takeEncoding(this.#call);
    this.#principal = core.principalOf(this.#call);
    const { access } = this.#entry;
    if (core.authorize(this.#principal, access, this.path)) {
      return new Requests(core, this.#entry, this.#call, this, encoding);
    }
    throw new BrokkrError(
      Code.PERMISSION_DENIED,
      `${this.#principal.name} may not call ${this.path}: it needs ${access} access`,
    );
  }

  /** Has the handler answer. */
  run(request: unknown): void {
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
      const sent = this.#responses.pump(result as AsyncIterable<unknown>);
      sent.then((all) => all && this.#succeed()).catch((error) => this.end(error));
    } else if (result instanceof Promise) {
      result.then((value) => this.#answerAll([value]), (error) => this.end(error));
    } else {
      this.#answerAll([result]);
    }
  }

  /** Sends responses that are all at hand and ends the call, within one turn. */
  #answerAll(values: readonly unknown[]): void {
    if (this.finished) return;
    try {
      this.#responses.sendAll(values);
    } catch (error) {
      return this.end(error);
    }
    this.#succeed();
  }

  #succeed(): void {
    if (this.finished) return;
    this.#finish(Code.OK, undefined, undefined);
    this.#call.sendStatus({ code: Code.OK, details: "", metadata: null });
  }

  /** Settles the outcome: once for each call. */
  #finish(code: Code, error: BrokkrError | undefined, thrown: unknown): void {
    const nowMs = this.#core.clock.monotonicMs();
    this.#finishedMs = nowMs;
    this.#aborted = error;
    this.#responses.finish();
    this.#requests?.close(error);
    this.#entry.meter?.ended(code, nowMs - this.#startedMs);
    if (this.#span !== undefined) endCallSpan(this.#span, code, error);
    logCall(this.#core.log, this.#context, { code, ms: nowMs - this.#startedMs, error, thrown });
    if (error === undefined) return;
    this.#context.abort(error);
    this.#responses.stop();
  }
}
