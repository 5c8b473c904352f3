/**
 * ByteStream Write of `uploads/{uuid}/compressed-blobs/{compressor}/…`.
 *
 * The first offset counts bytes of the blob, later ones add the compressed bytes sent since (REAPI, the service
 * ContentAddressableStorage). The state of a decompressor cannot be kept, so that a write which broke off begins again.
 *
 * @module
 */

import { type ByteBudget, invalidArgument, type Scope } from "@brokkr/common";
import type { Init, WriteRequest, WriteResponse } from "@brokkr/proto";
import type { BlobStore, BlobWriter } from "../blob_store.ts";
import {
  acquireSoon,
  type ByteShares,
  decoderBytes,
  decompressWhole,
  openDecoder,
} from "../compression/mod.ts";
import type { BlobCompressor } from "../compressors.ts";
import type { Digest } from "../digest.ts";

/** Blobs up to this size that come in one message are put at once, which lets the store sync many together. */
const WHOLE_BYTES = 1 << 20;

/** What is answered for a blob that was there already: nobody knows how many bytes the client would have sent. */
export const ALREADY_THERE: Init<WriteResponse> = { committedSize: -1 };

/** What a compressed write works with. */
export interface CompressedWrite {
  readonly store: BlobStore;
  readonly scope: Scope;
  readonly digest: Digest;
  /** How it comes. */
  readonly compressor: BlobCompressor;
  /** The first message; taken out, so that it is not held while others are waited for. */
  readonly begun: { message: WriteRequest | undefined };
  /** Those that follow it. */
  readonly messages: AsyncIterator<WriteRequest>;
  /** Charged for a blob that is decompressed as a whole. */
  readonly memory: ByteBudget | undefined;
  /** Charged for the decompressor of a stream. */
  readonly budget: ByteShares | undefined;
  readonly signal: AbortSignal;
  /** Whether the blob is there. */
  readonly isPresent: () => boolean | Promise<boolean>;
  /** Refuses a message that does not follow `offset` bytes. */
  readonly check: (message: WriteRequest, resourceName: string, offset: number) => void;
  /** Refuses messages after the last. */
  readonly expectEnd: () => Promise<void>;
  /** Told how many bytes of the blob were taken. */
  readonly onWritten: (bytes: number) => void;
}

/**
 * Takes a compressed blob; it is verified once decompressed, and nothing of it can be seen before.
 *
 * @returns how many compressed bytes were taken, or -1 when the blob was there already.
 * @throws {BrokkrError} INVALID_ARGUMENT when the data is something else, damaged, or that of another blob.
 */
export async function writeCompressed(write: CompressedWrite): Promise<Init<WriteResponse>> {
  if (await write.isPresent()) return ALREADY_THERE;
  const { begun, digest: { sizeBytes } } = write;
  const writeOffset = begun.message?.writeOffset ?? 0;
  if (writeOffset !== 0) {
    throw invalidArgument(
      "write_offset",
      `A compressed write cannot go on where another stopped, but this one begins at ${writeOffset}; begin at 0`,
    );
  }
  return begun.message?.finishWrite === true && sizeBytes <= WHOLE_BYTES
    ? await takeWhole(write, begun.message.data)
    : await receive(write);
}

async function takeWhole(write: CompressedWrite, data: Uint8Array): Promise<Init<WriteResponse>> {
  const { store, scope, digest, compressor, memory, signal } = write;
  const { sizeBytes } = digest;
  await write.expectEnd();
  // All at once: calls that held room for their blobs and waited for decompressors would wait for each other.
  using _lease = memory &&
    await acquireSoon(memory, sizeBytes + decoderBytes(sizeBytes, compressor, data), signal);
  await store.put(scope, digest, await decompressWhole(data, { sizeBytes, compressor, signal }));
  write.onWritten(sizeBytes);
  return { committedSize: data.length };
}

async function receive(write: CompressedWrite): Promise<Init<WriteResponse>> {
  const { begun, digest, compressor, store, scope, budget, signal, messages } = write;
  const resourceName = begun.message?.resourceName ?? "";
  using decoder = await openDecoder({ sizeBytes: digest.sizeBytes, compressor, budget, signal });
  await using stack = new AsyncDisposableStack();
  let writer: BlobWriter | undefined;
  for (;;) {
    if (begun.message === undefined) {
      throw invalidArgument(
        "finish_write",
        `The write ended after ${decoder.inputBytes} bytes without a message that finishes it`,
      );
    }
    write.check(begun.message, resourceName, decoder.inputBytes);
    for await (const piece of decoder.decode(begun.message.data)) {
      // Not before there is a decompressor: those that wait for one must not hold what plain writes need.
      writer ??= stack.use(await store.writer(scope, digest, signal));
      await writer.write(piece);
    }
    const last = begun.message.finishWrite;
    begun.message = undefined;
    if (last) break;
    begun.message = await messageOf(messages.next());
    // Another call may have brought the blob; what this client still sends is of no use to anyone.
    if (begun.message !== undefined && await write.isPresent()) return ALREADY_THERE;
  }
  await write.expectEnd();
  decoder.finish();
  writer ??= stack.use(await store.writer(scope, digest, signal));
  await writer.commit();
  write.onWritten(digest.sizeBytes);
  return { committedSize: decoder.inputBytes };
}

/** The message of a step, undefined at the end. */
async function messageOf(step: Promise<IteratorResult<WriteRequest>>): Promise<WriteRequest | undefined> {
  const { value, done } = await step;
  return done === true ? undefined : value;
}
