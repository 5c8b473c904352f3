/**
 * Whether the disk store may take more: below its own limit, and with headroom left on the disk. The headroom is for
 * what must be written even then: the index, the action cache, and the boot epoch, without which control cannot start.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, type Logger, resourceExhausted } from "@brokkr/common";
import { type Digest, formatDigest } from "../digest.ts";
import type { FileLayer } from "./file_layer.ts";

/** What a {@linkcode Room} is made of. */
export interface RoomOptions {
  readonly dir: string;
  readonly files: FileLayer;
  readonly maxBytes: number;
  readonly headroomBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** What the store takes on disk now. */
  readonly usedBytes: () => number;
}

/** How old a look at the disk may be, in milliseconds; others fill it too. */
const LOOK_MS = 1000;
/** When a client may try again that found the disk full. */
const RETRY_MS = 5000;

/** Reserves bytes for blobs under way. */
export class Room {
  readonly #options: RoomOptions;
  #reservedBytes = 0;
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
   * Sets `bytes` aside until {@linkcode Room.release}.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when there is no room for them.
   */
  async reserve(digest: Digest, bytes: number): Promise<void> {
    const { clock, headroomBytes, dir } = this.#options;
    this.#checkLimit(digest, bytes);
    if (headroomBytes > 0) {
      if (clock.monotonicMs() - this.#lookedMs >= LOOK_MS || this.#left() < bytes) await this.#look();
      // From here on at once: no one else may come between the checks and the reservation.
      this.#checkLimit(digest, bytes);
      if (this.#left() < bytes) {
        throw resourceExhausted(
          `No room for blob ${
            formatDigest(digest)
          }: No space left on the disk of ${dir} (${headroomBytes} bytes are ` +
            "kept free); free some or give it a larger disk",
          RETRY_MS,
        );
      }
    }
    this.#reservedBytes += bytes;
  }

  /** Gives back what was reserved: it is written, or it failed. */
  release(bytes: number): void {
    this.#reservedBytes -= bytes;
    this.#releasedBytes += bytes;
  }

  #left(): number {
    return this.#freeBytes - this.#options.headroomBytes - this.#reservedBytes - this.#releasedBytes;
  }

  #checkLimit(digest: Digest, bytes: number): void {
    const { maxBytes, usedBytes, dir } = this.#options;
    const used = usedBytes() + this.#reservedBytes;
    if (used + bytes <= maxBytes) return;
    throw new BrokkrError(
      Code.RESOURCE_EXHAUSTED,
      `No room for blob ${formatDigest(digest)}: the store in ${dir} takes ${used} of the ${maxBytes} ` +
        "bytes it may; raise its limit, cas_max_size",
    );
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
