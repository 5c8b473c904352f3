/**
 * Which workers operators have drained, and why: remembered across restarts, since what an operator took out of service
 * stays out until an operator takes it back.
 *
 * @module
 */

import type { MetadataStore } from "@brokkr/cas";
import type { Logger, WorkerId } from "@brokkr/common";

const KEY = new TextEncoder().encode("control/drains");

/** Remembers drains. */
export class Drains {
  readonly #metadata: MetadataStore;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(metadata: MetadataStore) {
    this.#metadata = metadata;
  }

  /** Reads what was remembered: reasons by worker. */
  static async open(
    metadata: MetadataStore,
    log: Logger,
  ): Promise<{ readonly drains: Drains; readonly reasons: ReadonlyMap<WorkerId, string> }> {
    const bytes = await metadata.get(KEY);
    return { drains: new Drains(metadata), reasons: bytes === undefined ? new Map() : parse(bytes, log) };
  }

  /** Remembers exactly these. Resolves when it is durable; those that come later are written later. */
  write(reasons: ReadonlyMap<WorkerId, string>): Promise<void> {
    const value = new TextEncoder().encode(JSON.stringify([...reasons]));
    const done = this.#writing.then(() => this.#metadata.write([{ op: "put", key: KEY, value }]));
    this.#writing = done.catch(() => undefined); // whoever asked for it is told
    return done;
  }
}

function parse(bytes: Uint8Array, log: Logger): ReadonlyMap<WorkerId, string> {
  const reasons = new Map<WorkerId, string>();
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    for (const entry of Array.isArray(value) ? value : []) {
      const [worker, reason]: unknown[] = Array.isArray(entry) ? entry : [];
      if (typeof worker === "string" && typeof reason === "string") reasons.set(worker as WorkerId, reason);
    }
  } catch (error) {
    // A grid without its drains is better than none.
    log.error("Which workers are drained cannot be read; drain them again", { error });
  }
  return reasons;
}
