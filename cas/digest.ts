/**
 * Digests: a hash, the function that made it, and the size of what it names. Storage is keyed by function and hash,
 * since SHA256, BLAKE3 and SHA256TREE hashes look alike.
 *
 * @module
 */

import { type Branded, BrokkrError, Code, invalidArgument } from "@brokkr/common";
import { createHasher, HASH_BYTES, hashBatchHex, hashHex, type HashName } from "@brokkr/wasm/hashing";

/** A digest function. Its number is REAPI's `DigestFunction.Value`. */
export interface DigestFunction {
  /** REAPI's number. */
  readonly value: number;
  /** REAPI's name, such as `SHA256`. */
  readonly name: string;
  /** Lower-case segment in resource names and directories, such as `sha256`. */
  readonly segment: string;
  /** Length of a hash in bytes. */
  readonly hashBytes: number;
  /** Whether resource names carry the segment (only those that share a length with an older function do). */
  readonly named: boolean;
  /** The hash of `data`, in lower-case hex. */
  hash(data: Uint8Array): string;
  /** The hashes of many blobs, in lower-case hex: many small ones take less time together than one after the other. */
  hashBatch(datas: readonly Uint8Array[]): string[];
  /** A hash computed piece by piece, of `sizeBytes` where that is known: long ones may be hashed by two threads. */
  hasher(sizeBytes?: number): Hasher;
}

/** Hashes a stream. */
export interface Hasher {
  /** Adds bytes; they may be reused afterwards. */
  update(data: Uint8Array): void;
  /** The hash in lower-case hex; ends the hasher. */
  digestHex(): string;
}

/** A hash in lower-case hex, as long as its function says. */
export type HashHex = Branded<string, "HashHex">;

/** Names a blob. */
export interface Digest {
  /** What made the hash. */
  readonly fn: DigestFunction;
  /** The hash in lower-case hex. */
  readonly hash: HashHex;
  /** Size of the blob in bytes. */
  readonly sizeBytes: number;
}

/** `named` is for functions whose hashes are as long as an older function's. */
function makeFunction(value: number, segment: HashName, named = false): DigestFunction {
  const hashBytes = HASH_BYTES[segment];
  return {
    value,
    name: segment.toUpperCase(),
    segment,
    hashBytes,
    named,
    hash: (data) => hashHex(segment, data),
    hashBatch: (datas) => hashBatchHex(segment, datas),
    hasher(sizeBytes) {
      const hasher = createHasher(segment, { sizeBytes });
      return { update: (data) => hasher.update(data), digestHex: () => hasher.digestHex() };
    },
  };
}

/** SHA-256 (FIPS 180-4). */
export const SHA256: DigestFunction = makeFunction(1, "sha256");

/** BLAKE3, with its own segment in resource names. */
export const BLAKE3: DigestFunction = makeFunction(9, "blake3", true);

/** The functions that this build can compute, in order of preference. Others join here and nowhere else. */
export const DIGEST_FUNCTIONS: readonly DigestFunction[] = [
  SHA256,
  BLAKE3,
  makeFunction(5, "sha384"),
  makeFunction(6, "sha512"),
  makeFunction(2, "sha1"),
  makeFunction(3, "md5"),
  makeFunction(8, "sha256tree", true),
];

/** REAPI's names of functions that this build cannot compute, by number, for messages. */
const OTHER_FUNCTIONS: ReadonlyMap<number, string> = new Map([[4, "VSO"], [7, "MURMUR3"], [10, "GITSHA1"]]);

const byValue = new Map(DIGEST_FUNCTIONS.map((fn) => [fn.value, fn]));
const bySegment = new Map(DIGEST_FUNCTIONS.map((fn) => [fn.segment, fn]));

/** The function with REAPI's number `value`, or undefined. */
export function digestFunctionByValue(value: number): DigestFunction | undefined {
  return byValue.get(value);
}

/** REAPI's name of a function by its number, also of one that cannot be computed here. */
export function digestFunctionName(value: number): string {
  return byValue.get(value)?.name ?? OTHER_FUNCTIONS.get(value) ?? String(value);
}

/** The function whose segment in resource names is `segment`, or undefined. */
export function digestFunctionBySegment(segment: string): DigestFunction | undefined {
  return bySegment.get(segment);
}

/**
 * The function of this name, as people write it: REAPI's name, in any case.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT listing those there are when it is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { BLAKE3, digestFunctionNamed } from "@brokkr/cas";
 * assertEquals(digestFunctionNamed("blake3"), BLAKE3);
 * ```
 */
export function digestFunctionNamed(name: string): DigestFunction {
  const fn = bySegment.get(name.toLowerCase());
  if (fn !== undefined) return fn;
  throw invalidArgument(
    "digest_function",
    `Digest function ${JSON.stringify(name.slice(0, 40))} is not supported; supported: ${supported()}`,
  );
}

/**
 * The function a request means: the one it names, or, when it names none (0), the first unnamed one whose hashes are as
 * long as `hashHexLength`.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when it is unknown or not supported here.
 */
