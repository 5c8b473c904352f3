/**
 * Metadata on disk, in LMDB.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import type { MetadataChange, MetadataRange, MetadataStore } from "../metadata_store.ts";
import { checkChanges, checkKey, checkRange } from "./_checks.ts";
import { compareBytes } from "./_order.ts";
import { LmdbEnv, type LmdbOptions } from "./lmdb_env.ts";

/** First byte of keys that are the store's own. */
const OWN = 0;
/** First byte of everybody else's. */
const USER = 1;
/** Version of the layout of keys and values. */
const FORMAT_VERSION = 1;

const FORMAT_KEY = ownKey("format");
const EPOCH_KEY = ownKey("boot-epoch");

function ownKey(name: string): Uint8Array {
  return Uint8Array.from([OWN, ...new TextEncoder().encode(name)]);
}

function userKey(key: Uint8Array): Uint8Array {
  const own = new Uint8Array(key.length + 1);
  own[0] = USER;
  own.set(key, 1);
  return own;
}

function float64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

function readFloat64(bytes: Uint8Array): number {
  if (bytes.length !== 8) return NaN;
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
}

/**
 * Opens the metadata store in directory `dir`, which the caller's process must own. Its boot epoch is increased and on
 * disk when this resolves.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when another version of Brokkr wrote it; DATA_LOSS when it is damaged;
 * RESOURCE_EXHAUSTED when the disk is full.
 */
export async function openLmdbMetadataStore(dir: string, options: LmdbOptions = {}): Promise<MetadataStore> {
  const env = LmdbEnv.open(dir, options);
  try {
    const format = env.get(FORMAT_KEY);
    const version = format === undefined ? FORMAT_VERSION : readFloat64(format);
    if (version !== FORMAT_VERSION) {
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        `Metadata in ${dir} has format ${version}, but this version of Brokkr knows ${FORMAT_VERSION}; ` +
          "use the version that wrote it, or another directory",
      );
    }
    const last = env.get(EPOCH_KEY);
    const epoch = last === undefined ? 1 : readFloat64(last) + 1;
    if (!Number.isSafeInteger(epoch) || epoch < 1) {
      throw new BrokkrError(Code.DATA_LOSS, `The boot epoch in ${dir} is damaged; restore it from a backup`);
    }
    await env.apply([
      { op: "put", key: FORMAT_KEY, value: float64(FORMAT_VERSION) },
      { op: "put", key: EPOCH_KEY, value: float64(epoch) },
    ]);
    return new LmdbMetadataStore(env, epoch);
  } catch (error) {
    await env[Symbol.asyncDispose]();
    throw error;
  }
}

class LmdbMetadataStore implements MetadataStore {
  readonly bootEpoch: number;
  readonly #env: LmdbEnv;

  constructor(env: LmdbEnv, bootEpoch: number) {
    this.#env = env;
    this.bootEpoch = bootEpoch;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    checkKey(key);
    return this.#env.get(userKey(key));
  }

  async write(changes: readonly MetadataChange[]): Promise<void> {
    checkChanges(changes);
    // Copies, since LMDB reads large values only when it commits.
    await this.#env.apply(
      changes.map((change) =>
        change.op === "put"
          ? { op: "put", key: userKey(change.key), value: change.value.slice() }
          : { op: "delete", key: userKey(change.key) }
      ),
    );
  }

  async list(range: MetadataRange): Promise<{ readonly key: Uint8Array; readonly value: Uint8Array }[]> {
    checkRange(range);
    const found: { key: Uint8Array; value: Uint8Array }[] = [];
    const after = range.after === undefined ? undefined : userKey(range.after);
    const prefix = userKey(range.prefix);
    const from = after !== undefined && compareBytes(after, prefix) >= 0 ? after : undefined;
    let bytes = 0;
    for await (const slice of this.#env.entries(prefix, from, range.limit)) {
      for (const { key, value } of slice) {
        found.push({ key: key.subarray(1), value });
        bytes += value.length;
        if (bytes >= (range.maxBytes ?? Infinity)) return found;
      }
    }
    return found;
  }

  count(prefix: Uint8Array): Promise<number> {
    return this.#env.count(userKey(prefix));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#env[Symbol.asyncDispose]();
  }
}
