/**
 * The batch calls, whose messages are megabytes of blobs: encoded with one copy, decoded with none.
 *
 * @module
 */

import { type Codec, type Init, plain } from "../codec.ts";
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  type BatchReadBlobsResponse_Response,
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsRequest_Request,
  type BatchUpdateBlobsResponse,
  type BatchUpdateBlobsResponse_Response,
  type Digest,
  type Status,
  StatusCodec,
} from "../gen/messages.ts";
import { digestSize, writeDigest } from "./find_missing.ts";
import { varintSize } from "./wire.ts";
import { WireReader } from "./wire_reader.ts";
import { WireWriter } from "./wire_writer.ts";

const PACKAGE = "build.bazel.remote.execution.v2";
const NO_BYTES = new Uint8Array(0);

/** One part of a message, while it is read. */
type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

function readDigest(reader: WireReader, before: Digest | undefined): Digest {
  // A submessage that comes twice is merged.
  const digest = before ?? { hash: "", sizeBytes: 0 };
  const outer = reader.enter();
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) digest.hash = reader.string();
    else if (tag === 0x10) digest.sizeBytes = reader.int64();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return digest;
}

/** A message that comes in several parts is merged, which is to read one after the other. */
function decodeStatus(parts: readonly Uint8Array[]): Status | undefined {
  if (parts.length === 0) return undefined;
  if (parts.length === 1) return StatusCodec.decode(parts[0]);
  // Each must be a message of its own: halves that only fit together are refused.
  for (const part of parts) StatusCodec.decode(part);
  const all = new WireWriter(parts.reduce((sum, part) => sum + part.length, 0));
  for (const part of parts) all.raw(part);
  return StatusCodec.decode(all.finish());
}

/** Size of a field of `length` bytes with a one-byte tag. */
function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

function digestFieldSize(digest: Init<Digest> | undefined): number {
  return digest === undefined ? 0 : fieldSize(digestSize(digest.hash ?? "", digest.sizeBytes ?? 0));
}

function writeDigestField(writer: WireWriter, field: number, digest: Init<Digest> | undefined): void {
  if (digest !== undefined) writeDigest(writer, field, digest.hash ?? "", digest.sizeBytes ?? 0);
}

function enumFieldSize(value: number): number {
  return value === 0 ? 0 : 1 + (value < 0 ? 10 : varintSize(value));
}

/** Room for a batch of entries: what they hold, and a guess at what surrounds it. */
function roomFor(entries: readonly { readonly data?: Uint8Array }[]): number {
  let total = 256;
  for (const entry of entries) total += 192 + (entry.data?.length ?? 0);
  return total;
}

/** Encodes a BatchUpdateBlobsRequest with one copy of its data. */
export function encodeBatchUpdateRequest(request: Init<BatchUpdateBlobsRequest>): Uint8Array {
  const requests = request.requests ?? [];
  const writer = new WireWriter(roomFor(requests));
  writer.stringField(1, request.instanceName ?? "");
  for (const { digest, data = NO_BYTES, compressor = 0 } of requests) {
    const dataSize = data.length === 0 ? 0 : fieldSize(data.length);
    writer.header(2, digestFieldSize(digest) + dataSize + enumFieldSize(compressor));
    writeDigestField(writer, 1, digest);
    writer.bytesField(2, data);
    writer.intField(3, compressor);
  }
  writer.intField(5, request.digestFunction ?? 0);
  return writer.finish();
}

function readUpdate(reader: WireReader): BatchUpdateBlobsRequest_Request {
  const entry: Draft<BatchUpdateBlobsRequest_Request> = { data: reader.bytes.subarray(0, 0), compressor: 0 };
  const outer = reader.enter();
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) entry.digest = readDigest(reader, entry.digest);
    else if (tag === 0x12) entry.data = reader.view();
    else if (tag === 0x18) entry.compressor = reader.int32();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return entry;
}

/**
 * Decodes a BatchUpdateBlobsRequest; all data are views.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeBatchUpdateRequest(bytes: Uint8Array): BatchUpdateBlobsRequest {
  const reader = new WireReader(plain(bytes), `${PACKAGE}.BatchUpdateBlobsRequest`);
  const requests: BatchUpdateBlobsRequest_Request[] = [];
  let instanceName = "";
  let digestFunction = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x12) requests.push(readUpdate(reader));
    else if (tag === 0x0a) instanceName = reader.string();
    else if (tag === 0x28) digestFunction = reader.int32();
    else reader.skip(tag);
  }
  return { instanceName, requests, digestFunction };
}

/** Encodes a BatchUpdateBlobsResponse. */
export function encodeBatchUpdateResponse(response: Init<BatchUpdateBlobsResponse>): Uint8Array {
  const responses = response.responses ?? [];
  const writer = new WireWriter(64 + 96 * responses.length);
  for (const { digest, status } of responses) {
    const packed = status === undefined ? undefined : StatusCodec.encode(status);
    writer.header(1, digestFieldSize(digest) + (packed === undefined ? 0 : fieldSize(packed.length)));
    writeDigestField(writer, 1, digest);
    writeMessage(writer, 2, packed);
  }
  return writer.finish();
}

/** Unlike a `bytes` field, an empty message is written: it is there. */
function writeMessage(writer: WireWriter, field: number, packed: Uint8Array | undefined): void {
  if (packed === undefined) return;
  writer.header(field, packed.length);
  writer.raw(packed);
}

