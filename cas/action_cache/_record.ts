/**
 * An action result as it is stored: its bytes as they came, the packed digests of all it promises, so that whether they
 * are all there is one question to the store, and whose it is and when it was used, so that it can go when its time has
 * come.
 *
 * Version 2, little-endian: version (1 byte, 2), digest function (1 byte), 2 bytes of zero, length of the result (4),
 * number of digests (4), length of the origin (4), when it was stored and when it was used last (8 each, float64,
 * seconds of wall time), size of the action (8, float64), hash of the action, sizes of the digests (8 each, float64),
 * their hashes, the result, the origin: instance, tenant, lane and environment as a JSON array of strings.
 *
 * Version 1: version (1 byte, 1), digest function (1 byte), 2 bytes of zero, length of the result (4), number of digests
 * (4), 4 bytes of zero, sizes, hashes, the result.
 *
 * @module
 */

import { BrokkrError, Code, type InstanceName, type Scope } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import { type Digest, type DigestFunction, digestFunctionByValue, type HashHex } from "../digest.ts";

/** The version that is written. */
const VERSION = 2;
const HEADER_BYTES_1 = 16;
const HEADER_BYTES = 40;
const STORED_AT = 16;
const USED_AT = 24;
const ACTION_SIZE_AT = 32;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Whose a result is, and how it came about. */
export interface ResultOrigin {
  /** Who finds it. */
  readonly scope: Scope;
  /** The environment it is stored under. */
  readonly environment: string;
}

/** What is stored. */
export interface ResultRecord {
  /** The encoded ActionResult. */
  readonly bytes: Uint8Array;
  /** Everything it promises. */
  readonly closure: DigestBatch;
  /** The action. */
  readonly action: Digest;
  /** Whose it is; its text is only read when asked for. */
  readonly origin: ResultOrigin;
  /** When it was stored, in seconds of wall time. */
  readonly storedS: number;
  /** When it was used last, about, in seconds of wall time. */
  readonly usedS: number;
}

/** A record taken apart: of version 1 only the result and what it promises are known. */
export type AnyRecord = Pick<ResultRecord, "bytes" | "closure"> & Partial<ResultRecord>;

/** The bytes of a record. */
export function encodeRecord(record: ResultRecord): Uint8Array {
  const { bytes, closure, action, origin: { scope, environment } } = record;
  const { fn } = closure;
  const origin = encoder.encode(JSON.stringify([scope.instance, scope.tenant, scope.lane, environment]));
  const hashesBytes = closure.length * fn.hashBytes;
  const sizesAt = HEADER_BYTES + fn.hashBytes;
  const hashesAt = sizesAt + closure.length * 8;
  const out = new Uint8Array(hashesAt + hashesBytes + bytes.length + origin.length);
  const view = new DataView(out.buffer);
  out[0] = VERSION;
  out[1] = fn.value;
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, closure.length, true);
  view.setUint32(12, origin.length, true);
  view.setFloat64(STORED_AT, record.storedS, true);
  view.setFloat64(USED_AT, record.usedS, true);
  view.setFloat64(ACTION_SIZE_AT, action.sizeBytes, true);
  out.subarray(HEADER_BYTES, sizesAt).setFromHex(action.hash);
  for (let i = 0; i < closure.length; i++) view.setFloat64(sizesAt + i * 8, closure.sizes[i], true);
  out.set(closure.hashes.subarray(0, hashesBytes), hashesAt);
  out.set(bytes, hashesAt + hashesBytes);
  out.set(origin, hashesAt + hashesBytes + bytes.length);
  return out;
}

/**
 * Takes a record of either version apart. What it gives are views into `stored`, or into a copy where that is not
 * aligned.
 *
 * @throws {BrokkrError} DATA_LOSS when it is none; FAILED_PRECONDITION when a later version of Brokkr wrote it.
 */
