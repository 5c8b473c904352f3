/**
 * Zstandard as node:zlib has it, and what a truncated or wrong frame looks like.
 *
 * @module
 */

import * as zlib from "node:zlib";
import { promisify } from "node:util";
import { Broken } from "./rule.ts";

const compress = promisify(zlib.zstdCompress);
const decompress = promisify(zlib.zstdDecompress);

/** REAPI's number of ZSTD among the compressors. */
export const ZSTD = 1;

/** One frame with these bytes. */
export async function zstd(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await compress(bytes));
}

/** What frames hold. Nothing at all holds nothing. */
export async function unzstd(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.length === 0) return bytes;
  try {
    return new Uint8Array(await decompress(bytes));
  } catch (error) {
    throw new Broken(`The answer's ${bytes.length} bytes are no zstd: ${String(error)}`);
  }
}