/**
 * Decodes a BatchUpdateBlobsResponse.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeBatchUpdateResponse(bytes: Uint8Array): BatchUpdateBlobsResponse {
  const reader = new WireReader(plain(bytes), `${PACKAGE}.BatchUpdateBlobsResponse`);
  const responses: BatchUpdateBlobsResponse_Response[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    const entry: Draft<BatchUpdateBlobsResponse_Response> = {};
    const status: Uint8Array[] = [];
    const outer = reader.enter();
    while (!reader.done) {
      const inner = reader.tag();
      if (inner === 0x0a) entry.digest = readDigest(reader, entry.digest);
      else if (inner === 0x12) status.push(reader.view());
      else reader.skip(inner);
    }
    reader.leave(outer);
    if (status.length > 0) entry.status = decodeStatus(status);
    responses.push(entry);
  }
  return { responses };
}

/** Encodes a BatchReadBlobsRequest. */
export function encodeBatchReadRequest(request: Init<BatchReadBlobsRequest>): Uint8Array {
  const digests = request.digests ?? [];
  const compressors = request.acceptableCompressors ?? [];
  const writer = new WireWriter(64 + 80 * digests.length);
  writer.stringField(1, request.instanceName ?? "");
  for (const digest of digests) writeDigestField(writer, 2, digest);
  if (compressors.length > 0) {
    writer.header(3, compressors.reduce((sum, value) => sum + (value < 0 ? 10 : varintSize(value)), 0));
    for (const value of compressors) writer.varint(value);
  }
  writer.intField(4, request.digestFunction ?? 0);
  return writer.finish();
}

/**
 * Decodes a BatchReadBlobsRequest.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeBatchReadRequest(bytes: Uint8Array): BatchReadBlobsRequest {
  const reader = new WireReader(plain(bytes), `${PACKAGE}.BatchReadBlobsRequest`);
  const digests: Digest[] = [];
  const acceptableCompressors: number[] = [];
  let instanceName = "";
  let digestFunction = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x12) digests.push(readDigest(reader, undefined));
    else if (tag === 0x0a) instanceName = reader.string();
    else if (tag === 0x20) digestFunction = reader.int32();
    else if (tag === 0x18) acceptableCompressors.push(reader.int32());
    else if (tag === 0x1a) {
      const outer = reader.enter();
      while (!reader.done) acceptableCompressors.push(reader.int32());
      reader.leave(outer);
    } else reader.skip(tag);
  }
  return { instanceName, digests, acceptableCompressors, digestFunction };
}

/** Encodes a BatchReadBlobsResponse with one copy of its data. */
export function encodeBatchReadResponse(response: Init<BatchReadBlobsResponse>): Uint8Array {
  const responses = response.responses ?? [];
  const writer = new WireWriter(roomFor(responses));
  for (const { digest, data = NO_BYTES, status, compressor = 0 } of responses) {
    const packed = status === undefined ? undefined : StatusCodec.encode(status);
    const dataSize = data.length === 0 ? 0 : fieldSize(data.length);
    const statusSize = packed === undefined ? 0 : fieldSize(packed.length);
    writer.header(1, digestFieldSize(digest) + dataSize + statusSize + enumFieldSize(compressor));
    writeDigestField(writer, 1, digest);
    writer.bytesField(2, data);
    writeMessage(writer, 3, packed);
    writer.intField(4, compressor);
  }
  return writer.finish();
}

function readBlob(reader: WireReader): BatchReadBlobsResponse_Response {
  const entry: Draft<BatchReadBlobsResponse_Response> = { data: reader.bytes.subarray(0, 0), compressor: 0 };
  const status: Uint8Array[] = [];
  const outer = reader.enter();
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) entry.digest = readDigest(reader, entry.digest);
    else if (tag === 0x12) entry.data = reader.view();
    else if (tag === 0x1a) status.push(reader.view());
    else if (tag === 0x20) entry.compressor = reader.int32();
    else reader.skip(tag);
  }
  reader.leave(outer);
  if (status.length > 0) entry.status = decodeStatus(status);
  return entry;
}

/**
 * Decodes a BatchReadBlobsResponse; all data are views.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the bytes are malformed.
 */
export function decodeBatchReadResponse(bytes: Uint8Array): BatchReadBlobsResponse {
  const reader = new WireReader(plain(bytes), `${PACKAGE}.BatchReadBlobsResponse`);
  const responses: BatchReadBlobsResponse_Response[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) responses.push(readBlob(reader));
    else reader.skip(tag);
  }
  return { responses };
}

/** BatchUpdateBlobsRequest by hand. */
export const RawBatchUpdateRequestCodec: Codec<BatchUpdateBlobsRequest, Init<BatchUpdateBlobsRequest>> = {
  encode: encodeBatchUpdateRequest,
  decode: decodeBatchUpdateRequest,
};

/** BatchUpdateBlobsResponse by hand. */
export const RawBatchUpdateResponseCodec: Codec<BatchUpdateBlobsResponse, Init<BatchUpdateBlobsResponse>> = {
  encode: encodeBatchUpdateResponse,
  decode: decodeBatchUpdateResponse,
};

/** BatchReadBlobsRequest by hand. */
export const RawBatchReadRequestCodec: Codec<BatchReadBlobsRequest, Init<BatchReadBlobsRequest>> = {
  encode: encodeBatchReadRequest,
  decode: decodeBatchReadRequest,
};

/** BatchReadBlobsResponse by hand. */
export const RawBatchReadResponseCodec: Codec<BatchReadBlobsResponse, Init<BatchReadBlobsResponse>> = {
  encode: encodeBatchReadResponse,
  decode: decodeBatchReadResponse,
};
