/**
 * What travels on the wire: messages, their codecs, and the services. `gen/` is made from the .proto files beside it
 * by `deno task gen`.
 *
 * Decoded messages are plain objects. Scalars, repeated fields and maps are always there, with their defaults;
 * messages and members of a oneof are `undefined` when they did not come. 64-bit integers are numbers. `bytes` are
 * views into what was decoded.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { DigestCodec } from "@brokkr/proto";
 * const bytes = DigestCodec.encode({ hash: "ab", sizeBytes: 0 });
 * assertEquals(bytes, new Uint8Array([0x0a, 2, 0x61, 0x62]));
 * assertEquals(DigestCodec.decode(bytes), { hash: "ab", sizeBytes: 0 });
 * ```
 *
 * @module
 */

export {
  type Codec,
  type Init,
  type InPlaceEncoder,
  malformed,
  type Method,
  method,
  type MethodKind,
} from "./codec.ts";
export * from "./gen/messages.ts";
export * from "./gen/services.ts";
export * from "./raw/batch.ts";
export * from "./raw/byte_stream.ts";
export * from "./raw/find_missing.ts";
export * from "./raw/methods.ts";
export { readText, tagOf, textSize, varintSize, WireType } from "./raw/wire.ts";
export * from "./raw/wire_reader.ts";
export * from "./raw/wire_writer.ts";
