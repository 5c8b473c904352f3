/**
 * Streaming a file with read-ahead.
 *
 * @module
 */

import { BrokkrError, Code, throwIfAborted } from "@brokkr/common";
import { readFully, type StoreFile } from "./file_layer.ts";

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
  pieceBytes: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let here = new Uint8Array(pieceBytes);
  let ahead: Uint8Array<ArrayBuffer> | undefined;
  const begin = (buffer: Uint8Array, at: number): Promise<number> => {
    const reading = readFully(file, buffer.subarray(0, Math.min(pieceBytes, end - at)), at);
    // Awaited on the next pull; if that never comes, a failure is nobody's.
    reading.catch(() => {});
    return reading;
  };
  let reading = begin(here, start);
  try {
    for (let at = start; at < end; at += pieceBytes) {
      const read = await reading;
      throwIfAborted(signal);
      const wanted = Math.min(pieceBytes, end - at);
      if (read < wanted) {
        throw new BrokkrError(Code.DATA_LOSS, `A blob's file ends ${end - at - read} bytes early`);
      }
      const piece = here.subarray(0, wanted);
      if (at + pieceBytes < end) {
        ahead ??= new Uint8Array(pieceBytes);
        reading = begin(ahead, at + pieceBytes);
        [here, ahead] = [ahead, here];
      }
      yield piece;
    }
  } finally {
    // The file must not be closed under a read.
    await Promise.allSettled([reading]);
  }
}
