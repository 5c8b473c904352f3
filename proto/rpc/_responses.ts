/**
 * What a call sends: its messages, made no sooner than the connection takes them, and their shares of the byte budget
 * until they have left the process.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { BrokkrError, type ByteLease, Code } from "@brokkr/common";
import type { CallCore, CallOwner, RouteEntry } from "./_call_core.ts";
import { charge, CHARGE_FLOOR_BYTES, chargeNow } from "./_charge.ts";
import type { Departures } from "./_departures.ts";
import { Frame } from "./_frame_buffers.ts";
import { sendFrames } from "./_grpc_internals.ts";
import { MAX_SEND_MESSAGE_BYTES } from "./limits.ts";
import { asBuffer, Outbox } from "./_outbox.ts";

const EMPTY = new Metadata();
const NONE = -1;

/** The sending side of one call. */
export class Responses {
  readonly #core: CallCore;
  readonly #entry: RouteEntry;
  readonly #call: ServerInterceptingCallInterface;
  readonly #owner: CallOwner;
  #iterator: AsyncIterator<unknown> | undefined;
  #outbox: Outbox | undefined;
  #leases: Set<ByteLease> | undefined;
  #departures: Departures | undefined;
  #sinceMs = NONE;
  #framed = false;

  /** The sending side of `call`. */
  constructor(
    core: CallCore,
    entry: RouteEntry,
    call: ServerInterceptingCallInterface,
    owner: CallOwner,
  ) {
    this.#core = core;
    this.#entry = entry;
    this.#call = call;
    this.#owner = owner;
  }

  /** Since when the peer has taken nothing; undefined when it is not waited for. */
  get untakenSinceMs(): number | undefined {
    return this.#sinceMs === NONE ? undefined : this.#sinceMs;
  }

  /** Bytes of the budget that wait to leave. */
  get heldBytes(): number {
    let bytes = 0;
    for (const { sizeBytes } of this.#leases ?? []) bytes += sizeBytes;
    return bytes;
  }

  /**
   * Hands messages that are at hand to the connection.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when one is too large, or the budget has no room.
   */
  sendAll(values: readonly unknown[]): void {
    for (const value of values) {
      const bytes = this.#encode(value);
      this.#send(asBuffer(bytes), bytes.byteLength, chargeNow(this.#core, bytes.byteLength), undefined);
    }
  }

  /** Sends what `responses` makes, at the pace of the peer; whether it came to the end before the call did. */
  async pump(responses: AsyncIterable<unknown>): Promise<boolean> {
    const iterator = responses[Symbol.asyncIterator]();
    this.#iterator = iterator;
    using _share = this.#core.shares.enter();
    const core = this.#core;
    const outbox = this.#outbox = new Outbox(core.sendAheadBytes, () => core.shares.aheadBytes);
    for (;;) {
      // Before the next response is made: what is made and cannot be sent is memory that nobody counts.
      if (outbox.full) {
        this.#sinceMs = this.#core.clock.monotonicMs();
        await outbox.room();
        this.#sinceMs = NONE;
      }
      const step = await iterator.next();
      if (this.#owner.finished) return this.#stopped();
      if (step.done === true) return true;
      try {
        if (!(await this.#sendNext(step.value, outbox))) return this.#stopped();
      } catch (error) {
        this.#owner.end(error);
        return this.#stopped();
      }
    }
  }

  /** Sends one message of a stream; whether the call went on until then. */
  async #sendNext(value: unknown, outbox: Outbox): Promise<boolean> {
    const { inPlace } = this.#entry.method.response;
    const sizeBytes = inPlace === undefined ? 0 : inPlace.sizeOf(value);
    const bytes = inPlace === undefined || sizeBytes < CHARGE_FLOOR_BYTES ? this.#encode(value) : undefined;
    if (bytes === undefined) this.#checkSize(sizeBytes);
    const chargedBytes = bytes === undefined ? sizeBytes : bytes.byteLength;
    const lease = chargedBytes < CHARGE_FLOOR_BYTES ? undefined : await this.#charge(chargedBytes);
    if (this.#owner.finished) {
      lease?.release();
      return false;
    }
    if (bytes !== undefined) {
      this.#send(asBuffer(bytes), chargedBytes, lease, outbox);
      return true;
    }
    const frame = new Frame(sizeBytes);
    inPlace?.encodeInto(value, frame.message);
    if (!this.#framed) sendFrames(this.#call);
    this.#framed = true;
    this.#send(frame, chargedBytes, lease, outbox);
    return true;
  }

  /** The call has failed: no more is made. */
  stop(): void {
    const stopped = this.#iterator?.return?.();
    stopped?.then(undefined, (error) => this.#core.log.debug("A handler failed after its call", { error }));
  }

  /** The call is over. */
  finish(): void {
    this.#sinceMs = NONE;
  }

  /** The transport is done with the call. */
  close(): void {
    this.#outbox?.close();
    const leases = this.#leases;
    if (leases === undefined || leases.size === 0) return;
    this.#departed(() => {
      for (const lease of leases) lease.release();
    });
  }

  #stopped(): false {
    this.stop();
    return false;
  }

  #send(
    message: Buffer | Frame,
    sizeBytes: number,
    lease: ByteLease | undefined,
    outbox: Outbox | undefined,
  ): void {
    outbox?.add(sizeBytes);
    if (lease !== undefined) (this.#leases ??= new Set()).add(lease);
    this.#call.sendMetadata(EMPTY);
    this.#call.sendMessage(message, () => {
      if (message instanceof Frame) message.release(); // the transport has a copy
      if (outbox === undefined && lease === undefined) return;
      this.#departed(() => {
        if (this.#sinceMs !== NONE) this.#sinceMs = this.#core.clock.monotonicMs();
        outbox?.sent(sizeBytes);
        if (lease === undefined) return;
        lease.release();
        this.#leases?.delete(lease);
      });
    });
  }

  /** Calls `then` when what this call handed to its connection has left the process. */
  #departed(then: () => void): void {
    const departures = this.#departures ??= this.#core.departuresOf(this.#call);
    if (departures === undefined) then();
    else departures.after(then);
  }

  #encode(value: unknown): Uint8Array {
    const bytes = this.#entry.method.response.encode(value);
    this.#checkSize(bytes.byteLength);
    return bytes;
  }

  #checkSize(sizeBytes: number): void {
    if (sizeBytes <= MAX_SEND_MESSAGE_BYTES) return;
    throw new BrokkrError(
      Code.RESOURCE_EXHAUSTED,
      `Response of ${sizeBytes} bytes to ${this.#owner.path} exceeds ${MAX_SEND_MESSAGE_BYTES} bytes; ask for less at once`,
    );
  }

  #charge(sizeBytes: number): Promise<ByteLease | undefined> {
    const { budget, clock, budgetWaitMs } = this.#core;
    return charge(budget, sizeBytes, { clock, limitMs: budgetWaitMs, signal: this.#owner.signal });
  }
}
