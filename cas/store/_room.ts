/**
 * Whether the disk store may take more: below its own limit, and with headroom left on the disk. The headroom is for
 * what must be written even then: the index, the action cache, and the boot epoch, without which control cannot start.
 *
 * Before the limit writers are slowed down, the more the nearer it is, so that making room keeps up with them; at the
 * limit they wait for it.
 *
 * @module
 */

import type { Clock, Logger } from "@brokkr/common";
import type { Digest } from "../digest.ts";
import { neverRoom, noRoom, raiseLimit } from "./_no_room.ts";
import type { FileLayer } from "./file_layer.ts";

/** What a {@linkcode Room} is made of. */
export interface RoomOptions {
  readonly dir: string;
  readonly files: FileLayer;
  readonly maxBytes: number;
  readonly headroomBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Most blobs it may hold. */
  readonly maxBlobs: number;
  /** How long a writer is held up just before the limit, in milliseconds. */
  readonly paceMs: number;
  /** What the store takes on disk now. */
  readonly usedBytes: () => number;
  /** Blobs it holds now. */
  readonly blobs: () => number;
  /** Who makes room. */
  readonly evictor: () => RoomMaker;
  /** Throws when the store is closed: nobody makes room any more. */
  readonly checkOpen: () => void;
}

/** Makes room. */
export interface RoomMaker {
  /** Bytes above which writers are slowed down. */
  readonly highBytes: number;
  /** Why no more room can be made; undefined while it can. */
  readonly shortfall: string | undefined;
  /** Seconds since the last use of what went last; infinite when nothing did. */
  readonly retentionS: number;
  /** Says that there may be something to do. */
  wake(): void;
  /** Says that what was under way has ended, so that there may be more to do than when it looked last. */
  retry(): void;
  /** Resolves when some room was made, or none could be. */
  progress(): Promise<void>;
}

/** What an empty store takes. */
const MIN_BYTES = 64;
/** Longest a writer waits for room, in milliseconds. */
const WAIT_MS = 10_000;
/** Writers are held up no longer than `paceMs`, unless blobs are evicted sooner than so many seconds after their last use; then up to so many times as long. */
const RETENTION_S = 10;
const MAX_HASTE = 20;

/** How old a look at the disk may be, in milliseconds; others fill it too. */
const LOOK_MS = 1000;

