/**
 * `/cas/<sha256>`: blobs by their hash.
 *
 * @module
 */

import { BrokkrError, Code, type Scope, Slices } from "@brokkr/common";
import { type Digest, makeDigest, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { type Backend, charge, heldLimit, readHeld } from "./_backend.ts";
import type { Exchange } from "./_exchange.ts";
import { type HeaderMap, HttpError, storeFailure } from "./_http_error.ts";
import { type ByteRange, parseRange } from "./_range.ts";

/** Blobs up to this size are taken as a whole. */
const WHOLE_BYTES = 1 << 20;
/** What an upload that is streamed holds: what came from the connection and was not written yet. */
const STREAM_BYTES = 128 << 10;
/** Hashed in one go; under a millisecond. */
const HASH_BYTES = 256 << 10;

const BLOB_TYPE = "application/octet-stream";

/** GET and HEAD of a blob. */
export async function serveBlob(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  hash: string,
): Promise<void> {
  const sizeBytes = await backend.store.sizeOf?.(scope, SHA256, hash);
  if (sizeBytes === undefined) {
    backend.meters.cas.misses(countedAs(exchange), 1);
    throw noBlob(hash);
  }
  await sendBlob(backend, exchange, scope, makeDigest(SHA256, hash, sizeBytes));
}

/** Answers with a blob, a part of it, or only what is to be known of it. */
export async function sendBlob(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  digest: Digest,
): Promise<void> {
  const etag = `"${digest.hash}"`;
  const known = { "content-type": BLOB_TYPE, etag, "accept-ranges": "bytes" };
  if (exchange.method === "HEAD") {
    if (!await isPresent(backend, scope, digest)) throw noBlob(digest.hash);
    backend.meters.cas.hits(countedAs(exchange), 1);
    exchange.outcome = "hit";
    exchange.begin(200, { ...known, "content-length": `${digest.sizeBytes}` });
    return await exchange.end();
  }
  if (namesEtag(exchange.header("if-none-match"), etag) && await isPresent(backend, scope, digest)) {
    exchange.outcome = "hit";
    exchange.begin(304, known);
    return await exchange.end();
  }
  const ifRange = exchange.header("if-range");
  const range = ifRange === undefined || ifRange.trim() === etag
    ? parseRange(exchange.header("range"), digest.sizeBytes)
    : "whole";
  if (range === "unsatisfiable") {
    throw new HttpError(416, `The blob has ${digest.sizeBytes} bytes, and none where the range begins`, {
      "content-range": `bytes */${digest.sizeBytes}`,
    });
  }
  await sendRange(backend, exchange, scope, digest, known, range);
}

async function sendRange(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  digest: Digest,
  known: HeaderMap,
  range: ByteRange | "whole",
): Promise<void> {
  const { start, end } = range === "whole" ? { start: 0, end: digest.sizeBytes } : range;
  const pieces = backend.store.read(scope, digest, { offset: start, limit: end - start }, exchange.signal);
  const counted = countedAs(exchange);
  let begun = false;
  let sent = 0;
  const begin = () => {
    begun = true;
    exchange.outcome = "hit";
    const part: HeaderMap = range === "whole"
      ? {}
      : { "content-range": `bytes ${start}-${end - 1}/${digest.sizeBytes}` };
    const length = { "content-length": `${end - start}` };
    exchange.begin(range === "whole" ? 200 : 206, { ...known, ...part, ...length });
  };
  try {
    for await (const piece of pieces) {
      if (!begun) begin();
      await exchange.send(piece);
      sent += piece.length;
    }
    if (!begun) begin();
    if (sent !== end - start) {
      throw new BrokkrError(
        Code.INTERNAL,
        `The store gave ${sent} bytes of a blob where ${end - start} belong`,
      );
    }
    backend.meters.cas.hits(counted, 1);
  } catch (error) {
    if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) backend.meters.cas.misses(counted, 1);
    throw error;
  } finally {
    backend.meters.cas.read(counted, sent);
  }
  await exchange.end();
}

