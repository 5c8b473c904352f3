/**
 * A decoder of brotli (RFC 7932).
 *
 * That of `node:zlib` would be faster, but as Deno 2.9 has it, it is not for data from peers that are not trusted: it
 * reports no errors at all, takes windows beyond those of the RFC, and loses up to 3 MiB of memory for good with each
 * stream that refers to a distance below one.
 *
 * Input comes in any pieces. The work is done in units (a code, a literal, a command) that change nothing before all their
 * bits are there; where the input ends inside one, it is begun again later.
 *
 * @module
 */

import { BitReader, STARVED } from "./_brotli_bits.ts";
import { COMMAND, DISTANCE, LITERAL, MetaBlockCodes, nextBlock } from "./_brotli_codes.ts";
import {
  CONTEXTS,
  COPY_BITS,
  COPY_CELLS,
  COPY_FIRST,
  INSERT_BITS,
  INSERT_CELLS,
  INSERT_FIRST,
  ringBytes,
  SHORT_MORE,
  SHORT_OF,
  windowLogOf,
} from "./_brotli_tables.ts";
import { writeWord } from "./_brotli_words.ts";
import { FrameError } from "./_frames.ts";

/** A word of the dictionary with what its transform adds takes no more. */
const MAX_WORD_BYTES = 64;

/** Fewer bytes are copied one by one: that takes less than the call that copies them at once. */
const LEAST_CALL_BYTES = 24;

const enum State {
  WINDOW,
  META_BLOCK,
  SKIP,
  PLAIN,
  CODES,
  COMMAND,
  LITERALS,
  DISTANCE,
  COPY,
  DONE,
}

/** What a pass of {@linkcode BrotliInflater.run} ended with. */
export type Passed = "starved" | "more" | "done";

/** Decodes one stream of a known size. */
export class BrotliInflater {
  readonly #reader = new BitReader();
  readonly #dictionary: Uint8Array;
  readonly #sizeBytes: number;
  readonly #word = new Uint8Array(MAX_WORD_BYTES);
  #state = State.WINDOW;
  #windowBytes = 0;
  /** What was decoded last, as far as the window reaches. */
  #ring: Uint8Array = new Uint8Array();
  /** Bytes decoded. */
  #at = 0;
  /** Bytes given away. */
  #given = 0;
  #work = 0;
  readonly #distances = new Int32Array([16, 15, 11, 4]);
  #distanceAt = 3;
  // Of the meta-block:
  #last = false;
  #left = 0;
  #codes = new MetaBlockCodes();
  // Of the command:
  #insert = 0;
  #copy = 0;
  #sameDistance = false;
  #distance = 0;

  /** A decoder of a stream of `sizeBytes`, with the words of the RFC. */
  constructor(sizeBytes: number, dictionary: Uint8Array) {
    this.#sizeBytes = sizeBytes;
    this.#dictionary = dictionary;
  }

  /** Whether the stream has ended. */
  get ended(): boolean {
    return this.#state === State.DONE;
  }

  /** Bytes of input behind the end of the stream, once it has ended. */
  get bytesLeft(): number {
    return this.#reader.bytesLeft;
  }

  /** Adds input. */
  add(bytes: Uint8Array): void {
    this.#reader.add(bytes);
  }

