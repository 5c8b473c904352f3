/**
 * Charges messages to the byte budget as they arrive: from the moment their length is known, not when they are complete.
 * A thousand peers that each send all of a message but its end would hold the memory of a thousand messages otherwise.
 *
 * It watches the data frames on their way to grpc-js, which assembles the messages. A message for which there is no room
 * pauses its stream, so that HTTP/2's flow control holds the peer back.
 *
 * @module
 */

import { type BrokkrError, type ByteLease, cancelled } from "@brokkr/common";
import { CHARGE_FLOOR_BYTES } from "./_charge.ts";

/** Length of what precedes a message: a flag and the length. */
const PREFIX_BYTES = 5;
/** Under pressure a message must be complete after so long, and so long again for each of its MiB. */
const GRACE_MS = 3000;
const GRACE_MS_PER_MIB = 1000;

/** What is used of an HTTP/2 stream. */
export interface DataStream {
  /** Calls `listener` with each piece before others hear of it. */
  prependListener(event: "data", listener: (data: Uint8Array) => void): unknown;
  /** Lets no more data through. */
  pause(): unknown;
  /** Lets data through again. */
  resume(): unknown;
}

/** Where the intakes of a server take room for messages. */
export interface IntakeRoom {
  /** Messages over this are not charged: grpc-js refuses them by their length. */
  readonly maxBytes: number;
  /** Takes room for a message at once; undefined when there is none. */
  tryCharge(sizeBytes: number): ByteLease | undefined;
  /** Waits for room, until `signal` aborts. */
  charge(sizeBytes: number, signal: AbortSignal): Promise<ByteLease | undefined>;
  /** Monotonic time in milliseconds. */
  nowMs(): number;
}

/** What an intake asks of its call. */
export interface IntakeOwner {
  /** Ends it: there was no room in time. */
  end(error: unknown): void;
}

/** What asks grpc-js for a message. */
export interface Reader {
  /** Asks for one more. */
  startRead(): void;
}

/** One message whose length is known. */
interface Arrival {
  readonly sizeBytes: number;
  lease: ByteLease | undefined;
  waiting: Promise<void> | undefined;
}

/** A message's share of the budget, once it is complete. */
export interface Arrived {
  /** Undefined when it is too small to be charged. */
  readonly lease: ByteLease | undefined;
  /** How much was charged, in bytes. */
  readonly chargedBytes: number;
  /** Resolves when it has been charged; undefined when it has been already. */
  readonly waiting: Promise<void> | undefined;
}

const SMALL: Arrived = { lease: undefined, chargedBytes: 0, waiting: undefined };

/** Watches the data of one call. */
export class Intake {
  readonly #room: IntakeRoom;
  readonly #owner: IntakeOwner;
  readonly #stream: DataStream;
  /** One for each message that was begun and not taken yet; undefined for small ones. */
  readonly #arrivals: (Arrival | undefined)[] = [];
  #prefixBytes = 0;
  #sizeBytes = 0;
  #remainingBytes = 0;
  #sinceMs = 0;
  #current: Arrival | undefined;
  #lastMs = 0;
  #blocked = false;
  #reader: Reader | undefined;
  /** Ends the wait for room. */
  #waiting: AbortController | undefined;
  #reading = false;
  #over = false;

