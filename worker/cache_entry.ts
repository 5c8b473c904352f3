/**
 * One blob of the worker's cache.
 *
 * @module
 */

import { type Digest, type DigestFunction, digestKey, digestOf } from "@brokkr/cas/client";

/** One blob of the cache. Only the cache and what loads into it change it. */
export interface CacheEntry {
  /** {@linkcode digestKey} of the blob. */
  readonly key: string;
  /** What the blob is called. */
  readonly digest: Digest;
  /** The file that holds it. */
  readonly path: string;
  /** How many hold it now; it is not evicted before this is 0. */
  pins: number;
  /** Whether the content is there. */
  ready: boolean;
  /** Whether this process has seen that the content has its digest, or the machine has not gone down since one did. */
  proven: boolean;
  /** The content, while it is kept in memory. */
  memory: Uint8Array | undefined;
  /** Called when the last one that held it lets go while it is still loading. */
  onAbandoned: (() => void) | undefined;
}

const EMPTY = new Uint8Array();

/** An entry without content, whose file will be at `path`. */
export function newEntry(digest: Digest, path: string): CacheEntry {
  return {
    key: digestKey(digest),
    digest,
    path,
    pins: 0,
    ready: false,
    proven: false,
    memory: undefined,
    onAbandoned: undefined,
  };
}

/** An entry for the empty blob, which is always there and never on disk. */
export function emptyEntry(fn: DigestFunction): CacheEntry {
  return { ...newEntry(digestOf(fn, EMPTY), "/dev/null"), ready: true, proven: true, memory: EMPTY };
}
