/**
 * What stands before the commands of a meta-block of brotli: blocks, contexts and prefix codes (RFC 7932, section 9.2).
 *
 * @module
 */

import { type BitReader, onlySymbol, type PrefixCode, readCode } from "./_brotli_bits.ts";
import { BLOCK_BITS, BLOCK_FIRST, moveToFront } from "./_brotli_tables.ts";
import { FrameError } from "./_frames.ts";

/** The three kinds of which a meta-block has codes. */
export const LITERAL = 0, COMMAND = 1, DISTANCE = 2;

/** Blocks of a kind that has but one type never end. */
const NO_END = 1 << 24;

/** The blocks of literals, commands or distances in a meta-block. */
export interface Blocks {
  /** How many types they have. */
  readonly types: number;
  readonly typeCode: PrefixCode;
  readonly lengthCode: PrefixCode;
  /** Type of the current block. */
  type: number;
  /** Type of the block before it. */
  before: number;
  /** Symbols that the current block still has. */
  left: number;
}

/** Contexts or runs of them that are read at once, and again where the input ends among them. */
const MAP_STEP = 512;

/** A map of contexts of which a part was read. */
interface BegunMap {
  /** How many codes it names. */
  readonly codes: number;
  readonly map: Uint8Array;
  /** Symbols up to this one are runs of zeros. */
  readonly longest: number;
  readonly code: PrefixCode;
  at: number;
}

/** A number from 1 to 256. */
function readCount(reader: BitReader): number {
  if (reader.bits(1) === 0) return 1;
  const bits = reader.bits(3);
  return (1 << bits) + 1 + reader.bits(bits);
}

function readBlockLength(reader: BitReader, code: PrefixCode): number {
  const symbol = reader.symbol(code);
  return BLOCK_FIRST[symbol] + reader.bits(BLOCK_BITS[symbol]);
}

/** Begins the next block of a kind (RFC 7932, section 6). */
export function nextBlock(reader: BitReader, blocks: Blocks): void {
  const symbol = reader.symbol(blocks.typeCode);
  const left = readBlockLength(reader, blocks.lengthCode);
  const type = symbol === 0 ? blocks.before : symbol === 1 ? (blocks.type + 1) % blocks.types : symbol - 2;
  blocks.before = blocks.type;
  blocks.type = type;
  blocks.left = left;
}

/** The codes of one meta-block, which are read in steps. */
export class MetaBlockCodes {
  /** By kind. */
  readonly blocks: Blocks[] = [];
  /** Bits of a distance that its code has at its end. */
  postfix = 0;
  /** Codes that are a distance each. */
  direct = 0;
  /** How contexts of literals are had, by type of block. */
  modes: Uint8Array | undefined;
  /** Which code is for which context, by kind; commands have no contexts. */
  readonly maps: Uint8Array[] = [];
  /** By kind. */
  readonly codes: readonly PrefixCode[][] = [[], [], []];
  /** Whether all was read. */
  complete = false;
  readonly #counts = [0, 0, 0];
  /** The map that is read now. */
  #begun: BegunMap | undefined;

  /** Reads the next part of it, changing nothing before all its bits are there; gives what that is worth in literals. */
  step(reader: BitReader): number {
    if (this.blocks.length < 3) return this.#readBlocks(reader);
    if (this.modes === undefined) return this.#readModes(reader);
    if (this.#counts[LITERAL] === 0) return this.#readMap(reader, LITERAL, 64);
    if (this.#counts[DISTANCE] === 0) return this.#readMap(reader, DISTANCE, 4);
    return this.#readCode(reader);
  }

  #readBlocks(reader: BitReader): number {
    const types = readCount(reader);
    const none = onlySymbol(0);
    const blocks: Blocks = { types, typeCode: none, lengthCode: none, type: 0, before: 1, left: NO_END };
    if (types === 1) {
      this.blocks.push(blocks);
      return 1;
    }
    const typeCode = readCode(reader, types + 2);
    const lengthCode = readCode(reader, 26);
    this.blocks.push({ ...blocks, typeCode, lengthCode, left: readBlockLength(reader, lengthCode) });
    return 512;
  }

  #readModes(reader: BitReader): number {
    const postfix = reader.bits(2);
    const direct = reader.bits(4) << postfix;
    const modes = new Uint8Array(this.blocks[LITERAL].types);
    for (let i = 0; i < modes.length; i++) modes[i] = reader.bits(2);
    this.postfix = postfix;
    this.direct = direct;
    this.modes = modes;
    return modes.length;
  }

  /** Reads which code each context of each type of block has (RFC 7932, section 7.3), a part of it at once. */
  #readMap(reader: BitReader, kind: typeof LITERAL | typeof DISTANCE, contexts: number): number {
    const begun = this.#begun;
    if (begun === undefined) return this.#beginMap(reader, kind, contexts);
    const { map, code, longest } = begun;
    let at = begun.at;
    if (at === map.length) {
      if (reader.bits(1) === 1) moveToFront(map);
      return this.#endMap(kind, begun);
    }
    for (let left = MAP_STEP; left > 0 && at < map.length; left--) {
      const symbol = reader.symbol(code);
      if (symbol === 0) at++;
      else if (symbol > longest) map[at++] = symbol - longest;
      else {
        at += (1 << symbol) + reader.bits(symbol);
        if (at > map.length) throw new FrameError("has a run of contexts beyond the last of them");
      }
    }
    begun.at = at;
    return MAP_STEP;
  }

  #beginMap(reader: BitReader, kind: typeof LITERAL | typeof DISTANCE, contexts: number): number {
    const codes = readCount(reader);
    const map = new Uint8Array(this.blocks[kind].types * contexts);
    if (codes === 1) return this.#endMap(kind, { codes, map });
    const longest = reader.bits(1) === 0 ? 0 : reader.bits(4) + 1;
    this.#begun = { codes, map, longest, code: readCode(reader, codes + longest), at: 0 };
    return 512;
  }

  #endMap(
    kind: typeof LITERAL | typeof DISTANCE,
    { map, codes }: { readonly map: Uint8Array; readonly codes: number },
  ): number {
    this.#begun = undefined;
    this.maps[kind] = map;
    this.#counts[kind] = codes;
    this.#counts[COMMAND] = this.blocks[COMMAND].types;
    return map.length;
  }

  #readCode(reader: BitReader): number {
    const sizes = [256, 704, 16 + this.direct + (48 << this.postfix)];
    const kind = this.codes.findIndex((codes, i) => codes.length < this.#counts[i]);
    this.codes[kind].push(readCode(reader, sizes[kind]));
    this.complete = kind === DISTANCE && this.codes[kind].length === this.#counts[kind];
    return 512;
  }
}
