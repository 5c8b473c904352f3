/**
 * ByteStream's messages, whose data is a mebibyte at a time: encoded with one copy, decoded with none.
 *
 * @module
 */

import { type Codec, type Init, plain } from "../codec.ts";
import type { ReadRequest, ReadResponse, WriteRequest, WriteResponse } from "../gen/messages.ts";
import { textSize, varintSize } from "./wire.ts";
import { WireReader } from "./wire_reader.ts";
import { WireWriter } from "./wire_writer.ts";

/** Tag of field 10, `data`, in ReadResponse and WriteRequest. */
const DATA_TAG = 0x52;
const DATA_FIELD = 10;

/** A ReadResponse with room for its data. */
export interface ReservedReadResponse {
  /** The whole message. */
  readonly message: Uint8Array;
  /** Where the data goes: fill all of it. */
  readonly data: Uint8Array;
}

/**
 * Makes a ReadResponse of `length` data bytes, to be filled in place: what is read from a file is then not copied.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { reserveReadResponse } from "@brokkr/proto";
 * const { message, data } = reserveReadResponse(2);
 * data.set([7, 8]);
 * assertEquals(message, new Uint8Array([0x52, 2, 7, 8]));
 * ```
 */
export function reserveReadResponse(length: number): ReservedReadResponse {
  if (length === 0) return { message: new Uint8Array(0), data: new Uint8Array(0) };
  const writer = new WireWriter(1 + varintSize(length) + length);
  writer.header(DATA_FIELD, length);
  return { message: writer.bytes, data: writer.bytes.subarray(writer.pos) };
}

/** Encodes a ReadResponse with one copy of its data. */
export function encodeReadResponse(response: Init<ReadResponse>): Uint8Array {
  const source = response.data ?? new Uint8Array(0);
  const { message, data } = reserveReadResponse(source.length);
  data.set(source);
  return message;
}

/** How many bytes a ReadResponse becomes. */
export function readResponseSize({ data }: Init<ReadResponse>): number {
  return data === undefined || data.length === 0 ? 0 : 1 + varintSize(data.length) + data.length;
}

/** Encodes a ReadResponse to `target`, which has its size. */
export function encodeReadResponseInto({ data }: Init<ReadResponse>, target: Uint8Array): void {
  if (data === undefined || data.length === 0) return;
  let at = 0;
  target[at++] = DATA_TAG;
  let { length } = data;
  for (; length > 127; length >>>= 7) target[at++] = length & 127 | 128;
  target[at++] = length;
  target.set(data, at);
}

/**
 * Decodes a ReadResponse; its data is a view.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeReadResponse(bytes: Uint8Array): ReadResponse {
  const reader = new WireReader(plain(bytes), "google.bytestream.ReadResponse");
  let data = reader.bytes.subarray(0, 0);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === DATA_TAG) data = reader.view();
    else reader.skip(tag);
  }
  return { data };
}

/** Encodes a ReadRequest. */
export function encodeReadRequest(request: Init<ReadRequest>): Uint8Array {
  const writer = new WireWriter(256);
  writer.stringField(1, request.resourceName ?? "");
  writer.intField(2, request.readOffset ?? 0);
  writer.intField(3, request.readLimit ?? 0);
  return writer.finish();
}

/**
 * Decodes a ReadRequest.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeReadRequest(bytes: Uint8Array): ReadRequest {
  const reader = new WireReader(plain(bytes), "google.bytestream.ReadRequest");
  const request = { resourceName: "", readOffset: 0, readLimit: 0 };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) request.resourceName = reader.string();
    else if (tag === 0x10) request.readOffset = reader.int64();
    else if (tag === 0x18) request.readLimit = reader.int64();
    else reader.skip(tag);
  }
  return request;
}

/** Encodes a WriteRequest with one copy of its data. */
export function encodeWriteRequest(request: Init<WriteRequest>): Uint8Array {
  const { resourceName = "", writeOffset = 0, finishWrite = false, data } = request;
  const writer = new WireWriter(32 + textSize(resourceName) + (data?.length ?? 0));
  writer.stringField(1, resourceName);
  writer.intField(2, writeOffset);
  writer.intField(3, finishWrite ? 1 : 0);
  if (data !== undefined) writer.bytesField(DATA_FIELD, data);
  return writer.finish();
}

/**
 * Decodes a WriteRequest; its data is a view.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeWriteRequest(bytes: Uint8Array): WriteRequest {
  const reader = new WireReader(plain(bytes), "google.bytestream.WriteRequest");
  const request = {
    resourceName: "",
    writeOffset: 0,
    finishWrite: false,
    data: reader.bytes.subarray(0, 0),
  };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === DATA_TAG) request.data = reader.view();
    else if (tag === 0x10) request.writeOffset = reader.int64();
    else if (tag === 0x18) request.finishWrite = reader.bool();
    else if (tag === 0x0a) request.resourceName = reader.string();
    else reader.skip(tag);
  }
  return request;
}

/** Encodes a WriteResponse. */
export function encodeWriteResponse(response: Init<WriteResponse>): Uint8Array {
  const writer = new WireWriter(11);
  writer.intField(1, response.committedSize ?? 0);
  return writer.finish();
}

/**
 * Decodes a WriteResponse.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeWriteResponse(bytes: Uint8Array): WriteResponse {
  const reader = new WireReader(plain(bytes), "google.bytestream.WriteResponse");
  let committedSize = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) committedSize = reader.int64();
    else reader.skip(tag);
  }
  return { committedSize };
}

/** ReadRequest by hand. */
export const RawReadRequestCodec: Codec<ReadRequest, Init<ReadRequest>> = {
  encode: encodeReadRequest,
  decode: decodeReadRequest,
};

/** ReadResponse by hand. */
export const RawReadResponseCodec: Codec<ReadResponse, Init<ReadResponse>> = {
  encode: encodeReadResponse,
  decode: decodeReadResponse,
  inPlace: { sizeOf: readResponseSize, encodeInto: encodeReadResponseInto },
};

/** WriteRequest by hand. */
export const RawWriteRequestCodec: Codec<WriteRequest, Init<WriteRequest>> = {
  encode: encodeWriteRequest,
  decode: decodeWriteRequest,
};

/** WriteResponse by hand. */
export const RawWriteResponseCodec: Codec<WriteResponse, Init<WriteResponse>> = {
  encode: encodeWriteResponse,
  decode: decodeWriteResponse,
};
