/**
 * Which execution environments the grid has now. A result is only answered from the cache if it was made in one of them:
 * those of the workers that are connected, or, while none is, those of the last ones, which are remembered across
 * restarts so that a warm cache answers before the first worker is back. Where some workers have a sandbox and others
 * have none, the results of those without do not answer: the same action might have run in a sandbox.
 *
 * @module
 */

import type { MetadataStore } from "@brokkr/cas";
import type { Logger } from "@brokkr/common";

const KEY = new TextEncoder().encode("control/environments");
/** A grid has a handful; more is somebody's mistake. */
const MAX_ENVIRONMENTS = 16;

/** Whether an environment says that its actions run in a sandbox. */
export function isSandboxed(environment: string): boolean {
  return environment.startsWith("sandbox-");
}

/** Whether an environment says that nothing isolates its actions. */
export function isUnsandboxed(environment: string): boolean {
  return environment.startsWith("unsandboxed");
}

/** The grid's environments. */
export class Environments {
  readonly #metadata: MetadataStore;
  readonly #log: Logger;
  readonly #sandboxedOnly: boolean;
  /** Those of the workers. */
  #known: readonly string[];
  /** Those of them whose results count. */
  #current: readonly string[];
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    metadata: MetadataStore,
    log: Logger,
    known: readonly string[],
    sandboxedOnly: boolean,
  ) {
    this.#metadata = metadata;
    this.#log = log;
    this.#sandboxedOnly = sandboxedOnly;
    this.#known = known;
    this.#current = this.#counting(known);
  }

  /** Reads what was remembered. With `sandboxedOnly` nothing counts that was not made in a sandbox. */
  static async open(metadata: MetadataStore, log: Logger, sandboxedOnly = false): Promise<Environments> {
    const bytes = await metadata.get(KEY);
    return new Environments(metadata, log, bytes === undefined ? [] : parse(bytes), sandboxedOnly);
  }

  /** Those whose results count now. */
  get current(): readonly string[] {
    return this.#current;
  }

  /** The environments of the workers that there are; nothing changes when there are none. */
  update(environments: Iterable<string>): void {
    const next = [...new Set(environments)].sort().slice(0, MAX_ENVIRONMENTS);
    if (next.length === 0 || JSON.stringify(next) === JSON.stringify(this.#known)) return;
    this.#known = next;
    this.#current = this.#counting(next);
    const value = new TextEncoder().encode(JSON.stringify(next));
    this.#writing = this.#writing
      .then(() => this.#metadata.write([{ op: "put", key: KEY, value }]))
      .catch((error) => this.#log.warn("The environments of the workers could not be remembered", { error }));
  }

  #counting(known: readonly string[]): readonly string[] {
    if (this.#sandboxedOnly) return known.filter(isSandboxed);
    const isolated = known.filter((environment) => !isUnsandboxed(environment));
    return isolated.length > 0 ? isolated : known;
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
