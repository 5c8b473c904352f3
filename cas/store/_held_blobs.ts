/**
 * What a memory store holds, within its limits: what goes to make room is said by the same plan as on disk.
 *
 * @module
 */

import type { Clock } from "@brokkr/common";
import { type Digest, type DigestFunction, digestKey } from "../digest.ts";
import {
  type EvictionGoal,
  type EvictionMoment,
  EvictionSurvey,
  pinKind,
  PROMISED_SHARE,
} from "./_eviction_plan.ts";
import { ALL_PROMISED, neverRoom, noRoom, raiseLimit, tooManyPins } from "./_no_room.ts";
import { StoreTime } from "./_store_time.ts";

/** Made beyond what is needed, so that not every blob at the limit makes the store look for what may go. */
const SPARE_SHARE = 0.05;
/** Interrupted uploads that take more than this share make room before blobs do. */
const UPLOADS_SHARE = 0.25;
/** Longest that somebody waits for others to end who are about to store something, in milliseconds. */
const WAIT_MS = 10_000;
/** How long it does not look again when nothing may go. */
const REST_MS = 1000;

/** Limits and surroundings. */
export interface HeldBlobsOptions {
  readonly maxBytes: number;
  readonly maxBlobs: number;
  readonly promiseMs: number;
  readonly clock: Clock;
  /** What interrupted uploads take. */
  readonly uploadBytes: () => number;
  /** Drops the oldest of those; false when there is none. */
  readonly dropUpload: () => boolean;
}

/** Room that was made for a blob, until it is stored or given back. */
export interface Reservation extends Disposable {
  /** The blob. */
  readonly digest: Digest;
}

interface Held {
  readonly data: Uint8Array;
  usedS: number;
  pinnedUntilMs: number;
}

/** The blobs. */
export class HeldBlobs {
  readonly #options: HeldBlobsOptions;
  readonly #time: StoreTime;
  /** Maps iterate in order of insertion: what was not used for longest stands first. */
  readonly #blobs = new Map<string, Held>();
  #bytes = 0;
  #reservedBytes = 0;
  #reservations = 0;
  #departures = 0;
  #restUntilMs = -Infinity;
  #changed = Promise.withResolvers<void>();

  constructor(options: HeldBlobsOptions) {
    this.#options = options;
    this.#time = new StoreTime(options.clock);
  }

