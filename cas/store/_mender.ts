/**
 * What becomes of a blob that is not what it was: it counts as missing at once, its bytes are set aside, and it is
 * fetched again where there is another store that has it.
 *
 * @module
 */

import { type Clock, type Counter, type Logger, type Metrics, scopeOf, Semaphore } from "@brokkr/common";
import type { BlobStore, BlobWriter } from "../blob_store.ts";
import { type Digest, formatDigest } from "../digest.ts";
import type { DamagedBlob } from "../store_keeper.ts";
import { type Fault, lookAtFile } from "./_look.ts";
import type { Quarantine } from "./_quarantine.ts";
import type { Recovered } from "./_recover.ts";
import { segmentName } from "./_segment_header.ts";
import type { FileLayer } from "./file_layer.ts";
import { type BlobLocation, FILE_SEGMENT } from "./membership_table.ts";

/** From where damaged blobs are fetched again: another store, or whatever can read. */
export type BlobSource = Pick<BlobStore, "read">;

/** What became of a damaged blob. */
export type Outcome = DamagedBlob["outcome"];

/** Blobs fetched again at once. */
const REPAIRS_AT_ONCE = 2;
/** Blobs that may wait to be fetched again; of others a client has to care. */
const MAX_REPAIRS = 1000;
/** How long fetching one may take, besides what its size takes at a megabyte a second. */
const REPAIR_MS = 60_000;

/** What a {@linkcode Mender} works with. */
export interface MenderOptions {
  readonly state: Pick<Recovered, "catalog" | "blobs">;
  readonly quarantine: Quarantine;
  readonly files: FileLayer;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Where damaged blobs are fetched again; undefined for nowhere. */
  readonly source: BlobSource | undefined;
  /** Takes a blob out of the catalog and the index, at once. */
  readonly drop: (digest: Digest) => void;
  /** Runs something when no other change of the blob is under way. */
  readonly alone: <T>(digest: Digest, run: () => Promise<T>) => Promise<T>;
  /** Appends a tombstone for a blob. */
  readonly bury: (digest: Digest) => Promise<void>;
  /** Opens a writer. */
  readonly writer: (digest: Digest, signal: AbortSignal) => Promise<BlobWriter>;
  /** Called when a blob's file is found to be gone. */
  readonly onGone: () => void;
}

/** Deals with the damaged blobs of one store. */
export class Mender {
  readonly #options: MenderOptions;
  readonly #damaged: Counter;
  readonly #repaired: Counter;
  readonly #lanes = new Semaphore(REPAIRS_AT_ONCE);
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #repairs = 0;

