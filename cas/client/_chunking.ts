/**
 * What a server can do with chunks of blobs.
 *
 * @module
 */

import { ByteBudget, type Clock } from "@brokkr/common";
import type { ServerCapabilities } from "@brokkr/proto";
import type { CheckedFastCdcParams } from "@brokkr/wasm";
import type { DigestFunction } from "../digest.ts";

/** What the server does with chunks, and how it cuts. */
interface Offer {
  readonly params: CheckedFastCdcParams;
  split: boolean;
  splice: boolean;
}

/** What all chunked transfers of a client keep in memory at once, in bytes. */
const ROOM_BYTES = 32 << 20;
/** How long an answer counts: a grid may learn, or change how it cuts, while a worker lives on. */
const OFFER_MS = 10 * 60_000;
/** Most bytes of a list of chunks: it has to fit a message, of which servers take 4 MiB. */
const MAX_LIST_BYTES = 3_800_000;
/** What a digest takes in a list beside its hash. */
const ENTRY_OVERHEAD_BYTES = 12;

/** Chunking with one server, which is asked when the first large blob is at hand. */
export class Chunking {
  /** What windows of chunks take their memory from. */
  readonly room = new ByteBudget(ROOM_BYTES);
  /** Chunks that are being sent, by key, so that versions of one file which are sent side by side send each once. */
  readonly sending = new Map<string, Promise<void>>();
  readonly #ask: () => Promise<ServerCapabilities>;
  readonly #clock: Clock;
  #offer: Promise<Offer | undefined> | undefined;
  #askedMs = 0;

  /** Chunking with a server that `ask` asks. */
  constructor(ask: () => Promise<ServerCapabilities>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** How to cut a blob that is to be uploaded; undefined when it should be sent whole. */
  async forUpload(fn: DigestFunction, sizeBytes: number): Promise<CheckedFastCdcParams | undefined> {
    const offer = await this.#offered();
    if (offer === undefined || !offer.splice || !this.#worthWhile(offer.params, fn, sizeBytes)) {
      return undefined;
    }
    return offer.params;
  }

  /** How the server cuts a blob that is to be fetched; undefined when it should be fetched whole. */
  async forDownload(fn: DigestFunction, sizeBytes: number): Promise<CheckedFastCdcParams | undefined> {
    const offer = await this.#offered();
    if (offer === undefined || !offer.split || !this.#worthWhile(offer.params, fn, sizeBytes)) {
      return undefined;
    }
    return offer.params;
  }

  /** Remembers that the server makes no blobs of chunks, whatever it says. */
  async refuseSplice(): Promise<void> {
    const offer = await this.#offered();
    if (offer !== undefined) offer.splice = false;
  }

  /** Remembers that the server does not tell how blobs are divided, or not the truth. */
  async refuseSplit(): Promise<void> {
    const offer = await this.#offered();
    if (offer !== undefined) offer.split = false;
  }

  #worthWhile(params: CheckedFastCdcParams, fn: DigestFunction, sizeBytes: number): boolean {
    return sizeBytes > params.maxBytes && sizeBytes / params.avgBytes <= maxChunks(fn);
  }

  #offered(): Promise<Offer | undefined> {
    const now = this.#clock.monotonicMs();
    if (this.#offer !== undefined && now - this.#askedMs < OFFER_MS) return this.#offer;
    this.#askedMs = now;
    return this.#offer = this.#load().catch(() => {
      // Who does not tell what it can do is sent whole blobs now, and asked again the next time.
      this.#offer = undefined;
      return undefined;
    });
  }

  async #load(): Promise<Offer | undefined> {
    const { cacheCapabilities } = await this.#ask();
    if (cacheCapabilities?.fastCdc2020Params === undefined) return undefined;
    const { avgChunkSizeBytes, seed } = cacheCapabilities.fastCdc2020Params;
    const params = await paramsOf(avgChunkSizeBytes, seed);
    if (params === undefined) return undefined;
    const { splitBlobSupport: split, spliceBlobSupport: splice } = cacheCapabilities;
    return { params, split, splice };
  }
}

/** Most chunks that a list may have. */
export function maxChunks(fn: DigestFunction): number {
  return Math.floor(MAX_LIST_BYTES / (2 * fn.hashBytes + ENTRY_OVERHEAD_BYTES));
}

/** Parameters as a server told them; undefined when they are out of range, as REAPI says that they then do not count. */
async function paramsOf(avgBytes: number, seed: number): Promise<CheckedFastCdcParams | undefined> {
  // Most commands cut nothing, and start sooner without it.
  const { checkFastCdcParams } = await import("@brokkr/wasm");
  try {
    return checkFastCdcParams({ avgBytes, seed });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