  /** How many are held. */
  get count(): number {
    return this.#blobs.size;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Increases whenever blobs went. */
  get departures(): number {
    return this.#departures;
  }

  /** A blob of exactly this size, without using it. */
  peek(digest: Digest): Uint8Array | undefined {
    const held = this.#blobs.get(digestKey(digest));
    return held?.data.length === digest.sizeBytes ? held.data : undefined;
  }

  /** How large the blob of this hash is, without using it. */
  sizeOf(fn: DigestFunction, hash: string): number | undefined {
    return this.#blobs.get(digestKey({ fn, hash }))?.data.length;
  }

  /** As {@linkcode HeldBlobs.peek}; that counts as a use, and pins for `pinMs`. */
  use(digest: Digest, pinMs = 0): Uint8Array | undefined {
    const key = digestKey(digest);
    const held = this.#blobs.get(key);
    if (held?.data.length !== digest.sizeBytes) return undefined;
    this.#blobs.delete(key);
    this.#blobs.set(key, held);
    held.usedS = this.#time.now();
    if (pinMs > 0) {
      held.pinnedUntilMs = Math.max(held.pinnedUntilMs, this.#options.clock.monotonicMs() + pinMs);
    }
    return held.data;
  }

  /** Ends the pins of a blob. */
  unpin(digest: Digest): void {
    const held = this.#blobs.get(digestKey(digest));
    if (held !== undefined) held.pinnedUntilMs = 0;
  }

  /**
   * Checks that these can be pinned for longer than promises last.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when pins would take more than their share of the store.
   */
  checkPins(digests: readonly Digest[]): void {
    const { maxBytes } = this.#options;
    const moment = this.#moment();
    let { bytes } = this.#survey(moment).pinned;
    for (const digest of digests) {
      // A pin that is only renewed has been counted.
      if (pinKind(this.#blobs.get(digestKey(digest))?.pinnedUntilMs ?? 0, moment) === "hand") continue;
      bytes += this.peek(digest)?.length ?? 0;
    }
    const shareBytes = Math.floor(maxBytes * PROMISED_SHARE);
    if (bytes > shareBytes) throw tooManyPins(bytes, shareBytes, maxBytes);
  }

  /**
   * Makes room for a blob, waiting for others who are about to store something.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when none can be made.
   */
  async reserve(digest: Digest): Promise<Reservation> {
    const { clock, maxBytes } = this.#options;
    if (digest.sizeBytes > maxBytes) throw neverRoom(digest, this.#bytesProblem());
    const untilMs = clock.monotonicMs() + WAIT_MS;
    for (let problem = this.#makeRoom(digest); problem !== undefined; problem = this.#makeRoom(digest)) {
      const leftMs = untilMs - clock.monotonicMs();
      if (this.#reservations === 0 || leftMs <= 0) {
        const why = this.#reservations === 0
          ? ALL_PROMISED
          : "the room is taken by uploads that are under way";
        throw noRoom(digest, problem, why, raiseLimit(problem.includes(" blobs ") ? "blobs" : "bytes"));
      }
      const timeout = Promise.withResolvers<void>();
      using _timer = clock.setTimer(leftMs, timeout.resolve);
      await Promise.race([this.#changed.promise, timeout.promise]);
    }
    this.#reservedBytes += digest.sizeBytes;
    this.#reservations++;
    let given = false;
    const giveBack = () => {
      if (given) return;
      given = true;
      this.#reservedBytes -= digest.sizeBytes;
      this.#reservations--;
      this.#tell();
    };
    return { digest, [Symbol.dispose]: giveBack };
  }

  /** Keeps a blob in the room that was made for it. */
  keep(reservation: Reservation, data: Uint8Array): void {
    const { digest } = reservation;
    reservation[Symbol.dispose]();
    if (this.use(digest) !== undefined) return;
    this.#blobs.set(digestKey(digest), { data, usedS: this.#time.now(), pinnedUntilMs: 0 });
    this.#bytes += data.length;
    // Unlike what is under way it may go.
    this.#restUntilMs = -Infinity;
  }

  /** Drops a blob. */
  delete(digest: Digest): boolean {
    if (this.peek(digest) === undefined) return false;
    this.#drop(digestKey(digest), digest.sizeBytes);
    return true;
  }

  /** Drops all. */
  clear(): void {
    this.#blobs.clear();
    this.#bytes = 0;
  }

  /** Makes room; what is in the way when there is none. */
  #makeRoom({ sizeBytes }: Digest): string | undefined {
    const { maxBytes, maxBlobs, clock, uploadBytes, dropUpload } = this.#options;
    const bytes = () => this.#bytes + this.#reservedBytes + uploadBytes() + sizeBytes - maxBytes;
    const blobs = () => this.#blobs.size + this.#reservations + 1 - maxBlobs;
    while (bytes() > 0 && uploadBytes() > maxBytes * UPLOADS_SHARE && dropUpload());
    if ((bytes() > 0 || blobs() > 0) && clock.monotonicMs() >= this.#restUntilMs) {
      this.#evict({ bytes: Math.max(0, bytes()), blobs: Math.max(0, blobs()), limitBytes: maxBytes });
    }
    while (bytes() > 0 && dropUpload());
    if (bytes() > 0) return this.#bytesProblem();
    if (blobs() > 0) return `the store in memory holds ${this.#blobs.size} of the ${maxBlobs} blobs it may`;
    return undefined;
  }

  #bytesProblem(): string {
    const used = this.#bytes + this.#reservedBytes + this.#options.uploadBytes();
    return `the store in memory takes ${used} of the ${this.#options.maxBytes} bytes it may`;
  }

  #evict(need: EvictionGoal): void {
    const { maxBytes, maxBlobs } = this.#options;
    const moment = this.#moment();
    const goal = {
      bytes: need.bytes === 0 ? 0 : need.bytes + Math.floor(maxBytes * SPARE_SHARE),
      blobs: need.blobs === 0 ? 0 : need.blobs + Math.floor(maxBlobs * SPARE_SHARE),
      limitBytes: maxBytes,
    };
    const { verdict } = this.#survey(moment).rule(goal);
    let bytes = 0;
    let blobs = 0;
    for (const [key, { data, usedS, pinnedUntilMs }] of this.#blobs) {
      if (bytes >= goal.bytes && blobs >= goal.blobs) break;
      if (verdict(usedS, pinnedUntilMs) === "keep") continue;
      bytes += data.length;
      blobs++;
      this.#drop(key, data.length);
    }
    if (blobs === 0) this.#restUntilMs = moment.nowMs + REST_MS;
  }

  #survey(moment: EvictionMoment): EvictionSurvey {
    const survey = new EvictionSurvey(moment);
    for (const { data, usedS, pinnedUntilMs } of this.#blobs.values()) {
      survey.add(data.length, usedS, pinnedUntilMs);
    }
    return survey;
  }

  #moment(): EvictionMoment {
    const { clock, promiseMs } = this.#options;
    return { nowS: this.#time.now(), nowMs: clock.monotonicMs(), promiseMs };
  }

  #drop(key: string, bytes: number): void {
    this.#blobs.delete(key);
    this.#bytes -= bytes;
    this.#departures++;
    this.#restUntilMs = -Infinity;
    this.#tell();
  }

  #tell(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    resolve();
  }
}
