/**
 * Memory for large messages on their way out, used again and again. grpc-js copies each message into a new buffer, as an
 * encoder does before it: what is garbage a moment later is hundreds of MB in every second of a busy server, all of it
 * outside of V8's heap, whose collector takes its time with that.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Bytes before each gRPC message: a flag and its length. */
const PREFIX_BYTES = 5;
/** A message is a power of two of data with a little before it. */
const MORE_BYTES = 64;
const MIN_POWER = 14;
const MAX_POWER = 22;
/** Most that is kept for later, in bytes. */
const KEPT_BYTES = 4 << 20;

/** Buffers that nobody uses, by the power of two of their size. */
const free: Uint8Array<ArrayBuffer>[][] = Array.from({ length: MAX_POWER + 1 }, () => []);
let freeBytes = 0;

/** A gRPC message as it goes on the wire, in memory that {@linkcode Frame.release} takes back. */
export class Frame {
  /** Prefix and message. */
  readonly bytes: Buffer;
  #memory: Uint8Array<ArrayBuffer> | undefined;

  /** Room for a message of `sizeBytes`. */
  constructor(sizeBytes: number) {
    const power = Math.max(
      MIN_POWER,
      Math.ceil(Math.log2(Math.max(1, sizeBytes + PREFIX_BYTES - MORE_BYTES))),
    );
    const memory = free[power]?.pop();
    if (memory !== undefined) freeBytes -= memory.length;
    const here = this.#memory = memory ?? new Uint8Array(2 ** power + MORE_BYTES);
    this.bytes = Buffer.from(here.buffer, 0, PREFIX_BYTES + sizeBytes);
    this.bytes[0] = 0; // not compressed
    this.bytes.writeUInt32BE(sizeBytes, 1);
  }

  /** Where the message goes: all of it must be written, as another message was there before. */
  get message(): Uint8Array {
    return this.bytes.subarray(PREFIX_BYTES);
  }

  /** Nothing reads it any more: its memory is used again. */
  release(): void {
    const memory = this.#memory;
    this.#memory = undefined;
    if (memory === undefined || freeBytes + memory.length > KEPT_BYTES) return;
    const list = free[Math.log2(memory.length - MORE_BYTES)];
    if (list === undefined) return;
    list.push(memory);
    freeBytes += memory.length;
  }
}
