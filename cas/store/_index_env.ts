/**
 * What the blob index needs of the database that it lies in, so that a simulation can lose, age and damage it.
 *
 * @module
 */

import type { MetadataChange } from "../metadata_store.ts";

/** A key and its value. */
export interface IndexEntry {
  /** The key. */
  readonly key: Uint8Array;
  /** The value. */
  readonly value: Uint8Array;
}

/** An ordered map of bytes with atomic, durable changes. */
export interface IndexEnv extends AsyncDisposable {
  /** The value of `key`. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Reads what {@linkcode IndexEnv.get} needs for these keys, so that it waits for no disk. */
  prefetch?(keys: readonly Uint8Array[]): Promise<void>;
  /** Applies all changes or none, in order; on disk when it resolves. The bytes must not change before that. */
  apply(changes: readonly MetadataChange[]): Promise<void>;
  /** Entries with `prefix` after `after`, at most `limit`, in byte order; lets the event loop turn in between. */
  entries(prefix: Uint8Array, after?: Uint8Array, limit?: number): AsyncIterable<IndexEntry[]>;
}

/** Opens (or makes) the database in a directory, or throws when what is there cannot be used. */
export type OpenIndexEnv = (path: string) => IndexEnv;