export function resolveDigestFunction(value: number, hashHexLength: number): DigestFunction {
  if (value !== 0) {
    const fn = byValue.get(value);
    if (fn !== undefined) return fn;
    throw invalidArgument(
      "digest_function",
      `Digest function ${digestFunctionName(value)} is not supported; supported: ${supported()}`,
    );
  }
  for (const fn of DIGEST_FUNCTIONS) if (!fn.named && fn.hashBytes * 2 === hashHexLength) return fn;
  throw invalidArgument(
    "digest_function",
    `No supported digest function has hashes of ${hashHexLength} hex digits; supported: ${supported()}`,
  );
}

function supported(): string {
  return DIGEST_FUNCTIONS.map((fn) => fn.name).join(", ");
}

/** Whether every character of `text` is one of 0-9a-f. */
function isLowerHex(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (!((c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x66))) return false;
  }
  return true;
}

/**
 * A digest from its parts as they came over the wire.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming what is wrong.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { digestOf, makeDigest, SHA256 } from "@brokkr/cas";
 * const digest = digestOf(SHA256, new TextEncoder().encode("hello"));
 * assertEquals(makeDigest(SHA256, digest.hash, 5), digest);
 * ```
 */
export function makeDigest(fn: DigestFunction, hash: string, sizeBytes: number): Digest {
  if (hash.length !== fn.hashBytes * 2 || !isLowerHex(hash)) {
    throw invalidArgument(
      "digest.hash",
      `${JSON.stringify(hash.slice(0, 140))} is not a ${fn.name} hash: ${
        fn.hashBytes * 2
      } lower-case hex digits are needed`,
    );
  }
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw invalidArgument("digest.size_bytes", `A blob cannot have ${sizeBytes} bytes`);
  }
  return { fn, hash: hash as HashHex, sizeBytes };
}

/** A wire Digest message as a {@linkcode Digest}; `field` names it in the error. */
export function parseDigest(
  message: { readonly hash?: string | null; readonly sizeBytes?: number | null } | null | undefined,
  functionValue: number,
  field = "digest",
): Digest {
  if (message === null || message === undefined) throw invalidArgument(field, "A digest is missing");
  const hash = message.hash ?? "";
  return makeDigest(resolveDigestFunction(functionValue, hash.length), hash, message.sizeBytes ?? 0);
}

/** The digest of `data`. */
export function digestOf(fn: DigestFunction, data: Uint8Array): Digest {
  return { fn, hash: fn.hash(data) as HashHex, sizeBytes: data.length };
}

/** `hash/size`, as logs and errors show a digest, after `fn:` where the hash does not tell the function. */
export function formatDigest(digest: Digest): string {
  return `${digest.fn.named ? `${digest.fn.segment}:` : ""}${digest.hash}/${digest.sizeBytes}`;
}

/** `blobs/[fn/]hash/size`, the subject of a MISSING violation. */
export function blobSubject(digest: Digest): string {
  return `blobs/${digest.fn.named ? digest.fn.segment + "/" : ""}${digest.hash}/${digest.sizeBytes}`;
}

/** Whether two digests name the same blob. */
export function sameDigest(a: Digest, b: Digest): boolean {
  return a.hash === b.hash && a.sizeBytes === b.sizeBytes && a.fn === b.fn;
}

/** Key of a digest in maps: function and hash. */
export function digestKey(digest: { readonly fn: DigestFunction; readonly hash: string }): string {
  return `${digest.fn.value}:${digest.hash}`;
}

/**
 * Reads `hash/size` or `fn:hash/size` as a person types it. Without a function it is `preferred`, if its hashes are as
 * long as this one.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when it is not of that form.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { BLAKE3, digestOf, formatDigest, parseDigestText } from "@brokkr/cas";
 * const digest = digestOf(BLAKE3, new Uint8Array(3));
 * assertEquals(parseDigestText(formatDigest(digest)), digest);
 * assertEquals(parseDigestText(`${digest.hash}/3`, BLAKE3), digest);
 * ```
 */
export function parseDigestText(text: string, preferred?: DigestFunction): Digest {
  const match = /^(?:([a-z0-9]+):)?([0-9a-f]+)\/(\d{1,16})$/.exec(text);
  if (match === null) {
    throw invalidArgument(
      "digest",
      `${JSON.stringify(text.slice(0, 200))} is not a digest; write it as <hash>/<size>`,
    );
  }
  if (match[1] !== undefined && !bySegment.has(match[1])) {
    throw invalidArgument(
      "digest",
      `Digest function ${match[1]} is not supported; supported: ${supported()}`,
    );
  }
  const [, segment, hash, size] = match;
  const likely = preferred !== undefined && preferred.hashBytes * 2 === hash.length ? preferred.value : 0;
  const value = segment === undefined ? likely : bySegment.get(segment)?.value ?? 0;
  return makeDigest(resolveDigestFunction(value, hash.length), hash, Number(size));
}

/** FAILED_PRECONDITION that names every missing blob, as REAPI wants it. */
export function missingBlobsError(message: string, digests: readonly Digest[]): BrokkrError {
  return new BrokkrError(Code.FAILED_PRECONDITION, message, {
    details: [{
      kind: "preconditionFailure",
      violations: digests.map((digest) => ({
        type: "MISSING",
        subject: blobSubject(digest),
        description: "",
      })),
    }],
  });
}
