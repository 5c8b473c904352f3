/**
 * What the services share.
 *
 * @module
 */

import { asBrokkrError, type ByteBudget, Code, type Logger, type Metrics, noMetrics } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";

/** How the services over a store are set up. */
export interface CasServiceOptions {
  /** The store. */
  readonly store: BlobStore;
  /** Charged for batches while they are put together. */
  readonly budget?: ByteBudget;
  /** Largest blob taken, in bytes; as large as the store takes by default. */
  readonly maxBlobBytes?: number;
  /** Instruments; none by default. */
  readonly metrics?: Metrics;
}

/** Counts of blobs found, not found, taken and given. */
export interface CasCounters {
  /** Blobs that a call asked for and found. */
  hits(method: string, count: number): void;
  /** Blobs that a call asked for in vain. */
  misses(method: string, count: number): void;
  /** Bytes taken from clients. */
  written(method: string, bytes: number): void;
  /** Bytes given to clients. */
  read(method: string, bytes: number): void;
}

/** The instruments of the services; asking twice gives the same. */
export function casCounters(metrics: Metrics = noMetrics): CasCounters {
  const labels = ["method"];
  const hits = metrics.counter("brokkr_cas_hits_total", "Blobs asked for that were there", labels);
  const misses = metrics.counter("brokkr_cas_misses_total", "Blobs asked for that were not there", labels);
  const written = metrics.counter(
    "brokkr_cas_written_bytes_total",
    "Bytes of blobs taken from clients",
    labels,
  );
  const read = metrics.counter("brokkr_cas_read_bytes_total", "Bytes of blobs given to clients", labels);
  const add = (counter: typeof hits) => (method: string, value: number) => {
    if (value > 0) counter.add({ method }, value);
  };
  return { hits: add(hits), misses: add(misses), written: add(written), read: add(read) };
}

/** A failure of one blob of a batch as its status; what is nobody's business but ours goes to the log. */
export function blobStatus(error: unknown, log: Logger): { code: number; message: string } {
  const known = asBrokkrError(error);
  if (known.code !== Code.INTERNAL) return { code: known.code, message: known.message };
  log.error("A blob of a batch failed", { error });
  return { code: Code.INTERNAL, message: "Internal error; the server's log tells more" };
}

/** Status of a blob with which all went well. */
export const OK_STATUS = { code: Code.OK, message: "" };
