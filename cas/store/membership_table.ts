/**
 * The exact set of blobs a store holds, in memory: where each lies, how large it is, when it was used last, and until when
 * it is pinned.
 *
 * Open addressing in typed arrays, so that ten million blobs are no objects for the garbage collector. The table is 256
 * shards that grow one by one, so that no insertion waits for the whole of it to move. A slot holds a number of an entry
 * in the shard's dense array and 12 further bits of the hash, so that a look-up touches one slot and one entry. Slots
 * are chosen by hash bits mixed with a secret seed: who can upload blobs can choose hashes, but not make them collide
 * here.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import type { DigestBatch } from "../blob_store.ts";
import { isEmptyAt } from "./_checks.ts";

/** Where a blob lies. */
export interface BlobLocation {
  /** Segment number, or {@linkcode FILE_SEGMENT} for a file of its own. */
  segment: number;
  /** Offset of its record in the segment, in bytes; 0 for a file. */
  offset: number;
  /** Size of the blob in bytes. */
  sizeBytes: number;
  /** Bytes of data in its record, which may hold it in another form; of a file, its size. */
  storedBytes: number;
}

/** Segment number of blobs that are files of their own. */
export const FILE_SEGMENT = 0xffffffff;

/** Records begin at multiples of this many bytes. */
export const RECORD_ALIGN = 8;

/** Pins are kept in ticks of this length, in milliseconds. */
const PIN_TICK_MS = 16_000;
const PIN_BITS = 21;
const PIN_MAX = (1 << PIN_BITS) - 1;
/** A use is worth telling the index about when it lies in another period than the one before: 2^14 s, some 4.5 hours. */
const USE_PERIOD_BITS = 14;
/** Largest blob whose size fits an entry: 2^43 - 1 bytes. */
export const MAX_TABLE_SIZE = 2 ** 43 - 1;

/** Words of an entry beside its hash: segment, offset, size, rest of the size and pin, last use, bytes of its record. */
const VALUE_WORDS = 6;
const SHARD_COUNT = 256;
const INDEX_BITS = 20;
const INDEX_MASK = (1 << INDEX_BITS) - 1;
const TWO_32 = 2 ** 32;
/** Slots that are looked at together; a probe begins at the first of such a bucket. */
const BUCKET = 4;
/** Says in place of a guess that the key is not there. */
const ABSENT = -1;
/** Says in place of a guess that its bucket is full of others. */
const UNSURE = -2;
/** Keys looked up in one pass of a batch. */
const PASS = 1024;

/** A look that counts as a use, and may promise more. */
export interface Touch {
  /** Now, in seconds of store time (see `_store_time.ts`). */
  readonly usedS: number;
  /** Until when what is found is pinned, in milliseconds on the caller's clock; 0 for not at all. */
  readonly untilMs: number;
}

/** One blob, as {@linkcode MembershipTable.visit} shows it. Valid during the call. */
export interface TableEntry extends BlobLocation {
  /** When it was used last, in seconds of store time. */
  usedS: number;
  /** Until when it is pinned, in milliseconds; 0 when it is not. */
  pinnedUntilMs: number;
  /** Its raw hash; a view. */
  readonly hash: Uint8Array;
}

/** Told of a blob that was used in another period than the last time: its raw hash (a view), and where it lies. */
export type OnUse = (hash: Uint8Array, location: BlobLocation, usedS: number) => void;

function tickOf(untilMs: number): number {
  return Math.min(PIN_MAX, Math.max(0, Math.ceil(untilMs / PIN_TICK_MS)));
}

class Shard {
  slots = new Uint32Array(16);
  entries: Uint32Array;
  count = 0;

  constructor(stride: number) {
    this.entries = new Uint32Array(8 * stride);
  }
}

function locationAt(entries: Uint32Array, at: number): BlobLocation {
  const segment = entries[at];
  const sizeBytes = entries[at + 2] + (entries[at + 3] >>> PIN_BITS) * TWO_32;
  return {
    segment,
    offset: entries[at + 1] * RECORD_ALIGN,
    sizeBytes,
    storedBytes: segment === FILE_SEGMENT ? sizeBytes : entries[at + 5],
  };
}

