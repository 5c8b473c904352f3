/**
 * What a disk store does about bytes that are not what they were: the parts of it, put together.
 *
 * @module
 */

import type { Clock, Logger, Metrics, Random } from "@brokkr/common";
import { Mender, type MenderOptions } from "./_mender.ts";
import { Quarantine } from "./_quarantine.ts";
import type { FileLayer } from "./file_layer.ts";

/** Share of the store's limit that what is set aside may take at most. */
const QUARANTINE_SHARE = 0.05;
const MAX_QUARANTINE_BYTES = 256 << 20;

/** What {@linkcode menderOf} works with, beside what a mender needs. */
export interface BitRotOptions extends Omit<MenderOptions, "quarantine"> {
  /** The store's directory. */
  readonly dir: string;
  readonly files: FileLayer;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** What the store may take on disk. */
  readonly maxBytes: number;
}

/** The mender of a store, with a quarantine in its directory. */
export function menderOf(options: BitRotOptions): Mender {
  const { files, dir, clock, random, log, maxBytes } = options;
  const quarantine = new Quarantine({
    files,
    dir: `${dir}/quarantine`,
    clock,
    random,
    log,
    maxBytes: Math.min(MAX_QUARANTINE_BYTES, Math.floor(maxBytes * QUARANTINE_SHARE)),
  });
  return new Mender({ ...options, quarantine });
}
