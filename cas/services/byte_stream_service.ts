/**
 * ByteStream over a blob store: Read, Write, QueryWriteStatus.
 *
 * A write is verified before anything of it can be seen. One that breaks off is kept for a while: a write of the same
 * name goes on from where QueryWriteStatus says. A write of a blob that is there already, or that another call brings in
 * the meantime, succeeds at once.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, invalidArgument, type Scope, systemClock } from "@brokkr/common";
import {
  ByteStream,
  type Init,
  type QueryWriteStatusResponse,
  RawByteStream,
  type ReadRequest,
  type ReadResponse,
  type WriteRequest,
  type WriteResponse,
} from "@brokkr/proto";
import { type CallContext, clientStream, type Route, serverStream, unary } from "@brokkr/proto/rpc/server";
import type { DigestBatch, ReadRange } from "../blob_store.ts";
import { type ByteShares, shareOf } from "../compression/mod.ts";
import type { BlobCompressor } from "../compressors.ts";
import { type Digest, formatDigest } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { parseReadName, parseUploadName, type UploadName } from "../resource_name.ts";
import { checkBlobSize } from "./cas_service.ts";
import { checkCompressedLimit, readCompressed } from "./_compressed_read.ts";
import { ALREADY_THERE, writeCompressed } from "./_compressed_write.ts";
import { type CasCounters, casCounters, type CasServiceOptions } from "./_shared.ts";
import { type ActiveUpload, Uploads } from "./_uploads.ts";

/** How the ByteStream service is set up. */
export interface ByteStreamOptions extends CasServiceOptions {
  /** Time; the system's by default. */
  readonly clock?: Clock;
}

/** The ByteStream service; disposing of it waits for the writes that the server has ended. */
export interface ByteStreamRoutes extends AsyncDisposable {
  /** Its routes. */
  readonly routes: Route[];
}

/** Blobs up to this size are read at once. */
const WHOLE_BYTES = 64 << 10;

/** How long a client may take to end its stream after the message that finishes a write. */
const HALF_CLOSE_MS = 1000;

