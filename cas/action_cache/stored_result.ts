/**
 * Stored results for those who look at all of them: statistics, and the checking of a stopped data directory.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import { type Digest, formatDigest, sameDigest } from "../digest.ts";
import { actionOfKey, RESULT_PREFIX } from "./_keys.ts";
import { decodeRecord, type ResultOrigin } from "./_record.ts";

/** What the keys of results begin with in the metadata store. */
export const RESULT_KEY_PREFIX: Uint8Array = RESULT_PREFIX;

/** A stored result, as its record and its key tell. */
export interface StoredResult {
  /** The action. */
  readonly action: Digest;
  /** Whose it is; undefined for what was stored before records said so, and was not used since. */
  readonly origin: ResultOrigin | undefined;
  /** When it was stored, in milliseconds of wall time; undefined as above. */
  readonly storedMs: number | undefined;
  /** When it was used last, to a day, in milliseconds of wall time; undefined as above. */
  readonly usedMs: number | undefined;
  /** The encoded ActionResult. */
  readonly bytes: Uint8Array;
  /** Everything it promises. */
  readonly closure: DigestBatch;
  /** What key and record take. */
  readonly storedBytes: number;
}

/**
 * Reads an entry of the metadata store whose key begins with {@linkcode RESULT_KEY_PREFIX}. What it gives are views into
 * `value`.
 *
 * @throws {BrokkrError} DATA_LOSS when it is damaged; FAILED_PRECONDITION when a later version of Brokkr wrote it.
 */
export function decodeStoredResult(key: Uint8Array, value: Uint8Array): StoredResult {
  const named = actionOfKey(key);
  if (named === undefined) {
    throw new BrokkrError(
      Code.DATA_LOSS,
      `A stored action result is damaged: its key of ${key.length} bytes is none`,
    );
  }
  const { action = named, origin, storedS, usedS, bytes, closure } = decodeRecord(value);
  if (!sameDigest(action, named)) {
    throw new BrokkrError(
      Code.DATA_LOSS,
      `A stored action result is damaged: it is of action ${formatDigest(action)}, and lies under ${
        formatDigest(named)
      }`,
    );
  }
  return {
    action,
    origin: origin === undefined ? undefined : { scope: origin.scope, environment: origin.environment },
    storedMs: storedS === undefined ? undefined : storedS * 1000,
    usedMs: usedS === undefined ? undefined : usedS * 1000,
    bytes,
    closure,
    storedBytes: key.length + value.length,
  };
}
