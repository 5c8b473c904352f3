/**
 * Reads what a store holds again and again, slowly, to find what the disk has spoiled while it can still be mended: one
 * round after the other, at most one a day. Where it is outlives the process.
 *
 * What it reads it reads as everything else does, so what lies in the page cache is compared there, not on the disk. What
 * rots is what nobody reads, which does not.
 *
 * @module
 */

import {
  asBrokkrError,
  type ByteBudget,
  type Clock,
  Code,
  type Counter,
  type Gauge,
  type Logger,
  type Metrics,
  sleep,
} from "@brokkr/common";
import type { DamagedBlob, VerifyProgress } from "../store_keeper.ts";
import type { Mender } from "./_mender.ts";
import { Pace } from "./_pace.ts";
import type { Recovered } from "./_recover.ts";
import { ALL_SEGMENTS, type ScrubPosition, ScrubRound } from "./_scrub_round.ts";
import type { SegmentLog } from "./_segment_log.ts";
import { type FileLayer, readText, replaceText } from "./file_layer.ts";

/** From the start of a round to that of the next, at least. */
const ROUND_MS = 24 * 3_600_000;
/** Rest after the store was opened, when there is enough else to do. */
const FIRST_REST_MS = 60_000;
/** Rest after a round that ended early. */
const FAILURE_REST_MS = 3_600_000;
/** How often it is noted where a round is. */
const NOTE_MS = 300_000;
/** How often a progress is told. */
const PROGRESS_MS = 500;
/** Damaged blobs that are told of with one progress; further ones are logged and counted only. */
const MAX_TOLD = 1000;

/** Name of the file that says where the scrubber is. */
export const SCRUB_NAME = "SCRUB";

const START: ScrubPosition = { segment: 0, file: "" };

/** What a {@linkcode Scrubber} works with. */
export interface ScrubberOptions {
  readonly state: Pick<Recovered, "catalog" | "blobs" | "salt">;
  readonly segments: Pick<SegmentLog, "segments" | "read" | "diskBytes">;
  readonly mender: Mender;
  readonly files: FileLayer;
  /** The store's directory. */
  readonly dir: string;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** How fast it reads in the background, in bytes a second; 0 for not at all. */
  readonly scrubBytesPerSecond: number;
}

/** What is noted in the directory. */
interface Note {
  /** Wall time. */
  readonly roundBeganMs: number;
  /** Wall time; 0 before the first. */
  readonly roundEndedMs: number;
  /** Where the round is; undefined between rounds. */
  readonly position: ScrubPosition | undefined;
  /** Bytes read in this round. */
  readonly bytes: number;
}

const FIRST: Note = { roundBeganMs: 0, roundEndedMs: 0, position: undefined, bytes: 0 };

