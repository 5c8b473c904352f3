/**
 * Joins the small writes of one turn of the event loop into one. A unary answer is three frames (headers, data, trailers)
 * and otherwise three system calls, which are half of what it costs.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { nextTick } from "node:process";

/** Larger writes go out by themselves; so does what is queued once it reaches this. */
const QUEUE_BYTES = 64 << 10;

type Write = Socket["write"];

/** Makes `socket` collect small writes until the end of the tick. */
export function coalesceWrites(socket: Socket): void {
  const write: Write = socket.write;
  const end: Socket["end"] = socket.end;
  const destroy: Socket["destroy"] = socket.destroy;
  let queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let scheduled = false;

  /** Hands what is queued to the socket; false when it wants no more for now. */
  const flush = (): boolean => {
    if (queue.length === 0) return true;
    const bytes = queue.length === 1 ? queue[0] : Buffer.concat(queue, queuedBytes);
    queue = [];
    queuedBytes = 0;
    return Reflect.apply(write, socket, [bytes]);
  };
  const onTick = () => {
    scheduled = false;
    if (!socket.destroyed) flush();
  };
  socket.write = ((chunk: Uint8Array | string, ...rest: unknown[]): boolean => {
    // Callers that wait for this very write, and large ones, keep their order behind what is queued.
    if (rest.length > 0 || typeof chunk === "string" || chunk.byteLength > QUEUE_BYTES) {
      flush();
      return Reflect.apply(write, socket, [chunk, ...rest]);
    }
    queue.push(Buffer.from(chunk)); // a copy: the HTTP/2 session uses its buffer again
    queuedBytes += chunk.byteLength;
    if (queuedBytes >= QUEUE_BYTES) return flush();
    if (!scheduled) {
      scheduled = true;
      nextTick(onTick);
    }
    // What the tick wrote may have filled the socket, and nobody was told: the next writer is, and waits for "drain".
    return !socket.writableNeedDrain;
  }) as Write;
  socket.end = ((...args: unknown[]) => {
    flush();
    return Reflect.apply(end, socket, args);
  }) as Socket["end"];
  socket.destroy = ((...args: unknown[]) => {
    if (!socket.destroyed) flush();
    return Reflect.apply(destroy, socket, args);
  }) as Socket["destroy"];
}