/** PUT of a blob. */
export async function takeBlob(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  hash: string,
): Promise<void> {
  checkEncoding(exchange);
  const { lengthBytes } = exchange.body;
  if (lengthBytes === undefined) return await takeUnknown(backend, exchange, scope, hash);
  checkSize(backend, lengthBytes);
  const digest = makeDigest(SHA256, hash, lengthBytes);
  if (await isPresent(backend, scope, digest)) {
    exchange.outcome = "present";
    return await exchange.answer(200);
  }
  if (lengthBytes <= WHOLE_BYTES) {
    using held = await readHeld(backend, exchange, WHOLE_BYTES, () => tooLarge(WHOLE_BYTES));
    await keep(backend, scope, digest, held.data);
  } else {
    await takeStream(backend, exchange, scope, digest);
  }
  await stored(backend, exchange, lengthBytes);
}

async function takeStream(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  digest: Digest,
): Promise<void> {
  using _lease = await charge(backend, exchange, STREAM_BYTES);
  const storing = async <T>(step: Promise<T>): Promise<T> => {
    try {
      return await step;
    } catch (error) {
      throw storeFailure(error);
    }
  };
  await using writer = await storing(backend.store.writer(scope, digest, exchange.signal));
  for (let piece = await exchange.body.next(); piece !== undefined; piece = await exchange.body.next()) {
    await storing(writer.write(piece));
  }
  await storing(writer.commit());
}

/** A body that comes in chunks is held, as the store must know how much comes. */
async function takeUnknown(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  hash: string,
): Promise<void> {
  const limitBytes = Math.min(heldLimit(backend), backend.maxBlobBytes);
  using held = await readHeld(
    backend,
    exchange,
    limitBytes,
    () =>
      new HttpError(
        411,
        `A blob of more than ${limitBytes} bytes needs Content-Length; leave out Transfer-Encoding: chunked`,
      ),
  );
  await keep(backend, scope, makeDigest(SHA256, hash, held.data.length), held.data);
  await stored(backend, exchange, held.data.length);
}

async function stored(backend: Backend, exchange: Exchange, bytes: number): Promise<void> {
  backend.meters.cas.written(countedAs(exchange), bytes);
  exchange.outcome = "stored";
  await exchange.answer(200);
}

/**
 * Keeps bytes that are held.
 *
 * @throws {HttpError} 507 when the store is full.
 */
export async function keep(backend: Backend, scope: Scope, digest: Digest, data: Uint8Array): Promise<void> {
  const { store } = backend;
  try {
    if (data.length <= WHOLE_BYTES) return await store.put(scope, digest, data);
    await using writer = await store.writer(scope, digest);
    for (let at = 0; at < data.length; at += WHOLE_BYTES) {
      await writer.write(data.subarray(at, at + WHOLE_BYTES));
    }
    await writer.commit();
  } catch (error) {
    throw storeFailure(error);
  }
}

/** The digest of bytes that are held, found without holding up the event loop. */
export async function digestOfHeld(data: Uint8Array): Promise<Digest> {
  const hasher = SHA256.hasher();
  const slices = new Slices();
  for (let at = 0; at < data.length; at += HASH_BYTES) {
    if (slices.spent) await slices.next();
    hasher.update(data.subarray(at, at + HASH_BYTES));
  }
  return makeDigest(SHA256, hasher.digestHex(), data.length);
}

/** Whether a blob is there; asked on a client's behalf, so that it is kept for a while. */
export async function isPresent({ store }: Backend, scope: Scope, digest: Digest): Promise<boolean> {
  return (await store.missing(scope, batchOf(digest.fn, [digest]))).length === 0;
}

/**
 * Refuses bodies that are compressed: what is stored is what was sent.
 *
 * @throws {HttpError} 415.
 */
export function checkEncoding(exchange: Exchange): void {
  const encoding = exchange.header("content-encoding");
  if (encoding === undefined || encoding.trim().toLowerCase() === "identity") return;
  throw new HttpError(415, "A body with a Content-Encoding is not taken; send it as it is");
}

function checkSize({ maxBlobBytes }: Backend, sizeBytes: number): void {
  if (sizeBytes > maxBlobBytes) throw tooLarge(maxBlobBytes);
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `A blob may have at most ${maxBytes} bytes`);
}

function noBlob(hash: string): HttpError {
  return new HttpError(404, `No blob ${hash}`);
}

/** Whether If-None-Match names what we have. */
function namesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").some((each) => each.trim() === "*" || each.trim().replace(/^W\//, "") === etag);
}

/** The method's name beside those of the gRPC services. */
function countedAs({ method }: Exchange): string {
  return `Http${method.slice(0, 1)}${method.slice(1).toLowerCase()}`;
}