  /** Watches the messages on `stream`. */
  constructor(stream: DataStream, room: IntakeRoom, owner: IntakeOwner) {
    this.#room = room;
    this.#owner = owner;
    this.#stream = stream;
    stream.prependListener("data", (data) => this.#observe(data));
  }

  /** Asks for a message as soon as there is room for what has begun to arrive. */
  read(reader: Reader): void {
    if (this.#blocked) {
      this.#reader = reader;
      return;
    }
    // A message that began before counts from now on: so far it was we who did not read.
    if (this.#remainingBytes > 0 && !this.#reading) this.#sinceMs = this.#room.nowMs();
    this.#reading = true;
    reader.startRead();
  }

  /** A message was delivered: gives its share of the budget. Whoever calls it owns the lease. */
  take(): Arrived {
    this.#reading = false;
    const arrival = this.#arrivals.shift();
    if (arrival === undefined) return SMALL;
    const { sizeBytes } = arrival;
    if (arrival.waiting === undefined) {
      return { lease: arrival.lease, chargedBytes: sizeBytes, waiting: undefined };
    }
    return {
      get lease() {
        return arrival.lease;
      },
      chargedBytes: sizeBytes,
      waiting: arrival.waiting,
    };
  }

  /** Whether a message that we want has been arriving for too long, given that others wait for its room. */
  tooSlow(nowMs: number): boolean {
    const arrival = this.#current;
    if (!this.#reading || arrival?.lease === undefined || this.#remainingBytes === 0) return false;
    return nowMs - this.#sinceMs > GRACE_MS + arrival.sizeBytes / 2 ** 20 * GRACE_MS_PER_MIB;
  }

  /** When data came last, in monotonic milliseconds. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** Whether the peer is held back until there is room for its message. */
  get held(): boolean {
    return this.#blocked;
  }

  /** Whether part of a message has arrived and the rest has not. */
  get partial(): boolean {
    return this.#remainingBytes > 0;
  }

  /** The call is over: gives everything back. */
  close(): void {
    this.#over = true;
    this.#reader = undefined;
    this.#waiting?.abort(cancelled("The call has ended"));
    for (const arrival of this.#arrivals.splice(0)) arrival?.lease?.release();
  }

  #observe(data: Uint8Array): void {
    if (this.#over) return;
    this.#lastMs = this.#room.nowMs();
    for (let at = 0; at < data.length;) {
      if (this.#remainingBytes > 0) {
        const step = Math.min(this.#remainingBytes, data.length - at);
        this.#remainingBytes -= step;
        at += step;
        continue;
      }
      // A flag, and the length with its highest byte first.
      this.#sizeBytes = this.#prefixBytes === 0 ? 0 : this.#sizeBytes * 256 + data[at];
      at++;
      if (++this.#prefixBytes === PREFIX_BYTES) this.#begin(data.length - at);
    }
    if (this.#current?.waiting !== undefined && this.#remainingBytes > 0) {
      this.#blocked = true;
      this.#stream.pause();
    }
  }

  /** The length of a message is known; `hereBytes` more bytes are at hand. */
  #begin(hereBytes: number): void {
    const sizeBytes = this.#sizeBytes;
    this.#prefixBytes = 0;
    this.#remainingBytes = sizeBytes;
    this.#sinceMs = this.#lastMs;
    this.#current = undefined;
    if (sizeBytes < CHARGE_FLOOR_BYTES || sizeBytes > this.#room.maxBytes) {
      this.#arrivals.push(undefined);
      return;
    }
    const arrival: Arrival = { sizeBytes, lease: undefined, waiting: undefined };
    this.#current = arrival;
    this.#arrivals.push(arrival);
    try {
      arrival.lease = this.#room.tryCharge(sizeBytes);
    } catch (error) {
      return this.#owner.end(error);
    }
    if (arrival.lease !== undefined) return;
    this.#waiting ??= new AbortController();
    arrival.waiting = this.#room.charge(sizeBytes, this.#waiting.signal).then((lease) => {
      arrival.waiting = undefined;
      if (this.#over) return lease?.release();
      arrival.lease = lease;
      this.#unblock();
    }, (error: BrokkrError) => {
      if (!this.#over) this.#owner.end(error);
    });
    // Small and whole: it need not be held back, only be counted before it is used.
    if (hereBytes >= sizeBytes) this.#current = undefined;
  }

  #unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#sinceMs = this.#room.nowMs();
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) {
      this.#reading = true;
      reader.startRead();
    } else if (this.#reading) {
      this.#stream.resume();
    }
  }
}
