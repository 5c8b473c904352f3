/**
 * Branded identifiers: strings and numbers that the compiler will not let you mix up.
 *
 * @module
 */

/** A `T` that only code naming the brand `B` can make. The brand exists for the compiler alone. */
export type Branded<T, B extends string> = T & { readonly __brand: B };

/** The name of one REAPI instance, `""` for the default; may hold slashes. */
export type InstanceName = Branded<string, "InstanceName">;
/** The name of a long-running operation, `operations/<epoch>-<counter>-<random>`. */
export type OperationName = Branded<string, "OperationName">;
/** A worker's own name, unique in the grid. */
export type WorkerId = Branded<string, "WorkerId">;
/** One lease of one action to one worker: `<epoch>.<counter>`. */
export type LeaseId = Branded<string, "LeaseId">;

/**
 * A fencing token: greater than every token given out before it, also across restarts. `epoch` is the boot epoch that
 * was synced to disk before the process gave out anything, `counter` counts within it.
 */
export interface FencingToken {
  /** Boot epoch of the process that gave it out. */
  readonly epoch: number;
  /** Counts up from 1 within the epoch. */
  readonly counter: number;
}

/** Orders tokens: negative if `a` is older than `b`, zero if equal, positive if newer. */
export function compareFencingTokens(a: FencingToken, b: FencingToken): number {
  return a.epoch - b.epoch || a.counter - b.counter;
}

/** The lease id that carries `token`. */
export function leaseIdOf(token: FencingToken): LeaseId {
  return `${token.epoch}.${token.counter}` as LeaseId;
}

/** The token that a lease id carries, or undefined if `id` is not of that form. */
export function fencingTokenOf(id: string): FencingToken | undefined {
  const match = /^(\d{1,15})\.(\d{1,15})$/.exec(id);
  return match === null ? undefined : { epoch: Number(match[1]), counter: Number(match[2]) };
}
