/**
 * Sizes that both sides of the wire keep to.
 *
 * @module
 */

/** Largest message a server or client accepts, in bytes: gRPC's usual 4 MiB with room for framing around a full batch. */
export const MAX_RECEIVE_MESSAGE_BYTES: number = 4_194_304 + 65_536;

/** Largest message a server sends, in bytes: what a client with gRPC's default limit still accepts. */
export const MAX_SEND_MESSAGE_BYTES = 4_194_304;

/** What Capabilities advertises as `max_batch_total_size_bytes`: a batch of this size fits a message with its framing. */
export const MAX_BATCH_TOTAL_BYTES = 4_000_000;

/** Largest trailers of a call, in bytes as sent: many clients refuse more than 8 KiB of metadata, proxies less. */
export const MAX_TRAILER_BYTES = 4096;

/** Chunk size of streamed blobs that gave the best throughput, in bytes. */
export const STREAM_CHUNK_BYTES: number = 1 << 20;
