/**
 * Randomness, handed in: the system's in production, a seeded generator in simulations.
 *
 * @module
 */

/** A source of random numbers. */
export interface Random {
  /** A float in [0, 1). */
  next(): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

/** The system's generator, fit for names that must not be guessed. */
export const systemRandom: Random = {
  next: () => crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32,
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/**
 * A small seeded generator (mulberry32, Tommy Ettinger, public domain): the same seed gives the same run. For tests
 * and simulations, never for secrets.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { seededRandom } from "@brokkr/common";
 * assertEquals(seededRandom(7).next(), seededRandom(7).next());
 * ```
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)),
  };
}

/** `byteLength` random bytes as lower-case hex. */
export function randomHex(random: Random, byteLength: number): string {
  return random.bytes(byteLength).toHex();
}
