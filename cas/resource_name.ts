/**
 * Names of blobs in the ByteStream service, and names of instances.
 *
 * Reads: `[instance/]blobs/[fn/]{hash}/{size}`. Writes: `[instance/]uploads/{uuid}/blobs/[fn/]{hash}/{size}[/meta]`.
 * With `compressed-blobs/{compressor}` in place of `blobs` the bytes are compressed on their way; hash and size are still
 * those of the blob. An instance name may hold slashes, so none of its segments may be one of the words that end it.
 *
 * @module
 */

import { type BrokkrError, invalidArgument } from "@brokkr/common";
import { BLOB_COMPRESSORS, type BlobCompressor } from "./compressors.ts";
import {
  blobSubject,
  type Digest,
  DIGEST_FUNCTIONS,
  type DigestFunction,
  digestFunctionBySegment,
  makeDigest,
  resolveDigestFunction,
} from "./digest.ts";

/** Longest resource name taken, in characters. */
export const MAX_RESOURCE_NAME_LENGTH = 2048;
/** Longest instance name taken, in characters. */
export const MAX_INSTANCE_NAME_LENGTH = 512;
/** Longest upload id taken, in characters. */
export const MAX_UPLOAD_ID_LENGTH = 128;

/** Words that no segment of an instance name may be. */
export const RESERVED_SEGMENTS: ReadonlySet<string> = new Set([
  "blobs",
  "uploads",
  "actions",
  "actionResults",
  "operations",
  "capabilities",
  "compressed-blobs",
]);

/** What a read names. */
export interface BlobName {
  /** Instance, `""` for the default one. */
  readonly instance: string;
  /** The blob. */
  readonly digest: Digest;
  /** How its bytes travel; as they are by default. */
  readonly compressor?: BlobCompressor;
}

/** What a write names. */
export interface UploadName extends BlobName {
  /** The client's own name of the upload; a write of the same one goes on where it stopped. */
  readonly uuid: string;
}

function refuse(name: string, why: string): BrokkrError {
  return invalidArgument("resource_name", `Resource name ${JSON.stringify(name.slice(0, 200))} ${why}`);
}

/** What is wrong with the segments of an instance name, or undefined. */
function instanceProblem(instance: string): string | undefined {
  if (instance === "") return undefined;
  if (instance.length > MAX_INSTANCE_NAME_LENGTH) {
    return `has ${instance.length} characters; at most ${MAX_INSTANCE_NAME_LENGTH} are allowed`;
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(instance)) return "holds a control character";
  for (const segment of instance.split("/")) {
    if (segment === "") return "has an empty segment; no slash may begin it, end it, or follow another";
    if (RESERVED_SEGMENTS.has(segment)) return `holds the reserved segment ${JSON.stringify(segment)}`;
  }
  return undefined;
}

/**
 * Checks an instance name.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT saying what is wrong with it.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { checkInstanceName } from "@brokkr/cas";
 * checkInstanceName("team/main");
 * assertThrows(() => checkInstanceName("team/blobs"));
 * ```
 */
export function checkInstanceName(instance: string): void {
  const problem = instanceProblem(instance);
  if (problem !== undefined) {
    throw invalidArgument(
      "instance_name",
      `Instance name ${JSON.stringify(instance.slice(0, 200))} ${problem}`,
    );
  }
}

/** The digest at `segments[at]` and after; `exact` refuses anything behind it. */
function parseBlobPart(name: string, segments: readonly string[], at: number, exact: boolean): Digest {
  let fn: DigestFunction | undefined = digestFunctionBySegment(segments[at] ?? "");
  if (fn !== undefined) at++;
  else if (segments[at] !== undefined && /^[a-z][a-z0-9]*$/.test(segments[at]) && !isHash(segments[at])) {
    const known = DIGEST_FUNCTIONS.map((each) => each.segment).join(", ");
    throw refuse(name, `names the digest function ${segments[at].slice(0, 40)}; supported: ${known}`);
  }
  const hash = segments[at];
  const size = segments[at + 1];
  if (hash === undefined || size === undefined) throw refuse(name, "ends before {hash}/{size}");
  if (exact && segments.length > at + 2) throw refuse(name, "goes on after {hash}/{size}");
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size)) {
    throw refuse(
      name,
      `has the size ${JSON.stringify(size.slice(0, 40))}, which is no decimal number of bytes`,
    );
  }
  fn ??= resolveDigestFunction(0, hash.length);
  return makeDigest(fn, hash, Number(size));
}

function isHash(segment: string): boolean {
  return segment.length >= 32 && /^[0-9a-f]+$/.test(segment);
}

