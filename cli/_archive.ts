/**
 * Archives of actions: a tar with `manifest.json` and every blob of an action's closure as `blobs/<function>/<hash>`, in
 * order of the hashes. The same action gives the same bytes.
 *
 * The manifest does not list the blobs, of which there may be a million, but says how many there are and the SHA-256 of
 * their list: who reads the archive piece by piece knows at the end that nothing is missing. The list is a line for the
 * action, one for the result, and one `hash size` for each blob, so that all of it is of a piece.
 *
 * @module
 */

import {
  type Digest,
  type DigestFunction,
  digestFunctionBySegment,
  formatDigest,
  type HashHex,
  parseDigestText,
  SHA256,
} from "@brokkr/cas/client";
import { damagedArchive, readTar, tarEnd, type TarEntry, tarHeader, tarPadding } from "./_tar.ts";

/** What an archive holds. */
export interface Manifest {
  /** The action. */
  readonly action: Digest;
  /** Instance that it was exported from. */
  readonly instance: string;
  /** The encoded ActionResult, which is a blob of the archive; undefined when the action has none. */
  readonly result: Digest | undefined;
  /** Whether the Action, its Command and its input tree are there, too. */
  readonly inputs: boolean;
  /** Blobs in the archive. */
  readonly blobs: number;
  /** Their bytes. */
  readonly bytes: number;
  /** SHA-256 of their list. */
  readonly contents: string;
  /** How many of them are what. */
  readonly roles: Readonly<Record<string, number>>;
}

/** A blob of an archive that is being read. */
export interface ArchivedBlob {
  /** Its digest, as the archive's name and size for it say; what comes out of `data` is compared with it. */
  readonly digest: Digest;
  /** Its bytes, to be read once and before the next blob is asked for; throws at the end when they have another hash. */
  readonly data: AsyncIterable<Uint8Array>;
}

/** Most blobs in an archive: those of an action, and its result. */
const MAX_BLOBS = 1_000_001;
/** Bytes of a blob that are handed on at a time. */
const PIECE_BYTES = 1 << 20;
const MAX_MANIFEST_BYTES = 64 << 10;
const MANIFEST_NAME = "manifest.json";
const FORMAT = "brokkr action";
const VERSION = 1;
const encoder = new TextEncoder();

/** The list of blobs, hashed as it grows. */
export class ContentsHash {
  readonly #hasher = SHA256.hasher();

  /** Begins the list. */
  constructor({ action, result, inputs }: Pick<Manifest, "action" | "result" | "inputs">) {
    this.#line(`action ${plainDigest(action)} ${inputs ? "with" : "without"} inputs`);
    this.#line(result === undefined ? "no result" : `result ${plainDigest(result)}`);
  }

  /** Blobs so far. */
  blobs = 0;
  /** Their bytes. */
  bytes = 0;

  /** Adds the next. */
  add({ hash, sizeBytes }: Digest): void {
    this.blobs++;
    this.bytes += sizeBytes;
    this.#line(`${hash} ${sizeBytes}`);
  }

  #line(text: string): void {
    this.#hasher.update(encoder.encode(`${text}\n`));
  }

  /** The hash; ends it. */
  finish(): string {
    return this.#hasher.digestHex();
  }
}

/**
 * An archive's bytes, in pieces that are valid until the next is asked for.
 *
 * @param blobs gives the blobs of the manifest in order of their hashes.
 */
export async function* writeArchive(
  manifest: Manifest,
  blobs: AsyncIterable<ArchivedBlob>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const head = encodeManifest(manifest);
  yield tarHeader(MANIFEST_NAME, head.length);
  yield head;
  yield tarPadding(head.length);
  for await (const { digest, data } of blobs) {
    yield tarHeader(nameOf(digest), digest.sizeBytes);
    yield* data;
    yield tarPadding(digest.sizeBytes);
  }
  yield tarEnd();
}

