/**
 * The stream to control: Hello, heartbeats, and again after it broke.
 *
 * @module
 */

import {
  asBrokkrError,
  BrokkrError,
  type Clock,
  Code,
  type Logger,
  type Random,
  sleep,
  type TimerHandle,
} from "@brokkr/common";
import {
  type ControlMessage,
  type Drain,
  HealthService,
  type Hello,
  type Init,
  type Lease,
  type Load,
  type Welcome,
  type WorkerMessage,
  Workers,
} from "@brokkr/proto";
import type { BidiCall, Channel } from "@brokkr/proto/rpc";
import type { LeaseTable } from "./lease_table.ts";
import { durationMs } from "./metadata.ts";

/** Newest version of the worker protocol that is spoken here. */
export const PROTOCOL_VERSION = 1;
/** Oldest version that is still spoken. */
export const MIN_PROTOCOL_VERSION = 1;

/** What a {@linkcode ControlLink} works with. */
export interface ControlLinkOptions {
  /** Opens a connection of its own, apart from the one that blobs travel on: heartbeats never wait behind data. */
  readonly connect: () => Channel;
  /** The leases that Hello and heartbeats name. */
  readonly table: LeaseTable;
  /** What the worker is; versions and leases are filled in here. */
  readonly hello: Init<Hello>;
  /** How busy it is. */
  readonly load: () => Init<Load>;
  /** Time. */
  readonly clock: Clock;
  /** Spreads attempts to reconnect. */
  readonly random: Random;
  /** Log. */
  readonly log: Logger;
  /** Control took the worker in. */
  readonly onWelcome: (welcome: Welcome) => void;
  /** Control leases an action. */
  readonly onLease: (lease: Lease) => void;
  /** Control wants an action stopped, or does not know a lease. */
  readonly onCancel: (leaseId: string, reason: string) => void;
  /** Control has a result. */
  readonly onAcknowledged: (leaseId: string, accepted: boolean) => void;
  /** Control gives no more leases, or does so again; unless the worker is to stay, it is to end. */
  readonly onDrain: (drain: Drain) => void;
}

const FIRST_DELAY_MS = 100;
/**
 * Longest wait before another attempt while control is away: knocking costs next to nothing then, and a grid that is
 * back should have its workers within a second.
 */
const MAX_AWAY_DELAY_MS = 750;
/** Longest wait when control answers and refuses, which the next attempt hardly changes. */
const MAX_REFUSED_DELAY_MS = 5000;
/** Least and most time between heartbeats, whatever control asks for. */
const MIN_HEARTBEAT_MS = 20;
const MAX_HEARTBEAT_MS = 60_000;
/** How long control may take to answer Hello. */
const WELCOME_TIMEOUT_MS = 10_000;

type Call = BidiCall<Init<WorkerMessage>, ControlMessage>;

/** Keeps a worker connected to control. */
export class ControlLink {
  readonly #options: ControlLinkOptions;
  #call: Call | undefined;
  #welcomed = false;
  /** Why the worker is about to end, once it is. */
  #leaving: string | undefined;

  /** See {@linkcode ControlLinkOptions}. */
  constructor(options: ControlLinkOptions) {
    this.#options = options;
  }

  /** Whether control has welcomed the worker on the stream that is open now. */
  get connected(): boolean {
    return this.#welcomed;
  }

