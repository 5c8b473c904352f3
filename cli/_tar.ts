/**
 * Plain tar archives (POSIX.1-1988 ustar), written and read as streams: of regular files only, the same bytes for the
 * same files.
 *
 * Of our own because it is so little, and because archives come from strangers: whatever is not a regular file with a
 * plain header is refused here, where a library would follow its extensions (paths and sizes in extra records of any
 * length, links, sparse files). Files of 8 GiB and more have their size in base 256, as GNU, BSD and busybox write it.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";

const BLOCK = 512;
const NAME_BYTES = 100;
/** Sizes below this fit eleven octal digits. */
const OCTAL_LIMIT = 8 ** 11;
/** Zeros after the end of an archive, such as tools fill their last record with. */
const MAX_TRAILING_BYTES = 1 << 20;
const SIZE = { at: 124, end: 136 };
const CHECKSUM = { at: 148, end: 156 };
const TYPE_AT = 156;
const LINK = { at: 157, end: 257 };
const MAGIC = { at: 257, end: 265 };
const PREFIX = { at: 345, end: 500 };
/** POSIX's and GNU's. */
const MAGICS: readonly string[] = ["ustar\x0000", "ustar  \0"];
const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** An archive that is not as it should be. */
export function damagedArchive(why: string): BrokkrError {
  return new BrokkrError(Code.DATA_LOSS, `The archive is damaged, or none of an action: ${why}`);
}

/**
 * The header of a regular file.
 *
 * @throws {BrokkrError} INTERNAL for names that do not fit.
 */
export function tarHeader(name: string, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(BLOCK);
  const text = (at: number, value: string) => void header.set(encoder.encode(value), at);
  if (name.length > NAME_BYTES || !/^[\x21-\x7e]+$/.test(name)) {
    throw new BrokkrError(Code.INTERNAL, `${JSON.stringify(name)} does not fit the header of a tar archive`);
  }
  text(0, name);
  text(100, "0000644\0");
  text(108, "0000000\0");
  text(116, "0000000\0");
  if (sizeBytes < OCTAL_LIMIT) text(SIZE.at, `${sizeBytes.toString(8).padStart(11, "0")}\0`);
  else {
    header[SIZE.at] = 0x80;
    new DataView(header.buffer).setBigUint64(SIZE.end - 8, BigInt(sizeBytes));
  }
  text(136, "00000000000\0");
  text(TYPE_AT, "0");
  text(MAGIC.at, MAGICS[0]);
  text(CHECKSUM.at, `${checksum(header).toString(8).padStart(6, "0")}\0 `);
  return header;
}

/** What follows a file's bytes, up to the next header. */
export function tarPadding(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((BLOCK - sizeBytes % BLOCK) % BLOCK);
}

/** What ends an archive. */
export function tarEnd(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(2 * BLOCK);
}

/** Sum of a header's bytes, those of the sum itself taken as blanks. */
function checksum(header: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= CHECKSUM.at && i < CHECKSUM.end ? 0x20 : header[i];
  return sum;
}