/** A digest whose function stands elsewhere in the archive. */
function plainDigest({ hash, sizeBytes }: Digest): string {
  return `${hash}/${sizeBytes}`;
}

function nameOf({ fn, hash }: Digest): string {
  return `blobs/${fn.segment}/${hash}`;
}

function encodeManifest(
  { action, instance, result, inputs, blobs, bytes, contents, roles }: Manifest,
): Uint8Array {
  const value = {
    format: FORMAT,
    version: VERSION,
    digestFunction: action.fn.segment,
    action: plainDigest(action),
    result: result === undefined ? null : plainDigest(result),
    instance,
    inputs,
    blobs,
    bytes,
    contents,
    roles,
  };
  return encoder.encode(JSON.stringify(value, undefined, 2) + "\n");
}

/** An archive that is being read: its manifest, and what to read the rest with. */
export interface OpenArchive {
  /** What it says it holds. */
  readonly manifest: Manifest;
  /**
   * Its blobs. Ends without an error only when all were there and each was what its name says.
   *
   * @throws {BrokkrError} DATA_LOSS, while iterating.
   */
  readonly blobs: AsyncIterable<ArchivedBlob>;
}

/**
 * Reads the beginning of an archive.
 *
 * @throws {BrokkrError} DATA_LOSS when it is none; FAILED_PRECONDITION for one of a later version.
 */
export async function openArchive(source: AsyncIterable<Uint8Array>): Promise<OpenArchive> {
  const entries = readTar(source);
  const first = await entries.next();
  if (first.done === true || first.value.name !== MANIFEST_NAME) {
    await entries.return();
    throw damagedArchive(`it does not begin with ${MANIFEST_NAME}`);
  }
  try {
    const manifest = decodeManifest(await wholeOf(first.value));
    return { manifest, blobs: blobsOf(entries, manifest) };
  } catch (error) {
    await entries.return();
    throw error;
  }
}

async function wholeOf({ name, sizeBytes, data }: TarEntry): Promise<Uint8Array> {
  if (sizeBytes > MAX_MANIFEST_BYTES) throw damagedArchive(`${name} has ${sizeBytes} bytes`);
  const whole = new Uint8Array(sizeBytes);
  let length = 0;
  for await (const piece of data) {
    whole.set(piece, length);
    length += piece.length;
  }
  return whole;
}

function decodeManifest(bytes: Uint8Array): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw damagedArchive(`${MANIFEST_NAME} is no JSON`);
  }
  const record: Record<string, unknown> = typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  const wrong = (field: string, want: string) =>
    damagedArchive(
      `${field} of ${MANIFEST_NAME} is ${
        (JSON.stringify(record[field]) ?? "missing").slice(0, 100)
      }, not ${want}`,
    );
  if (record.format !== FORMAT) throw wrong("format", JSON.stringify(FORMAT));
  if (record.version !== VERSION) {
    throw wrong("version", `${VERSION}, the one that this version of brokk reads`);
  }
  const fn = typeof record.digestFunction === "string"
    ? digestFunctionBySegment(record.digestFunction)
    : undefined;
  if (fn === undefined) throw wrong("digestFunction", "one that this version of brokk knows");
  const digest = (field: string) => {
    const text = record[field];
    if (typeof text !== "string") throw wrong(field, "a digest");
    try {
      return parseDigestText(`${fn.segment}:${text}`);
    } catch {
      throw wrong(field, "a digest");
    }
  };
  const number = (field: string, limit: number) => {
    const value = record[field];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= limit) {
      return value;
    }
    throw wrong(field, `a whole number up to ${limit}`);
  };
  const { instance, inputs, contents, roles } = record;
  if (typeof instance !== "string") throw wrong("instance", "a name");
  if (typeof inputs !== "boolean") throw wrong("inputs", "true or false");
  if (typeof contents !== "string") throw wrong("contents", "a hash");
  const counted = typeof roles === "object" && roles !== null ? Object.entries(roles) : [];
  return {
    action: digest("action"),
    result: record.result === null ? undefined : digest("result"),
    instance,
    inputs,
    blobs: number("blobs", MAX_BLOBS),
    bytes: number("bytes", Number.MAX_SAFE_INTEGER),
    contents,
    roles: Object.fromEntries(counted.filter(([, count]) => typeof count === "number")),
  };
}