/** The routes of the ByteStream service, with what must be closed after the server. */
export function byteStreamRoutes(options: ByteStreamOptions): ByteStreamRoutes {
  const service = new ByteStreamService(options);
  return {
    routes: [
      serverStream(RawByteStream.read, "read", (request, context) => service.read(request, context)),
      clientStream(RawByteStream.write, "write", (requests, context) => service.write(requests, context)),
      unary(ByteStream.queryWriteStatus, "write", (request, context) => {
        const name = parseUploadName(request.resourceName);
        return service.queryWriteStatus(name, context);
      }),
    ],
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

class ByteStreamService implements AsyncDisposable {
  readonly #options: ByteStreamOptions;
  readonly #uploads: Uploads;
  readonly #clock: Clock;
  readonly #count: CasCounters;
  readonly #codecs: ByteShares | undefined;

  constructor(options: ByteStreamOptions) {
    this.#options = options;
    this.#codecs = options.budget === undefined ? undefined : shareOf(options.budget);
    this.#uploads = new Uploads(options.store);
    this.#clock = options.clock ?? systemClock;
    this.#count = casCounters(options.metrics);
  }

  read(
    request: ReadRequest,
    context: CallContext,
  ): AsyncIterable<Init<ReadResponse>> | Promise<readonly Init<ReadResponse>[]> {
    const { instance, digest, compressor } = parseReadName(request.resourceName);
    const scope = context.scope(instance);
    const { readOffset, readLimit } = request;
    if (compressor !== undefined) checkCompressedLimit(readLimit);
    if (!(readOffset >= 0 && readOffset <= digest.sizeBytes)) {
      throw new BrokkrError(
        Code.OUT_OF_RANGE,
        `Cannot read from offset ${readOffset} of blob ${
          formatDigest(digest)
        }: it must lie in 0 to ${digest.sizeBytes}`,
      );
    }
    if (readLimit < 0) {
      throw invalidArgument(
        "read_limit",
        `Cannot read ${readLimit} bytes; give a positive number, or 0 for all`,
      );
    }
    if (compressor !== undefined) return this.#readCompressed(scope, digest, compressor, readOffset, context);
    const range = readLimit === 0 ? { offset: readOffset } : { offset: readOffset, limit: readLimit };
    return digest.sizeBytes <= WHOLE_BYTES
      ? this.#readWhole(scope, digest, range)
      : this.#readPieces(scope, digest, range, context);
  }

  /** Most blobs of a build are small: their answer is one message, which leaves with the status in one turn. */
  async #readWhole(scope: Scope, digest: Digest, range: ReadRange): Promise<readonly Init<ReadResponse>[]> {
    try {
      const blob = await this.#options.store.get(scope, digest);
      const { offset = 0, limit = blob.length } = range;
      const data = blob.subarray(offset, offset + limit);
      this.#count.hits("Read", 1);
      this.#count.read("Read", data.length);
      return data.length === 0 ? [] : [{ data }];
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) this.#count.misses("Read", 1);
      throw error;
    }
  }

  async *#readPieces(
    scope: Scope,
    digest: Digest,
    range: ReadRange,
    context: CallContext,
  ): AsyncGenerator<Init<ReadResponse>, void, undefined> {
    let bytes = 0;
    try {
      for await (const data of this.#options.store.read(scope, digest, range, context.signal)) {
        if (data.length === 0) continue;
        bytes += data.length;
        yield { data };
      }
      this.#count.hits("Read", 1);
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) this.#count.misses("Read", 1);
      throw error;
    } finally {
      this.#count.read("Read", bytes);
    }
  }

  async *#readCompressed(
    scope: Scope,
    digest: Digest,
    compressor: BlobCompressor,
    offset: number,
    { signal }: CallContext,
  ): AsyncGenerator<Init<ReadResponse>, void, undefined> {
    const onRead = (bytes: number) => this.#count.read("Read", bytes);
    try {
      const { store } = this.#options;
      const budget = this.#codecs;
      yield* readCompressed({ store, scope, digest, compressor, offset, budget, signal, onRead });
      this.#count.hits("Read", 1);
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) this.#count.misses("Read", 1);
      throw error;
    }
  }

  async queryWriteStatus(name: UploadName, context: CallContext): Promise<Init<QueryWriteStatusResponse>> {
    const scope = context.scope(name.instance);
    if (await this.#isPresent(scope, batchOf(name.digest.fn, [name.digest]))) {
      const { committedSize } = name.compressor === undefined
        ? { committedSize: name.digest.sizeBytes }
        : ALREADY_THERE;
      return { committedSize, complete: true };
    }
    // A compressed write begins again whenever it broke off.
    if (name.compressor !== undefined) return { committedSize: 0, complete: false };
    const { uuid, digest } = name;
    return { committedSize: await this.#uploads.writtenBytes({ scope, uuid, digest }), complete: false };
  }

  async write(requests: AsyncIterable<WriteRequest>, context: CallContext): Promise<Init<WriteResponse>> {
    const messages = requests[Symbol.asyncIterator]();
    let first = await afterStep(messages.next());
    if (first === undefined) {
      throw invalidArgument("resource_name", "A write has no message; the first must name the blob");
    }
    const name = parseUploadName(first.resourceName);
    const { compressor, digest } = name;
    const scope = context.scope(name.instance);
    checkBlobSize(digest, this.#options.maxBlobBytes);
    // Not awaited here, where the first message would be held.
    if (compressor !== undefined) {
      return this.#writeCompressed(scope, digest, compressor, first, messages, context);
    }
    const committed = { committedSize: digest.sizeBytes };
    if (first.finishWrite && first.writeOffset === 0) {
      await this.#expectEnd(messages);
      await this.#options.store.put(scope, digest, first.data);
      this.#count.written("Write", first.data.length);
      return committed;
    }
    const batch = batchOf(digest.fn, [digest]);
    if (await this.#isPresent(scope, batch)) return committed;
    const id = { scope, uuid: name.uuid, digest };
    await using upload = await this.#uploads.begin(id, first.writeOffset, context.signal);
    const begun: { message: WriteRequest | undefined } = { message: first };
    first = undefined; // see #receive
    const stored = await this.#receive(
      upload,
      begun,
      messages,
      context,
      () => this.#isPresent(scope, batch),
    );
    // A stream may end before its write is finished; the answer tells where another one goes on.
    return stored ? committed : { committedSize: await this.#options.store.uploads.keptBytes(id) };
  }

  #writeCompressed(
    scope: Scope,
    digest: Digest,
    compressor: BlobCompressor,
    first: WriteRequest,
    messages: AsyncIterator<WriteRequest>,
    { signal }: CallContext,
  ): Promise<Init<WriteResponse>> {
    const batch = batchOf(digest.fn, [digest]);
    return writeCompressed({
      store: this.#options.store,
      scope,
      digest,
      compressor,
      begun: { message: first },
      messages,
      memory: this.#options.budget,
      budget: this.#codecs,
      signal,
      isPresent: () => this.#isPresent(scope, batch),
      check: checkMessage,
      expectEnd: () => this.#expectEnd(messages),
      onWritten: (bytes) => this.#count.written("Write", bytes),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#uploads[Symbol.asyncDispose]();
  }

  #isPresent(scope: Scope, batch: DigestBatch): boolean | Promise<boolean> {
    const missing = this.#options.store.missing(scope, batch);
    return missing instanceof Promise ? missing.then(({ length }) => length === 0) : missing.length === 0;
  }

  /**
   * Takes the messages of a write; none of them is held while the next is waited for, which may be for long. Gives whether
   * the blob is stored: it is not when the stream ends before the write is finished, and what came is kept then.
   */
  async #receive(
    upload: ActiveUpload,
    begun: { message: WriteRequest | undefined },
    messages: AsyncIterator<WriteRequest>,
    context: CallContext,
    isPresent: () => boolean | Promise<boolean>,
  ): Promise<boolean> {
    const { writer } = upload;
    let interrupted = false;
    let committing = false;
    const before = writer.writtenBytes;
    try {
      const resourceName = begun.message?.resourceName ?? "";
      for (let offset = before; begun.message !== undefined;) {
        checkMessage(begun.message, resourceName, offset);
        const { length } = begun.message.data;
        offset += length;
        const written = length > 0 ? writer.write(begun.message.data) : undefined;
        const last = begun.message.finishWrite;
        begun.message = undefined;
        // The next message arrives while this one is written.
        const next = last ? undefined : messages.next();
        next?.catch(() => undefined); // heard below, unless the writing fails first
        await written;
        if (next === undefined) break;
        interrupted = true;
        begun.message = await afterStep(upload.unlessLeft(next));
        interrupted = false;
        // Another call may have brought the blob; what this client still sends is of no use to anyone.
        const present = await isPresent();
        if (present || begun.message === undefined) {
          this.#count.written("Write", writer.writtenBytes - before);
          if (!present) await upload.suspend();
          return present;
        }
      }
      await this.#expectEnd(messages);
      committing = true;
      await writer.commit();
      this.#count.written("Write", writer.writtenBytes - before);
      return true;
    } catch (error) {
      // What broke off can go on; what was wrong must not.
      if (interrupted || (context.signal.aborted && !committing)) await upload.suspend();
      throw error;
    }
  }

  /**
   * Refuses messages after the one that finishes a write. A client that does not end its stream by then is not waited
   * for long.
   */
  async #expectEnd(messages: AsyncIterator<WriteRequest>): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    using _timer = this.#clock.setTimer(HALF_CLOSE_MS, () => resolve(undefined));
    const step = await Promise.race([messages.next(), late]);
    if (step !== undefined && step.done !== true) {
      throw invalidArgument("finish_write", "A message came after the one that finished the write");
    }
  }
}

/** The message of a step, undefined at the end. */
async function afterStep(step: Promise<IteratorResult<WriteRequest>>): Promise<WriteRequest | undefined> {
  const { value, done } = await step;
  return done === true ? undefined : value;
}

function checkMessage(message: WriteRequest, resourceName: string, writtenBytes: number): void {
  if (message.resourceName !== "" && message.resourceName !== resourceName) {
    throw invalidArgument(
      "resource_name",
      "A write changed the resource it writes; only the first message names it",
    );
  }
  if (message.writeOffset !== writtenBytes) {
    throw invalidArgument(
      "write_offset",
      `A message has offset ${message.writeOffset} where ${writtenBytes} bytes were written`,
    );
  }
}