/** An entry as the table moves it along: the view of its hash is made only when it is asked for. */
class Cursor implements TableEntry {
  segment = 0;
  offset = 0;
  sizeBytes = 0;
  storedBytes = 0;
  usedS = 0;
  pinnedUntilMs = 0;
  #entries: Uint32Array = NO_ENTRIES;
  #base = 0;
  readonly #keyWords: number;

  constructor(keyWords: number) {
    this.#keyWords = keyWords;
  }

  get hash(): Uint8Array {
    return new Uint8Array(this.#entries.buffer, this.#base * 4, this.#keyWords * 4);
  }

  /** Shows the entry whose hash begins at word `base`. */
  show(entries: Uint32Array, base: number): void {
    const at = base + this.#keyWords;
    this.segment = entries[at];
    this.offset = entries[at + 1] * RECORD_ALIGN;
    this.sizeBytes = entries[at + 2] + (entries[at + 3] >>> PIN_BITS) * TWO_32;
    this.pinnedUntilMs = (entries[at + 3] & PIN_MAX) * PIN_TICK_MS;
    this.usedS = entries[at + 4];
    this.storedBytes = this.segment === FILE_SEGMENT ? this.sizeBytes : entries[at + 5];
    this.#entries = entries;
    this.#base = base;
  }
}

const NO_ENTRIES = new Uint32Array(0);

/** Whether the key at `base` of `a` is the one at `at` of `b`; written out for 32 bytes, which nearly all have. */
function sameKey(a: Uint32Array, base: number, b: Uint32Array, at: number, words: number): boolean {
  if (words === 8) {
    return ((a[base] ^ b[at]) | (a[base + 1] ^ b[at + 1]) | (a[base + 2] ^ b[at + 2]) |
      (a[base + 3] ^ b[at + 3]) |
      (a[base + 4] ^ b[at + 4]) | (a[base + 5] ^ b[at + 5]) | (a[base + 6] ^ b[at + 6]) |
      (a[base + 7] ^ b[at + 7])) === 0;
  }
  let difference = 0;
  for (let word = 0; word < words; word++) difference |= a[base + word] ^ b[at + word];
  return difference === 0;
}

/** `slot` if its upper bits are `print`'s, 0 otherwise; without a branch. */
function ifPrint(slot: number, print: number): number {
  const difference = (slot ^ print) & ~INDEX_MASK;
  return slot & ~((difference | (0 - difference | 0)) >> 31);
}

/** The table of one digest function. */
export class MembershipTable {
  readonly #hashBytes: number;
  readonly #keyWords: number;
  readonly #stride: number;
  readonly #seedA: number;
  readonly #seedB: number;
  readonly #shards: Shard[];
  readonly #key: Uint32Array;
  readonly #keyBytes: Uint8Array;
  readonly #guesses = new Int32Array(PASS);
  readonly #onUse: OnUse;
  #usedS = 0;
  #untilTick = 0;
  #touching = false;
  #size = 0;

  /** A table of hashes of `hashBytes` (a multiple of 4, at least 16); `seed` is at least 8 secret bytes. */
  constructor(hashBytes: number, seed: Uint8Array, onUse: OnUse = () => {}) {
    if (hashBytes % 4 !== 0 || hashBytes < 16 || seed.length < 8) {
      throw new BrokkrError(Code.INTERNAL, `A membership table cannot hold hashes of ${hashBytes} bytes`);
    }
    this.#hashBytes = hashBytes;
    this.#keyWords = hashBytes / 4;
    this.#stride = this.#keyWords + VALUE_WORDS;
    this.#onUse = onUse;
    const view = new DataView(seed.buffer, seed.byteOffset, seed.byteLength);
    this.#seedA = view.getUint32(0) | 0;
    this.#seedB = view.getUint32(4) | 0;
    this.#shards = Array.from({ length: SHARD_COUNT }, () => new Shard(this.#stride));
    this.#keyBytes = new Uint8Array(hashBytes);
    this.#key = new Uint32Array(this.#keyBytes.buffer);
  }

  /** How many blobs it holds. */
  get size(): number {
    return this.#size;
  }

