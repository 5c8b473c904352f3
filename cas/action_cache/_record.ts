/**
 * An action result as it is stored: its bytes as they came, and the packed digests of all it promises, so that whether
 * they are all there is one question to the store.
 *
 * Layout, little-endian: version (1 byte, 1), digest function (1 byte), 2 bytes of zero, length of the result (4),
 * number of digests (4), 4 bytes of zero, sizes (8 each, float64), hashes, the result.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import { digestFunctionByValue } from "../digest.ts";

const VERSION = 1;
const HEADER_BYTES = 16;

/** A record taken apart. */
export interface ResultRecord {
  /** The encoded ActionResult. */
  readonly bytes: Uint8Array;
  /** Everything it promises. */
  readonly closure: DigestBatch;
}

/** The bytes of a record. */
export function encodeRecord(record: ResultRecord): Uint8Array {
  const { bytes, closure } = record;
  const hashesBytes = closure.length * closure.fn.hashBytes;
  const out = new Uint8Array(HEADER_BYTES + closure.length * 8 + hashesBytes + bytes.length);
  const view = new DataView(out.buffer);
  out[0] = VERSION;
  out[1] = closure.fn.value;
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, closure.length, true);
  let at = HEADER_BYTES;
  for (let i = 0; i < closure.length; i++, at += 8) view.setFloat64(at, closure.sizes[i], true);
  out.set(closure.hashes.subarray(0, hashesBytes), at);
  out.set(bytes, at + hashesBytes);
  return out;
}

/**
 * Takes a record apart. What it gives are views into `stored`, or into a copy where that is not aligned.
 *
 * @throws {BrokkrError} DATA_LOSS when it is none.
 */
export function decodeRecord(stored: Uint8Array): ResultRecord {
  // Hashes of a batch begin on a 4-byte boundary.
  const all = stored.byteOffset % 4 === 0 ? stored : stored.slice();
  if (all.length < HEADER_BYTES || all[0] !== VERSION) {
    throw damaged(`begins with version ${all[0]}, not ${VERSION}`);
  }
  const fn = digestFunctionByValue(all[1]);
  if (fn === undefined) throw damaged(`names digest function ${all[1]}`);
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  const length = view.getUint32(4, true);
  const count = view.getUint32(8, true);
  const hashesAt = HEADER_BYTES + count * 8;
  const bytesAt = hashesAt + count * fn.hashBytes;
  if (bytesAt + length !== all.length) {
    throw damaged(`has ${all.length} bytes where ${bytesAt + length} belong`);
  }
  const sizes = new Float64Array(count);
  for (let i = 0; i < count; i++) sizes[i] = view.getFloat64(HEADER_BYTES + i * 8, true);
  return {
    bytes: all.subarray(bytesAt),
    closure: { fn, length: count, hashes: all.subarray(hashesAt, bytesAt), sizes },
  };
}

function damaged(why: string): BrokkrError {
  return new BrokkrError(Code.DATA_LOSS, `A stored action result is damaged: its record ${why}`);
}