/** Reserves bytes for blobs under way. */
export class Room {
  readonly #options: RoomOptions;
  #reservedBytes = 0;
  #reservations = 0;
  readonly #waiting = new Set<{ readonly bytes: number }>();
  #released = Promise.withResolvers<void>();
  /** Free on the disk at the last look. */
  #freeBytes = 0;
  #lookedMs = -Infinity;
  #looking: Promise<void> | undefined;
  /** Reservations given back since then: most of them are on the disk now. */
  #releasedBytes = 0;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /**
   * Sets `bytes` aside until {@linkcode Room.release}; waits for room to be made.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when there is no room for them.
   */
  async reserve(digest: Digest, bytes: number): Promise<void> {
    const { clock, headroomBytes, checkOpen } = this.#options;
    this.#checkFits(digest, bytes);
    await this.#slowDown(bytes);
    const deadlineMs = clock.monotonicMs() + WAIT_MS;
    for (;;) {
      checkOpen();
      if (headroomBytes > 0 && (clock.monotonicMs() - this.#lookedMs >= LOOK_MS || this.#left() < bytes)) {
        await this.#look();
      }
      // From here on at once: no one else may come between the checks and the reservation.
      const problem = this.#problem(bytes);
      if (problem === undefined) break;
      const waiting = { bytes };
      this.#waiting.add(waiting);
      try {
        await this.#wait(digest, problem, deadlineMs);
      } finally {
        this.#waiting.delete(waiting);
      }
    }
    this.#reservedBytes += bytes;
    this.#reservations++;
  }

  /** Bytes that are about to be taken: what was set aside, and the most that somebody waits for. */
  get pendingBytes(): number {
    let most = 0;
    for (const { bytes } of this.#waiting) most = Math.max(most, bytes);
    return this.#reservedBytes + most;
  }

  /** Blobs that are about to come: those under way, and one that is waited with. */
  get pendingBlobs(): number {
    return this.#reservations + (this.#waiting.size > 0 ? 1 : 0);
  }

  /** Gives back what was reserved: it is written, or it failed. */
  release(bytes: number): void {
    this.#reservedBytes -= bytes;
    this.#reservations--;
    this.#releasedBytes += bytes;
    if (this.#waiting.size === 0) return;
    this.#options.evictor().retry();
    const { resolve } = this.#released;
    this.#released = Promise.withResolvers<void>();
    resolve();
  }

  #left(): number {
    return this.#freeBytes - this.#options.headroomBytes - this.#reservedBytes - this.#releasedBytes;
  }

  /** Refuses what would find no place in an empty store. */
  #checkFits(digest: Digest, bytes: number): void {
    const { maxBytes, usedBytes, dir } = this.#options;
    if (bytes + MIN_BYTES <= maxBytes) return;
    throw neverRoom(digest, `the store in ${dir} takes ${usedBytes()} of the ${maxBytes} bytes it may`);
  }

  /** Near the limit writers wait a little, so that making room keeps up. */
  async #slowDown(bytes: number): Promise<void> {
    const { maxBytes, maxBlobs, paceMs, usedBytes, blobs, evictor, clock } = this.#options;
    const maker = evictor();
    const used = usedBytes() + this.#reservedBytes + bytes;
    const high = maker.highBytes;
    if (blobs() + this.#reservations >= maxBlobs * 0.98) maker.wake();
    if (used <= high) return;
    maker.wake();
    const span = Math.min(maxBytes, high / 0.95) - high;
    if (paceMs === 0 || !(span > 0) || maker.shortfall !== undefined) return;
    // What goes after seconds was hardly worth storing: then more time between writers is better than more of them.
    const haste = Math.max(1, Math.min(MAX_HASTE, RETENTION_S / (maker.retentionS + 0.5)));
    const delayMs = paceMs * haste * Math.min(1, (used - high) / span);
    if (delayMs < 1) return;
    // Timers of a clock do not keep a process alive, but who has something to store is not done.
    const alive = setInterval(() => {}, 60_000);
    try {
      const waited = new Promise<void>((resolve) => clock.setTimer(delayMs, resolve));
      await (haste > 1 ? waited : Promise.race([waited, maker.progress()]));
    } finally {
      clearInterval(alive);
    }
  }

  /** What stands in the way of `bytes` more. */
  #problem(bytes: number): string | undefined {
    const { maxBytes, maxBlobs, usedBytes, blobs, dir, headroomBytes } = this.#options;
    const used = usedBytes() + this.#reservedBytes;
    if (used + bytes > maxBytes) return `the store in ${dir} takes ${used} of the ${maxBytes} bytes it may`;
    if (blobs() + this.#reservations + 1 > maxBlobs) {
      return `the store in ${dir} holds ${blobs()} of the ${maxBlobs} blobs it may`;
    }
    if (headroomBytes > 0 && this.#left() < bytes) {
      return `No space left on the disk of ${dir} (${headroomBytes} bytes are kept free)`;
    }
    return undefined;
  }

  /** Waits until some room is made; throws when none can be, or not in time. */
  async #wait(digest: Digest, problem: string, deadlineMs: number): Promise<void> {
    const { clock, evictor } = this.#options;
    const maker = evictor();
    const progress = maker.progress();
    maker.wake();
    const leftMs = deadlineMs - clock.monotonicMs();
    const late = leftMs <= 0;
    // What others are about to store may go as soon as it is stored.
    const hopeless = late || this.#reservations === 0 ? maker.shortfall : undefined;
    const why = hopeless ?? (late ? "room is made, but not as fast as it is asked for" : undefined);
    if (why !== undefined) {
      const advice = problem.startsWith("No space left")
        ? "free some or give it a larger disk"
        : raiseLimit(problem.includes(" blobs ") ? "blobs" : "bytes");
      throw noRoom(digest, problem, why, advice);
    }
    const timeout = Promise.withResolvers<void>();
    using _timer = clock.setTimer(leftMs, timeout.resolve);
    await Promise.race([progress, this.#released.promise, timeout.promise]);
  }

  #look(): Promise<void> {
    return this.#looking ??= this.#measure().finally(() => this.#looking = undefined);
  }

  async #measure(): Promise<void> {
    const { files, dir, clock, log } = this.#options;
    const releasedBefore = this.#releasedBytes;
    try {
      this.#freeBytes = await files.freeBytes(dir);
    } catch (error) {
      // A disk that cannot say how full it is may be written until it says that it is full.
      log.warn("Cannot see how much of the disk is free", { dir, error });
      this.#freeBytes = Infinity;
    }
    this.#releasedBytes -= releasedBefore;
    this.#lookedMs = clock.monotonicMs();
  }
}