export function decodeRecord(stored: Uint8Array): AnyRecord {
  // Hashes of a batch begin on a 4-byte boundary.
  const all = stored.byteOffset % 4 === 0 ? stored : stored.slice();
  const version = all[0];
  if (version > VERSION) {
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `A stored action result has version ${version}, but this version of Brokkr knows up to ${VERSION}; ` +
        "use the version that wrote it, or another data directory",
    );
  }
  if (version !== 1 && version !== VERSION) throw damaged(`begins with version ${version}`);
  const headerBytes = version === 1 ? HEADER_BYTES_1 : HEADER_BYTES;
  if (all.length < headerBytes) throw damaged(`has ${all.length} bytes`);
  const fn = digestFunctionByValue(all[1]);
  if (fn === undefined) throw damaged(`names digest function ${all[1]}`);
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  const sizesAt = version === 1 ? headerBytes : headerBytes + fn.hashBytes;
  const length = view.getUint32(4, true);
  const originBytes = version === 1 ? 0 : view.getUint32(12, true);
  const count = view.getUint32(8, true);
  const bytesAt = sizesAt + count * (8 + fn.hashBytes);
  const end = bytesAt + length + originBytes;
  if (end !== all.length) throw damaged(`has ${all.length} bytes where ${end} belong`);
  const parts = {
    bytes: all.subarray(bytesAt, bytesAt + length),
    closure: closureAt(view, fn, count, sizesAt),
  };
  if (version === 1) return parts;
  return { ...parts, ...headerOf(view, fn), origin: new LazyOrigin(all.subarray(bytesAt + length)) };
}

/** A copy of a record of version 2 that says it was used at `usedS`; undefined for what is no such record. */
export function withUse(stored: Uint8Array, usedS: number): Uint8Array | undefined {
  if (stored[0] !== VERSION || stored.length < HEADER_BYTES) return undefined;
  const copy = stored.slice();
  new DataView(copy.buffer).setFloat64(USED_AT, usedS, true);
  return copy;
}

function closureAt(view: DataView, fn: DigestFunction, count: number, sizesAt: number): DigestBatch {
  const sizes = new Float64Array(count);
  for (let i = 0; i < count; i++) sizes[i] = view.getFloat64(sizesAt + i * 8, true);
  const hashes = new Uint8Array(view.buffer, view.byteOffset + sizesAt + count * 8, count * fn.hashBytes);
  return { fn, length: count, hashes, sizes };
}

function headerOf(
  view: DataView,
  fn: DigestFunction,
): Pick<ResultRecord, "storedS" | "usedS" | "action"> {
  const storedS = view.getFloat64(STORED_AT, true);
  const usedS = view.getFloat64(USED_AT, true);
  const sizeBytes = view.getFloat64(ACTION_SIZE_AT, true);
  if (!(storedS >= 0 && usedS >= 0) || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw damaged("has a time or a size that is none");
  }
  const hash = new Uint8Array(view.buffer, view.byteOffset + HEADER_BYTES, fn.hashBytes);
  return { storedS, usedS, action: { fn, hash: hash.toHex() as HashHex, sizeBytes } };
}

/** Reads its text when it is asked for: lookups never do. */
class LazyOrigin implements ResultOrigin {
  readonly #text: Uint8Array;
  #parsed: ResultOrigin | undefined;

  constructor(text: Uint8Array) {
    this.#text = text;
  }

  get scope(): Scope {
    return (this.#parsed ??= parseOrigin(this.#text)).scope;
  }

  get environment(): string {
    return (this.#parsed ??= parseOrigin(this.#text)).environment;
  }
}

function parseOrigin(text: Uint8Array): ResultOrigin {
  let parts: unknown;
  try {
    parts = JSON.parse(decoder.decode(text));
  } catch (cause) {
    throw damaged("has an origin that is no JSON", cause);
  }
  if (!Array.isArray(parts) || parts.length !== 4 || !parts.every((part) => typeof part === "string")) {
    throw damaged("has an origin that is not four strings");
  }
  const [instance, tenant, lane, environment] = parts as string[];
  return { scope: { instance: instance as InstanceName, tenant, lane }, environment };
}

function damaged(why: string, cause?: unknown): BrokkrError {
  return new BrokkrError(Code.DATA_LOSS, `A stored action result is damaged: its record ${why}`, { cause });
}