function split(name: string): string[] {
  if (name === "") {
    throw invalidArgument(
      "resource_name",
      "A resource name is missing; write [instance/]blobs/{hash}/{size}",
    );
  }
  if (name.length > MAX_RESOURCE_NAME_LENGTH) {
    throw refuse(name, `has ${name.length} characters; at most ${MAX_RESOURCE_NAME_LENGTH} are allowed`);
  }
  return name.split("/");
}

function instanceOf(name: string, segments: readonly string[], end: number): string {
  const instance = segments.slice(0, end).join("/");
  // An empty first segment joins to "" as no segment does.
  const problem = end === 1 && instance === "" ? "begins with a slash" : instanceProblem(instance);
  if (problem !== undefined) throw refuse(name, `has an instance name that ${problem}`);
  return instance;
}

/** Where the digest begins after the word at `at`, and how the blob is compressed. */
function afterBlobsWord(
  name: string,
  segments: readonly string[],
  at: number,
): { readonly at: number; readonly how: { readonly compressor?: BlobCompressor } } {
  if (segments[at] === "blobs") return { at: at + 1, how: {} };
  if (segments[at] !== "compressed-blobs") throw refuse(name, 'lacks the segment "blobs"');
  const named = segments[at + 1] ?? "";
  const compressor = BLOB_COMPRESSORS.find((each) => each === named);
  if (compressor !== undefined) return { at: at + 2, how: { compressor } };
  throw refuse(
    name,
    `names the compressor ${JSON.stringify(named.slice(0, 40))}; supported: ${BLOB_COMPRESSORS.join(", ")}` +
      (named === "identity" ? '; plain blobs have the segment "blobs"' : ""),
  );
}

/**
 * Reads the name of a blob to read.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT saying what is wrong.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { digestOf, formatReadName, parseReadName, SHA256 } from "@brokkr/cas";
 * const digest = digestOf(SHA256, new Uint8Array(3));
 * assertEquals(parseReadName(formatReadName("a/b", digest)), { instance: "a/b", digest });
 * ```
 */
export function parseReadName(name: string): BlobName {
  const segments = split(name);
  const at = segments.findIndex((segment) => RESERVED_SEGMENTS.has(segment));
  if (at < 0) throw refuse(name, "lacks blobs/{hash}/{size}");
  if (segments[at] === "uploads") throw refuse(name, "is that of an upload; a read has no uploads/{uuid}");
  const instance = instanceOf(name, segments, at);
  const blob = afterBlobsWord(name, segments, at);
  return { instance, digest: parseBlobPart(name, segments, blob.at, true), ...blob.how };
}

/**
 * Reads the name of a blob to write. What follows the size is ignored, as REAPI wants it.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT saying what is wrong.
 */
export function parseUploadName(name: string): UploadName {
  const segments = split(name);
  const at = segments.findIndex((segment) => RESERVED_SEGMENTS.has(segment));
  if (at < 0 || segments[at] !== "uploads") throw refuse(name, "lacks uploads/{uuid}/blobs/{hash}/{size}");
  const instance = instanceOf(name, segments, at);
  const uuid = segments[at + 1] ?? "";
  if (uuid === "" || uuid.length > MAX_UPLOAD_ID_LENGTH) {
    throw refuse(
      name,
      `has an upload id of ${uuid.length} characters; 1 to ${MAX_UPLOAD_ID_LENGTH} are allowed`,
    );
  }
  const blob = afterBlobsWord(name, segments, at + 2);
  return { instance, uuid, digest: parseBlobPart(name, segments, blob.at, false), ...blob.how };
}

/** `blobs/…` or `compressed-blobs/…`. */
function blobPart(digest: Digest, compressor: BlobCompressor | undefined): string {
  const plain = blobSubject(digest);
  return compressor === undefined ? plain : plain.replace("blobs/", `compressed-blobs/${compressor}/`);
}

/**
 * The name under which a blob is read, compressed with `compressor` if that is given.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when `instance` is malformed.
 */
export function formatReadName(instance: string, digest: Digest, compressor?: BlobCompressor): string {
  checkInstanceName(instance);
  const tail = blobPart(digest, compressor);
  return instance === "" ? tail : `${instance}/${tail}`;
}

/**
 * The name under which a blob is written, compressed with `compressor` if that is given; `uuid` is the client's own name
 * of the upload.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when `instance` or `uuid` is malformed.
 */
export function formatUploadName(
  instance: string,
  uuid: string,
  digest: Digest,
  compressor?: BlobCompressor,
): string {
  checkInstanceName(instance);
  if (uuid === "" || uuid.length > MAX_UPLOAD_ID_LENGTH || uuid.includes("/")) {
    throw invalidArgument(
      "uuid",
      `An upload id needs 1 to ${MAX_UPLOAD_ID_LENGTH} characters and no slash, not ${JSON.stringify(uuid)}`,
    );
  }
  const tail = `uploads/${uuid}/${blobPart(digest, compressor)}`;
  return instance === "" ? tail : `${instance}/${tail}`;
}