/** A file in an archive. */
export interface TarEntry {
  /** Its name, as it stands there. */
  readonly name: string;
  /** Its size. */
  readonly sizeBytes: number;
  /** Its bytes, to be read once and before the next entry is asked for. Pieces are valid until the next. */
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * The files in an archive. What is not read of one is passed over.
 *
 * @throws {BrokkrError} DATA_LOSS when the archive ends early, or holds anything but regular files.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, undefined> {
  await using bytes = new ByteSource(source);
  for (;;) {
    const header = await bytes.block();
    if (header.every((byte) => byte === 0)) return await readEnd(bytes);
    const { name, sizeBytes } = parseHeader(header);
    let left = sizeBytes;
    const data = async function* () {
      while (left > 0) {
        const piece = await bytes.some(left);
        left -= piece.length;
        yield piece;
      }
    };
    yield { name, sizeBytes, data: data() };
    while (left > 0) left -= (await bytes.some(left)).length;
    for (let padding = tarPadding(sizeBytes).length; padding > 0;) {
      const piece = await bytes.some(padding);
      if (piece.some((byte) => byte !== 0)) {
        throw damagedArchive(`entry ${JSON.stringify(name)} is not padded with zeros`);
      }
      padding -= piece.length;
    }
  }
}

/** Another block of zeros, and nothing but zeros. */
async function readEnd(bytes: ByteSource): Promise<void> {
  if (!(await bytes.block()).every((byte) => byte === 0)) {
    throw damagedArchive("a block of zeros stands in it");
  }
  let trailing = 0;
  for (let piece = await bytes.more(); piece !== undefined; piece = await bytes.more()) {
    trailing += piece.length;
    if (trailing > MAX_TRAILING_BYTES || !piece.every((byte) => byte === 0)) {
      throw damagedArchive("something follows its end");
    }
  }
}

function field(header: Uint8Array, { at, end }: { readonly at: number; readonly end: number }): string {
  const text = latin1.decode(header.subarray(at, end));
  const nul = text.indexOf("\0");
  return nul < 0 ? text : text.slice(0, nul);
}

function parseHeader(header: Uint8Array): { readonly name: string; readonly sizeBytes: number } {
  const sum = /^ *([0-7]{1,7})[ \0]*$/.exec(latin1.decode(header.subarray(CHECKSUM.at, CHECKSUM.end)));
  if (sum === null || parseInt(sum[1], 8) !== checksum(header)) {
    throw damagedArchive("a header's checksum is wrong");
  }
  const name = field(header, { at: 0, end: NAME_BYTES });
  const shown = JSON.stringify(name);
  if (!MAGICS.includes(latin1.decode(header.subarray(MAGIC.at, MAGIC.end)))) {
    throw damagedArchive(`entry ${shown} is not in tar's ustar format`);
  }
  const type = header[TYPE_AT];
  if ((type !== 0x30 && type !== 0) || field(header, LINK) !== "") {
    throw damagedArchive(`entry ${shown} is no regular file; make archives with "brokk cache export"`);
  }
  if (field(header, PREFIX) !== "") {
    throw damagedArchive(`the name of entry ${shown} goes on in another field`);
  }
  return { name, sizeBytes: parseSize(header.subarray(SIZE.at, SIZE.end), shown) };
}

function parseSize(bytes: Uint8Array, shown: string): number {
  if (bytes[0] === 0x80) {
    // The upper bytes of a size that is a safe integer are zeros.
    const size = bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    if (Number.isSafeInteger(size)) return size;
  } else {
    const octal = /^ *([0-7]{1,12})[ \0]*$/.exec(latin1.decode(bytes));
    if (octal !== null) return parseInt(octal[1], 8);
  }
  throw damagedArchive(`entry ${shown} has a size that cannot be`);
}

/** Bytes as they are asked for, whatever the pieces they come in. */
class ByteSource implements AsyncDisposable {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** The next bytes; undefined at the end. */
  async more(): Promise<Uint8Array | undefined> {
    while (this.#piece.length === 0) {
      const { value, done } = await this.#iterator.next();
      if (done === true) return undefined;
      this.#piece = value;
    }
    const piece = this.#piece;
    this.#piece = new Uint8Array();
    return piece;
  }

  /** At least one and at most `limit` of the next bytes. */
  async some(limit: number): Promise<Uint8Array> {
    const piece = await this.more();
    if (piece === undefined) throw damagedArchive("it ends early");
    this.#piece = piece.subarray(limit);
    return piece.subarray(0, limit);
  }

  /** The next block. */
  async block(): Promise<Uint8Array> {
    const block = new Uint8Array(BLOCK);
    for (let at = 0; at < BLOCK;) {
      const piece = await this.some(BLOCK - at);
      block.set(piece, at);
      at += piece.length;
    }
    return block;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#iterator.return?.();
  }
}