/** The scrubber of one store. */
export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #bytes: Counter;
  readonly #damaged: Counter;
  readonly #ended: Gauge;
  readonly #progress: Gauge;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: ScrubberOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#bytes = metrics.counter("brokkr_cas_scrubbed_bytes_total", "Bytes read again to find damage");
    this.#damaged = metrics.counter(
      "brokkr_cas_scrub_damaged_total",
      "Damaged blobs that reading again found",
    );
    this.#ended = metrics.gauge(
      "brokkr_cas_scrub_round_end_seconds",
      "When all that is stored had been read again last, in seconds since 1970; 0 when never",
    );
    this.#progress = metrics.gauge(
      "brokkr_cas_scrub_progress",
      "Share of what is stored that was read again in this round; 1 between rounds",
    );
  }

  /** Begins to scrub in the background, unless its rate is 0. */
  start(): void {
    if (this.#options.scrubBytesPerSecond <= 0) return;
    this.#track(this.#background()).catch((error) => {
      if (!this.#closing.signal.aborted) this.#options.log.error("The scrubber has ended", { error });
    });
  }

  /** Ends what is under way, noting where it is. */
  async close(): Promise<void> {
    this.#closing.abort(asBrokkrError(new Error("The store is closed"), Code.UNAVAILABLE));
    await Promise.allSettled(this.#running);
  }

  /**
   * Reads everything once, at most so many bytes a second, and tells how far it is, at the latest when it is done.
   *
   * @throws {BrokkrError} UNAVAILABLE when the disk fails or the store is closed; what `signal` was aborted with.
   */
  async *run(
    options: { readonly bytesPerSecond?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<VerifyProgress, void, undefined> {
    const { clock, state, segments } = this.#options;
    const stop = new AbortController();
    const signals = [
      this.#closing.signal,
      stop.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ];
    const tally = new Tally(clock, segments.diskBytes + state.catalog.fileBytes);
    const pace = options.bytesPerSecond ?? Infinity;
    const round = this.#track(this.#round(START, pace, AbortSignal.any(signals), tally));
    // Awaited in the end; until then its failure is known to the tally.
    round.then(() => tally.end(), () => tally.end());
    try {
      while (!tally.ended) {
        await tally.changed();
        yield tally.take();
      }
      await round;
    } finally {
      stop.abort(asBrokkrError(new Error("Nobody looks at it any more"), Code.CANCELLED));
      await Promise.allSettled([round]);
    }
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    this.#running.add(promise);
    const done = () => void this.#running.delete(promise);
    promise.then(done, done);
    return promise;
  }

  async #round(
    from: ScrubPosition,
    bytesPerSecond: number,
    signal: AbortSignal,
    tally: Tally,
    onPosition: (position: ScrubPosition) => void = () => {},
  ): Promise<void> {
    const pace = new Pace(this.#options.clock, bytesPerSecond, signal);
    await new ScrubRound({
      ...this.#options,
      pace,
      signal,
      from,
      onBytes: (bytes) => {
        tally.bytes += bytes;
        this.#bytes.add({}, bytes);
      },
      onBlob: () => void tally.blobs++,
      onDamaged: (damaged) => {
        this.#damaged.add();
        tally.add(damaged);
      },
      onPosition,
    }).run();
  }

  async #background(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#closing;
    let note = await this.#readNote();
    this.#ended.set(note.roundEndedMs / 1000);
    this.#progress.set(note.position === undefined ? 1 : 0);
    await sleep(clock, FIRST_REST_MS, signal);
    for (;;) {
      if (note.position === undefined) {
        const restMs = note.roundBeganMs + ROUND_MS - clock.wallMs();
        // A clock that was set back must not stop it for a year.
        if (restMs > 0) await sleep(clock, Math.min(restMs, ROUND_MS), signal);
        note = { ...note, roundBeganMs: clock.wallMs(), position: START, bytes: 0 };
      }
      try {
        note = await this.#backgroundRound(note);
      } catch (error) {
        if (signal.aborted) return;
        log.error("Reading again what is stored ended early", { error });
        note = await this.#readNote();
        await sleep(clock, FAILURE_REST_MS, signal);
      }
    }
  }

  /** The rest of a round; what is noted after it. */
  async #backgroundRound(note: Note): Promise<Note> {
    const { clock, state, segments, log, scrubBytesPerSecond } = this.#options;
    const tally = new Tally(clock, segments.diskBytes + state.catalog.fileBytes);
    let position = note.position ?? START;
    let notedMs = clock.monotonicMs();
    let writing = Promise.resolve();
    let damaged = 0;
    const now = () => ({ ...note, position, bytes: note.bytes + tally.bytes });
    try {
      await this.#round(position, scrubBytesPerSecond, this.#closing.signal, tally, (at) => {
        position = at;
        damaged += tally.take().damaged.length;
        this.#progress.set(Math.min(1, (note.bytes + tally.bytes) / Math.max(1, tally.totalBytes)));
        if (clock.monotonicMs() - notedMs < NOTE_MS) return;
        notedMs = clock.monotonicMs();
        writing = writing.then(() => this.#writeNote(now()));
      });
    } catch (error) {
      await writing;
      await this.#writeNote(now());
      throw error;
    }
    await writing;
    const ended = { ...note, roundEndedMs: clock.wallMs(), position: undefined, bytes: 0 };
    await this.#writeNote(ended);
    this.#ended.set(ended.roundEndedMs / 1000);
    this.#progress.set(1);
    damaged += tally.take().damaged.length;
    log.info("All that is stored was read again", {
      bytes: note.bytes + tally.bytes,
      blobs: tally.blobs,
      damaged,
    });
    return ended;
  }

  async #readNote(): Promise<Note> {
    const { files, dir, log } = this.#options;
    try {
      const text = await readText(files, `${dir}/${SCRUB_NAME}`);
      return text === undefined ? FIRST : parseNote(JSON.parse(text)) ?? FIRST;
    } catch (error) {
      log.warn("Cannot read where the scrubber was; it begins anew", { error });
      return FIRST;
    }
  }

  async #writeNote(note: Note): Promise<void> {
    const { files, dir, log } = this.#options;
    try {
      await replaceText(files, dir, SCRUB_NAME, JSON.stringify(note) + "\n");
    } catch (error) {
      log.debug("Cannot note where the scrubber is", { error });
    }
  }
}

/** A note as it was read, or undefined when it is none. */
function parseNote(value: unknown): Note | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { roundBeganMs, roundEndedMs, position, bytes } = value as { [K in keyof Note]?: unknown };
  if (!isCount(roundBeganMs) || !isCount(roundEndedMs) || !isCount(bytes)) return undefined;
  if (position === undefined) return { roundBeganMs, roundEndedMs, position, bytes };
  if (typeof position !== "object" || position === null) return undefined;
  const { segment, file } = position as { [K in keyof ScrubPosition]?: unknown };
  if (!isCount(segment) || segment > ALL_SEGMENTS || typeof file !== "string") return undefined;
  return { roundBeganMs, roundEndedMs, position: { segment, file }, bytes };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** What a round has found so far, for who watches it. */
class Tally {
  blobs = 0;
  bytes = 0;
  ended = false;
  readonly totalBytes: number;
  readonly #clock: Clock;
  #damaged: DamagedBlob[] = [];
  #wake: (() => void) | undefined;

  constructor(clock: Clock, totalBytes: number) {
    this.#clock = clock;
    this.totalBytes = totalBytes;
  }

  add(damaged: DamagedBlob): void {
    if (this.#damaged.length < MAX_TOLD) this.#damaged.push(damaged);
    this.#wake?.();
  }

  end(): void {
    this.ended = true;
    this.#wake?.();
  }

  /** Resolves when there is something to tell: damage, the end, or that time has passed. */
  async changed(): Promise<void> {
    if (this.ended || this.#damaged.length > 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _timer = this.#clock.setTimer(PROGRESS_MS, resolve);
    await promise;
    this.#wake = undefined;
  }

  /** What there is to tell; forgets what is damaged. */
  take(): VerifyProgress {
    const damaged = this.#damaged;
    this.#damaged = [];
    return { blobs: this.blobs, bytes: this.bytes, totalBytes: this.totalBytes, damaged };
  }
}
