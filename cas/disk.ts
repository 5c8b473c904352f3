/**
 * Stores on disk. Apart from `@brokkr/cas`, so that a client does not load LMDB.
 *
 * @module
 */

export * from "./metadata/lmdb_env.ts";
export * from "./metadata/lmdb_store.ts";