  /**
   * Goes on until `maxBytes` of output are there, `maxWork` steps were taken, the input is used up, or the stream has
   * ended.
   *
   * @throws {FrameError} when the stream is damaged, or longer than it should be.
   */
  run(maxBytes: number, maxWork: number): Passed {
    this.#work = maxWork;
    while (this.#state !== State.DONE) {
      // A word goes beyond what was asked for, but not over what was not given away yet.
      const room = Math.min(maxBytes, Math.max(0, this.#ring.length - MAX_WORD_BYTES) || maxBytes) -
        (this.#at - this.#given);
      if (room <= 0 || this.#work <= 0) return "more";
      this.#reader.keep();
      try {
        this.#unit(room);
      } catch (error) {
        if (error !== STARVED) throw error;
        this.#reader.back();
        return "starved";
      }
    }
    return "done";
  }

  /** What was decoded since the last call; its bytes are its own. */
  output(): Uint8Array {
    const mask = this.#ring.length - 1;
    const from = this.#given & mask;
    const length = this.#at - this.#given;
    this.#given = this.#at;
    const piece = this.#ring.slice(from, from + length);
    if (piece.length === length) return piece;
    const whole = new Uint8Array(length);
    whole.set(piece);
    whole.set(this.#ring.subarray(0, length - piece.length), piece.length);
    return whole;
  }

  #unit(room: number): void {
    this.#work--;
    switch (this.#state) {
      case State.COMMAND:
        return this.#command();
      case State.LITERALS:
        return this.#literals(room);
      case State.DISTANCE:
        return this.#takeDistance();
      case State.COPY:
        return this.#copyBack(room);
      case State.WINDOW:
        return this.#window();
      case State.META_BLOCK:
        return this.#metaBlock();
      case State.SKIP:
        return this.#skip();
      case State.PLAIN:
        return this.#plain(room);
      default:
        this.#work -= this.#codes.step(this.#reader);
        if (this.#codes.complete) this.#state = State.COMMAND;
    }
  }

  #window(): void {
    const reader = this.#reader;
    const log = windowLogOf(reader.first());
    if (log === undefined) {
      throw new FrameError(
        'needs a "large window", which RFC 7932 has not; at most 16777216 bytes are taken',
      );
    }
    reader.bits(log === 16 ? 1 : log > 17 ? 4 : 7);
    this.#windowBytes = (1 << log) - 16;
    this.#ring = new Uint8Array(ringBytes(log, this.#sizeBytes));
    this.#state = State.META_BLOCK;
  }

  #metaBlock(): void {
    const reader = this.#reader;
    const last = reader.bits(1) === 1;
    if (last && reader.bits(1) === 1) return this.#end();
    const nibbles = reader.bits(2) + 4;
    if (nibbles === 7) return this.#metadata(last);
    let left = 0;
    for (let i = 0; i < nibbles; i++) {
      const nibble = reader.bits(4);
      if (i > 3 && i === nibbles - 1 && nibble === 0) {
        throw new FrameError("has a length with a zero in front");
      }
      left += nibble * 16 ** i;
    }
    left++;
    const plain = !last && reader.bits(1) === 1;
    if (plain) this.#align();
    if (this.#at + left > this.#sizeBytes) {
      throw new FrameError(`decompresses to more than ${this.#sizeBytes} bytes`);
    }
    this.#last = last;
    this.#left = left;
    this.#codes = new MetaBlockCodes();
    this.#state = plain ? State.PLAIN : State.CODES;
  }

  #metadata(last: boolean): void {
    const reader = this.#reader;
    if (reader.bits(1) !== 0) throw new FrameError("has a reserved bit set");
    const bytes = reader.bits(2);
    let left = 0;
    for (let i = 0; i < bytes; i++) {
      const byte = reader.bits(8);
      if (i > 0 && i === bytes - 1 && byte === 0) throw new FrameError("has a length with a zero in front");
      left += byte << 8 * i;
    }
    this.#align();
    this.#last = last;
    this.#left = bytes === 0 ? 0 : left + 1;
    this.#state = State.SKIP;
  }

  #align(): void {
    if (!this.#reader.align()) throw new FrameError("has bits set where it fills up a byte");
  }

  #end(): void {
    this.#align();
    this.#reader.take(0);
    this.#state = State.DONE;
  }

  #endMetaBlock(): void {
    if (this.#last) return this.#end();
    this.#state = State.META_BLOCK;
  }

  #skip(): void {
    if (this.#left > 0) {
      const taken = this.#reader.take(this.#left).length;
      if (taken === 0) throw STARVED;
      this.#left -= taken;
    }
    if (this.#left === 0) this.#endMetaBlock();
  }

  #plain(room: number): void {
    const bytes = this.#reader.take(Math.min(room, this.#left));
    if (bytes.length === 0) throw STARVED;
    this.#write(bytes);
    this.#work -= bytes.length >> 4;
    this.#left -= bytes.length;
    if (this.#left === 0) this.#endMetaBlock();
  }

  /** Puts `bytes`, which are no more than the ring has, behind what is there. */
  #write(bytes: Uint8Array): void {
    const from = this.#at & this.#ring.length - 1;
    const first = Math.min(bytes.length, this.#ring.length - from);
    this.#ring.set(bytes.subarray(0, first), from);
    this.#ring.set(bytes.subarray(first), 0);
    this.#at += bytes.length;
  }

  #command(): void {
    const reader = this.#reader;
    const blocks = this.#codes.blocks[COMMAND];
    if (blocks.left === 0) return nextBlock(reader, blocks);
    const symbol = reader.symbol(this.#codes.codes[COMMAND][blocks.type]);
    const insert = INSERT_CELLS[symbol >> 6] + (symbol >> 3 & 7);
    const copy = COPY_CELLS[symbol >> 6] + (symbol & 7);
    const inserted = INSERT_FIRST[insert] + reader.bits(INSERT_BITS[insert]);
    const copied = COPY_FIRST[copy] + reader.bits(COPY_BITS[copy]);
    if (inserted > this.#left) throw new FrameError("inserts more than its meta-block has");
    if (blocks.types > 1) blocks.left--;
    this.#insert = inserted;
    this.#copy = copied;
    this.#sameDistance = symbol < 128;
    this.#state = inserted > 0 ? State.LITERALS : State.DISTANCE;
  }

  /** Takes literals, as many as there are bits for: each is a unit of its own. */
  #literals(room: number): void {
    const reader = this.#reader;
    const blocks = this.#codes.blocks[LITERAL];
    const ring = this.#ring;
    const mask = ring.length - 1;
    const codes = this.#codes.codes[LITERAL];
    const map = this.#codes.maps[LITERAL];
    if (blocks.left === 0) {
      nextBlock(reader, blocks);
      reader.keep();
    }
    const base = blocks.type << 6;
    const [last, before] = CONTEXTS[this.#codes.modes?.[blocks.type] ?? 0];
    const count = Math.min(this.#insert, blocks.left, room, this.#work + 1);
    let at = this.#at;
    let done = 0;
    try {
      for (; done < count; done++) {
        const context = last[ring[at - 1 & mask]] | before[ring[at - 2 & mask]];
        ring[at & mask] = reader.symbol(codes[map[base + context]]);
        reader.keep();
        at++;
      }
    } finally {
      this.#at = at;
      this.#left -= done;
      this.#insert -= done;
      if (blocks.types > 1) blocks.left -= done;
      this.#work -= done;
    }
    if (this.#left === 0) this.#endMetaBlock();
    else if (this.#insert === 0) this.#state = State.DISTANCE;
  }

  #takeDistance(): void {
    const blocks = this.#codes.blocks[DISTANCE];
    const ring = this.#distances;
    let distance = ring[this.#distanceAt & 3];
    let same = true;
    if (!this.#sameDistance) {
      if (blocks.left === 0) return nextBlock(this.#reader, blocks);
      const map = this.#codes.maps[DISTANCE];
      const code = this.#reader.symbol(
        this.#codes.codes[DISTANCE][map[(blocks.type << 2) + Math.min(this.#copy - 2, 3)]],
      );
      distance = this.#distanceOf(code);
      same = code === 0;
      if (blocks.types > 1) blocks.left--;
    }
    const most = Math.min(this.#at, this.#windowBytes);
    if (distance > most) return this.#insertWord(distance - most - 1);
    if (this.#copy > this.#left) throw new FrameError("copies more than its meta-block has");
    if (!same) ring[++this.#distanceAt & 3] = distance;
    this.#distance = distance;
    this.#state = State.COPY;
  }

  #distanceOf(code: number): number {
    if (code < 16) {
      const distance = this.#distances[this.#distanceAt - SHORT_OF[code] & 3] + SHORT_MORE[code];
      if (distance <= 0) throw new FrameError("copies from a distance below one");
      return distance;
    }
    const { direct, postfix } = this.#codes;
    if (code < 16 + direct) return code - 15;
    const rest = code - direct - 16;
    const high = rest >> postfix;
    const bits = 1 + (high >> 1);
    const offset = (2 + (high & 1) << bits) - 4;
    const low = rest & (1 << postfix) - 1;
    return (offset + this.#reader.bits(bits) << postfix) + low + direct + 1;
  }

  /** Puts a word of the dictionary; a distance beyond what there is to copy names one. */
  #insertWord(id: number): void {
    const length = writeWord(this.#dictionary, this.#copy, id, this.#word);
    if (length === undefined) {
      throw new FrameError("copies from before its begin, or a word that there is not");
    }
    if (length > this.#left) throw new FrameError("copies more than its meta-block has");
    this.#write(this.#word.subarray(0, length));
    this.#left -= length;
    this.#work -= 8;
    this.#afterCopy();
  }

  #copyBack(room: number): void {
    const ring = this.#ring;
    const mask = ring.length - 1;
    const count = Math.min(this.#copy, room);
    const to = this.#at & mask;
    const from = this.#at - this.#distance & mask;
    if (count >= LEAST_CALL_BYTES && this.#distance >= count && Math.max(to, from) + count <= ring.length) {
      ring.copyWithin(to, from, from + count);
    } else {
      for (let i = 0; i < count; i++) ring[to + i & mask] = ring[from + i & mask];
    }
    this.#at += count;
    this.#left -= count;
    this.#copy -= count;
    this.#work -= count >> 2;
    if (this.#copy === 0) this.#afterCopy();
  }

  #afterCopy(): void {
    if (this.#left === 0) this.#endMetaBlock();
    else this.#state = State.COMMAND;
  }
}
