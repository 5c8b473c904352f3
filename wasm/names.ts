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
  /** The hash in lower-case hex; ends the hasher. */
  digestHex(): string;
}
