/**
 * Stores on disk. Apart from `@brokkr/cas`, so that a client does not load LMDB.
 *
 * @module
 */

export * from "./metadata/lmdb_env.ts";
export * from "./metadata/lmdb_store.ts";
export * from "./store/disk_store.ts";
export type { IndexEntry, IndexEnv, OpenIndexEnv } from "./store/_index_env.ts";
export type { BlobSource } from "./store/_mender.ts";
export type { DiskBlobStoreOptions } from "./store/disk_store_options.ts";
export * from "./store/file_layer.ts";
export * from "./store/fsck.ts";
