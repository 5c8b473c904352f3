/**
 * Streaming a file, with read-ahead as long as there are few readers.
 *
 * @module
 */

import { BrokkrError, type ByteBudget, type ByteLease, Code, throwIfAborted } from "@brokkr/common";
import { PIECE_BYTES } from "./_checks.ts";
import { readFully, type StoreFile } from "./file_layer.ts";

/** First pieces, and what a reader may have however many there are: little for one that may take nothing. */
const MIN_PIECE_BYTES = 16 << 10;
/** Part of the budget that readers may have because they are few. */
const SHARED_PART = 1 / 4;

/** How many read with the room of a budget. */
const readers = new WeakMap<ByteBudget, number>();

/**
 * The memory that one reader reads into: little at first, twice as much with every piece that was taken, up to its share
 * of a part of the budget. When readers become many, each gives back what is more than its share. So a thousand that
 * stand still, or take a little now and then, leave room for one that does not.
 */
export class ReadRoom implements Disposable {
  readonly #budget: ByteBudget;
  /** The first is for the smallest piece; each further one doubles what they are together. */
  readonly #leases: ByteLease[];
  #pieceBytes: number;

  private constructor(budget: ByteBudget, pieceBytes: number, lease: ByteLease) {
    this.#budget = budget;
    this.#pieceBytes = pieceBytes;
    this.#leases = [lease];
    readers.set(budget, (readers.get(budget) ?? 0) + 1);
  }

  /** Waits for room to begin with `sizeBytes` to read. */
  static async take(budget: ByteBudget, sizeBytes: number, signal?: AbortSignal): Promise<ReadRoom> {
    const pieceBytes = Math.min(MIN_PIECE_BYTES, sizeBytes);
    return new ReadRoom(budget, pieceBytes, await budget.acquire(pieceBytes, signal));
  }

  /** How long the next piece may be. */
  get pieceBytes(): number {
    return this.#pieceBytes;
  }

  /** Whether there is room for two pieces: one that is used and one that is read meanwhile. */
  get ahead(): boolean {
    return this.#leases.length > 1;
  }

  /** A piece was taken: the next may be longer, or must be shorter. */
  adapt(): void {
    const { limitBytes, availableBytes } = this.#budget;
    const shareBytes = limitBytes * SHARED_PART / Math.max(1, readers.get(this.#budget) ?? 0);
    while (this.#leases.length > 1 && 2 * this.#pieceBytes > shareBytes) {
      this.#leases.pop()?.release();
      if (this.#leases.length > 1) this.#pieceBytes /= 2;
    }
    const longer = this.ahead ? 2 * this.#pieceBytes : this.#pieceBytes;
    // Those who have grown may never ask for another piece, and keep what they have: half is left for who comes.
    if (longer > PIECE_BYTES || 2 * longer > shareBytes || availableBytes < limitBytes / 2) return;
    const lease = this.#budget.tryAcquire(longer);
    if (lease === undefined) return;
    this.#leases.push(lease);
    this.#pieceBytes = longer;
  }

  /** Gives all of it back. */
  [Symbol.dispose](): void {
    if (this.#leases.length === 0) return;
    for (const lease of this.#leases.splice(0)) lease.release();
    readers.set(this.#budget, (readers.get(this.#budget) ?? 1) - 1);
  }
}

/**
 * Pieces of `[start, end)` of a file, each valid until the next is asked for. With room for that the next is read into the
 * other of two buffers while the consumer has one.
 *
 * @throws {BrokkrError} DATA_LOSS when the file ends before `end`.
 */
export async function* readPieces(
  file: StoreFile,
  start: number,
  end: number,
  room: ReadRoom,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let here: Uint8Array<ArrayBuffer> | undefined;
  let ahead: Uint8Array<ArrayBuffer> | undefined;
  let wanted = 0;
  let reading: Promise<number> | undefined;
  /** Begins to read what follows `at`, into the buffer that is not in use. */
  const begin = (at: number): void => {
    const { pieceBytes } = room;
    wanted = Math.min(pieceBytes, end - at);
    const other = ahead?.length === pieceBytes ? ahead : new Uint8Array(pieceBytes);
    [here, ahead] = [other, here];
    reading = readFully(file, other.subarray(0, wanted), at);
    // Awaited on the next pull; if that never comes, a failure is nobody's.
    reading.catch(() => {});
  };
  try {
    for (let at = start; at < end;) {
      if (reading === undefined) begin(at);
      const read = await reading;
      reading = undefined;
      throwIfAborted(signal);
      if (read === undefined || read < wanted) {
        throw new BrokkrError(Code.DATA_LOSS, `A blob's file ends ${end - at - (read ?? 0)} bytes early`);
      }
      const piece = here?.subarray(0, wanted) ?? new Uint8Array();
      at += wanted;
      if (at < end && room.ahead) begin(at);
      yield piece;
      room.adapt();
      // Of two buffers the one that was just given back is used next; without read-ahead it is the only one.
      if (reading === undefined) [here, ahead] = [undefined, here];
    }
  } finally {
    // The file must not be closed under a read.
    await Promise.allSettled([reading]);
  }
}
