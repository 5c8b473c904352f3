/**
 * The hot methods with codecs written by hand. Paths and bytes are those of the generated definitions: either side may
 * use either.
 *
 * @module
 */

import { type Codec, type Init, type Method, method, plain } from "../codec.ts";
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsResponse,
  type GetActionResultRequest,
  GetActionResultRequestCodec,
  type ReadRequest,
  type ReadResponse,
  type WriteRequest,
  type WriteResponse,
} from "../gen/messages.ts";
import {
  RawBatchReadRequestCodec,
  RawBatchReadResponseCodec,
  RawBatchUpdateRequestCodec,
  RawBatchUpdateResponseCodec,
} from "./batch.ts";
import {
  RawReadRequestCodec,
  RawReadResponseCodec,
  RawWriteRequestCodec,
  RawWriteResponseCodec,
} from "./byte_stream.ts";
import {
  decodeFindMissing,
  decodeFindMissingResponse,
  encodeFindMissing,
  encodeFindMissingResponse,
  type FindMissingInit,
  type MissingSelection,
  type PackedDigests,
  type PackedFindMissing,
} from "./find_missing.ts";

const CAS = "build.bazel.remote.execution.v2.ContentAddressableStorage";
const ACTION_CACHE = "build.bazel.remote.execution.v2.ActionCache";
const BYTE_STREAM = "google.bytestream.ByteStream";

/** A message that stays the bytes it is. */
export const BytesCodec: Codec<Uint8Array> = { encode: plain, decode: plain };

/** FindMissingBlobsRequest by hand: a client gives digests, a server gets where they lie. */
export const RawFindMissingRequestCodec: Codec<PackedFindMissing, FindMissingInit> = {
  encode: encodeFindMissing,
  decode: decodeFindMissing,
};

/** FindMissingBlobsResponse by hand: a server gives a choice of the request's digests, a client gets where they lie. */
export const RawFindMissingResponseCodec: Codec<PackedDigests, MissingSelection> = {
  encode: encodeFindMissingResponse,
  decode: decodeFindMissingResponse,
};

/** ContentAddressableStorage, its hot methods. */
export const RawCas: {
  /** See `ContentAddressableStorage.findMissingBlobs`. */
  readonly findMissingBlobs: Method<PackedFindMissing, PackedDigests, FindMissingInit, MissingSelection>;
  /** See `ContentAddressableStorage.batchUpdateBlobs`. */
  readonly batchUpdateBlobs: Method<
    BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse,
    Init<BatchUpdateBlobsRequest>,
    Init<BatchUpdateBlobsResponse>
  >;
  /** See `ContentAddressableStorage.batchReadBlobs`. */
  readonly batchReadBlobs: Method<
    BatchReadBlobsRequest,
    BatchReadBlobsResponse,
    Init<BatchReadBlobsRequest>,
    Init<BatchReadBlobsResponse>
  >;
} = {
  findMissingBlobs: method(
    CAS,
    "FindMissingBlobs",
    "unary",
    RawFindMissingRequestCodec,
    RawFindMissingResponseCodec,
  ),
  batchUpdateBlobs: method(
    CAS,
    "BatchUpdateBlobs",
    "unary",
    RawBatchUpdateRequestCodec,
    RawBatchUpdateResponseCodec,
  ),
  batchReadBlobs: method(CAS, "BatchReadBlobs", "unary", RawBatchReadRequestCodec, RawBatchReadResponseCodec),
};

/** ByteStream, its methods that carry data. */
export const RawByteStream: {
  /** See `ByteStream.read`. A server that reads files wants `readEncoded`. */
  readonly read: Method<ReadRequest, ReadResponse, Init<ReadRequest>, Init<ReadResponse>>;
  /** ByteStream.Read for a server that makes its messages with `reserveReadResponse`. */
  readonly readEncoded: Method<ReadRequest, Uint8Array, Init<ReadRequest>>;
  /** See `ByteStream.write`. */
  readonly write: Method<WriteRequest, WriteResponse, Init<WriteRequest>, Init<WriteResponse>>;
} = {
  read: method(BYTE_STREAM, "Read", "serverStream", RawReadRequestCodec, RawReadResponseCodec),
  readEncoded: method(BYTE_STREAM, "Read", "serverStream", RawReadRequestCodec, BytesCodec),
  write: method(BYTE_STREAM, "Write", "clientStream", RawWriteRequestCodec, RawWriteResponseCodec),
};

/** ActionCache with results as bytes, as they are stored. */
export const RawActionCache: {
  /** See `ActionCache.getActionResult`; the response is an encoded ActionResult. */
  readonly getActionResult: Method<GetActionResultRequest, Uint8Array, Init<GetActionResultRequest>>;
} = {
  getActionResult: method(ACTION_CACHE, "GetActionResult", "unary", GetActionResultRequestCodec, BytesCodec),
};
