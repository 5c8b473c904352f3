/**
 * Compressed messages. grpc-js unfolds every message of a piece of data as soon as it is there, so that a few KiB from each
 * of a few hundred calls become gigabytes that nobody counted. Here a message stays as it came until its reader wants it
 * and the byte budget has room for the largest that it may become.
 *
 * @module
 */

import type { Transform } from "node:stream";
import { createGunzip, createInflate } from "node:zlib";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { BrokkrError, Code, invalidArgument, Semaphore } from "@brokkr/common";
import { asPlain } from "./_outbox.ts";

/** What a server says in `grpc-accept-encoding`. */
export const ACCEPTED_ENCODINGS = "identity,deflate,gzip";

/** Key of that header. */
export const ACCEPT_ENCODING_KEY = "grpc-accept-encoding";

/** Flag and length before each message. */
const PREFIX_BYTES = 5;

const UNFOLD: Readonly<Record<string, () => Transform>> = { gzip: createGunzip, deflate: createInflate };

/** Messages unfolded at once in the process: more would not be faster, and what they leave behind piles up. */
const turns = new Semaphore(2);

/** Encodings of messages, as `grpc-encoding` names them. */
export type Encoding = "gzip" | "deflate";

/**
 * How the messages of a call may be compressed; undefined when they are not. When they are, the call delivers them from
 * now on as they came, with their prefix: {@linkcode unfold} reads them.
 *
 * @throws {BrokkrError} UNIMPLEMENTED for an encoding that is not known here.
 */
export function takeEncoding(call: ServerInterceptingCallInterface): Encoding | undefined {
  const encoding: unknown = Reflect.get(call, "incomingEncoding");
  if (encoding === "identity") return undefined;
  if (encoding !== "gzip" && encoding !== "deflate") {
    throw new BrokkrError(
      Code.UNIMPLEMENTED,
      `Messages compressed as "${String(encoding).slice(0, 64)}" cannot be read; send ${ACCEPTED_ENCODINGS}`,
    );
  }
  Reflect.set(call, "decompressMessage", (message: Uint8Array) => message);
  return encoding;
}

/** Whether a message with its prefix is compressed. */
export function isFolded(message: Uint8Array): boolean {
  return message[0] !== 0;
}

/** The content of a message that is not compressed. */
export function unprefixed(message: Uint8Array): Uint8Array {
  return message.subarray(PREFIX_BYTES);
}

/** Does `work`, which unfolds a message, when it is its turn. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  using _turn = await turns.acquire();
  return await work();
}

/**
 * The content of a compressed message with its prefix.
 *
 * @throws {BrokkrError} RESOURCE_EXHAUSTED when it is larger than `limitBytes`, INVALID_ARGUMENT when it is not what its
 * encoding says.
 */
export async function unfold(
  message: Uint8Array,
  encoding: Encoding,
  limitBytes: number,
): Promise<Uint8Array> {
  const stream = UNFOLD[encoding]();
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    stream.end(unprefixed(message));
    for await (const part of stream as AsyncIterable<Uint8Array>) {
      sizeBytes += part.byteLength;
      if (sizeBytes > limitBytes) {
        throw new BrokkrError(
          Code.RESOURCE_EXHAUSTED,
          `A compressed message of ${message.byteLength} bytes is larger than ${limitBytes} bytes; send smaller ones`,
        );
      }
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof BrokkrError) throw error;
    throw invalidArgument("message", `A message is said to be ${encoding} and is not, or not to its end`);
  } finally {
    stream.destroy();
  }
  if (parts.length === 1) return asPlain(parts[0]);
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
