/**
 * Content-addressed storage: digests, trees, stores, the action cache, and the services over them.
 *
 * @module
 */

export * from "./action_cache/mod.ts";
export * from "./blob_store.ts";
export * from "./compressors.ts";
export * from "./digest.ts";
export * from "./digest_batch.ts";
export * from "./metadata/memory_metadata_store.ts";
export * from "./metadata_store.ts";
export * from "./resource_name.ts";
export * from "./store/memory_store.ts";
export * from "./store_keeper.ts";
export * from "./tree/mod.ts";
