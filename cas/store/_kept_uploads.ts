/**
 * Which interrupted uploads are kept: limits of age, number and bytes, the oldest going first.
 *
 * @module
 */

import { type Clock, scopeKey, type TimerHandle } from "@brokkr/common";
import type { UploadId, UploadLimits } from "../blob_store.ts";
import { digestKey } from "../digest.ts";

/** Limits with their defaults. */
export function settleUploadLimits(limits: UploadLimits = {}): Required<UploadLimits> {
  return {
    keepMs: limits.keepMs ?? 3_600_000,
    maxKept: limits.maxKept ?? 256,
    maxKeptBytes: limits.maxKeptBytes ?? 4 * 2 ** 30,
  };
}

/** Key of an upload, unambiguous whatever its parts hold. */
export function uploadKey({ scope, uuid, digest }: UploadId): string {
  return `${digestKey(digest)}/${digest.sizeBytes}\n${uuid.length}:${uuid}${scopeKey(scope)}`;
}

interface Entry<T> {
  readonly value: T;
  readonly bytes: number;
  readonly untilMs: number;
}

/** The uploads kept by one store; `T` is what it keeps of each. */
export class KeptUploads<T> {
  readonly #limits: Required<UploadLimits>;
  readonly #clock: Clock;
  readonly #drop: (key: string, value: T) => void;
  /** The oldest stand first. */
  readonly #entries = new Map<string, Entry<T>>();
  #bytes = 0;
  #timer: TimerHandle | undefined;
  #closed = false;

  /** Calls `drop` for each that is kept no longer. */
  constructor(limits: Required<UploadLimits>, clock: Clock, drop: (key: string, value: T) => void) {
    this.#limits = limits;
    this.#clock = clock;
    this.#drop = drop;
  }

  /** How many are kept. */
  get count(): number {
    return this.#entries.size;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether it has ended: what comes now would never be dropped. */
  get closed(): boolean {
    return this.#closed;
  }

  /** What is kept under `key`. */
  get(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  /**
   * Keeps one that is `ageMs` old; older ones come first. What passes the limits is dropped, and may be this one.
   */
  add(key: string, value: T, bytes: number, ageMs = 0): void {
    if (this.#closed) return;
    this.take(key);
    const untilMs = this.#clock.monotonicMs() + this.#limits.keepMs - ageMs;
    this.#entries.set(key, { value, bytes, untilMs });
    this.#bytes += bytes;
    // One that is too large for all limits must not drive out the others.
    if (bytes > this.#limits.maxKeptBytes) this.#dropKey(key);
    while (this.#entries.size > this.#limits.maxKept || this.#bytes > this.#limits.maxKeptBytes) {
      this.dropOldest();
    }
    this.#expire();
  }

  /** Takes one out, to go on with it. */
  take(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    return entry.value;
  }

  /** Drops the oldest; false when there is none. */
  dropOldest(): boolean {
    for (const key of this.#entries.keys()) {
      this.#dropKey(key);
      return true;
    }
    return false;
  }

  /** Forgets all without dropping them. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#entries.clear();
    this.#bytes = 0;
  }

  #dropKey(key: string): void {
    const value = this.take(key);
    if (value !== undefined) this.#drop(key, value);
  }

  /** Drops what has been kept long enough, and looks again when the next one is due. */
  #expire(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { untilMs }] of this.#entries) {
      if (untilMs > nowMs) {
        this.#timer = this.#clock.setTimer(untilMs - nowMs, () => this.#expire());
        return;
      }
      this.#dropKey(key);
    }
  }
}
