/**
 * Uploads that were interrupted, kept for a while so that they can go on.
 *
 * @module
 */

import { type Clock, type Scope, scopeKey, systemClock, type TimerHandle } from "@brokkr/common";
import type { BlobWriter } from "../blob_store.ts";
import { digestKey } from "../digest.ts";
import type { UploadName } from "../resource_name.ts";

/** Limits of {@linkcode Uploads}. */
export interface UploadLimits {
  /** How long an interrupted upload is kept, in milliseconds; 5 minutes by default. */
  readonly keepMs?: number;
  /** How many are kept; 64 by default. */
  readonly maxKept?: number;
  /** How many of their bytes are kept; 4 GiB by default. */
  readonly maxKeptBytes?: number;
  /** Time; the system's by default. */
  readonly clock?: Clock;
}

interface Kept {
  readonly writer: BlobWriter;
  readonly timer: TimerHandle;
}

/** Uploads by name: those under way, and those that were interrupted. */
export class Uploads implements AsyncDisposable {
  readonly #keepMs: number;
  readonly #maxKept: number;
  readonly #maxKeptBytes: number;
  readonly #clock: Clock;
  readonly #active = new Map<string, BlobWriter>();
  readonly #kept = new Map<string, Kept>();
  #keptBytes = 0;
  #closed = false;

  constructor(limits: UploadLimits = {}) {
    this.#keepMs = limits.keepMs ?? 300_000;
    this.#maxKept = limits.maxKept ?? 64;
    this.#maxKeptBytes = limits.maxKeptBytes ?? 4 * 2 ** 30;
    this.#clock = limits.clock ?? systemClock;
  }

  /** Key of an upload. */
  static key(scope: Scope, name: UploadName): string {
    return `${scopeKey(scope)}\n${name.uuid}\n${digestKey(name.digest)}/${name.digest.sizeBytes}`;
  }

  /** Bytes taken so far of an upload that is under way or was interrupted; undefined for others. */
  writtenBytes(key: string): number | undefined {
    return (this.#active.get(key) ?? this.#kept.get(key)?.writer)?.writtenBytes;
  }

  /** Whether a call is writing it now. */
  isActive(key: string): boolean {
    return this.#active.has(key);
  }

  /** How many interrupted uploads are kept. */
  get kept(): number {
    return this.#kept.size;
  }

  /** Takes back an interrupted upload, to go on with it. */
  take(key: string): BlobWriter | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#keptBytes -= kept.writer.writtenBytes;
    kept.timer.cancel();
    return kept.writer;
  }

  /** Notes that a call writes it now. */
  begin(key: string, writer: BlobWriter): void {
    this.#active.set(key, writer);
  }

  /** Notes that the call has ended. */
  end(key: string, writer: BlobWriter): void {
    if (this.#active.get(key) === writer) this.#active.delete(key);
  }

  /** Keeps an interrupted upload, dropping the oldest ones where limits are passed. */
  async keep(key: string, writer: BlobWriter): Promise<void> {
    if (
      this.#closed || writer.writtenBytes === 0 || writer.writtenBytes > this.#maxKeptBytes ||
      this.#kept.has(key)
    ) {
      return await writer.abort();
    }
    const timer = this.#clock.setTimer(this.#keepMs, () => {
      // What an abort leaves behind is the store's to clean up at its next start.
      this.take(key)?.abort().catch(() => undefined);
    });
    this.#kept.set(key, { writer, timer });
    this.#keptBytes += writer.writtenBytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#maxKept && this.#keptBytes <= this.#maxKeptBytes) break;
      await this.take(oldest)?.abort();
    }
  }

  /** Drops all that are kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#kept.keys()].map((key) => this.take(key)?.abort()));
  }
}