  /** Parts of the table that {@linkcode MembershipTable.visit} goes through, one at a time. */
  get shards(): number {
    return SHARD_COUNT;
  }

  /** Where the blob with this hash lies, or undefined. With `touch` that counts as a use. */
  find(hash: string, touch?: Touch): BlobLocation | undefined {
    this.#keyBytes.setFromHex(hash);
    return this.#findKey(touch);
  }

  /** All that is known of the blob with these raw hash bytes; the entry is the caller's. */
  entry(hash: Uint8Array): TableEntry | undefined {
    this.#keyBytes.set(hash);
    const h = this.#mix(this.#key, 0);
    const shard = this.#shards[h >>> 24];
    const slot = this.#slotOf(shard, h, this.#key, 0);
    if (slot < 0) return undefined;
    const base = ((shard.slots[slot] & INDEX_MASK) - 1) * this.#stride;
    const cursor = new Cursor(this.#keyWords);
    cursor.show(shard.entries, base);
    return { ...cursor, hash: cursor.hash.slice() };
  }

  /** How many blobs one part of the table holds. */
  countOf(part: number): number {
    return this.#shards[part].count;
  }

  /**
   * Shows each blob of one part of the table, or those numbered `from` to `to`; blobs for which `visit` says so are
   * dropped. Nothing else may change the table during the call.
   *
   * Between calls it may: who goes through a part from its end to its beginning, piece by piece, misses nothing that is
   * there all the time, since a blob only ever moves towards the beginning; it may be shown twice.
   */
  visit(
    part: number,
    visit: (entry: TableEntry) => boolean | void,
    from = 0,
    to = Infinity,
  ): void {
    const shard = this.#shards[part];
    const entry = new Cursor(this.#keyWords);
    // Backwards, since dropping one moves the last into its place.
    for (let index = Math.min(to, shard.count) - 1; index >= from; index--) {
      entry.show(shard.entries, index * this.#stride);
      if (visit(entry) !== true) continue;
      this.#keyBytes.set(entry.hash);
      this.#deleteKey();
    }
  }

  /** As {@linkcode MembershipTable.find}, for raw hash bytes. */
  findRaw(hash: Uint8Array): BlobLocation | undefined {
    this.#keyBytes.set(hash);
    return this.#findKey();
  }

  /**
   * Sets where the blob with these raw hash bytes lies; returns where it lay before, if anywhere. Its last use is `usedS`
   * or what was noted before, whichever is later; a pin stays.
   */
  set(
    hash: Uint8Array,
    segment: number,
    offset: number,
    sizeBytes: number,
    usedS = 0,
    storedBytes = sizeBytes,
  ): BlobLocation | undefined {
    if (!(sizeBytes >= 0 && sizeBytes <= MAX_TABLE_SIZE) || offset % RECORD_ALIGN !== 0) {
      throw new BrokkrError(Code.INTERNAL, `Cannot keep a blob of ${sizeBytes} bytes at offset ${offset}`);
    }
    this.#keyBytes.set(hash);
    const h = this.#mix(this.#key, 0);
    const shard = this.#shards[h >>> 24];
    const found = this.#slotOf(shard, h, this.#key, 0);
    if (found >= 0) {
      const at = ((shard.slots[found] & INDEX_MASK) - 1) * this.#stride + this.#keyWords;
      const before = this.#locationAt(shard, at);
      this.#writeValue(shard, at, { segment, offset, sizeBytes, storedBytes });
      if (shard.entries[at + 4] < usedS) shard.entries[at + 4] = usedS;
      return before;
    }
    const index = this.#newEntry(shard);
    shard.entries.set(this.#key, index * this.#stride);
    const at = index * this.#stride + this.#keyWords;
    shard.entries[at + 3] = 0;
    shard.entries[at + 4] = usedS;
    this.#writeValue(shard, at, { segment, offset, sizeBytes, storedBytes });
    this.#link(shard, h, this.#fingerprint(this.#key, 0), index);
    this.#size++;
    return undefined;
  }

  /** Drops the blob with this hash; returns where it lay. */
  delete(hash: string): BlobLocation | undefined {
    this.#keyBytes.setFromHex(hash);
    return this.#deleteKey();
  }

  /** As {@linkcode MembershipTable.delete}, for raw hash bytes. */
  deleteRaw(hash: Uint8Array): BlobLocation | undefined {
    this.#keyBytes.set(hash);
    return this.#deleteKey();
  }

  /**
   * Indices into `batch` of what is not here with the size given; the empty blob counts as here. With `touch` that is a
   * use of what is here, and pins it.
   */
  missing(batch: DigestBatch, touch?: Touch): Uint32Array {
    const keys = this.#wordsOf(batch);
    this.#touching = touch !== undefined;
    this.#usedS = touch?.usedS ?? 0;
    this.#untilTick = tickOf(touch?.untilMs ?? 0);
    const missing = new Uint32Array(batch.length);
    let count = 0;
    for (let start = 0; start < batch.length; start += PASS) {
      const end = Math.min(batch.length, start + PASS);
      this.#guess(keys, start, end);
      count = this.#verify(keys, batch, start, end, missing, count);
    }
    return missing.slice(0, count);
  }

  /**
   * Finds for each key the number of the entry its slot names, without looking at that entry: slots and entries are
   * both far from the processor, and in two passes it fetches many of each at a time instead of waiting for every one.
   */
  #guess(keys: Uint32Array, start: number, end: number): void {
    const words = this.#keyWords;
    const guesses = this.#guesses;
    const shards = this.#shards;
    for (let i = start; i < end; i++) {
      const at = i * words;
      const h = this.#mix(keys, at);
      const { slots } = shards[h >>> 24];
      const print = keys[at + 3] & ~INDEX_MASK;
      const home = h & (slots.length - BUCKET);
      const last = slots[home + 3];
      // Without branches: a wrongly predicted one waits for memory.
      const value = ifPrint(slots[home], print) | ifPrint(slots[home + 1], print) |
        ifPrint(slots[home + 2], print) | ifPrint(last, print);
      if (value !== 0) guesses[i - start] = (h & 0xff000000) | (value & INDEX_MASK);
      else guesses[i - start] = last === 0 ? ABSENT : UNSURE;
    }
  }

  /** Looks at the entries guessed for keys `start` to `end`, and lists what is missing. */
  #verify(
    keys: Uint32Array,
    batch: DigestBatch,
    start: number,
    end: number,
    missing: Uint32Array,
    count: number,
  ): number {
    const shards = this.#shards;
    const guesses = this.#guesses;
    const stride = this.#stride;
    const words = this.#keyWords;
    const { sizes } = batch;
    for (let i = start; i < end; i++) {
      const guess = guesses[i - start];
      if (guess === UNSURE) {
        if (this.#holds(keys, i * words, sizes[i])) continue;
      } else if (guess !== ABSENT) {
        const at = i * words;
        const { entries } = shards[guess >>> 24];
        const base = ((guess & INDEX_MASK) - 1) * stride;
        if (sameKey(entries, base, keys, at, words)) {
          const value = base + words;
          if (entries[value + 2] + (entries[value + 3] >>> PIN_BITS) * TWO_32 === sizes[i]) {
            if (this.#touching) this.#touchAt(entries, value);
            continue;
          }
        } else if (this.#holds(keys, at, sizes[i])) {
          continue;
        }
      }
      if (sizes[i] === 0 && isEmptyAt(batch, i)) continue;
      missing[count++] = i;
    }
    return count;
  }

  /** Whether the key at `at` is here with this size. */
  #holds(keys: Uint32Array, at: number, size: number): boolean {
    const h = this.#mix(keys, at);
    const shard = this.#shards[h >>> 24];
    const slot = this.#slotOf(shard, h, keys, at);
    if (slot < 0) return false;
    const value = ((shard.slots[slot] & INDEX_MASK) - 1) * this.#stride + this.#keyWords;
    if (this.#locationAt(shard, value).sizeBytes !== size) return false;
    if (this.#touching) this.#touchAt(shard.entries, value);
    return true;
  }

  /** Notes a use of the blob whose value lies at `at`, and pins it, as the fields say. */
  #touchAt(entries: Uint32Array, at: number): void {
    const word = entries[at + 3];
    if ((word & PIN_MAX) < this.#untilTick) entries[at + 3] = ((word & ~PIN_MAX) | this.#untilTick) >>> 0;
    const before = entries[at + 4];
    const usedS = this.#usedS;
    if (before >= usedS) return;
    entries[at + 4] = usedS;
    if (before >>> USE_PERIOD_BITS === usedS >>> USE_PERIOD_BITS) return;
    const hash = new Uint8Array(entries.buffer, (at - this.#keyWords) * 4, this.#hashBytes);
    this.#onUse(hash, locationAt(entries, at), usedS);
  }

  /** Pins what is here of a batch, whatever its size, and notes the use. A longer pin stays. */
  pin(batch: DigestBatch, touch: Touch): void {
    const keys = this.#wordsOf(batch);
    this.#usedS = touch.usedS;
    this.#untilTick = tickOf(touch.untilMs);
    for (let i = 0; i < batch.length; i++) {
      const h = this.#mix(keys, i * this.#keyWords);
      const shard = this.#shards[h >>> 24];
      const slot = this.#slotOf(shard, h, keys, i * this.#keyWords);
      if (slot < 0) continue;
      this.#touchAt(shard.entries, ((shard.slots[slot] & INDEX_MASK) - 1) * this.#stride + this.#keyWords);
    }
  }

  /** Ends the pins of what is here of a batch. */
  unpin(batch: DigestBatch): void {
    const keys = this.#wordsOf(batch);
    for (let i = 0; i < batch.length; i++) {
      const h = this.#mix(keys, i * this.#keyWords);
      const shard = this.#shards[h >>> 24];
      const slot = this.#slotOf(shard, h, keys, i * this.#keyWords);
      if (slot < 0) continue;
      const at = ((shard.slots[slot] & INDEX_MASK) - 1) * this.#stride + this.#keyWords + 3;
      shard.entries[at] = (shard.entries[at] & ~PIN_MAX) >>> 0;
    }
  }

  /** Until when the blob with this hash is pinned, in milliseconds; 0 when it is not. */
  pinnedUntilMs(hash: string): number {
    this.#keyBytes.setFromHex(hash);
    const h = this.#mix(this.#key, 0);
    const shard = this.#shards[h >>> 24];
    const slot = this.#slotOf(shard, h, this.#key, 0);
    if (slot < 0) return 0;
    const at = ((shard.slots[slot] & INDEX_MASK) - 1) * this.#stride + this.#keyWords + 3;
    return (shard.entries[at] & PIN_MAX) * PIN_TICK_MS;
  }

  #wordsOf(batch: DigestBatch): Uint32Array {
    const bytes = batch.length * this.#hashBytes;
    if (batch.hashes.length < bytes || batch.sizes.length < batch.length) {
      throw new BrokkrError(Code.INTERNAL, `A batch of ${batch.length} digests lacks hashes or sizes`);
    }
    const { buffer, byteOffset } = batch.hashes;
    if (byteOffset % 4 === 0) return new Uint32Array(buffer, byteOffset, bytes / 4);
    return new Uint32Array(batch.hashes.slice(0, bytes).buffer);
  }

  #mix(keys: Uint32Array, at: number): number {
    let h = Math.imul(keys[at] ^ this.#seedA, 0x9e3779b1);
    h = Math.imul(h ^ (h >>> 15) ^ keys[at + 1] ^ this.#seedB, 0x85ebca77);
    h = Math.imul(h ^ (h >>> 13) ^ keys[at + 2], 0xc2b2ae3d);
    return h ^ (h >>> 16);
  }

  #fingerprint(keys: Uint32Array, at: number): number {
    return keys[at + 3] & ~INDEX_MASK;
  }

  /** The slot of a key in its shard, or -1. */
  #slotOf(shard: Shard, h: number, keys: Uint32Array, at: number): number {
    const { slots, entries } = shard;
    const mask = slots.length - 1;
    const print = keys[at + 3] & ~INDEX_MASK;
    for (let slot = h & (slots.length - BUCKET);; slot = (slot + 1) & mask) {
      const value = slots[slot];
      if (value === 0) return -1;
      if ((value & ~INDEX_MASK) !== print) continue;
      const base = ((value & INDEX_MASK) - 1) * this.#stride;
      if (sameKey(entries, base, keys, at, this.#keyWords)) return slot;
    }
  }

  #findKey(touch?: Touch): BlobLocation | undefined {
    const h = this.#mix(this.#key, 0);
    const shard = this.#shards[h >>> 24];
    const slot = this.#slotOf(shard, h, this.#key, 0);
    if (slot < 0) return undefined;
    const at = ((shard.slots[slot] & INDEX_MASK) - 1) * this.#stride + this.#keyWords;
    if (touch !== undefined) {
      this.#usedS = touch.usedS;
      this.#untilTick = tickOf(touch.untilMs);
      this.#touchAt(shard.entries, at);
    }
    return locationAt(shard.entries, at);
  }

  #locationAt(shard: Shard, at: number): BlobLocation {
    return locationAt(shard.entries, at);
  }

  #writeValue(shard: Shard, at: number, location: BlobLocation): void {
    const { segment, offset, sizeBytes, storedBytes } = location;
    const { entries } = shard;
    entries[at] = segment;
    entries[at + 1] = offset / RECORD_ALIGN;
    entries[at + 2] = sizeBytes >>> 0;
    const high = Math.floor(sizeBytes / TWO_32);
    entries[at + 3] = ((high << PIN_BITS) | (entries[at + 3] & PIN_MAX)) >>> 0;
    entries[at + 5] = segment === FILE_SEGMENT ? 0 : storedBytes;
  }

  /** A number for one more entry; grows the shard when it is full. */
  #newEntry(shard: Shard): number {
    const index = shard.count;
    if (index >= INDEX_MASK) {
      throw new BrokkrError(Code.RESOURCE_EXHAUSTED, "The store holds as many blobs as its table can name");
    }
    if ((index + 1) * this.#stride > shard.entries.length) {
      const grown = new Uint32Array(Math.ceil((index + 1) * 1.5) * this.#stride);
      grown.set(shard.entries);
      shard.entries = grown;
    }
    if ((index + 1) * 2 > shard.slots.length) this.#growSlots(shard);
    shard.count++;
    return index;
  }

  #growSlots(shard: Shard): void {
    shard.slots = new Uint32Array(shard.slots.length * 2);
    for (let index = 0; index < shard.count; index++) {
      const base = index * this.#stride;
      this.#link(shard, this.#mix(shard.entries, base), this.#fingerprint(shard.entries, base), index);
    }
  }

  #link(shard: Shard, h: number, print: number, index: number): void {
    const { slots } = shard;
    const mask = slots.length - 1;
    let slot = h & (slots.length - BUCKET);
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = (print | (index + 1)) >>> 0;
  }

  #deleteKey(): BlobLocation | undefined {
    const h = this.#mix(this.#key, 0);
    const shard = this.#shards[h >>> 24];
    const slot = this.#slotOf(shard, h, this.#key, 0);
    if (slot < 0) return undefined;
    const index = (shard.slots[slot] & INDEX_MASK) - 1;
    const before = this.#locationAt(shard, index * this.#stride + this.#keyWords);
    this.#unlink(shard, slot);
    const last = shard.count - 1;
    const { entries } = shard;
    const base = last * this.#stride;
    if (index !== last) {
      const moved = this.#slotOf(shard, this.#mix(entries, base), entries, base);
      shard.slots[moved] = ((shard.slots[moved] & ~INDEX_MASK) | (index + 1)) >>> 0;
      entries.copyWithin(index * this.#stride, base, base + this.#stride);
    }
    // A guess may name an entry beyond the last (see `#guess`), which must not look like a key that was deleted.
    entries.fill(0, base, base + this.#stride);
    shard.count = last;
    this.#size--;
    return before;
  }

  /** Empties a slot and moves back what was pushed on by it, so that no probe ends too early. */
  #unlink(shard: Shard, slot: number): void {
    const { slots, entries } = shard;
    const mask = slots.length - 1;
    let hole = slot;
    for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#mix(entries, ((slots[next] & INDEX_MASK) - 1) * this.#stride) &
        (slots.length - BUCKET);
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        slots[hole] = slots[next];
        hole = next;
      }
    }
    slots[hole] = 0;
  }
}
