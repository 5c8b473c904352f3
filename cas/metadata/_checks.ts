/**
 * What every metadata store checks.
 *
 * @module
 */

import { invalidArgument } from "@brokkr/common";
import type { MetadataChange, MetadataRange } from "../metadata_store.ts";

/** Longest key. */
export const MAX_KEY_BYTES = 500;

/** Largest value; metadata is small, and blobs have a store of their own. */
export const MAX_VALUE_BYTES = 64 << 20;

/** Throws INVALID_ARGUMENT for a key that cannot be stored. */
export function checkKey(key: Uint8Array): void {
  if (key.length < 1 || key.length > MAX_KEY_BYTES) {
    throw invalidArgument("key", `A metadata key must have 1 to ${MAX_KEY_BYTES} bytes, not ${key.length}`);
  }
}

/** Throws INVALID_ARGUMENT for a change that cannot be stored. */
export function checkChanges(changes: readonly MetadataChange[]): void {
  for (const change of changes) {
    checkKey(change.key);
    if (change.op === "put" && change.value.length > MAX_VALUE_BYTES) {
      throw invalidArgument(
        "value",
        `A metadata value must have at most ${MAX_VALUE_BYTES} bytes, not ${change.value.length}`,
      );
    }
  }
}

/** Throws INVALID_ARGUMENT for a range that makes no sense. */
export function checkRange(range: MetadataRange): void {
  if (!Number.isSafeInteger(range.limit) || range.limit < 0) {
    throw invalidArgument("limit", `A limit of entries must be a whole number from 0, not ${range.limit}`);
  }
  if (range.maxBytes !== undefined && !(range.maxBytes > 0)) {
    throw invalidArgument("max_bytes", `A limit of bytes must be a number above 0, not ${range.maxBytes}`);
  }
  if (range.prefix.length > MAX_KEY_BYTES) {
    throw invalidArgument("prefix", `A key prefix must have at most ${MAX_KEY_BYTES} bytes`);
  }
}
