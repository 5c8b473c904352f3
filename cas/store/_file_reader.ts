/**
 * Streaming a file with read-ahead.
 *
 * @module
 */

import { BrokkrError, type ByteBudget, type ByteLease, Code, throwIfAborted } from "@brokkr/common";
import { PIECE_BYTES } from "./_checks.ts";
import { readFully, type StoreFile } from "./file_layer.ts";

/** First pieces: little for a reader that may take nothing, */
const FIRST_PIECE_BYTES = 64 << 10;
/** and less when half of the budget is taken already: a fourth of it is enough for as many more readers as there were. */
const CROWDED_PIECE_BYTES = 16 << 10;

/** Whether less than half of a budget is free. */
function isCrowded(budget: ByteBudget): boolean {
  return budget.availableBytes < budget.limitBytes / 2;
}

/**
 * The memory that one reader reads into: little at first, twice as much with every piece that was taken, as long as half
 * of the budget is free. So a thousand readers that stand still leave room for one that does not.
 */
export class ReadRoom implements Disposable {
  readonly #budget: ByteBudget;
  readonly #leases: ByteLease[];
  #pieceBytes: number;

  private constructor(budget: ByteBudget, pieceBytes: number, lease: ByteLease) {
    this.#budget = budget;
    this.#pieceBytes = pieceBytes;
    this.#leases = [lease];
  }

  /** Waits for room to begin with `sizeBytes` to read. */
  static async take(budget: ByteBudget, sizeBytes: number, signal?: AbortSignal): Promise<ReadRoom> {
    const pieceBytes = Math.min(isCrowded(budget) ? CROWDED_PIECE_BYTES : FIRST_PIECE_BYTES, sizeBytes);
    return new ReadRoom(budget, pieceBytes, await budget.acquire(2 * pieceBytes, signal));
  }

  /** How long the next piece may be. */
  get pieceBytes(): number {
    return this.#pieceBytes;
  }

  /** A piece was taken. */
  grow(): void {
    if (this.#pieceBytes >= PIECE_BYTES || isCrowded(this.#budget)) return;
    const lease = this.#budget.tryAcquire(2 * this.#pieceBytes);
    if (lease === undefined) return;
    this.#leases.push(lease);
    this.#pieceBytes *= 2;
  }

  /** Gives all of it back. */
  [Symbol.dispose](): void {
    for (const lease of this.#leases) lease.release();
  }
}

/**
 * Pieces of `[start, end)` of a file, each valid until the next is asked for. While the consumer has one, the next is
 * read into the other of two buffers.
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
  let here = new Uint8Array(room.pieceBytes);
  let ahead: Uint8Array<ArrayBuffer> | undefined;
  const begin = (buffer: Uint8Array, at: number): Promise<number> => {
    const reading = readFully(file, buffer, at);
    // Awaited on the next pull; if that never comes, a failure is nobody's.
    reading.catch(() => {});
    return reading;
  };
  let wanted = Math.min(room.pieceBytes, end - start);
  let reading = begin(here.subarray(0, wanted), start);
  try {
    for (let at = start; at < end;) {
      const read = await reading;
      throwIfAborted(signal);
      if (read < wanted) {
        throw new BrokkrError(Code.DATA_LOSS, `A blob's file ends ${end - at - read} bytes early`);
      }
      const piece = here.subarray(0, wanted);
      at += wanted;
      if (at < end) {
        wanted = Math.min(room.pieceBytes, end - at);
        if (ahead === undefined || ahead.length < wanted) ahead = new Uint8Array(room.pieceBytes);
        reading = begin(ahead.subarray(0, wanted), at);
        [here, ahead] = [ahead, here];
      }
      yield piece;
      room.grow();
    }
  } finally {
    // The file must not be closed under a read.
    await Promise.allSettled([reading]);
  }
}
