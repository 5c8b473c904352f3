/**
 * Hashing and chunking.
 *
 * @module
 */

import * as nodeCrypto from "node:crypto";
import { referenceBlake3, referenceSha256Tree } from "./reference.ts";

/** The hash functions. */
export type HashName = "sha256" | "blake3" | "sha1" | "md5" | "sha384" | "sha512" | "sha256tree";

/** Bytes of a hash of each function. */
export const HASH_BYTES: Readonly<Record<HashName, number>> = {
  sha256: 32,
  blake3: 32,
  sha1: 20,
  md5: 16,
  sha384: 48,
  sha512: 64,
  sha256tree: 32,
};

/** Hashes a stream. */
export interface Hasher {
  /** Adds bytes; they may be reused afterwards. */
  update(bytes: Uint8Array): void;
  /** The hash; ends the hasher. */
  digest(): Uint8Array;
}

/** The hash of `bytes`. */
export function hash(name: HashName, bytes: Uint8Array): Uint8Array {
  if (name === "blake3") return referenceBlake3(bytes);
  if (name === "sha256tree") return referenceSha256Tree(bytes);
  return Uint8Array.fromHex(nodeCrypto.hash(name, bytes, "hex"));
}

/** The hash of `bytes` in lower-case hex. */
export function hashHex(name: HashName, bytes: Uint8Array): string {
  if (name !== "blake3" && name !== "sha256tree") return nodeCrypto.hash(name, bytes, "hex");
  return hash(name, bytes).toHex();
}

/** The hashes of many inputs, one after the other. */
export function hashBatch(name: HashName, inputs: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(inputs.length * HASH_BYTES[name]);
  inputs.forEach((input, i) => all.set(hash(name, input), i * HASH_BYTES[name]));
  return all;
}

/** A hasher of a stream. */
export function createHasher(name: HashName): Hasher {
  if (name === "blake3" || name === "sha256tree") {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    return {
      update: (bytes) => void parts.push(bytes.slice()),
      digest: () => {
        const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
        let at = 0;
        for (const part of parts) {
          whole.set(part, at);
          at += part.length;
        }
        return hash(name, whole);
      },
    };
  }
  const inner = nodeCrypto.createHash(name);
  return { update: (bytes) => void inner.update(bytes), digest: () => new Uint8Array(inner.digest()) };
}

export { chunkAndHash, type HashedChunk } from "./chunk_and_hash.ts";
export { chunkLengths, FastCdcChunker } from "./fastcdc.ts";
export {
  type CheckedFastCdcParams,
  checkFastCdcParams,
  type FastCdcParams,
  LEAST_MIN_BYTES,
  MAX_AVG_BYTES,
  MIN_AVG_BYTES,
  MOST_MAX_BYTES,
  RECOMMENDED_AVG_BYTES,
} from "./fastcdc_params.ts";
