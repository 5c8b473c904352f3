/**
 * The leases of a worker, as a state machine without clock or network: what it may take, what it tells control of, and
 * when it must give up.
 *
 * @module
 */

import type { Init, LeaseResult } from "@brokkr/proto";

/** What becomes of a lease that control sends. */
export type TakeAnswer =
  /** It is to be executed. */
  | "run"
  /** It is held already; control sent it twice. */
  | "held"
  /** Every slot is in use; control should not have sent it. */
  | "full"
  /** The worker takes no more leases. */
  | "draining";

interface Held {
  /** Undefined while it runs. */
  result: Init<LeaseResult> | undefined;
}

/**
 * The leases a worker holds: those it runs, and those whose results control has not acknowledged.
 *
 * A lease lives at control for a while after the last heartbeat that control got. The worker knows of a heartbeat that
 * control got it when control answers something that was sent later. Counted from the sending of the last such
 * heartbeat, the worker's own time runs out before control's does, whatever was lost on the way.
 */
export class LeaseTable {
  readonly #slots: number;
  readonly #held = new Map<string, Held>();
  #running = 0;
  #draining = false;
  #confirmedMs: number | undefined;
  #ttlMs = Infinity;

  /** A table for a worker that runs `slots` actions at once. */
  constructor(slots: number) {
    this.#slots = slots;
  }

  /** How many run now. */
  get running(): number {
    return this.#running;
  }

  /** How many are held, running or not acknowledged. */
  get size(): number {
    return this.#held.size;
  }

  /** Whether it takes no more leases. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Every lease held, for Hello and heartbeats. */
  ids(): string[] {
    return [...this.#held.keys()];
  }

  /** Takes a lease, or says why not. */
  take(leaseId: string): TakeAnswer {
    if (this.#held.has(leaseId)) return "held";
    if (this.#draining) return "draining";
    if (this.#running >= this.#slots) return "full";
    this.#held.set(leaseId, { result: undefined });
    this.#running++;
    return "run";
  }

  /** Notes how a lease ended. False when it was given up meanwhile: then nobody is to be told. */
  finish(leaseId: string, result: Init<LeaseResult>): boolean {
    const held = this.#held.get(leaseId);
    if (held === undefined || held.result !== undefined) return false;
    held.result = result;
    this.#running--;
    return true;
  }

  /** Control has the result. */
  acknowledge(leaseId: string): void {
    const held = this.#held.get(leaseId);
    if (held?.result !== undefined) this.#held.delete(leaseId);
  }

  /** Gives a lease up. True when it was running, and is to be killed. */
  drop(leaseId: string): boolean {
    const held = this.#held.get(leaseId);
    if (held === undefined) return false;
    this.#held.delete(leaseId);
    if (held.result !== undefined) return false;
    this.#running--;
    return true;
  }

  /** Results that were not acknowledged; they are sent again on a new stream. */
  unacknowledged(): Init<LeaseResult>[] {
    const results: Init<LeaseResult>[] = [];
    for (const { result } of this.#held.values()) if (result !== undefined) results.push(result);
    return results;
  }

  /** Takes no more leases from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** Control welcomed the worker, whose Hello was sent at `sentMs`; leases live `ttlMs` without a heartbeat. */
  welcomed(sentMs: number, ttlMs: number): void {
    this.#ttlMs = ttlMs;
    this.confirm(sentMs);
  }

  /** Control is known to have got the heartbeat that was sent at `sentMs`. */
  confirm(sentMs: number): void {
    if (this.#confirmedMs === undefined || sentMs > this.#confirmedMs) this.#confirmedMs = sentMs;
  }

  /** When the last heartbeat that control is known to have was sent. */
  get confirmedMs(): number | undefined {
    return this.#confirmedMs;
  }

  /** When running actions must be killed unless a later heartbeat is confirmed before; Infinity when none is held. */
  deadlineMs(): number {
    if (this.#held.size === 0 || this.#confirmedMs === undefined) return Infinity;
    return this.#confirmedMs + this.#ttlMs - killMarginMs(this.#ttlMs);
  }

  /** Gives up every lease when the deadline has passed; the ids of those that are to be killed. */
  expire(nowMs: number): string[] {
    if (nowMs < this.deadlineMs()) return [];
    return this.ids().filter((leaseId) => this.drop(leaseId));
  }
}

/** How long before control lets a lease go the worker kills: killing a whole tree takes some milliseconds. */
export function killMarginMs(ttlMs: number): number {
  return Math.min(5000, ttlMs / 4);
}
