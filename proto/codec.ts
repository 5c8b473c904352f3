/**
 * What a codec and a method are, and how the generated ones are made.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { MessageReader, MessageWriter } from "./_runtime.ts";

/**
 * What may be left out when a message is built: any field, at any depth. What is left out has its default.
 *
 * @example
 * ```ts
 * import type { Directory, Init } from "@brokkr/proto";
 * const directory: Init<Directory> = { files: [{ name: "a.txt", digest: { hash: "ab", sizeBytes: 3 } }] };
 * ```
 */
export type Init<T> = T extends ArrayBufferView | string | number | boolean | undefined ? T
  : T extends readonly (infer Element)[] ? readonly Init<Element>[]
  : T extends object ? { readonly [Key in keyof T]?: Init<T[Key]> }
  : T;

/** Turns messages into bytes and back. `T` is what decoding gives, `I` what encoding takes. */
export interface Codec<T, I = T> {
  /**
   * The message's bytes: canonical proto3, defaults left out and fields in the order of their numbers.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when a value has no place on the wire.
   */
  encode(message: I): Uint8Array;
  /**
   * The message in the bytes. Its `bytes` fields are views into them: copy what is to be kept.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are no such message.
   */
  decode(bytes: Uint8Array): T;
  /** Encodes to where the bytes are wanted; a codec of messages that are large and many has it. */
  readonly inPlace?: InPlaceEncoder<I>;
}

/** Encodes without memory of its own. */
export interface InPlaceEncoder<I> {
  /** How many bytes a message becomes. */
  sizeOf(message: I): number;
  /** Writes a message to `target`, which is as long as {@linkcode InPlaceEncoder.sizeOf} says. */
  encodeInto(message: I, target: Uint8Array): void;
}

/** Which sides of a method stream. */
export type MethodKind = "unary" | "serverStream" | "clientStream" | "bidi";

/** One call of a service: its names, its kind, and the codecs of what travels. */
export interface Method<Req, Res, ReqInit = Req, ResInit = Res> {
  /** `/package.Service/Method`, as HTTP/2 carries it. */
  readonly path: string;
  /** `package.Service`. */
  readonly service: string;
  /** `Method`. */
  readonly name: string;
  /** Which sides stream. */
  readonly kind: MethodKind;
  /** Codec of what the client sends. */
  readonly request: Codec<Req, ReqInit>;
  /** Codec of what the server sends. */
  readonly response: Codec<Res, ResInit>;
}

/** A generated codec, as it is before {@linkcode messageCodec} wraps it. */
export interface StaticMessage {
  /** Appends the message's fields. */
  encode(message: object, writer: MessageWriter): unknown;
  /** Reads fields to the reader's end. */
  decode(reader: MessageReader): unknown;
}

/** Past this many bytes a writer is dropped after use, so that one large message does not hold memory for good. */
const KEPT_WRITER_BYTES = 1 << 20;

let writer = new MessageWriter();

/** Wraps a generated codec: errors become {@linkcode BrokkrError}s, and one writer serves all. */
export function messageCodec<T>(fullName: string, inner: StaticMessage): Codec<T, Init<T>> {
  return {
    encode(message) {
      const scratch = writer;
      scratch.reset();
      inner.encode(message as object, scratch);
      const bytes = scratch.finish().slice();
      if (scratch.bytes.length > KEPT_WRITER_BYTES) writer = new MessageWriter();
      return bytes;
    },
    decode(bytes) {
      try {
        return inner.decode(new MessageReader(plain(bytes), fullName)) as T;
      } catch (error) {
        throw malformed(fullName, error);
      }
    },
  };
}

/** The error for bytes that are not the message they should be: a BrokkrError with INVALID_ARGUMENT, `cause` itself if it is one. */
export function malformed(fullName: string, cause: unknown): Error {
  if (cause instanceof BrokkrError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BrokkrError(Code.INVALID_ARGUMENT, `Malformed ${fullName} message: ${why}`, { cause });
}

/** The same bytes without the Buffer class, so that views of them behave as `Uint8Array`s do everywhere. */
export function plain(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Makes a {@linkcode Method}. */
export function method<Req, Res, ReqInit, ResInit>(
  service: string,
  name: string,
  kind: MethodKind,
  request: Codec<Req, ReqInit>,
  response: Codec<Res, ResInit>,
): Method<Req, Res, ReqInit, ResInit> {
  return { path: `/${service}/${name}`, service, name, kind, request, response };
}
