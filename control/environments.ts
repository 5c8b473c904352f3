/**
 * Which execution environments the grid has now. A result is only answered from the cache if it was made in one of them:
 * those of the workers that are connected, or, while none is, those of the last ones, which are remembered across
 * restarts so that a warm cache answers before the first worker is back.
 *
 * @module
 */

import type { MetadataStore } from "@brokkr/cas";
import type { Logger } from "@brokkr/common";

const KEY = new TextEncoder().encode("control/environments");
/** A grid has a handful; more is somebody's mistake. */
const MAX_ENVIRONMENTS = 16;

/** The grid's environments. */
export class Environments {
  readonly #metadata: MetadataStore;
  readonly #log: Logger;
  #current: readonly string[];
  #writing: Promise<void> = Promise.resolve();

  private constructor(metadata: MetadataStore, log: Logger, current: readonly string[]) {
    this.#metadata = metadata;
    this.#log = log;
    this.#current = current;
  }

  /** Reads what was remembered. */
  static async open(metadata: MetadataStore, log: Logger): Promise<Environments> {
    const bytes = await metadata.get(KEY);
    return new Environments(metadata, log, bytes === undefined ? [] : parse(bytes));
  }

  /** Those whose results count now. */
  get current(): readonly string[] {
    return this.#current;
  }

  /** The environments of the workers that there are; nothing changes when there are none. */
  update(environments: Iterable<string>): void {
    const next = [...new Set(environments)].sort().slice(0, MAX_ENVIRONMENTS);
    if (next.length === 0 || JSON.stringify(next) === JSON.stringify(this.#current)) return;
    this.#current = next;
    const value = new TextEncoder().encode(JSON.stringify(next));
    this.#writing = this.#writing
      .then(() => this.#metadata.write([{ op: "put", key: KEY, value }]))
      .catch((error) => this.#log.warn("The environments of the workers could not be remembered", { error }));
  }

  /** Resolves when all is written. */
  settled(): Promise<void> {
    return this.#writing;
  }
}

function parse(bytes: Uint8Array): readonly string[] {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(value)
      ? value.filter((name) => typeof name === "string").slice(0, MAX_ENVIRONMENTS)
      : [];
  } catch {
    // Only ever a hint: without it the cache answers once a worker is back.
    return [];
  }
}
