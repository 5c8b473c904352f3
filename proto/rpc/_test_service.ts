/**
 * A small service for the tests of this layer: raw bytes in and out, so that a test sees exactly what travels.
 *
 * @module
 */

import type { Codec, Method, MethodKind } from "../codec.ts";

/** Bytes as they are. */
export const bytesCodec: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes };

/** UTF-8 text. */
export const textCodec: Codec<string> = {
  encode: (text) => new TextEncoder().encode(text),
  decode: (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
};

function make<T>(name: string, kind: MethodKind, codec: Codec<T>): Method<T, T> {
  return { path: `/test.Echo/${name}`, service: "test.Echo", name, kind, request: codec, response: codec };
}

/** One method of each kind, for text and for bytes. */
export const Echo = {
  unary: make("Unary", "unary", textCodec),
  serverStream: make("ServerStream", "serverStream", textCodec),
  clientStream: make("ClientStream", "clientStream", textCodec),
  bidi: make("Bidi", "bidi", textCodec),
  bytes: make("Bytes", "unary", bytesCodec),
  bytesDown: make("BytesDown", "serverStream", bytesCodec),
  bytesUp: make("BytesUp", "clientStream", bytesCodec),
  bytesBoth: make("BytesBoth", "bidi", bytesCodec),
  unregistered: make("Unregistered", "unary", textCodec),
} as const;