  constructor(options: MenderOptions) {
    this.#options = options;
    this.#damaged = options.metrics.counter("brokkr_cas_damaged_total", "Blobs found damaged or gone");
    this.#repaired = options.metrics.counter(
      "brokkr_cas_repaired_total",
      "Damaged blobs that were fetched again from another store",
    );
  }

  /** Where a blob lies, in words: its path in the store, and its offset in a segment. */
  where(digest: Digest, location: BlobLocation): string {
    return location.segment === FILE_SEGMENT
      ? this.#options.state.blobs.path(digest.fn, digest.hash)
      : `segments/${segmentName(location.segment)} at ${location.offset}`;
  }

  /**
   * Takes a damaged blob out of what is there; undefined when it lies elsewhere meanwhile, or is gone for another
   * reason. What it resolves to comes later: nobody who reads needs to wait for it.
   */
  condemn(digest: Digest, location: BlobLocation, fault: Fault): Promise<Outcome> | undefined {
    const { state, log, drop, onGone } = this.#options;
    const now = state.catalog.locate(digest);
    if (now?.segment !== location.segment || now.offset !== location.offset) return undefined;
    const where = this.where(digest, location);
    log.error(`A blob is ${fault.gone ? "gone" : "damaged"} and counts as missing from now on`, {
      blob: formatDigest(digest),
      where,
      problem: fault.problem,
    });
    this.#damaged.add();
    drop(digest);
    if (fault.gone && location.segment === FILE_SEGMENT) onGone();
    const settled = this.#settle(digest, location, fault, where);
    this.#running.add(settled);
    settled.finally(() => this.#running.delete(settled));
    return settled;
  }

  /**
   * Reads a blob's file wholly, and condemns the blob when it is not right. While no other change of the blob is under
   * way, so that it is not a file that came in between which is condemned. Undefined when it is not there any more.
   *
   * @param spares whether nothing is to be done about a fault yet; there is no outcome then.
   * @throws What the system says, where that is no word on the blob.
   */
  async judgeFile(
    digest: Digest,
    spares: (fault: Fault) => boolean = () => false,
  ): Promise<
    { readonly fault: Fault | undefined; readonly outcome: Promise<Outcome> | undefined } | undefined
  > {
    const { state, files, alone } = this.#options;
    // An object, as a promise of a promise would wait for both.
    return await alone(digest, async () => {
      const location = state.catalog.locate(digest);
      if (location?.segment !== FILE_SEGMENT) return undefined;
      const path = state.blobs.path(digest.fn, digest.hash);
      const { fault } = await lookAtFile({ files, path, digest, signal: this.#closing.signal });
      if (fault === undefined || spares(fault)) return { fault, outcome: undefined };
      const outcome = this.condemn(digest, location, fault);
      return outcome === undefined ? undefined : { fault, outcome };
    });
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("The store is closed"));
    await Promise.allSettled(this.#running);
  }

  /** Never fails. */
  async #settle(digest: Digest, location: BlobLocation, fault: Fault, where: string): Promise<Outcome> {
    let kept: string | undefined;
    try {
      kept = await this.#setAside(digest, location, fault, where);
    } catch (error) {
      this.#options.log.warn("Cannot deal with a damaged blob", { blob: formatDigest(digest), where, error });
    }
    if (await this.#repair(digest)) return "repaired";
    return kept === undefined ? "left" : "quarantined";
  }

  async #setAside(
    digest: Digest,
    location: BlobLocation,
    fault: Fault,
    where: string,
  ): Promise<string | undefined> {
    const { state, quarantine, alone, bury } = this.#options;
    if (fault.gone) return undefined;
    const blob = formatDigest(digest);
    const note = { digest: blob, where, expected: `${digest.fn.name} ${blob}`, found: fault.problem };
    if (location.segment === FILE_SEGMENT) {
      return await alone(digest, async () => {
        // Uploaded again meanwhile: another file bears the name.
        if (state.catalog.locate(digest) !== undefined) return undefined;
        return await quarantine.keepFile(note, state.blobs.path(digest.fn, digest.hash));
      });
    }
    const kept = await quarantine.keepBytes(note, fault.bytes);
    if (fault.plausible) {
      await alone(digest, async () => {
        // Who reads the segment without an index would take the record for good. What came after it lies behind it.
        if (state.catalog.locate(digest) === undefined) await bury(digest);
      });
    }
    return kept;
  }

  /** Fetches a blob again; whether that went well. Never fails. */
  async #repair(digest: Digest): Promise<boolean> {
    const { source, log } = this.#options;
    if (source === undefined || this.#closing.signal.aborted || this.#repairs >= MAX_REPAIRS) return false;
    this.#repairs++;
    try {
      using _lane = await this.#lanes.acquire();
      await this.#fetch(digest, source);
      this.#repaired.add();
      log.info("A damaged blob was fetched again", { blob: formatDigest(digest) });
      return true;
    } catch (error) {
      log.warn("Cannot fetch a damaged blob again", { blob: formatDigest(digest), error });
      return false;
    } finally {
      this.#repairs--;
    }
  }

  async #fetch(digest: Digest, source: BlobSource): Promise<void> {
    const { clock, writer } = this.#options;
    const late = new AbortController();
    using _timer = clock.setTimer(
      REPAIR_MS + digest.sizeBytes / 1000,
      () => late.abort(new Error("It took too long")),
    );
    const signal = AbortSignal.any([this.#closing.signal, late.signal]);
    await using into = await writer(digest, signal);
    for await (const piece of source.read(scopeOf(""), digest, undefined, signal)) {
      signal.throwIfAborted();
      await into.write(piece);
    }
    // Verifies what came, as of every blob.
    await into.commit();
  }
}