  /** Sends a message; dropped without a stream (results are kept by the table and sent again). */
  send(message: Init<WorkerMessage>): void {
    if (this.#welcomed) void this.#call?.send(message);
  }

  /** Tells control, now or on the next stream, that the worker is about to end. */
  goodbye(reason: string): void {
    if (this.#leaving !== undefined) return;
    this.#leaving = reason;
    this.send({ goodbye: { reason } });
  }

  /** Stays connected until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    let lastProblem = "";
    for (let failures = 0; !signal.aborted; failures++) {
      let maxDelayMs = MAX_AWAY_DELAY_MS;
      try {
        if (await this.#session(signal)) failures = 0;
        if (!signal.aborted) log.info("Control closed the stream; connecting again");
        lastProblem = "";
      } catch (thrown) {
        if (signal.aborted) return;
        const error = asBrokkrError(thrown, Code.UNAVAILABLE);
        // Control may be away for long: say so once, not with every attempt.
        if (error.message !== lastProblem) log.warn("No connection to control; trying on", { error });
        lastProblem = error.message;
        if (error.code !== Code.UNAVAILABLE) maxDelayMs = MAX_REFUSED_DELAY_MS;
        if (this.#hadWelcome) failures = 0;
      }
      if (signal.aborted) return;
      const delayMs = Math.min(maxDelayMs, FIRST_DELAY_MS * 2 ** Math.min(failures, 10));
      await sleep(clock, delayMs * (0.5 + random.next() / 2), signal).catch(() => undefined);
    }
  }

  #hadWelcome = false;

  /** One stream, from Hello to its end. True if control welcomed the worker. */
  async #session(signal: AbortSignal): Promise<boolean> {
    const { connect, table, clock } = this.#options;
    await using channel = connect();
    const call: Call = channel.bidi(Workers.connect, { signal });
    this.#call = call;
    this.#hadWelcome = false;
    const heartbeats = new Heartbeats(channel, call, this.#options);
    const impatience = clock.setTimer(WELCOME_TIMEOUT_MS, () => call.cancel());
    const sentMs = clock.monotonicMs();
    try {
      const hello: Init<Hello> = {
        ...this.#options.hello,
        protocolVersion: PROTOCOL_VERSION,
        minProtocolVersion: MIN_PROTOCOL_VERSION,
        liveLeases: table.ids(),
        leaving: this.#leaving !== undefined,
      };
      const told = hello.leaving;
      await call.send({ hello });
      for await (const message of call.responses) {
        if (message.welcome !== undefined) {
          impatience.cancel();
          this.#welcome(message.welcome, sentMs, heartbeats);
          if (!told && this.#leaving !== undefined) this.send({ goodbye: { reason: this.#leaving } });
        } else if (!this.#welcomed) {
          throw new BrokkrError(Code.INTERNAL, "Control sent something else before Welcome");
        } else this.#take(message);
      }
      return this.#hadWelcome;
    } finally {
      impatience.cancel();
      heartbeats.stop();
      this.#welcomed = false;
      this.#call = undefined;
      call.cancel();
    }
  }

  #welcome(welcome: Welcome, sentMs: number, heartbeats: Heartbeats): void {
    const { table, onWelcome } = this.#options;
    const ttlMs = durationMs(welcome.leaseTtl);
    if (welcome.protocolVersion < MIN_PROTOCOL_VERSION || welcome.protocolVersion > PROTOCOL_VERSION) {
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        `Control speaks version ${welcome.protocolVersion} of the worker protocol, this worker ${MIN_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}`,
      );
    }
    if (!(ttlMs > 0)) {
      throw new BrokkrError(Code.INTERNAL, "Control's Welcome has no time for leases to live");
    }
    this.#welcomed = true;
    this.#hadWelcome = true;
    table.welcomed(sentMs, ttlMs);
    onWelcome(welcome);
    for (const result of table.unacknowledged()) this.send({ result });
    const intervalMs = durationMs(welcome.heartbeatInterval);
    heartbeats.start(
      Math.min(MAX_HEARTBEAT_MS, Math.max(MIN_HEARTBEAT_MS, Math.min(intervalMs, ttlMs / 3))),
      ttlMs,
    );
  }

  #take(message: ControlMessage): void {
    const { onLease, onCancel, onDrain, onAcknowledged } = this.#options;
    if (message.lease !== undefined) onLease(message.lease);
    else if (message.cancel !== undefined) onCancel(message.cancel.leaseId, message.cancel.reason);
    else if (message.resultAck !== undefined) {
      onAcknowledged(message.resultAck.leaseId, message.resultAck.accepted);
    } else if (message.drain !== undefined) onDrain(message.drain);
    // Anything else is of a newer version and was not agreed on.
  }
}

/** The heartbeats of one stream. */
class Heartbeats {
  readonly #channel: Channel;
  readonly #call: Call;
  readonly #options: ControlLinkOptions;
  #timer: TimerHandle | undefined;
  #sequence = 0;
  #stopped = false;
  #intervalMs = 0;
  #ttlMs = 0;

  constructor(channel: Channel, call: Call, options: ControlLinkOptions) {
    this.#channel = channel;
    this.#call = call;
    this.#options = options;
  }

  start(intervalMs: number, ttlMs: number): void {
    this.#timer?.cancel();
    this.#intervalMs = intervalMs;
    this.#ttlMs = ttlMs;
    void this.#beat();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimer(this.#intervalMs, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    const { table, load, clock, log } = this.#options;
    // The next one is due whatever becomes of this one.
    this.#schedule();
    try {
      const sentMs = clock.monotonicMs();
      const sent = await this.#call.send({
        heartbeat: { sequence: ++this.#sequence, leases: table.ids(), load: load() },
      });
      if (sent) await this.#confirm(sentMs);
    } catch (error) {
      log.error("A heartbeat could not be sent", { error });
    }
  }

  /**
   * Finds out whether control got a heartbeat. The protocol does not acknowledge them, so a question is sent right behind
   * it on the same connection: whatever its answer, control had the heartbeat before. Without it the worker would not see
   * that its messages get lost until TCP gives up, long after control gave its leases to others.
   */
  async #confirm(sentMs: number): Promise<void> {
    const { table, clock, log } = this.#options;
    try {
      await this.#channel.unary(HealthService.check, { service: "" }, {
        timeoutMs: this.#ttlMs / 2,
        retries: 0,
      });
      table.confirm(sentMs);
    } catch (thrown) {
      const { code } = asBrokkrError(thrown);
      const lost = code === Code.UNAVAILABLE || code === Code.DEADLINE_EXCEEDED || code === Code.CANCELLED;
      if (!lost) return table.confirm(sentMs);
    }
    const silentMs = clock.monotonicMs() - (table.confirmedMs ?? sentMs);
    if (silentMs < this.#ttlMs / 2 || this.#stopped) return;
    log.warn("Control does not answer; connecting anew", { silentMs: Math.round(silentMs) });
    this.#call.cancel();
  }
}