async function* blobsOf(
  entries: AsyncGenerator<TarEntry, void, undefined>,
  manifest: Manifest,
): AsyncGenerator<ArchivedBlob, void, undefined> {
  const { fn } = manifest.action;
  const contents = new ContentsHash(manifest);
  let before = "";
  for await (const entry of entries) {
    const digest = digestOfEntry(entry, fn);
    if (digest.hash <= before) throw damagedArchive(`blob ${digest.hash} is out of order`);
    before = digest.hash;
    // Importers hold it in memory, and go by the size in the manifest.
    if (digest.hash === manifest.result?.hash && digest.sizeBytes !== manifest.result.sizeBytes) {
      throw damagedArchive(`its result ${formatDigest(manifest.result)} has ${digest.sizeBytes} bytes`);
    }
    contents.add(digest);
    if (contents.blobs > manifest.blobs || contents.bytes > manifest.bytes) {
      throw damagedArchive(
        `it holds more than the ${manifest.blobs} blobs of ${manifest.bytes} bytes of its manifest`,
      );
    }
    const check = new CheckedData(digest, entry.data);
    yield { digest, data: check.pieces() };
    if (!check.done) throw damagedArchive(`blob ${formatDigest(digest)} was not read`);
  }
  if (contents.blobs !== manifest.blobs || contents.bytes !== manifest.bytes) {
    throw damagedArchive(
      `it holds ${contents.blobs} blobs of ${contents.bytes} bytes, and its manifest says ${manifest.blobs} of ` +
        `${manifest.bytes}`,
    );
  }
  if (contents.finish() !== manifest.contents) {
    throw damagedArchive("its blobs are not those of its manifest");
  }
}

function digestOfEntry({ name, sizeBytes }: TarEntry, fn: DigestFunction): Digest {
  const prefix = `blobs/${fn.segment}/`;
  const hash = name.slice(prefix.length);
  if (!name.startsWith(prefix) || hash.length !== 2 * fn.hashBytes || !/^[0-9a-f]+$/.test(hash)) {
    throw damagedArchive(`entry ${JSON.stringify(name)} does not belong there`);
  }
  return { fn, hash: hash as HashHex, sizeBytes };
}

/** Bytes of a blob, compared with its hash as they go by. */
class CheckedData {
  done = false;
  readonly #digest: Digest;
  readonly #data: AsyncIterable<Uint8Array>;

  constructor(digest: Digest, data: AsyncIterable<Uint8Array>) {
    this.#digest = digest;
    this.#data = data;
  }

  /**
   * One piece is held back: nobody has all of a blob that is not what it should be. Small pieces, such as pipes give, are
   * put together.
   */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    const hasher = this.#digest.fn.hasher();
    const pieceBytes = Math.min(PIECE_BYTES, this.#digest.sizeBytes);
    let piece = new Uint8Array(pieceBytes);
    let filled = 0;
    for await (const read of this.#data) {
      hasher.update(read);
      for (let at = 0; at < read.length;) {
        if (filled === piece.length) {
          yield piece;
          piece = new Uint8Array(pieceBytes);
          filled = 0;
        }
        const part = read.subarray(at, at + piece.length - filled);
        piece.set(part, filled);
        filled += part.length;
        at += part.length;
      }
    }
    if (hasher.digestHex() !== this.#digest.hash) {
      throw damagedArchive(`blob ${formatDigest(this.#digest)} has another hash`);
    }
    this.done = true;
    if (filled > 0) yield piece.subarray(0, filled);
  }
}
