/**
 * Cuts large files into chunks in the background, where that makes them smaller: chunks are compressed like all that is
 * small, and shared with other versions. Long after the upload was acknowledged, one file at a time, and only while nobody
 * stores anything. What looks compressed already stays a file, which is read as fast as the disk can.
 *
 * @module
 */

import { type Clock, type Counter, type Logger, type Metrics, throwIfAborted } from "@brokkr/common";
import { type Digest, formatDigest } from "../digest.ts";
import { looksPacked } from "./_codec.ts";
import type { CutOptions } from "./_splicer.ts";
import { readFully, type StoreFile } from "./file_layer.ts";

/** How long a file rests before it is looked at, in milliseconds. */
const REST_MS = 3000;
/** How often it is looked whether somebody stores something, in milliseconds. */
const BUSY_MS = 250;
/** Files that wait; of more, those that come stay what they are. */
const MAX_WAITING = 1000;
/** Pieces of a file that are looked at, */
const SAMPLES = 8;
/** and how long each is. */
const SAMPLE_BYTES = 64 << 10;

/** What a {@linkcode Packer} works with. */
export interface PackerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Opens the file of a blob. */
  readonly open: (digest: Digest) => Promise<StoreFile>;
  /** Whether nobody stores anything now. */
  readonly isIdle: () => boolean;
  /** Whether there is plenty of room for so many bytes, for a while at least. */
  readonly hasRoom: (bytes: number) => Promise<boolean>;
  /** Cuts a file; undefined when it is none any more. */
  readonly cut: (digest: Digest, options: CutOptions) => Promise<unknown>;
}

/** Packs the files of one store. */
export class Packer {
  readonly #options: PackerOptions;
  readonly #waiting: Digest[] = [];
  readonly #abort = new AbortController();
  readonly #looked: Counter;
  readonly #bytes: Counter;
  #running: Promise<void> | undefined;

  constructor(options: PackerOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#looked = metrics.counter(
      "brokkr_cas_large_blobs_total",
      "Large blobs looked at after they came: packed into chunks, or left as they were",
      ["outcome"],
    );
    this.#bytes = metrics.counter(
      "brokkr_cas_packed_bytes_total",
      "Bytes of large blobs that were packed into chunks",
    );
  }

  /** Says that a blob has become a file. */
  offer(digest: Digest): void {
    if (this.#abort.signal.aborted || this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(digest);
    this.#running ??= this.#run();
  }

  /** Ends; what is under way stays a file. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("The store is closed"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    while (!this.#abort.signal.aborted) {
      await this.#sleep(REST_MS);
      const digest = this.#waiting.shift();
      if (digest === undefined) {
        // In the same breath: what is offered after this look must begin another run.
        this.#running = undefined;
        return;
      }
      try {
        const packed = await this.#pack(digest);
        this.#looked.add({ outcome: packed ? "packed" : "left" });
        if (packed) this.#bytes.add({}, digest.sizeBytes);
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        log.warn("Cannot pack a large blob, which stays as it is", { blob: formatDigest(digest), error });
      }
    }
  }

  async #pack(digest: Digest): Promise<boolean> {
    const { cut, hasRoom } = this.#options;
    const { signal } = this.#abort;
    await this.#turn();
    // Until its file is gone it is there twice.
    if (!await hasRoom(digest.sizeBytes) || !await this.#isWorthwhile(digest)) return false;
    throwIfAborted(signal);
    return await cut(digest, { signal, turn: () => this.#turn(), uses: false }) !== undefined;
  }

  /** Whether at least half of a file looks as if it could be compressed. */
  async #isWorthwhile(digest: Digest): Promise<boolean> {
    const file = await this.#options.open(digest);
    try {
      const buffer = new Uint8Array(Math.min(SAMPLE_BYTES, digest.sizeBytes));
      const span = digest.sizeBytes - buffer.length;
      let loose = 0;
      for (let i = 0; i < SAMPLES; i++) {
        const read = await readFully(file, buffer, Math.floor(span * i / (SAMPLES - 1)));
        if (!looksPacked(buffer.subarray(0, read))) loose++;
      }
      return loose >= SAMPLES / 2;
    } finally {
      file.close();
    }
  }

  /** Waits until nobody stores anything. */
  async #turn(): Promise<void> {
    throwIfAborted(this.#abort.signal);
    while (!this.#options.isIdle()) {
      await this.#sleep(BUSY_MS);
      throwIfAborted(this.#abort.signal);
    }
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { signal } = this.#abort;
    if (signal.aborted) return;
    const wake = () => resolve();
    const timer = this.#options.clock.setTimer(ms, wake);
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    timer.cancel();
    signal.removeEventListener("abort", wake);
  }
}
