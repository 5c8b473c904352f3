/**
 * Every operation from its first moment: those whose action is being looked up and checked, of which the scheduler has
 * not heard yet, and the scheduler's own. A client that was told a name can come back with it at any time.
 *
 * @module
 */

import { cancelled, type OperationName, resourceExhausted, type Scope, scopeKey } from "@brokkr/common";
import { failedEnd, type Grid, type GridEvent } from "./grid.ts";
import type { ExecuteEnd, OperationRecord } from "./operation_record.ts";

/** Operations that are checked at a time, and what holding them may cost, in bytes. */
const MAX_CHECKING = 100_000;
const MAX_CHECKING_BYTES = 64 << 20;
const RETRY_MS = 1000;

type SubmitEvent = Extract<GridEvent, { type: "submit" }>;

interface Checking {
  readonly record: OperationRecord;
  readonly sizeBytes: number;
  watchers: number;
}

/** The operations of a grid. */
export class Operations {
  readonly #grid: Grid;
  readonly #checking = new Map<OperationName, Checking>();
  #checkingBytes = 0;

  /** The operations of `grid`. */
  constructor(grid: Grid) {
    this.#grid = grid;
  }

  /**
   * Takes in a new operation, with one watcher. It stays here until it is submitted, finished or dropped.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when too many are being checked.
   */
  begin(record: OperationRecord): void {
    const { sizeBytes } = record;
    if (this.#checking.size >= MAX_CHECKING || this.#checkingBytes + sizeBytes > MAX_CHECKING_BYTES) {
      throw resourceExhausted(
        `${this.#checking.size} actions are being looked up and checked, as many as may; try again soon`,
        RETRY_MS,
      );
    }
    this.#checkingBytes += sizeBytes;
    this.#checking.set(record.name, { record, sizeBytes, watchers: 1 });
  }

  /** An operation that is unfinished or can still be waited for, if `scope` may see it. */
  find(name: string, scope: (instance: string) => Scope): OperationRecord | undefined {
    const known = name as OperationName;
    const record = this.#checking.get(known)?.record ?? this.#grid.record(known);
    if (record === undefined) return undefined;
    const { scope: own } = record.init;
    return scopeKey(scope(own.instance)) === scopeKey(own) ? record : undefined;
  }

  /** Those that were begun before the one of sequence number `before`, newest first. */
  *newestFirst(before = Infinity): Generator<OperationRecord, void, undefined> {
    // One that was checked for long was begun before others that are the grid's already.
    const checking = [...this.#checking.values()].filter(({ record }) => record.init.sequence < before);
    let next = checking.pop();
    for (const record of this.#grid.newestFirst(before)) {
      for (; next !== undefined && next.record.init.sequence >= record.init.sequence; next = checking.pop()) {
        // Handed over since we began, it comes from the grid.
        if (next.record !== record) yield next.record;
      }
      yield record;
    }
    for (; next !== undefined; next = checking.pop()) yield next.record;
  }

  /** Whether it is still being checked: false once it was cancelled meanwhile. */
  isChecking(record: OperationRecord): boolean {
    return this.#checking.has(record.name);
  }

  /** Somebody follows it. */
  watch(record: OperationRecord): void {
    const checking = this.#checking.get(record.name);
    if (checking !== undefined) checking.watchers++;
    else this.#grid.post({ type: "watch", operation: record.name });
  }

  /** Somebody follows it no more. */
  unwatch(record: OperationRecord): void {
    const checking = this.#checking.get(record.name);
    if (checking !== undefined) checking.watchers--;
    else this.#grid.post({ type: "unwatch", operation: record.name });
  }

  /** Somebody asked how it is, which is a way of watching, too: clients that poll must not lose it. */
  renew(record: OperationRecord): void {
    if (record.end !== undefined) return;
    this.watch(record);
    this.unwatch(record);
  }

  /** Hands a checked operation to the scheduler. */
  submit(record: OperationRecord, event: Omit<SubmitEvent, "type" | "operation">): void {
    this.#handOver(record, { type: "submit", operation: record.name, ...event });
  }

  /** Ends an operation that needs no worker; it can be waited for all the same. */
  finish(record: OperationRecord, end: ExecuteEnd): void {
    record.finish(end);
    this.#handOver(record, { type: "cached", operation: record.name, sizeBytes: record.sizeBytes });
  }

  /** Forgets an operation that is being checked; those who follow it must have been told why. */
  drop(record: OperationRecord): void {
    this.#take(record);
  }

  /** Cancels it for all who follow it; one that has finished stays as it is. */
  cancel(record: OperationRecord, reason: string): void {
    if (this.isChecking(record)) this.finish(record, failedEnd(cancelled(reason)));
    else this.#grid.post({ type: "cancel", operation: record.name, reason });
  }

  #take(record: OperationRecord): number {
    const checking = this.#checking.get(record.name);
    if (checking === undefined) return 0;
    this.#checking.delete(record.name);
    this.#checkingBytes -= checking.sizeBytes;
    return checking.watchers;
  }

  /** The scheduler begins with one watcher. */
  #handOver(record: OperationRecord, event: Extract<GridEvent, { type: "submit" | "cached" }>): void {
    const watchers = this.#take(record);
    this.#grid.add(record);
    this.#grid.post(event);
    const { name: operation } = record;
    if (watchers === 0) this.#grid.post({ type: "unwatch", operation });
    for (let more = 1; more < watchers; more++) this.#grid.post({ type: "watch", operation });
  }
}
