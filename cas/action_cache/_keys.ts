/**
 * Under which keys results lie: `ac/`, a hash of scope and environment, whose names may be longer than a key, the digest
 * function's number, the hash of the action, its size (8 bytes, big-endian).
 *
 * @module
 */

import { type Scope, scopeKey } from "@brokkr/common";
import { type Digest, digestFunctionByValue, type HashHex, SHA256 } from "../digest.ts";

const encoder = new TextEncoder();
/** What all keys of results begin with. */
export const RESULT_PREFIX: Uint8Array = encoder.encode("ac/");
/** Since when records of version 1, which do not say when they were used, count as used. No key of a result. */
export const LEGACY_KEY: Uint8Array = encoder.encode("action-cache/used-before");

const NAME_BYTES = 32;
const MAX_REMEMBERED = 1024;

/** Makes keys. */
export class ResultKeys {
  readonly #prefixes = new Map<string, Uint8Array>();

  /** The key of an action's result. */
  of(scope: Scope, action: Digest, environment: string): Uint8Array {
    const { fn } = action;
    const prefix = this.#prefix(scopeKey(scope), environment);
    const sizeAt = prefix.length + 1 + fn.hashBytes;
    const key = new Uint8Array(sizeAt + 8);
    key.set(prefix);
    key[prefix.length] = fn.value;
    key.subarray(prefix.length + 1).setFromHex(action.hash);
    // The size is a part of the digest: a request with the right hash and another size names another action.
    new DataView(key.buffer).setBigUint64(sizeAt, BigInt(action.sizeBytes));
    return key;
  }

  #prefix(scope: string, environment: string): Uint8Array {
    const name = `${scope.length}:${scope}${environment}`;
    let prefix = this.#prefixes.get(name);
    if (prefix === undefined) {
      const hash = Uint8Array.fromHex(SHA256.hash(encoder.encode(name)));
      prefix = new Uint8Array([...RESULT_PREFIX, ...hash]);
      if (this.#prefixes.size >= MAX_REMEMBERED) this.#prefixes.clear();
      this.#prefixes.set(name, prefix);
    }
    return prefix;
  }
}

/** The action that a key names; undefined for what is no key of a result. */
export function actionOfKey(key: Uint8Array): Digest | undefined {
  const at = RESULT_PREFIX.length + NAME_BYTES;
  const fn = digestFunctionByValue(key[at]);
  if (fn === undefined || key.length !== at + 1 + fn.hashBytes + 8) return undefined;
  const sizeAt = at + 1 + fn.hashBytes;
  const size = new DataView(key.buffer, key.byteOffset, key.byteLength).getBigUint64(sizeAt);
  return { fn, hash: key.subarray(at + 1, sizeAt).toHex() as HashHex, sizeBytes: Number(size) };
}

/** One string for whose action it is, unambiguous whatever its parts hold: the name of what is kept at hand. */
export function resultName(scope: Scope, action: Digest, environment: string): string {
  const where = scopeKey(scope);
  return `${action.hash}${action.sizeBytes}:${action.fn.value}:${where.length}:${where}${environment}`;
}
