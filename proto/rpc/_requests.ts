/**
 * What a call receives: its messages, one by one as the handler wants them, and their shares of the byte budget.
 *
 * @module
 */

import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { BrokkrError, type ByteLease, cancelled, Code } from "@brokkr/common";
import type { CallCore, CallOwner, RouteEntry } from "./_call_core.ts";
import { charge, CHARGE_FLOOR_BYTES, chargeNow } from "./_charge.ts";
import { dataStreamOf } from "./_grpc_internals.ts";
import { Inbox } from "./_inbox.ts";
import { type Arrived, Intake } from "./_intake.ts";
import { asPlain } from "./_outbox.ts";
import { type Encoding, inTurn, isFolded, unfold, unprefixed } from "./_unfold.ts";

const NONE = -1;

/** The receiving side of one call. */
export class Requests {
  readonly #core: CallCore;
  readonly #entry: RouteEntry;
  readonly #call: ServerInterceptingCallInterface;
  readonly #owner: CallOwner;
  /** With one, messages come as they were sent: with their prefix, and perhaps compressed. */
  readonly #encoding: Encoding | undefined;
  readonly #intake: Intake | undefined;
  /** Shares of messages that were delivered and not decoded yet. */
  readonly #arrived: Arrived[] = [];
  #inbox: Inbox | undefined;
  /** The one request of a call that takes one. */
  #single: Uint8Array | undefined;
  #lease: ByteLease | undefined;
  #receiving = true;
  #sinceMs: number;

  /** The receiving side of `call`; runs it once, with the request or with the stream of all. */
  constructor(
    core: CallCore,
    entry: RouteEntry,
    call: ServerInterceptingCallInterface,
    owner: CallOwner,
    encoding: Encoding | undefined,
  ) {
    this.#core = core;
    this.#entry = entry;
    this.#call = call;
    this.#owner = owner;
    this.#encoding = encoding;
    this.#intake = this.#watch();
    this.#sinceMs = core.clock.monotonicMs();
    core.windows?.began();
  }

