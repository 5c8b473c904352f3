/**
 * Cutting a blob into chunks as it passes, a window at a time.
 *
 * @module
 */

import { type ByteBudget, type ByteLease, Slices } from "@brokkr/common";
import { type CheckedFastCdcParams, FastCdcChunker } from "@brokkr/wasm";
import { type Digest, type DigestFunction, makeDigest } from "../digest.ts";

/** Bytes of a window beyond the largest chunk. */
const WINDOW_BYTES = 4 << 20;
/** Bytes that are scanned for cuts or hashed in one go: some 0.3 ms of work, or a millisecond. */
const SCAN_BYTES = 1 << 20;

/** A chunk with its bytes. */
export interface Chunk {
  readonly digest: Digest;
  readonly data: Uint8Array;
}

/** Chunks that follow one another, and the memory that they take until it is given back. */
export interface ChunkWindow {
  readonly chunks: readonly Chunk[];
  readonly lease: ByteLease;
}

/** Bytes that a window takes. */
export function windowBytes(params: CheckedFastCdcParams): number {
  return params.maxBytes + WINDOW_BYTES;
}

/** Takes bytes as they come and gives chunks whenever its buffer is full. */
export class Cutter {
  readonly #chunker: FastCdcChunker;
  readonly #fn: DigestFunction;
  readonly #slices: Slices;
  #buffer: Uint8Array;
  #length = 0;
  /** Lengths of chunks that have ended. */
  #ended: number[] = [];

  constructor(params: CheckedFastCdcParams, fn: DigestFunction, signal?: AbortSignal) {
    this.#chunker = new FastCdcChunker(params);
    this.#fn = fn;
    this.#slices = new Slices(signal);
    this.#buffer = new Uint8Array(windowBytes(params));
  }

