/**
 * A small ordered key-value store for what must not be lost: action results, operations, epochs. Asynchronous, since
 * one day it is replicated.
 *
 * @module
 */

/** One change of a {@linkcode MetadataStore.write}. */
export type MetadataChange =
  | { readonly op: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly op: "delete"; readonly key: Uint8Array };

/** Which entries to list. */
export interface MetadataRange {
  /** Keys begin with this. */
  readonly prefix: Uint8Array;
  /** Only keys after this one. */
  readonly after?: Uint8Array;
  /** At most so many. */
  readonly limit: number;
  /** No further ones when those listed have so many bytes of values; no limit by default. */
  readonly maxBytes?: number;
}

/** An ordered store of byte keys (at most 500 bytes) and byte values. */
export interface MetadataStore extends AsyncDisposable {
  /** Counts the starts of this store; increased and synced before it is handed out. */
  readonly bootEpoch: number;
  /** The value of a key, or undefined. The bytes are the caller's to keep. */
  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Applies all changes or none; durable when it resolves. */
  write(changes: readonly MetadataChange[]): Promise<void>;
  /** Entries in order of their keys' bytes. */
  list(range: MetadataRange): Promise<{ readonly key: Uint8Array; readonly value: Uint8Array }[]>;
  /** How many keys begin with `prefix`. */
  count(prefix: Uint8Array): Promise<number>;
}