  /** Begins to read. */
  begin(): void {
    if (!this.#entry.requestStream) return this.#startRead();
    this.#sinceMs = NONE;
    this.#inbox = new Inbox(() => this.#startRead());
    this.#owner.run(this.#stream(this.#inbox));
  }

  /** A message came. */
  deliver(bytes: Uint8Array): void {
    if (this.#owner.finished) return;
    if (this.#intake !== undefined) this.#arrived.push(this.#intake.take());
    if (this.#inbox !== undefined) return this.#inbox.deliver(bytes);
    if (this.#single !== undefined) {
      const error = `${this.#owner.path} takes one request message`;
      return this.#owner.end(new BrokkrError(Code.INVALID_ARGUMENT, error));
    }
    this.#single = bytes;
    this.#startRead();
  }

  /** No more will come. */
  halfClose(): void {
    this.#sinceMs = NONE;
    this.#received();
    if (this.#inbox !== undefined) return this.#inbox.end();
    const bytes = this.#single;
    this.#single = undefined;
    if (this.#owner.finished) return;
    if (bytes === undefined) {
      const error = `${this.#owner.path} got no request message`;
      return this.#owner.end(new BrokkrError(Code.INVALID_ARGUMENT, error));
    }
    if (this.#encoding !== undefined) {
      this.#unfold(bytes, this.#encoding).then((whole) => this.#decodeAndRun(whole))
        .catch((error) => this.#owner.end(error));
      return;
    }
    const arrived = this.#arrived[0];
    if (arrived?.waiting === undefined) return this.#take(bytes);
    // What it waits for ends the call when it fails.
    arrived.waiting.then(() => this.#take(bytes)).catch((error) => this.#owner.end(error));
  }

  /** The call is over: nobody wants what still comes, and all shares are given back. */
  close(error: BrokkrError | undefined): void {
    this.#sinceMs = NONE;
    this.#single = undefined;
    this.#lease?.release();
    this.#intake?.close();
    for (const { lease } of this.#arrived.splice(0)) lease?.release();
    this.#received();
    if (this.#inbox === undefined) return;
    if (error === undefined) this.#inbox.drop(this.#over());
    else this.#inbox.end(error);
  }

  /** Whether the peer is held back by us. */
  get held(): boolean {
    return this.#intake?.held === true;
  }

  /** Whether part of a message has arrived and the rest has not. */
  get partial(): boolean {
    return this.#intake?.partial === true;
  }

  /** Whether a message has been arriving for too long, given that others wait for its room. */
  tooSlow(nowMs: number): boolean {
    return this.#intake?.tooSlow(nowMs) === true;
  }

  /** Since when the peer has sent nothing of what is waited for; undefined when nothing is. */
  get silentSinceMs(): number | undefined {
    if (this.#sinceMs === NONE) return undefined;
    return Math.max(this.#sinceMs, this.#intake?.lastMs ?? 0);
  }

  #startRead(): void {
    if (this.#intake === undefined) this.#call.startRead();
    else this.#intake.read(this.#call);
  }

  /** Has messages charged while they arrive. */
  #watch(): Intake | undefined {
    const { room } = this.#core;
    const stream = room === undefined ? undefined : dataStreamOf(this.#call);
    return room === undefined || stream === undefined ? undefined : new Intake(stream, room, this.#owner);
  }

  /** No more comes, or nobody wants it. */
  #received(): void {
    if (!this.#receiving) return;
    this.#receiving = false;
    this.#core.windows?.ended();
  }

  /** The one request is here and has been charged. */
  #take(bytes: Uint8Array): void {
    if (this.#owner.finished) return;
    try {
      const arrived = this.#arrived.shift();
      this.#lease = arrived?.lease;
      if (bytes.byteLength > (arrived?.chargedBytes ?? 0)) {
        this.#lease?.release();
        this.#lease = chargeNow(this.#core, bytes.byteLength);
      }
    } catch (error) {
      return this.#owner.end(error);
    }
    this.#decodeAndRun(bytes);
  }

  #decodeAndRun(bytes: Uint8Array): void {
    if (this.#owner.finished) return this.#lease?.release();
    let request: unknown;
    try {
      request = this.#decode(bytes);
    } catch (error) {
      return this.#owner.end(error);
    }
    this.#owner.run(request);
  }

  async *#stream(inbox: Inbox): AsyncGenerator<unknown, void, undefined> {
    try {
      for (;;) {
        this.#sinceMs = this.#core.clock.monotonicMs();
        let bytes = await inbox.next();
        this.#sinceMs = NONE;
        if (bytes === undefined) return;
        if (this.#encoding !== undefined) bytes = await this.#unfold(bytes, this.#encoding);
        else this.#lease = await this.#shareOf(bytes.byteLength);
        if (this.#owner.finished) return; // answered meanwhile: nobody would give the bytes back
        let request: unknown = this.#decode(bytes);
        bytes = undefined; // neither is held while the next is waited for, which may be for long
        yield request;
        request = undefined;
        this.#lease?.release();
      }
    } finally {
      this.#sinceMs = NONE;
      this.#lease?.release();
    }
  }

  /** The share of the budget that the next message of a stream holds. */
  async #shareOf(sizeBytes: number): Promise<ByteLease | undefined> {
    const arrived = this.#arrived[0];
    await arrived?.waiting;
    if (this.#owner.finished) return undefined;
    this.#arrived.shift();
    if (sizeBytes <= (arrived?.chargedBytes ?? 0) || sizeBytes < CHARGE_FLOOR_BYTES) return arrived?.lease;
    arrived?.lease?.release();
    return await this.#charge(sizeBytes);
  }

  /** The content of a message that came with its prefix; `#lease` is its share of the budget. */
  async #unfold(message: Uint8Array, encoding: Encoding): Promise<Uint8Array> {
    const arrived = this.#arrived[0];
    await arrived?.waiting;
    if (this.#owner.finished) throw this.#over();
    this.#arrived.shift();
    this.#lease = arrived?.lease;
    if (!isFolded(message)) return unprefixed(message);
    return await inTurn(() => this.#unfoldNow(message, encoding));
  }

  async #unfoldNow(message: Uint8Array, encoding: Encoding): Promise<Uint8Array> {
    if (this.#owner.finished) throw this.#over();
    const { budget, maxReceiveMessageBytes } = this.#core;
    // How large it is shows only when it is unfolded: until then it holds as much as it may become.
    const most = await this.#charge(Math.min(maxReceiveMessageBytes, budget?.limitBytes ?? Infinity));
    let share = most;
    try {
      const whole = await unfold(message, encoding, maxReceiveMessageBytes);
      if (this.#owner.finished) throw this.#over();
      share = budget?.tryAcquire(whole.byteLength) ?? most;
      this.#lease?.release();
      this.#lease = share;
      return whole;
    } catch (error) {
      share = undefined;
      throw error;
    } finally {
      if (share !== most) most?.release();
    }
  }

  #over(): BrokkrError {
    return this.#owner.aborted ?? cancelled("The call has ended");
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
      throw new BrokkrError(Code.INVALID_ARGUMENT, `Malformed request for ${this.#owner.path}: ${why}`);
    }
  }

  #charge(sizeBytes: number): Promise<ByteLease | undefined> {
    const { budget, clock, budgetWaitMs } = this.#core;
    return charge(budget, sizeBytes, { clock, limitMs: budgetWaitMs, signal: this.#owner.signal });
  }
}