  /** Takes as many of `bytes` as there is room for in one go, and tells how many. */
  take(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#buffer.length - this.#length, SCAN_BYTES);
    const part = taken === bytes.length ? bytes : bytes.subarray(0, taken);
    this.#buffer.set(part, this.#length);
    this.#length += taken;
    for (const length of this.#chunker.push(part)) this.#ended.push(length);
    return taken;
  }

  /** Whether it takes no more before it has cut. */
  get full(): boolean {
    return this.#length === this.#buffer.length;
  }

  /**
   * The chunks of what was taken; what may go on is kept for the next time unless this is the `end`. They are views that
   * stay as they are when `fresh` is set, and are gone when this is called again otherwise.
   */
  async cut(options: { readonly end: boolean; readonly fresh: boolean }): Promise<readonly Chunk[]> {
    const buffer = this.#buffer;
    const lengths = this.#ended.splice(0);
    if (options.end) {
      const last = this.#chunker.finish();
      if (last > 0) lengths.push(last);
    }
    const { chunks, cutBytes } = await hashChunks(buffer, 0, lengths, this.#fn, this.#slices);
    const rest = buffer.subarray(cutBytes, this.#length);
    if (options.fresh && !options.end) this.#buffer = new Uint8Array(buffer.length);
    this.#buffer.set(rest);
    this.#length = rest.length;
    return chunks;
  }
}

/** The hash of a chunk: where servers want large ones, in several slices. */
export async function hashInSlices(fn: DigestFunction, data: Uint8Array, slices: Slices): Promise<string> {
  if (data.length <= SCAN_BYTES) return fn.hash(data);
  const hasher = fn.hasher();
  for (let at = 0; at < data.length; at += SCAN_BYTES) {
    if (slices.spent) await slices.next();
    hasher.update(data.subarray(at, at + SCAN_BYTES));
  }
  return hasher.digestHex();
}

/** The chunks that lie one after the other in `bytes` from `start` on. */
async function hashChunks(
  bytes: Uint8Array,
  start: number,
  lengths: Iterable<number>,
  fn: DigestFunction,
  slices: Slices,
): Promise<{ readonly chunks: readonly Chunk[]; readonly cutBytes: number }> {
  const chunks: Chunk[] = [];
  let at = start;
  for (const length of lengths) {
    if (slices.spent) await slices.next();
    const data = bytes.subarray(at, at += length);
    chunks.push({ digest: makeDigest(fn, await hashInSlices(fn, data, slices), length), data });
  }
  return { chunks, cutBytes: at - start };
}

/** How {@linkcode cutWindows} cuts. */
export interface CutOptions {
  readonly params: CheckedFastCdcParams;
  readonly fn: DigestFunction;
  /** What the windows take their memory from. */
  readonly room: ByteBudget;
  readonly signal: AbortSignal | undefined;
}

/**
 * The chunks of a blob in windows, whose leases are the caller's to release; the next window waits for room.
 *
 * @throws {BrokkrError} what the source or the signal fails with.
 */
export async function* cutWindows(
  source: Uint8Array | AsyncIterable<Uint8Array>,
  options: CutOptions,
): AsyncGenerator<ChunkWindow, void, undefined> {
  if (source instanceof Uint8Array) return yield* cutInPlace(source, options);
  const { params, fn, room, signal } = options;
  const cutter = new Cutter(params, fn, signal);
  // Taken before the bytes are read: whoever waits for memory holds none.
  let lease: ByteLease | undefined = await room.acquire(windowBytes(params), signal);
  const window = async (end: boolean): Promise<ChunkWindow> => {
    const full = lease ?? await room.acquire(windowBytes(params), signal);
    lease = full;
    const chunks = await cutter.cut({ end, fresh: true });
    lease = undefined;
    return { chunks, lease: full };
  };
  try {
    for await (const bytes of source) {
      for (let at = 0; at < bytes.length;) {
        lease ??= await room.acquire(windowBytes(params), signal);
        at += cutter.take(bytes.subarray(at));
        if (cutter.full) yield await window(false);
      }
    }
    yield await window(true);
  } finally {
    lease?.release();
  }
}

/** A blob that is in memory is cut where it lies. */
async function* cutInPlace(
  bytes: Uint8Array,
  { params, fn, room, signal }: CutOptions,
): AsyncGenerator<ChunkWindow, void, undefined> {
  const slices = new Slices(signal);
  const chunker = new FastCdcChunker(params);
  let scanned = 0;
  let cut = 0;
  while (cut < bytes.length) {
    const lease = await room.acquire(windowBytes(params), signal);
    let handed = false;
    try {
      const lengths: number[] = [];
      for (const end = scanned + WINDOW_BYTES; scanned < Math.min(end, bytes.length); scanned += SCAN_BYTES) {
        if (slices.spent) await slices.next();
        lengths.push(...chunker.push(bytes.subarray(scanned, scanned + SCAN_BYTES)));
      }
      if (scanned >= bytes.length) {
        const last = chunker.finish();
        if (last > 0) lengths.push(last);
      }
      const { chunks, cutBytes } = await hashChunks(bytes, cut, lengths, fn, slices);
      cut += cutBytes;
      handed = true;
      yield { chunks, lease };
    } finally {
      if (!handed) lease.release();
    }
  }
}

/** The digests of the chunks of a blob, in order. */
export async function cutDigests(
  source: AsyncIterable<Uint8Array>,
  params: CheckedFastCdcParams,
  fn: DigestFunction,
  signal?: AbortSignal,
): Promise<Digest[]> {
  const cutter = new Cutter(params, fn, signal);
  const digests: Digest[] = [];
  const cut = async (end: boolean) => {
    for (const { digest } of await cutter.cut({ end, fresh: false })) digests.push(digest);
  };
  for await (const bytes of source) {
    for (let at = 0; at < bytes.length;) {
      at += cutter.take(bytes.subarray(at));
      if (cutter.full) await cut(false);
    }
  }
  await cut(true);
  return digests;
}
