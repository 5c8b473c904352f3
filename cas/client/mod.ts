/**
 * The store's client with what it needs, and nothing that only a server needs: digests, trees, names. Workers and the
 * command line import `@brokkr/cas/client`, which loads no database and no server.
 *
 * @module
 */

export * from "../blob_store.ts";
export * from "../digest.ts";
export * from "../digest_batch.ts";
export * from "../resource_name.ts";
export * from "../tree/mod.ts";
export { CasClient } from "./cas_client.ts";
export { ChunkIndex, type ChunkIndexOptions } from "./chunk_index.ts";
export type { ChunkSource, CutChunks } from "./chunk_source.ts";
export type {
  CasClientOptions,
  DownloadOptions,
  ReadOptions,
  TransferOptions,
  TransferProgress,
  TransferStat,
  UploadBlob,
} from "./types.ts";
export type { BlobSink } from "./_download.ts";
