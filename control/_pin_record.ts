/**
 * A pin as it is stored: a header, and the packed digests it covers in parts beside it.
 *
 * @module
 */

import {
  type Digest,
  type DigestBatch,
  type DigestFunction,
  digestFunctionByValue,
  formatDigest,
  makeDigest,
  SHA256,
} from "@brokkr/cas";
import { BrokkrError, Code } from "@brokkr/common";

/** A pin. */
export interface Pin {
  /** Its name; one instance has one pin of a name. */
  readonly name: string;
  /** Instance on whose behalf it was made. */
  readonly instance: string;
  /** Function of all its digests. */
  readonly fn: DigestFunction;
  /** The action, when it covers an action's closure. */
  readonly action: Digest | undefined;
  /** Blobs it covers. */
  readonly blobs: number;
  /** Their bytes. */
  readonly bytes: number;
  /** When it was made, in milliseconds of wall time. */
  readonly createdMs: number;
  /** When it ends. */
  readonly untilMs: number;
}

/** A pin, and in how many parts its digests lie beside it. */
export interface PinRecord extends Pin {
  /** Parts. */
  readonly chunks: number;
}

/** Most parts of one pin; far more than there can be. */
const MAX_CHUNKS = 10_000;
const VERSION = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a pin is known by: names may be longer than a key. */
export function idOf(instance: string, name: string): Uint8Array {
  return Uint8Array.fromHex(SHA256.hash(encoder.encode(`${instance.length}:${instance}${name}`)));
}

/** Keys of the parts `from` to `to` of a pin's digests. */
export function chunkKeys(key: Uint8Array, from: number, to: number): Uint8Array[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => {
    const out = new Uint8Array(key.length + 4);
    out.set(key);
    new DataView(out.buffer).setUint32(key.length, from + i);
    return out;
  });
}

/** A part of the digests: sizes (8 bytes each, float64, little-endian), then hashes. */
export function encodeChunk({ fn, length, hashes, sizes }: DigestBatch): Uint8Array {
  const out = new Uint8Array(length * (8 + fn.hashBytes));
  const view = new DataView(out.buffer);
  for (let i = 0; i < length; i++) view.setFloat64(i * 8, sizes[i], true);
  out.set(hashes, length * 8);
  return out;
}

/**
 * The digests of a part.
 *
 * @throws {BrokkrError} DATA_LOSS when it is none.
 */
export function decodeChunk(fn: DigestFunction, value: Uint8Array): DigestBatch {
  const length = value.length / (8 + fn.hashBytes);
  if (!Number.isInteger(length)) {
    throw new BrokkrError(Code.DATA_LOSS, "Some of its digests are damaged; pin it again");
  }
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const sizes = new Float64Array(length);
  for (let i = 0; i < length; i++) sizes[i] = view.getFloat64(i * 8, true);
  // Copied: hashes of a batch begin on a 4-byte boundary.
  return { fn, length, hashes: value.slice(length * 8), sizes };
}

/** The header of a pin. */
export function encodePin(
  { name, instance, fn, action, blobs, bytes, createdMs, untilMs, chunks }: PinRecord,
): Uint8Array {
  return encoder.encode(JSON.stringify({
    version: VERSION,
    name,
    instance,
    fn: fn.value,
    ...(action === undefined ? {} : { action: [action.hash, action.sizeBytes] }),
    blobs,
    bytes,
    createdMs,
    untilMs,
    chunks,
  }));
}

/**
 * A pin of its header.
 *
 * @throws {BrokkrError} DATA_LOSS when it is none.
 */
export function decodePin(value: Uint8Array): PinRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(decoder.decode(value));
  } catch (cause) {
    throw new BrokkrError(Code.DATA_LOSS, "A pin is no JSON", { cause });
  }
  const record: Record<string, unknown> = typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  const number = (field: string, limit = Number.MAX_SAFE_INTEGER) => {
    const found = record[field];
    if (typeof found === "number" && found >= 0 && found <= limit) return found;
    throw new BrokkrError(Code.DATA_LOSS, `The ${field} of a pin is ${JSON.stringify(found)}`);
  };
  const { name, instance, action } = record;
  const fn = digestFunctionByValue(number("fn"));
  if (
    number("version") !== VERSION || typeof name !== "string" || typeof instance !== "string" ||
    fn === undefined
  ) {
    throw new BrokkrError(Code.DATA_LOSS, "A pin has no name, no instance, or is of another version");
  }
  const [hash, sizeBytes]: unknown[] = Array.isArray(action) ? action : [];
  return {
    name,
    instance,
    fn,
    action: typeof hash === "string" && typeof sizeBytes === "number"
      ? makeDigest(fn, hash, sizeBytes)
      : undefined,
    blobs: number("blobs"),
    bytes: number("bytes"),
    createdMs: number("createdMs"),
    untilMs: number("untilMs"),
    chunks: number("chunks", MAX_CHUNKS),
  };
}

/** What a pin is named when nobody names it. */
export function defaultPinName(digest: Digest): string {
  return formatDigest(digest);
}
